import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest

from factories import dataset, raises
from resnet50.data.check import check
from resnet50.data.finding import Place
from resnet50.data.pictures import load_splits
from resnet50.data.split import Unreadable

NAMES = ("ant", "bee", "cow", "dog", "elk", "fox", "gnu", "hen")


def noise(n, seed=0):
    blocks = np.random.default_rng(seed).integers(20, 236, (n, 4, 4, 3))
    return np.repeat(np.repeat(blocks, 5, axis=1), 6, axis=2).astype(np.uint8)  # 20 x 24


def split(counts, seed=0, name="file", groups=()):
    labels = np.repeat(np.arange(len(counts)), counts)
    return dataset(
        labels,
        NAMES[: len(counts)],
        images=noise(len(labels), seed),
        name="some",
        paths=[f"{name} {k}" for k in range(len(labels))],
        groups=groups,
    )


def one(found, kind):
    (finding,) = (finding for finding in found if finding.kind == kind)
    return finding


def numbers(text):
    return set(re.findall(r"\d+(?:\.\d+)?", text))


def named(text):
    """The classes that are named, each with its count, which is "" where none is told."""
    return dict(re.findall(rf"\b({'|'.join(NAMES)})\b(?: \((\d+)\))?", text))


def test_nothing_is_found_in_sound_data():
    assert check({"training": split([40, 40], 1), "validation": split([20, 20], 2), "test": split([80, 80], 3)}) == ()


def test_findings_are_sorted_by_severity_and_can_be_json():
    training = split([4, 30, 0], 1)
    test = replace(split([70, 70, 1], 2), images=np.concatenate([noise(140, 2), training.images[:1]]))
    found = check({"test": test, "training": training}, (Unreadable("x.jpg", "is cut off"),))
    assert [finding.severity for finding in found] == ["error"] * 3 + ["warning"] * 3
    assert [finding.kind for finding in found] == ["leak", "conflict", "missing", "unreadable", "tiny", "imbalance"]
    for finding in found:
        assert "\n" not in finding.summary + finding.advice
    text = json.loads(json.dumps([asdict(finding) for finding in found]))
    assert text[0]["examples"][0][0] == {
        "source": "file 140",
        "part": "test",
        "index": 140,
        "class_name": "cow",
        "remark": "",
    }


def test_files_that_cannot_be_read_are_named():
    found = check({"training": split([20, 20])}, (Unreadable("a/x.jpg", "is cut off"), Unreadable("y", "is empty")))
    finding = one(found, "unreadable")
    assert finding.severity == "warning"
    assert numbers(finding.summary) == {"2", "42"}
    assert finding.examples == ((Place("a/x.jpg", remark="is cut off"),), (Place("y", remark="is empty"),))


def test_files_that_are_too_many_for_training_are_an_error_in_its_words():
    found = check({"training": split([20, 20])}, (Unreadable("a/x.jpg", "is cut off"),), refused="x: 1 of 41 is more.")
    finding = one(found, "unreadable")
    assert (finding.severity, finding.summary) == ("error", "x: 1 of 41 is more.")
    assert "--most-unreadable" in finding.advice
    assert finding.examples == ((Place("a/x.jpg", remark="is cut off"),),)


@pytest.mark.parametrize(
    ("counts", "classes"),
    [
        ([12, 13, 40], {}),
        ([40, 1, 40], {"bee": ""}),
        ([40, 10, 11], {"bee": "10", "cow": "11"}),
        ([11, 1, 40], {"bee": "", "ant": "11"}),
    ],
)
def test_what_the_cut_of_a_test_part_will_change_is_a_note(counts, classes):
    found = [finding for finding in check({"training": split(counts)}) if finding.kind == "uncut"]
    if not classes:
        assert found == []
        return
    (note,) = found
    assert note.severity == "note"
    assert named(note.summary) == classes
    parted = check({"training": split(counts), "test": split([70, 70, 70], 1)})
    assert "uncut" not in {finding.kind for finding in parted}


