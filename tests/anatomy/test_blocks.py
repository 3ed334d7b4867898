"""Lesions and contributions, against a network that is computed by hand."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import noise, raises, tiny_model
from resnet50 import Dataset, contributions, lesions


@pytest.fixture(scope="module")
def model():
    return tiny_model(4, size=(32, 32), seed=3)


@pytest.fixture(scope="module")
def dataset():
    images = noise(9, 32, 32, 3, seed=1)
    labels = np.arange(9) % 4
    return Dataset(images, labels, tuple("abcd"), tuple(f"{k}.png" for k in range(9)), "noise")


def output(model, name, images):
    return keras.Model(model.input, model.get_layer(name).output).predict(images, verbose=0)


def test_a_contribution_is_the_mean_ratio_of_norms(model, dataset):
    rows = {row.block: row for row in contributions(model, dataset.images)}
    assert list(rows) == ["conv2_block1", "conv2_block2", "conv3_block1", "conv3_block2"]
    for block, shortcut in (("conv2_block2", "conv2_block1_out"), ("conv3_block1", "conv3_block1_0_bn")):
        residual = output(model, f"{block}_3_bn", dataset.images).reshape(9, -1)
        carried = output(model, shortcut, dataset.images).reshape(9, -1)
        added, passed = np.linalg.norm(residual, axis=1), np.linalg.norm(carried, axis=1)
        ratios = added / passed
        assert (rows[block].residual, rows[block].shortcut) == pytest.approx((added.mean(), passed.mean()), rel=1e-4)
        assert rows[block].share == pytest.approx(ratios.mean(), rel=1e-4)
        assert rows[block].spread == pytest.approx(ratios.std(), rel=1e-3, abs=1e-5)


def test_a_lesion_leaves_the_shortcut_alone(model, dataset):
    """The rest of the network gets what the shortcut carries."""
    before = model.get_weights()
    rows = {row.block: row for row in lesions(model, dataset)}
    for block, shortcut in (("conv2_block2", "conv2_block1_out"), ("conv3_block1", "conv3_block1_0_bn")):
        carried = np.maximum(output(model, shortcut, dataset.images), 0)
        rest = keras.Model(model.get_layer(f"{block}_out").output, model.output)
        right = rest.predict(carried, verbose=0).argmax(axis=1) == dataset.labels
        assert rows[block].accuracy == pytest.approx(right.mean())
        assert rows[block].images == 9
        assert rows[block].interval[0] <= right.mean() <= rows[block].interval[1]
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_lesion_of_a_residual_without_batch_norm_zeroes_the_convolution(dataset):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv1_conv")(inputs)
    residual = keras.layers.Conv2D(4, 3, padding="same", name="conv2_block1_1_conv")(x)
    y = keras.layers.Add(name="conv2_block1_add")([x, residual])
    outputs = keras.layers.Dense(4, activation="softmax", name="predictions")(keras.layers.GlobalAveragePooling2D()(y))
    model = keras.Model(inputs, outputs)
    without = keras.Model(inputs, model.get_layer("predictions")(model.layers[-2](x)))
    expected = (without.predict(dataset.images, verbose=0).argmax(axis=1) == dataset.labels).mean()
    (row,) = lesions(model, dataset, blocks=["conv2_block1"])
    assert row.accuracy == pytest.approx(expected)


def test_blocks_without_a_shortcut_are_left_out_beside_others(dataset):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv1_conv")(inputs)
    residual = keras.layers.Conv2D(4, 3, padding="same", name="conv2_block1_1_conv")(x)
    x = keras.layers.Add(name="conv2_block1_add")([x, residual])
    x = keras.layers.Activation("relu", name="conv2_block1_out")(x)
    x = keras.layers.Conv2D(4, 3, padding="same", name="conv2_block2_1_conv")(x)
    x = keras.layers.Activation("relu", name="conv2_block2_out")(x)
    outputs = keras.layers.Dense(4, activation="softmax", name="predictions")(keras.layers.GlobalAveragePooling2D()(x))
    mixed = keras.Model(inputs, outputs, name="mixed")
    assert [row.block for row in lesions(mixed, dataset)] == ["conv2_block1"]
    assert [row.block for row in contributions(mixed, dataset.images)] == ["conv2_block1"]
    with raises(ValueError, "mixed", "conv2_block2", "conv2_block1"):
        lesions(mixed, dataset, blocks=["conv2_block2"])


def test_an_unknown_block_and_no_image_are_refused(model, dataset):
    with raises(ValueError, "conv2_block9", "conv2_block1"):
        lesions(model, dataset, blocks=["conv2_block9"])
    with raises(ValueError, "noise"):
        lesions(model, dataset.select([]))
    with raises(ValueError, "image"):
        contributions(model, dataset.images[:0])


def test_a_plain_block_is_refused(dataset):
    plain = tiny_model(4, size=(32, 32), form="plain")
    for measure in (lambda: lesions(plain, dataset), lambda: contributions(plain, dataset.images)):
        with raises(ValueError, "conv2_block1", "shortcut"):
            measure()


def test_a_model_without_residual_blocks_is_refused(dataset):
    inputs = keras.Input((32, 32, 3))
    plain = keras.Model(inputs, keras.layers.Flatten()(inputs), name="plain")
    with raises(ValueError, "plain", "residual"):
        lesions(plain, dataset)
