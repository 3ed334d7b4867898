"""Folders at addresses: fsspec's file system in memory stands for an object store."""

from __future__ import annotations

import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from factories import image_folder, posix, raises
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


def copy(source, out):
    """Copy a source beside what takes no room."""
    return local_copy(source, beside=out, needed=lambda images, size: 0)


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
        shutil.make_archive(str(bucket), "zip", bucket)
    folder = tmp_path / "out"
    steps = []
    pack_records(address, folder / "records", progress=lambda *step: steps.append(step))
    assert steps[:13] == [(number, 13) for number in range(1, 14)]
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
    with copy("memory://bucket/pets", tmp_path / "out" / "records") as folder:
        assert (folder / "train" / "cat" / "notes.txt").read_bytes() == b""
        assert len(list(folder.rglob("*.png"))) == 12
    assert list((tmp_path / "out").iterdir()) == []


def test_a_path_stays_as_it_is(tmp_path):
    with copy(tmp_path, tmp_path / "out") as source:
        assert source is tmp_path


def test_an_address_without_files_is_refused(tmp_path):
    with raises(FileNotFoundError, "memory://bucket/nothing"), copy("memory://bucket/nothing", tmp_path):
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
    with copy("memory://me:secret@host", tmp_path) as folder:
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


def test_names_that_are_one_on_this_disk_are_refused(tmp_path, monkeypatch):
    listed = [{"name": f"/bucket/pets/cat/{name}", "type": "file"} for name in ("a.png", "./a.png")]
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "ls", lambda self, path, **options: listed)
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "get_file", lambda self, name, path: None)
    with raises(ValueError, "memory://bucket/pets: cat/a.png", "two"), copy("memory://bucket/pets", tmp_path / "out"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_its_kind_is_a_file(tmp_path):
    (tmp_path / "pets.zip").touch()
    address = (tmp_path / "pets.zip").as_uri()
    with raises(FileNotFoundError, "pets.zip: ", "a file", "zip://::"), copy(address, tmp_path / "out"):
        pass


def test_without_the_package_the_error_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match=r"fsspec.*resnet50\[records\]"):
        pack("memory://bucket/pets", tmp_path / "out.h5", image_size=8)


@pytest.mark.parametrize("kind", ["records", "h5"])
def test_images_that_do_not_fit_onto_the_disk_are_refused_before_one_is_copied(bucket, tmp_path, monkeypatch, kind):
    pytest.importorskip("array_record")
    size = sum(path.stat().st_size for path in bucket.rglob("*.png"))
    needed = size + (size + 12 * 4096 if kind == "records" else 12 * (3 * 16**2 + 256) + 2**20)
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "get_file", None)
    for free, expected in ((needed - 1, "free disk .*memory://bucket/pets"), (needed, "NoneType")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        with pytest.raises(OSError, match=expected):
            if kind == "records":
                pack_records("memory://bucket/pets", tmp_path / "out")
            else:
                pack("memory://bucket/pets", tmp_path / "out.h5", image_size=16)
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


def test_sizes_that_the_store_does_not_tell_need_no_room(bucket, tmp_path, monkeypatch):
    kind = type(fsspec.filesystem("memory"))
    ls = kind.ls
    monkeypatch.setattr(
        kind, "ls", lambda *words, **options: [{**each, "size": None} for each in ls(*words, **options)]
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with copy("memory://bucket/pets", tmp_path / "out") as folder:
        assert len(list(folder.rglob("*.png"))) == 12


def test_a_disk_that_is_full_meanwhile_is_reported(bucket, tmp_path, monkeypatch):
    def fill(store, name, path):
        raise OSError(28, "No space left on device", path)

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "get_file", fill)
    with (
        raises(OSError, "memory://bucket/pets", "room", "No space left") as caught,
        copy("memory://bucket/pets", tmp_path),
    ):
        pass
    assert ".partial" not in str(caught.value)


@pytest.mark.parametrize("write", [pack_records, lambda source, out: pack(source, out, image_size=16)])
def test_errors_name_the_address_and_not_the_copy(tmp_path, write):
    pytest.importorskip("array_record")
    store = fsspec.filesystem("memory")
    for name in ("cat/a.png", "cat/b.png", "dog/a.png"):
        store.pipe(f"/odd/pets/{name}", b"broken")
    with raises(ValueError, "memory://odd/pets", "cat") as caught:
        write("memory://odd/pets/", tmp_path / "out")
    assert ".partial" not in str(caught.value)
    store.rm("/odd/pets/dog", recursive=True)
    with raises(ValueError, "memory://odd/pets: ", "two classes") as caught:
        write("memory://odd/pets/", tmp_path / "out")
    store.rm("/odd", recursive=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [FileNotFoundError("/bucket/pets/gone"), PermissionError(13, "Permission denied")])
def test_a_file_that_cannot_be_copied_is_named(bucket, tmp_path, monkeypatch, error):
    kind = type(fsspec.filesystem("memory"))
    get = kind.get_file

    def refuse_one(store, name, path):
        if name.endswith("train/dog/1.png"):
            raise error
        get(store, name, path)

    monkeypatch.setattr(kind, "get_file", refuse_one)
    values = ("memory://bucket/pets: train/dog/1.png", type(error).__name__)
    with raises(OSError, *values), copy("memory://bucket/pets", tmp_path / "out"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["pets"]


@posix
def test_what_a_killed_one_left_is_removed_by_the_next_for_the_same_place(bucket, tmp_path):
    out = tmp_path / "out" / "records"
    with copy("memory://bucket/pets", out) as folder:
        with copy("memory://bucket/pets", out) as second:
            assert folder.is_dir()  # that of a living one
        assert not second.exists()
    folder.mkdir(parents=True)
    with copy("memory://bucket/pets", out.with_name("other")):
        assert folder.is_dir()
    with copy("memory://bucket/pets", out):
        assert not folder.exists()
    assert list(out.parent.iterdir()) == []
