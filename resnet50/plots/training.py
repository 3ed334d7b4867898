"""Figures of a training run: learning curves and the learning-rate range test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet50.plots import theme

_TITLE = 0.15  # of the figure's width, on which the title of a panel stands


class Curve(Protocol):
    """The loss at rising learning rates, such as `resnet50.training.lr_finder.find_learning_rate` returns."""

    @property
    def rates(self) -> Sequence[float]:
        """Learning rates, rising."""

    @property
    def losses(self) -> Sequence[float]:
        """Smoothed loss at each rate, in nats."""

    @property
    def suggestion(self) -> float:
        """The suggested rate."""


def draw_curves(history: Mapping[str, Sequence[float]], *, title: str | None) -> Figure:
    """Draw loss and accuracy against the epoch, and the learning rate if it was recorded.

    Args:
        history: A value per epoch under ``loss`` and ``accuracy`` (0..1), and optionally under ``val_loss``,
            ``val_accuracy``, ``learning_rate`` and ``phase`` (its number). NaN stands for an epoch without that value;
            one without a learning rate, such as a linear probe, is drawn as a point.
        title: Title, such as ``"SIGNS: 98.3% validation accuracy after 20 epochs"``; None for none.

    Returns:
        Figure with a panel for each, but for learning rates that are all 0. The last value stands at the end of a
        curve, and a dashed line where a phase of epochs begins after another phase.

    Raises:
        ValueError: If loss or accuracy is missing, there is no epoch, or the lengths differ.
    """
    values = _checked_history(history)
    rates = values.pop("learning_rate", None)
    alone = np.zeros(len(values["loss"]), bool) if rates is None else np.isnan(rates)
    if rates is not None and not np.nanmax(rates, initial=0):
        rates = None  # recorded at the end of an epoch, where a schedule of one epoch has fallen to 0
    epochs = np.arange(1, len(values["loss"]) + 1)
    phases = np.nan_to_num(values.pop("phase", np.zeros(len(epochs))), nan=1)  # a run of one phase that was extended
    begins = np.flatnonzero(np.diff(phases)) + 1
    boundaries = {float(begin + 0.5): int(phases[begin]) for begin in begins if not alone[begin]}
    head = 0.92 if title else 0.4
    height = head + (3.28 if rates is None else 4.68)
    rows = [2.65] if rates is None else [2.65, 0.5]
    figure = theme.new_figure(11, height)
    grid = figure.add_gridspec(
        len(rows), 2, height_ratios=rows, left=0.065, right=0.865, top=1 - head / height, bottom=0.62 / height,
        wspace=0.6, hspace=0.56,
    )  # fmt: skip
    if title:
        theme.write(figure, 0.065, 1 - 0.3 / height, title, size=theme.LARGE, ha="left", weight="bold")
    for column, key in enumerate(("loss", "accuracy")):
        axes = figure.add_subplot(grid[0, column])
        _draw_metric(axes, key, epochs, (values[key], values.get(f"val_{key}")), alone)
        _draw_boundaries(axes, boundaries, named=rates is None)
        theme.write_below(axes, "Epoch")
    if rates is not None:
        axes = figure.add_subplot(grid[1, :])
        _draw_learning_rates(axes, epochs, rates)
        _draw_boundaries(axes, boundaries, named=True)
        theme.write_below(axes, "Epoch")
    return figure


def draw_lr_curve(curve: Curve, *, title: str = "Learning-rate range test") -> Figure:
    """Draw the loss against the learning rate of a range test, with the suggested rate marked.

    Args:
        curve: Rates and losses of a range test.
        title: Title.

    Returns:
        Figure with the rate on a logarithmic axis. A loss far above the first is cut off, so that the fall stays
        visible.
    """
    rates, losses = np.array(curve.rates), np.array(curve.losses)
    figure = theme.new_figure(7.5, 4.2)
    theme.write(figure, 0.1, 0.93, title, size=theme.LARGE, ha="left", weight="bold")
    axes = figure.add_axes((0.1, 0.15, 0.86, 0.63))
    _style(axes, "Loss (nats, smoothed)", rates)
    axes.set_xscale("log")
    axes.tick_params(which="minor", colors=theme.MUTED)
    axes.set_xlim(rates[0], rates[-1])
    theme.write_below(axes, "Learning rate")
    low, begin = losses.min(), losses[0]
    margin = 0.5 * (begin - low) or 0.5
    axes.set_ylim(low - margin / 4, begin + margin)
    axes.plot(rates, losses, color=theme.TRAINING, linewidth=2)
    loss = float(np.interp(curve.suggestion, rates, losses))
    axes.axvline(curve.suggestion, color=theme.VALIDATION, linewidth=1.2, linestyle="--")
    axes.plot([curve.suggestion], [loss], color=theme.VALIDATION, marker="o", markersize=7)
    side = -1 if curve.suggestion > np.sqrt(rates[0] * rates[-1]) else 1  # where there is more room for the label
    axes.annotate(
        f"suggested: {curve.suggestion:.2g}", (curve.suggestion, begin + margin), (6 * side, -8),
        textcoords="offset points", fontsize=theme.SMALL, color=theme.shade(theme.VALIDATION, 0.85), family=theme.FONT,
        weight="bold", ha="right" if side < 0 else "left", va="top",
    )  # fmt: skip
    return figure


def _checked_history(history: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    known = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "phase")
    if any(key not in history for key in known[:2]):
        raise ValueError(f"history: expected loss and accuracy, got {', '.join(history) or 'nothing'}.")
    values = {key: np.asarray(history[key], dtype=float).reshape(-1) for key in known if key in history}
    lengths = {len(each) for each in values.values()}
    if lengths == {0}:
        raise ValueError("history: expected at least one epoch, got none.")
    if len(lengths) > 1:
        counts = ", ".join(f"{key} {len(each)}" for key, each in values.items())
        raise ValueError(f"history: expected the same number of values under each key, got {counts}.")
    return values


def _draw_metric(
    axes: Axes, key: str, epochs: np.ndarray, curves: tuple[np.ndarray, np.ndarray | None], alone: np.ndarray
) -> None:
    """Draw the curves of loss or accuracy in training and validation, each with its last value."""
    _style(axes, {"loss": "Loss (nats)", "accuracy": "Accuracy"}[key], epochs)
    ends = []
    for label, values, color in zip(
        ("training", "validation"), curves, (theme.TRAINING, theme.VALIDATION), strict=True
    ):
        if values is None:
            continue
        point = _draw_points(axes, epochs[alone], values[alone], color)
        last = _draw_curve(axes, epochs[~alone], values[~alone], color)
        last = point if last is None else last
        if last is not None:
            ends.append((last, f"{label} {_format(last, key)}", color))
    _limit(axes, key)
    _write_ends(axes, ends)


def _draw_learning_rates(axes: Axes, epochs: np.ndarray, rates: np.ndarray) -> None:
    _style(axes, "Learning rate", epochs)
    _draw_curve(axes, epochs, rates, theme.ACTIVATION)
    top = np.nanmax(rates)
    axes.set_ylim(0, top * 1.1)
    axes.set_yticks([0, top], ["0", f"{top:.2g}"])


def _style(axes: Axes, title: str, epochs: np.ndarray) -> None:
    theme.style_axes(axes)
    theme.write_title(axes, title)
    last = len(epochs)
    axes.set_xlim((0.5, 1.5) if last == 1 else (1, last))
    steps = MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]).tick_values(1, last)
    axes.set_xticks([1, *(int(step) for step in steps if 1 + last / 12 < step <= last)])


def _draw_boundaries(axes: Axes, boundaries: Mapping[float, int], *, named: bool = False) -> None:
    """Draw a line where each of these phases begins; the panel's limits stay as they are."""
    left, right = axes.get_xlim()
    for boundary, number in boundaries.items():
        axes.axvline(boundary, color=theme.OTHER, linewidth=1.2, linestyle="--", zorder=1)
        if named:
            width = axes.get_position().width
            place = max((boundary - left) / (right - left), 0.8 * _TITLE / width)
            axes.annotate(
                f"phase {number}", (place, 1.06), xycoords="axes fraction",
                fontsize=theme.SMALL, color=theme.MUTED, family=theme.FONT,
            )  # fmt: skip


