"""How the cost of training grows: time and memory against batch size, image size and number of images.

Each point has a process of its own, so that its peak memory is that of the point alone. Batch size and image size are
measured by full training steps of our network (`resnet50.profiling.training`). The number of images is measured by
reading an epoch of augmented batches from a packed file, since an epoch only multiplies the cost of a step; its memory
is that without the pages of the file, which the system takes back when it needs memory.

Run: ``python benchmarks/growth.py``; adds a session to ``benchmarks/results/growth.json`` and writes
``images/growth.svg`` and ``images/growth-dark.svg``. ``python benchmarks/growth.py --draw`` draws the last session and
measures nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator
from sessions import Session, latest
from sessions import read as read_sessions

from resnet50.data.hdf5 import MAPPED_FROM
from resnet50.plots import theme
from resnet50.plots.pair import save_pair
from resnet50.profiling.rounds import Work, run_rounds, serve
from resnet50.profiling.training import command

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "growth.json"
FIGURE = ROOT / "images" / "growth.svg"

BATCHES, IMAGE_SIZES, COUNTS = (4, 8, 16, 32, 64, 128), (32, 64, 96, 128, 160, 224), (1_000, 4_000, 16_000, 64_000)
IMAGE_SIZE, BATCH = 64, 16  # where the other grows
ROUNDS = 3

# What grows: its key in the results, its axis, the power of it that counts, and the beginning of a title.
GROWING = (
    ("batch", f"Batch size at {IMAGE_SIZE} x {IMAGE_SIZE} pixels", 1, "A batch {:g} times as large takes"),
    ("side", f"Image size in pixels, batch size {BATCH}", 2, "{:g} times the pixels take"),
    ("pictures", f"Images per epoch, {IMAGE_SIZE} x {IMAGE_SIZE} pixels", 1, "{:g} times the images take"),
)


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


def draw(results: dict[str, Any]) -> Figure:
    """Draw time beside memory, in a row for each of the three that grow."""
    figure = theme.new_figure(7.8, 9.4)
    for (key, below, power, words), (left, right) in zip(GROWING, figure.subplots(3, 2), strict=True):
        x, seconds, memory = ([point[value] for point in results[key]] for value in (key, "seconds", "peak_mib"))
        amounts = [(value / x[-1]) ** power for value in x]
        unit = "epoch" if key == "pictures" else "step"
        title = words.format(1 / amounts[0])
        draw_time(left, x, seconds, amounts)
        write_titles(left, f"{title}\n{seconds[-1] / seconds[0]:.2g} times as long", f"Seconds per {unit}, log scale")
        draw_memory(right, x, memory)
        write_titles(right, f"{title}\n{memory[-1] / memory[0]:.2g} times the memory", "Peak memory in MiB")
        for axes in (left, right):
            axes.set_xscale("log", base=2)
            axes.set_xticks(x, ["" if value == 160 else f"{value:,}" for value in x])  # beside 128 there is no room
            axes.minorticks_off()
            theme.style_axes(axes)
            theme.write_below(axes, f"{below}, log scale")
    mark_mapping(right)
    figure.tight_layout(h_pad=1.8, w_pad=2.2)
    return figure


def draw_time(axes: Axes, x: list[float], seconds: list[float], amounts: list[float]) -> None:
    """Draw seconds on a logarithmic axis, beside a line of what grows in proportion to the amount of work."""
    axes.set_yscale("log")
    proportional = [seconds[-1] * amount for amount in amounts]
    axes.plot(x, proportional, "--", color=theme.OTHER)
    axes.plot(x, seconds, "o-", color=theme.TRAINING)
    axes.annotate(
        "in proportion", (x[1], proportional[1]), (10, 0), textcoords="offset points", fontsize=theme.SMALL,
        color=theme.MUTED, family=theme.FONT, va="top",
    )  # fmt: skip
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def draw_memory(axes: Axes, x: list[float], memory: list[float]) -> None:
    """Draw the peak of memory from zero."""
    axes.plot(x, memory, "o-", color=theme.TRAINING)
    axes.set_ylim(0, 1.15 * max(memory))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def mark_mapping(axes: Axes) -> None:
    """Mark the number of images from which a packed file is no longer read into memory."""
    count = MAPPED_FROM / (IMAGE_SIZE * IMAGE_SIZE * 3)
    axes.axvline(count, color=theme.OTHER, linestyle=":")
    axes.annotate(
        f"from {MAPPED_FROM >> 20} MiB on,\nimages stay\nin their file", (count, 0), (-6, 8),
        textcoords="offset points", fontsize=theme.SMALL, color=theme.MUTED, family=theme.FONT, ha="right",
    )  # fmt: skip


def write_titles(axes: Axes, title: str, beside: str) -> None:
    """Write the title of a panel and the name of its vertical axis."""
    theme.write_title(axes, title)
    axes.set_ylabel(beside, fontsize=theme.SMALL, color=theme.MUTED, family=theme.FONT)


def measure() -> dict[str, Any]:
    """Measure every point."""
    return {
        "batch": train_points([(IMAGE_SIZE, batch) for batch in BATCHES]),
        "side": train_points([(image_size, BATCH) for image_size in IMAGE_SIZES]),
        "pictures": read_points(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", action="store_true", help="Draw the last stored session; measure nothing.")
    parser.add_argument("--read", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        serve(lambda: read(options.read))
        return
    if not options.draw:
        session = Session(
            RESULTS,
            what="seconds and peak memory of a training step, and of reading an epoch of augmented batches",
            command="python benchmarks/growth.py",
        )
        session.write(measure())
    print(*save_pair(draw(latest(read_sessions(RESULTS))), FIGURE), sep="\n")


if __name__ == "__main__":
    main()
