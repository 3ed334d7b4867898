import os
import time
import zlib

import h5py
import numpy as np
import pytest

from factories import noise, raises
from resnet50.data import hdf5
from resnet50.data.dataset import Dataset, Unreadable
from resnet50.data.hdf5 import (
    add_images,
    add_labels,
    add_unreadable,
    new_h5,
    read_h5,
    read_packing,
    read_split,
    write_split,
)

IMAGES = noise(5, 8, 8, 3)
LABELS = np.array([0, 1, 2, 1, 0])
SHAPE = "(n, size, size, 3)"


def write(path, split="train", **changes):
    """A small file in the course's schema; a change is a value, a function that makes the key, or None for no key."""
    key = {"train": "train", "validation": "val", "test": "test"}[split]
    keys = {f"{key}_set_x": IMAGES, f"{key}_set_y": LABELS, "list_classes": np.arange(3)} | changes
    with h5py.File(path, "w") as file:
        for key, value in keys.items():
            if callable(value):
                value(file, key)
            elif value is not None:
                file[key] = value
    return path


def made(**options):
    return lambda file, key: file.create_dataset(key, **options)


def unwritten_half(file, key):
    file.create_dataset(key, shape=(5, 8, 8, 3), dtype="u1", chunks=(1, 8, 8, 3))[:2] = IMAGES[:2]


def virtual(file, key):
    layout = h5py.VirtualLayout((5, 8, 8, 3), "u1")
    layout[:] = h5py.VirtualSource("missing.h5", "x", (5, 8, 8, 3))
    file.create_virtual_dataset(key, layout)


def of_time(file, key):
    h5py.h5d.create(file.id, key.encode(), h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((5,)))


def refusal(path, *values, split="train", kind=ValueError, damaged=False):
    """Why a file is refused; the values stand beside its path. It is called damaged where HDF5 itself cannot go on."""
    with raises(kind, path) as raised:
        read_split(path, split)
    assert raised.type is kind
    text = str(raised.value).replace(str(path), "")
    assert [value for value in values if str(value) not in text] == [], text
    cause = raised.value.__cause__
    assert (cause is not None) == damaged, text
    assert not damaged or " ".join(str(cause).split()) in text
    return text


@pytest.mark.parametrize("labels", [LABELS, LABELS[None], LABELS.astype("f4"), LABELS.astype(">u2")])
def test_reads_the_course_schema(tmp_path, labels):
    dataset = read_split(write(tmp_path / "some.h5", train_set_y=labels, extra=np.ones(3)), "train")
    np.testing.assert_array_equal(dataset.images, IMAGES)
    assert dataset.images.dtype == np.uint8
    assert dataset.labels.tolist() == [0, 1, 2, 1, 0]
    assert dataset.labels.dtype == np.int64
    assert dataset.class_names == ("0", "1", "2")
    assert dataset.paths == ("some.h5#0", "some.h5#1", "some.h5#2", "some.h5#3", "some.h5#4")
    assert dataset.name == "some"


@pytest.mark.parametrize(
    "options", [{"compression": "gzip", "fletcher32": True}, {"compression": "lzf"}, {"chunks": True}]
)
def test_reads_other_sizes_and_chunks(tmp_path, options):
    images = np.random.default_rng(1).integers(0, 256, (5, 20, 20, 3), dtype=np.uint8)
    dataset = read_split(write(tmp_path / "a.h5", train_set_x=made(data=images, **options)), "train")
    np.testing.assert_array_equal(dataset.images, images)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        (np.array([b"fist", b"palm", b"two"]), ("fist", "palm", "two")),
        (np.array([7, 8, 9], dtype=np.uint8), ("7", "8", "9")),
        (made(data=["fünf", "drei", "zwei"], dtype=h5py.string_dtype()), ("fünf", "drei", "zwei")),
        (np.array([b"\xff", b"b", b"c"]), ("\ufffd", "b", "c")),
    ],
)
def test_reads_class_names(tmp_path, classes, expected):
    assert read_split(write(tmp_path / "a.h5", list_classes=classes), "train").class_names == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (np.array([b"a/1.jpg", b"a/2.jpg", b"b/3.jpg", b"b/4.jpg", b"c/5.jpg"]), "b/3.jpg"),
        (np.array([b"too", b"few"]), "a.h5#2"),
        (np.arange(5), "a.h5#2"),
        (lambda file, key: file.create_group(key), "a.h5#2"),
        (h5py.SoftLink("/nowhere"), "a.h5#2"),
    ],
)
def test_sources(tmp_path, paths, expected):
    assert read_split(write(tmp_path / "a.h5", source_file=paths), "train").paths[2] == expected


