"""Networks without blocks and with swapped ones, against what is left of them."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import noise, raises, tiny_model
from resnet50 import swap_blocks, without_blocks
from resnet50.model import Stage

IMAGES = noise(2, 32, 32, 3, seed=1).astype("float32")
EVEN = (Stage("conv2", 3, (16, 16), 1), Stage("conv3", 2, (24, 24), 2))


def output(model, name, x=IMAGES):
    return np.asarray(keras.Model(model.input, model.get_layer(name).output)(x))


def above(model, name):
    """Return the part of a network from the output of a layer to its own."""
    return keras.Model(model.get_layer(name).output, model.output)


@pytest.fixture(scope="module", params=["residual", "preactivation", "plain"])
def model(request):
    return tiny_model(4, size=(32, 32), seed=3, stages=EVEN, form=request.param)


def end(model, block):
    """Return the name of a block's last layer: its ReLU, or its addition where none follows."""
    names = {layer.name for layer in model.layers}
    return f"{block}_out" if f"{block}_out" in names else f"{block}_add"


def test_a_removed_block_passes_its_input_on(model):
    carried = output(model, end(model, "conv2_block1"))
    expected = np.asarray(above(model, end(model, "conv2_block2"))(carried))
    before = model.get_weights()
    removed = without_blocks(model, ["conv2_block2"])
    np.testing.assert_allclose(np.asarray(removed(IMAGES)), expected, rtol=1e-5)
    assert not [layer.name for layer in removed.layers if layer.name.startswith("conv2_block2_") and layer.weights]
    assert removed.count_params() < model.count_params()
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_several_blocks_go_at_once(model):
    carried = output(model, end(model, "conv2_block1"))
    expected = np.asarray(above(model, end(model, "conv2_block3"))(carried))
    removed = without_blocks(model, ["conv2_block3", "conv2_block2"])
    np.testing.assert_allclose(np.asarray(removed(IMAGES)), expected, rtol=1e-5)


def test_a_convolutional_block_keeps_its_shortcut():
    model = tiny_model(4, size=(32, 32), seed=3)
    carried = np.maximum(output(model, "conv3_block1_0_bn"), 0)
    expected = np.asarray(above(model, "conv3_block1_out")(carried))
    removed = without_blocks(model, ["conv3_block1"])
    np.testing.assert_allclose(np.asarray(removed(IMAGES)), expected, rtol=1e-5)
    assert removed.get_layer("conv3_block1_0_conv").strides == (2, 2)


def test_no_block_removed_is_the_network_itself(model):
    np.testing.assert_array_equal(np.asarray(without_blocks(model, [])(IMAGES)), np.asarray(model(IMAGES)))


def test_a_plain_block_that_changes_the_shape_cannot_go():
    model = tiny_model(4, size=(32, 32), stages=EVEN, form="plain")
    with raises(ValueError, "conv3_block1", "shortcut", "16", "24"):
        without_blocks(model, ["conv3_block1"])


def test_swapped_blocks_have_each_other_s_weights(model):
    first, second, third = (end(model, f"conv2_block{number}") for number in (1, 2, 3))

    def block(before, after, x):
        return np.asarray(keras.Model(model.get_layer(before).output, model.get_layer(after).output)(x))

    x = block(second, third, output(model, first))
    expected = np.asarray(above(model, third)(block(first, second, x)))
    before = model.get_weights()
    swapped = swap_blocks(model, "conv2_block2", "conv2_block3")
    np.testing.assert_allclose(np.asarray(swapped(IMAGES)), expected, rtol=1e-5)
    again = swap_blocks(swapped, "conv2_block3", "conv2_block2")
    for old, new, back in zip(before, model.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
        np.testing.assert_array_equal(old, back)


def test_blocks_of_other_shapes_or_names_are_refused():
    model = tiny_model(4, size=(32, 32))
    with raises(ValueError, "conv2_block2", "conv3_block2", "shapes"):
        swap_blocks(model, "conv2_block2", "conv3_block2")
    with raises(ValueError, "conv9_block1"):
        swap_blocks(model, "conv9_block1", "conv2_block1")
    with raises(ValueError, "conv9_block1"):
        without_blocks(model, ["conv9_block1"])
