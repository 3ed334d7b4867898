"""Figure of several trainings: their learning curves over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet50.plots import theme

_COLORS = (*theme.STAGES, theme.SHORTCUT, theme.FEATURES)
_LINES = ("-", "--", ":")  # once all colors are taken
_LINE = 0.26  # inches of a line of the legend
_TITLES = {"loss": "Loss (nats)", "accuracy": "Accuracy"}

History = Sequence[Mapping[str, float]]


def draw_comparison(runs: Mapping[str, Sequence[History]]) -> Figure:
    """Draw validation loss and accuracy against the epoch for several trainings; those of training without validation.

    Args:
        runs: Under the name of each setting, the histories of its runs: a row for each epoch, with ``loss`` and
            ``accuracy`` (0..1) and optionally ``val_loss`` and ``val_accuracy``.

    Returns:
        Figure with a panel for each. Runs of one setting have one color; a run of one epoch is a point.
    """
    validated = all("val_loss" in row for histories in runs.values() for history in histories for row in history)
    height = 3.6 + _LINE * len(runs)
    figure = theme.new_figure(11, height)
    bottom = (0.62 + _LINE * len(runs)) / height
    grid = figure.add_gridspec(1, 2, left=0.065, right=0.98, top=0.9, bottom=bottom, wspace=0.2)
    for column, key in enumerate(("loss", "accuracy")):
        axes = figure.add_subplot(grid[0, column])
        theme.style_axes(axes)
        theme.write_title(axes, f"{_TITLES[key]}, {'validation' if validated else 'training'}")
        for number, histories in enumerate(runs.values()):
            for history in histories:
                _draw(axes, [row.get(f"val_{key}" if validated else key, np.nan) for row in history], number)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        theme.write_below(axes, "Epoch")
        if key == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    _write_names(figure, list(runs), _LINE / height)
    return figure


def _style(number: int) -> dict[str, Any]:
    return {
        "color": _COLORS[number % len(_COLORS)],
        "linestyle": _LINES[number // len(_COLORS) % len(_LINES)],
    }


def _draw(axes: Axes, values: Sequence[float], number: int) -> None:
    epochs = np.arange(1, len(values) + 1)
    marker = "o" if len(values) == 1 else None
    axes.plot(epochs, values, linewidth=1.8, marker=marker, markersize=5, clip_on=False, **_style(number))


def _write_names(figure: Figure, names: Sequence[str], height: float) -> None:
    """Write the legend below the panels, a name in each line, the first one on top."""
    for number, name in enumerate(names):
        y = height * (len(names) - number - 0.5)
        figure.add_artist(Line2D([0.065, 0.095], [y, y], linewidth=2.2, **_style(number)))
        theme.write(figure, 0.105, y, name, size=theme.SMALL, ha="left")
