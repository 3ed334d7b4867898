from __future__ import annotations

import json
import re

import pytest

from factories import noise, write_image


@pytest.fixture
def pets(tmp_path):
    """Ten files of two classes, one of them broken, in splits."""
    for split, count in (("train", 4), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            for index in range(count):
                pixels = noise(20, 30, 3, seed=100 * count + 10 * label + index)
                write_image(tmp_path / "pets" / split / name / f"{index}.png", pixels)
    (tmp_path / "pets" / "train" / "cat" / "2.png").write_bytes(b"broken")
    return tmp_path / "pets"


def counts(row):
    """Return the name of the split and the number of its images, and those of its classes."""
    split, images, *_ = row.split()
    return split, images, re.findall(r"(\w+): (\d+)", row)


def test_the_contents_of_the_packed_file_are_printed(command, numbers, pets, tmp_path):
    status, out, err = command("pack", pets, "new/pets.h5", "--image-size", 16)
    assert status == 0
    first, *rows = out.splitlines()
    assert re.fullmatch(r"new/pets\.h5\b.* pets\b.*\bRGB\b.*", first)
    assert numbers(first) == ["16", "16", "0.0"]
    assert [counts(row) for row in rows] == [
        ("train", "7", [("cat", "3"), ("dog", "4")]),
        ("test", "2", [("cat", "1"), ("dog", "1")]),
    ]
    first, second = err.splitlines()
    assert "train/cat/2.png" in first
    assert "new/pets.h5" in second
    assert numbers(second) == ["1", "10"]
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["pets.h5"]


def test_what_is_left_out_is_a_line(command, pets):
    (pets / "train" / "cat" / "2.png").unlink()
    assert command("pack", pets, "all.h5", "--image-size", 16)[2] == ""
    (pets / "train" / "bird").mkdir()
    for name in ("cat/a.dcm", "cat/b.dcm", "dog/notes.txt"):
        (pets / "train" / name).touch()
    status, _, err = command("pack", pets, "pets.h5", "--image-size", 16)
    assert status == 0
    (line,) = err.splitlines()
    for words in ("2 .dcm", "1 .txt", "train/cat", "train/bird"):
        assert words in line
    assert command("data", "show", "pets.h5")[2].splitlines() == [line]  # the packed file knows it too


def test_what_was_packed_can_be_read(command, pets):
    from resnet50.data.loading import load_dataset

    assert command("pack", pets, "pets.h5")[0] == 0
    splits = load_dataset("pets.h5", image_size=224)
    assert splits.train.images.shape == (7, 224, 224, 3)
    assert [file.path for file in splits.unreadable] == ["train/cat/2.png"]


def test_a_pattern_finds_the_classes(command, pets):
    status, out, err = command("pack", pets, "a.h5", "--image-size", 8, "--pattern", "(?P<class>[^/]+)/[^/]+$")
    assert status == 0
    assert counts(out.splitlines()[1]) == ("train", "9", [("cat", "4"), ("dog", "5")])
    assert "train/cat/2.png" in err


def test_a_file_that_exists_is_kept(refused, pets, tmp_path):
    (tmp_path / "pets.h5").write_bytes(b"old")
    refused(("pack", pets, "pets.h5"), "pets.h5")
    assert (tmp_path / "pets.h5").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("pets", "out.zip"), ("out.zip", ".h5")),
        (("nowhere", "out.h5"), ("nowhere",)),
        (("pets", "out.h5", "--max-unreadable", "0"), ("pets", 1, 10)),
        (("pets", "out.h5", "--image-size", "0"), ("--image-size", 1, 0)),
        (("pets", "out.h5", "--image-size", "x"), ("--image-size", "'x'")),
        (("pets", "out", "--records", "--image-size", "8"), ("--records",)),
        (("pets", "out", "--records", "--fit", "pad"), ("--records",)),
        (("pets", "out.h5", "--shards", "2"), ("--records", "--shards")),
    ],
)
def test_errors_are_one_line(refused, pets, tmp_path, words, values):
    refused(("pack", *words), *values)
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_at_an_address_is_packed(command, pets, tmp_path):
    pytest.importorskip("fsspec")
    status, out, err = command("pack", pets.as_uri(), "one.h5", "--image-size", 16)
    assert status == 0
    assert command("pack", pets, "two.h5", "--image-size", 16)[1:] == (
        out.replace("one.h5", "two.h5"),
        err.replace("one.h5", "two.h5"),
    )
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["one.h5", "pets", "two.h5"]
    status, _, err = command("pack", "memory://nothing/here", "other.h5")
    assert status == 2
    assert "memory://nothing/here" in err


def test_records_are_packed_checked_trained_on_and_scored(command, own_task, numbers, pets):
    pytest.importorskip("array_record")
    status, out, err = command("pack", pets, "records", "--records", "--shards", 2)
    assert status == 0
    first, *rows = out.splitlines()
    assert numbers(first)[0] == "2"
    assert [counts(row) for row in rows] == [
        ("train", "7", [("cat", "3"), ("dog", "4")]),
        ("test", "2", [("cat", "1"), ("dog", "1")]),
    ]
    assert "train/cat/2.png" in err
    status, out, _ = command("check", "records")
    assert status == 0
    assert "1 of 10 files" in out
    own_task(epochs={"epochs": 1})
    assert command("train", "own", "records", "--variant", "epochs", "--out", "run", "--validation-split", 0)[0] == 0
    status, out, _ = command("evaluate", "run", "--json")
    assert status == 0
    assert json.loads(out)["images"] == 2
