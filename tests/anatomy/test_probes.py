from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import noise, raises, tiny_model
from resnet50 import Dataset, linear_probes
from resnet50.anatomy.probes import pooled_features


def split(count, seed):
    """Images whose class is their brightness."""
    labels = np.arange(count) % 3
    images = (noise(count, 32, 32, 3, seed=seed) // 8 + 80 * labels[:, None, None, None]).astype("uint8")
    return Dataset(images, labels, tuple("abc"), tuple(f"{seed}-{k}.png" for k in range(count)), "brightness")


def test_features_are_means_over_positions():
    model, images = tiny_model(3, size=(32, 32), seed=3), noise(5, 32, 32, 3)
    found = pooled_features(model, images, ["conv2_block1_out", "avg_pool"])
    maps = keras.Model(model.input, model.get_layer("conv2_block1_out").output).predict(images, verbose=0)
    np.testing.assert_allclose(found["conv2_block1_out"], maps.mean(axis=(1, 2)), atol=1e-5)
    assert found["avg_pool"].shape == (5, 24)


def test_a_probe_reads_what_a_layer_knows():
    model = tiny_model(3, size=(32, 32), seed=3)
    done = []
    rows = linear_probes(
        model, split(60, 1), split(24, 2), layers=["conv1_conv"], progress=lambda *numbers: done.append(numbers)
    )
    (row,) = rows
    assert (row.layer, row.images) == ("conv1_conv", 24)
    assert row.accuracy > 0.9
    assert row.interval[0] < row.accuracy <= row.interval[1]
    assert [numbers for numbers in done if numbers[0] == numbers[1]] == [(84, 84), (1, 1)]


def test_a_probe_on_what_knows_nothing_is_at_chance():
    inputs = keras.Input((32, 32, 3))
    nothing = keras.layers.Rescaling(0.0, name="nothing")(inputs)
    (row,) = linear_probes(keras.Model(inputs, nothing), split(60, 1), split(24, 2), layers=["nothing"])
    assert row.accuracy == pytest.approx(1 / 3)


def test_images_that_cannot_be_divided_are_refused_before_any_work():
    done = []
    with raises(ValueError, "brightness", "two"):
        linear_probes(
            tiny_model(3, size=(32, 32)),
            split(3, 1),
            split(3, 2),
            layers=["avg_pool"],
            progress=lambda *_: done.append(1),
        )
    assert done == []


def test_an_unknown_layer_is_refused():
    with raises(ValueError, "conv9"):
        linear_probes(tiny_model(3, size=(32, 32)), split(6, 1), split(3, 2), layers=["conv9"])
