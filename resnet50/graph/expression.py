"""ONNX graphs written as arithmetic: each operation on a tensor adds a node."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Operand = Any
"""A tensor, or a number or an array of numbers."""

OPSET, IR = 18, 8
"""Versions of ONNX of the end of 2022: new enough for all operations here, and read by every later runtime."""


class Expressions:
    """The nodes and constants of a graph that is being written.

    Args:
        prefix: Begins the name of every tensor, so that graphs can be joined.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def input(self, name: str) -> Tensor:
        """Return the input of this name."""
        return Tensor(self, name)

    def constant(self, values: Any) -> Tensor:
        """Return a constant: of whole numbers int64, of others float64."""
        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float64)
        name = f"{self._prefix}/constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(array, name))
        return Tensor(self, name)

    def apply(self, operation: str, *inputs: Any, **attributes: Any) -> Tensor:
        """Add a node for an operation of ONNX on tensors and numbers; return its output."""
        names = [(each if isinstance(each, Tensor) else self.constant(each)).name for each in inputs]
        name = f"{self._prefix}/{len(self._nodes)}"
        self._nodes.append(helper.make_node(operation, names, [name], **attributes))
        return Tensor(self, name)

    def model(
        self, inputs: list[onnx.ValueInfoProto], output: Tensor, described: onnx.ValueInfoProto
    ) -> onnx.ModelProto:
        """Return the graph from inputs to an output, which gets the name that it is described by."""
        nodes = [*self._nodes, helper.make_node("Identity", [output.name], [described.name])]
        graph = helper.make_graph(nodes, self._prefix, inputs, [described], self._constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


class Tensor:
    """A tensor of a graph, with the arithmetic of NumPy; numbers beside it become float64 constants.

    Args:
        graph: The graph.
        name: Its name there.
    """

    def __init__(self, graph: Expressions, name: str) -> None:
        self._graph, self.name = graph, name

    def apply(self, operation: str, *others: Any, **attributes: Any) -> Tensor:
        """Return an operation of ONNX whose first input is this tensor."""
        return self._graph.apply(operation, self, *others, **attributes)

    def __add__(self, other: Operand) -> Tensor:
        return self.apply("Add", _number(other))

    def __sub__(self, other: Operand) -> Tensor:
        return self.apply("Sub", _number(other))

    def __rsub__(self, other: Operand) -> Tensor:
        return self._graph.apply("Sub", _number(other), self)

    def __mul__(self, other: Operand) -> Tensor:
        return self.apply("Mul", _number(other))

    def __truediv__(self, other: Operand) -> Tensor:
        return self.apply("Div", _number(other))

    def __rtruediv__(self, other: Operand) -> Tensor:
        return self._graph.apply("Div", _number(other), self)

    def __matmul__(self, other: Tensor) -> Tensor:
        return self.apply("MatMul", other)

    def __lt__(self, other: Operand) -> Tensor:
        return self.apply("Less", _number(other))

    def __ge__(self, other: Operand) -> Tensor:
        return self.apply("GreaterOrEqual", _number(other))

    def __and__(self, other: Tensor) -> Tensor:
        return self.apply("And", other)

    def __abs__(self) -> Tensor:
        return self.apply("Abs")

    def at_least(self, other: Operand) -> Tensor:
        """Return the larger one, element by element."""
        return self.apply("Max", _number(other))

    def at_most(self, other: Operand) -> Tensor:
        """Return the smaller one, element by element."""
        return self.apply("Min", _number(other))

    def sum(self, *axes: int) -> Tensor:
        """Return the sums over axes, which stay with the length 1."""
        return self.apply("ReduceSum", list(axes), keepdims=1)

    def along(self, axis: int) -> Tensor:
        """Return the tensor with a further axis of length 1."""
        return self.apply("Unsqueeze", [axis])

    def range(self) -> Tensor:
        """Return 0, 1, ... below this number, which is a scalar."""
        return self._graph.apply("Range", 0.0, self, 1.0)

    def transposed(self, *order: int) -> Tensor:
        """Return the tensor with its axes in another order."""
        return self.apply("Transpose", perm=order)

    def float32(self) -> Tensor:
        """Return the tensor as float32."""
        return self.apply("Cast", to=TensorProto.FLOAT)

    def float64(self) -> Tensor:
        """Return the tensor as float64."""
        return self.apply("Cast", to=TensorProto.DOUBLE)


def _number(value: Any) -> Any:
    return value if isinstance(value, Tensor) else np.asarray(value, np.float64)
