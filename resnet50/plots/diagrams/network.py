"""Reading a Keras model's graph into stem, residual blocks and head."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

TIMES = "\N{MULTIPLICATION SIGN}"

Operation = Any
"""A layer or another operation of a Keras graph."""


@dataclass(frozen=True)
class Shape:
    """Shape of the output of an operation, without the batch.

    Attributes:
        sides: Height and width in pixels, None if the model takes any; empty for a vector.
        channels: Number of channels, or of elements of a vector.
        reduction: Product of the strides from the input to here.
    """

    sides: tuple[int | None, ...]
    channels: int
    reduction: int

    def __str__(self) -> str:
        letters = ("H", "W")
        unknown = "" if self.reduction == 1 else f"/{self.reduction}"
        sides = [f"{letter}{unknown}" if n is None else str(n) for n, letter in zip(self.sides, letters, strict=False)]
        return f" {TIMES} ".join([*sides, str(self.channels)])

    @property
    def extent(self) -> tuple[float, ...]:
        """Sides as numbers to draw with; an unknown side is that of an input of 224 pixels."""
        return tuple(224 / self.reduction if side is None else float(side) for side in self.sides)


@dataclass(frozen=True)
class Block:
    """A residual block: two paths from one operation that meet in an addition; or a plain one, which has one path.

    Attributes:
        name: Name of the addition without its suffix ``_add``, or the beginning of the names of a plain block's layers.
        source: Operation whose output enters the block: x.
        before: Operations that both paths share, ``a = relu(norm(x))``, where a block of preactivation projects.
        residual: Operations of the longer path, in order.
        shortcut: Operations of the shorter path, in order; empty in an identity block, None in a plain one.
        tail: Operations after the addition: its activation, if it has one.
        output: Last operation of the block.
    """

    name: str
    source: Operation
    before: tuple[Operation, ...]
    residual: tuple[Operation, ...]
    shortcut: tuple[Operation, ...] | None
    tail: tuple[Operation, ...]
    output: Operation

    @property
    def is_identity(self) -> bool:
        """Whether the shortcut changes nothing."""
        return self.shortcut == ()

    @property
    def argument(self) -> str:
        """What F is a function of: ``"x"``, or ``"a"`` in a block that begins with batch norm."""
        return "a" if is_a((*self.before, *self.residual)[0], "BatchNormalization") else "x"

    @property
    def is_preactivated(self) -> bool:
        """Whether it begins with ``a = relu(norm(x))``, as blocks of preactivation do."""
        return self.argument == "a" and any(map(is_relu, (*self.before, *self.residual)[1:2]))

    @property
    def carried(self) -> str | None:
        """What the shortcut carries: ``"x"``, ``"W x"`` or ``"W a"``; None without one."""
        return None if self.shortcut is None else "x" if self.is_identity else f"W {'a' if self.before else 'x'}"

    @property
    def equation(self) -> str:
        """What the block computes, such as ``"relu(x + F(x))"`` or ``"x + F(a), a = relu(norm(x))"``."""
        total = " + ".join(filter(None, (self.carried, f"F({self.argument})")))
        total = f"relu({total})" if self.tail else total
        if self.argument == "x":
            return total
        return f"{total}, a = {'relu(norm(x))' if self.is_preactivated else 'norm(x)'}"

    @property
    def stage(self) -> str:
        """Name of the stage: ``"conv3"`` for ``"conv3_block2"``."""
        return self.name.rsplit("_block", 1)[0]


@dataclass(frozen=True)
class Network:
    """A residual network, read from the graph of a model.

    Attributes:
        stem: Operations before the first block, the input first.
        blocks: Residual blocks in order.
        head: Operations after the last block.
        shapes: Output shape of each operation.
    """

    stem: tuple[Operation, ...]
    blocks: tuple[Block, ...]
    head: tuple[Operation, ...]
    shapes: Mapping[Operation, Shape]

    @property
    def depth(self) -> int:
        """Number of convolutions on the residual path plus one for the classifier: the 50 in ResNet-50."""
        path = [*self.stem, *(layer for block in self.blocks for layer in block.residual)]
        return sum(is_a(layer, "Conv2D") for layer in path) + 1

    def block(self, name: str, model: str) -> Block:
        """Return the block of this name; ``model`` is named in the error if there is none."""
        named = {each.name: each for each in self.blocks}
        if name not in named:
            raise ValueError(f"{model}: expected the name of a block, one of {', '.join(named)}, got {name!r}.")
        return named[name]


def read_network(model: keras.Model) -> Network:
    """Find the stem, the residual blocks and the head of a network.

    Args:
        model: Functional model with at least one addition of a path of convolutions to a shorter path, or with layers
            named as those of `resnet50.forms.plain_block`.

    Returns:
        The network, its operations in the order of computation.

    Raises:
        ValueError: If the model has no graph, or no block.
    """
    parents = _parents(model)
    children: dict[Operation, list[Operation]] = {operation: [] for operation in parents}
    for operation, above in parents.items():
        for parent in above:
            children[parent].append(operation)
    additions = [operation for operation, above in parents.items() if is_a(operation, "Add") and len(above) == 2]
    candidates = [_block(addition, parents, children) for addition in additions]
    blocks = tuple(block for block in candidates if any(is_a(layer, "Conv2D") for layer in block.residual))
    blocks = blocks or tuple(_plain_blocks(parents))
    if not blocks:
        raise ValueError(
            f"{model.name}: expected a model with residual blocks, "
            "got none with an addition that joins a path of convolutions and a shorter path."
        )
    head = []
    last = blocks[-1].output
    while len(children[last]) == 1:
        last = children[last][0]
        head.append(last)
    return Network(
        stem=tuple(_path_to(blocks[0].source, parents)), blocks=blocks, head=tuple(head), shapes=_shapes(parents)
    )


def is_a(operation: Operation, *types: str) -> bool:
    """Return whether an operation is an instance of one of these Keras classes, or of a subclass."""
    # By name, so that this module imports no backend; a caller that has a model has imported one already.
    return any(parent.__name__ in types for parent in type(operation).__mro__)


def is_relu(operation: Operation) -> bool:
    """Return whether an operation is a ReLU, in any of the ways that Keras offers."""
    return is_a(operation, "ReLU", "Relu") or getattr(getattr(operation, "activation", None), "__name__", "") == "relu"


def describe(operation: Operation) -> str:
    """Return the label of an operation: ``"3x3, 64, /2"`` for a convolution, else its type in a word or two.

    Args:
        operation: Layer or other operation of a Keras graph.
    """
    if is_a(operation, "Conv2D"):
        return f"{_by(operation.kernel_size)}, {operation.filters}{_stride(operation)}"
    if is_a(operation, "MaxPooling2D", "AveragePooling2D"):
        reduction = "max" if is_a(operation, "MaxPooling2D") else "mean"
        return f"{reduction} {_by(operation.pool_size)}{_stride(operation)}"
    if is_a(operation, "ZeroPadding2D"):
        (top, bottom), (left, right) = operation.padding
        return f"pad {top}" if top == bottom == left == right else f"pad {top} {bottom} {left} {right}"
    if is_a(operation, "BatchNormalization"):
        return "batch norm"
    if is_a(operation, "GlobalAveragePooling2D"):
        return "global mean"
    if is_a(operation, "GlobalMaxPooling2D"):
        return "global max"
    if is_a(operation, "Dense"):
        activation = operation.activation.__name__
        return "dense" if activation == "linear" else f"dense, {activation}"
    return "ReLU" if is_relu(operation) else type(operation).__name__


def describe_kernel(convolution: Operation) -> str:
    """Return the size of a convolution's kernel: ``"3x3"``."""
    return _by(convolution.kernel_size)


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}{TIMES}{size[1]}"


