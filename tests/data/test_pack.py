import errno
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from factories import image_folder, noise, posix, raises, write_image
from resnet50._io import workers
from resnet50.data import hdf5
from resnet50.data import pack as packing
from resnet50.data.hdf5 import read_h5, read_packing
from resnet50.data.images import read_image
from resnet50.data.lazy_images import LazyImages
from resnet50.data.listing import Entry, Listing
from resnet50.data.options import ReadOptions
from resnet50.data.pack import pack


def images(root, count=7):
    """Files of noise: odd ones PNG, even ones JPEG, all of other sizes."""
    return [
        write_image(root / f"{index:02}.{'png' if index % 2 else 'jpg'}", noise(20 + index, 30, 3, seed=index))
        for index in range(count)
    ]


def listing_of(root, paths, *, splits=None, groups=None, class_names=("cat", "dog")):
    n = len(paths)
    rows = zip(paths, [index % 2 for index in range(n)], splits or [None] * n, groups or [""] * n, strict=True)
    return Listing(root, tuple(Entry(str(path), *rest) for path, *rest in rows), class_names, "pets")


def decoded(paths, image_size=16):
    return np.stack([read_image(path, height=image_size, width=image_size) for path in paths])


def refusal(listing, out, *values, kind=ValueError, image_size=16, **options):
    """Why a listing is refused; all values but paths stand beside the paths, which hold the name of the test."""
    with raises(kind, *values) as raised:
        pack(listing, out, image_size=image_size, **options)
    text = str(raised.value)
    beside = text.replace(str(out), "").replace(str(listing.root), "")
    assert [value for value in values if not isinstance(value, Path) and str(value) not in beside] == [], text
    return text


def reason(path):
    """Why an image is refused: what `read_image` says, path and all."""
    with pytest.raises((ValueError, FileNotFoundError)) as raised:
        read_image(path, height=16, width=16)
    return str(raised.value)


def test_packs_every_split_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    paths = images(tmp_path / "in")
    splits = ["train", "test", "train", "validation", "test", "train", "train"]
    groups = ["p1", "p2", "", "p2", "", "p1", "p3"]
    seen = []
    out = tmp_path / "new" / "out.h5"
    listing = listing_of(tmp_path / "in", paths, splits=splits, groups=groups)
    assert pack(listing, out, image_size=16, progress=lambda *steps: seen.append(steps)) == ()
    assert seen == 2 * [(done, 7) for done in range(1, 8)]  # headers, then pixels
    splits = read_h5(out)
    assert list(splits) == ["train", "validation", "test"]
    for split, chosen in (("train", [0, 2, 5, 6]), ("validation", [3]), ("test", [1, 4])):
        dataset = splits[split]
        assert isinstance(dataset.images, LazyImages)
        np.testing.assert_array_equal(dataset.images, decoded([paths[k] for k in chosen]))
        assert dataset.labels.tolist() == [k % 2 for k in chosen]
        assert dataset.paths == tuple(paths[k].name for k in chosen)
        assert (dataset.class_names, dataset.name) == (("cat", "dog"), "pets")
    assert splits["train"].groups == ("p1", "", "p1", "p3")
    assert splits["test"].groups == ("p2", "")
    assert read_packing(out).unreadable == ()
    assert [entry.name for entry in out.parent.iterdir()] == ["out.h5"]


def test_images_without_a_split_are_for_training(tmp_path):
    paths = images(tmp_path / "in", 3)
    pack(listing_of(tmp_path / "in", paths), tmp_path / "out.h5", image_size=16)
    splits = read_h5(tmp_path / "out.h5")
    assert list(splits) == ["train"]
    assert splits["train"].groups == ()
    with h5py.File(tmp_path / "out.h5") as file:
        assert sorted(file) == ["list_classes", *(f"train_set_{end}" for end in ("crc32", "source_file", "x", "y"))]
        assert file["train_set_x"].chunks == (1, 16, 16, 3)


def test_sources_are_paths_below_the_root(tmp_path):
    paths = [*images(tmp_path / "in" / "deep", 2), *images(tmp_path / "else", 1)]
    pack(listing_of(tmp_path / "in", paths), tmp_path / "out.h5", image_size=16)
    paths = read_h5(tmp_path / "out.h5")["train"].paths
    assert paths == ("deep/00.jpg", "deep/01.png", str(tmp_path / "else" / "00.jpg"))


