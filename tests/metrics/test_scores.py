import json
import math

import numpy as np
import pytest

from factories import dataset, raises
from resnet50.metrics.scores import score


def made(labels, class_names=("fist", "palm", "two")):
    return dataset(labels, class_names, size=(2, 2), name="hands", paths=[str(k) for k in range(len(labels))])


# rows: the probabilities of fist, palm and two; the images are fist, fist, palm, palm, palm
PROBABILITIES = np.array(
    [[0.7, 0.2, 0.1], [0.25, 0.5, 0.25], [0.1, 0.8, 0.1], [0.3, 0.6, 0.1], [0.9, 0.05, 0.05]], dtype=np.float32
)


def test_agrees_with_a_calculation_by_hand():
    report = score(PROBABILITIES, made([0, 0, 1, 1, 1]))
    assert (report.dataset, report.images) == ("hands", 5)
    assert report.accuracy == 0.6
    assert report.confusion == [[1, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert report.loss == pytest.approx(-(math.log(0.7 * 0.25 * 0.8 * 0.6 * 0.05)) / 5, rel=1e-6)
    assert list(report.classes) == ["fist", "palm", "two"]
    fist, palm, two = report.classes.values()
    assert (fist.precision, fist.recall, fist.f1, fist.support) == (0.5, 0.5, 0.5, 2)
    assert (palm.precision, palm.recall, palm.support) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 3)
    assert palm.f1 == pytest.approx(2 / 3)
    assert (two.precision, two.recall, two.f1, two.support) == (0, 0, 0, 0)  # no images and never predicted


def test_averages_are_over_the_classes_that_have_images():
    report = score(PROBABILITIES, made([0, 0, 1, 1, 1]))
    assert report.macro_f1 == pytest.approx((0.5 + 2 / 3) / 2)
    assert report.balanced_accuracy == pytest.approx((0.5 + 2 / 3) / 2)
    uneven = score(np.eye(3)[[0, 0, 0, 2]], made([0, 0, 1, 2]))  # palm is never predicted, fist once too often
    assert uneven.macro_f1 == pytest.approx((0.8 + 0 + 1) / 3)
    assert uneven.balanced_accuracy == pytest.approx((1 + 0 + 1) / 3)


def test_calibration_is_that_of_the_most_probable_class():
    report = score(PROBABILITIES, made([0, 0, 1, 1, 1]))
    # confidences 0.7 (right), 0.5 (wrong), 0.8 (right), 0.6 (right), 0.9 (wrong), each in a bin of its own
    assert report.calibration_error == pytest.approx((0.3 + 0.5 + 0.2 + 0.4 + 0.9) / 5)
    assert report.chance_error == pytest.approx(
        2 * (0.7 * 0.3 + 0.5**2 + 0.8 * 0.2 + 0.6 * 0.4 + 0.9 * 0.1) / 5, abs=0.03
    )
    assert report.temperature_scaling is None


@pytest.mark.parametrize(("classes", "known"), [(1, []), (2, []), (3, [2]), (4, [2, 3]), (5, [2, 3]), (6, [2, 3, 5])])
def test_top_k_is_left_out_where_it_is_always_1(classes, known):
    names = tuple("abcdef"[:classes])
    report = score(np.full((2, classes), 1 / classes), made([0, classes - 1], names))
    assert list(report.top_k) == known


def test_top_k_counts_the_classes_before_the_right_one():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(6), 300)
    labels = rng.integers(0, 6, 300)
    report = score(probabilities, made(labels, tuple("abcdef")))
    for k in (2, 3, 5):
        best = [sorted(range(6), key=lambda c: -row[c])[:k] for row in probabilities]
        assert report.top_k[k] == sum(label in row for label, row in zip(labels, best, strict=True)) / 300


def test_of_equal_classes_the_first_ranks_higher_everywhere():
    same = np.full((6, 6), 1 / 6)
    report = score(same, made([0, 1, 2, 3, 4, 5], tuple("abcdef")))
    assert report.accuracy == 1 / 6
    assert report.top_k == {2: 2 / 6, 3: 3 / 6, 5: 5 / 6}


def test_mistakes_come_in_the_order_of_their_probability():
    certain = np.array([[0.4, 0.6, 0], [1, 0, 0], [0.3, 0.7, 0], [0, 0.6, 0.4], [0, 0.4, 0.6]])
    mistakes = score(certain, made([0, 0, 2, 2, 2])).mistakes
    assert [(m.index, m.path, m.true, m.predicted, m.probability) for m in mistakes] == [
        (2, "2", "two", "palm", 0.7), (0, "0", "fist", "palm", 0.6), (3, "3", "two", "palm", 0.6),
    ]  # fmt: skip


