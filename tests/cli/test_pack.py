from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pets(tmp_path):
    """Ten files of two classes, one of them broken, in parts."""
    for part, count in (("train", 4), ("test", 1)):
        for label, name in enumerate(("cat", "dog")):
            (tmp_path / "pets" / part / name).mkdir(parents=True)
            for index in range(count):
                pixels = np.random.default_rng((label, index, count)).integers(0, 256, (20, 30, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / "pets" / part / name / f"{index}.png")
    (tmp_path / "pets" / "train" / "cat" / "2.png").write_bytes(b"broken")
    return tmp_path / "pets"


def test_what_was_packed_is_told(command, pets, tmp_path):
    status, out, err = command("pack", pets, "new/pets.h5", "--size", 16)
    assert status == 0
    assert out.splitlines() == [
        "new/pets.h5: pets, RGB, 16 x 16 pixels, 0.0 MB",
        "training        7 pictures   cat: 3  dog: 4",
        "test            2 pictures   cat: 1  dog: 1",
    ]
    first, second = err.splitlines()
    assert first.startswith("left out train/cat/2.png: cannot be read as a picture (")
    assert second == "1 of 10 files were left out; new/pets.h5 lists them."
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["pets.h5"]


def test_what_was_packed_can_be_read(command, pets):
    from resnet50.data.pictures import load_pictures

    assert command("pack", pets, "pets.h5")[0] == 0
    parts = load_pictures("pets.h5", side=224)
    assert parts.training.images.shape == (7, 224, 224, 3)
    assert [told.path for told in parts.unreadable] == ["train/cat/2.png"]


def test_a_pattern_finds_the_classes(command, pets):
    status, out, err = command("pack", pets, "a.h5", "--size", 8, "--pattern", "(?P<class>[^/]+)/[^/]+$")
    assert (status, out.splitlines()[1]) == (0, "training        9 pictures   cat: 4  dog: 5")
    assert "left out" in err


def test_a_file_that_exists_is_kept(command, pets, tmp_path):
    (tmp_path / "pets.h5").write_bytes(b"old")
    assert command("pack", pets, "pets.h5") == (
        2,
        "",
        "resnet50 pack: pets.h5: there is a file already; remove it, or choose another name.\n",
    )
    assert (tmp_path / "pets.h5").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("pets", "out.zip"), "resnet50 pack: out.zip: the name of a packed file must end in .h5.\n"),
        (("nowhere", "out.h5"), "resnet50 pack: nowhere: needed a folder of pictures or a CSV file, found nothing"),
        (("pets", "out.h5", "--most-unreadable", "0"), "resnet50 pack: pets: at least 1 of 10 files cannot be read, "),
        (("pets", "out.h5", "--size", "0"), "resnet50 pack: side must be at least 1 pixel, got 0.\n"),
        (("pets", "out.h5", "--size", "x"), "resnet50 pack: argument --size: invalid int value: 'x'"),
    ],
)
def test_errors_are_one_line(command, pets, tmp_path, words, text):
    status, out, err = command("pack", *words)
    assert (status, out) == (2, "")
    assert err.startswith(text)
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("*out*"))
