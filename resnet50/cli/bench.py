"""``resnet50 bench``."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from resnet50._io.quiet import quiet
from resnet50.cli.console import say, show, show_json, step
from resnet50.cli.parser import examples, number

if TYPE_CHECKING:
    from resnet50.profiling.bench import Benchmark


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
    if options.models and options.image_size is not None:
        raise ValueError("--image-size: expected no models beside it, since models have an image size; leave it out.")
    from resnet50.profiling.bench import bench

    with quiet() as terminal, step("measuring", file=terminal) as progress:
        result = bench(
            options.models,
            image_size=options.image_size,
            batch_size=options.batch_size,
            rounds=options.rounds,
            progress=progress,
        )
    if options.json:
        figures = {name: each.summary() for name, each in result.measurements.items()}
        show_json(json.dumps({"what": result.heading, **figures}, indent=2))
    else:
        say(f"{result.heading}; medians of {options.rounds} rounds")
        _show(result)
    return 0


def _show(result: Benchmark) -> None:
    from resnet50.profiling.bench import PEER

    measured = result.measurements
    peer, width = measured[PEER], max(map(len, measured))
    latencies = [figure for figure in ("latency_p50_ms", "latency_p99_ms") if figure in peer.values]
    titles = ("images/s", "ratio", "peak MiB", *("p50, ms", "p99, ms")[: len(latencies)])
    show(" ".join((" " * width, *(f"{title:>10}" for title in titles))))
    for name, each in measured.items():
        rate, ratio = each.median("images_per_second"), each.ratio(peer, "images_per_second")
        times = (f"{each.median(figure):10.1f}" for figure in latencies)
        numbers = (f"{rate:10.1f}", f"{ratio:10.2f}", f"{each.peak_mib:10.0f}", *times)
        show(" ".join((f"{name:{width}}", *numbers)))
    if latencies:
        show("p50, p99: latency of a single image")
