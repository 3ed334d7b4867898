"""What helps a linear probe: other versions of the images, another fit, larger images, several versions at test.

For each of ten seeds a fifth of a task's training images is held out, and a fifth of the rest chooses ``C``; near-
duplicates and groups stay together. All trials are scored on the same held-out images: the differences are paired. The
test images of the tasks are not used.

Run: ``python benchmarks/probe_trials.py rocks --data DIR --weights FILE``; writes
``benchmarks/results/probe-trials-rocks.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from fine_tuning import describe_weights
from PIL import Image
from scipy.special import softmax

from resnet50 import Dataset, DatasetSplits, LinearProbe
from resnet50._io.files import write_text
from resnet50.data.batches import Batches
from resnet50.data.fit import Fit
from resnet50.data.splitting import cut_indices
from resnet50.datasets.source import DataSource
from resnet50.recipes import find_task, folder
from resnet50.training.environment import describe_environment
from resnet50.training.fast_cpu.precision import resolve_precision
from resnet50.training.features import FrozenPart
from resnet50.training.linear_probe import LabeledFeatures, fit_linear_head
from resnet50.training.network import build_network

RESULTS = Path(__file__).parent / "results"
SHARE = 0.2
IMAGE_SIZE, LARGER_INPUT = 224, 288
LARGER = 320
"""Height and width in pixels of the images that random-resized crops are cut from."""

VERSIONS = 8
"""Versions of an image with random changes, the image itself included."""

TRIALS = {
    "the image": ["image"],
    "and its mirror image": ["image", "mirrored"],
    "and 7 changes": ["image", *(f"changed {number}" for number in range(1, VERSIONS))],
    "and 7 random-resized crops": ["image", *(f"cropped {number}" for number in range(1, VERSIONS))],
    "the middle, 0.875": ["middle"],
    "at 288 pixels": ["large"],
}
"""The versions that the head is fitted to, by trial; it is scored on the first of them."""

AVERAGED = "and 7 changes"
"""The trial that is also scored by the mean probabilities of all its versions."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["leukemia", "rocks", "cats-dogs", "caltech101"])
    parser.add_argument("--data", required=True, help="folder of the dataset")
    parser.add_argument("--weights", required=True, help="file in torchvision's layout, safetensors")
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    splits = DataSource(options.task, options.data).load(IMAGE_SIZE)
    features = compute(options, splits["train"])
    cuts = []
    for seed in range(options.seeds):
        cuts.append(score(splits, features, seed))
        print(seed, cuts[-1], flush=True)
    results = {
        "task": options.task,
        "weights": describe_weights(options.weights),
        "images": len(splits["train"]),
        "held_out": SHARE,
        **describe_environment(),
        "accuracies": {name: [cut[name] for cut in cuts] for name in cuts[0]},
    }
    write_text(RESULTS / f"probe-trials-{options.task}.json", json.dumps(results, indent=2))


def compute(options: argparse.Namespace, train: Dataset) -> dict[str, np.ndarray]:
    """Return the features of all training images, float32 ``(n, 2048)``, by the name of their version."""
    augmentation = find_task(options.task).RECIPE.augmentation
    changes = replace(augmentation, flip=augmentation.flip is not False)
    part, larger_part = (frozen_part(options, size) for size in (IMAGE_SIZE, LARGER_INPUT))
    larger = load(options, LARGER)
    changed = Batches(train, 32, augmentation=changes, views=VERSIONS)

    def of(dataset: Dataset) -> np.ndarray:
        return part.features(Batches(dataset, 32))

    features = {
        "image": of(train),
        "mirrored": of(replace(train, images=np.ascontiguousarray(train.images[:, :, ::-1]))),
        "middle": of(load(options, IMAGE_SIZE, fit=Fit(crop_ratio=0.875))),
        "large": larger_part.features(Batches(load(options, LARGER_INPUT), 32)),
    }
    for number in range(1, VERSIONS):
        features[f"changed {number}"] = part.features(changed, number)
        features[f"cropped {number}"] = of(random_resized_crops(larger, number, flip=changes.flip is True))
        print("computed version", number, flush=True)
    return features


def load(options: argparse.Namespace, size: int, *, fit: Fit | None = None) -> Dataset:
    return DataSource(options.task, options.data).load(size, fit=fit)["train"]


def frozen_part(options: argparse.Namespace, size: int) -> FrozenPart:
    """Return the network with the weights, up to its global average pooling."""
    recipe = folder.FINE_TUNED.change(image_size=size)
    network = build_network(recipe, 2, weights=options.weights)
    precision = resolve_precision(recipe.precision)
    return FrozenPart(network, "avg_pool", environment=describe_environment(), precision=precision)


def random_resized_crops(larger: Dataset, number: int, *, flip: bool) -> Dataset:
    """Return a random part of each image, of 0.35 to 1 of its area and 3/4 to 4/3 in shape, at the input's size."""
    images = np.empty((len(larger), IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    side = larger.images.shape[1]
    for index, pixels in enumerate(larger.images):
        random = np.random.default_rng((number, index))
        area, shape = random.uniform(0.35, 1) * side**2, np.exp(random.uniform(-1, 1) * np.log(4 / 3))
        width, height = (min(np.sqrt(area * factor), side) for factor in (shape, 1 / shape))
        left, top = random.uniform(0, side - width), random.uniform(0, side - height)
        box = (left, top, left + width, top + height)
        part = np.asarray(Image.fromarray(pixels).resize((IMAGE_SIZE,) * 2, Image.Resampling.BICUBIC, box))
        images[index] = part[:, ::-1] if flip and random.random() < 0.5 else part
    return replace(larger, images=images)


def score(splits: DatasetSplits, features: Mapping[str, np.ndarray], seed: int) -> dict[str, float]:
    """Return the accuracy of each trial on the held-out images of a seed."""
    train = splits["train"]
    groups = splits.near_duplicates.groups[: len(train)]
    rest, held_out = cut_indices(train, groups, SHARE, seed=seed)
    fitted, chosen_by = (rest[part] for part in cut_indices(train.select(rest), groups[rest], SHARE, seed=seed))
    accuracies = {}
    for trial, names in TRIALS.items():
        versions = [features[name] for name in names]
        head = fit_linear_head(
            LinearProbe(views=len(versions)),
            LabeledFeatures([version[fitted] for version in versions], train.labels[fitted]),
            LabeledFeatures([versions[0][chosen_by]], train.labels[chosen_by]),
            classes=len(train.class_names),
        )
        probabilities = [softmax(version[held_out] @ head.kernel + head.bias, axis=1) for version in versions]
        accuracies[trial] = float(np.mean(probabilities[0].argmax(axis=1) == train.labels[held_out]))
        if trial == AVERAGED:
            averaged = np.mean(probabilities, axis=0).argmax(axis=1)
            accuracies[f"{trial}, averaged at test"] = float(np.mean(averaged == train.labels[held_out]))
    return accuracies


if __name__ == "__main__":
    main()
