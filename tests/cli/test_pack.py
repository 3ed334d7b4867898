from __future__ import annotations

import re

import pytest

from factories import noise, write_image


@pytest.fixture
def pets(tmp_path):
    """Ten files of two classes, one of them broken, in parts."""
    for part, count in (("train", 4), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            for index in range(count):
                pixels = noise(20, 30, 3, seed=100 * count + 10 * label + index)
                write_image(tmp_path / "pets" / part / name / f"{index}.png", pixels)
    (tmp_path / "pets" / "train" / "cat" / "2.png").write_bytes(b"broken")
    return tmp_path / "pets"


def counts(row):
    """Return the name of the part and the number of its pictures, and those of its classes."""
    part, pictures, *_ = row.split()
    return part, pictures, re.findall(r"(\w+): (\d+)", row)


def test_what_was_packed_is_told(command, numbers, pets, tmp_path):
    status, out, err = command("pack", pets, "new/pets.h5", "--size", 16)
    assert status == 0
    first, *rows = out.splitlines()
    assert re.fullmatch(r"new/pets\.h5\b.* pets\b.*\bRGB\b.*", first)
    assert numbers(first) == ["16", "16", "0.0"]
    assert [counts(row) for row in rows] == [
        ("training", "7", [("cat", "3"), ("dog", "4")]),
        ("test", "2", [("cat", "1"), ("dog", "1")]),
    ]
    first, second = err.splitlines()
    assert "train/cat/2.png" in first
    assert "new/pets.h5" in second
    assert numbers(second) == ["1", "10"]
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["pets.h5"]


def test_what_was_packed_can_be_read(command, pets):
    from resnet50.data.pictures import load_pictures

    assert command("pack", pets, "pets.h5")[0] == 0
    parts = load_pictures("pets.h5", side=224)
    assert parts.training.images.shape == (7, 224, 224, 3)
    assert [told.path for told in parts.unreadable] == ["train/cat/2.png"]


def test_a_pattern_finds_the_classes(command, pets):
    status, out, err = command("pack", pets, "a.h5", "--size", 8, "--pattern", "(?P<class>[^/]+)/[^/]+$")
    assert status == 0
    assert counts(out.splitlines()[1]) == ("training", "9", [("cat", "4"), ("dog", "5")])
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
        (("pets", "out.h5", "--most-unreadable", "0"), ("pets", 1, 10)),
        (("pets", "out.h5", "--size", "0"), ("side", 1, 0)),
        (("pets", "out.h5", "--size", "x"), ("--size", "'x'")),
    ],
)
def test_errors_are_one_line(refused, pets, tmp_path, words, values):
    refused(("pack", *words), *values)
    assert not list(tmp_path.glob("*out*"))
