"""Groups that have images in two splits."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from factories import dataset
from resnet50.audit.groups import folder_groups, other_columns, shared_groups, shared_subfolders
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


def test_subfolders_of_one_name_in_two_splits_are_a_warning():
    splits = {"train": grouped(["p1/", "p2/"]), "test": grouped(["p2/", "p2/"])}
    (issue,) = shared_groups(AllImages(splits))
    assert (issue.kind, issue.severity) == ("group-leak", "warning")
    assert "p2/" in issue.summary


def test_groups_from_subfolders_are_reported():
    (note,) = folder_groups(AllImages({"train": grouped(["p1/", "p2/", "p1/", ""]), "test": grouped(["p3/"])}))
    assert (note.kind, note.severity) == ("folder-groups", "note")
    assert {"4", "5", "3"} <= set(re.findall(r"\d+", note.summary))
    assert "p1/" in note.summary
    assert "--no-groups" in note.advice
    assert list(folder_groups(AllImages({"train": grouped(["p1", ""])}))) == []


def in_folders(*paths):
    return dataset([0 if "ant" in path else 1 for path in paths], ("ant", "bee"), paths=paths)


def test_subfolders_on_both_sides_of_a_cut_are_a_warning():
    splits = {
        "train": in_folders("ant/smith/1.png", "bee/jones/1.png", "bee/jones/2.png", "ant/0.png"),
        "test": in_folders("ant/smith/2.png", "bee/miller/1.png"),
    }
    (issue,) = shared_subfolders(AllImages(splits), Path("data"))
    assert (issue.kind, issue.severity) == ("subfolders", "warning")
    assert issue.summary.startswith("1 subfolder")
    assert "smith" in issue.summary
    assert "--groups" in issue.advice
    assert list(shared_subfolders(AllImages(splits), None)) == []


def test_subfolders_below_the_folders_of_splits_are_compared_by_name():
    splits = {"train": in_folders("train/ant/x/1.png"), "test": in_folders("test/ant/x/2.png", "test/bee/y/2.png")}
    (issue,) = shared_subfolders(AllImages(splits), Path("data"))
    assert "x" in issue.summary


def test_subfolders_that_a_cut_may_separate_are_a_note():
    paths = [f"{name}/{folder}/{k}.png" for name in ("ant", "bee") for folder in ("smith", "jones") for k in range(3)]
    (issue,) = shared_subfolders(AllImages({"train": in_folders(*paths)}), Path("data"))
    assert (issue.kind, issue.severity) == ("subfolders", "note")
    assert list(shared_subfolders(AllImages({"train": in_folders("ant/1.png", "bee/2.png")}), Path("data"))) == []


@pytest.mark.parametrize("column", ["patient_id", "patientid", "subject", "slide no."])
def test_a_column_that_may_hold_groups_is_asked_about(column):
    images = AllImages({"train": grouped([""] * 9)})
    (issue,) = other_columns(images, {column: 3, "date": 9})
    assert (issue.kind, issue.severity) == ("other-columns", "warning")
    assert repr(column) in issue.summary
    assert "3" in issue.summary
    assert "group" in issue.advice


def test_columns_that_are_not_used_are_named():
    (issue,) = other_columns(AllImages({"train": grouped([""] * 9)}), {"date": 9, "patient": 9})  # one image each
    assert (issue.kind, issue.severity) == ("other-columns", "note")
    assert "date, patient" in issue.summary
    (issue,) = other_columns(AllImages({"train": grouped(["p", "q"])}), {"patient": 1})
    assert issue.severity == "note"
    assert list(other_columns(AllImages({"train": grouped(["p"])}), {})) == []