def test_a_file_without_a_name_is_signs_only_with_the_classes_of_signs(tmp_path):
    assert read_split(write(tmp_path / "a.h5", list_classes=np.arange(6)), "train").name == "SIGNS"
    assert read_split(write(tmp_path / "cats.h5", list_classes=[b"non-cat", b"cat", b"dog"]), "train").name == "cats"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Fists", "Fists"),
        (np.bytes_(b"Fists"), "Fists"),
        ("two\n lines", "two lines"),
        ("", "a"),
        (np.arange(9), "a"),
    ],
)
def test_dataset_name(tmp_path, name, expected):
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["dataset"] = name
    assert read_split(path, "train").name == expected


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"train_set_x": None}, ("train_set_x", "list_classes", "train_set_y")),
        ({"train_set_y": None}, ("train_set_y", "list_classes", "train_set_x")),
        ({"list_classes": None}, ("list_classes", "train_set_x", "train_set_y")),
        (dict.fromkeys(("train_set_x", "train_set_y", "list_classes")), ("train_set_x",)),
        (
            {"train_set_x": None} | {f"k{i}": 0 for i in range(12)},
            ("train_set_x", "k0, k1, k10, k11, k2, k3, k4, k5, k6, k7, …"),
        ),
        ({"train_set_x": None, "a\nb": 0}, ("train_set_x", r"'a\nb'", "list_classes", "train_set_y")),
        ({"train_set_x": lambda file, key: file.create_group(key)}, ("train_set_x", "group")),
        ({"train_set_x": h5py.SoftLink("/nowhere")}, ("train_set_x", "link")),
        ({"train_set_x": h5py.ExternalLink("none.h5", "/x")}, ("train_set_x", "link")),
        ({"train_set_x": np.uint8(3)}, ("train_set_x", SHAPE, "()")),
        ({"train_set_x": h5py.Empty("u1")}, ("train_set_x", SHAPE, "None")),
        ({"train_set_x": IMAGES[..., 0]}, ("train_set_x", SHAPE, "(5, 8, 8)")),
        ({"train_set_x": IMAGES[:, :6]}, ("train_set_x", SHAPE, "(5, 6, 8, 3)")),
        ({"train_set_x": IMAGES[..., :1]}, ("train_set_x", SHAPE, "(5, 8, 8, 1)")),
        ({"train_set_x": IMAGES[:0]}, ("train_set_x", SHAPE, "(0, 8, 8, 3)")),
        ({"train_set_x": IMAGES / 255}, ("train_set_x", "uint8", "float64")),
        ({"train_set_x": IMAGES.astype("i1")}, ("train_set_x", "uint8", "int8")),
        ({"train_set_x": made(data=["a", "b"], dtype=h5py.string_dtype())}, ("train_set_x", SHAPE, "(2,)")),
        (
            {"train_set_x": made(data=IMAGES.astype(str).astype(object), dtype=h5py.string_dtype())},
            ("train_set_x", "uint8", "object"),
        ),
        ({"train_set_x": made(shape=(5, 8, 8, 3), dtype="u1", chunks=(1, 8, 8, 3))}, ("train_set_x",)),
        ({"train_set_x": made(shape=(5, 8, 8, 3), dtype="u1")}, ("train_set_x",)),
        ({"train_set_x": unwritten_half}, ("train_set_x",)),
        ({"train_set_x": virtual}, ("train_set_x",)),
        ({"train_set_x": made(shape=(5, 8, 8, 3), dtype="u1", external=[("/etc/passwd", 0, 960)])}, ("train_set_x",)),
        (
            {
                "train_set_x": made(shape=(10**9, 64, 64, 3), dtype="u1", chunks=(1, 64, 64, 3)),
                "train_set_y": made(shape=(10**9,), dtype="i1", chunks=(1000,)),
            },
            ("train_set_x", "11444.1 GiB", "16 GiB"),
        ),
        ({"train_set_y": LABELS[:4]}, ("train_set_y", "(5,)", "(1, 5)", "(4,)")),
        ({"train_set_y": LABELS[:, None]}, ("train_set_y", "(5,)", "(1, 5)", "(5, 1)")),
        ({"train_set_y": np.int64(3)}, ("train_set_y", "(5,)", "(1, 5)", "()")),
        ({"train_set_y": h5py.Empty("i8")}, ("train_set_y", "(5,)", "(1, 5)", "None")),
        ({"train_set_y": np.array([0, 1, 3, 1, 0])}, ("train_set_y", 0, 2, "0", "3")),
        ({"train_set_y": np.array([0, 1, -1, 1, 0])}, ("train_set_y", 0, 2, "-1", "1")),
        (
            {"train_set_y": np.array([2**64 - 1, 0, 0, 0, 0], dtype=np.uint64)},
            ("train_set_y", 0, 2, "0", "18446744073709551615"),
        ),
        ({"train_set_y": np.array([0, 1, 1e300, 1, 0])}, ("train_set_y", 0, 2, "0.0", "1e+300")),
        ({"train_set_y": np.array([0, 1, np.nan, 1, 0])}, ("train_set_y", "NaN")),
        ({"train_set_y": np.array([0, 1, np.inf, 1, 0])}, ("train_set_y", "NaN")),
        ({"train_set_y": np.array([0, 1, 1.5, 1, 0])}, ("train_set_y", "1.5")),
        ({"train_set_y": LABELS > 0}, ("train_set_y", "bool")),
        ({"train_set_y": LABELS * 1j}, ("train_set_y", "complex128")),
        ({"train_set_y": LABELS.astype("S")}, ("train_set_y", "|S21")),
        ({"train_set_y": made(data=["0", "1", "2", "1", "0"], dtype=h5py.string_dtype())}, ("train_set_y", "object")),
        ({"train_set_y": made(shape=(5,), dtype="i8", chunks=(2,))}, ("train_set_y",)),
        ({"list_classes": np.int64(3)}, ("list_classes", "()")),
        ({"list_classes": h5py.Empty("i8")}, ("list_classes", "None")),
        ({"list_classes": np.arange(3)[None]}, ("list_classes", "(1, 3)")),
        ({"list_classes": np.arange(1)}, ("train_set_y", "0..0", "0..2")),
        ({"list_classes": np.arange(3.0)}, ("list_classes", "float64")),
        ({"list_classes": made(shape=(3,), dtype=h5py.vlen_dtype("i4"))}, ("list_classes", "object")),
        ({"list_classes": np.array([b"fist", b"palm", b"fist"])}, ("list_classes", "fist")),
        ({"list_classes": np.array([b"a\nb", b"b", b"c"])}, ("list_classes", r"'a\nb'")),
        ({"list_classes": np.array([b"", b"b", b"c"])}, ("list_classes", "''")),
        (
            {"list_classes": made(shape=(10**11,), dtype="i1", chunks=(1000,))},
            ("list_classes", "100,000,000,000", "100,000"),
        ),
        ({"list_classes": made(shape=(4,), dtype="S2000000000", chunks=(1,))}, ("list_classes",)),
        ({"source_file": made(shape=(5,), dtype="S1000000000", chunks=(1,))}, ("source_file",)),
    ],
)
def test_refuses_what_the_schema_does_not_allow(tmp_path, changes, values):
    refusal(write(tmp_path / "a.h5", **changes), *values)


