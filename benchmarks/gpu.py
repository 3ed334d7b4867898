"""Training and inference of our network on Keras' JAX backend beside PyTorch's compiled one, on one accelerator.

Both compute in bfloat16 (weights stay float32) on the same uint8 images, which are normalized on the device: ours is
compiled by XLA, PyTorch's (that of transformers) by ``torch.compile``, channels last. Training is the step of
``resnet50.train``, including its check of every loss, on images in the processor's memory without augmentation;
inference is the forward pass on images in the device's memory. Each contender and batch size has a process of its own,
one after the other, since each reserves the memory that it finds.

Model FLOP utilization is the rate of the network's multiply-accumulates (three times those of inference in training) as
a share of the device's peak in bfloat16 without sparsity.

Run: ``pip install jax[cuda13] torch transformers``, then ``python benchmarks/gpu.py``; TensorFlow is not needed. Writes
``benchmarks/results/gpu.json``. It runs on a processor too, with ``--image-size 32 --batches 2 --steps 2`` in a minute.
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

    from resnet50.metrics.complexity import summary
    from resnet50.training.environment import describe_environment
    from resnet50.training.fast_cpu.precision import build_training_model
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
        """Wait for the loss of every step, as a run does to stop when training diverges."""

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            float((logs or {})["loss"])

    def train() -> None:
        training_model.fit(Same(), epochs=1, verbose=0, shuffle=False, callbacks=[CheckLoss()])

    training = timed(train, batch * steps)
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
        "training": training,
        "inference": inference,
        "peak_gib": memory and memory / 2**30,
        "device": device.device_kind,
        **describe_environment(),
        "macs": summary(model).macs,
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


CONTENDERS = {"ours": ours, "PyTorch": pytorch}


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


def add_utilization(rates: dict[str, Any], macs: float, peak: float | None) -> None:
    """Add to each rate its share of the device's peak."""
    for work, passes in (("training", 3), ("inference", 1)):
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
        if all("training" in measured.get(name, {}) for name in CONTENDERS):
            measured["ours_over_PyTorch"] = {
                work: measured["ours"][work]["median"] / measured["PyTorch"][work]["median"]
                for work in ("training", "inference")
            }
        results["batches"][batch] = measured
        options.out.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps({batch: measured}), flush=True)


if __name__ == "__main__":
    main()
