import errno
import itertools
import os
import shutil
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import pytest

from factories import draw_image, image_folder, raises, write_image
from resnet50.data import cache as cache_module
from resnet50.data import hdf5, images
from resnet50.data import pack as packing
from resnet50.data.fit import Fit
from resnet50.data.images import read_image
from resnet50.data.listing import list_images
from resnet50.data.loading import read_splits
from resnet50.data.options import ReadOptions
from resnet50.data.pack import pack_inspected


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


@pytest.fixture
def never_packed(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the images were decoded")

    return lambda: monkeypatch.setattr(cache_module, "pack_inspected", refuse)


def test_a_folder_is_decoded_and_cached(tmp_path, cache):
    root, seen = image_folder(tmp_path / "pets", splits=("train", "val", "test")), []
    splits = read_splits(root, image_size=16, progress=lambda *steps: seen.append(steps))
    assert list(splits.by_name) == ["train", "validation", "test"]
    assert splits.unreadable == ()
    assert seen[-1] == (18, 18)
    for split, name in (("train", "train"), ("validation", "val"), ("test", "test")):
        dataset = splits.by_name[split]
        assert dataset.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert (dataset.class_names, dataset.name) == (("cat", "dog"), "pets")
        assert dataset.paths[4] == f"{name}/dog/1.png"
        np.testing.assert_array_equal(dataset.images[4], read_image(root / dataset.paths[4], height=16, width=16))
    (cached,) = cache.iterdir()
    assert len(cached.stem) == 64
    assert cached.suffix == ".h5"


def test_the_second_time_nothing_is_decoded(tmp_path, cache, never_packed):
    root = image_folder(tmp_path / "pets", splits=("train", "test"))
    (root / "train" / "cat" / "1.png").write_bytes(b"broken")
    first = read_splits(root, image_size=16)
    assert [each.path for each in first.unreadable] == ["train/cat/1.png"]
    (cached,) = cache.iterdir()
    os.utime(cached, (1, 1))
    never_packed()
    shutil.copytree(root, tmp_path / "moved" / "animals")
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    for place, name in ((root, "pets"), (tmp_path / "moved" / "animals", "animals"), (list_images(root), "pets")):
        again = read_splits(place, image_size=16)
        assert again.unreadable == first.unreadable
        for split, dataset in first.by_name.items():
            assert again.by_name[split].fingerprint == dataset.fingerprint
            assert again.by_name[split].paths == dataset.paths
            assert again.by_name[split].name == name
    assert cached.stat().st_mtime > 1e9  # it was used just now
    assert list(cache.iterdir()) == [cached]


def test_whatever_changes_makes_another_file(tmp_path, cache):
    root = image_folder(tmp_path / "pets")

    def count(**options):
        read_splits(root, image_size=options.pop("image_size", 16), **options)
        return len(list(cache.iterdir()))

    assert count() == 1
    assert count(image_size=8) == 2
    draw_image(root / "cat" / "0.png", 99)
    assert count() == 3
    draw_image(root / "cat" / "3.png", 100)
    assert count() == 4
    (root / "cat" / "3.png").unlink()
    assert count() == 4  # as it was before
    (root / "cat" / "2.png").rename(root / "cat" / "4.png")
    assert count() == 5
    (root / "cat" / "4.png").write_bytes(b"broken")
    assert count(options=ReadOptions(max_unreadable=0.5)) == 6
    (root / "dog").rename(root / "wolf")
    assert count(options=ReadOptions(max_unreadable=0.5)) == 7
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    for number, (header, ends) in enumerate(
        [("", ("", "")), (",group", (",p1", ",p2")), (",split", (",train", ",train"))]
    ):
        lines = [f"path,label{header}"] + [f"{row}{ends[index % 2]}" for index, row in enumerate(rows)]
        (root / "list.csv").write_text("\n".join(lines))
        read_splits(root / "list.csv", image_size=16, options=ReadOptions(max_unreadable=0.5))
        assert len(list(cache.iterdir())) == 7 + number  # the first is as the folder was


@pytest.mark.parametrize("labels", [("b", "a", "a"), ("a", "c", "c")])
def test_other_labels_for_the_same_files_make_another_file(tmp_path, cache, labels):
    root = image_folder(tmp_path / "pets")
    for number, names in enumerate((("a", "b", "b"), labels), 1):
        rows = [f"{path},{name}" for path, name in zip(("cat/0.png", "cat/1.png", "dog/0.png"), names, strict=True)]
        (root / "list.csv").write_text("\n".join(["path,label", *rows]))
        dataset = read_splits(root / "list.csv", image_size=16).train
        assert tuple(dataset.class_names[label] for label in dataset.labels) == names
        assert len(list(cache.iterdir())) == number


def test_another_decoding_makes_another_file(tmp_path, cache, monkeypatch):
    root = image_folder(tmp_path / "pets")
    read_splits(root, image_size=16)
    monkeypatch.setattr(cache_module, "DECODING", -1)
    read_splits(root, image_size=16)
    assert len(list(cache.iterdir())) == 2


def test_the_cache_does_not_permit_more_broken_files(tmp_path, never_packed):
    root = image_folder(tmp_path / "pets")
    (root / "cat" / "1.png").write_bytes(b"broken")
    read_splits(root, image_size=16, options=ReadOptions(max_unreadable=0.5))
    never_packed()
    with raises(ValueError, root, 1, 6, 0.1):
        read_splits(root, image_size=16)


@pytest.mark.parametrize("damage", [b"", b"\x89HDF\r\n\x1a\n and no more"])
def test_a_damaged_file_in_the_cache_is_made_again(tmp_path, cache, damage):
    root = image_folder(tmp_path / "pets")
    first = read_splits(root, image_size=16)
    (cached,) = cache.iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(damage)
    assert read_splits(root, image_size=16).train.fingerprint == first.train.fingerprint
    assert cached.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_named(tmp_path, cache, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(cache_module, "pack_inspected", refuse)
    with raises(PermissionError, cache, "RESNET50_CACHE"):
        read_splits(image_folder(tmp_path / "pets"), image_size=16)


def test_a_missing_file_that_appears_is_read(tmp_path, cache):
    root = image_folder(tmp_path / "pets")
    (root / "list.csv").write_text("path,label\ncat/0.png,a\ndog/0.png,b\nnone.png,b\n")
    splits = read_splits(root / "list.csv", image_size=16, options=ReadOptions(max_unreadable=0.4))
    assert [each.path for each in splits.unreadable] == ["none.png"]
    assert splits.unreadable[0].reason
    draw_image(root / "none.png", 5)
    splits = read_splits(root / "list.csv", image_size=16)
    assert (len(splits.train), splits.unreadable) == (3, ())
    assert len(list(cache.iterdir())) == 2


def test_two_processes_at_once_do_not_disturb_each_other(tmp_path, cache):
    root = image_folder(tmp_path / "pets", each=40)
    script = (
        "import sys; from resnet50.data.loading import read_splits\n"
        "print(read_splits(sys.argv[1], image_size=64).train.fingerprint)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, root], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert printed[0] == printed[1] == read_splits(root, image_size=64).train.fingerprint + "\n"
    assert [entry.suffix for entry in cache.iterdir()] == [".h5"]


def test_a_cache_below_a_file_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "file"))
    root = image_folder(tmp_path / "pets")
    with raises(OSError, tmp_path / "file", "RESNET50_CACHE"):
        read_splits(root, image_size=8)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOENT])