@pytest.mark.parametrize(
    ("changes", "value"),
    [({"train_set_x": h5py.SoftLink("/train_set_x")}, "too many links"), ({"train_set_y": of_time}, "TypeTimeID")],
)
def test_refuses_what_h5py_cannot_read(tmp_path, changes, value):
    """The value is of h5py's own words."""
    refusal(write(tmp_path / "a.h5", **changes), value, damaged=True)


def test_unwritten_and_external_values_have_different_messages(tmp_path):
    def message(key, value):
        return refusal(write(tmp_path / "a.h5", **{key: value}), key).replace(key, "")

    unwritten = {
        message("train_set_x", made(shape=(5, 8, 8, 3), dtype="u1", chunks=(1, 8, 8, 3))),
        message("train_set_x", made(shape=(5, 8, 8, 3), dtype="u1")),
        message("train_set_x", unwritten_half),
        message("train_set_y", made(shape=(5,), dtype="i8", chunks=(2,))),
        message("list_classes", made(shape=(4,), dtype="S2000000000", chunks=(1,))),
        message("source_file", made(shape=(5,), dtype="S1000000000", chunks=(1,))),
    }
    elsewhere = {
        message("train_set_x", virtual),
        message("train_set_x", made(shape=(5, 8, 8, 3), dtype="u1", external=[("/etc/passwd", 0, 960)])),
    }
    assert len(unwritten) == len(elsewhere) == 1
    assert unwritten != elsewhere


