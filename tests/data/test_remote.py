"""Folders at addresses: fsspec's file system in memory stands for an object store."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from factories import image_folder, raises
from resnet50.data.loading import read_splits
from resnet50.data.pack import pack
from resnet50.data.pack_records import pack_records
from resnet50.data.remote import is_address, local_copy

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def bucket(tmp_path):
    """A folder in memory with images of two classes, and the same on the disk."""
    store = fsspec.filesystem("memory")
    root = image_folder(tmp_path / "pets", splits=("train", "test"))
    (root / "train" / "cat" / "notes.txt").write_text("a")
    store.put(f"{root}/", "/bucket/pets", recursive=True)
    yield root
    store.rm("/bucket", recursive=True)


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ("s3://bucket/photos", True),
        ("memory://pets", True),
        ("zip://::file:///a.zip", True),
        ("photos", False),
        ("C:\\photos", False),
        ("a:b/photos", False),
        ("/srv/photos", False),
        (3, False),
    ],
)
def test_an_address_is_known_by_its_beginning(source, known):
    assert is_address(source) is known


@pytest.mark.parametrize("kind", ["memory", "file", "zip"])
def test_the_images_of_an_address_are_packed_like_those_of_a_folder(bucket, tmp_path, kind):
    pytest.importorskip("array_record")
    address = {"memory": "memory://bucket/pets", "file": bucket.as_uri(), "zip": f"zip://::{bucket.as_uri()}.zip"}[kind]
    if kind == "zip":
        import shutil

        shutil.make_archive(str(bucket), "zip", bucket)
    folder = tmp_path / "out"
    steps = []
    pack_records(address, folder / "records", progress=lambda *step: steps.append(step))
    assert steps[:13] == [(number, None) for number in range(1, 14)]
    pack(address, folder / "pets.h5", image_size=16)
    assert sorted(path.name for path in folder.iterdir()) == ["pets.h5", "records"]
    expected = read_splits(bucket, image_size=16)
    for packed in ("records", "pets.h5"):
        splits = read_splits(folder / packed, image_size=16)
        assert splits.left_out == expected.left_out
        for name, dataset in expected.by_name.items():
            assert splits[name].name == "pets"
            assert splits[name].paths == dataset.paths
            np.testing.assert_array_equal(splits[name].images[:], dataset.images[:])


def test_other_files_than_images_are_not_copied(bucket, tmp_path):
    with local_copy("memory://bucket/pets", beside=tmp_path / "out" / "records") as folder:
        assert (folder / "train" / "cat" / "notes.txt").read_bytes() == b""
        assert len(list(folder.rglob("*.png"))) == 12
    assert list((tmp_path / "out").iterdir()) == []


def test_a_path_stays_as_it_is(tmp_path):
    with local_copy(tmp_path, beside=tmp_path / "out") as source:
        assert source is tmp_path


def test_an_address_without_files_is_refused(tmp_path):
    with raises(FileNotFoundError, "memory://bucket/nothing"), local_copy("memory://bucket/nothing", beside=tmp_path):
        pass


@pytest.mark.parametrize("secret", ["me:secret", "me:sec@ret"])
def test_an_address_that_cannot_be_read_is_named_without_its_password(secret, tmp_path, monkeypatch):
    address = f"memory://{secret}@host/photos?signature=secret"

    def refuse(_, path, **options):
        raise PermissionError(f"no access to {address}")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", refuse)
    with raises(OSError, "memory://...@host/photos", "no access to memory://...@host") as caught:
        pack(address, tmp_path / "out.h5", image_size=8)
    assert "sec" not in str(caught.value)
    assert "ret" not in str(caught.value)


def test_the_copy_is_not_named_after_a_password(tmp_path):
    store = fsspec.filesystem("memory")
    store.pipe("/me:secret@host/a.png", b"a")
    with local_copy("memory://me:secret@host", beside=tmp_path) as folder:
        assert (folder.name, [path.name for path in folder.iterdir()]) == ("host", ["a.png"])
    store.rm("/me:secret@host", recursive=True)


def test_a_folder_that_cannot_be_listed_is_not_left_out(bucket, tmp_path, monkeypatch):
    kind = type(fsspec.filesystem("memory"))
    ls = kind.ls

    def refuse_one(store, path, **options):
        if path.endswith("/cat"):
            raise PermissionError("no access to cat")
        return ls(store, path, **options)

    monkeypatch.setattr(kind, "ls", refuse_one)
    with raises(OSError, "memory://bucket/pets", "no access to cat"):
        pack("memory://bucket/pets", tmp_path / "out.h5", image_size=8)


def test_a_place_that_is_taken_is_refused_before_anything_is_copied(tmp_path):
    pytest.importorskip("array_record")
    for write in (pack_records, lambda source, out: pack(source, out, image_size=8)):
        with raises(ValueError, tmp_path, "folder"):
            write("nosuch://host/photos", tmp_path)


def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, monkeypatch):
    listed = [{"name": "/bucket/pets/../../evil.png", "type": "file"}]
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", lambda self, path, **options: listed)
    with raises(ValueError, "memory://bucket/pets", "../../evil.png"):
        pack("memory://bucket/pets", tmp_path / "out.h5", image_size=8)
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"fsspec.*resnet50\[records\]"):
        pack("memory://bucket/pets", tmp_path / "out.h5", image_size=8)
