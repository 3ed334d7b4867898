"""Draw the figures of the documentation that no other command draws.

- ``v1_v1_5.svg``: the first block of conv3 with the conventions of v1 and of v1.5, from two networks.
- ``fits.svg``: a wide drawn image, and what the network sees of it with each fit.
- ``rocks_similarity.svg``: from ``benchmarks/results/similarity-rocks.json``.
- ``why_residual.svg``: the training losses that ``notebooks/why_residual.ipynb`` printed when it was stored.

Each comes with its dark twin, ``name-dark.svg``, in ``images/``. Nothing is measured.

Run: ``python benchmarks/figures.py``.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
from matplotlib.figure import Figure

from resnet50 import Fit, build_resnet50, rendered_signs
from resnet50.conventions import V1, V1_5
from resnet50.data.fit import MODES
from resnet50.data.images import fit_image
from resnet50.datasets.rocks import DIMENSIONS
from resnet50.metrics.similarity import Agreement, Correlation, Similarity
from resnet50.plots.comparison import draw_settings
from resnet50.plots.diagrams.architecture import draw_conventions
from resnet50.plots.diagrams.network import TIMES
from resnet50.plots.pair import save_pair
from resnet50.plots.similarity import draw_similarity
from resnet50.plots.theme import draw_image, new_canvas, write

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "images"
WHY = ROOT / "notebooks" / "why_residual.ipynb"
ROCKS = ROOT / "benchmarks" / "results" / "similarity-rocks.json"


def compare_conventions() -> Figure:
    """Draw the block whose stride v1.5 moves."""
    models = {
        name: build_resnet50(6, input_shape=(64, 64, 3), conventions=conventions)
        for name, conventions in (("v1", V1), ("v1.5", V1_5))
    }
    return draw_conventions(models, "conv3_block1", title=f"v1.5 moves the stride to the 3{TIMES}3 convolution")


def compare_fits(side: int = 96) -> Figure:
    """Draw a wide image, three drawn hands in a row, and what each fit makes of it."""
    hands, _ = rendered_signs(train=60, image_size=side)
    wide = np.concatenate([hands.images[np.flatnonzero(hands.labels == label)[0]] for label in (1, 3, 5)], axis=1)
    fitted = {mode: fit_image(wide, height=side, width=side, fit=Fit(mode=mode)) for mode in MODES}
    shown = {"the image": wide, **fitted}
    space, caption, gap = 1.6, 0.4, 0.3  # inches
    figure, axes = new_canvas(6 * space + 5 * gap, space + caption)
    x = gap
    for name, image in shown.items():
        width = space * image.shape[1] / side
        draw_image(axes, image, (x, caption), (width, space), interpolation="none")  # its own pixels
        write(axes, x + width / 2, caption / 2, name)
        x += width + gap
    return figure


def read_similarity(path: Path) -> Similarity:
    """Read what ``resnet50 rocks similarity`` wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))["similarity"]
    agreements = {name: read_agreement(stored.pop(name)) for name in ("fitted", "held_out", "realigned")}
    return Similarity(**agreements, **stored)


def read_agreement(stored: dict[str, Any]) -> Agreement:
    """Read one agreement."""
    dimensions = tuple(Correlation(**each) for each in stored["dimensions"])
    return Agreement(stored["images"], Correlation(**stored["overall"]), dimensions)


def read_losses(path: Path) -> dict[str, dict[str, list[list[float]]]]:
    """Read the training loss of each epoch from the outputs of a notebook, by form, depth and seed."""
    outputs = [output for cell in nbformat.read(path, as_version=4).cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in outputs)
    losses: dict[str, dict[str, list[list[float]]]] = {}
    for form, depth, values in re.findall(r"^(\w+), (\d+ layers), seed \d+: ([\d. ]+)$", text, re.MULTILINE):
        losses.setdefault(form, {}).setdefault(depth, []).append([float(value) for value in values.split()])
    return losses


def compare_forms(losses: dict[str, dict[str, list[list[float]]]]) -> Figure:
    """Draw the training losses of networks with and without shortcuts beside each other."""
    titles = {"plain": "Training loss without shortcuts: relu(F(x))", "residual": "with shortcuts: relu(x + F(x))"}
    return draw_settings({titles[form]: panel for form, panel in losses.items()}, same_scale=True)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    figures = {
        "v1_v1_5": compare_conventions(),
        "fits": compare_fits(),
        "why_residual": compare_forms(read_losses(WHY)),
        "rocks_similarity": draw_similarity(read_similarity(ROCKS), DIMENSIONS),
    }
    for name, figure in figures.items():
        print(*save_pair(figure, IMAGES / f"{name}.svg"), sep="\n")


if __name__ == "__main__":
    main()
