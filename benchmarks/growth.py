"""How the cost of training grows: time and memory against images in a step, size of the images and their number.

Each point is a process of its own, so that its peak memory is that of the point alone: full training steps of our
network (`resnet50.profiling.training`) for the first two, and for the number of images an epoch of augmented batches
from a packed file, since an epoch's steps only multiply what a step costs; its memory is told without the pages of that
file, which the system takes back when it needs room.

Run: ``python benchmarks/growth.py``; writes ``benchmarks/results/growth.json`` and ``images/growth.png``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from resnet50.plots import theme
from resnet50.plots.save import save_figure
from resnet50.profiling.training import command
from resnet50.profiling.turns import Turn, serve, take_turns
from resnet50.training.run import describe_environment

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
FIGURE = ROOT / "images" / "growth.png"

BATCHES, SIDES, COUNTS = (4, 8, 16, 32, 64, 128), (32, 64, 96, 128, 160, 224), (1_000, 4_000, 16_000, 64_000)
SIDE, BATCH = 64, 16  # what stays while the other grows
TURNS = 3


def read(path: str) -> Turn:
    """Get ready to read a packed file of noise for an epoch, as training does."""
    from resnet50.data.batches import Batches
    from resnet50.data.hdf5 import read_split
    from resnet50.recipes.signs import RECIPE

    batches = Batches(read_split(path, "train"), BATCH, shuffle=True, augmentation=RECIPE.augmentation)

    def turn() -> dict[str, float]:
        batches.epoch += 1
        began = time.perf_counter()
        done = sum(len(images) for images, _ in batches)
        return {"seconds": time.perf_counter() - began, "images": done, "own_mib": own_mib()}

    return turn


def own_mib() -> float:
    """Return the memory of this process without what is mapped from files, which Linux takes back when it wants."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 2**10


def write_noise(count: int, path: Path) -> None:
    """Write images of noise as `resnet50.data.pack` writes them: one after another, so that they can stay on disk."""
    from resnet50.data.hdf5 import add_images, add_labels, new_h5

    rng = np.random.default_rng(0)
    with new_h5(path, tuple("012345"), "noise") as file:
        images = add_images(file, "train", count, SIDE)
        for place in range(count):
            images.write_direct_chunk((place, 0, 0, 0), rng.bytes(SIDE * SIDE * 3))
        add_labels(file, "train", np.arange(count) % 6, [str(place) for place in range(count)])


def train_points(points: list[tuple[int, int]]) -> list[dict[str, float]]:
    """Measure training steps, ``(side, batch)`` each."""
    found = []
    for image_size, batch in points:
        (one,) = take_turns({"ours": command("ours", image_size, batch)}, turns=TURNS).values()
        found.append(
            {
                "image_size": image_size,
                "batch": batch,
                "seconds": batch / one.median("images_per_second"),
                "images_per_second": one.median("images_per_second"),
                "peak_mib": one.peak_mib,
            }
        )
        print(found[-1], flush=True)
    return found


def read_points() -> list[dict[str, float]]:
    found = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "train_noise.h5")
            write_noise(count, path)
            (one,) = take_turns({"read": [sys.executable, __file__, "--read", str(path)]}, turns=TURNS).values()
        found.append({"images": count, "seconds": one.median("seconds"), "peak_mib": max(one.values["own_mib"])})
        print(found[-1], flush=True)
    return found


def draw(told: dict[str, Any]) -> None:
    """Draw time above memory, a column for each of the three."""
    columns = (
        ("batch", f"images in a step, {SIDE} x {SIDE} pixels", "seconds a step"),
        ("image_size", f"side of the images in pixels, {BATCH} in a step", "seconds a step"),
        ("images", f"images read for an epoch, {SIDE} x {SIDE} pixels", "seconds an epoch"),
    )
    figure = theme.new_figure(13, 6.2)
    panels = figure.subplots(2, 3)
    for (name, below, title), (above, under) in zip(columns, panels.T, strict=True):
        points = told[name]
        x = [point[name] for point in points]
        for axes, key, words, color in (
            (above, "seconds", title, theme.TRAINING),
            (under, "peak_mib", "peak memory, MiB", theme.VALIDATION),
        ):
            axes.plot(x, [point[key] for point in points], "o-", color=color)
            axes.set_xscale("log", base=2)
            axes.set_xticks(x, [f"{value:,}" for value in x])
            axes.minorticks_off()
            axes.set_ylim(0, 1.08 * max(point[key] for point in points))
            theme.style_axes(axes)
            theme.write_title(axes, words)
        theme.write_below(under, below)
    figure.tight_layout(h_pad=2, w_pad=2)
    save_figure(figure, FIGURE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        serve(lambda: read(options.read))
        return
    told = {
        "what": "seconds and peak memory of a training step, and of reading an epoch of augmented batches",
        "load": os.getloadavg()[0],
        **describe_environment(),
        "batch": train_points([(SIDE, batch) for batch in BATCHES]),
        "image_size": train_points([(image_size, BATCH) for image_size in SIDES]),
        "images": read_points(),
    }
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")
    draw(told)


if __name__ == "__main__":
    main()
