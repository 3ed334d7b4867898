"""The symbols of the diagrams: feature maps, operations, arrows. All lengths are in inches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Circle, FancyBboxPatch, PathPatch, Polygon
from matplotlib.path import Path

from resnet50.plots import theme
from resnet50.plots.diagrams.network import Operation, Shape, describe, is_a, is_relu

TALL, LOW = 0.45, 0.24
"""Heights of a row of operations with and without a convolution."""

RADIUS = 0.19
"""Radius of the circle of an addition."""

HEAD = 0.11
"""Length and width of an arrow's head."""

SLANT = 0.38
"""Horizontal and vertical extent of a slab's receding edges, as a share of their length."""


@dataclass(frozen=True)
class Scale:
    """How large to draw a feature map, relative to the largest of a figure.

    Attributes:
        side: Longest side of a feature map, in pixels.
        channels: Most channels of a feature map.
        height: Inches that ``side`` is drawn with.
        depth: Factor by which a width is drawn shorter than a height, 0..1.
        thickness: Inches that ``channels`` are drawn with.
        power: Exponent of ratios, 0..1, so that 2 pixels are still visible beside 64.
    """

    side: float
    channels: int
    height: float
    depth: float
    thickness: float
    power: float

    @classmethod
    def fit(cls, shapes: Iterable[Shape], *, height: float, depth: float, thickness: float, power: float) -> Scale:
        """Return the scale for a figure of feature maps of these shapes."""
        maps = [shape for shape in shapes if shape.sides]
        side = max(max(shape.extent) for shape in maps)
        return cls(side, max(shape.channels for shape in maps), height, depth, thickness, power)

    def size(self, shape: Shape) -> tuple[float, float, float]:
        """Return height, depth and thickness in inches."""
        rows, columns = (self.height * (side / self.side) ** self.power for side in shape.extent)
        return rows, columns * self.depth, max(0.07, self.thickness * (shape.channels / self.channels) ** self.power)

    def plate(self, shape: Shape) -> tuple[float, float, float]:
        """Return the same slab on its side: its height is for the channels, its thickness for the map's width."""
        rows, columns, channels = self.size(shape)
        return channels, rows * self.depth, columns / self.depth


def draw_slab(
    axes: Axes, left: float, middle: float, size: tuple[float, float, float], color: str, *, strength: float = 0.62
) -> float:
    """Draw a feature map as a slab seen from the side.

    Args:
        axes: Canvas.
        left: Left end of the slab.
        middle: Height of the path through the slab.
        size: Height, depth (for the map's width) and thickness (for its channels).
        color: Color of its faces.
        strength: Share of that color in the front face, 0..1; the rest is white.

    Returns:
        Right end of the slab.
    """
    height, depth, thickness = size
    run = depth * SLANT
    bottom = middle - (height + run) / 2
    front = [(left, bottom), (left + thickness, bottom), (left + thickness, bottom + height), (left, bottom + height)]
    top = [front[3], front[2], (front[2][0] + run, front[2][1] + run), (front[3][0] + run, front[3][1] + run)]
    side = [front[1], front[2], top[2], (front[1][0] + run, front[1][1] + run)]
    for corners, share in ((front, strength), (top, strength * 0.6), (side, min(1, strength * 1.35))):
        axes.add_patch(
            Polygon(
                corners,
                facecolor=theme.tint(color, share),
                edgecolor=theme.shade(color, 0.6),
                linewidth=0.8,
                joinstyle="round",
                zorder=3,
            )
        )
    return left + thickness + run


def slab_width(size: tuple[float, float, float]) -> float:
    """Return the width of a slab of this height, depth and thickness."""
    return size[2] + size[1] * SLANT


def slab_height(size: tuple[float, float, float]) -> float:
    """Return how high the drawing of a slab of this height, depth and thickness is."""
    return size[0] + size[1] * SLANT


def draw_box(axes: Axes, middle: float, top: float, rows: Sequence[Sequence[Operation]], width: float) -> float:
    """Draw consecutive operations as one box of rows, with a cell for each operation.

    Returns:
        Lower end of the box.
    """
    heights = [_row_height(row) for row in rows]
    left, bottom = middle - width / 2, top - sum(heights)
    outline = FancyBboxPatch(
        (left, bottom),
        width,
        top - bottom,
        boxstyle="round,pad=0,rounding_size=0.08",
        facecolor="none",
        edgecolor=theme.INK,
        linewidth=1.1,
        zorder=5,
    )
    axes.add_patch(outline)
    y = top
    for row, height in zip(rows, heights, strict=True):
        if row is not rows[0]:
            axes.plot([left, left + width], [y, y], color=theme.INK, linewidth=0.6, zorder=4)
        _draw_row(axes, row, (left, y - height), (width, height), outline)
        y -= height
    return bottom


