"""A residual block drawn from top to bottom, as in figure 5 of the paper and as in the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from resnet50.plots import theme
from resnet50.plots.diagrams import glyphs
from resnet50.plots.diagrams.glyphs import Scale
from resnet50.plots.diagrams.network import Block, Operation, Shape, is_a

# All in inches.
ARROW = 0.15
ASIDE = 0.08  # from a feature map to the text beside it
CORNER = 0.16
FRAME = 0.12  # from the boxes of a path to the edge of their panel


class BlockColumn:
    """A block with its residual path at the left and its shortcut, if it has one, at the right.

    Attributes:
        right: Right end of the drawing.
    """

    def __init__(self, axes: Axes, block: Block, shapes: Mapping[Operation, Shape], left: float) -> None:
        self.axes, self.block, self.shapes = axes, block, shapes
        shortcut = block.shortcut or ()
        maps = (shapes[operation] for operation in (block.source, *block.residual, *shortcut))
        self.scale = Scale.fit(maps, height=0.5, depth=0.8, thickness=0.16, power=0.5)
        self.main_width, self.bypass_width = (_box_width(path) for path in (block.residual, shortcut))
        self.left = left
        self.main = left + FRAME + self.main_width / 2
        self.edge = self.main + max(self.main_width / 2 + FRAME, *map(self._reach, _ends(block.residual)))
        self.bypass = self.edge + 0.17 + self.bypass_width / 2
        labels = [theme.text_width(str(shapes[each]), theme.SMALL) / 2 for each in shortcut[-1:]]
        self.right = (
            self.edge
            if block.shortcut is None
            else self.bypass + max(self.bypass_width / 2, 0.08 + theme.text_width("x", theme.NORMAL), *labels)
        )

    def draw(self, top: float) -> float:
        """Draw the block below ``top``; return its lower end."""
        block, main = self.block, self.main
        y = self._draw_map(main, top, block.source)
        for rows in _boxes(block.before):
            y = glyphs.draw_arrow_down(self.axes, main, y, ARROW)
            y = glyphs.draw_box(self.axes, main, y, rows, self.main_width)
        fork = y - 0.11
        begin = glyphs.draw_arrow_down(self.axes, main, y, 0.56)
        end = self._draw_path(main, begin, block.residual, self.main_width, theme.INK)
        glyphs.draw_panel(self.axes, (self.left, self.edge), (end - 0.12, begin + 0.3), theme.MUTED)
        theme.write(self.axes, self.left + FRAME, begin + 0.15, f"F({block.argument})", ha="left", weight="bold")
        y = glyphs.draw_arrow_down(self.axes, main, end, 0.32)
        if block.shortcut is not None:
            self._draw_shortcut(block.shortcut, fork, begin, y - glyphs.RADIUS)
            y = glyphs.draw_plus(self.axes, main, y)
        for operation in block.tail:
            y = glyphs.draw_arrow_down(self.axes, main, y, ARROW) if block.shortcut is not None else y
            y = glyphs.draw_box(self.axes, main, y, [[operation]], _box_width(block.tail))
        y = glyphs.draw_arrow_down(self.axes, main, y, ARROW)
        return self._draw_map(main, y, block.output)

    def _draw_shortcut(self, shortcut: Sequence[Operation], fork: float, begin: float, join: float) -> None:
        """Draw the shortcut from the fork before the block to the addition; its operations start at ``begin``."""
        main, bypass = self.main, self.bypass
        start, last = [(main, fork), (bypass, fork)], [(bypass, join), (main + glyphs.RADIUS, join)]
        if self.block.is_identity:
            glyphs.draw_line(self.axes, [*start, *last], color=theme.SHORTCUT, radius=CORNER)
            end = begin
        else:
            glyphs.draw_line(self.axes, [*start, (bypass, begin)], color=theme.SHORTCUT, radius=CORNER)
            end = self._draw_path(bypass, begin, shortcut, self.bypass_width, theme.SHORTCUT, below=True)
            glyphs.draw_line(self.axes, [(bypass, end), *last], color=theme.SHORTCUT, radius=CORNER)
        words, place = self.block.carried, (bypass + 0.08, (end + join) / 2)
        theme.write(self.axes, *place, str(words), ha="left", weight="bold", color=theme.SHORTCUT)

    def _draw_path(
        self, x: float, y: float, operations: Sequence[Operation], width: float, color: str, *, below: bool = False
    ) -> float:
        """Draw operations, each convolution with what follows it, and the feature map after it; return the end."""
        for position, rows in enumerate(_boxes(operations)):
            y = glyphs.draw_arrow_down(self.axes, x, y, ARROW, color) if position else y
            y = glyphs.draw_box(self.axes, x, y, rows, width)
            y = glyphs.draw_arrow_down(self.axes, x, y, ARROW, color)
            y = self._draw_map(x, y, rows[-1][-1], below=below)
        return y

    def _draw_map(self, x: float, top: float, operation: Operation, *, below: bool = False) -> float:
        """Draw the output of an operation as a plate with its size beside or below it; return the lower end."""
        size, text = self.scale.plate(self.shapes[operation]), str(self.shapes[operation])
        half, rise = glyphs.slab_width(size) / 2, glyphs.slab_height(size)
        glyphs.draw_slab(self.axes, x - half, top - rise / 2, size, theme.FEATURES)
        if below:
            theme.write(self.axes, x, top - rise - 0.13, text, size=theme.SMALL)
            return top - rise - 0.24
        theme.write(self.axes, x + half + ASIDE, top - rise / 2, text, size=theme.SMALL, ha="left")
        return top - rise

    def _half(self, operation: Operation) -> float:
        """Return the distance from a path to the text beside a feature map on it."""
        return glyphs.slab_width(self.scale.plate(self.shapes[operation])) / 2 + ASIDE

    def _reach(self, operation: Operation) -> float:
        """Return how far a feature map and its text extend to the right of the path, with room after them."""
        return self._half(operation) + theme.text_width(str(self.shapes[operation]), theme.SMALL) + 0.06


def _boxes(operations: Sequence[Operation]) -> list[list[list[Operation]]]:
    """Split a path into boxes of rows: a convolution with its padding, and below it what follows."""
    boxes: list[list[list[Operation]]] = []
    for operation in operations:
        padded = bool(boxes) and is_a(boxes[-1][-1][-1], "ZeroPadding2D")
        begins = is_a(operation, "Conv2D", "ZeroPadding2D") and not padded
        if begins or not boxes:
            boxes.append([[operation]])
        elif padded or len(boxes[-1]) > 1:
            boxes[-1][-1].append(operation)
        else:
            boxes[-1].append([operation])
    return boxes


def _ends(operations: Sequence[Operation]) -> list[Operation]:
    """Return the last operation of each box."""
    return [rows[-1][-1] for rows in _boxes(operations)]


def _box_width(operations: Sequence[Operation]) -> float:
    """Return the width of the widest box of a path; 0 without operations."""
    return max((glyphs.row_width(row) for rows in _boxes(operations) for row in rows), default=0)