def test_classes_are_counted():
    found = check({"training": split([50, 9, 12, 0]), "test": split([70, 0, 70, 3], 1)})
    missing = [finding for finding in found if finding.kind == "missing"]
    assert [(finding.severity, named(finding.summary)) for finding in missing] == [
        ("error", {"dog": ""}),
        ("warning", {"bee": ""}),
    ]
    for finding, part in zip(missing, ("training", "test"), strict=True):
        assert part in finding.summary
        assert numbers(finding.summary) == {"1", "4"}
    tiny = one(found, "tiny").summary
    assert named(tiny) == {"bee": "9"}
    assert numbers(tiny) == {"1", "4", "10", "9"}
    imbalance = one(found, "imbalance")
    assert named(imbalance.summary) == {"ant": "50", "bee": "9"}
    assert "5.6" in numbers(imbalance.summary)
    assert "--balance-classes" in imbalance.advice


def test_sizes_at_the_limits_are_not_told():
    test = split([70, 70], 1)
    assert check({"training": split([49, 10]), "test": test}) == ()
    assert [finding.kind for finding in check({"training": split([50, 10]), "test": test})] == ["imbalance"]


def test_long_lists_of_classes_are_cut():
    found = check({"training": split([20, 9, 8, 7, 6, 5, 4, 20])})
    summary = one(found, "tiny").summary
    assert named(summary) == {"bee": "9", "cow": "8", "dog": "7", "elk": "6", "fox": "5"}
    assert {"6", "8", "1"} <= numbers(summary)  # 6 of 8 classes, and 1 more than are named


@pytest.mark.parametrize(
    ("pictures", "severity", "points"), [(34, "warning", 10), (36, "note", 10), (138, "note", 5), (140, None, 5)]
)
def test_few_test_pictures_are_told(pictures, severity, points):
    found = check({"test": split([pictures // 2, pictures // 2])})
    assert [finding.severity for finding in found] == [severity] * (severity is not None)
    if severity:
        assert found[0].kind == "uncertain"
        assert {str(pictures), "90", str(points)} <= numbers(found[0].summary)


def test_one_test_picture_tells_little():
    summary = one(check({"test": split([1, 0])}), "uncertain").summary
    assert {"1", "90", "59"} <= numbers(summary)


def test_groups_whose_names_are_no_utf_8_can_be_printed():
    training, test = (split([70, 70], seed, groups=["\udcff1"] * 140) for seed in (1, 2))
    summary = one(check({"training": training, "test": test}), "group").summary
    assert r"\udcff1" in summary
    assert summary.encode()


def test_a_group_in_two_parts_is_an_error():
    training = split([20, 20], 1, groups=["", *["p1", "p2", "p3"] * 13])
    test = split([70, 70], 2, "other", groups=[*["", "p9", "p3", "p8", "p3"] * 28])
    finding = one(check({"training": training, "test": test}), "group")
    assert finding.severity == "error"
    assert re.findall(r"p\d", finding.summary) == ["p3"]
    assert {"1", "3", "33.3"} <= numbers(finding.summary)
    assert "test" in finding.summary
    assert "training" in finding.summary
    assert finding.examples == (
        (Place("other 2", "test", 2, "ant", "p3"), Place("file 3", "training", 3, "ant", "p3")),
    )


def test_what_is_no_data_set_is_refused():
    with raises(ValueError):
        check({})
    with raises(ValueError):
        check({"training": split([0, 0])})
    other = replace(split([3, 3]), class_names=("x", "y"))
    with raises(ValueError, "some", "test", "ant, bee", "x, y"):
        check({"training": split([3, 3]), "test": other})


def test_progress_ends_with_all():
    told = []
    check({"training": split([300, 300]), "test": split([70, 70], 1)}, progress=lambda *step: told.append(step))
    assert told == sorted(told)
    assert len(told) > 4
    assert told[-1] == (3 * 740, 3 * 740)


def test_a_tenth_of_the_real_test_signs_have_a_twin_in_training(shared_data):
    if not (shared_data / "signs").is_dir():
        pytest.skip(f"no signs in {shared_data}; set RESNET50_DATA to the folder with the real data")
    found = check(load_splits(shared_data / "signs", side=64).splits)
    (error,) = (finding for finding in found if finding.severity == "error")
    assert error.kind == "leak"
    assert {"15", "120", "12.5"} <= numbers(error.summary)
    assert [place.part for place in error.examples[0]] == ["test", "training"]
    apart = [float(*numbers(pair[1].remark)) for pair in error.examples]
    assert apart == sorted(apart)
    assert sum(distance < 3 for distance in apart) == 12  # those that were known; three more are the same hand
    assert not [finding for finding in found if finding.severity == "warning"]