def test_a_cache_on_a_disk_that_takes_no_files_is_named(tmp_path, monkeypatch, number):
    def refuse(**_):
        raise OSError(number, os.strerror(number))

    root = image_folder(tmp_path / "pets")
    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    with raises(OSError, tmp_path / "cache", "RESNET50_CACHE", os.strerror(number)):
        read_splits(root, image_size=8)


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), MemoryError()])
def test_an_error_of_the_machine_is_not_remembered(tmp_path, cache, monkeypatch, error):
    root, fit_pixels = image_folder(tmp_path / "pets"), images.fit_pixels

    calls = itertools.count()

    def fail_once(*arguments):
        if next(calls) == 0:  # whichever thread comes first
            raise error
        return fit_pixels(*arguments)

    monkeypatch.setattr(images, "fit_pixels", fail_once)
    first = read_splits(root, image_size=16, options=ReadOptions(max_unreadable=0.2))
    assert (len(first.train), len(first.unreadable)) == (5, 1)
    assert first.unreadable[0].temporary
    again = read_splits(root, image_size=16)
    assert (len(again.train), again.unreadable) == (6, ())


@pytest.mark.parametrize("key", ["train_set_x", "train_set_y"])
def test_a_damaged_file_is_decoded_again(tmp_path, cache, key):
    root = image_folder(tmp_path / "pets")
    first = read_splits(root, image_size=16)
    (cached,) = cache.iterdir()
    with h5py.File(cached, "r+") as file:
        file[key][...] = 0
    assert read_splits(root, image_size=16).train.fingerprint == first.train.fingerprint


