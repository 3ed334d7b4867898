"""A recipe's names reach the network."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from resnet50.conventions import V1, V1_5
from resnet50.model import TABLE_1
from resnet50.training import network
from resnet50.training.network import build_network
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe


def strides(model: keras.Model) -> list[tuple[int, int]]:
    return [model.get_layer(f"conv3_block1_{n}_conv").strides for n in (1, 2)]


@pytest.mark.parametrize(
    ("conventions", "biased", "expected"),
    [(None, True, [(2, 2), (1, 1)]), ("v1", True, [(2, 2), (1, 1)]), ("v1.5", False, [(1, 1), (2, 2)])],
)
def test_conventions_by_name(tiny_recipe, conventions, biased, expected):
    model = build_network(tiny_recipe.change(conventions=conventions), 5)
    assert strides(model) == expected
    assert model.get_layer("conv1_conv").use_bias is biased
    assert model.get_layer("conv1_bn").momentum == 0.9


def test_conventions_of_weights_are_those_of_the_file(tiny_recipe):
    assert strides(build_network(tiny_recipe, 5, conventions=V1_5)) == [(1, 1), (2, 2)]
    assert strides(build_network(tiny_recipe, 5, conventions=V1)) == [(2, 2), (1, 1)]


def test_head_stem_image_size_classes_and_normalization(tiny_recipe):
    recipe = tiny_recipe.change(head="norm", stem="cifar", image_size=48, normalization="torch")
    model = build_network(recipe, 4)
    assert (model.input_shape, model.output_shape) == ((None, 48, 48, 3), (None, 4))
    assert model.get_layer("conv1_conv").kernel_size == (3, 3)
    assert "head_bn" in [layer.name for layer in model.layers]
    np.testing.assert_allclose(model.get_layer("normalization").scale[0], 1 / (0.229 * 255))
    other = build_network(recipe, 4, normalization="symmetric")
    np.testing.assert_allclose(other.get_layer("normalization").scale[0], 1 / 127.5)


@pytest.mark.parametrize(("numbers", "layers"), [({}, 50), ({"depth": 18}, 18), ({"depth": 152}, 152)])
def test_the_depth_is_a_column_of_table_1(numbers, layers, monkeypatch):
    built = {}
    monkeypatch.setattr(network, "build_resnet50", lambda classes, **options: built.update(options))
    build_network(Recipe(name="x", phases=(Phase(epochs=1),), **numbers), 5)
    assert built["stages"] is TABLE_1[layers]


def test_form_and_stochastic_depth(tiny_recipe):
    model = build_network(tiny_recipe.change(form="preactivation", stochastic_depth=0.3), 5)
    assert model.get_layer("post_bn").momentum == 0.9
    assert [model.get_layer(f"{block}_drop").rate for block in ("conv2_block1", "conv3_block2")] == [
        pytest.approx(0.1),
        pytest.approx(0.3),
    ]


def test_the_seed_draws_the_weights(tiny_recipe):
    one, same, other = (build_network(tiny_recipe.change(seed=seed), 5).get_weights()[0] for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