def _stride(operation: Operation) -> str:
    rows, columns = operation.strides
    if rows == columns:
        return "" if rows == 1 else f", /{rows}"
    return f", /{rows}{TIMES}{columns}"


def _parents(model: keras.Model) -> dict[Operation, list[Operation]]:
    """Return the inputs of each operation, in the order of computation."""
    if not hasattr(model, "operations"):
        raise ValueError(
            f"{model.name}: expected a functional Keras model, which has a graph, got a {type(model).__name__}."
        )
    # A layer also has the nodes of other models that share it; the model has only its own.
    above: dict[Operation, list[Operation]] = {operation: [] for operation in model.operations}
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            above[node.operation] += [parent.operation for parent in node.parent_nodes]
    return above


def _block(
    addition: Operation, parents: Mapping[Operation, list[Operation]], children: Mapping[Operation, list[Operation]]
) -> Block:
    paths = [list(_path_to(parent, parents)) for parent in parents[addition]]
    shared = [first for first, second in zip(*paths, strict=False) if first is second]
    shortcut, residual = sorted((path[len(shared) :] for path in paths), key=len)
    after = children[addition]
    tail = tuple(after) if len(after) == 1 and is_relu(after[0]) else ()
    name = addition.name.removesuffix("_add")
    own = takewhile(lambda operation: operation.name.startswith(f"{name}_"), reversed(shared[1:]))  # not the input
    before = tuple(own)[::-1]
    return Block(
        name=name,
        source=shared[-1 - len(before)],
        before=before,
        residual=tuple(residual),
        shortcut=tuple(shortcut),
        tail=tail,
        output=tail[0] if tail else addition,
    )


def _plain_blocks(parents: Mapping[Operation, list[Operation]]) -> Iterator[Block]:
    """Yield the blocks without a shortcut, which only the names of their layers tell apart."""
    layers: dict[str, list[Operation]] = {}
    for operation in parents:
        if match := re.match(r"(.+_block\d+)_", operation.name):
            layers.setdefault(match[1], []).append(operation)
    for name, (first, *others) in layers.items():
        *path, last = first, *others
        yield Block(name, parents[first][0], (), tuple(path), None, (last,), last)


def _path_to(operation: Operation, parents: Mapping[Operation, list[Operation]]) -> Iterator[Operation]:
    """Return the operations from the input to this one, along the first path of each earlier block."""
    path = [operation]
    while parents[path[-1]]:
        path.append(parents[path[-1]][0])
    return reversed(path)


def _shapes(parents: Mapping[Operation, list[Operation]]) -> dict[Operation, Shape]:
    reductions: dict[Operation, int] = {}
    for operation, above in parents.items():
        stride = getattr(operation, "strides", (1, 1))[0]
        reductions[operation] = max((reductions[parent] for parent in above), default=1) * stride
    return {
        operation: Shape(tuple(operation.output.shape[1:-1]), operation.output.shape[-1], reductions[operation])
        for operation in parents
    }
