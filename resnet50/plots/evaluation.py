"""Figures of a report: whether the classifier is right as often as it is sure, and how many images each class has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from resnet50.metrics.calibration import Bin
from resnet50.plots import theme
from resnet50.plots.training import CROWDED, LEGIBLE

_COLORS = {"train": theme.TRAINING, "validation": theme.VALIDATION, "test": theme.ACTIVATION}  # of the parts


def draw_reliability(bins: Sequence[Bin], *, title: str) -> Figure:
    """Draw how often the classifier is right against how sure it is, and how many images that says it of.

    Args:
        bins: Images by how sure the classifier is, equal parts of 0..1 in order.
        title: What was predicted on what.

    Returns:
        Figure of two panels: a bar for each bin that holds images, up to the share that is right, with the gap to
        the diagonal, on which a calibrated classifier lies; below, the number of images in each bin.

    Raises:
        ValueError: If there are no bins.

    Source: Guo et al. 2017, arXiv:1706.04599, figure 1.
    """
    if not bins:
        raise ValueError("expected at least one bin, got none.")
    step = 1 / len(bins)
    centers = (np.arange(len(bins)) + 0.5) * step
    images = np.array([one.images for one in bins])
    accuracy, confidence = np.array([(one.accuracy, one.confidence) for one in bins]).T
    seen = images > 0
    width = max(5.6, 0.6 + theme.text_width(title, theme.NORMAL, "bold"))
    figure = theme.new_figure(width, 6.6)
    left, wide = 0.75 / width, 4.6 / width
    theme.write(figure, 0.3 / width, 0.96, title, ha="left", va="baseline", weight="bold")
    upper = _panel(figure, (left, 0.36, wide, 0.49), "right")
    upper.bar(centers[seen], accuracy[seen], step * 0.92, color=theme.tint(theme.TRAINING, 0.75), label="share right")
    upper.bar(
        centers[seen], (confidence - accuracy)[seen], step * 0.92, bottom=accuracy[seen], color="none",
        edgecolor=theme.WRONG, hatch="////", linewidth=0.8, label="gap to how sure it is",
    )  # fmt: skip
    upper.plot([0, 1], [0, 1], color=theme.MUTED, linewidth=1.2, linestyle="--", label="calibrated")
    upper.set_ylim(0, 1)
    upper.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    upper.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=3, fontsize=theme.SMALL - 2, frameon=False, handlelength=1.4,
        columnspacing=1, borderaxespad=0.1, labelcolor=theme.INK,
    )  # fmt: skip
    lower = _panel(figure, (left, 0.1, wide, 0.17), "images")
    lower.bar(centers, images, step * 0.92, color=theme.OTHER)
    lower.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    theme.write_below(lower, "how sure it is of the class it says")
    for axes in (upper, lower):
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    return figure


def draw_balance(counts: Mapping[str, Sequence[int]], class_names: Sequence[str], *, title: str) -> Figure:
    """Draw how many images each class has in each part of a data set.

    Args:
        counts: For each part, by its name, the number of images of each class.
        class_names: Name of each class.
        title: Name of the data set.

    Returns:
        Figure with a panel for each part, as wide as its longest bar, and a row for each class; with more classes than
        have room for their names, the largest stand first.

    Raises:
        ValueError: If there are no counts, or not one for each class.
    """
    classes = len(class_names)
    if not counts or not classes or any(len(values) != classes for values in counts.values()):
        found = ", ".join(f"{name} {len(values)}" for name, values in counts.items()) or "none"
        raise ValueError(f"expected a count for each of {classes} classes, got {found}.")
    row = min(0.3, 12 / max(classes, CROWDED))
    size = min(theme.SMALL, 54 * row)
    names = [theme.shortened(str(name), 28) for name in class_names] if classes <= LEGIBLE else []
    first = np.asarray(next(iter(counts.values())))
    order = np.arange(classes) if names else np.argsort(-first, kind="stable")
    left = 0.3 + max((theme.text_width(name, size) for name in names), default=0)
    gap, top = 0.4, 0.85
    heads = [f"{split}: {sum(values):,}" for split, values in counts.items()]
    most = [max(values) for values in counts.values()]
    numbers = [theme.text_width(f"{value:,}", size) + 0.1 if names else 0.0 for value in most]
    wide = 0.5 + theme.text_width(title, theme.LARGE, "bold")
    # inches an image, the same for all parts: what makes the longest bar long enough, or all of them fill the width
    scale = max(1.75 / (max(most) or 1), (wide - left - sum(numbers) - len(most) * gap) / (sum(most) or 1))
    panels = [
        gap + max(scale * value + number, theme.text_width(head, theme.NORMAL, "bold"))
        for value, number, head in zip(most, numbers, heads, strict=True)
    ]
    height, width = classes * row + top + 0.15, max(wide, left + sum(panels))
    figure, axes = theme.new_canvas(width, height)
    theme.write(axes, 0.2, height - 0.3, title, size=theme.LARGE, ha="left", weight="bold")
    rows = height - top - (np.arange(classes) + 0.5) * row
    for y, name in zip(rows, names, strict=False):
        theme.write(axes, left - 0.1, y, name, size=size, ha="right")
    for column, (split, values) in enumerate(counts.items()):
        color, x = _COLORS.get(split, theme.OTHER), left + sum(panels[:column])
        theme.write(
            axes, x, height - top + 0.16, heads[column], ha="left", color=theme.shade(color, 0.85), weight="bold"
        )
        lengths = np.asarray(values)[order] * scale
        axes.barh(rows, lengths, height=0.74 * row if names else row, left=x, color=color)
        if names:
            for y, length, value in zip(rows, lengths, values, strict=True):
                theme.write(axes, x + length + 0.06, y, f"{value:,}", size=size, ha="left", color=theme.MUTED)
    axes.set(xlim=(0, width), ylim=(0, height))
    return figure


def _panel(figure: Figure, place: tuple[float, float, float, float], title: str) -> Axes:
    axes = figure.add_axes(place)
    theme.style_axes(axes)
    theme.write_title(axes, title, size=theme.SMALL)
    return axes
