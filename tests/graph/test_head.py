"""The last layers of a classifier."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import tiny_model
from resnet50.graph.head import find_head
from resnet50.graph.network_graph import graph_of
from resnet50.inference.features import last_dense


@pytest.mark.parametrize("head", ["linear", "norm", "mlp", "flatten"])
def test_the_layers_of_each_head_are_found(head):
    model = tiny_model(seed=1, head=head)
    found = find_head(graph_of(model))
    last = last_dense(model)
    assert model.get_layer(found.features).output is last.input
    assert found.width == last.input.shape[-1]
    if head in ("mlp", "flatten"):
        assert found.feature_map is found.kernel is None
    else:
        assert len(model.get_layer(found.feature_map).output.shape) == 4
        assert found.kernel.shape == (found.width, 3)
    if head == "linear":
        np.testing.assert_array_equal(found.kernel, last.get_weights()[0])


def test_a_network_that_ends_in_another_layer_has_none():
    inputs = keras.Input((8, 8, 3))
    assert find_head(graph_of(keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(inputs)))) is None
