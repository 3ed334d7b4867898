"""Read the residual blocks of a Keras model off its graph, for the diagrams to draw."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras

TIMES = "\N{MULTIPLICATION SIGN}"

Operation = Any
"""A layer or another operation of a Keras graph."""


@dataclass(frozen=True)
class Shape:
    """What leaves an operation, without the batch.

    Attributes:
        sides: Height and width in pixels, None where the model takes any; empty for a vector.
        channels: Number of channels, or of the vector's elements.
        reduction: What the strides from the input to here multiply to.
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
        """Sides as numbers to draw by; an unknown one as if the input had 224 pixels."""
        return tuple(224 / self.reduction if side is None else float(side) for side in self.sides)


@dataclass(frozen=True)
class Block:
    """A residual block: two paths from one operation that an addition brings together.

    Attributes:
        name: What precedes ``_add`` in the addition's name.
        source: Operation whose output enters the block.
        residual: Operations of the longer path, in order.
        shortcut: Operations of the shorter path, in order; none in an identity block.
        tail: The addition's successors within the block: its activation, if it has one.
        output: Last operation of the block.
    """

    name: str
    source: Operation
    residual: tuple[Operation, ...]
    shortcut: tuple[Operation, ...]
    tail: tuple[Operation, ...]
    output: Operation

    @property
    def is_identity(self) -> bool:
        """Whether the shortcut changes nothing."""
        return not self.shortcut

    @property
    def stage(self) -> str:
        """Name of the stage: ``"conv3"`` for ``"conv3_block2"``."""
        return self.name.rsplit("_block", 1)[0]


@dataclass(frozen=True)
class Network:
    """A residual network as its graph has it.

    Attributes:
        stem: Operations before the first block, the input first.
        blocks: Residual blocks in order.
        head: Operations after the last block.
        shapes: What leaves each operation.
    """

    stem: tuple[Operation, ...]
    blocks: tuple[Block, ...]
    head: tuple[Operation, ...]
    shapes: Mapping[Operation, Shape]

    @property
    def depth(self) -> int:
        """Convolutions in a row, plus the classifier, there or not: the 50 in ResNet-50."""
        path = [*self.stem, *(layer for block in self.blocks for layer in block.residual)]
        return sum(is_a(layer, "Conv2D") for layer in path) + 1


def read_network(model: keras.Model) -> Network:
    """Find the blocks of a residual network and what stands before and after them.

    Args:
        model: Functional model with at least one addition of a path of convolutions to a shorter path.

    Returns:
        The network's parts in the order in which an image passes them.

    Raises:
        ValueError: If the model has no graph, or there is no such addition in it.
    """
    parents = _parents(model)
    children: dict[Operation, list[Operation]] = {operation: [] for operation in parents}
    for operation, above in parents.items():
        for parent in above:
            children[parent].append(operation)
    joins = [one for one, above in parents.items() if is_a(one, "Add") and len(above) == 2]
    found = [_block(addition, parents, children) for addition in joins]
    blocks = tuple(block for block in found if any(is_a(layer, "Conv2D") for layer in block.residual))
    if not blocks:
        raise ValueError(
            f"{model.name}: expected a model with residual blocks, "
            "found no addition that joins a path of convolutions to a shorter one."
        )
    head = []
    last = blocks[-1].output
    while len(children[last]) == 1:
        last = children[last][0]
        head.append(last)
    return Network(
        stem=tuple(_path_to(blocks[0].source, parents)), blocks=blocks, head=tuple(head), shapes=_shapes(parents)
    )


def is_a(operation: Operation, *kinds: str) -> bool:
    """Tell whether an operation is of one of these classes of Keras, or derives from one."""
    # By name, so that this module does not start a backend: the caller, who has the model, has done so.
    return any(parent.__name__ in kinds for parent in type(operation).__mro__)


def is_relu(operation: Operation) -> bool:
    """Tell whether an operation is a rectifier, in whichever of Keras' ways."""
    return is_a(operation, "ReLU", "Relu") or getattr(getattr(operation, "activation", None), "__name__", "") == "relu"


def describe(operation: Operation) -> str:
    """Return what a diagram says of an operation: ``"3x3, 64, /2"`` for a convolution, else its kind in a word or two.

    Args:
        operation: Layer or other operation of a Keras graph.
    """
    if is_a(operation, "Conv2D"):
        return f"{_by(operation.kernel_size)}, {operation.filters}{_stride(operation)}"
    if is_a(operation, "MaxPooling2D", "AveragePooling2D"):
        kind = "max" if is_a(operation, "MaxPooling2D") else "mean"
        return f"{kind} {_by(operation.pool_size)}{_stride(operation)}"
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


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}{TIMES}{size[1]}"


def _stride(operation: Operation) -> str:
    rows, columns = operation.strides
    if rows == columns:
        return "" if rows == 1 else f", /{rows}"
    return f", /{rows}{TIMES}{columns}"


def _parents(model: keras.Model) -> dict[Operation, list[Operation]]:
    """Return what feeds each operation, in the order of computation."""
    if not hasattr(model, "operations"):
        raise ValueError(
            f"{model.name}: expected a functional Keras model, whose graph can be read, got {type(model)}."
        )
    # A layer also keeps the nodes of other models that share it, so only the model itself knows its own.
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
    return Block(
        name=addition.name.removesuffix("_add"),
        source=shared[-1],
        residual=tuple(residual),
        shortcut=tuple(shortcut),
        tail=tail,
        output=tail[0] if tail else addition,
    )


def _path_to(operation: Operation, parents: Mapping[Operation, list[Operation]]) -> Iterator[Operation]:
    """Return the operations from the input to this one, through earlier blocks by their first path."""
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