@pytest.mark.parametrize("label", [0, 1])
def test_one_image_is_scored(label):
    report = score(np.array([[0.75, 0.25]], np.float32), made([label], ("a", "b")))
    assert (report.accuracy, report.balanced_accuracy, report.macro_f1) == (1 - label, 1 - label, 1 - label)
    assert len(report.mistakes) == label


def test_many_classes_and_images_make_a_text_of_moderate_size():
    rng = np.random.default_rng(0)
    n, classes = 5000, 1000
    labels = rng.integers(0, classes, n)
    probabilities = rng.random((n, classes), dtype=np.float32)
    probabilities[np.arange(n), labels] += rng.integers(0, 2, n).astype(np.float32)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    text = score(probabilities, made(labels, tuple(f"class {k}" for k in range(classes)))).to_json()
    assert len(text) < 15e6


def test_a_class_that_is_never_predicted_and_one_without_images():
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


def test_json_is_strict_and_complete():
    report = score(PROBABILITIES, made([0, 0, 1, 1, 1]))

    def refuse(constant):
        raise AssertionError(constant)

    values = json.loads(report.to_json(), parse_constant=refuse)
    assert list(values) == [
        "dataset", "images", "accuracy", "interval", "top_k", "macro_f1", "balanced_accuracy", "loss",
        "calibration_error", "chance_error", "temperature_scaling", "classes", "reliability", "confusion", "mistakes",
        "temperature_reason", "issues", "from_features", "precision", "selective",
        "selective_reason",
    ]  # fmt: skip
    assert values["top_k"] == {"2": 1.0}
    assert values["temperature_scaling"] is None
    assert values["issues"] == []
    assert len(values["reliability"]) == 15
    assert values["reliability"][13] == {"images": 1, "confidence": pytest.approx(0.9), "accuracy": 0.0}
    assert values["mistakes"] == [
        {"index": 4, "path": "4", "true": "palm", "predicted": "fist", "probability": pytest.approx(0.9)},
        {"index": 1, "path": "1", "true": "fist", "predicted": "palm", "probability": 0.5},
    ]
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
    ("probabilities", "labels", "values"),
    [
        (PROBABILITIES[:4], [0] * 5, ("(5, 3)", "(4, 3)")),
        (PROBABILITIES[:, :2], [0] * 5, ("(5, 3)", "(5, 2)")),
        (PROBABILITIES[:0], [], ("(0, 3)",)),
        (np.array([[0.5, np.nan, 0.5]]), [0], ("probabilities", "0..1", "nan..nan")),
        (np.array([[0.5, np.inf, 0.5]]), [0], ("probabilities", "0..1", "0.5..inf")),
        (np.array([[2.5, 0.25, 0]]), [0], ("probabilities", "0..1", "0..2.5")),
        (np.array([[-0.5, 0.25, 0]]), [0], ("probabilities", "0..1", "-0.5..0.25")),
    ],
)
def test_refuses_other_numbers_than_probabilities_of_the_images(probabilities, labels, values):
    with raises(ValueError, "hands", *values):
        score(probabilities, made(labels))


def test_takes_probabilities_that_are_rounded_up():
    assert score(np.array([[1.0000002, 0, 0]], dtype=np.float32), made([0])).accuracy == 1


def test_refuses_two_classes_of_one_name():
    with raises(ValueError, "hands", "fist, palm, fist"):
        score(PROBABILITIES, made([0] * 5, ("fist", "palm", "fist")))


def test_a_row_of_the_confusion_matrix_is_a_line_of_json():
    classes = 40
    name = 'named "confusion": []'
    labeled = dataset(range(classes), [name, *map(str, range(1, classes))], size=(2, 2), name=name)
    report = score(np.eye(classes, dtype=np.float32)[::-1], labeled)
    text = report.to_json()
    values = json.loads(text)
    assert values["confusion"] == report.confusion == np.eye(classes, dtype=int)[::-1].tolist()
    assert values["dataset"] == name
    assert values["images"] == classes
    lines = text.splitlines()
    first = lines.index('  "confusion": [') + 1
    assert lines[first : first + classes] == [
        f"    {[int(column == classes - 1 - row) for column in range(classes)]}{',' if row < classes - 1 else ''}"
        for row in range(classes)
    ]