def row_width(row: Sequence[Operation]) -> float:
    """Return the width that a row of operations needs."""
    return sum(_cell_width(operation) for operation in row)


def _draw_row(
    axes: Axes,
    row: Sequence[Operation],
    corner: tuple[float, float],
    size: tuple[float, float],
    outline: FancyBboxPatch,
) -> None:
    """Draw the cells of a row, which share the width that they do not need, inside an outline."""
    (left, bottom), (width, height) = corner, size
    spare = (width - row_width(row)) / len(row)
    for operation in row:
        wide = _cell_width(operation) + spare
        corners = [(left, bottom), (left + wide, bottom), (left + wide, bottom + height), (left, bottom + height)]
        color = theme.tint(_color(operation), 0.8 if _strides(operation) else 0.45)
        cell = Polygon(corners, facecolor=color, edgecolor="none", zorder=3)
        axes.add_patch(cell)
        cell.set_clip_path(outline)
        if operation is not row[0]:
            axes.plot([left, left], [bottom, bottom + height], color=theme.INK, linewidth=0.6, zorder=4)
        _write_operation(axes, left + wide / 2, bottom + height / 2, operation)
        left += wide


def _write_operation(axes: Axes, x: float, y: float, operation: Operation) -> None:
    if is_a(operation, "Conv2D"):
        theme.write(axes, x, y + 0.1, "conv", size=theme.SMALL, zorder=6)
        theme.write(axes, x, y - 0.085, describe(operation), weight="bold", zorder=6)
    else:
        theme.write(axes, x, y, describe(operation), size=theme.SMALL, zorder=6)


def draw_panel(axes: Axes, span: tuple[float, float], rise: tuple[float, float], color: str) -> None:
    """Draw a pale background over a ``span`` (left, right) and a ``rise`` (bottom, top)."""
    (left, right), (bottom, top) = span, rise
    axes.add_patch(
        FancyBboxPatch(
            (left, bottom),
            right - left,
            top - bottom,
            boxstyle="round,pad=0,rounding_size=0.14",
            facecolor=theme.tint(color, 0.09),
            edgecolor="none",
            zorder=0,
        )
    )


def draw_plus(axes: Axes, middle: float, top: float) -> float:
    """Draw an addition: a plus in a circle.

    Returns:
        Lower end of the circle.
    """
    y = top - RADIUS
    axes.add_patch(Circle((middle, y), RADIUS, facecolor="white", edgecolor=theme.INK, linewidth=1.4, zorder=4))
    arm = RADIUS * 0.55
    axes.plot([middle - arm, middle + arm], [y, y], color=theme.INK, linewidth=1.6, zorder=5)
    axes.plot([middle, middle], [y - arm, y + arm], color=theme.INK, linewidth=1.6, zorder=5)
    return top - 2 * RADIUS


def draw_arrow(axes: Axes, left: float, middle: float, length: float, color: str = theme.INK) -> float:
    """Draw an arrow to the right.

    Returns:
        Right end of its head.
    """
    draw_line(axes, [(left, middle), (left + length, middle)], color=color)
    return left + length


def draw_arrow_down(axes: Axes, middle: float, top: float, length: float, color: str = theme.INK) -> float:
    """Draw an arrow to the bottom.

    Returns:
        Lower end of its head.
    """
    draw_line(axes, [(middle, top), (middle, top - length)], color=color)
    return top - length


