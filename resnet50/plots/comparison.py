"""Figures of several settings, each with several seeds: their curves over each other."""

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
_LEAST = 0.05  # height of the panel of accuracies
_TITLES = {"loss": "Loss (nats)", "accuracy": "Accuracy"}

History = Sequence[Mapping[str, float]]
Panel = Mapping[str, Sequence[Sequence[float]]]
"""Under the name of each setting, a curve for each seed."""


def draw_comparison(runs: Mapping[str, Sequence[History]]) -> Figure:
    """Draw validation loss and accuracy against the epoch for several trainings; those of training without validation.

    Args:
        runs: Under the name of each setting, the histories of its runs: a row for each epoch, with ``loss`` and
            ``accuracy`` (0..1) and optionally ``val_loss`` and ``val_accuracy``.

    Returns:
        Figure with a panel for each. Runs of one setting have one color; a run of one epoch is a point.
    """
    validated = all("val_loss" in row for histories in runs.values() for history in histories for row in history)
    panels = {}
    for key, title in _TITLES.items():
        column = f"val_{key}" if validated else key
        panels[f"{title}, {'validation' if validated else 'training'}"] = {
            name: [[row.get(column, np.nan) for row in history] for history in histories]
            for name, histories in runs.items()
        }
    figure = draw_settings(panels)
    accuracy = figure.axes[1]
    low, high = accuracy.get_ylim()
    if high - low < _LEAST:  # or the rounding of equal accuracies would fill the panel
        middle = min((low + high) / 2, 1 - _LEAST / 2)
        accuracy.set_ylim(middle - _LEAST / 2, middle + _LEAST / 2)
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def draw_settings(
    panels: Mapping[str, Panel],
    *,
    x: Sequence[float] | None = None,
    x_label: str = "Epoch",
    log: bool = False,
    same_scale: bool = False,
) -> Figure:
    """Draw the curves of several settings over each other, one for each seed.

    Args:
        panels: Under the title of each panel, the curves of its settings: ``{"plain": [[2.0, 1.1], [2.1, 1.3]]}`` has
            one setting with two seeds. A setting has the same color in all panels.
        x: The place of each value, rising; None for 1, 2, 3...
        x_label: What ``x`` is.
        log: Whether the vertical axes are logarithmic; values of 0 are then left out.
        same_scale: Whether all panels have the same vertical axis.

    Returns:
        Figure with the panels beside each other and a legend. A value without neighbors is a point.
    """
    names = list(dict.fromkeys(name for panel in panels.values() for name in panel))
    height = 3.6 + _LINE * len(names)
    figure = theme.new_figure(11, height)
    bottom = (0.62 + _LINE * len(names)) / height
    grid = figure.add_gridspec(1, len(panels), left=0.065, right=0.98, top=0.9, bottom=bottom, wspace=0.2)
    for column, (title, panel) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[0, column], sharey=figure.axes[0] if same_scale and column else None)
        theme.style_axes(axes)
        theme.write_title(axes, title)
        if log:
            axes.set_yscale("log")
        for name, curves in panel.items():
            for curve in curves:
                _draw(axes, curve, x, names.index(name), log=log)
        if x is None:
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        theme.write_below(axes, x_label)
    _write_names(figure, names, _LINE / height)
    return figure


def _style(number: int) -> dict[str, Any]:
    return {
        "color": _COLORS[number % len(_COLORS)],
        "linestyle": _LINES[number // len(_COLORS) % len(_LINES)],
    }


def _draw(axes: Axes, values: Sequence[float], x: Sequence[float] | None, number: int, *, log: bool) -> None:
    places = np.arange(1, len(values) + 1) if x is None else x
    shown = np.where(np.asarray(values) > 0, values, np.nan) if log else np.asarray(values, dtype=float)
    finite = np.isfinite(np.pad(shown, 1, constant_values=np.nan))
    alone = np.flatnonzero(finite[1:-1] & ~finite[:-2] & ~finite[2:]).tolist()  # no line would show them
    axes.plot(
        places, shown, linewidth=1.8, marker="o", markevery=alone, markersize=5, clip_on=False, **_style(number)
    )  # fmt: skip


def _write_names(figure: Figure, names: Sequence[str], height: float) -> None:
    """Write the legend below the panels, a name in each line, the first one on top."""
    for number, name in enumerate(names):
        y = height * (len(names) - number - 0.5)
        figure.add_artist(Line2D([0.065, 0.095], [y, y], linewidth=2.2, **_style(number)))
        theme.write(figure, 0.105, y, name, size=theme.SMALL, ha="left")
