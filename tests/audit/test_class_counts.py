"""Classes and test splits with too few images."""

from __future__ import annotations

import re

import numpy as np
import pytest

from factories import dataset
from resnet50.audit.class_counts import count_issues
from resnet50.audit.issue import AllImages

NAMES = ("ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen")


def labeled(counts):
    return dataset(np.repeat(np.arange(len(counts)), counts), NAMES[: len(counts)])


def issues(**counts):
    return list(count_issues(AllImages({split: labeled(each) for split, each in counts.items()})))


def only(found, kind):
    (issue,) = (issue for issue in found if issue.kind == kind)
    return issue


def numbers(text):
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def named(text):
    """The classes that a text names, each with its count, or "" where the text gives none."""
    return dict(re.findall(rf"\b({'|'.join(NAMES)})\b(?: \((\d+)\))?", text))


def test_missing_small_and_imbalanced_classes():
    found = issues(train=[50, 9, 12, 0], test=[70, 0, 70, 3])
    missing = [issue for issue in found if issue.kind == "missing-class"]
    assert [(issue.severity, named(issue.summary)) for issue in missing] == [
        ("error", {"dog": ""}),
        ("warning", {"bee": ""}),
    ]
    for issue, split in zip(missing, ("train", "test"), strict=True):
        assert split in issue.summary
        assert numbers(issue.summary) == {"1", "4"}
    small = only(found, "small-class").summary
    assert named(small) == {"bee": "9"}
    assert numbers(small) == {"1", "4", "10", "9"}
    imbalance = only(found, "class-imbalance")
    assert named(imbalance.summary) == {"ant": "50", "bee": "9"}
    assert "5.6" in numbers(imbalance.summary)
    assert "--class-weight" in imbalance.advice


def test_counts_just_above_the_limits_raise_no_issue():
    assert issues(train=[49, 10], test=[70, 70]) == []
    assert [issue.kind for issue in issues(train=[50, 10], test=[70, 70])] == ["class-imbalance"]


def test_a_long_list_of_classes_is_cut():
    summary = only(issues(train=[20, 9, 8, 7, 6, 5, 4, 20]), "small-class").summary
    assert named(summary) == {"bee": "9", "cow": "8", "dog": "7", "elk": "6", "fox": "5"}
    assert {"6", "8", "1"} <= numbers(summary)  # 6 of 8 classes, and 1 more than are listed


@pytest.mark.parametrize(
    ("images", "severity", "points"), [(34, "warning", 10), (36, "note", 10), (138, "note", 5), (140, None, 5)]
)
def test_a_small_test_split_has_a_margin_of_error(images, severity, points):
    found = issues(test=[images // 2, images // 2])
    assert [issue.severity for issue in found] == [severity] * (severity is not None)
    if severity:
        assert found[0].kind == "small-test"
        assert {str(images), "90", str(points)} <= numbers(found[0].summary)


def test_the_margin_of_one_test_image():
    summary = only(issues(test=[1, 0]), "small-test").summary
    assert {"1", "90", "59"} <= numbers(summary)


@pytest.mark.parametrize(
    ("counts", "classes"),
    [
        ([12, 13, 40], {}),
        ([40, 1, 40], {"bee": ""}),
        ([40, 10, 11], {"bee": "10", "cow": "11"}),
        ([11, 1, 40], {"bee": "", "ant": "11"}),
    ],
)
def test_without_a_test_split_the_classes_that_a_cut_makes_too_small_are_named(counts, classes):
    found = [issue for issue in issues(train=counts) if issue.kind == "no-test"]
    assert [named(issue.summary) for issue in found] == [classes] * bool(classes)
    assert all(issue.severity == "note" for issue in found)
    assert all("20%" in issue.summary for issue in found)
    assert "no-test" not in {issue.kind for issue in issues(train=counts, test=[70, 70, 70])}


@pytest.mark.parametrize(
    ("first", "second"),
    [("Cat", "cat"), ("1", "01"), ("dog_", "dog"), ("red fox", "red-fox"), ("Stra\u00dfe", "STRASSE")],
)
def test_classes_whose_names_hardly_differ_are_reported_with_their_counts(first, second):
    pets = dataset([0] * 12 + [1] * 15 + [2] * 70, (first, second, "other"), name="pets")
    issue = only(list(count_issues(AllImages({"train": pets}))), "similar-classes")
    assert issue.severity == "warning"
    for text in (repr(first), repr(second), "12", "15"):
        assert text in issue.summary
    assert "other" not in issue.summary


@pytest.mark.parametrize("names", [("cat", "cart"), ("1", "10"), ("-1", "1"), ("\u732b", "\u72ac"), ("!", "?")])
def test_classes_of_different_names_are_not(names):
    pets = dataset([0] * 60 + [1] * 60, names)
    assert "similar-classes" not in [issue.kind for issue in count_issues(AllImages({"train": pets}))]


def test_classes_that_differ_in_left_and_right_are_mirror_images_by_their_names():
    names = ("turn_Left", "turn_Right", "left hand", "bright", "up")
    labels = [k % 5 for k in range(100)]
    (issue,) = [each for each in count_issues(AllImages({"train": dataset(labels, names)})) if "mirror" in each.kind]
    assert (issue.kind, issue.severity) == ("mirrored-classes", "warning")
    assert "'turn_Left' and 'turn_Right'" in issue.summary
    assert "hand" not in issue.summary
    assert "bright" not in issue.summary
