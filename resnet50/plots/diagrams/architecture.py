"""Diagrams of a residual block and of a whole network, drawn from the graph of a Keras model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet50.plots import theme
from resnet50.plots.diagrams import glyphs
from resnet50.plots.diagrams.glyphs import Scale
from resnet50.plots.diagrams.network import TIMES, Block, Network, Operation, Shape, describe, is_a, read_network

if TYPE_CHECKING:
    import keras

# All in inches.
MARGIN = 0.22
ARROW = 0.23
GAP = 0.16  # between the blocks of a stage
CORNER = 0.16
LINE = 0.24  # from one line of text to the next


def draw_block(model: keras.Model, block: str) -> Figure:
    """Draw a residual block: its convolutions, its shortcut and the size of every feature map.

    Args:
        model: Functional model, such as `resnet50.build.build_resnet50` returns.
        block: Name of the block, such as ``"conv2_block2"``.

    Returns:
        Figure of about 11 x 4 inches.

    Raises:
        ValueError: If the model has no residual blocks, or none of that name.

    Source: He et al. 2015, arXiv:1512.03385, figure 5 (right), with the sizes of this model.
    """
    network = read_network(model)
    named = {each.name: each for each in network.blocks}
    if block not in named:
        raise ValueError(f"{model.name}: expected the name of a block, one of {', '.join(named)}, got {block!r}.")
    return _BlockDiagram(named[block], network.shapes).draw()


class _BlockDiagram:
    """A residual block with its residual path below and its shortcut above."""

    MAIN = 1.15  # height of the residual path

    def __init__(self, block: Block, shapes: Mapping[Operation, Shape]) -> None:
        self.block, self.shapes = block, shapes
        self.scale = Scale.fit(
            (shapes[operation] for operation in (block.source, *block.residual, *block.shortcut)),
            height=0.68, depth=0.9, thickness=0.36, power=0.5,
        )  # fmt: skip
        self.bypass = self.MAIN + (1.42 if block.is_identity else 1.88)  # height of the shortcut
        self.height = self.bypass + (0.98 if block.is_identity else 1.16)
        self.figure, self.axes = theme.new_canvas(11, self.height)

    def draw(self) -> Figure:
        """Draw the block from its input to its output, and fit the figure to it."""
        axes, block, main = self.axes, self.block, self.MAIN
        x = self._draw_map(MARGIN + self._overhang(block.source), main, block.source)
        fork = x + 0.16
        begin = glyphs.draw_arrow(axes, x, main, max(0.52, self._overhang(block.source) + 0.26))
        x = self._draw_path(begin, main, block.residual, theme.INK)
        aside = self._overhang(block.residual[-1]) + 0.12
        glyphs.draw_panel(axes, (begin - 0.16, x + aside), (main - 0.9, main + 1.06), theme.MUTED)
        _write_meaning(axes, begin, main + 0.8, "F(x)", "the residual function that the block learns")
        x = glyphs.draw_arrow(axes, x, main, aside + 0.3)
        self._draw_shortcut(fork, begin, x + glyphs.RADIUS)
        x = glyphs.draw_plus(axes, x, main)
        for operation in block.tail:
            x = glyphs.draw_arrow(axes, x, main, ARROW)
            x = glyphs.draw_operations(axes, x, main, [operation])
        x = glyphs.draw_arrow(axes, x, main, ARROW)
        right = self._draw_map(x, main, block.output) + self._overhang(block.output) + MARGIN
        _write_block_title(axes, block, right, self.height - 0.3)
        self.figure.set_size_inches(right, self.height)
        axes.set_xlim(0, right)
        return self.figure

    def _draw_shortcut(self, fork: float, begin: float, join: float) -> None:
        """Draw the shortcut from the fork before the block to the addition; its operations start at ``begin``."""
        axes, main, bypass = self.axes, self.MAIN, self.bypass
        up, down = [(fork, main), (fork, bypass)], [(join, bypass), (join, main + glyphs.RADIUS)]
        if self.block.is_identity:
            glyphs.draw_line(axes, [*up, *down], color=theme.SHORTCUT, radius=CORNER)
            _write_meaning(axes, begin, bypass + 0.2, "x", "the shortcut: passes the input on")
            return
        glyphs.draw_line(axes, [*up, (begin, bypass)], color=theme.SHORTCUT, radius=CORNER)
        end = self._draw_path(begin, bypass, self.block.shortcut, theme.SHORTCUT)
        glyphs.draw_line(axes, [(end, bypass), *down], color=theme.SHORTCUT, radius=CORNER)
        _write_meaning(axes, end + 0.3, bypass + 0.2, "W x", "the shortcut: projects x to the size of F(x)")

    def _draw_path(self, x: float, y: float, operations: Sequence[Operation], color: str) -> float:
        """Draw operations, each convolution with what follows it, and the feature map after it; return the end."""
        for position, group in enumerate(_groups(operations)):
            x = glyphs.draw_arrow(self.axes, x, y, ARROW, color) if position else x
            x = glyphs.draw_operations(self.axes, x, y, group)
            x = glyphs.draw_arrow(self.axes, x, y, ARROW, color)
            x = self._draw_map(x, y, group[-1])
        return x

    def _draw_map(self, x: float, y: float, operation: Operation) -> float:
        """Draw the output of an operation with its size; return its right end."""
        shape = self.shapes[operation]
        end = glyphs.draw_slab(self.axes, x, y, self.scale.size(shape), theme.FEATURES)
        theme.write(self.axes, (x + end) / 2, y - 0.68, str(shape), size=theme.SMALL)
        return end

    def _overhang(self, operation: Operation) -> float:
        """Return how far the text below a feature map extends beyond it on each side."""
        drawn = glyphs.slab_width(self.scale.size(self.shapes[operation]))
        return max(0, (theme.text_width(str(self.shapes[operation]), theme.SMALL) - drawn) / 2)


def draw_network(model: keras.Model) -> Figure:
    """Draw a residual network from the input image to the classes: every block, and the size after each stage.

    Args:
        model: Functional model, such as `resnet50.build.build_resnet50` returns.

    Returns:
        Figure of about 11 x 5 inches, wider if there are many blocks.

    Raises:
        ValueError: If the model has no residual blocks.

    Source: He et al. 2015, arXiv:1512.03385, table 1, with the sizes of this model.
    """
    network = read_network(model)
    row = _Row(network)
    row.add_stem()
    for position, (name, blocks) in enumerate(groupby(network.blocks, key=lambda block: block.stage)):
        row.add_stage(name, list(blocks), theme.STAGES[position % len(theme.STAGES)])
    row.add_head()
    parameters = model.count_params()
    amount = f"{parameters / 1e6:.1f} million" if parameters >= 1e6 else f"{parameters:,}"
    number = f"{len(network.blocks)} residual block" + "s" * (len(network.blocks) > 1)
    return row.finish(f"ResNet-{network.depth}", f"{amount} parameters in {number}")


class _Row:
    """The columns of `draw_network` from left to right."""

    TITLES = 1.44  # height of the columns' titles

    def __init__(self, network: Network) -> None:
        self.network = network
        self.scale = Scale.fit(network.shapes.values(), height=1.75, depth=0.25, thickness=0.23, power=0.4)
        tallest = max(self._rise(operation) for operation, shape in network.shapes.items() if shape.sides)
        tallest_block = max(self._rise(block.output) for block in network.blocks) + 0.15
        self.middle = self.TITLES + 0.2 + max(tallest, tallest_block + 0.08)
        self.panel = (self.TITLES + 0.28, self.middle + tallest_block + 0.27)
        self.height = max(self.middle + tallest, self.panel[1]) + 1.18
        self.figure, self.axes = theme.new_canvas(11, self.height)
        self.left = MARGIN
        self.path: float | None = None
        self.lowest = self.TITLES

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
        at = self.left + (width - drawn) / 2
        glyphs.draw_panel(self.axes, (self.left, self.left + width), self.panel, color)
        self._lead_to(at + GAP / 2, head=False)
        end = at + drawn - GAP / 2
        glyphs.draw_line(self.axes, [(at + GAP / 2, self.middle), (end, self.middle)], color=theme.INK, head=False)
        top = self.middle + self._rise(blocks[-1].output) + 0.15
        for block in blocks:
            glyphs.draw_joint(self.axes, at + GAP / 2, self.middle)
            span = (at + GAP / 2, at + GAP * 1.5 + slab)
            glyphs.draw_hop(self.axes, span, (self.middle, top), projected=not block.is_identity)
            strength = 0.4 if block.is_identity else 0.9
            glyphs.draw_slab(self.axes, at + GAP, self.middle, size, color, strength=strength)
            at = span[1] - GAP / 2
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
        self.left += 0.1
        last = vectors[-1]
        classified = is_a(last, "Dense")
        texts = ["head", f"{shapes[last]} classes" if classified else str(shapes[last])]
        texts += [describe(vector) for vector in vectors]
        drawn = 0.09 + 0.45 * (len(vectors) - 1)
        width = max(_texts_width(texts), drawn + 0.35)
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
        """Write title and legend, and fit the figure to the columns."""
        y = self.height - 0.32
        right = MARGIN + max(self.left, self._draw_legend(MARGIN, y - 0.46))
        theme.write(self.axes, MARGIN, y, title, size=theme.LARGE, ha="left", weight="bold")
        offset = theme.text_width(title, theme.LARGE, "bold") + 0.22
        theme.write(self.axes, MARGIN + offset, y - 0.015, facts, ha="left", color=theme.MUTED)
        bottom = min(0, self.lowest - 0.3)
        self.figure.set_size_inches(right, self.height - bottom)
        self.axes.set(xlim=(0, right), ylim=(bottom, self.height))
        return self.figure

    def _rise(self, operation: Operation) -> float:
        """Return how far the slab of an operation extends above and below the path."""
        height, depth, _ = self.scale.size(self.network.shapes[operation])
        return (height + depth * glyphs.SLANT) / 2

    def _draw_legend(self, x: float, y: float) -> float:
        """Draw both types of blocks with their equations; return the right end of the legend."""
        equations = {True: "convolutional block: relu(W x + F(x))", False: "identity block: relu(x + F(x))"}
        for projected, text in equations.items():
            size = (0.2, 0.1, 0.12)
            end = x + GAP * 2 + glyphs.slab_width(size)
            glyphs.draw_line(self.axes, [(x, y - 0.05), (end, y - 0.05)], color=theme.INK, head=False)
            span = (x + GAP / 2, end - GAP / 2)
            glyphs.draw_hop(self.axes, span, (y - 0.05, y + 0.16), projected=projected)
            strength = 0.9 if projected else 0.4
            glyphs.draw_slab(self.axes, x + GAP, y - 0.05, size, theme.FEATURES, strength=strength)
            for joint in span:
                glyphs.draw_joint(self.axes, joint, y - 0.05)
            theme.write(self.axes, end + 0.12, y, text, size=theme.SMALL, ha="left", color=theme.MUTED)
            x = end + 0.12 + theme.text_width(text, theme.SMALL) + 0.4
        return x - 0.4

    def _add_maps(self, title: str, operations: Sequence[Operation], lines: Sequence[str]) -> None:
        texts = [title, str(self.network.shapes[operations[-1]]), *lines]
        sizes = [self.scale.size(self.network.shapes[operation]) for operation in operations]
        drawn = sum(glyphs.slab_width(size) for size in sizes) + ARROW * (len(sizes) - 1)
        width = max(_texts_width(texts), drawn)
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
        theme.write(self.axes, x, self.TITLES, title, weight="bold", color=theme.shade(color, 0.72))
        theme.write(self.axes, x, self.TITLES - LINE, size, size=theme.SMALL)
        for position, line in enumerate(lines):
            y = self._line(position)
            theme.write(self.axes, x, y, line, size=theme.SMALL, color=theme.MUTED)

    def _line(self, position: int) -> float:
        """Return the height of a line of text below the title and size of a column."""
        y = self.TITLES - LINE * (position + 2.25)
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


def _groups(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Split a path before each convolution, or before the padding of one."""
    groups: list[list[Operation]] = []
    for operation in operations:
        padded = bool(groups) and is_a(groups[-1][-1], "ZeroPadding2D")
        begins = is_a(operation, "Conv2D", "ZeroPadding2D") and not padded
        if begins or not groups:
            groups.append([operation])
        else:
            groups[-1].append(operation)
    return groups


def _write_meaning(axes: Axes, x: float, y: float, symbol: str, meaning: str) -> None:
    theme.write(axes, x, y, symbol, ha="left", weight="bold")
    offset = theme.text_width(symbol, theme.NORMAL, "bold") + 0.12
    theme.write(axes, x + offset, y, meaning, size=theme.SMALL, ha="left", color=theme.MUTED)


def _write_block_title(axes: Axes, block: Block, right: float, y: float) -> None:
    title = "Identity block" if block.is_identity else "Convolutional block"
    total = "x + F(x)" if block.is_identity else "W x + F(x)"
    theme.write(axes, MARGIN, y, title, size=theme.LARGE, ha="left", weight="bold")
    x = MARGIN + theme.text_width(title, theme.LARGE, "bold") + 0.22
    theme.write(axes, x, y, f"relu({total})" if block.tail else total, size=theme.LARGE, ha="left", color=theme.MUTED)
    theme.write(axes, right - MARGIN, y, block.name, ha="right", color=theme.MUTED)
