"""Calibration: bins and errors counted by hand, temperatures that are known, and logits that are really divided."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest

from factories import classifier as classifier_of
from factories import noise, raises, tiny_model
from resnet50.inference.classifier import Classifier
from resnet50.metrics.calibration import (
    Bin,
    calibrate,
    calibration_error,
    chance_error,
    cross_validated_losses,
    fit_temperature,
    losses,
    mean_loss,
    recommend_temperature,
    reliability,
    scale,
    score_temperature,
)


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(n, classes, spread, seed=0):
    """Logits, and labels that follow just the probabilities that these mean."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (n, classes))
    edges = softmax(logits).cumsum(axis=1)
    labels = (rng.random((n, 1)) > edges[:, :-1]).sum(axis=1)
    return logits, labels


def two_classes(*shares):
    """Rows of two classes of which the first is the more probable."""
    return np.array([[share, 1 - share] for share in shares])


def test_bins_and_error_by_hand():
    """Five images: the bins (8/15, 9/15], (10/15, 11/15] and (14/15, 1] hold two, one and two of them."""
    bins = reliability(two_classes(0.55, 0.59, 0.7, 0.95, 1.0), np.array([0, 1, 1, 0, 0]))
    assert len(bins) == 15
    assert [(k, one.images) for k, one in enumerate(bins) if one.images] == [(8, 2), (10, 1), (14, 2)]
    assert bins[8] == Bin(2, pytest.approx(0.57), 0.5)
    assert bins[10] == Bin(1, pytest.approx(0.7), 0.0)
    assert bins[14] == Bin(2, pytest.approx(0.975), 1.0)
    assert bins[0] == Bin(0, 0.0, 0.0)
    assert calibration_error(bins) == pytest.approx((2 * 0.07 + 0.7 + 2 * 0.025) / 5)


def test_a_bin_holds_its_upper_edge_and_what_was_rounded_above_one():
    edges = np.array([[0.6, 0.4], [1.0000002, 0.0]], dtype=np.float64)
    assert [k for k, one in enumerate(reliability(edges, np.array([0, 0]))) if one.images] == [8, 14]


def test_the_error_agrees_with_plain_loops():
    logits, labels = drawn(500, 7, 2.0)
    probabilities = softmax(2.5 * logits)
    total = 0.0
    for m in range(1, 16):
        inside = [row for row in range(500) if (m - 1) / 15 < probabilities[row].max() <= m / 15]
        right = sum(int(probabilities[row].argmax() == labels[row]) for row in inside)
        total += abs(right - sum(probabilities[row].max() for row in inside))
    assert calibration_error(reliability(probabilities, labels)) == pytest.approx(total / 500)


@pytest.mark.parametrize("n", [40, 400, 4000])
def test_chance_makes_as_much_error_as_calibrated_classifiers_show(n):
    errors = []
    for seed in range(40):
        logits, labels = drawn(n, 5, 2.0, seed)
        errors.append(calibration_error(reliability(softmax(logits), labels)))
    assert chance_error(softmax(logits)) == pytest.approx(np.mean(errors), rel=0.15)


def test_chance_is_drawn_the_same_way_every_time():
    logits, _ = drawn(50, 3, 1.0)
    assert chance_error(softmax(logits)) == chance_error(softmax(logits)) > 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_finds_the_temperature_that_the_logits_were_multiplied_with(temperature):
    logits, labels = drawn(20000, 6, 2.0)
    probabilities = softmax(logits * temperature).astype(np.float32)
    found = fit_temperature(probabilities, labels)
    assert found == pytest.approx(temperature, rel=0.03)
    best = mean_loss(scale(probabilities, found), labels)
    for other in (0.97, 1.03):
        assert best < mean_loss(scale(probabilities, found * other), labels)


def test_the_temperature_of_hopeless_and_of_certain_mistakes_is_finite():
    assert fit_temperature(two_classes(*[0.99] * 60), np.array([1, 1, 0] * 20)) == pytest.approx(20, rel=1e-3)
    certain = np.array([[1.0, 0], [1, 0], [1, 0], [0, 1]] * 15)
    assert 1 < fit_temperature(certain, np.zeros(60, int)) <= 20


def test_scaling_is_the_softmax_of_divided_logits():
    logits, _ = drawn(30, 4, 3.0)
    np.testing.assert_allclose(scale(softmax(logits), 1.7), softmax(logits / 1.7), rtol=1e-12)
    np.testing.assert_allclose(scale(np.array([[1.0, 0.0]]), 0.5), [[1.0, 0.0]], atol=1e-30)


def test_no_temperature_fits_where_every_image_is_right():
    with raises(ValueError, "held-out", 60):
        fit_temperature(two_classes(*[0.9] * 60), np.zeros(60, int))


@pytest.mark.parametrize("images", [0, 1, 49])
def test_on_few_images_chance_would_make_the_temperature(images):
    with raises(ValueError, "held-out", 50, images):
        fit_temperature(two_classes(*[0.9] * images).reshape(-1, 2), np.ones(images, int))


def test_the_cross_validated_losses_are_those_of_temperatures_that_other_images_gave():
    logits, labels = drawn(95, 4, 1.0)
    probabilities = softmax(2 * logits)
    found = cross_validated_losses(probabilities, labels)
    assert found.shape == (95,)
    assert found.mean() > mean_loss(scale(probabilities, fit_temperature(probabilities, labels)), labels)
    assert found.mean() < mean_loss(probabilities, labels)
    np.testing.assert_array_equal(found, cross_validated_losses(probabilities, labels))


