"""What a training did: its curves, and which classes the model takes for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet50.plots import theme

if TYPE_CHECKING:
    from resnet50.training.lr_finder import LearningRateCurve

SPARSE = 12
"""From one class more on, zeros beside the diagonal stay blank, for the eye to find what is not zero."""

CROWDED = 40
"""Up to so many classes the matrix grows with their number; beyond, its cells shrink, and are shaded more strongly."""

LEGIBLE = 130
"""Up to so many classes there is room for their names and for counts; beyond, colors alone tell what happens where."""

_SHADES = LinearSegmentedColormap.from_list("rows", ["white", theme.TRAINING])


def draw_curves(history: Mapping[str, Sequence[float]], *, title: str) -> Figure:
    """Draw loss and accuracy against the epoch, and the learning rate if it was recorded.

    Args:
        history: A value per epoch under ``loss`` and ``accuracy`` (0..1), and, where there are, under ``val_loss``,
            ``val_accuracy``, ``learning_rate`` and ``phase`` (its number). NaN stands for an epoch without that value.
        title: What was trained on what.

    Returns:
        Figure with a panel for each; curves end in their last value, and a dashed line stands where a phase ends.

    Raises:
        ValueError: If loss or accuracy is missing, there is no epoch, or the lengths differ.
    """
    kept = _checked_history(history)
    rate = kept.pop("learning_rate", None)
    phases = kept.pop("phase", np.zeros(1))
    boundaries = np.flatnonzero(np.diff(phases)) + 1.5  # between the last epoch of one and the first of the next
    epochs = np.arange(1, len(kept["loss"]) + 1)
    height = 4.2 if rate is None else 5.4
    rows = [2.65] if rate is None else [2.65, 0.5]
    figure = theme.new_figure(11, height)
    grid = figure.add_gridspec(
        len(rows), 2, height_ratios=rows, left=0.065, right=0.865, top=1 - 0.92 / height, bottom=0.62 / height,
        wspace=0.6, hspace=0.42,
    )  # fmt: skip
    theme.write(figure, 0.065, 1 - 0.3 / height, title, size=theme.LARGE, ha="left", weight="bold")
    for column, key in enumerate(("loss", "accuracy")):
        axes = figure.add_subplot(grid[0, column])
        _style(axes, key.capitalize(), epochs)
        _draw_boundaries(axes, boundaries)
        curves = [("train", kept[key], theme.TRAINING), ("validation", kept.get(f"val_{key}"), theme.VALIDATION)]
        ends = []
        for label, values, color in curves:
            last = None if values is None else _draw_curve(axes, epochs, values, color)
            if last is not None:
                ends.append((last, f"{label} {_format(last, key)}", color))
        _limit(axes, key)
        _write_ends(axes, ends)
        if rate is None:
            theme.write_below(axes, "epoch")
    if rate is not None:
        axes = figure.add_subplot(grid[1, :])
        _style(axes, "Learning rate", epochs)
        _draw_boundaries(axes, boundaries)
        _draw_curve(axes, epochs, rate, theme.ACTIVATION)
        top = np.nanmax(rate, initial=0) or 1.0
        axes.set_ylim(0, top * 1.1)
        axes.set_yticks([0, top], ["0", f"{top:.2g}"])
        for number, boundary in enumerate(boundaries, start=2):
            axes.annotate(
                f"phase {number}", (boundary, 1.06), xycoords=("data", "axes fraction"),
                fontsize=theme.SMALL, color=theme.MUTED, family=theme.FONT,
            )  # fmt: skip
        theme.write_below(axes, "epoch")
    return figure


def draw_confusion(confusion: np.ndarray, class_names: Sequence[str], *, title: str) -> Figure:
    """Draw how many images of each class the model takes for each class.

    Args:
        confusion: Counts, ``(classes, classes)``: rows are the true classes, columns the predicted ones.
        class_names: Name of each class.
        title: What was predicted on what.

    Returns:
        Figure with the count in each cell, shaded by its share of the row, 0..1; with more than `CROWDED` classes by
        the root of that, so that few images show in a small cell, and with more than `LEGIBLE` by shades alone.

    Raises:
        ValueError: If the counts are not square, are negative, or do not fit the names.
    """
    counts = np.asarray(confusion)
    if counts.ndim != 2 or counts.shape != (len(class_names), len(class_names)) or not len(class_names):
        raise ValueError(
            f"confusion must be a row and a column for each of {len(class_names)} classes, got shape {counts.shape}."
        )
    if not np.isfinite(counts).all() or (counts < 0).any():
        raise ValueError(f"confusion must hold counts, got {counts[~(counts >= 0) | ~np.isfinite(counts)][0]}.")
    classes = len(class_names)
    cell = float(np.clip(6.5 / classes, 14.4 / max(classes, CROWDED), 0.85))
    size = theme.NORMAL if classes <= 10 else min(theme.SMALL - 2.5, 54 * cell)
    small = min(size, theme.SMALL)
    names = [theme.shortened(str(name), 22) for name in class_names] if classes <= LEGIBLE else []
    longest = max((theme.text_width(name, small) for name in names), default=0)
    upright = longest > cell * 0.92
    left, right, top = 0.62 + longest, 0.35, 0.72
    bottom = 0.5 + (longest if upright else 0.25)
    side = cell * classes
    width = max(left + side + right, 0.5 + theme.text_width(title, theme.LARGE, "bold"))
    figure, axes = theme.new_canvas(width, bottom + side + top)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    shades = shares if classes <= CROWDED else np.sqrt(shares)
    theme.draw_image(axes, shades, (left, bottom), (side, side), cmap=_SHADES, vmin=0, vmax=1, interpolation="nearest")
    lines = left + cell * np.arange(classes + 1 if names else 0), bottom + cell * np.arange(classes + 1 if names else 0)
    axes.vlines(lines[0], bottom, bottom + side, color=theme.FAINT, linewidth=min(0.8, 3 * cell))
    axes.hlines(lines[1], left, left + side, color=theme.FAINT, linewidth=min(0.8, 3 * cell))
    axes.add_patch(Rectangle((left, bottom), side, side, facecolor="none", edgecolor=theme.FAINT))
    for true, name in enumerate(names):
        y = bottom + side - (true + 0.5) * cell
        theme.write(axes, left - 0.1, y, name, size=small, ha="right")
        x = left + (true + 0.5) * cell
        theme.write(axes, x, bottom - 0.1, name, size=small, va="top", rotation=90 if upright else 0)
    fitting: dict[float, float] = {}
    written = counts > 0 if classes > SPARSE else np.ones_like(counts, bool)
    for true, predicted in np.argwhere(written | np.eye(classes, dtype=bool)) if names else ():
        count = counts[true, predicted]
        if count not in fitting:
            fitting[count] = _fitting(f"{count:g}", size, cell)
        x, y = left + (predicted + 0.5) * cell, bottom + side - (true + 0.5) * cell
        color = "white" if shades[true, predicted] > 0.55 else theme.INK if count else theme.OTHER
        weight = "bold" if true == predicted else "normal"
        theme.write(axes, x, y, f"{count:g}", size=fitting[count], color=color, weight=weight)
    theme.write(axes, left + side / 2, 0.22, "predicted", size=theme.SMALL, color=theme.MUTED)
    theme.write(axes, 0.34, bottom + side / 2, "true", size=theme.SMALL, color=theme.MUTED, rotation=90)
    theme.write(axes, 0.25, bottom + side + top / 2 + 0.03, title, size=theme.LARGE, ha="left", weight="bold")
    return figure


def draw_lr_curve(curve: LearningRateCurve, *, title: str = "Learning rate range test") -> Figure:
    """Draw the loss against the learning rate of a range test, with the suggested rate marked.

    Args:
        curve: Rates and losses of a test that `resnet50.training.lr_finder.find_learning_rate` made.
        title: What was tested.

    Returns:
        Figure with the rate on a logarithmic axis; a loss far above the first is cut off, for the eye to see where it
        fell.
    """
    rates, losses = np.array(curve.rates), np.array(curve.losses)
    figure = theme.new_figure(7.5, 4.2)
    theme.write(figure, 0.1, 0.93, title, size=theme.LARGE, ha="left", weight="bold")
    axes = figure.add_axes((0.1, 0.15, 0.86, 0.63))
    _style(axes, "Loss, smoothed", rates)
    axes.set_xscale("log")
    axes.tick_params(which="minor", colors=theme.MUTED)
    axes.set_xlim(rates[0], rates[-1])
    theme.write_below(axes, "learning rate")
    low, begin = losses.min(), losses[0]
    margin = 0.5 * (begin - low) or 0.5
    axes.set_ylim(low - margin / 4, begin + margin)
    axes.plot(rates, losses, color=theme.TRAINING, linewidth=2)
    there = float(np.interp(curve.suggestion, rates, losses))
    axes.axvline(curve.suggestion, color=theme.VALIDATION, linewidth=1.2, linestyle="--")
    axes.plot([curve.suggestion], [there], color=theme.VALIDATION, marker="o", markersize=7)
    side = -1 if curve.suggestion > np.sqrt(rates[0] * rates[-1]) else 1  # where there is more room for words
    axes.annotate(
        f"suggested {curve.suggestion:.2g}", (curve.suggestion, begin + margin), (6 * side, -8),
        textcoords="offset points", fontsize=theme.SMALL, color=theme.shade(theme.VALIDATION, 0.85), family=theme.FONT,
        weight="bold", ha="right" if side < 0 else "left", va="top",
    )  # fmt: skip
    return figure


def _checked_history(history: Mapping[str, Sequence[float]]) -> dict[str, np.ndarray]:
    known = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "phase")
    missing = [key for key in known[:2] if key not in history]
    if missing:
        raise ValueError(f"history: expected loss and accuracy, found {', '.join(history) or 'nothing'}.")
    kept = {key: np.asarray(history[key], dtype=float).reshape(-1) for key in known if key in history}
    lengths = {len(values) for values in kept.values()}
    if lengths == {0}:
        raise ValueError("history: expected at least one epoch, found none.")
    if len(lengths) > 1:
        found = ", ".join(f"{key} {len(values)}" for key, values in kept.items())
        raise ValueError(f"history: expected as many values under each key, found {found}.")
    return kept


def _style(axes: Axes, title: str, epochs: np.ndarray) -> None:
    theme.style_axes(axes)
    theme.write_title(axes, title)
    last = len(epochs)
    axes.set_xlim((0.5, 1.5) if last == 1 else (1, last))
    steps = MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]).tick_values(1, last)
    axes.set_xticks([1, *(int(step) for step in steps if 1 + last / 12 < step <= last)])


def _draw_boundaries(axes: Axes, boundaries: np.ndarray) -> None:
    """Draw a line where each phase but the last ends; it has no part in the panel's limits."""
    for boundary in boundaries:
        axes.axvline(boundary, color=theme.OTHER, linewidth=1.2, linestyle="--", zorder=1)


def _limit(axes: Axes, key: str) -> None:
    """Begin the loss at zero; show tenths of accuracy, so that noise does not fill the panel."""
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


def _draw_curve(axes: Axes, epochs: np.ndarray, values: np.ndarray, color: str) -> float | None:
    """Draw the finite values; return the last of them."""
    seen = np.isfinite(values)
    if not seen.any():
        return None
    # A validation every few epochs is a line too, with a mark where there was one.
    marker = "o" if seen.sum() < min(len(values), 40) or len(values) == 1 else None
    axes.plot(
        epochs[seen], values[seen], color=color, linewidth=2, marker=marker, markersize=4.5, clip_on=False,
        solid_capstyle="round",
    )  # fmt: skip
    return float(values[seen][-1])


def _write_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write the last values to the right of their curves, moved apart where they would touch."""
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


def _fitting(text: str, size: float, width: float) -> float:
    """Return the size, or a smaller one at which the text fits into so many inches."""
    needed = theme.text_width(text, size, "bold")
    return size * min(1.0, 0.86 * width / needed)