@pytest.fixture
def decoded(monkeypatch):
    """The names of the files that are decoded, in any order."""
    names = []

    def read(path, **options):
        names.append(path.name)
        return read_image(path, **options)

    monkeypatch.setattr(packing, "read_image", read)
    return names


@pytest.fixture
def read_fresh(tmp_path, monkeypatch):
    """Read a source with an empty cache; return the bytes of the packed file."""

    def read(root, **options):
        with monkeypatch.context() as patch:
            patch.setenv("RESNET50_CACHE", str(tmp_path / "fresh"))
            shutil.rmtree(tmp_path / "fresh", ignore_errors=True)
            read_splits(root, image_size=16, **options)
            (packed,) = (tmp_path / "fresh" / "packed").iterdir()
            return packed.read_bytes()

    return read


def newest(cache):
    return max(cache.iterdir(), key=lambda path: path.stat().st_mtime_ns).read_bytes()


@pytest.mark.parametrize("mapped_from", [0, 1 << 30])
def test_only_what_changed_is_decoded(tmp_path, cache, monkeypatch, decoded, read_fresh, mapped_from):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", mapped_from)
    root = image_folder(tmp_path / "pets", splits=("train", "test"))
    read_splits(root, image_size=16)
    decoded.clear()
    draw_image(root / "train" / "cat" / "1.png", 99)
    draw_image(root / "test" / "dog" / "9.png", 100)
    (root / "train" / "cat" / "0.png").rename(root / "train" / "cat" / "8.png")
    (root / "test" / "cat" / "0.png").unlink()
    splits = read_splits(root, image_size=16)
    assert sorted(decoded) == ["1.png", "9.png"]
    assert newest(cache) == read_fresh(root)
    for dataset in splits.by_name.values():
        for image, path in zip(dataset.images, dataset.paths, strict=True):
            np.testing.assert_array_equal(image, read_image(root / path, height=16, width=16))


def test_another_size_or_fit_takes_nothing_over(tmp_path, cache, decoded):
    root = image_folder(tmp_path / "pets")
    read_splits(root, image_size=16)
    for options in ({"image_size": 8}, {"image_size": 16, "fit": Fit(mode="stretch")}):
        decoded.clear()
        read_splits(root, **options)
        assert len(decoded) == 6