def test_each_image_is_left_out_once_and_each_fold_has_images_of_every_class(monkeypatch):
    from resnet50.metrics import calibration

    seen = []
    monkeypatch.setattr(calibration, "_best_temperature", lambda p, labels: seen.append(np.bincount(labels)) or 1.0)
    labels = np.array([0] * 20 + [1] * 40)
    probabilities = two_classes(*np.linspace(0.1, 0.9, 60))
    np.testing.assert_allclose(cross_validated_losses(probabilities, labels), losses(probabilities, labels))
    assert [counts.tolist() for counts in seen] == [[18, 36]] * 10


def test_a_difference_within_its_standard_error_is_no_recommendation(monkeypatch):
    from resnet50.metrics import calibration

    logits, labels = drawn(100, 4, 1.0)
    given = (softmax(logits), labels)
    for gain, recommended in ((0.09, False), (0.11, True)):  # with a standard deviation of 1: the error is 0.1
        changes = np.tile([1.0, -1.0], 50) * np.sqrt(99 / 100) - gain
        monkeypatch.setattr(calibration, "cross_validated_losses", lambda *_, by=changes: losses(*given) + by)
        if recommended:
            assert recommend_temperature(*given).images == 100
        else:
            with raises(ValueError, 100, "0.100"):
                recommend_temperature(*given)


def test_an_overconfident_classifier_gets_a_temperature_and_scores_with_it():
    logits, labels = drawn(600, 4, 1.0)
    held_out, test = slice(0, 300), slice(300, 600)
    probabilities = softmax(3 * logits)
    fitted = recommend_temperature(probabilities[held_out], labels[held_out])
    scaling = score_temperature(fitted, probabilities[test], labels[test])
    assert scaling.temperature == fit_temperature(probabilities[held_out], labels[held_out])
    assert scaling.images == 300
    assert scaling.cross_validated_loss < scaling.validation_loss
    assert scaling.validation_loss == mean_loss(probabilities[held_out], labels[held_out])
    after = scale(probabilities[test], scaling.temperature)
    assert scaling.loss == mean_loss(after, labels[test])
    assert scaling.calibration_error == calibration_error(reliability(after, labels[test]))


def test_no_temperature_is_recommended_for_a_calibrated_classifier():
    logits, labels = drawn(300, 4, 1.0)
    calibrated = softmax(logits)
    calibrated = scale(calibrated, fit_temperature(calibrated, labels))  # the best there is: any other fits worse
    with raises(ValueError, 300, 10, f"{mean_loss(calibrated, labels):.3f}"):
        recommend_temperature(calibrated, labels)


@pytest.mark.parametrize(
    ("probability", "right"), [(0.99, 0), (0.51, 599)], ids=["the-highest-temperature", "the-lowest-temperature"]
)
def test_a_temperature_at_the_limit_of_the_search_is_not_recommended(probability, right):
    labels = np.array([0] * right + [1] * (600 - right))
    probabilities = two_classes(*[probability] * 600)
    with raises(ValueError, 600, 0.05, 20):
        recommend_temperature(probabilities, labels)


@pytest.fixture
def classifier():
    metrics = {"accuracy": 0.5, "loss": 1.25}
    return classifier_of(tiny_model(5, head="norm"), tuple("abcde"), recipe={"name": "r"}, metrics=metrics)


@pytest.mark.slow
def test_a_calibrated_classifier_predicts_the_same_with_less_confidence(classifier, tmp_path):
    images = noise(16, 32, 40, 3)
    before = classifier.probabilities(images)
    calibrated = calibrate(classifier, 2.5)
    after = calibrated.probabilities(images)
    expected = before.astype(np.float64) ** (1 / 2.5)
    np.testing.assert_allclose(after, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)
    np.testing.assert_array_equal(after.argsort(axis=1), before.argsort(axis=1))
    np.testing.assert_array_equal(classifier.probabilities(images), before)  # the first one stays as it was
    assert calibrated.metrics == {"accuracy": 0.5, "temperature": 2.5}
    assert (calibrated.class_names, calibrated.recipe) == (classifier.class_names, classifier.recipe)

    calibrated.save(tmp_path / "calibrated.keras")
    plain = keras.saving.load_model(tmp_path / "calibrated.keras", compile=False)
    np.testing.assert_allclose(plain.predict(images, verbose=0), after, atol=1e-6)
    assert [layer.name for layer in plain.layers] == [layer.name for layer in classifier.model.layers]
    assert Classifier.load(tmp_path / "calibrated.keras").metrics["temperature"] == 2.5


def test_temperatures_multiply(classifier):
    twice = calibrate(calibrate(classifier, 2.0), 1.5)
    assert twice.metrics["temperature"] == 3.0
    kernel, bias = (weight / 3 for weight in classifier.model.layers[-1].get_weights())
    np.testing.assert_allclose(twice.model.layers[-1].get_weights()[0], kernel, rtol=1e-6)
    np.testing.assert_allclose(twice.model.layers[-1].get_weights()[1], bias, rtol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_refuses_what_is_no_temperature(classifier, temperature):
    with raises(ValueError, "temperature", 0, temperature):
        calibrate(classifier, temperature)


@pytest.mark.parametrize("activation", ["sigmoid", None])
def test_refuses_a_model_without_a_softmax_at_its_end(activation):
    inputs = keras.Input((4, 4, 3))
    flat = keras.layers.Flatten()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2, activation=activation, name="end")(flat), name="other")
    with raises(ValueError, "'other'", "softmax", "'end'", "Dense"):
        calibrate(classifier_of(model, ("a", "b")), 2.0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_probabilities_that_are_no_numbers_fit_no_temperature(wrong):
    probabilities = np.full((60, 2), 0.5)
    probabilities[7] = wrong
    with raises(ValueError, "NaN"):
        fit_temperature(probabilities, np.arange(60) % 2)
