"""How fast this machine trains, or predicts with trained models, beside keras.applications."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import locate
from resnet50.profiling import predicting, training
from resnet50.profiling.rounds import Measurement, run_rounds

PEER = "keras.applications float32"
"""The contender that the others are compared with."""


@dataclass(frozen=True)
class Benchmark:
    """Measurements of contenders on this machine.

    Attributes:
        heading: What was measured, in words.
        measurements: The contenders by name, `PEER` among them; models have their paths as names.
    """

    heading: str
    measurements: Mapping[str, Measurement]


def bench(
    models: Sequence[str | os.PathLike[str]] = (),
    *,
    image_size: int | None = None,
    batch_size: int | None = None,
    rounds: int = 5,
    progress: Progress | None = None,
) -> Benchmark:
    """Measure training steps, or predictions of trained models, beside keras.applications in interleaved rounds.

    Each contender has a process of its own. Leave the machine idle meanwhile.

    Args:
        models: Models to predict with, of one image size: runs, ``.keras`` files or exports. Without any, training is
            measured.
        image_size: Height and width in pixels to train with, 64 by default; models have their own.
        batch_size: Images in a batch; by default 32 for training and 8 for models.
        rounds: How often each contender is measured, at least 1.
        progress: Called after each contender's turn with the number of turns done and their total.

    Returns:
        The measurements.

    Raises:
        FileNotFoundError: If there is no such model.
        ValueError: If an argument is not as described, or the models have several image sizes.
    """
    for name, value in (("image_size", image_size), ("batch_size", batch_size), ("rounds", rounds)):
        if value is not None and value < 1:
            raise ValueError(f"expected {name} to be at least 1, got {value}.")
    if models and image_size is not None:
        raise ValueError(f"expected models without image_size, since they have their own, got {image_size}.")
    heading, commands = (
        _predicting(models, batch_size or 8) if models else _training(image_size or 64, batch_size or 32)
    )
    return Benchmark(heading, run_rounds(commands, rounds=rounds, progress=progress))


def _training(image_size: int, batch_size: int) -> tuple[str, dict[str, list[str]]]:
    commands = {name: training.command(name, image_size, batch_size) for name in training.CONTENDERS}
    return f"training steps, {image_size} x {image_size} pixels, {batch_size} in a batch", commands


def _predicting(models: Sequence[str | os.PathLike[str]], batch_size: int) -> tuple[str, dict[str, list[str]]]:
    paths = {str(name): locate(name).model for name in models}
    image_size = _common_image_size(paths.values())
    commands = {PEER: predicting.applications_command(image_size, batch_size)}
    commands |= {name: predicting.command(str(path), batch_size) for name, path in paths.items()}
    return f"predicting, {image_size} x {image_size} pixels, {batch_size} in a batch", commands


def _common_image_size(paths: Iterable[Path]) -> int:
    """Return the height and width of the square images that all models take."""
    sizes = {path: Classifier.load(path).image_size for path in paths}
    height, width = next(iter(sizes.values()))
    if set(sizes.values()) != {(width, width)}:
        listed = ", ".join(f"{path} {height} x {width}" for path, (height, width) in sizes.items())
        raise ValueError(f"expected models of square images of one size, got {listed}.")
    return height