def draw_line(
    axes: Axes,
    points: Sequence[tuple[float, float]],
    *,
    color: str,
    radius: float = 0.0,
    width: float = 1.8,
    head: bool = True,
) -> None:
    """Draw a line of horizontal and vertical segments with rounded bends, and an arrowhead at its end."""
    vertices, codes = [points[0]], [Path.MOVETO]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        vertices += [_towards(corner, before, radius), corner, _towards(corner, after, radius)]
        codes += [Path.LINETO, Path.CURVE3, Path.CURVE3]
    path = Path([*vertices, _towards(points[-1], vertices[-1], HEAD * 0.6 if head else 0)], [*codes, Path.LINETO])
    axes.add_patch(PathPatch(path, facecolor="none", edgecolor=color, linewidth=width, capstyle="butt", zorder=2))
    if head:
        (x, y), (from_x, from_y) = points[-1], vertices[-1]
        along = ((x > from_x) - (x < from_x), (y > from_y) - (y < from_y))
        across = (-along[1], along[0])
        back = (x - HEAD * along[0], y - HEAD * along[1])
        corners = [(back[0] + sign * HEAD / 2 * across[0], back[1] + sign * HEAD / 2 * across[1]) for sign in (1, -1)]
        axes.add_patch(Polygon([points[-1], *corners], facecolor=color, edgecolor="none", zorder=2))


def draw_vector(axes: Axes, left: float, middle: float, height: float, color: str) -> float:
    """Draw a vector as a thin upright bar.

    Returns:
        Its right end.
    """
    width = 0.09
    axes.add_patch(
        FancyBboxPatch(
            (left, middle - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.04",
            facecolor=theme.tint(color, 0.62),
            edgecolor=theme.shade(color, 0.6),
            linewidth=0.8,
            zorder=3,
        )
    )
    return left + width


def draw_classes(axes: Axes, left: float, middle: float, count: int, color: str) -> float:
    """Draw a column of circles, one per class, with three dots in place of some if there are more than seven.

    Returns:
        Right end of the column.
    """
    radius, pitch = 0.075, 0.21
    rows = min(count, 7)
    for row in range(rows):
        center = (left + radius, middle + ((rows - 1) / 2 - row) * pitch)
        if count > rows and row == rows - 2:
            for step in (-0.055, 0, 0.055):
                axes.add_patch(Circle((center[0], center[1] + step), 0.014, facecolor=theme.INK, edgecolor="none"))
            continue
        face, edge = theme.tint(color, 0.62), theme.shade(color, 0.6)
        axes.add_patch(Circle(center, radius, facecolor=face, edgecolor=edge, linewidth=0.8, zorder=3))
    return left + 2 * radius


def draw_hop(axes: Axes, span: tuple[float, float], rise: tuple[float, float], *, projected: bool) -> None:
    """Draw a shortcut over a block; a square on it stands for a convolution."""
    (left, right), (bottom, top) = span, rise
    line = [(left, bottom), (left, top), (right, top), (right, bottom)]
    draw_line(axes, line, color=theme.SHORTCUT, radius=0.12, width=1.4, head=False)
    if projected:
        draw_projection(axes, (left + right) / 2, top)


def draw_projection(axes: Axes, x: float, y: float) -> None:
    """Draw the square that stands for the convolution of a shortcut."""
    half = 0.065
    corners = [(x - half, y - half), (x + half, y - half), (x + half, y + half), (x - half, y + half)]
    axes.add_patch(Polygon(corners, facecolor="white", edgecolor=theme.SHORTCUT, linewidth=1.6, zorder=4))


def draw_joint(axes: Axes, x: float, y: float) -> None:
    """Draw the dot at which shortcuts leave and join the path."""
    axes.add_patch(Circle((x, y), 0.042, facecolor=theme.SHORTCUT, edgecolor="white", linewidth=0.8, zorder=4))


def _towards(start: tuple[float, float], end: tuple[float, float], distance: float) -> tuple[float, float]:
    length = ((end[0] - start[0]) ** 2 + (end[1] - start[1]) ** 2) ** 0.5
    share = min(distance, length / 2) / length if length else 0
    return start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1])


def _row_height(row: Sequence[Operation]) -> float:
    return TALL if any(is_a(operation, "Conv2D") for operation in row) else LOW


def _cell_width(operation: Operation) -> float:
    if is_a(operation, "Conv2D"):
        return theme.text_width(describe(operation), theme.NORMAL, "bold") + 0.16
    return theme.text_width(describe(operation), theme.SMALL) + 0.16


def _strides(operation: Operation) -> bool:
    """Return whether an operation skips positions; such cells are darker."""
    return max(getattr(operation, "strides", (1,))) > 1


def _color(operation: Operation) -> str:
    if is_a(operation, "Conv2D"):
        return theme.CONVOLUTION
    if is_a(operation, "BatchNormalization"):
        return theme.NORMALIZATION
    return theme.ACTIVATION if is_relu(operation) else theme.OTHER
