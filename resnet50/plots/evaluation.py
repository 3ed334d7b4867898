"""Figures of an evaluation: the reliability diagram and the number of images of each class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet50._io.text import plural
from resnet50.metrics.calibration import Bin
from resnet50.plots import fonts, theme
from resnet50.plots.confusion import CROWDED, LEGIBLE

_COLORS = {"train": theme.TRAINING, "validation": theme.VALIDATION, "test": theme.ACTIVATION}  # of the splits
_GAP = 0.4  # inches between two panels of the class balance


def draw_reliability(bins: Sequence[Bin], *, title: str | None) -> Figure:
    """Draw a reliability diagram: accuracy against confidence, and the number of images at each confidence.

    Args:
        bins: Images by the confidence of the classifier, in equal intervals of 0..1, the lowest first.
        title: Title, such as ``"SIGNS: calibration error 2.1%"``; None for none.

    Returns:
        Figure of two panels. Above, each bin with images has a bar up to its accuracy, with the gap to its confidence;
        the bars of a calibrated classifier end on the diagonal. Below is the number of images in each bin.

    Raises:
        ValueError: If there are no bins.

    Source: Guo et al. 2017, arXiv:1706.04599, figure 1.
    """
    if not bins:
        raise ValueError("expected at least one bin, got none.")
    width = max(5.6, 0.6 + theme.text_width(title or "", theme.NORMAL, "bold"))
    height = 6.7 if title else 6.3
    figure = theme.new_figure(width, height)
    if title:
        theme.write(figure, 0.3 / width, 1 - 0.3 / height, title, ha="left", va="baseline", weight="bold")
    upper = _panel(figure, (0.75, 2.6, 4.6, 3.2), "Accuracy")
    _draw_accuracy(upper, bins)
    lower = _panel(figure, (0.75, 0.62, 4.6, 1.1), "Images")
    step = 1 / len(bins)
    lower.bar((np.arange(len(bins)) + 0.5) * step, [each.images for each in bins], step * 0.92, color=theme.OTHER)
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    for axes in (upper, lower):
        theme.write_below(axes, "Confidence")
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def _draw_accuracy(axes: Axes, bins: Sequence[Bin]) -> None:
    """Draw a bar up to the accuracy of each bin that holds images, the gap to its confidence, and the diagonal."""
    step = 1 / len(bins)
    filled = np.array([each.images > 0 for each in bins])
    centers = ((np.arange(len(bins)) + 0.5) * step)[filled]
    accuracy, confidence = np.array([(each.accuracy, each.confidence) for each in bins])[filled].T
    axes.bar(centers, accuracy, step * 0.92, color=theme.tint(theme.TRAINING, 0.75), label="accuracy")
    axes.bar(
        centers, confidence - accuracy, step * 0.92, bottom=accuracy, color="none", edgecolor=theme.WRONG,
        hatch="////", linewidth=0.8, label="gap",
    )  # fmt: skip
    axes.plot([0, 1], [0, 1], color=theme.MUTED, linewidth=1.2, linestyle="--", label="perfect calibration")
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=theme.SMALL - 2, frameon=False, handlelength=1.4,
        columnspacing=1, borderaxespad=0.1, labelcolor=theme.INK,
    )  # fmt: skip


def draw_risk_coverage(answered: Sequence[float], risk: Sequence[float], *, title: str | None) -> Figure:
    """Draw a risk-coverage curve: the share of mistakes among the images that are answered.

    Args:
        answered: Share of images that are answered, those with the highest confidence, rising to 1.
        risk: Share of these that are misclassified, 0..1.
        title: Title, such as ``"SIGNS: risk and coverage"``; None for none.

    Returns:
        Figure of one panel.

    Raises:
        ValueError: If there are no points, or not as many of one as of the other.

    Source: El-Yaniv and Wiener 2010.
    """
    if not answered or len(answered) != len(risk):
        raise ValueError(f"expected as many risks as shares, at least one, got {len(risk)} and {len(answered)}.")
    width = max(5.6, 0.6 + theme.text_width(title or "", theme.NORMAL, "bold"))
    height = 4.4 if title else 4.0
    figure = theme.new_figure(width, height)
    if title:
        theme.write(figure, 0.3 / width, 1 - 0.3 / height, title, ha="left", va="baseline", weight="bold")
    axes = _panel(figure, (0.75, 0.62, 4.6, 2.9), "Risk (share of mistakes)")
    axes.plot(answered, risk, color=theme.WRONG, linewidth=2)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, max(0.05, 1.1 * max(risk)))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    theme.write_below(axes, "Coverage (share of images answered, the most confident first)")
    return figure


def draw_balance(counts: Mapping[str, Sequence[int]], class_names: Sequence[str], *, title: str | None) -> Figure:
    """Draw how many images each class has in each split of a dataset.

    Args:
        counts: For each split, by its name, the number of images of each class.
        class_names: Name of each class.
        title: Title, such as ``"SIGNS: 180 train images of each class"``; None for none.

    Returns:
        Figure with a panel for each split, as wide as its longest bar, and a row for each class. If there are too many
        classes for their names, the largest come first.

    Raises:
        ValueError: If there are no counts, or not one for each class.
    """
    classes = len(class_names)
    if not counts or not classes or any(len(values) != classes for values in counts.values()):
        numbers = ", ".join(f"{name} {len(values)}" for name, values in counts.items()) or "none"
        raise ValueError(f"expected a count for each of {classes} classes, got {numbers}.")
    row = min(0.3, 12 / max(classes, CROWDED))
    size = min(theme.SMALL, 54 * row)
    names = [fonts.shortened(str(name), 28) for name in class_names] if classes <= LEGIBLE else []
    left, top = 0.3 + max((theme.text_width(name, size) for name in names), default=0), 0.85 if title else 0.35
    wide = 0.5 + theme.text_width(title or "", theme.LARGE, "bold")
    scale, panels = _panel_widths(counts, size if names else 0, wide - left)
    height, width = classes * row + top + 0.15, max(wide, left + sum(panels))
    figure, axes = theme.new_canvas(width, height)
    if title:
        theme.write(axes, 0.2, height - 0.3, title, size=theme.LARGE, ha="left", weight="bold")
    rows = height - top - (np.arange(classes) + 0.5) * row
    for y, name in zip(rows, names, strict=False):
        theme.write(axes, left - 0.1, y, name, size=size, ha="right")
    first = np.asarray(next(iter(counts.values())))
    order = np.arange(classes) if names else np.argsort(-first, kind="stable")
    for column, (split, values) in enumerate(counts.items()):
        color, x = _COLORS.get(split, theme.OTHER), left + sum(panels[:column])
        dark = theme.shade(color, 0.85)
        theme.write(axes, x, height - top + 0.16, _heading(split, values), ha="left", color=dark, weight="bold")
        lengths = np.asarray(values)[order] * scale
        axes.barh(rows, lengths, height=0.74 * row if names else row, left=x, color=color)
        if names:
            for y, length, value in zip(rows, lengths, values, strict=True):
                theme.write(axes, x + length + 0.06, y, f"{value:,}", size=size, ha="left", color=theme.MUTED)
    axes.set(xlim=(0, width), ylim=(0, height))
    return figure


def _panel_widths(counts: Mapping[str, Sequence[int]], size: float, room: float) -> tuple[float, list[float]]:
    """Return inches per image, the same in all panels, and the width of each panel in inches.

    Args:
        counts: For each split the number of images of each class.
        size: Size in points of the number after a bar; 0 if there is none.
        room: Inches that the panels fill at least.
    """
    most = [max(values) for values in counts.values()]
    numbers = [theme.text_width(f"{value:,}", size) + 0.1 if size else 0.0 for value in most]
    # The longest bar is long enough, or all of them together fill the width.
    scale = max(1.75 / (max(most) or 1), (room - sum(numbers) - len(most) * _GAP) / (sum(most) or 1))
    headings = [theme.text_width(_heading(*each), theme.NORMAL, "bold") for each in counts.items()]
    return scale, [
        _GAP + max(scale * value + number, heading)
        for value, number, heading in zip(most, numbers, headings, strict=True)
    ]


def _heading(split: str, values: Sequence[int]) -> str:
    return f"{split}: {plural(sum(values), 'image')}"


def _panel(figure: Figure, place: tuple[float, float, float, float], title: str) -> Axes:
    """Add a panel, its place (left, bottom, width, height) in inches."""
    (left, bottom, wide, high), (width, height) = place, figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    theme.style_axes(axes)
    theme.write_title(axes, title, size=theme.SMALL)
    return axes
