from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import noise, raises, tiny_model
from resnet50 import Dataset, gradient_norms, loss_slice


@pytest.fixture(scope="module")
def dataset():
    labels = np.arange(8) % 3
    return Dataset(noise(8, 32, 32, 3), labels, tuple("abc"), tuple(f"{k}.png" for k in range(8)), "noise")


@pytest.mark.slow
def test_a_gradient_is_that_of_the_training_loss(dataset):
    """A small step along the gradient of one kernel changes the loss by the square of its norm."""
    model = tiny_model(3, size=(32, 32), seed=2)
    before = model.get_weights()
    rows = {row.layer: row for row in gradient_norms(model, dataset.images, dataset.labels)}
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert list(rows)[:2] == ["conv1_conv", "conv2_block1_1_conv"]
    assert {name for name in rows if name.endswith("_0_conv")} == {"conv2_block1_0_conv", "conv3_block1_0_conv"}
    kernel = model.get_layer("conv2_block2_3_conv").kernel
    value = keras.ops.convert_to_numpy(kernel)
    numeric = np.zeros_like(value)
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")  # a step changes no weight
    for place in np.ndindex(value.shape):
        losses = []
        for step in (-5e-3, 5e-3):  # a larger one bends the line, a smaller one drowns in rounding
            changed = value.copy()
            changed[place] += step
            kernel.assign(changed)
            model.reset_metrics()
            losses.append(model.train_on_batch(dataset.images, dataset.labels))
        numeric[place] = (losses[1] - losses[0]) / 1e-2
    row = rows["conv2_block2_3_conv"]
    assert row.norm == pytest.approx(np.linalg.norm(numeric), rel=0.01)  # 0.0003, rounding another 0.0004
    assert row.relative == pytest.approx(row.norm / np.linalg.norm(value))


def test_too_few_images_or_labels_are_refused(dataset):
    model = tiny_model(3, size=(32, 32))
    with raises(ValueError, "two", "1"):
        gradient_norms(model, dataset.images[:1], dataset.labels[:1])
    with raises(ValueError, "8", "(7,)"):
        gradient_norms(model, dataset.images, dataset.labels[:7])


def test_the_middle_of_a_slice_is_the_network_itself(dataset):
    model = tiny_model(3, size=(32, 32), seed=2)
    before = model.get_weights()
    predicted = model.predict(dataset.images, verbose=0)
    loss = -np.log(predicted[np.arange(8), dataset.labels]).mean()
    done = []
    line = loss_slice(model, dataset, points=5, reach=0.5, progress=lambda *numbers: done.append(numbers))
    np.testing.assert_allclose(line.steps, [-0.5, -0.25, 0, 0.25, 0.5])
    assert line.losses[2] == pytest.approx(loss, rel=1e-4)
    assert len(set(line.losses.tolist())) == 5
    assert done[-1] == (5, 5)
    plane = loss_slice(model, dataset, directions=2, points=3, reach=0.5)
    assert plane.losses.shape == (3, 3)
    assert plane.losses[1, 1] == pytest.approx(loss, rel=1e-4)
    np.testing.assert_allclose(plane.losses[:, 1], line.losses[::2], rtol=1e-4)  # the first direction of one seed
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_slice_does_not_depend_on_the_scale_of_filters(dataset):
    """A filter before batch norm may have any norm: the slice of the network stays the same."""
    model = tiny_model(3, size=(32, 32), seed=2)
    scaled = tiny_model(3, size=(32, 32), seed=2)
    convolution, norm = scaled.get_layer("conv2_block1_1_conv"), scaled.get_layer("conv2_block1_1_bn")
    convolution.kernel.assign(convolution.kernel * 10)
    convolution.bias.assign(convolution.bias * 10)
    norm.moving_mean.assign(norm.moving_mean * 10)
    norm.moving_variance.assign(norm.moving_variance * 100 + 99 * norm.epsilon)
    slices = [loss_slice(each, dataset, points=3).losses for each in (model, scaled)]
    np.testing.assert_allclose(slices[0], slices[1], rtol=1e-3)


@pytest.mark.parametrize("numbers", [{"directions": 3}, {"points": 4}, {"points": 1}, {"reach": 0}])
def test_impossible_numbers_are_refused(dataset, numbers):
    with raises(ValueError, next(iter(numbers.values()))):
        loss_slice(tiny_model(3, size=(32, 32)), dataset, **numbers)
