"""Sheets of images: examples of a dataset, and the predictions for them."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resnet50._io.text import plural
from resnet50.data.dataset import Dataset
from resnet50.plots import fonts, theme

# All in inches.
NARROW, WIDE = 1.05, 1.8  # an image is as wide as its text, between these limits
SHEET = 9.7
CAPTION = 0.58
GAP = 0.12
MARGIN = 0.22
HEAD = 0.75

TEXT = theme.SMALL
SEPARATORS = "_-. "
"""Characters of a file name after which a line may end."""


def draw_contact_sheet(dataset: Dataset, *, rows: int = 4, title: str | None = None) -> Figure:
    """Draw the first images of each class, a column for a class.

    Args:
        dataset: Images, uint8 ``(n, height, width, 3)``, 0..255.
        rows: Images of each class; a class with fewer leaves gaps.
        title: Title; None for the name of the dataset and its numbers of images and classes.

    Returns:
        Figure of 1.2 inches or a little more per class.

    Raises:
        ValueError: If ``rows`` is not positive.
    """
    if rows < 1:
        raise ValueError(f"expected rows to be at least 1, got {rows}.")
    names = dataset.class_names
    if title is None:
        title = f"{dataset.name}: {plural(len(dataset), 'image')}, {plural(len(names), 'class')}"
    wide, high = size = _size(dataset, max(theme.text_width(name, theme.NORMAL, "bold") for name in names))
    width = max(2 * MARGIN + len(names) * (wide + GAP) - GAP, _title_width(title))
    top = MARGIN + rows * (high + GAP) - GAP
    figure, axes = theme.new_canvas(width, top + 0.26 + HEAD)
    _write_title(axes, title)
    for column, name in enumerate(names):
        x = MARGIN + column * (wide + GAP)
        label = _fitting(name, wide, theme.NORMAL, "bold")
        theme.write(axes, x + wide / 2, top + 0.13, label, weight="bold")
        chosen = np.flatnonzero(dataset.labels == column)[:rows]
        for row in range(rows):
            corner = (x, top - high - row * (high + GAP))
            if row < len(chosen):
                theme.draw_image(axes, dataset.images[chosen[row]], corner, size)
            else:
                _draw_frame(axes, corner, size, theme.FAINT, linestyle=":")
    return figure


def draw_predictions(
    dataset: Dataset,
    probabilities: np.ndarray,
    *,
    title: str,
    limit: int = 24,
    beside: np.ndarray | None = None,
    note: str = "",
) -> Figure:
    """Draw images with their predicted class; a wrong prediction has a frame, a cross and the true class.

    Args:
        dataset: Images, uint8 ``(n, height, width, 3)``, 0..255; pass ``dataset.select(...)`` for a selection.
        probabilities: Predicted probabilities, ``(n, classes)``, 0..1.
        title: Title, such as ``"SIGNS: worst mistakes"``.
        limit: Most images to draw; the first ones are drawn.
        beside: A second image to the right of each, such as its Grad-CAM overlay, uint8 ``(n, height, width, 3)``;
            the file's name is then written below it, in two lines or shortened in its middle if it is long.
        note: What the second images are, to write below the title.

    Returns:
        Figure with up to eight images in a row; without images it says so.

    Raises:
        ValueError: If the probabilities or second images do not fit the dataset, or ``limit`` is not positive.
    """
    probabilities = np.asarray(probabilities)
    _check_predictions(dataset, probabilities, limit, beside)
    shown = min(len(dataset), limit)
    title = title if shown == len(dataset) else f"{title} (first {shown} of {len(dataset):,})"
    if not shown:
        figure, axes = theme.new_canvas(_title_width(title), HEAD + 0.4)
        _write_title(axes, title)
        theme.write(axes, MARGIN, 0.35, "no images", ha="left", color=theme.MUTED)
        return figure
    wide, high = size = _size(dataset, max(theme.text_width(f"✗ {name}, 100%", TEXT) for name in dataset.class_names))
    step = wide + GAP if beside is None else 2 * (wide + GAP)
    columns = min(shown, int(SHEET / step))
    rows = -(-shown // columns)
    width = max(2 * MARGIN + columns * step - GAP, _title_width(title), 2 * MARGIN + theme.text_width(note, TEXT))
    figure, axes = theme.new_canvas(width, rows * (high + CAPTION) + HEAD)
    _write_title(axes, title)
    if note:
        theme.write(axes, MARGIN, axes.get_ylim()[1] - 0.61, note, size=TEXT, ha="left", color=theme.MUTED)
    for index in range(shown):
        row, column = divmod(index, columns)
        x, y = corner = (MARGIN + column * step, (rows - row) * (high + CAPTION) - high)
        theme.draw_image(axes, dataset.images[index], corner, size)
        _draw_prediction(axes, dataset, index, probabilities[index], (corner, size))
        if beside is not None:
            right = x + wide + GAP / 3
            theme.draw_image(axes, beside[index], (right, y), size)
            for line, words in enumerate(_file_lines(PurePosixPath(dataset.paths[index]).name, wide)):
                theme.write(axes, right, y - 0.14 - 0.18 * line, words, size=TEXT, ha="left", color=theme.MUTED)
    return figure


def _check_predictions(dataset: Dataset, probabilities: np.ndarray, limit: int, beside: np.ndarray | None) -> None:
    if beside is not None and beside.shape != dataset.images.shape:
        raise ValueError(f"{dataset.name}: expected images of shape {dataset.images.shape}, got {beside.shape}.")
    if probabilities.shape != (len(dataset), len(dataset.class_names)):
        raise ValueError(
            f"{dataset.name}: expected probabilities of shape ({len(dataset)}, {len(dataset.class_names)}), "
            f"got {probabilities.shape}."
        )
    if limit < 1:
        raise ValueError(f"expected limit to be at least 1, got {limit}.")


def _draw_prediction(
    axes: Axes,
    dataset: Dataset,
    index: int,
    probabilities: np.ndarray,
    place: tuple[tuple[float, float], tuple[float, float]],
) -> None:
    """Write the predicted class below an image; frame the image and write its true class if they differ."""
    corner, size = place
    (x, y), (wide, _) = place
    predicted, true = int(probabilities.argmax()), int(dataset.labels[index])
    color = theme.ACTIVATION if predicted == true else theme.WRONG
    if predicted != true:
        _draw_frame(axes, corner, size, color, linewidth=2.5)
        truth = _fitting(f"true: {dataset.class_names[true]}", wide, TEXT)
        theme.write(axes, x, y - 0.32, truth, size=TEXT, ha="left", color=theme.MUTED)
    mark, share = "✓" if predicted == true else "✗", f", {probabilities[predicted]:.0%}"
    answer = _fitting(f"{mark} {dataset.class_names[predicted]}", wide - theme.text_width(share, TEXT) - 0.05, TEXT)
    theme.write(axes, x, y - 0.14, answer + share, size=TEXT, ha="left", color=theme.shade(color, 0.85))


def _size(dataset: Dataset, text_width: float) -> tuple[float, float]:
    """Return width and height of an image with room for a text of this width below it."""
    wide = min(max(NARROW, text_width), WIDE)
    rows, columns = dataset.images.shape[1:3]
    return wide, wide * rows / columns


def _draw_frame(axes: Axes, corner: tuple[float, float], size: tuple[float, float], color: str, **options: Any) -> None:
    axes.add_patch(Rectangle(corner, *size, facecolor="none", edgecolor=color, **options))


def _write_title(axes: Axes, title: str) -> None:
    theme.write(axes, MARGIN, axes.get_ylim()[1] - 0.34, title, size=theme.LARGE, ha="left", weight="bold")


def _title_width(title: str) -> float:
    return 2 * MARGIN + theme.text_width(title, theme.LARGE, "bold")


def _fitting(text: str, width: float, size: float, weight: str = "normal") -> str:
    """Return the text, or its beginning and an ellipsis, at most this wide in inches."""
    full = theme.text_width(text, size, weight)
    if full <= width:
        return text
    length = min(len(text), int(len(text) * width / full) + 3)
    while length > 1 and theme.text_width(fonts.shortened(text, length), size, weight) > width:
        length -= 1
    return fonts.shortened(text, length)


def _file_lines(name: str, width: float) -> list[str]:
    """Return a file name in one line, or in two that break after a separator; what is too long loses its middle.

    A place in a file, ``"photos.h5#17"``, breaks before its number, which stays whole.
    """
    if theme.text_width(name, TEXT) <= width:
        return [name]
    if place := re.fullmatch(r"(.+?) ?(#\d+\b.*)", name):
        return [_fitting_name(place[1], width), _fitting(place[2], width, TEXT)]
    ends = range(len(name) - len(_suffix(name)) - 1, 0, -1)  # the longest first line first
    for end in (end for end in ends if name[end - 1] in SEPARATORS):
        if theme.text_width(name[:end], TEXT) <= width:
            return [name[:end], _fitting_name(name[end:], width)]
    return [_fitting_name(name, width)]


def _fitting_name(name: str, width: float) -> str:
    """Return a file name, or its beginning, an ellipsis and its end with the whole suffix, at most this wide."""
    if theme.text_width(name, TEXT) <= width:
        return name
    least = len(_suffix(name)) + 1
    for length in range(len(name) - 1, least, -1):
        end = max(least, 2 * length // 3)  # names in a folder differ most at their end
        shortened = f"{name[: length - end]}…{name[-end:]}"
        if theme.text_width(shortened, TEXT) <= width:
            return shortened
    return f"…{name[-least:]}"


def _suffix(name: str) -> str:
    """Return the suffix of a file name; what is longer than that of an image is part of the name."""
    suffix = PurePosixPath(name).suffix
    return suffix if len(suffix) <= 5 else ""
