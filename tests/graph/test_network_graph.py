"""The graph of a model in memory, and that of its file."""

from __future__ import annotations

import keras
import numpy as np

from factories import classifier, raises, tiny_model
from resnet50.graph.network_graph import graph_of, read_graph


def test_the_graph_of_a_file_is_that_of_its_model(tmp_path):
    model = tiny_model(seed=1)
    classifier(model).save(tmp_path / "model.keras")
    expected, found = graph_of(model), read_graph(tmp_path / "model.keras")
    assert [row["name"] for row in found.layers] == [row["name"] for row in expected.layers]
    assert (found.name, found.outputs) == (model.name, ["predictions"])
    assert set(found.weights) == set(expected.weights)
    for name, arrays in expected.weights.items():
        for one, other in zip(found.weights[name], arrays, strict=True):
            np.testing.assert_array_equal(one, other)


def test_only_functional_models_have_one():
    with raises(ValueError, "functional", "Sequential"):
        graph_of(keras.Sequential([keras.layers.Dense(1)], name="other"))
