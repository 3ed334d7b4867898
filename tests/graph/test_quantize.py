"""The int8 graph of a network: what of it is quantized, and what it says."""

from __future__ import annotations

import numpy as np
import onnxruntime

from factories import noise, raises, tiny_model
from resnet50.graph.head import find_head
from resnet50.graph.network_graph import graph_of
from resnet50.graph.onnx_graph import onnx_model
from resnet50.graph.quantize import quantize

IMAGES = noise(6, 32, 40, 3)


def network():
    graph = graph_of(tiny_model(seed=1))
    return onnx_model(graph, head=find_head(graph))


def test_convolutions_have_eight_bits_but_for_the_first_and_what_explains_the_answer(recwarn, caplog, capsys):
    exact = network()
    small = quantize(exact, IMAGES)
    assert (recwarn.list, caplog.records, capsys.readouterr().out) == ([], [], "")
    inputs = {node.name: list(node.input) for node in small.graph.node if node.op_type == "Conv"}
    assert len(inputs) == sum(node.op_type == "Conv" for node in exact.graph.node)
    floats = [name for name, (_, kernel, *_) in inputs.items() if not kernel.endswith("DequantizeLinear_Output")]
    first = ["conv1_conv", *(name for name in inputs if name.startswith("conv2_"))]
    assert sorted(floats) == sorted([*first, "class_activation_maps/sum"])
    assert len(floats) < len(inputs)
    session = onnxruntime.InferenceSession(small.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["probabilities", "features", "class_activation_maps"]
    (found,) = session.run(["probabilities"], {"image": np.float32(IMAGES)})
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_images_of_another_size_are_refused():
    with raises(ValueError, "32, 40, 3", (6, 32, 32, 3)):
        quantize(network(), IMAGES[:, :, :32])
