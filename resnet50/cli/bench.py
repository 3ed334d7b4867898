"""``resnet50 bench``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli.console import say, step
from resnet50.cli.model import find_model, load_classifier
from resnet50.cli.parser import examples, number

if TYPE_CHECKING:
    from resnet50.profiling.rounds import Measurement

_PEER = "keras.applications float32"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Leave the machine idle meanwhile: other work slows every measurement down.\n\n" + examples(
        "resnet50 bench", "resnet50 bench runs/one model-openvino --batch-size 8"
    )
    parser.add_argument(
        "models",
        nargs="*",
        metavar="MODEL",
        help="Models to predict with, of one image size: .keras files, runs or exports. Default: training is measured.",
    )
    parser.add_argument(
        "--image-size", type=number(int, 1), metavar="PIXELS", help="Height and width to train with. Default: 64."
    )
    parser.add_argument(
        "--batch-size",
        type=number(int, 1),
        metavar="INT",
        help="Images in a batch. Default: 32 for training, 8 for models.",
    )
    parser.add_argument(
        "--rounds", type=number(int, 1), default=5, metavar="INT", help="How often each is measured. Default: 5."
    )
    parser.add_argument("--json", action="store_true", help="Print every figure as JSON.")


def run(options: argparse.Namespace) -> int:
    """Measure the contenders in interleaved rounds, and print their rates side by side."""
    from resnet50.profiling.rounds import run_rounds

    if options.models and options.image_size is not None:
        raise ValueError("--image-size: expected no models beside it, since models have an image size; leave it out.")
    heading, commands = _predicting(options) if options.models else _training(options)
    with step("measuring") as progress:
        measured = run_rounds(commands, rounds=options.rounds, progress=progress)
    if options.json:
        print(json.dumps({"what": heading, **{name: each.summary() for name, each in measured.items()}}, indent=2))
    else:
        say(f"{heading}; medians of {options.rounds} rounds")
        _show(measured)
    return 0


def _training(options: argparse.Namespace) -> tuple[str, dict[str, list[str]]]:
    from resnet50.profiling import training

    image_size, batch = options.image_size or 64, options.batch_size or 32
    commands = {name: training.command(name, image_size, batch) for name in training.CONTENDERS}
    return f"training steps, {image_size} x {image_size} pixels, {batch} in a batch", commands


def _predicting(options: argparse.Namespace) -> tuple[str, dict[str, list[str]]]:
    from resnet50.profiling import predicting

    paths = {name: find_model(name) for name in options.models}
    image_size, batch = common_image_size(paths.values()), options.batch_size or 8
    commands = {_PEER: predicting.applications_command(image_size, batch)}
    commands |= {name: predicting.command(str(path), batch) for name, path in paths.items()}
    return f"predicting, {image_size} x {image_size} pixels, {batch} in a batch", commands


def common_image_size(paths: Iterable[Path]) -> int:
    """Return the image size of models that are measured side by side.

    Raises:
        ValueError: If they have several, or images that are not square.
    """
    sizes = {path: load_classifier(path).image_size for path in paths}
    height, width = next(iter(sizes.values()))
    if set(sizes.values()) != {(width, width)}:
        listed = ", ".join(f"{path} {height} x {width}" for path, (height, width) in sizes.items())
        raise ValueError(f"expected models of square images of one size, got {listed}.")
    return height


def _show(measured: Mapping[str, Measurement]) -> None:
    peer, width = measured[_PEER], max(map(len, measured))
    latencies = [figure for figure in ("latency_p50_ms", "latency_p99_ms") if figure in peer.values]
    titles = ("images/s", "ratio", "peak MiB", *("p50, ms", "p99, ms")[: len(latencies)])
    print(" " * width, *(f"{title:>10}" for title in titles))
    for name, each in measured.items():
        rate, ratio = each.median("images_per_second"), each.ratio(peer, "images_per_second")
        times = (f"{each.median(figure):10.1f}" for figure in latencies)
        print(f"{name:{width}}", f"{rate:10.1f}", f"{ratio:10.2f}", f"{each.peak_mib:10.0f}", *times)
    if latencies:
        print("p50, p99: latency of a single image")