@pytest.mark.slow
def test_the_same_images_give_the_same_bytes(tmp_path, monkeypatch):
    listing = listing_of(tmp_path / "in", images(tmp_path / "in", 20), groups=["a", "b"] * 10)
    (tmp_path / "in" / "03.png").write_bytes(b"no image")
    files = []
    for threads in (1, 8):
        monkeypatch.setattr(workers, "THREADS", threads)
        pack(listing, tmp_path / f"{threads}.h5", image_size=16)
        files.append((tmp_path / f"{threads}.h5").read_bytes())
        time.sleep(1.1)  # HDF5's times are whole seconds
    assert files[0] == files[1]


def test_unreadable_files_are_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", 0)
    paths = images(tmp_path / "in")
    paths[1].write_bytes(b"GIF89a")
    paths[4].unlink()
    splits = ["train"] * 4 + ["test"] + ["train"] * 2
    unreadable = pack(
        listing_of(tmp_path / "in", paths, splits=splits),
        tmp_path / "out.h5",
        image_size=16,
        options=ReadOptions(max_unreadable=2 / 7),
    )
    assert [each.path for each in unreadable] == ["01.png", "04.jpg"]
    for each, path in zip(unreadable, (paths[1], paths[4]), strict=True):
        assert each.reason
        assert each.reason in reason(path)
        assert str(path) not in each.reason
    assert unreadable[0].reason != unreadable[1].reason
    splits = read_h5(tmp_path / "out.h5")
    assert list(splits) == ["train"]  # the test split had no other
    assert isinstance(splits["train"].images, LazyImages)
    np.testing.assert_array_equal(splits["train"].images, decoded([paths[k] for k in (0, 2, 3, 5, 6)]))
    assert splits["train"].labels.tolist() == [0, 0, 1, 1, 0]
    assert splits["train"].paths == ("00.jpg", "02.jpg", "03.png", "05.png", "06.jpg")
    assert read_packing(tmp_path / "out.h5").unreadable == unreadable


def test_too_many_unreadable_files_stop_it(tmp_path):
    paths = images(tmp_path / "in", 20)
    for path in paths[2:8]:
        path.unlink()
    out, seen = tmp_path / "out" / "out.h5", []
    listing = listing_of(tmp_path / "in", paths)
    why = pack(listing, tmp_path / "all.h5", image_size=16, options=ReadOptions(max_unreadable=1))[0].reason
    text = refusal(
        listing,
        out,
        *(tmp_path / "in", 5, 20, 0.2, "02.jpg", "03.png", "04.jpg", "…"),
        options=ReadOptions(max_unreadable=0.2),
        progress=lambda done, _: seen.append(done),
    )
    assert text.count(why) == 3
    assert "05.png" not in text
    assert seen[-1] == 6  # it does not go on to the end
    assert list(out.parent.iterdir()) == []


def test_a_class_with_too_many_unreadable_files_stops_it(tmp_path):
    paths = images(tmp_path / "in", 40)  # every other one is of the second class
    for path in paths[1:7:2]:
        path.write_bytes(b"no image")
    listing = listing_of(tmp_path / "in", paths)
    assert len({entry.label for entry in listing.entries}) == 2
    name = listing.class_names[listing.entries[1].label]
    values = (tmp_path / "in", 3, 20, name, "--max-unreadable")
    text = refusal(listing, tmp_path / "out.h5", *values, options=ReadOptions(max_unreadable=0.1))
    assert paths[1].name in text
    assert len(pack(listing, tmp_path / "out.h5", image_size=16, options=ReadOptions(max_unreadable=0.15))) == 3


def test_one_unreadable_file_of_a_small_class_is_left_out_but_not_the_only_one(tmp_path):
    root = image_folder(tmp_path / "pets", each=9)
    (root / "cat" / "0.png").write_bytes(b"no image")
    assert len(pack(root, tmp_path / "a.h5", image_size=16)) == 1
    for index in range(1, 9):
        (root / "cat" / f"{index}.png").unlink()
    with raises(ValueError, root, 1, "cat"):
        pack(root, tmp_path / "b.h5", image_size=16, options=ReadOptions(max_unreadable=0.5))


