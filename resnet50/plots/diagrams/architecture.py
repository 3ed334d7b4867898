"""Diagrams of a residual block and of a whole network, drawn from the graph of a Keras model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet50.plots import theme
from resnet50.plots.diagrams import glyphs
from resnet50.plots.diagrams.column import BlockColumn
from resnet50.plots.diagrams.glyphs import Scale
from resnet50.plots.diagrams.network import (
    TIMES,
    Block,
    Network,
    Operation,
    Shape,
    describe,
    describe_kernel,
    is_a,
    read_network,
)

if TYPE_CHECKING:
    import keras

# All in inches.
MARGIN = 0.22
ARROW = 0.23
GAP = 0.16  # between the blocks of a stage
CORNER = 0.16
BETWEEN = 0.27  # columns of blocks
LINE = 0.24  # from one line of text to the next
LEGEND_ICON = 0.62


def draw_block(model: keras.Model, block: str) -> Figure:
    """Draw a residual block: its convolutions, its shortcut and the size of every feature map.

    Args:
        model: Functional model, such as `resnet50.build.build_resnet50` returns.
        block: Name of the block, such as ``"conv2_block2"``.

    Returns:
        Figure of about 4 x 8 inches.

    Raises:
        ValueError: If the model has no residual blocks, or none of that name.

    Source: He et al. 2015, arXiv:1512.03385, figure 5 (right), with the sizes of this model.
    """
    network = read_network(model)
    found = network.block(block, model.name)
    residual = f"F({found.argument})"
    learned = f"{residual}: the residual that the block learns"
    if found.shortcut is None:
        title, lines = "Plain block", ["no shortcut", f"{residual}: all that the block computes"]
    elif found.is_identity:
        title, lines = "Identity block", ["x: the shortcut passes the input on", learned]
    else:
        projected = f"{found.carried}: the shortcut projects {str(found.carried)[-1]} to the size of {residual}"
        title, lines = "Convolutional block", [projected, learned]
    return _draw_columns(title, block, [(found, network.shapes, [found.equation, *lines])])


def draw_conventions(models: Mapping[str, keras.Model], block: str, *, title: str) -> Figure:
    """Draw the same block of several networks side by side, such as one with the conventions of v1 and one of v1.5.

    Args:
        models: Functional models by the name that is written above each.
        block: Name of the block, such as ``"conv3_block1"``.
        title: Title of the figure.

    Returns:
        Figure of about 4 inches per model x 8 inches.

    Raises:
        ValueError: If a model has no residual blocks, or none of that name.
    """
    columns = []
    for name, model in models.items():
        network = read_network(model)
        found = network.block(block, model.name)
        columns.append((found, network.shapes, [name, *_describe_strides(found)]))
    return _draw_columns(title, block, columns)


def _draw_columns(
    title: str, name: str, columns: Sequence[tuple[Block, Mapping[Operation, Shape], Sequence[str]]]
) -> Figure:
    """Draw blocks side by side, each with lines of text above it, under a title and the ``name`` of the block."""
    figure, axes = theme.new_canvas(4, 7)
    theme.write(axes, MARGIN, -0.34, title, size=theme.LARGE, ha="left", weight="bold")
    left, bottom = MARGIN, 0.0
    for block, shapes, (heading, *lines) in columns:
        theme.write(axes, left, -0.72, heading, ha="left", weight="bold")
        for position, line in enumerate(lines):
            theme.write(axes, left, -0.97 - LINE * position, line, size=theme.SMALL, ha="left", color=theme.MUTED)
        column = BlockColumn(axes, block, shapes, left)
        bottom = min(bottom, column.draw(-0.94 - LINE * len(lines)))
        left = max(column.right, left + _texts_width(lines)) + BETWEEN
    titles = theme.text_width(title, theme.LARGE, "bold") + 0.3 + theme.text_width(name, theme.NORMAL)
    right = MARGIN + max(left - BETWEEN, MARGIN + titles)
    theme.write(axes, right - MARGIN, -0.36, name, ha="right", color=theme.MUTED)
    return _fit(figure, axes, right, (bottom - MARGIN, 0))


def _fit(figure: Figure, axes: Axes, right: float, rise: tuple[float, float]) -> Figure:
    """Fit a canvas to what is drawn on it, from 0 to ``right`` and over a ``rise`` (bottom, top)."""
    figure.set_size_inches(right, rise[1] - rise[0])
    axes.set(xlim=(0, right), ylim=rise)
    return figure


def _legend(network: Network) -> dict[bool, str]:
    """Return the equation of both types of blocks: whether the shortcut is projected, and its text; of plain ones."""
    equations = {not block.is_identity: block.equation for block in network.blocks}
    if network.blocks[0].shortcut is None:
        return {False: f"block: {equations[True]}, without a shortcut"}
    names = {True: "convolutional block", False: "identity block"}
    return {kind: f"{name}: {equations[kind]}" for kind, name in names.items() if kind in equations}


def _describe_strides(block: Block) -> list[str]:
    """Return a line for each convolution of the residual path that has a stride."""
    strided = [layer for layer in block.residual if is_a(layer, "Conv2D") and max(layer.strides) > 1]
    return [
        f"stride {layer.strides[0]} on the {describe_kernel(layer)}, {_describe_reading(layer)}" for layer in strided
    ]


def _describe_reading(convolution: Operation) -> str:
    """Return how much of its input a convolution with a stride reads."""
    if min(convolution.kernel_size) >= max(convolution.strides):
        return "which reads every position"
    return f"which reads {math.prod(convolution.kernel_size)} of {math.prod(convolution.strides)} positions"


def draw_network(model: keras.Model, *, width: float = math.inf) -> Figure:
    """Draw a residual network from the input image to the classes: every block, and the size after each stage.

    Args:
        model: Functional model, such as `resnet50.build.build_resnet50` returns.
        width: Inches at which a new line of columns begins; a column that is wider stands alone. By default all stand
            in one line; 6.3 is for narrow screens.

    Returns:
        Figure of about 11 x 5 inches, wider if there are many blocks, or of about ``width`` and several lines.

    Raises:
        ValueError: If the model has no residual blocks.

    Source: He et al. 2015, arXiv:1512.03385, table 1, with the sizes of this model.
    """
    network = read_network(model)
    row = _Row(network, width)
    row.add_stem()
    for position, (name, blocks) in enumerate(groupby(network.blocks, key=lambda block: block.stage)):
        row.add_stage(name, list(blocks), theme.STAGES[position % len(theme.STAGES)])
    row.add_head()
    parameters = model.count_params()
    amount = f"{parameters / 1e6:.1f} million" if parameters >= 1e6 else f"{parameters:,}"
    kind = "plain" if network.blocks[0].shortcut is None else "residual"
    number = f"{len(network.blocks)} {kind} block" + "s" * (len(network.blocks) > 1)
    return row.finish(f"{'Plain' if kind == 'plain' else 'ResNet'}-{network.depth}", f"{amount} parameters in {number}")


class _Row:
    """The columns of `draw_network` from left to right, on a new line where the width ends."""

    def __init__(self, network: Network, width: float) -> None:
        self.network, self.width, self.legend = network, width, _legend(network)
        self.scale = Scale.fit(network.shapes.values(), height=1.75, depth=0.25, thickness=0.23, power=0.4)
        self.tallest = max(self._rise(operation) for operation, shape in network.shapes.items() if shape.sides)
        self.tallest_block = max(self._rise(block.output) for block in network.blocks) + 0.15
        self.figure, self.axes = theme.new_canvas(11, 5)
        self.left, self.farthest = MARGIN, MARGIN
        self.path: float | None = None
        self._place(0)
        self.top = max(self.tallest, self.panel[1])

    def _place(self, middle: float) -> None:
        """Begin a line of columns whose path has this height."""
        self.middle = middle
        below = max(self.tallest, self.tallest_block + 0.08)
        self.titles = middle - below - 0.2  # height of the columns' titles
        self.panel = (middle - below + 0.08, middle + self.tallest_block + 0.27)
        self.lowest = self.titles

    def _begin(self, width: float) -> None:
        """Begin a column, on a new line if this one has no room for it."""
        if self.path is None or self.left + width + MARGIN <= self.width:
            return
        right, turn, before = self.left + 0.05, self.lowest - 0.42, self.middle
        self._place(turn - 0.22 - max(self.tallest, self.panel[1] - self.middle))
        self.left = MARGIN + 0.3
        corners = [(right, before), (right, turn), (MARGIN, turn), (MARGIN, self.middle), (self.left, self.middle)]
        line = [(self.path, before), *corners]
        glyphs.draw_line(self.axes, line, color=theme.INK, radius=CORNER, head=False)
        self.path = self.left
        self.farthest = max(self.farthest, right)

    def add_stem(self) -> None:
        """Draw the input and the feature maps before the first block."""
        first, *others = self.network.stem
        shown = [each for each in others if is_a(each, "Conv2D", "MaxPooling2D", "AveragePooling2D")]
        self._add_maps("input", [first], [])
        if shown:
            self._add_maps("stem", shown, [describe(each) for each in shown])

    def add_stage(self, name: str, blocks: Sequence[Block], color: str) -> None:
        """Draw the blocks of a stage on a panel, with a shortcut over each and joints between them."""
        size = self.scale.size(self.network.shapes[blocks[-1].output])
        slab = glyphs.slab_width(size)
        texts = [name, str(self.network.shapes[blocks[-1].output])]
        convolutions = [describe(layer) for layer in blocks[-1].residual if is_a(layer, "Conv2D")]
        drawn = len(blocks) * slab + (len(blocks) + 1) * GAP
        repeat = f"{TIMES} {len(blocks)}"
        table = _texts_width(convolutions) + 0.3 + theme.text_width(repeat, theme.SMALL)
        width = max(_texts_width(texts) + 0.1, table, drawn)
        self._begin(width)
        at = self.left + (width - drawn) / 2
        glyphs.draw_panel(self.axes, (self.left, self.left + width), self.panel, color)
        self._lead_to(at + GAP / 2, head=False)
        end = at + drawn - GAP / 2
        glyphs.draw_line(self.axes, [(at + GAP / 2, self.middle), (end, self.middle)], color=theme.INK, head=False)
        top = self.middle + self._rise(blocks[-1].output) + 0.15
        for block in blocks:
            span = (at + GAP / 2, at + GAP * 1.5 + slab)
            if block.shortcut is not None:
                glyphs.draw_joint(self.axes, at + GAP / 2, self.middle)
                glyphs.draw_hop(self.axes, span, (self.middle, top), projected=not block.is_identity)
            strength = 0.4 if block.is_identity else 0.9
            glyphs.draw_slab(self.axes, at + GAP, self.middle, size, color, strength=strength)
            at = span[1] - GAP / 2
        if blocks[-1].shortcut is not None:
            glyphs.draw_joint(self.axes, end, self.middle)
        self.path = end
        center = self.left + width / 2
        self._write(center, texts, color)
        self._write_repeated(center, convolutions, repeat)
        self.left += width + 0.1

    def add_head(self) -> None:
        """Draw the layers from the last feature map to the classes; nothing if the network ends with a feature map."""
        shapes = self.network.shapes
        vectors = [each for each in self.network.head if not shapes[each].sides and not is_a(each, "Dropout")]
        if not vectors:
            return
        last = vectors[-1]
        classified = is_a(last, "Dense")
        texts = ["head", f"{shapes[last]} classes" if classified else str(shapes[last])]
        texts += [describe(vector) for vector in vectors]
        drawn = 0.09 + 0.45 * (len(vectors) - 1)
        width = max(_texts_width(texts), drawn + 0.35)
        self._begin(width + 0.1)
        self.left += 0.1
        x = self.left + (width - drawn) / 2
        for vector in vectors:
            self._lead_to(x)
            count = shapes[vector].channels
            if vector is last and classified:
                self.path = glyphs.draw_classes(self.axes, x, self.middle, count, theme.OTHER)
            else:
                theme.write(self.axes, x + 0.045, self.middle + 0.78, str(count), size=theme.SMALL, color=theme.MUTED)
                self.path = glyphs.draw_vector(self.axes, x, self.middle, 1.3, theme.FEATURES)
            x += 0.45
        self._write(self.left + width / 2, texts, theme.INK)
        self.left += width

    def finish(self, title: str, facts: str) -> Figure:
        """Write title and legend above the first line, and fit the figure to the columns."""
        y = self.top + 0.4
        ends = [max(self.left, self.farthest)]
        for line in reversed(self._legend_lines()):
            ends.append(self._draw_legend(line, y))
            y += 0.4
        offset = theme.text_width(title, theme.LARGE, "bold") + 0.22
        if 2 * MARGIN + offset + theme.text_width(facts, theme.NORMAL) > self.width:
            theme.write(self.axes, MARGIN, y, facts, ha="left", color=theme.MUTED)
            y, ends = y + 0.36, [*ends, MARGIN + theme.text_width(facts, theme.NORMAL)]
        else:
            theme.write(self.axes, MARGIN + offset, y + 0.045, facts, ha="left", color=theme.MUTED)
        theme.write(self.axes, MARGIN, y + 0.06, title, size=theme.LARGE, ha="left", weight="bold")
        return _fit(self.figure, self.axes, max(ends) + MARGIN, (self.lowest - 0.3, y + 0.38))

    def _rise(self, operation: Operation) -> float:
        """Return how far the slab of an operation extends above and below the path."""
        height, depth, _ = self.scale.size(self.network.shapes[operation])
        return (height + depth * glyphs.SLANT) / 2

    def _legend_lines(self) -> list[list[bool]]:
        """Return both types of blocks, projected or not, in one line if the width has room for them."""
        needed = 2 * MARGIN + sum(
            LEGEND_ICON + theme.text_width(text, theme.SMALL) + 0.4 for text in self.legend.values()
        )
        return [list(self.legend)] if needed - 0.4 <= self.width else [[projected] for projected in self.legend]

    def _draw_legend(self, types: Sequence[bool], y: float) -> float:
        """Draw types of blocks with their equations; return the right end."""
        x = end = MARGIN
        size = (0.2, 0.1, 0.12)
        wire = GAP * 2 + glyphs.slab_width(size)
        for projected in types:
            glyphs.draw_line(self.axes, [(x, y - 0.05), (x + wire, y - 0.05)], color=theme.INK, head=False)
            joints = () if self.network.blocks[0].shortcut is None else (x + GAP / 2, x + wire - GAP / 2)
            if joints:
                glyphs.draw_hop(self.axes, joints, (y - 0.05, y + 0.16), projected=projected)
            strength = 0.9 if projected else 0.4
            glyphs.draw_slab(self.axes, x + GAP, y - 0.05, size, theme.FEATURES, strength=strength)
            for joint in joints:
                glyphs.draw_joint(self.axes, joint, y - 0.05)
            beside, text = x + LEGEND_ICON, self.legend[projected]
            theme.write(self.axes, beside, y, text, size=theme.SMALL, ha="left", color=theme.MUTED)
            end = beside + theme.text_width(text, theme.SMALL)
            x = end + 0.4
        return end

    def _add_maps(self, title: str, operations: Sequence[Operation], lines: Sequence[str]) -> None:
        texts = [title, str(self.network.shapes[operations[-1]]), *lines]
        sizes = [self.scale.size(self.network.shapes[operation]) for operation in operations]
        drawn = sum(glyphs.slab_width(size) for size in sizes) + ARROW * (len(sizes) - 1)
        width = max(_texts_width(texts), drawn)
        self._begin(width)
        x = self.left + (width - drawn) / 2
        self._lead_to(x)
        for position, size in enumerate(sizes):
            x = glyphs.draw_arrow(self.axes, x, self.middle, ARROW) if position else x
            x = glyphs.draw_slab(self.axes, x, self.middle, size, theme.FEATURES)
        self.path = x
        self._write(self.left + width / 2, texts, theme.INK)
        self.left += width + 0.2

    def _lead_to(self, x: float, *, head: bool = True) -> None:
        """Extend the path to the right."""
        if self.path is not None:
            line = [(self.path, self.middle), (x, self.middle)]
            glyphs.draw_line(self.axes, line, color=theme.INK, head=head)

    def _write(self, x: float, texts: Sequence[str], color: str) -> None:
        title, size, *lines = texts
        theme.write(self.axes, x, self.titles, title, weight="bold", color=theme.shade(color, 0.72))
        theme.write(self.axes, x, self.titles - LINE, size, size=theme.SMALL)
        for position, line in enumerate(lines):
            y = self._line(position)
            theme.write(self.axes, x, y, line, size=theme.SMALL, color=theme.MUTED)

    def _line(self, position: int) -> float:
        """Return the height of a line of text below the title and size of a column."""
        y = self.titles - LINE * (position + 2.25)
        self.lowest = min(self.lowest, y)
        return y

    def _write_repeated(self, x: float, lines: Sequence[str], repeat: str) -> None:
        """Write the convolutions of a stage in brackets and the number of blocks, as in table 1 of the paper."""
        half = max(theme.text_width(line, theme.SMALL) for line in lines) / 2 + 0.085
        x -= theme.text_width(repeat, theme.SMALL) / 2 + 0.04
        ys = [self._line(position) for position in range(len(lines))]
        for y, line in zip(ys, lines, strict=True):
            theme.write(self.axes, x, y, line, size=theme.SMALL, color=theme.MUTED)
        top, bottom = ys[0] + LINE * 0.45, ys[-1] - LINE * 0.45
        for side in (-1, 1):
            edge, inner = x + side * half, x + side * (half - 0.05)
            self.axes.plot([inner, edge, edge, inner], [top, top, bottom, bottom], color=theme.MUTED, linewidth=1)
        theme.write(self.axes, x + half + 0.08, (top + bottom) / 2, repeat, size=theme.SMALL, ha="left")


def _texts_width(texts: Iterable[str]) -> float:
    return max(theme.text_width(text, theme.SMALL) for text in texts)
