"""Diagrams of a block and of the whole network, drawn from a Keras model's own graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet50.figures import glyphs, theme
from resnet50.figures.glyphs import Scale
from resnet50.figures.graph import Block, Network, Operation, Shape, describe, is_a, read_network

if TYPE_CHECKING:
    import keras

# Inches, all of them.
MARGIN = 0.3
ARROW = 0.23
GAP = 0.24  # between the blocks of a stage
CORNER = 0.16
LINE = 0.24  # from one line of text to the next


def draw_block(model: keras.Model, block: str) -> Figure:
    """Draw a residual block: its path of convolutions, its shortcut, and every size between them.

    Args:
        model: Functional model, such as `resnet50.model.build_resnet50` returns; its graph is what is drawn.
        block: Name of the block, such as ``"conv2_block2"``.

    Returns:
        Figure of some 11 x 4 inches.

    Raises:
        ValueError: If the model has no residual blocks, or none of that name; the message names those there are.

    Source: He et al. 2015, arXiv:1512.03385, figure 5 (right), with the sizes of this model.
    """
    network = read_network(model)
    found = {one.name: one for one in network.blocks}
    if block not in found:
        raise ValueError(f"{model.name}: no block is named {block!r}; there are {', '.join(found)}.")
    chosen, shapes = found[block], network.shapes
    scale = Scale.fit(
        (shapes[one] for one in (chosen.source, *chosen.residual, *chosen.shortcut)),
        height=0.68, depth=0.9, thickness=0.36, power=0.5,
    )  # fmt: skip
    main = 1.15
    bypass = main + (1.42 if chosen.is_identity else 1.88)
    height = bypass + (0.98 if chosen.is_identity else 1.16)
    figure, axes = theme.new_canvas(11, height)

    def draw_map(x: float, y: float, operation: Operation) -> float:
        shape = shapes[operation]
        end = glyphs.draw_slab(axes, x, y, scale.size(shape), theme.FEATURES)
        theme.write(axes, (x + end) / 2, y - 0.68, str(shape))
        return end

    def draw_path(x: float, y: float, operations: Sequence[Operation], color: str) -> float:
        for position, group in enumerate(_groups(operations)):
            x = glyphs.draw_arrow(axes, x, y, ARROW, color) if position else x
            x = glyphs.draw_operations(axes, x, y, group)
            x = glyphs.draw_arrow(axes, x, y, ARROW, color)
            x = draw_map(x, y, group[-1])
        return x

    x = draw_map(MARGIN + 0.26, main, chosen.source)
    fork = x + 0.16
    x = begin = glyphs.draw_arrow(axes, x, main, 0.56)
    x = draw_path(x, main, chosen.residual, theme.INK)
    glyphs.draw_panel(axes, (begin - 0.16, x + 0.26), (main - 0.9, main + 1.06), theme.MUTED)
    _write_meaning(axes, begin, main + 0.8, "F(x)", "the residual: what the block learns")
    x = glyphs.draw_arrow(axes, x, main, 0.56)
    join = x + glyphs.RADIUS
    x = glyphs.draw_plus(axes, x, main)
    for operation in chosen.tail:
        x = glyphs.draw_arrow(axes, x, main, ARROW)
        x = glyphs.draw_operations(axes, x, main, [operation])
    x = glyphs.draw_arrow(axes, x, main, ARROW)
    right = draw_map(x, main, chosen.output) + 0.26 + MARGIN

    up, down = [(fork, main), (fork, bypass)], [(join, bypass), (join, main + glyphs.RADIUS)]
    if chosen.is_identity:
        glyphs.draw_line(axes, [*up, *down], color=theme.SHORTCUT, radius=CORNER, width=2)
        _write_meaning(axes, begin, bypass + 0.2, "x", "the shortcut: hands on what came in")
    else:
        glyphs.draw_line(axes, [*up, (begin, bypass)], color=theme.SHORTCUT, radius=CORNER, width=2)
        after = draw_path(begin, bypass, chosen.shortcut, theme.SHORTCUT)
        glyphs.draw_line(axes, [(after, bypass), *down], color=theme.SHORTCUT, radius=CORNER, width=2)
        _write_meaning(axes, after + 0.3, bypass + 0.2, "W x", "the shortcut: x, brought to the size of F(x)")
    _write_block_title(axes, chosen, right, height - 0.3)
    figure.set_size_inches(right, height)
    axes.set_xlim(0, right)
    return figure


def draw_network(model: keras.Model) -> Figure:
    """Draw a residual network from the picture to the class: every block, and the size after each stage.

    Args:
        model: Functional model, such as `resnet50.model.build_resnet50` returns; its graph is what is drawn.

    Returns:
        Figure of some 11 x 5 inches, wider if there are many blocks.

    Raises:
        ValueError: If the model has no residual blocks.

    Source: He et al. 2015, arXiv:1512.03385, table 1, with the sizes of this model.
    """
    network = read_network(model)
    stages = [(name, list(blocks)) for name, blocks in groupby(network.blocks, key=lambda block: block.stage)]
    scale = Scale.fit(network.shapes.values(), height=1.6, depth=0.3, thickness=0.3, power=0.42)
    height, middle = 5.2, 3.3
    figure, axes = theme.new_canvas(11, height)

    first = network.stem[0]
    start = MARGIN
    end = _draw_column(axes, start, middle, [first], network, scale, "input")
    tail = end
    return figure


def _groups(operations: Sequence[Operation]) -> list[list[Operation]]:
    """Split a path before each convolution, or before the padding that belongs to one."""
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
    kind = "Identity block" if block.is_identity else "Convolutional block"
    total = "x + F(x)" if block.is_identity else "W x + F(x)"
    theme.write(axes, MARGIN, y, kind, size=theme.LARGE, ha="left", weight="bold")
    x = MARGIN + theme.text_width(kind, theme.LARGE, "bold") + 0.22
    theme.write(axes, x, y, f"relu({total})" if block.tail else total, size=theme.LARGE, ha="left", color=theme.MUTED)
    theme.write(axes, right - MARGIN, y, block.name, ha="right", color=theme.MUTED)
