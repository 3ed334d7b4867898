"""Train one of the others in ``fine_tuning.py`` on a folder of images, and print its scores as JSON.

The folder has ``train``, ``validation`` and ``test`` with a folder for each class. Everything is chosen on validation;
the test images are scored once. Each contender starts from the same weights and works in the way that its own
documentation shows. Run by ``fine_tuning.py`` in the environment of the others; it does not import resnet50.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

_OPERATORS: list[torch.library.Library] = []  # they last as long as the library object

STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
"""Values of C for the logistic regression."""


def import_torchvision() -> None:
    """Import torchvision beside a PyTorch without its compiled operators, which no ResNet needs."""
    if not hasattr(torch.ops.torchvision, "nms"):
        _OPERATORS.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            _OPERATORS[0].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    import torchvision  # noqa: F401


def state_dict(weights: str) -> dict[str, torch.Tensor]:
    """Return the weights below the classifier, float32."""
    from safetensors.torch import load_file

    return {name: value.float() for name, value in load_file(weights).items() if not name.startswith("fc.")}


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(axis=1) == labels).mean())


def probe(data: Path, weights: str, epochs: int) -> dict[str, float]:
    """Compute features of the frozen network in bfloat16, and fit a logistic regression to them."""
    import_torchvision()
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits
    from torchvision import datasets, models, transforms

    model = models.resnet50()
    model.load_state_dict(state_dict(weights), strict=False)
    model.fc = torch.nn.Identity()
    model.eval().to(memory_format=torch.channels_last)
    prepare = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )

    def features(split: str) -> tuple[np.ndarray, np.ndarray]:
        images = datasets.ImageFolder(str(data / split), prepare)
        loader = torch.utils.data.DataLoader(images, batch_size=32)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            rows = [model(batch.to(memory_format=torch.channels_last)).float().numpy() for batch, _ in loader]
        return np.concatenate(rows), np.array(images.targets)

    train, labels = features("train")
    held_out, held_out_labels = features("validation")
    fitted = []
    with threadpool_limits(1):
        for strength in STRENGTHS:
            head = LogisticRegression(C=strength, max_iter=1000).fit(train, labels)
            scores = head.predict_proba(held_out)
            loss = -np.log(scores[np.arange(len(scores)), held_out_labels] + 1e-12).mean()
            fitted.append((loss, accuracy(scores, held_out_labels), head))
    _, validation, head = min(fitted, key=lambda each: each[0])
    test, test_labels = features("test")
    return {"validation_accuracy": validation, "test_accuracy": accuracy(head.predict_proba(test), test_labels)}


def fastai(data: Path, weights: str, epochs: int) -> dict[str, float]:
    """Fastai's ``vision_learner`` and ``fine_tune``, with its augmentation and its default learning rate."""
    import_torchvision()
    from fastai.vision.all import (
        ImageDataLoaders,
        Normalize,
        Resize,
        accuracy,
        aug_transforms,
        get_image_files,
        imagenet_stats,
        resnet50,
        vision_learner,
    )

    loaders = ImageDataLoaders.from_folder(
        data,
        train="train",
        valid="validation",
        item_tfms=Resize(256),
        batch_tfms=[*aug_transforms(size=224), Normalize.from_stats(*imagenet_stats)],
        bs=32,
        num_workers=0,
    )
    learner = vision_learner(loaders, resnet50, pretrained=False, normalize=False, metrics=accuracy)
    backbone = resnet50()
    backbone.load_state_dict(state_dict(weights), strict=False)
    learner.model[0] = torch.nn.Sequential(*list(backbone.children())[:-2])
    learner.create_opt()
    learner.freeze()
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(epochs)
        _, validation = learner.validate()
        files = get_image_files(data / "test")
        probabilities, _ = learner.get_preds(dl=loaders.test_dl(files))
    labels = np.array([list(loaders.vocab).index(file.parent.name) for file in files])
    test = float((probabilities.numpy().argmax(axis=1) == labels).mean())
    return {"validation_accuracy": float(validation), "test_accuracy": test}


def timm(data: Path, weights: str, epochs: int) -> dict[str, float]:
    """Train with the parts of timm's ``train.py``.

    These are its transforms with their defaults, AdamW with layer decay, cosine with warm-up, label smoothing, EMA and
    bfloat16.
    """
    import_torchvision()
    from timm import create_model
    from timm.data import create_dataset, create_loader
    from timm.loss import LabelSmoothingCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from timm.utils import ModelEmaV3

    def loader(split: str, *, training: bool) -> object:
        return create_loader(
            create_dataset("", root=str(data / split)),
            input_size=(3, 224, 224),
            batch_size=32,
            is_training=training,
            color_jitter=0.4,
            interpolation="bilinear",
            crop_pct=0.875,
            num_workers=0,
            use_prefetcher=False,
            device=torch.device("cpu"),
        )

    classes = len(list((data / "train").iterdir()))
    model = create_model("resnet50", num_classes=classes)
    model.load_state_dict(state_dict(weights), strict=False)
    model.to(memory_format=torch.channels_last)
    train, held_out, test = (loader(s, training=s == "train") for s in ("train", "validation", "test"))
    optimizer = create_optimizer_v2(model, opt="adamw", lr=1e-3, weight_decay=0.05, layer_decay=0.75)
    schedule = CosineLRScheduler(optimizer, t_initial=epochs, warmup_t=2, warmup_lr_init=1e-6, warmup_prefix=False)
    average = ModelEmaV3(model, decay=0.99, use_warmup=True)
    criterion = LabelSmoothingCrossEntropy(0.1)

    def score(network: torch.nn.Module, batches: object) -> float:
        network.eval()
        right = total = 0
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            for images, labels in batches:
                outputs = network(images.to(memory_format=torch.channels_last))
                right, total = right + int((outputs.argmax(1) == labels).sum()), total + len(labels)
        return right / total

    best, best_epoch, state = -1.0, 0, {}
    for epoch in range(epochs):
        schedule.step(epoch)
        model.train()
        for images, labels in train:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                loss = criterion(model(images.to(memory_format=torch.channels_last)).float(), labels)
            loss.backward()
            optimizer.step()
            average.update(model)
        for network in (model, average.module):
            if (validation := score(network, held_out)) > best:
                best, best_epoch = validation, epoch + 1
                state = {name: value.clone() for name, value in network.state_dict().items()}
    model.load_state_dict(state)
    return {"validation_accuracy": best, "test_accuracy": score(model, test), "best_epoch": best_epoch}


CONTENDERS: dict[str, Callable[[Path, str, int], dict[str, float]]] = {"probe": probe, "fastai": fastai, "timm": timm}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender", choices=list(CONTENDERS))
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    random.seed(options.seed)
    np.random.seed(options.seed)
    torch.manual_seed(options.seed)
    print(json.dumps(CONTENDERS[options.contender](options.data, options.weights, options.epochs)))


if __name__ == "__main__":
    main()
