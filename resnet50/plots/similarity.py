"""Similarity of a network's features to human judgments, for each dimension, compared with chance."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet50.metrics.similarity import Agreement, Correlation, Similarity
from resnet50.plots import theme

_ROW, _PANEL, _GAP = 0.36, 1.92, 0.2  # inches
_LEVEL = 0.05
_TITLE = 14.0  # points


def draw_similarity(similarity: Similarity, names: Sequence[str], *, title: str | None = None) -> Figure:
    """Draw the correlation with human judgments, overall and for each dimension, in a panel for each alignment.

    Args:
        similarity: The correlations.
        names: Name of each dimension.
        title: Title; None for the overall correlation on images that the alignment was not fitted on.

    Returns:
        Figure in which a dot is a correlation, hollow if its p-value is 0.05 or more, and a gray bar is the interval
        that holds 95 % of the correlations under permutation, with a line at their mean.

    Raises:
        ValueError: If there is not a name for each dimension.
    """
    fitted, held_out, realigned = similarity.fitted, similarity.held_out, similarity.realigned
    panels = (
        (f"Aligned on\n{fitted.images} images", fitted, theme.TRAINING),
        (f"Same alignment,\n{held_out.images} new images", held_out, theme.VALIDATION),
        (f"Aligned on\nthe {realigned.images} images", realigned, theme.TRAINING),
    )
    count = len(fitted.dimensions)
    if len(names) != count:
        raise ValueError(f"expected a name for each of {count} dimensions, got {len(names)}.")
    title = _describe(held_out) if title is None else title
    words = ["overall", *(f"{number} {name}" for number, name in enumerate(names, start=1))]
    left = 0.4 + max(theme.text_width(word, theme.SMALL) for word in words)
    bottom, high, top = 1.2, (len(words) + 0.6) * _ROW, 1.2
    width = max(left + len(panels) * (_PANEL + _GAP), 0.5 + theme.text_width(title, _TITLE, "bold"))
    height = bottom + high + top
    figure, canvas = theme.new_canvas(width, height)
    theme.write(canvas, 0.25, height - 0.3, title, size=_TITLE, ha="left", weight="bold")
    shown = [each for _, agreement, _ in panels for each in _correlations(agreement)]
    low = min(-0.25, *(min(each.value, each.band[0]) - 0.05 for each in shown))
    for index, (heading, agreement, color) in enumerate(panels):
        x = left + index * (_PANEL + _GAP)
        axes = figure.add_axes((x / width, bottom / height, _PANEL / width, high / height))
        _style(axes, low, len(words))
        theme.write(canvas, x, bottom + high + 0.3, heading, ha="left", weight="bold", size=theme.SMALL)
        for row, correlation in enumerate(_correlations(agreement)):
            _draw(axes, _place(row), correlation, color, bold=row == 0)
    for row, word in enumerate(words):
        y = bottom + high * (1 - (_place(row) + 0.5) / (len(words) + 0.6))
        weight = "bold" if row == 0 else "normal"
        theme.write(canvas, left - 0.15, y, word, size=theme.SMALL, ha="right", weight=weight)
    notes = (
        f"● correlation with human judgments, ○ if its p ≥ {_LEVEL:g}",
        f"gray: chance, the mean and 95 % of {similarity.permutations:,} permutations",
    )
    for y, note in zip((0.46, 0.22), notes, strict=True):
        theme.write(canvas, left, y, note, size=theme.SMALL, ha="left", color=theme.MUTED)
    return figure


def _describe(held_out: Agreement) -> str:
    """Return in a sentence whether features of new images agree with human judgments."""
    value = _number(held_out.overall.value)
    if held_out.overall.p < _LEVEL:
        return f"Features of new images agree with human judgments: r = {value}"
    return f"Features of new images agree no more than by chance: r = {value}"


def _correlations(agreement: Agreement) -> tuple[Correlation, ...]:
    return (agreement.overall, *agreement.dimensions)


def _place(row: int) -> float:
    return row if row == 0 else row + 0.6  # a gap below the overall correlation


def _style(axes: Axes, low: float, rows: int) -> None:
    theme.style_axes(axes, grid="x")
    axes.axvline(0, color=theme.OTHER, linewidth=1)
    axes.set(xlim=(low, 1), ylim=(rows + 0.1, -0.5), yticks=[])
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
    axes.tick_params(length=0)
    theme.write_below(axes, "Correlation")


def _draw(axes: Axes, y: float, correlation: Correlation, color: str, *, bold: bool) -> None:
    low, high = correlation.band
    axes.barh(y, high - low, left=low, height=0.52, color=theme.FAINT)
    axes.plot([correlation.chance] * 2, [y - 0.26, y + 0.26], color=theme.OTHER, linewidth=1.5)
    significant = correlation.p < _LEVEL
    axes.plot(
        [correlation.value], [y], marker="o", markersize=9 if bold else 7, color=color, clip_on=False,
        markerfacecolor=color if significant else "white", markeredgewidth=1.6, linestyle="none",
    )  # fmt: skip
    right = correlation.value < 0.6
    axes.annotate(
        _number(correlation.value), (correlation.value, y), (9 if right else -9, 0), textcoords="offset points",
        fontsize=theme.SMALL, color=theme.shade(color, 0.85), family=theme.FONT,
        weight="bold" if bold else "normal", ha="left" if right else "right", va="center",
    )  # fmt: skip


def _number(value: float) -> str:
    return f"{value:z.2f}".replace("-", "\N{MINUS SIGN}")