def test_another_measured_range_of_values_takes_nothing_over(tmp_path, cache, decoded, read_fresh):
    root = tmp_path / "scans"
    for index in range(6):
        pixels = np.linspace(0, 900 + index, 400).astype(np.uint16).reshape(20, 20)
        write_image(root / ("cat" if index % 2 else "dog") / f"{index}.png", pixels)
    dark = read_splits(root, image_size=16)
    decoded.clear()
    write_image(root / "cat" / "1.png", np.full((20, 20), 600, np.uint16))
    assert read_splits(root, image_size=16).fit == dark.fit
    assert decoded == ["1.png"]
    decoded.clear()
    write_image(root / "cat" / "1.png", np.full((20, 20), 60_000, np.uint16))
    bright = read_splits(root, image_size=16)
    assert bright.fit != dark.fit
    assert len(decoded) == 6
    assert newest(cache) == read_fresh(root)


def test_a_file_that_vanishes_between_hash_and_decoding_is_read_next_time(tmp_path, cache, monkeypatch):
    root = image_folder(tmp_path / "pets")
    path = root / "cat" / "1.png"
    before = path.read_bytes()
    with monkeypatch.context() as patch:

        def remove_first(*arguments, **options):
            path.unlink()
            return pack_inspected(*arguments, **options)

        patch.setattr(cache_module, "pack_inspected", remove_first)
        splits = read_splits(root, image_size=16, options=ReadOptions(max_unreadable=0.2))
    assert [each.path for each in splits.unreadable] == ["cat/1.png"]
    path.write_bytes(before)
    assert read_splits(root, image_size=16).unreadable == ()


@pytest.mark.parametrize("mapped_from", [0, 1 << 30])
@pytest.mark.parametrize("key", ["train_set_x", "train_set_sha256"])
def test_a_damaged_file_is_not_taken_over(tmp_path, cache, monkeypatch, read_fresh, key, mapped_from):
    monkeypatch.setattr(hdf5, "MAPPED_FROM", mapped_from)
    root = image_folder(tmp_path / "pets")
    read_splits(root, image_size=16)
    (earlier,) = cache.iterdir()
    with h5py.File(earlier, "r+") as file:
        file[key][...] = file[key][...][::-1]
    draw_image(root / "cat" / "1.png", 99)
    read_splits(root, image_size=16)
    assert newest(cache) == read_fresh(root)


@pytest.mark.parametrize("text", ["", "../../pets/cat/0.png", "\xff", f"{'0' * 64}.h5"])
def test_a_damaged_name_of_the_last_file_is_ignored(tmp_path, cache, read_fresh, text):
    root = image_folder(tmp_path / "pets")
    read_splits(root, image_size=16)
    (last,) = (tmp_path / "cache" / "sources").glob("*.txt")
    last.write_text(text, encoding="latin-1")
    draw_image(root / "cat" / "1.png", 99)
    read_splits(root, image_size=16)
    assert newest(cache) == read_fresh(root)


def test_a_file_that_changes_between_hash_and_decoding_is_read_next_time(tmp_path, cache, monkeypatch):
    root = image_folder(tmp_path / "pets")
    before = (root / "cat" / "1.png").read_bytes()
    with monkeypatch.context() as patch:

        def change_first(*arguments, **options):
            draw_image(root / "cat" / "1.png", 99)
            return pack_inspected(*arguments, **options)

        patch.setattr(cache_module, "pack_inspected", change_first)
        splits = read_splits(root, image_size=16, options=ReadOptions(max_unreadable=0.2))
    assert [each.path for each in splits.unreadable] == ["cat/1.png"]
    assert splits.unreadable[0].temporary
    for content in (before, (root / "cat" / "1.png").read_bytes()):
        (root / "cat" / "1.png").write_bytes(content)
        again = read_splits(root, image_size=16)
        assert again.unreadable == ()
        np.testing.assert_array_equal(again.train.images[1], read_image(root / "cat" / "1.png", height=16, width=16))


def test_progress_is_reported_from_the_first_file(tmp_path):
    root, seen = image_folder(tmp_path / "pets"), []

    def first(done, total):
        seen.append((done, total))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_splits(root, image_size=16, progress=first)
    assert seen == [(1, 6)]
    assert not (tmp_path / "cache" / "packed").exists()  # nothing is decoded yet
