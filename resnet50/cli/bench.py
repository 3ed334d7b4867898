"""``resnet50 bench``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli.bars import bar
from resnet50.cli.model import find_model, load_classifier

if TYPE_CHECKING:
    from resnet50.profiling.rounds import Measurement

_PEER = "keras.applications float32"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.description = (
        "Measure on this machine how fast training is or, with models named, predicting, each in turn beside "
        "keras.applications. Leave the machine alone meanwhile: other work makes every figure smaller."
    )
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=".keras files, runs or exports, all of one size, that predict"
    )
    parser.add_argument("--image-size", type=int, metavar="PIXELS", help="side of the images to train with (64)")
    parser.add_argument("--batch", type=int, metavar="INT", help="images in a step (32), or in a prediction (8)")
    parser.add_argument("--rounds", type=int, default=5, metavar="INT", help="how often each is measured (5)")
    parser.add_argument("--json", action="store_true", help="print every figure as JSON")


def run(options: argparse.Namespace) -> int:
    """Let the contenders take turns, and print their rates side by side."""
    from resnet50.profiling import predicting, training
    from resnet50.profiling.rounds import run_rounds

    for word, number in (("--image-size", options.image_size), ("--batch", options.batch)):
        if number is not None and number < 1:
            raise ValueError(f"{word} must be at least 1, got {number}.")
    if options.models:
        if options.image_size is not None:
            raise ValueError("--image-size is for training: models predict on images of their own size.")
        image_size, batch = common_side(options.models), options.batch or 8
        commands = {_PEER: predicting.applications_command(image_size, batch)}
        commands |= {name: predicting.command(path, batch) for name, path in _paths(options.models).items()}
        what = f"predicting, {image_size} x {image_size} pixels, {batch} in a batch"
    else:
        image_size, batch = options.image_size or 64, options.batch or 32
        commands = {name: training.command(name, image_size, batch) for name in training.CONTENDERS}
        what = f"training steps, {image_size} x {image_size} pixels, {batch} in a batch"
    with bar("measuring") as show:
        measured = run_rounds(commands, rounds=options.rounds, progress=show)
    if options.json:
        print(json.dumps({"what": what, **{name: one.summary() for name, one in measured.items()}}, indent=2))
    else:
        print(f"{what}; medians of {options.rounds} turns")
        _show(measured)
    return 0


def _paths(models: list[str]) -> dict[str, str]:
    return {model: str(find_model(model)) for model in models}


def common_side(models: list[str]) -> int:
    """Return the side of the images of models that are measured side by side.

    Raises:
        ValueError: If they have several, or images that are not square.
    """
    sides = {path: load_classifier(Path(path)).image_size for path in _paths(models).values()}
    height, width = next(iter(sides.values()))
    if set(sides.values()) != {(width, width)}:
        told = ", ".join(f"{path} {height} x {width}" for path, (height, width) in sides.items())
        raise ValueError(f"expected models of square images of one size, got {told}.")
    return height


def _show(measured: Mapping[str, Measurement]) -> None:
    peer, width = measured[_PEER], max(map(len, measured))
    latency = [figure for figure in ("latency_p50_ms", "latency_p99_ms") if figure in peer.values]
    titles = ("images/s", "ratio", "peak MiB", *("p50, ms", "p99, ms")[: len(latency)])
    print(" " * width, *(f"{title:>10}" for title in titles))
    for name, one in measured.items():
        rate, ratio = one.median("images_per_second"), one.ratio(peer, "images_per_second")
        times = (f"{one.median(figure):10.1f}" for figure in latency)
        print(f"{name:{width}}", f"{rate:10.1f}", f"{ratio:10.2f}", f"{one.peak_mib:10.0f}", *times)
    if latency:
        print("p50, p99: how long a single image takes, half and 99 of 100 times")