def test_a_class_without_readable_images_is_refused(tmp_path):
    root = image_folder(tmp_path / "pets", each=20)
    for name in ("0.png", "1.png"):
        (root / "bird").mkdir(exist_ok=True)
        (root / "bird" / name).write_bytes(b"no image")
    with raises(ValueError, root, 2, "bird"):
        pack(root, tmp_path / "b.h5", image_size=16, options=ReadOptions(max_unreadable=0.9))


def test_a_source_that_cannot_be_read_at_all_is_refused(tmp_path):
    root = tmp_path / "in"
    paths = [*images(root, 1), root / "a.jpg"]
    why = pack(listing_of(root, paths), tmp_path / "out.h5", image_size=16, options=ReadOptions(max_unreadable=1))[
        0
    ].reason
    (tmp_path / "out.h5").unlink()
    listing = listing_of(root, [root / "a.jpg", root / "b.jpg"])
    refusal(listing, tmp_path / "out.h5", root, 2, "a.jpg", why, options=ReadOptions(max_unreadable=1))
    assert list(tmp_path.iterdir()) == [root]


def test_a_size_of_no_pixels_is_refused(tmp_path):
    refusal(listing_of(tmp_path, images(tmp_path, 2)), tmp_path / "out.h5", "image_size", 1, 0, image_size=0)


def test_a_folder_is_listed_by_the_options(tmp_path):
    paths = [write_image(tmp_path / "in" / f"{name}_1.png", noise(20, 30, 3)) for name in ("cat", "dog")]
    options = ReadOptions(pattern="(?P<class>[a-z]+)_1", max_unreadable=0)
    assert pack(tmp_path / "in", tmp_path / "out.h5", image_size=16, options=options) == ()
    dataset = read_h5(tmp_path / "out.h5")["train"]
    assert dataset.class_names == ("cat", "dog")
    np.testing.assert_array_equal(dataset.images, decoded(paths))
    with raises(FileNotFoundError, tmp_path / "none"):
        pack(tmp_path / "none", tmp_path / "other.h5", image_size=16)


def test_refuses_class_names_that_could_not_be_read_back(tmp_path):
    listing = listing_of(tmp_path / "in", images(tmp_path / "in", 2), class_names=("cat", "cat"))
    refusal(listing, tmp_path / "out.h5", tmp_path / "out.h5", "cat")


def test_a_disk_without_room_is_reported_before_any_work(tmp_path, monkeypatch):
    listing = listing_of(tmp_path / "in", images(tmp_path / "in", 3))
    monkeypatch.setattr(packing, "read_image", None)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 7, 3_400_000))
    out = tmp_path / "new" / "out.h5"
    refusal(listing, out, out, "4 MB", "3 MB", "image_size", kind=OSError, image_size=600)
    assert not (tmp_path / "new").exists()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot keep room on a disk")