def test_shows_a_key_that_is_not_utf8(tmp_path):
    path = write(tmp_path / "a.h5", train_set_x=None)
    with h5py.File(path, "a") as file:
        file[b"\xff"] = 0
    refusal(path, "train_set_x", "list_classes", "train_set_y", r"\xff")


def test_refuses_the_other_split(tmp_path):
    path = write(tmp_path / "a.h5")
    refusal(path, "test_set_x", "list_classes", "train_set_x", "train_set_y", split="test")


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"", ("empty",)),
        (b"\n\n <!DOCTYPE html><html>", ("HTML",)),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4748\nsize 13281872\n", ("Git LFS", "git lfs pull")),
        (b"PK\x03\x04 a zip file", (r"b'PK\x03\x04 a z'",)),
    ],
)
def test_refuses_what_is_not_hdf5(tmp_path, content, values):
    (tmp_path / "a.h5").write_bytes(content)
    refusal(tmp_path / "a.h5", "HDF5", "SIGNS", *values)


def test_refuses_what_is_no_file(tmp_path):
    nothing = refusal(tmp_path / "a.h5", kind=FileNotFoundError)
    assert "folder" not in nothing
    assert refusal(tmp_path, "folder", kind=FileNotFoundError) != nothing


@pytest.mark.parametrize("libver", [None, "latest"])
def test_refuses_a_file_cut_anywhere(tmp_path, libver):
    with h5py.File(tmp_path / "whole.h5", "w", libver=libver) as file:
        file.create_dataset("train_set_x", data=IMAGES, chunks=(2, 8, 8, 3), compression="gzip")
        file["train_set_y"], file["list_classes"] = LABELS, np.arange(3)
    whole = (tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "cut.h5"
    for size in [*range(0, len(whole), len(whole) // 50), len(whole) - 1]:
        path.write_bytes(whole[:size])
        refusal(path, damaged=size > 0)


@pytest.mark.parametrize("key", ["train_set_x", "train_set_y", "list_classes", "source_file"])
def test_refuses_a_damaged_chunk(tmp_path, key):
    data = {
        "train_set_x": IMAGES,
        "train_set_y": LABELS,
        "list_classes": np.arange(3),
        "source_file": np.array([b"a"] * 5),
    }
    path = write(tmp_path / "a.h5", **{key: made(data=data[key], chunks=True, fletcher32=True)})
    with h5py.File(path) as file:
        at = file[key].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    refusal(path, damaged=True)


def test_random_damage_gives_no_other_error(tmp_path):
    whole = write(
        tmp_path / "a.h5", train_set_x=made(data=IMAGES, chunks=(2, 8, 8, 3), compression="gzip")
    ).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        content = bytearray(whole)
        for at in rng.integers(8, len(whole), 4):
            content[at] = rng.integers(256)
        (tmp_path / "b.h5").write_bytes(content)
        try:
            read_split(tmp_path / "b.h5", "train")
        except ValueError as error:
            assert str(tmp_path / "b.h5") in str(error)
            assert "\n" not in str(error)
            refused += 1
    assert refused


def split_of(**changes):
    fields = {
        "images": IMAGES,
        "labels": LABELS,
        "class_names": ("fist", "fünf", "2"),
        "paths": ("a/é.jpg", "b", "c", "d", "e"),
        "name": "Fäuste",
    }
    return Dataset(**fields | changes)


def test_what_is_written_is_read(tmp_path):
    dataset = split_of()
    write_split(dataset, tmp_path / "new" / "a.h5", "test")
    back = read_split(tmp_path / "new" / "a.h5", "test")
    assert back.fingerprint == dataset.fingerprint
    assert (back.class_names, back.paths, back.name) == (dataset.class_names, dataset.paths, dataset.name)
    with h5py.File(tmp_path / "new" / "a.h5") as file:
        assert sorted(file) == ["list_classes", *(f"test_set_{end}" for end in ("crc32", "source_file", "x", "y"))]
        np.testing.assert_array_equal(file["test_set_x"], IMAGES)


def test_writes_sources_whose_names_are_not_utf8(tmp_path):
    names = tuple(os.fsdecode(b"%c.jpg" % byte) for byte in (0xFF, 0xFE, 0x80, 0x41, 0xC3))
    dataset = split_of(paths=names, groups=names[::-1])
    write_split(dataset, tmp_path / "a.h5", "train")
    back = read_split(tmp_path / "a.h5", "train")
    assert (back.paths, back.groups) == (names, names[::-1])


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"images": IMAGES[:0], "labels": LABELS[:0], "paths": ()}, (SHAPE, "(0, 8, 8, 3)")),
        ({"images": IMAGES[:, :6]}, (SHAPE, "(5, 6, 8, 3)")),
        ({"class_names": ("fist", "palm", "fist")}, ("fist",)),
        ({"class_names": ("a", "b", "c\u200b")}, (r"'c\u200b'",)),
    ],
)
def test_writes_nothing_that_it_would_not_read(tmp_path, changes, values):
    path = tmp_path / "a.h5"
    path.write_bytes(b"old")
    with raises(ValueError, path) as raised:
        write_split(split_of(**changes), path, "train")
    text = str(raised.value).replace(str(path), "")
    assert [value for value in values if value not in text] == [], text
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert path.read_bytes() == b"old"


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    write_split(split_of(), path, "train")
    before = path.read_bytes()

    def no_room(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr(hdf5.h5py.Group, "create_dataset", no_room)
    with pytest.raises(OSError, match="no room"):
        write_split(split_of(name="other"), path, "train")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def packed(path, *, images=IMAGES, room=0, **others):
    """A file with a packed training split; ``room`` more images were allocated than are used."""
    with new_h5(path, ("a", "b", "c"), "some") as file:
        stored = add_images(file, "train", len(images) + room, 8)
        for index, image in enumerate(images):
            stored.write_direct_chunk((index, 0, 0, 0), image)
        stored.set_extent(images.shape)
        labels = np.arange(len(images)) % 3
        add_labels(file, "train", labels, [f"{index}.jpg" for index in labels], others.get("groups", ()))
        add_unreadable(file, others.get("unreadable", ()))
    return path


def test_reads_all_splits_of_a_file(tmp_path):
    path = write(tmp_path / "a.h5", test_set_x=IMAGES[:2], test_set_y=[[2, 0]], val_set_x=IMAGES[4:], val_set_y=[1])
    splits = read_h5(path)
    assert list(splits) == ["train", "validation", "test"]
    assert [dataset.labels.tolist() for dataset in splits.values()] == [[0, 1, 2, 1, 0], [1], [2, 0]]
    np.testing.assert_array_equal(splits["validation"].images, IMAGES[4:])
    assert splits["test"].fingerprint == read_split(path, "test").fingerprint
    assert list(read_h5(write(tmp_path / "b.h5", "test"))) == ["test"]


def test_a_file_without_splits_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", train_set_x=None)
    with raises(ValueError, path, "train_set_x", "val_set_x", "test_set_x", "list_classes", "train_set_y"):
        read_h5(path)


def test_a_split_has_one_of_three_names(tmp_path):
    with raises(ValueError, "train", "validation", "test", "'training'"):
        read_split(write(tmp_path / "a.h5"), "training")


def test_each_split_has_its_paths(tmp_path):
    paths = np.array([b"v"])
    both = {"test_set_x": IMAGES[:1], "test_set_y": [0], "test_set_source_file": paths, "source_file": [b"old"] * 5}
    splits = read_h5(write(tmp_path / "a.h5", **both))
    assert splits["test"].paths == ("v",)
    assert splits["train"].paths == ("old",) * 5


def test_groups(tmp_path):
    dataset = split_of(groups=("p1", "", "p1", "Zoë", ""))
    write_split(dataset, tmp_path / "a.h5", "train")
    assert read_split(tmp_path / "a.h5", "train").groups == ("p1", "", "p1", "Zoë", "")
    write_split(split_of(), tmp_path / "b.h5", "train")
    assert read_split(tmp_path / "b.h5", "train").groups == ()


@pytest.mark.parametrize(
    ("groups", "values"),
    [
        (np.array([b"a", b"b"]), ("(5,)", "(2,)")),
        (np.arange(5), ("int64", "(5,)")),
        (np.array([[b"a"]]), ("|S1", "(1, 1)")),
        (lambda file, key: file.create_group(key), (" group",)),
    ],
)
def test_malformed_groups_are_refused(tmp_path, groups, values):
    refusal(write(tmp_path / "a.h5", train_set_group=groups), "train_set_group", *values)


def test_files_that_were_left_out(tmp_path):
    left_out = (Unreadable("b/ü.jpg", "cut off"), Unreadable("c.gif", "empty"))
    assert read_packing(packed(tmp_path / "a.h5", unreadable=left_out)).unreadable == left_out
    assert read_packing(packed(tmp_path / "b.h5")).unreadable == ()


@pytest.mark.parametrize("room", [0, 3])
def test_packed_images_stay_in_the_file(tmp_path, monkeypatch, room):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 5 * 8 * 8 * 3)
    monkeypatch.setattr(hdf5, "MOST_BYTES", 500)  # of a key that is read into memory
    dataset = read_split(packed(tmp_path / "a.h5", room=room, groups=list("ababa")), "train")
    assert isinstance(dataset.images, np.memmap)
    np.testing.assert_array_equal(dataset.images, IMAGES)
    assert dataset.labels.tolist() == [0, 1, 2, 0, 1]
    assert dataset.groups == ("a", "b", "a", "b", "a")
    with pytest.raises(ValueError, match="read-only"):  # NumPy's word
        dataset.images[0] = 0
    (tmp_path / "a.h5").unlink()
    np.testing.assert_array_equal(dataset.images[[4, 1]], IMAGES[[4, 1]])
    assert dataset.fingerprint == split_of(labels=dataset.labels, class_names=("a", "b", "c")).fingerprint


