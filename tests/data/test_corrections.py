"""Corrections of labels: the file, and what it changes."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from factories import dataset, image_folder, raises, tiny_recipe
from resnet50.audit.check import check
from resnet50.data.corrections import Correction, Corrections, read_corrections
from resnet50.data.hdf5 import read_h5
from resnet50.data.loading import load_dataset, read_splits
from resnet50.data.options import ReadOptions
from resnet50.data.pack import pack
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import DATASETS
from resnet50.datasets.source import DataSource
from resnet50.inference.recorded_images import load_recorded
from resnet50.training.checks import check_resumable
from resnet50.training.environment import describe_environment
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory

HEADER = "path,label,action,new_label\n"
ROWS = ["cat/0.png,cat,relabel,dog", "dog/1.png,dog,leave out,", "cat/2.png,cat,keep,"]


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def file(tmp_path):
    """Write a file of corrections with these rows; return its path."""

    def write(*rows, header=HEADER):
        path = tmp_path / "corrections.csv"
        path.write_text(header + "".join(f"{row}\n" for row in rows), encoding="utf-8", newline="")
        return path

    return write


def labels_of(splits):
    return {
        path: data.class_names[label]
        for data in splits.by_name.values()
        for path, label in zip(data.paths, data.labels, strict=True)
    }


def test_the_rows_and_the_hash_are_read(file):
    path = file("'=a.png,'-b,keep,", '"a ""b"", c.png",x,relabel,y', "d.png,,keep,")
    read = read_corrections(path)
    assert read.rows == (
        Correction("=a.png", "-b", "keep"),
        Correction('a "b", c.png', "x", "relabel", "y"),
        Correction("d.png", "", "keep"),
    )
    assert read.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("rows", "values"),
    [
        (["a.png,cat,rename,dog"], ["rename", "row 2"]),
        (["a.png,cat,relabel,"], ["row 2", "none"]),
        (["a.png,cat,relabel,cat"], ["row 2", "cat", "keep"]),
        (["a.png,cat,keep,dog"], ["row 2", "dog"]),
        (["a.png,cat,keep,", "a.png,cat,keep,"], ["row 3", "a.png"]),
        (["a.png,cat"], ["row 2", 4, 2]),
        (["\x1b[2J,cat,keep,", "\x1b[2J,cat,keep,"], ["row 3", r"\x1b[2J"]),
        (["a.png,cat,keep,\x1b[2J"], ["row 2", r"\x1b[2J"]),
    ],
)
def test_a_row_that_says_nothing_is_refused(file, rows, values):
    path = file(*rows)
    with raises(ValueError, path, *values):
        read_corrections(path)


def test_another_file_is_refused(file, tmp_path):
    path = file("a,b", header="path,label\n")
    with raises(ValueError, path, "new_label"):
        read_corrections(path)
    path.write_bytes(b"")
    with raises(ValueError, path, "none"):
        read_corrections(path)
    with raises(FileNotFoundError, tmp_path / "none.csv"):
        read_corrections(tmp_path / "none.csv")


def test_labels_change_and_images_are_left_out_but_the_cut_stays(file, tmp_path):
    folder = image_folder(tmp_path / "pets", each=8)
    plain = load_dataset(folder, image_size=32)
    corrected = load_dataset(folder, image_size=32, options=ReadOptions(corrections=str(file(*ROWS))))
    before, after = labels_of(plain), labels_of(corrected)
    assert after == {**{path: label for path, label in before.items() if path != "dog/1.png"}, "cat/0.png": "dog"}
    for split in ("train", "test"):
        assert set(corrected[split].paths) == set(plain[split].paths) - {"dog/1.png"}
    described = corrected.corrections.describe()
    assert "1 image relabeled (cat/0.png), 1 left out (dog/1.png), 1 confirmed" in described
    assert (folder / "dog" / "1.png").exists()


def test_every_way_to_read_applies_them(file, tmp_path):
    folder = image_folder(tmp_path / "pets", each=8)
    options = ReadOptions(corrections=str(file(*ROWS)))
    expected = labels_of(read_splits(folder, image_size=32, options=options))
    assert expected["cat/0.png"] == "dog"
    pack(folder, tmp_path / "pets.h5", image_size=32, options=options)
    packed = read_h5(tmp_path / "pets.h5")["train"]
    assert np.bincount(packed.labels).tolist() == [7, 8]
    assert len(expected) == 15
    audit = check(folder, image_size=32, options=options)
    (issue,) = (each for each in audit.issues if each.kind == "corrections")
    assert [(place.path, place.class_name, place.remark) for (place,) in issue.examples] == [
        ("cat/0.png", "cat", "relabeled as dog"),
        ("dog/1.png", "dog", "left out"),
    ]


def test_a_named_task_takes_corrections_and_no_other_option(file, monkeypatch):
    splits = DatasetSplits(dataset([0, 1, 0, 1]), dataset([1], paths=["t.png"]))
    monkeypatch.setitem(DATASETS, "pets", lambda path, *, image_size, fit=None, progress=None: splits)
    options = ReadOptions(corrections=str(file("0.png,cats,leave out,", "t.png,dogs,relabel,cats")))
    source = DataSource("pets", options=options)
    corrected = source.load(8)
    assert corrected["train"].paths == ("1.png", "2.png", "3.png")
    assert corrected["test"].labels.tolist() == [0]
    assert DataSource.from_dict(source.to_dict()) == source
    with raises(ValueError, "test_split"):
        DataSource("pets", options=ReadOptions(test_split=0.3, corrections="x.csv"))


@pytest.mark.parametrize(
    ("row", "values"),
    [
        ("9.png,cats,keep,", ["9.png", 1]),
        ("0.png,dogs,keep,", ["0.png", "dogs", "cats"]),
        ("0.png,cats,relabel,emus", ["0.png", "emus", "dogs"]),
    ],
)
def test_a_row_that_matches_nothing_is_refused(file, row, values):
    splits = DatasetSplits(train=dataset([0, 1, 0, 1]))
    path = file(row)
    with raises(ValueError, path, *values):
        splits.correct(read_corrections(path))


def test_a_path_of_several_images_is_refused(file):
    splits = DatasetSplits(train=dataset([0, 1]), test=dataset([0, 1]))
    path = file("0.png,cats,leave out,")
    with raises(ValueError, path, "0.png", 1):
        splits.correct(read_corrections(path))


@pytest.mark.parametrize("words", [",".join(["a" * 5000] * 4), f"{HEADER}{'a' * 5000},b,{'c' * 5000},"])
def test_a_message_has_a_length(tmp_path, words):
    path = tmp_path / "c.csv"
    path.write_text(words)
    with pytest.raises(ValueError, match="expected") as error:
        read_corrections(path)
    assert len(str(error.value)) < 5000
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("hashes", [("a", "b"), (None, "b"), ("a", None)])
def test_a_run_is_not_resumed_with_other_corrections(hashes, tmp_path):
    recorded, found = hashes
    splits = DatasetSplits(train=dataset([0, 1, 0, 1]), corrections=found and Corrections("c.csv", found, ()))
    record = RunRecord(
        recipe=tiny_recipe(), source=None, fingerprints={"train": "0"}, environment=describe_environment(),
        dataset="pets", precision="float32", corrections=recorded,
    )  # fmt: skip
    assert RunRecord.from_json(record.to_json(), record.recipe).corrections == recorded
    with raises(ValueError, tmp_path, "corrections", "others" if found else "none"):
        check_resumable(RunDirectory(tmp_path), record, splits)


def test_images_are_not_sought_elsewhere_where_the_corrections_are_gone(tmp_path):
    image_folder(tmp_path / "pets")
    gone = tmp_path / "gone.csv"
    source = DataSource("folder", str(tmp_path / "pets"), ReadOptions(corrections=str(gone)))
    with pytest.raises(FileNotFoundError, match="--corrections") as error:
        load_recorded(source, 32, fit=None)
    assert str(error.value).startswith(str(gone))
    with pytest.raises(FileNotFoundError, match="new place"):
        load_recorded(DataSource("folder", str(tmp_path / "none")), 32, fit=None)
