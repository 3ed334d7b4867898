"""Figure of the loss on planes through the weights of several networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from resnet50.plots import theme

_SIDE = 2.3  # inches of a plane
_LEVELS = 9


def draw_loss_planes(planes: Mapping[str, Sequence[np.ndarray]], steps: Sequence[float]) -> Figure:
    """Draw the loss on planes through the weights, a row for each setting and a column for each seed.

    Args:
        planes: Under the name of each setting, the losses in nats of each seed, ``(k, k)``, as in
            `resnet50.anatomy.landscape.LossSlice`.
        steps: The distances from the weights along both directions, ``(k,)``.

    Returns:
        Figure with contours at levels that all planes share, evenly spaced in the logarithm; a dot marks the weights.
    """
    values = np.concatenate([np.ravel(plane) for row in planes.values() for plane in row])
    low, high = np.log10(np.maximum([values.min(), values.max()], 1e-3))
    levels = np.logspace(low, max(high, low + 0.1), _LEVELS)
    columns = max(len(row) for row in planes.values())
    width, height = _SIDE * columns + 2.3, (_SIDE + 0.2) * len(planes) + 0.4
    figure = theme.new_figure(width, height)
    grid = figure.add_gridspec(
        len(planes), columns, left=0.5 / width, right=1 - 1.6 / width, top=1 - 0.35 / height, bottom=0.35 / height,
        wspace=0.25, hspace=0.2,
    )  # fmt: skip
    for row, (name, losses) in enumerate(planes.items()):
        for column, plane in enumerate(losses):
            axes = figure.add_subplot(grid[row, column])
            _draw_plane(axes, np.asarray(plane), steps, levels)
            theme.write_title(axes, f"{name}, seed {column}", size=theme.SMALL)
    _write_levels(figure, levels, 1 - 1.45 / width)
    return figure


def _draw_plane(axes: Axes, plane: np.ndarray, steps: Sequence[float], levels: np.ndarray) -> None:
    theme.style_axes(axes)
    axes.grid(False)
    axes.set(aspect="equal", xticks=[steps[0], 0, steps[-1]], yticks=[steps[0], 0, steps[-1]])
    axes.label_outer()
    shown = np.clip(plane, levels[0], levels[-1])
    axes.contourf(steps, steps, shown, levels=levels, colors=_colors(len(levels) - 1))
    axes.contour(steps, steps, shown, levels=levels, colors=theme.INK, linewidths=0.5)
    axes.plot([0], [0], "o", color=theme.WRONG, markersize=5)


def _colors(count: int) -> list[tuple[float, float, float]]:
    """Return colors from dark, for a low loss, to almost white."""
    return [theme.tint(theme.TRAINING, share) for share in np.linspace(1, 0.08, count)]


def _write_levels(figure: Figure, levels: np.ndarray, left: float) -> None:
    """Write the legend from ``left``, a share of the width: a colored box for each range of the loss."""
    width, height = figure.get_size_inches()
    theme.write(figure, left, 1 - 0.3 / height, "Loss (nats)", size=theme.SMALL, ha="left")
    for number, (color, low, high) in enumerate(zip(_colors(len(levels) - 1), levels, levels[1:], strict=False)):
        y = 1 - (0.6 + 0.26 * number) / height
        figure.add_artist(Rectangle((left, y - 0.08 / height), 0.2 / width, 0.16 / height, color=color))
        theme.write(figure, left + 0.28 / width, y, f"{low:.2g} to {high:.2g}", size=theme.SMALL, ha="left")
