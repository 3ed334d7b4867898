"""Arithmetic on tensors of an ONNX graph, against NumPy."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from resnet50.graph.expression import Expressions

X = np.array([[-2.5, 0.0, 1.0], [3.0, 0.5, 7.25]])

CASES = {
    "sums": (lambda x: x + 1 - x * 3 + x, lambda x: x + 1 - x * 3 + x),
    "turned": (lambda x: 2 - x + 4 / (x + 10), lambda x: 2 - x + 4 / (x + 10)),
    "arrays": (lambda x: x * np.arange(3) / 2, lambda x: x * np.arange(3) / 2),
    "comparisons": (
        lambda x: ((x >= 0) & (x < 3)).float64(),
        lambda x: ((x >= 0) & (x < 3)).astype(float),
    ),
    "bounds": (lambda x: abs(x).at_least(1).at_most(3), lambda x: abs(x).clip(1, 3)),
    "products": (lambda x: x @ x.transposed(1, 0), lambda x: x @ x.T),
    "totals": (lambda x: x.sum(0, 1) + x.sum(1).along(0), lambda x: x.sum() + x.sum(1, keepdims=True)[None]),
    "types": (lambda x: (x / 3).float32().float64(), lambda x: (x / 3).astype(np.float32).astype(float)),
    "ranges": (
        lambda x: x.apply("ReduceMax", keepdims=0).range(),
        lambda x: np.arange(0, x.max()),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_expression_is_what_numpy_computes(name):
    written, computed = CASES[name]
    graph = Expressions("test")
    expected = computed(X)
    model = graph.model(
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, [2, 3])],
        written(graph.input("x")),
        helper.make_tensor_value_info("y", TensorProto.DOUBLE, None),
    )
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["y"], {"x": X})[0], expected, rtol=1e-12)
