"""Ranking of suspicious labels, against values that are worked out by hand or were computed by cleanlab."""

from __future__ import annotations

import numpy as np
import pytest

from factories import dataset
from resnet50.audit.issue import AllImages
from resnet50.audit.label_errors import (
    confident_joint,
    find_label_errors,
    label_issues,
    marked,
    normalized_margin,
    self_confidence,
)

PROBABILITIES = np.array(
    [
        [0.9, 0.1, 0.0],
        [0.7, 0.2, 0.1],
        [0.1, 0.8, 0.1],  # labeled 0, confidently 1
        [0.2, 0.7, 0.1],
        [0.1, 0.9, 0.0],
        [0.6, 0.3, 0.1],  # labeled 1, confidently 0
        [0.1, 0.2, 0.7],
        [0.45, 0.4, 0.15],  # labeled 2, predicted 0 without confidence
    ]
)
LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2])


def test_the_scores_of_a_label():
    np.testing.assert_allclose(self_confidence(PROBABILITIES, LABELS), [0.9, 0.7, 0.1, 0.7, 0.9, 0.3, 0.7, 0.15])
    expected = [0.9, 0.75, 0.15, 0.75, 0.9, 0.35, 0.75, 0.35]
    np.testing.assert_allclose(normalized_margin(PROBABILITIES, LABELS), expected)


def test_the_confident_joint_counts_images_above_the_mean_of_their_class():
    # thresholds: 0.5667, 0.6333, 0.425
    assert confident_joint(PROBABILITIES, LABELS).tolist() == [[2, 1, 0], [1, 2, 0], [0, 0, 1]]
    assert np.flatnonzero(marked(PROBABILITIES, LABELS)).tolist() == [2, 5]


def test_errors_are_ranked_by_self_confidence_and_counted_by_class():
    errors = find_label_errors(PROBABILITIES, LABELS)
    assert errors.order.tolist() == [2, 7, 5]
    np.testing.assert_allclose(errors.expected, [1, 1, 0])


def test_a_class_without_images_is_never_expected():
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]])
    errors = find_label_errors(probabilities, np.array([0, 1]))
    assert not len(errors.order)
    assert errors.expected.tolist() == [0, 0, 0]


def images():
    pooled = dataset(LABELS, ("cats", "dogs", "emus"))
    return AllImages({"train": pooled.select(range(6)), "test": pooled.select([6, 7])})


def test_the_issue_has_each_image_with_the_nearest_of_both_classes():
    features = np.eye(8, dtype=np.float32)
    features[2] = features[0] + 2 * features[4]
    (issue,) = label_issues(images(), PROBABILITIES, features)
    assert (issue.kind, issue.severity) == ("label-error", "warning")
    assert "3 images of 8" in issue.summary
    assert "1 of cats, 1 of dogs" in issue.summary
    assert "62%" in issue.advice  # of the labels are predicted: too few to trust the marks
    first, last, _ = issue.examples
    assert [(place.path, place.class_name) for place in first] == [
        ("2.png", "cats"),
        ("0.png", "cats"),
        ("4.png", "dogs"),
    ]
    assert ["suspect" in place.remark for place in first] == [True, False, False]
    assert ["comparison" in place.remark for place in first] == [False, True, True]
    assert first[0].suggestion == "dogs"
    assert "80%" in first[0].remark
    assert "probably wrong" in first[0].remark
    assert "probably wrong" not in last[0].remark
    assert (last[0].split, last[0].suggestion, last[0].index) == ("test", "cats", 1)


def test_a_label_that_somebody_has_decided_is_not_found_again():
    (issue,) = label_issues(images(), PROBABILITIES, np.eye(8), decided={"2.png", "0.png"})
    assert [example[0].path for example in issue.examples] == ["7.png", "5.png"]
    assert "2 images of 8" in issue.summary
    assert "2 others have" in issue.summary
    assert ("of cats" in issue.summary, "1 of dogs" in issue.summary) == (False, True)
    assert "62%" in issue.advice  # of all predictions, as before
    everything = {f"{k}.png" for k in range(8)}
    assert list(label_issues(images(), PROBABILITIES, None, decided=everything)) == []


def test_without_features_there_are_no_nearest_images_and_without_errors_no_issue():
    (issue,) = label_issues(images(), PROBABILITIES, None)
    assert [len(example) for example in issue.examples] == [1, 1, 1]
    assert list(label_issues(images(), np.eye(3)[LABELS], None)) == []


def test_where_most_labels_are_predicted_no_accuracy_is_a_warning():
    probabilities = np.eye(3)[LABELS]
    probabilities[0] = PROBABILITIES[2]
    (issue,) = label_issues(images(), probabilities, None)
    assert "%" not in issue.advice


@pytest.mark.parametrize(
    ("seed", "marks", "lowest"),
    [(0, [15, 44, 54], [54, 52, 44, 58]), (1, [7, 8, 23, 30, 31, 38, 45, 59], [30, 7, 45, 23])],
)
def test_marks_and_margins_are_those_of_cleanlab(seed, marks, lowest):
    """Of cleanlab 2.9.0: ``find_label_issues(labels, probabilities, filter_by="confident_learning")`` and the order of
    ``get_normalized_margin_for_each_label(labels, probabilities)``."""
    rng = np.random.default_rng(seed)
    labels = np.arange(60) % 4
    logits = rng.normal(0, 1, (60, 4)) + 1.5 * np.eye(4)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.flatnonzero(marked(probabilities, labels)).tolist() == marks
    assert np.argsort(normalized_margin(probabilities, labels))[:4].tolist() == lowest