def _limit(axes: Axes, key: str) -> None:
    """Start the loss at zero; round the limits of accuracy to tenths, so that noise does not fill the panel."""
    low, high = axes.dataLim.intervaly
    if not np.isfinite([low, high]).all():
        low, high = 0.0, 1.0
    if key == "accuracy":
        axes.set_ylim(max(0, np.floor(10 * low - 0.2) / 10), min(1, np.ceil(10 * high + 0.05) / 10))
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    else:
        axes.set_ylim(min(0, low), high * 1.05 if high > 0 else 1)
        axes.yaxis.set_major_locator(MaxNLocator(6))


def _draw_points(axes: Axes, epochs: np.ndarray, values: np.ndarray, color: str) -> float | None:
    """Draw the finite values as points; return the last of them."""
    finite = np.isfinite(values)
    if not finite.any():
        return None
    axes.plot(epochs[finite], values[finite], color=color, linestyle="", marker="o", markersize=4.5, clip_on=False)
    return float(values[finite][-1])


def _draw_curve(axes: Axes, epochs: np.ndarray, values: np.ndarray, color: str) -> float | None:
    """Draw the finite values; return the last of them."""
    finite = np.isfinite(values)
    if not finite.any():
        return None
    # Values of every few epochs are connected too, with a marker at each.
    marker = "o" if finite.sum() < min(len(values), 40) or len(values) == 1 else None
    axes.plot(
        epochs[finite], values[finite], color=color, linewidth=2, marker=marker, markersize=4.5, clip_on=False,
        solid_capstyle="round",
    )  # fmt: skip
    return float(values[finite][-1])


def _write_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write the last values to the right of their curves, moved apart if they would overlap."""
    low, high = axes.get_ylim()
    places = [(value - low) / (high - low) for value, *_ in ends]
    least = 0.085
    if len(places) == 2 and abs(places[0] - places[1]) < least:
        center = min(max(sum(places) / 2, least / 2), 1 - least / 2)
        order = 1 if places[0] >= places[1] else -1
        places = [center + order * least / 2, center - order * least / 2]
    for place, (_, label, color) in zip(places, ends, strict=True):
        axes.text(
            1.025, place, label, transform=axes.transAxes, fontsize=theme.SMALL, color=theme.shade(color, 0.85),
            family=theme.FONT, weight="bold", ha="left", va="center",
        )  # fmt: skip


def _format(value: float, key: str) -> str:
    return f"{value:.1%}" if key == "accuracy" else f"{value:.3g}"
