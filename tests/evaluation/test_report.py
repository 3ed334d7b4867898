import json
import math

import numpy as np
import pytest

from resnet50.data.split import Split
from resnet50.evaluation.report import score


def made(labels, class_names=("fist", "palm", "two")):
    n = len(labels)
    return Split(
        np.zeros((n, 2, 2, 3), np.uint8),
        np.array(labels, dtype=np.int64),
        class_names,
        tuple(map(str, range(n))),
        "hands",
    )


# rows: the probabilities of fist, palm and two; the pictures are fist, fist, palm, palm, palm
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.9, 0.05, 0.05]], dtype=np.float32
)


def test_agrees_with_a_calculation_by_hand():
    report = score(PROBABILITIES, made([0, 0, 1, 1, 1]))
    assert (report.dataset, report.pictures) == ("hands", 5)
    assert report.accuracy == 0.6
    assert report.confusion == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert report.loss == pytest.approx(-(math.log(0.7 * 0.25 * 0.8 * 0.6 * 0.05)) / 5, rel=1e-6)
    assert list(report.classes) == ["fist", "palm", "two"]
    fist, palm, two = report.classes.values()
    assert (fist.precision, fist.recall, fist.f1, fist.support) == (0.5, 0.5, 0.5, 2)
    assert (palm.precision, palm.recall, palm.support) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert palm.f1 == pytest.approx(2 / 3)
    assert (two.precision, two.recall, two.f1, two.support) == (0, 0, 0, 0)  # no pictures and never predicted


def test_a_class_that_is_never_predicted_and_one_without_pictures():
    certain = np.eye(3)[[0, 2, 0]]
    classes = score(certain, made([0, 1, 1])).classes
    assert (classes["palm"].precision, classes["palm"].recall, classes["palm"].f1) == (0, 0, 0)
    assert (classes["two"].precision, classes["two"].support) == (0, 0)
    assert (classes["fist"].precision, classes["fist"].recall) == (0.5, 1)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_plain_loops(seed):
    rng = np.random.default_rng(seed)
    n, classes = 200, 5
    labels = rng.integers(0, classes, n)
    probabilities = rng.dirichlet(np.ones(classes), n)
    probabilities[np.arange(n), labels] += rng.integers(0, 2, n)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    report = score(probabilities, made(labels, tuple("abcde")))
    guesses = [max(range(classes), key=lambda k: row[k]) for row in probabilities]
    pairs = list(zip(labels.tolist(), guesses, strict=True))
    assert report.accuracy == pytest.approx(sum(a == b for a, b in pairs) / n)
    assert report.confusion == [[pairs.count((a, b)) for b in range(classes)] for a in range(classes)]
    assert report.loss == pytest.approx(
        sum(-math.log(row[k]) for row, k in zip(probabilities, labels, strict=True)) / n
    )
    for k, scores in enumerate(report.classes.values()):
        called, there = guesses.count(k), labels.tolist().count(k)
        precision, recall = pairs.count((k, k)) / called, pairs.count((k, k)) / there
        assert scores.precision == pytest.approx(precision)
        assert scores.recall == pytest.approx(recall)
        assert scores.f1 == pytest.approx(2 * precision * recall / (precision + recall))
        assert scores.support == there


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_the_published_one(right, n, low, high):
    """Newcombe 1998, Statistics in Medicine 17:857, table I, method 3."""
    certain = np.eye(2)[[0] * right + [1] * (n - right)]
    report = score(certain, made([0] * n, ("yes", "no")))
    assert report.interval == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))
    mirrored = score(certain[:, ::-1], made([0] * n, ("yes", "no"))).interval
    assert mirrored == (pytest.approx(1 - high, abs=5e-5), pytest.approx(1 - low, abs=5e-5))
    assert 0 <= report.interval[0] <= report.accuracy <= report.interval[1] <= 1


def test_a_certain_mistake_has_a_finite_loss():
    assert score(np.eye(3)[[1]], made([0])).loss == pytest.approx(-math.log(1e-12))


def test_is_strict_json_that_says_it_all():
    report = score(PROBABILITIES, made([0, 0, 1, 1, 1]))

    def refuse(constant):
        raise AssertionError(constant)

    values = json.loads(report.to_json(), parse_constant=refuse)
    assert list(values) == ["dataset", "pictures", "accuracy", "interval", "loss", "classes", "confusion"]
    assert values["accuracy"] == report.accuracy
    assert tuple(values["interval"]) == report.interval
    assert values["loss"] == report.loss
    assert values["confusion"] == report.confusion
    assert values["classes"]["palm"] == {
        "precision": report.classes["palm"].precision,
        "recall": report.classes["palm"].recall,
        "f1": report.classes["palm"].f1,
        "support": 3,
    }


@pytest.mark.parametrize(
    ("probabilities", "labels", "text"),
    [
        (PROBABILITIES[:4], [0] * 5, r"needed predictions of shape \(5, 3\) for at least one picture, got \(4, 3\)"),
        (PROBABILITIES[:, :2], [0] * 5, r"needed predictions of shape \(5, 3\) .*, got \(5, 2\)"),
        (PROBABILITIES[:0], [], r"needed predictions of shape \(0, 3\) for at least one picture, got \(0, 3\)"),
        (np.array([[0.5, np.nan, 0.5]]), [0], r"probabilities must be 0\.\.1, got nan\.\.nan"),
        (np.array([[0.5, np.inf, 0.5]]), [0], r"probabilities must be 0\.\.1, got 0\.5\.\.inf"),
        (np.array([[2.5, 0.25, 0]]), [0], r"probabilities must be 0\.\.1, got 0\.\.2\.5"),
        (np.array([[-0.5, 0.25, 0]]), [0], r"probabilities must be 0\.\.1, got -0\.5\.\.0\.25"),
    ],
)
def test_refuses_what_are_no_probabilities_of_the_pictures(probabilities, labels, text):
    with pytest.raises(ValueError, match=rf"^hands: {text}\.$"):
        score(probabilities, made(labels))


def test_takes_probabilities_that_are_rounded_up():
    assert score(np.array([[1.0000002, 0, 0]], dtype=np.float32), made([0])).accuracy == 1


def test_refuses_two_classes_of_one_name():
    with pytest.raises(ValueError, match=r"^hands: class names must differ, got fist, palm, fist\.$"):
        score(PROBABILITIES, made([0] * 5, ("fist", "palm", "fist")))