def test_a_disk_that_fills_meanwhile_is_reported_in_one_line(tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    listing = listing_of(tmp_path / "in", images(tmp_path / "in", 3))
    (tmp_path / "out.h5").write_bytes(b"old")
    monkeypatch.setattr(os, "posix_fallocate", no_room)
    refusal(listing, tmp_path / "out.h5", tmp_path / "out.h5", "1 MB", kind=OSError)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in", "out.h5"]
    assert (tmp_path / "out.h5").read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot keep room on a disk")
@pytest.mark.parametrize("kind", [errno.EINVAL, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_keep_room_will_do(tmp_path, monkeypatch, kind):
    def refuse(*_):
        raise OSError(kind, "not here")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    pack(listing_of(tmp_path / "in", images(tmp_path / "in", 3)), tmp_path / "out.h5", image_size=16)
    assert len(read_h5(tmp_path / "out.h5")["train"]) == 3


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="this system cannot keep room on a disk")
@pytest.mark.parametrize("bad", [0, 9])
def test_the_room_that_is_kept_is_enough_and_given_back(tmp_path, monkeypatch, bad):
    paths = images(tmp_path / ("long" * 40), 20)
    for path in paths[:bad]:
        path.write_bytes(b"?" * 60)
    kept = []
    monkeypatch.setattr(os, "posix_fallocate", lambda handle, start, size: kept.append(size))
    listing = listing_of(tmp_path, paths, groups=["patient" * 10_000, "p"] * 10)
    pack(listing, tmp_path / "without.h5", image_size=16, options=ReadOptions(max_unreadable=0.5))
    monkeypatch.undo()
    pack(listing, tmp_path / "out.h5", image_size=16, options=ReadOptions(max_unreadable=0.5))
    size = (tmp_path / "out.h5").stat().st_size
    assert (tmp_path / "without.h5").stat().st_size == size
    assert size < kept[0] < size + 2**20 + 20 * 300 + bad * 70_000


KILLED = """
import os, signal, sys
from resnet50.data import pack as packing
from resnet50.data.listing import Entry, Listing
from resnet50.data.options import ReadOptions
from pathlib import Path

root = Path(sys.argv[1])
entries = tuple(Entry(str(path), index % 2) for index, path in enumerate(sorted(root.iterdir())))

def kill(done, total):
    if done == 3 and list(Path(sys.argv[2]).parent.glob(".partial-*")):
        os.kill(os.getpid(), signal.SIGKILL)

packing.pack(Listing(root, entries, ("cat", "dog"), "pets"), sys.argv[2], image_size=16, progress=kill)
"""


@posix
def test_a_killed_one_leaves_nothing_for_long(tmp_path, monkeypatch):
    paths = images(tmp_path / "in")
    out = tmp_path / "out" / "out.h5"
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / "in", out], timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL
    leftovers = [entry.name for entry in out.parent.iterdir()]
    assert len(leftovers) == 1
    assert re.fullmatch(r"\.partial-.*\.h5", leftovers[0])
    pack(listing_of(tmp_path / "in", paths), out, image_size=16)  # one that began just now could be alive
    assert sorted(entry.name for entry in out.parent.iterdir()) == sorted([*leftovers, "out.h5"])
    monkeypatch.setattr(packing, "_JUST_BEGUN", -1)
    pack(listing_of(tmp_path / "in", paths), out, image_size=16)
    assert [entry.name for entry in out.parent.iterdir()] == ["out.h5"]
    np.testing.assert_array_equal(read_h5(out)["train"].images, decoded(paths))


def test_one_that_is_alive_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_JUST_BEGUN", -1)
    listing = listing_of(tmp_path / "in", images(tmp_path / "in", 4))
    out = tmp_path / "out"

    def another(done, total):
        if done == 2 and list(out.glob(".partial-*.h5")):
            pack(listing, out / "b.h5", image_size=16)
            assert len(list(out.glob(".partial-*.h5"))) == 1

    pack(listing, out / "a.h5", image_size=16, progress=another)
    assert sorted(entry.name for entry in out.iterdir()) == ["a.h5", "b.h5"]
    assert (out / "a.h5").read_bytes() == (out / "b.h5").read_bytes()


def test_real_odd_images(shared_data, tmp_path):
    folder = shared_data / "bad_images"
    if not folder.is_dir():
        pytest.skip(f"no bad_images in {shared_data}; set RESNET50_DATA to the folder with the real data")
    paths = sorted(folder.iterdir())
    unreadable = pack(
        listing_of(folder, paths), tmp_path / "out.h5", image_size=32, options=ReadOptions(max_unreadable=0.9)
    )
    dataset = read_h5(tmp_path / "out.h5")["train"]
    assert len(dataset) + len(unreadable) == len(paths) == 35
    assert {each.path for each in unreadable} | set(dataset.paths) == {path.name for path in paths}
    assert "truncated_jpeg.jpg" in {each.path for each in unreadable}
    assert all("\n" not in each.reason and str(folder) not in each.reason for each in unreadable)
    assert Path(dataset.paths[0]).name in {path.name for path in paths}


def test_where_there_are_no_locks_the_system_refuses_what_is_in_use(tmp_path, monkeypatch):
    """As on Windows, where a file that is open, also here, cannot be removed."""
    monkeypatch.setattr(packing, "fcntl", None)
    monkeypatch.setattr(packing, "_JUST_BEGUN", -1)
    out, unlink = tmp_path / "out.h5", Path.unlink
    for name in (".partial-used.h5", ".partial-left.h5"):
        (tmp_path / name).touch()

    def refuse(path, missing_ok=False):
        if path.name == ".partial-used.h5":
            raise PermissionError("in use")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    pack(listing_of(tmp_path / "in", images(tmp_path / "in", 4)), out, image_size=16)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [".partial-used.h5", "in", "out.h5"]
