"""Scoring from stored features, and by the float32 network where the two do not agree."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import factories
from factories import dataset, noise, raises, tiny_model
from resnet50.data.batches import Batches
from resnet50.data.splits import DatasetSplits
from resnet50.training import scoring
from resnet50.training.environment import describe_environment
from resnet50.training.features import FrozenPart
from resnet50.training.scoring import FARTHEST, score_splits


@pytest.fixture(scope="module")
def network():
    return tiny_model(3)


def images_of(n, seed):
    return dataset(np.arange(n) % 3, "abc", images=noise(n, 32, 40, 3, seed=seed), name="some")


@pytest.fixture(scope="module")
def splits():
    return DatasetSplits(images_of(30, 1), images_of(70, 2), images_of(20, 3))


def frozen(network, name="avg_pool", precision="float32"):
    return FrozenPart(network, name, environment=describe_environment(), precision=precision)


def own(network, images):
    """The whole network, at once."""
    return np.asarray(network(images.astype(np.float32), training=False))


@pytest.mark.parametrize("name", ["avg_pool", "conv2_block2_out"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_scores_from_features_state_how_far_they_are_from_the_network(network, splits, name, precision):
    scored = score_splits(factories.classifier(network), frozen(network, name, precision), splits)
    assert set(scored.probabilities) == {"validation", "test"}  # the training images are not scored
    assert (scored.from_features.precision, scored.from_features.compared) == (precision, 16)
    for split, probabilities in scored.probabilities.items():
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(probabilities, own(network, splits[split].images), atol=FARTHEST)
    difference = np.abs(scored.probabilities["test"] - own(network, splits["test"].images))[:16].max()
    assert scored.from_features.difference == pytest.approx(difference, abs=1e-5)
    assert scored.from_features.difference < (1e-3 if precision == "float32" else FARTHEST)


def test_features_that_do_not_agree_are_not_used(network, splits):
    other = tiny_model(3, seed=5)
    scored = score_splits(factories.classifier(network), frozen(other), splits)
    assert scored.from_features is None
    for split, probabilities in scored.probabilities.items():
        np.testing.assert_allclose(probabilities, own(network, splits[split].images), atol=1e-5)


@pytest.mark.parametrize(("farther", "expected"), [(0.9, True), (1.1, False)])
def test_the_farthest_distance_decides(network, splits, monkeypatch, farther, expected):
    part = frozen(network, precision="bfloat16")
    distance = score_splits(factories.classifier(network), part, splits).from_features.difference
    monkeypatch.setattr(scoring, "FARTHEST", distance / farther)
    assert (score_splits(factories.classifier(network), part, splits).from_features is not None) is expected


def test_without_a_frozen_part_the_network_scores(network, splits, monkeypatch):
    scored = score_splits(factories.classifier(network), None, splits)
    assert scored.from_features is None
    assert set(scored.probabilities) == {"validation", "test"}
    np.testing.assert_allclose(scored.probabilities["test"], own(network, splits["test"].images), atol=1e-5)


def test_few_test_images_and_no_validation_are_enough(network):
    splits = DatasetSplits(images_of(30, 1), images_of(3, 2))
    scored = score_splits(factories.classifier(network), frozen(network), splits)
    assert set(scored.probabilities) == {"test"}
    assert (scored.from_features.compared, scored.probabilities["test"].shape) == (3, (3, 3))


def test_probabilities_that_are_no_numbers_are_an_error(splits):
    broken = tiny_model(3)
    part = frozen(broken)
    broken.get_layer("predictions").bias.assign([np.nan, 0, 0])
    with raises(ValueError, "NaN"):
        score_splits(factories.classifier(broken), part, splits)


def test_stored_validation_features_are_used_again(network, splits, monkeypatch):
    part = frozen(network, name="conv3_block1_out")
    part.features(Batches(splits.validation, 8))
    sizes = []
    predict = keras.Model.predict_on_batch
    monkeypatch.setattr(keras.Model, "predict_on_batch", lambda model, x: (sizes.append(len(x)), predict(model, x))[1])
    part.features(Batches(splits.validation, 1))
    assert not sizes
