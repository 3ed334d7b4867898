"""The folded network against the whole one, with random weights and statistics."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from factories import NETWORKS, noise, raises, tiny_model
from resnet50.graph.fold_model import fold_batch_norm
from resnet50.inference.features import feature_model
from resnet50.model import ResNet50

IMAGES = noise(3, 32, 40, 3).astype(np.float32)


def scores(model, images=IMAGES):
    """Return the inputs of the last dense layer, since a softmax hides differences; without one, the output."""
    dense = any(isinstance(layer, layers.Dense) for layer in model.layers)
    return np.asarray((feature_model(model) if dense else model).predict_on_batch(images))


def assert_same(whole, folded, images=IMAGES):
    expected, found = scores(whole, images), scores(folded, images)
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(folded.predict_on_batch(images), whole.predict_on_batch(images), atol=1e-5)


def norms(model):
    return [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


@pytest.mark.slow
@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_predicts_the_same(options):
    whole = tiny_model(seed=1, **options)
    folded = fold_batch_norm(whole)
    assert_same(whole, folded)
    kept = ["head_bn"] if options.get("head") == "norm" else []
    if options.get("form") == "preactivation":  # those that follow a sum or the pooling
        kept = [*(f"conv{stage}_block{block}_1_bn" for stage in (2, 3) for block in (1, 2)), "post_bn"]
    assert norms(folded) == kept
    names = [layer.name for layer in whole.layers if layer.name in kept or not layer.name.endswith("_bn")]
    assert [layer.name for layer in folded.layers] == names
    assert folded.name == whole.name
    assert folded.input_shape == (None, 32, 40, 3)
    assert {type(layer).__module__.split(".")[0] for layer in folded.layers} == {"keras"}


@pytest.mark.slow
def test_the_network_of_the_paper_loses_53_layers(random_weights):
    whole = random_weights(ResNet50((64, 64, 3), 10, classifier_activation=None))
    folded = fold_batch_norm(whole)
    assert len(whole.layers) - len(folded.layers) == 53
    assert_same(whole, folded, np.random.default_rng(0).normal(0, 1, (2, 64, 64, 3)).astype(np.float32))


@pytest.mark.slow
def test_the_source_stays_as_it_was_and_shares_nothing(tmp_path):
    whole = tiny_model()
    weights, config = whole.get_weights(), whole.get_config()
    folded = fold_batch_norm(whole)
    assert whole.get_config() == config
    folded.set_weights([weight * 0 for weight in folded.get_weights()])
    for before, after in zip(weights, whole.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    fold_batch_norm(whole).save(tmp_path / "folded.keras")
    assert_same(whole, keras.saving.load_model(tmp_path / "folded.keras"))


def graph(build):
    inputs = keras.Input((8, 10, 4))
    return keras.Model(inputs, build(inputs))


def twice(x):
    found = layers.Conv2D(5, 3, name="conv")(x)
    return layers.Concatenate()([layers.BatchNormalization()(found), found])


def shared_conv(x):
    conv, norm = layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()
    return norm(conv(conv(x)))


def shared_norm(x):
    norm = layers.BatchNormalization()
    return layers.Add()([norm(layers.Conv2D(5, 3)(x)), norm(layers.Conv2D(5, 3)(x))])


def also_an_output(x):
    found = layers.Conv2D(5, 3)(x)
    return [found, layers.BatchNormalization()(found)]


@pytest.mark.parametrize(
    "build",
    [
        twice,
        shared_conv,
        shared_norm,
        lambda x: layers.BatchNormalization()(layers.Conv2D(5, 3, activation="relu")(x)),
        lambda x: layers.BatchNormalization(axis=1)(layers.Conv2D(5, 3)(x)),
        lambda x: layers.BatchNormalization()(layers.Dense(5)(x)),
        lambda x: layers.BatchNormalization()(x),
    ],
    ids=["twice", "shared-conv", "shared-norm", "activation", "axis", "dense", "input"],
)
def test_a_norm_that_cannot_be_folded_stays(random_weights, build):
    whole = random_weights(graph(build))
    folded = fold_batch_norm(whole)
    assert len(norms(folded)) == len(norms(whole)) == 1
    images = np.random.default_rng(1).normal(0, 1, (2, 8, 10, 4)).astype(np.float32)
    np.testing.assert_array_equal(folded.predict_on_batch(images), whole.predict_on_batch(images))


def test_an_output_of_the_model_counts_as_used(random_weights):
    whole = random_weights(graph(also_an_output))
    folded = fold_batch_norm(whole)
    assert len(norms(folded)) == 1
    images = np.random.default_rng(1).normal(0, 1, (2, 8, 10, 4)).astype(np.float32)
    for expected, found in zip(whole.predict_on_batch(images), folded.predict_on_batch(images), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("center", "scale"), [(True, False), (False, True), (False, False)])
def test_a_norm_may_lack_scale_or_offset_and_end_the_model(random_weights, center, scale):
    whole = random_weights(
        graph(
            lambda x: layers.BatchNormalization(epsilon=0.1, center=center, scale=scale)(
                layers.Conv2D(6, 3, groups=2)(x)
            )
        )
    )
    folded = fold_batch_norm(whole)
    assert norms(folded) == []
    images = np.random.default_rng(1).normal(0, 1, (2, 8, 10, 4)).astype(np.float32)
    np.testing.assert_allclose(folded.predict_on_batch(images), whole.predict_on_batch(images), atol=1e-5)


def test_needs_a_functional_model():
    with raises(ValueError, "'plain'", "Sequential"):
        fold_batch_norm(keras.Sequential([keras.Input((4,)), layers.Dense(2)], name="plain"))
