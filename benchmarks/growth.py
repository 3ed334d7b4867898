"""How the cost of training grows: time and memory against batch size, image size and number of images.

Each point has a process of its own, so that its peak memory is that of the point alone. Batch size and image size are
measured by full training steps of our network (`resnet50.profiling.training`). The number of images is measured by
reading an epoch of augmented batches from a packed file, since an epoch only multiplies the cost of a step; its memory
is that without the pages of the file, which the system takes back when it needs memory.

Run: ``python benchmarks/growth.py``; adds a session to ``benchmarks/results/growth.json`` and writes
``images/growth.png``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from sessions import Session

from resnet50.plots import theme
from resnet50.plots.save import save_figure
from resnet50.profiling.rounds import Work, run_rounds, serve
from resnet50.profiling.training import command

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
FIGURE = ROOT / "images" / "growth.png"

BATCHES, IMAGE_SIZES, COUNTS = (4, 8, 16, 32, 64, 128), (32, 64, 96, 128, 160, 224), (1_000, 4_000, 16_000, 64_000)
IMAGE_SIZE, BATCH = 64, 16  # where the other grows
ROUNDS = 3


def read(path: str) -> Work:
    """Prepare to read a packed file of noise for an epoch, as training does."""
    from resnet50.data.batches import Batches
    from resnet50.data.hdf5 import read_split
    from resnet50.recipes.signs import RECIPE

    batches = Batches(read_split(path, "train"), BATCH, shuffle=True, augmentation=RECIPE.augmentation)

    def work() -> dict[str, float]:
        batches.epoch += 1
        began = time.perf_counter()
        done = sum(len(images) for images, _ in batches)
        return {"seconds": time.perf_counter() - began, "images": done, "own_mib": own_mib()}

    return work


def own_mib() -> float:
    """Return the memory of this process in MiB without pages of mapped files, which Linux can take back."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) / 2**10


def write_noise(count: int, path: Path) -> None:
    """Write random images in the layout of `resnet50.data.pack`: one after another, so that they can stay on disk."""
    from resnet50.data.hdf5 import add_images, add_labels, new_h5

    rng = np.random.default_rng(0)
    with new_h5(path, tuple("012345"), "noise") as file:
        images = add_images(file, "train", count, IMAGE_SIZE)
        for index in range(count):
            images.write_direct_chunk((index, 0, 0, 0), rng.bytes(IMAGE_SIZE * IMAGE_SIZE * 3))
        add_labels(file, "train", np.arange(count) % 6, [str(index) for index in range(count)])


def train_points(points: list[tuple[int, int]]) -> list[dict[str, float]]:
    """Measure training steps, at each ``(image_size, batch)``."""
    results = []
    for image_size, batch in points:
        (measured,) = run_rounds({"ours": command("ours", image_size, batch)}, rounds=ROUNDS).values()
        rate = measured.median("images_per_second")
        results.append(
            {
                "side": image_size,  # the key of the stored results, as is "pictures"
                "batch": batch,
                "seconds": batch / rate,
                "images_per_second": rate,
                "peak_mib": measured.peak_mib,
            }
        )
        print(results[-1], flush=True)
    return results


def read_points() -> list[dict[str, float]]:
    """Measure reading an epoch, at each number of images."""
    results = []
    for count in COUNTS:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "train_noise.h5")
            write_noise(count, path)
            contender = [sys.executable, __file__, "--read", str(path)]
            (measured,) = run_rounds({"read": contender}, rounds=ROUNDS).values()
        peak = max(measured.values["own_mib"])
        results.append({"pictures": count, "seconds": measured.median("seconds"), "peak_mib": peak})
        print(results[-1], flush=True)
    return results


def draw(results: dict[str, Any]) -> None:
    """Draw time above memory, in a column for each of the three."""
    columns = (
        ("batch", f"batch size, {IMAGE_SIZE} x {IMAGE_SIZE} pixels", "seconds per step"),
        ("side", f"image size in pixels, batch size {BATCH}", "seconds per step"),
        ("pictures", f"images read per epoch, {IMAGE_SIZE} x {IMAGE_SIZE} pixels", "seconds per epoch"),
    )
    figure = theme.new_figure(13, 6.2)
    panels = figure.subplots(2, 3)
    for (name, below, title), (above, under) in zip(columns, panels.T, strict=True):
        points = results[name]
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
    session = Session(
        RESULTS,
        what="seconds and peak memory of a training step, and of reading an epoch of augmented batches",
        command="python benchmarks/growth.py",
    )
    results = {
        "batch": train_points([(IMAGE_SIZE, batch) for batch in BATCHES]),
        "side": train_points([(image_size, BATCH) for image_size in IMAGE_SIZES]),
        "pictures": read_points(),
    }
    session.write(results)
    draw(results)


if __name__ == "__main__":
    main()