def test_images_of_others_in_one_piece_stay_in_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    dataset = read_split(write(tmp_path / "a.h5"), "train")
    assert isinstance(dataset.images, np.memmap)
    np.testing.assert_array_equal(dataset.images, IMAGES)


def backwards(file, key):
    """The images lie in the file last first, but for the first and the last."""
    stored = file.create_dataset(key, shape=(5, 8, 8, 3), dtype="u1", chunks=(1, 8, 8, 3), maxshape=(None, 8, 8, 3))
    for index in (0, 3, 2, 1, 4):
        stored[index] = IMAGES[index]


@pytest.mark.parametrize(
    "images",
    [
        made(data=IMAGES, compression="gzip", chunks=(1, 8, 8, 3)),
        made(data=IMAGES, fletcher32=True, chunks=(1, 8, 8, 3)),
        made(data=IMAGES, chunks=(2, 8, 8, 3)),
        made(data=IMAGES, chunks=(1, 8, 4, 3)),
        backwards,
    ],
)
def test_what_lies_in_pieces_is_read_into_memory(tmp_path, monkeypatch, images):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    dataset = read_split(write(tmp_path / "a.h5", train_set_x=images), "train")
    assert not isinstance(dataset.images, np.memmap)
    np.testing.assert_array_equal(dataset.images, IMAGES)


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "gzip"},
        {"shuffle": True},
        {"fletcher32": True},
        {"chunks": (1, 16, 16, 3), "maxshape": (None, None, None, 3)},
    ],
)
def test_one_image_that_lies_there_in_another_form_is_read_into_memory(tmp_path, monkeypatch, options):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    one = made(**{"data": IMAGES[:1], "chunks": (1, 8, 8, 3)} | options)
    dataset = read_split(write(tmp_path / "a.h5", train_set_x=one, train_set_y=LABELS[:1]), "train")
    assert not isinstance(dataset.images, np.memmap)
    np.testing.assert_array_equal(dataset.images, IMAGES[:1])


