"""Training and inference of our network on Keras' JAX backend beside PyTorch's compiled one, on one accelerator.

All compute in bfloat16 (weights stay float32) on the same uint8 images, which are normalized on the device: ours and
Keras' (keras.applications with plain ``fit``) are compiled by XLA, PyTorch's (that of transformers) by
``torch.compile``, channels last. Training is the step of ``resnet50.train`` on images in the processor's memory without
augmentation: its training model, and its check of every loss one step late. Two more rates of ours tell what feeding
costs: ``training_waiting`` reads each loss before the next step, and ``training_fed`` crops and flips images at random
in threads, as the recipe imagenet-90 does. Inference is the forward pass on images in the device's memory. Each
contender and batch size has a process of its own, one after the other, since each reserves the memory that it finds.

Model FLOP utilization is the rate of the network's multiply-accumulates (three times those of inference in training) as
a share of the device's peak in bfloat16 without sparsity.

Run: ``pip install jax[cuda13] torch transformers``, then ``python benchmarks/gpu.py --batches 256`` for a few minutes,
or without an option for all sizes; TensorFlow is not needed. Writes ``benchmarks/results/gpu.json``, with what was
predicted before any of it was measured. It runs on a processor too, with ``--image-size 32 --batches 2 --steps 2`` in a
minute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parent / "results" / "gpu.json"

PEAK_TFLOPS = {"H200": 989.0, "H100": 989.0, "A100": 312.0, "L40S": 362.0, "L4": 121.0}
"""Dense bfloat16 TFLOP/s by a word of the device's name, from the makers' data sheets (H100 and H200: SXM)."""

PREDICTED: dict[str, Any] = {
    "written": "2026-11-29, before this was run on any accelerator",
    "published": {
        "A100, PyTorch with AMP (NVIDIA DeepLearningExamples)": 2470,
        "A100, MXNet with DALI (NVIDIA DeepLearningExamples, from 90 epochs in 8.75 h)": 3660,
    },
    "images_per_second_of_training_in_batches_of_256": {
        "A100": {"ours": [2200, 2900], "PyTorch": [2300, 2900]},
        "H200": {"ours": [3800, 6000], "PyTorch": [3800, 5500]},
    },
    "ours_over_PyTorch": {"training": [0.85, 1.15], "inference": [0.8, 1.1]},
    "ours_over_Keras": [1.05, 1.3],
    "waiting_over_not": {"64": [0.8, 0.95], "256": [0.93, 0.99]},
    "fed_images_per_second_of_a_processor_with_16_cores": [500, 1500],
    "why": "Training is bound by memory traffic: a feature map is read for each mean, and PyTorch's cuDNN reads it as "
    "often as one pass does, while Keras reads it once more in either direction. A loss that is waited for costs the "
    "time from its end to the next step's start, about 3 ms. Crops take 1 to 2 ms of a core and hold Python's lock for "
    "a part of that, so that threads cannot feed such a device: processes would have to (Grain).",
}
"""What is expected, as ranges, written down before the first measurement."""

CLASSES = 1000
REPEATS = 3  # timed rounds of steps, after one that warms up; the median counts


def noise(batch: int, image_size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of random images, uint8, and its labels."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (batch, image_size, image_size, 3), dtype=np.uint8), rng.integers(0, CLASSES, batch)


def timed(work: Callable[[], None], images_done: int) -> dict[str, float]:
    """Return images per second over the rounds."""
    work()
    rates = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        rates.append(images_done / (time.perf_counter() - began))
    return {"median": statistics.median(rates), "min": min(rates), "max": max(rates)}


def ours(batch: int, image_size: int, steps: int) -> dict[str, Any]:
    """Measure our network under Keras on JAX."""
    import jax
    import keras

    from resnet50.data.batches import Batches
    from resnet50.data.dataset import Dataset
    from resnet50.metrics.complexity import summary
    from resnet50.recipes.imagenet_90 import RECIPE
    from resnet50.training.environment import describe_environment
    from resnet50.training.fast_cpu.precision import build_training_model
    from resnet50.training.feeding import OneStepLate, batches_ahead
    from resnet50.training.network import build_network
    from resnet50.training.optimizer import build_optimizer
    from resnet50.training.phases import Phase
    from resnet50.training.recipe import Recipe

    recipe = Recipe(name="gpu", phases=(Phase(epochs=1),), image_size=image_size, batch_size=batch)
    model = build_network(recipe, CLASSES)
    training_model = build_training_model(model, "bfloat16")
    training_model.compile(
        build_optimizer(recipe, recipe.last, training_model, steps), keras.losses.CategoricalCrossentropy()
    )
    images, labels = noise(batch, image_size)
    targets = np.eye(CLASSES, dtype=np.float32)[labels]

    class Same(keras.utils.PyDataset):
        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            return images, targets

    class CheckLoss(keras.callbacks.Callback):
        """Look at every loss, as a run does to stop when training diverges."""

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            float((logs or {})["loss"])

    rows = np.arange(min(steps, 8) * batch) % batch
    names = tuple(f"class {index}" for index in range(CLASSES))
    changed = Batches(
        Dataset(images[rows], labels[rows], names, ("noise",) * len(rows), name="noise"),
        batch,
        augmentation=RECIPE.augmentation,
        ahead=batches_ahead(),
    )

    def train(batches: keras.utils.PyDataset, *, late: bool = True) -> None:
        callbacks: Any = [CheckLoss()]
        if late:
            callbacks = OneStepLate(callbacks, model=training_model, epochs=1, steps=len(batches), verbose=0)
        training_model.fit(batches, epochs=1, verbose=0, shuffle=False, callbacks=callbacks)

    training = {
        "training": timed(lambda: train(Same()), batch * steps),
        "training_waiting": timed(lambda: train(Same(), late=False), batch * steps),
        "training_fed": timed(lambda: train(changed), len(rows)),
    }
    weights = [
        [variable.value for variable in variables]
        for variables in (training_model.trainable_variables, training_model.non_trainable_variables)
    ]

    @jax.jit
    def forward(weights: Any, images: Any) -> Any:  # arguments, since XLA would cast constants only once
        return training_model.stateless_call(*weights, images, training=False)[0]

    on_device = jax.device_put(images)

    def infer() -> None:
        for _ in range(steps):
            answers = forward(weights, on_device)
        answers.block_until_ready()

    inference = timed(infer, batch * steps)
    device = jax.devices()[0]
    memory = (device.memory_stats() or {}).get("peak_bytes_in_use")
    return {
        **training,
        "inference": inference,
        "peak_gib": memory and memory / 2**30,
        "device": device.device_kind,
        **describe_environment(),
        "macs": summary(model).macs,
    }


def plain_keras(batch: int, image_size: int, steps: int) -> dict[str, Any]:
    """Measure the training of keras.applications' network in mixed precision, with nothing of this package."""
    import jax
    import keras

    keras.config.set_dtype_policy("mixed_bfloat16")
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1.0, dtype="float32")(inputs)
    x = keras.applications.ResNet50(include_top=False, weights=None, input_shape=inputs.shape[1:], pooling="avg")(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax", dtype="float32")(x))
    model.compile(keras.optimizers.AdamW(), keras.losses.SparseCategoricalCrossentropy())
    images, labels = noise(batch, image_size)

    class Same(keras.utils.PyDataset):
        def __len__(self) -> int:
            return steps

        def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
            return images, labels

    def train() -> None:
        model.fit(Same(), epochs=1, verbose=0, shuffle=False)

    training = timed(train, batch * steps)
    return {
        "training": training,
        "device": jax.devices()[0].device_kind,
        "versions": {"keras": keras.__version__, "jax": jax.__version__},
    }


def pytorch(batch: int, image_size: int, steps: int) -> dict[str, Any]:
    """Measure the same network in PyTorch, compiled."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    config = ResNetConfig(num_labels=CLASSES, downsample_in_bottleneck=True)  # strides as in the paper, and in ours
    model = ResNetForImageClassification(config).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    arrays = (torch.from_numpy(array) for array in noise(batch, image_size))
    images, labels = (array.pin_memory() if device.type == "cuda" else array for array in arrays)
    mean, deviation = (
        torch.tensor(values, device=device).reshape(1, 3, 1, 1) * 255
        for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )

    @torch.compile
    def loss_of(images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            logits = model((images.permute(0, 3, 1, 2) - mean) / deviation).logits
        return torch.nn.functional.cross_entropy(logits.float(), labels)

    @torch.compile
    def answers_of(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(device.type, torch.bfloat16):
            return model((images.permute(0, 3, 1, 2) - mean) / deviation).logits

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def train() -> None:
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            loss_of(images.to(device, non_blocking=True), labels.to(device, non_blocking=True)).backward()
            optimizer.step()
        wait()

    def infer() -> None:
        with torch.inference_mode():
            for _ in range(steps):
                answers_of(on_device)
        wait()

    model.train()
    training = timed(train, batch * steps)
    model.eval()
    on_device = images.to(device)
    inference = timed(infer, batch * steps)
    cuda = device.type == "cuda"
    return {
        "training": training,
        "inference": inference,
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if cuda else None,
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "versions": {"torch": torch.__version__},
    }


CONTENDERS = {"ours": ours, "Keras": plain_keras, "PyTorch": pytorch}


def measure(name: str, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run a contender in a process of its own; if it fails, for example for lack of memory, return the reason."""
    command = [sys.executable, __file__, "--worker", name, "--batches", str(batch)]
    command += ["--image-size", str(options.image_size), "--steps", str(options.steps)]
    done = subprocess.run(
        command, env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:]
        return {"failed": last[0] if last else f"it ended with status {done.returncode} and printed nothing"}
    return json.loads(done.stdout)


@contextmanager
def quiet_output() -> Iterator[Any]:
    """Yield the standard output, and send all other output of the process to standard error."""
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        yield answers


def compared(measured: dict[str, Any], peer: str) -> dict[str, Any]:
    """Return how many times as fast as a peer ours is in what both did; nothing where one of them failed."""
    mine, other = measured.get("ours", {}), measured.get(peer, {})
    both = [work for work in ("training", "inference") if work in mine and work in other]
    ratios = {work: mine[work]["median"] / other[work]["median"] for work in both}
    return {f"ours_over_{peer}": ratios} if ratios else {}


def add_utilization(rates: dict[str, Any], macs: float, peak: float | None) -> None:
    """Add to each rate its share of the device's peak."""
    for work, passes in (("training", 3), ("training_waiting", 3), ("training_fed", 3), ("inference", 1)):
        if peak and work in rates:
            rates[work]["flop_utilization"] = rates[work]["median"] * 2 * macs * passes / (peak * 1e12)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--contenders", nargs="+", choices=list(CONTENDERS), default=list(CONTENDERS))
    parser.add_argument("--peak-tflops", type=float, help="of the device in bfloat16, if its name is not known here")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--worker", choices=list(CONTENDERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        with quiet_output() as answers:
            print(
                json.dumps(CONTENDERS[options.worker](options.batches[0], options.image_size, options.steps)),
                file=answers,
            )
        return
    results: dict[str, Any] = {
        "what": f"images per second of ResNet-50, {options.image_size} x {options.image_size}, {CLASSES} classes, "
        "bfloat16",
        "command": "python benchmarks/" + " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "predicted": PREDICTED,
        "processor_load": os.getloadavg()[0],
        "batches": {},
    }
    for batch in options.batches:
        measured = {name: measure(name, batch, options) for name in options.contenders}
        macs = measured.get("ours", {}).get("macs")
        for contender in measured.values():
            words = contender.get("device", "").replace("-", " ").split()
            peaks = [peak for word, peak in PEAK_TFLOPS.items() if word in words]
            if macs:
                add_utilization(contender, macs, options.peak_tflops or next(iter(peaks), None))
        for peer in ("Keras", "PyTorch"):
            measured |= compared(measured, peer)
        results["batches"][batch] = measured
        options.out.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps({batch: measured}), flush=True)


if __name__ == "__main__":
    main()
