"""Groups that have images in two splits."""

from __future__ import annotations

import re

import numpy as np

from factories import dataset
from resnet50.audit.groups import shared_groups
from resnet50.audit.issue import AllImages, Place


def grouped(groups, name="file"):
    return dataset(
        np.arange(len(groups)) % 2,
        ("ant", "bee"),
        paths=[f"{name} {index}" for index in range(len(groups))],
        groups=groups,
    )


def test_a_group_in_two_splits_is_an_error():
    train = grouped(["", "p1", "p2", "p3", "p1", "p3"])
    test = grouped(["", "p9", "p3", "p8", "p3"], "other")
    (issue,) = shared_groups(AllImages({"train": train, "test": test}))
    assert (issue.kind, issue.severity) == ("group-leak", "error")
    assert re.findall(r"p\d", issue.summary) == ["p3"]
    assert {"1", "3", "33.3"} <= set(re.findall(r"\d+(?:\.\d+)?", issue.summary))
    assert "test" in issue.summary
    assert "train" in issue.summary
    assert issue.examples == ((Place("other 2", "test", 2, "ant", "p3"), Place("file 3", "train", 3, "bee", "p3")),)


def test_a_group_name_that_is_not_utf_8_can_be_printed():
    (issue,) = shared_groups(AllImages({"train": grouped(["\udcff1"] * 4), "test": grouped(["\udcff1"] * 3)}))
    assert r"\udcff1" in issue.summary
    assert issue.summary.encode()


def test_images_without_a_group_share_nothing():
    assert list(shared_groups(AllImages({"train": grouped(["", "a"]), "test": grouped(["", "b"])}))) == []