def test_a_place_beyond_the_end_of_the_file_is_damage(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    one = made(data=IMAGES[:1], chunks=(1, 8, 8, 3))
    content = write(tmp_path / "a.h5", train_set_x=one, train_set_y=LABELS[:1]).read_bytes()
    place = content.index(IMAGES[0].tobytes()).to_bytes(8, "little")
    assert content.count(place) == 1
    (tmp_path / "a.h5").write_bytes(content.replace(place, (len(content) - 100).to_bytes(8, "little")))
    refusal(tmp_path / "a.h5", damaged=True)


def test_a_small_file_is_read_into_memory(tmp_path):
    assert not isinstance(read_split(packed(tmp_path / "a.h5"), "train").images, np.memmap)


@pytest.mark.parametrize("images", [made(shape=(5, 8, 8, 3), dtype="u1"), unwritten_half, virtual])
def test_what_is_not_there_is_not_mapped(tmp_path, monkeypatch, images):
    path = write(tmp_path / "a.h5", train_set_x=images)
    expected = refusal(path)
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    assert refusal(path) == expected


def test_random_damage_of_a_packed_file_gives_no_other_error(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    whole = packed(tmp_path / "a.h5", groups=list("ababa")).read_bytes()
    pixels = whole.index(IMAGES.tobytes())
    elsewhere = np.r_[8:pixels, pixels + IMAGES.size : len(whole)]
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        content = bytearray(whole)
        for at in rng.choice(elsewhere, 2):
            content[at] = rng.integers(256)
        (tmp_path / "b.h5").write_bytes(content)
        try:
            assert read_split(tmp_path / "b.h5", "train").images.max() >= 0  # all bytes are there
        except ValueError as error:
            assert str(tmp_path / "b.h5") in str(error)
            assert "\n" not in str(error)
            refused += 1
    assert refused


def test_the_same_images_give_the_same_bytes(tmp_path):
    first = packed(tmp_path / "a.h5", groups=list("ababa"), unreadable=[Unreadable("a", "b")]).read_bytes()
    time.sleep(1.1)  # HDF5's times are whole seconds
    assert packed(tmp_path / "b.h5", groups=list("ababa"), unreadable=[Unreadable("a", "b")]).read_bytes() == first


def flip(path, key, place):
    """Change one bit of a value where it lies, below HDF5's own checksums."""
    with h5py.File(path) as file:
        values = file[key]
        start = values.id.get_offset() if values.chunks is None else values.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[start + place] ^= 1
    path.write_bytes(content)


def own_file(path):
    """A file as `pack` writes it: every image a chunk of its own, with a checksum."""
    with new_h5(path, ("a", "b", "c"), "pets") as file:
        rows = add_images(file, "train", 5, 8)
        for index, image in enumerate(IMAGES):
            rows.write_direct_chunk((index, 0, 0, 0), image)
        checksums = [zlib.crc32(image.tobytes()) for image in IMAGES]
        add_labels(file, "train", LABELS, [f"{k}.png" for k in range(5)], ["p", "q"] * 2 + ["p"], checksums=checksums)
        add_unreadable(file, [Unreadable("bad.png", "no image", True)])
    return path


@pytest.mark.parametrize(
    "key",
    ["train_set_y", "train_set_source_file", "train_set_group", "list_classes", "unreadable_file", "train_set_crc32"],
)
def test_damaged_labels_and_names_are_refused(tmp_path, key):
    path = own_file(tmp_path / "a.h5")
    assert read_split(path, "train").labels.tolist() == LABELS.tolist()
    assert read_packing(path).unreadable == (Unreadable("bad.png", "no image", temporary=True),)
    flip(path, key, 0)
    with raises(ValueError, path, "checksum"):
        read_split(path, "train")


def test_damaged_pixels_in_memory_are_refused(tmp_path):
    path = own_file(tmp_path / "a.h5")
    flip(path, "train_set_x", 3 * 8 * 8 * 3)
    with raises(ValueError, path, "image 3", "checksum"):
        read_split(path, "train")


def test_damaged_pixels_in_a_mapped_file_are_refused_when_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    path = own_file(tmp_path / "a.h5")
    flip(path, "train_set_x", 3 * 8 * 8 * 3)
    dataset = read_split(path, "train")
    np.testing.assert_array_equal(dataset.images[:3], IMAGES[:3])
    np.testing.assert_array_equal(dataset.images[4], IMAGES[4])
    for read in (
        lambda: dataset.images[3],
        lambda: dataset.images[2:5],
        lambda: dataset.select([4, 3]).images[1],
        lambda: list(dataset.images),
        lambda: dataset.fingerprint,
    ):
        with raises(ValueError, path, "image 3", "checksum"):
            read()


def test_each_pixel_is_verified_once(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    images = read_split(own_file(tmp_path / "a.h5"), "train").images
    np.testing.assert_array_equal(images[[1, 1, 2]], IMAGES[[1, 1, 2]])
    monkeypatch.setattr(hdf5.zlib, "crc32", lambda _: pytest.fail("verified again"))
    np.testing.assert_array_equal(images[1:3], IMAGES[1:3])


def test_a_file_without_checksums_is_read(tmp_path):
    """As the course's files are, and those of earlier versions."""
    assert len(read_split(write(tmp_path / "a.h5"), "train")) == 5


def test_a_chunk_that_is_far_larger_than_its_content_is_refused(tmp_path):
    path = write(
        tmp_path / "a.h5",
        train_set_x=made(
            shape=(5, 8, 8, 3), maxshape=(None, 8, 8, 3), dtype="u1", chunks=(1 << 20, 8, 8, 3), compression="gzip"
        ),
    )
    with raises(ValueError, path, "chunks", f"{192 << 20:,}"):
        read_split(path, "train")


def test_a_link_to_another_file_is_refused(tmp_path):
    other = write(tmp_path / "other.h5")
    path = write(tmp_path / "a.h5", train_set_y=h5py.ExternalLink(str(other), "/train_set_y"))
    with raises(ValueError, path, "train_set_y", "link"):
        read_split(path, "train")


@pytest.mark.parametrize(
    ("names", "values"),
    [(["x" * 1001, "b", "c"], ("1,001", "1,000")), ([f"{k}" for k in range(100_001)], ("100,001", "100,000"))],
)
def test_too_many_and_too_long_class_names_are_refused(tmp_path, names, values):
    path = write(tmp_path / "a.h5", list_classes=np.array([name.encode() for name in names]))
    with raises(ValueError, path, "list_classes", *values) as caught:
        read_split(path, "train")
    assert len(str(caught.value)) < 1000


def test_the_name_of_a_dataset_cannot_command_a_terminal(tmp_path):
    path = write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["dataset"] = "x\x1b]52;c;eA==\x07 y"
    assert read_split(path, "train").name == r"x\x1b]52;c;eA==\x07 y"


def test_images_of_one_class_can_be_scored_and_are_read(tmp_path):
    one = Dataset(IMAGES, LABELS * 0, ("cats",), tuple("abcde"), "pets")
    write_split(one, tmp_path / "a.h5", "test")
    assert read_split(tmp_path / "a.h5", "test").class_names == ("cats",)
