"""Draw the figures of the documentation that no other command draws.

- ``v1_v1_5.svg``: the first block of conv3 with the conventions of v1 and of v1.5, from two networks.
- ``rocks_similarity.svg``: from ``benchmarks/results/similarity-rocks.json``.

Each comes with its dark twin, ``name-dark.svg``, in ``images/``. Nothing is measured.

Run: ``python benchmarks/figures.py``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from resnet50 import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.datasets.rocks import DIMENSIONS
from resnet50.metrics.similarity import Agreement, Correlation, Similarity
from resnet50.plots.diagrams.architecture import draw_conventions
from resnet50.plots.diagrams.network import TIMES
from resnet50.plots.pair import save_pair
from resnet50.plots.similarity import draw_similarity

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "images"
ROCKS = ROOT / "benchmarks" / "results" / "similarity-rocks.json"


def compare_conventions() -> Figure:
    """Draw the block whose stride v1.5 moves."""
    models = {
        name: build_resnet50(6, input_shape=(64, 64, 3), conventions=conventions)
        for name, conventions in (("v1", V1), ("v1.5", V1_5))
    }
    return draw_conventions(models, "conv3_block1", title=f"v1.5 moves the stride to the 3{TIMES}3 convolution")


def read_similarity(path: Path) -> Similarity:
    """Read what ``resnet50 rocks similarity`` wrote."""
    stored = json.loads(path.read_text(encoding="utf-8"))["similarity"]
    agreements = {name: read_agreement(stored.pop(name)) for name in ("fitted", "held_out", "realigned")}
    return Similarity(**agreements, **stored)


def read_agreement(stored: dict[str, Any]) -> Agreement:
    """Read one agreement."""
    dimensions = tuple(Correlation(**each) for each in stored["dimensions"])
    return Agreement(stored["images"], Correlation(**stored["overall"]), dimensions)


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    figures = {
        "v1_v1_5": compare_conventions(),
        "rocks_similarity": draw_similarity(read_similarity(ROCKS), DIMENSIONS),
    }
    for name, figure in figures.items():
        print(*save_pair(figure, IMAGES / f"{name}.svg"), sep="\n")


if __name__ == "__main__":
    main()
