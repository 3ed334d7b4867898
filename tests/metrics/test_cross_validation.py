"""Scores of a cross-validation against numbers worked out by hand."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy.stats import binomtest

from factories import dataset
from resnet50.data.splits import DatasetSplits
from resnet50.metrics.cross_validation import CrossValidation, Repetition, design_effect, wilson_interval

LABELS = [0, 0, 0, 0, 1, 1, 1, 1]


def predicting(predicted, confidence=0.75):
    """Probabilities with this class first."""
    return np.where(np.eye(2, dtype=bool)[predicted], confidence, 1 - confidence).astype(np.float32)


def result(*predicted, clusters=range(8), **options):
    repetitions = tuple(
        Repetition(seed, np.array([0, 1] * 4), predicting(each), (0.1, 3.0)) for seed, each in enumerate(predicted)
    )
    pooled = dataset(LABELS, ("=cats", "dogs"))
    splits = DatasetSplits(pooled.select(range(6)), pooled.select([6, 7]))
    return CrossValidation(splits, pooled, np.array(clusters), repetitions, "timm/tv_in1k", **options)


def test_accuracy_spread_and_folds():
    found = result([0, 0, 0, 1, 1, 1, 1, 0])  # images 3 and 7 are wrong, both in the second fold
    assert found.folds == 2
    assert found.accuracy == 0.75
    assert [(each.fold, each.images, each.accuracy, each.c) for each in found.fold_scores] == [
        (1, 4, 1.0, 0.1),
        (2, 4, 0.5, 3.0),
    ]
    assert found.spread == pytest.approx(np.sqrt(0.125))
    assert found.spread_of_seeds is None
    scores = found.classes["dogs"]
    assert (scores.recall, scores.precision, scores.support) == (0.75, 0.75, 4)


def test_several_seeds_are_averaged():
    found = result([0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 1, 1, 1, 1])
    assert found.accuracy == 0.875
    assert found.spread_of_seeds == pytest.approx(0.25 / np.sqrt(2))
    assert len(found.fold_scores) == 4
    assert found.classes["dogs"].recall == 0.875
    np.testing.assert_allclose(found.probabilities[3], [0.5, 0.5])


def test_the_interval_is_wilsons_for_independent_images():
    oracle = binomtest(6, 8).proportion_ci(method="wilson")
    assert result([0, 0, 0, 1, 1, 1, 1, 0]).interval == pytest.approx((oracle.low, oracle.high))
    assert wilson_interval(1.0, 10)[1] == pytest.approx(1.0)


def test_images_that_are_wrong_together_widen_the_interval():
    values = np.array([1.0, 1, 1, 1, 0, 0, 1, 1])
    pairs = np.array([0, 0, 1, 1, 2, 2, 3, 3])
    assert design_effect(values, np.arange(8)) == 1.0
    assert design_effect(values, pairs) == pytest.approx(2.0)
    assert design_effect(np.ones(8), pairs) == 1.0
    together = result([0, 0, 0, 0, 0, 0, 1, 1], clusters=pairs)
    assert together.interval == pytest.approx(wilson_interval(0.75, 4))


def test_the_tables_hold_every_prediction(tmp_path):
    found = result([0, 0, 0, 1, 1, 1, 1, 0], [0] * 8, remarks=("Look here.",))
    found.save_predictions(tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:6] == ["path", "split", "label", "seed", "fold", "prediction"]
    assert len(header) == 8
    assert len(rows) == 16
    assert rows[3] == ["3.png", "train", "'=cats", "0", "2", "dogs", "0.250000", "0.750000"]  # no formula
    assert rows[8 + 7][1:6] == ["test", "dogs", "1", "2", "'=cats"]
    values = json.loads(found.to_json())
    assert values["accuracy"] == pytest.approx(0.625)
    assert values["confusion"] == [[3.5, 0.5], [2.5, 1.5]]
    assert values["remarks"] == ["Look here."]
