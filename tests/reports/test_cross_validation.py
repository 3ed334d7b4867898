"""The page and the tables of a cross-validation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from factories import dataset, noise
from resnet50.data.splits import DatasetSplits
from resnet50.metrics.cross_validation import CrossValidation, Repetition
from resnet50.reports.cross_validation import PAGE, PREDICTIONS, SCORES, cross_validation_page, write_cross_validation


@pytest.fixture
def result():
    labels = np.arange(12) % 2
    pooled = dataset(labels, ("cats", "dogs <i>"), images=noise(12, 8, 8, 3))
    predicted = labels.copy()
    predicted[4] = 1
    probabilities = np.where(np.eye(2, dtype=bool)[predicted], 0.9, 0.1).astype(np.float32)
    features = np.random.default_rng(0).normal(0, 1, (12, 5)).astype(np.float32)
    splits = DatasetSplits(pooled.select(range(8)), pooled.select(range(8, 12)))
    repetition = Repetition(0, np.arange(12) % 3, probabilities, (0.1, 0.1, 0.3))
    return CrossValidation(splits, pooled, np.arange(12), (repetition,), "timm/tv_in1k", features, ("A remark.",))


def test_the_page_has_scores_folds_classes_and_suspicious_labels(result):
    page = cross_validation_page(result)
    assert "91.7% accuracy" in page
    assert "A remark." in page
    assert page.count("dogs &lt;i&gt;") > 3
    assert "dogs <i>" not in page
    assert page.count("<span>suspect: ") == 1
    assert page.count("<span>for comparison: nearest of") == 2
    assert "predicted dogs &lt;i&gt;, 90%" in page
    assert "<script" not in page


def test_without_features_it_is_a_run_for_each_fold(result):
    full = CrossValidation(
        result.splits, result.dataset, result.clusters, (Repetition(0, *_of(result)), Repetition(1, *_of(result))), None
    )
    page = cross_validation_page(full)
    assert "C of the linear head" not in page
    assert "Spread over seeds" in page
    assert "nearest of" not in page


def _of(result):
    return result.repetitions[0].folds, result.repetitions[0].probabilities


def test_three_files_are_written(result, tmp_path):
    write_cross_validation(tmp_path / "new", result)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {PAGE, PREDICTIONS, SCORES}
    assert json.loads((tmp_path / "new" / SCORES).read_text())["accuracy"] == pytest.approx(11 / 12)
