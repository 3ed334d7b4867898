import dataclasses
import os
import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

from factories import noise, raises, write_image
from resnet50.data import pictures
from resnet50.data.images import read_image
from resnet50.data.listing import list_pictures
from resnet50.data.pack import pack
from resnet50.data.pictures import load_pictures, load_splits
from resnet50.data.split import Split


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


@pytest.fixture
def never_packed(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the pictures were decoded")

    return lambda: monkeypatch.setattr(pictures, "pack", refuse)


def draw(path, seed):
    return write_image(path, noise(30, 20, 3, seed=seed))


def folder(root, *, parts=("",), each=3):
    """Pictures of two classes, in folders of parts if there are any."""
    for number, part in enumerate(parts):
        for label, name in enumerate(("cat", "dog")):
            for index in range(each):
                draw(root / part / name / f"{index}.png", (number, label, index))
    return root


def write(path, part, count, *, classes=("a", "b"), side=8, seed=0):
    images = noise(count, side, side, 3, seed=seed)
    with h5py.File(path, "a") as file:
        file[f"{part}_set_x"], file[f"{part}_set_y"] = images, np.arange(count) % len(classes)
        if "list_classes" not in file:
            file["list_classes"] = [name.encode() for name in classes]
    return images


def test_a_folder_is_decoded_and_kept(tmp_path, cache):
    root, seen = folder(tmp_path / "pets", parts=("train", "val", "test")), []
    splits = load_splits(root, side=16, progress=lambda *told: seen.append(told))
    assert list(splits.splits) == ["training", "validation", "test"]
    assert splits.unreadable == ()
    assert seen[-1] == (18, 18)
    for part, name in (("training", "train"), ("validation", "val"), ("test", "test")):
        split = splits.splits[part]
        assert split.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert (split.class_names, split.dataset) == (("cat", "dog"), "pets")
        assert split.sources[4] == f"{name}/dog/1.png"
        np.testing.assert_array_equal(split.images[4], read_image(root / split.sources[4], height=16, width=16))
    (kept,) = cache.iterdir()
    assert len(kept.stem) == 64
    assert kept.suffix == ".h5"


def test_the_second_time_nothing_is_decoded(tmp_path, cache, never_packed):
    root = folder(tmp_path / "pets", parts=("train", "test"))
    (root / "train" / "cat" / "1.png").write_bytes(b"broken")
    first = load_splits(root, side=16)
    assert [told.path for told in first.unreadable] == ["train/cat/1.png"]
    (kept,) = cache.iterdir()
    os.utime(kept, (1, 1))
    never_packed()
    shutil.copytree(root, tmp_path / "moved" / "animals")
    (root / "train" / "cat" / "notes.txt").write_text("no picture")
    for place, name in ((root, "pets"), (tmp_path / "moved" / "animals", "animals"), (list_pictures(root), "pets")):
        again = load_splits(place, side=16, progress=lambda *_: pytest.fail("nothing is decoded"))
        assert again.unreadable == first.unreadable
        for part, split in first.splits.items():
            assert again.splits[part].fingerprint == split.fingerprint
            assert again.splits[part].sources == split.sources
            assert again.splits[part].dataset == name
    assert kept.stat().st_mtime > 1e9  # it was used just now
    assert list(cache.iterdir()) == [kept]


def test_whatever_changes_makes_another_file(tmp_path, cache):
    root = folder(tmp_path / "pets")

    def count(**options):
        load_splits(root, side=options.pop("side", 16), **options)
        return len(list(cache.iterdir()))

    assert count() == 1
    assert count(side=8) == 2
    draw(root / "cat" / "0.png", 99)
    assert count() == 3
    draw(root / "cat" / "3.png", 100)
    assert count() == 4
    (root / "cat" / "3.png").unlink()
    assert count() == 4  # as it was before
    (root / "cat" / "2.png").rename(root / "cat" / "4.png")
    assert count() == 5
    (root / "cat" / "4.png").write_bytes(b"broken")
    assert count(most_unreadable=0.5) == 6
    (root / "dog").rename(root / "wolf")
    assert count(most_unreadable=0.5) == 7
    rows = [f"{path.relative_to(root)},{path.parent.name}" for path in sorted(root.rglob("*.png"))]
    for number, (header, ends) in enumerate(
        [("", ("", "")), (",group", (",p1", ",p2")), (",split", (",train", ",train"))]
    ):
        lines = [f"path,label{header}"] + [f"{row}{ends[index % 2]}" for index, row in enumerate(rows)]
        (root / "list.csv").write_text("\n".join(lines))
        load_splits(root / "list.csv", side=16, most_unreadable=0.5)
        assert len(list(cache.iterdir())) == 7 + number  # the first is as the folder was


@pytest.mark.parametrize("labels", [("b", "a", "a"), ("a", "c", "c")])
def test_other_labels_for_the_same_files_make_another_file(tmp_path, cache, labels):
    root = folder(tmp_path / "pets")
    for number, names in enumerate((("a", "b", "b"), labels), 1):
        rows = [f"{path},{name}" for path, name in zip(("cat/0.png", "cat/1.png", "dog/0.png"), names, strict=True)]
        (root / "list.csv").write_text("\n".join(["path,label", *rows]))
        split = load_splits(root / "list.csv", side=16).splits["training"]
        assert tuple(split.class_names[label] for label in split.labels) == names
        assert len(list(cache.iterdir())) == number


def test_another_decoding_makes_another_file(tmp_path, cache, monkeypatch):
    root = folder(tmp_path / "pets")
    load_splits(root, side=16)
    monkeypatch.setattr(pictures, "DECODING", -1)
    load_splits(root, side=16)
    assert len(list(cache.iterdir())) == 2


def test_what_is_kept_does_not_make_broken_files_welcome(tmp_path, never_packed):
    root = folder(tmp_path / "pets")
    (root / "cat" / "1.png").write_bytes(b"broken")
    load_splits(root, side=16, most_unreadable=0.5)
    never_packed()
    with raises(ValueError, root, 1, 6, 0.1):
        load_splits(root, side=16)


@pytest.mark.parametrize("damage", [b"", b"\x89HDF\r\n\x1a\n and no more"])
def test_a_damaged_file_in_the_cache_is_made_again(tmp_path, cache, damage):
    root = folder(tmp_path / "pets")
    first = load_splits(root, side=16)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage)
    assert load_splits(root, side=16).splits["training"].fingerprint == first.splits["training"].fingerprint
    assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_named(tmp_path, cache, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pictures, "pack", refuse)
    with raises(PermissionError, cache, "RESNET50_CACHE"):
        load_splits(folder(tmp_path / "pets"), side=16)


def test_files_that_cannot_be_opened_are_told_apart_from_others(tmp_path, cache):
    root = folder(tmp_path / "pets")
    (root / "list.csv").write_text("path,label\ncat/0.png,a\ndog/0.png,b\nnone.png,b\n")
    splits = load_splits(root / "list.csv", side=16, most_unreadable=0.4)
    assert [told.path for told in splits.unreadable] == ["none.png"]
    assert splits.unreadable[0].reason
    draw(root / "none.png", 5)
    splits = load_splits(root / "list.csv", side=16)
    assert (len(splits.splits["training"]), splits.unreadable) == (3, ())
    assert len(list(cache.iterdir())) == 2


def test_two_processes_at_once_do_not_disturb_each_other(tmp_path, cache):
    root = folder(tmp_path / "pets", each=40)
    script = (
        "import sys; from resnet50.data.pictures import load_splits\n"
        "print(load_splits(sys.argv[1], side=64).splits['training'].fingerprint)"
    )
    both = [subprocess.Popen([sys.executable, "-c", script, root], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert told[0] == told[1] == load_splits(root, side=64).splits["training"].fingerprint + "\n"
    assert [entry.suffix for entry in cache.iterdir()] == [".h5"]


def test_a_pattern_finds_classes_in_names(tmp_path):
    for index, name in enumerate(("I_Basalt_1", "I_Basalt_2", "S_Chert_1", "S_Chert_2")):
        draw(tmp_path / "rocks" / f"{name}.png", index)
    split = load_splits(tmp_path / "rocks", side=8, pattern="^[A-Z]_(?P<class>[^_]+)_").splits["training"]
    assert (split.class_names, split.labels.tolist()) == (("Basalt", "Chert"), [0, 0, 1, 1])


def test_a_packed_file_is_read(tmp_path, cache):
    root = folder(tmp_path / "pets", parts=("train", "test"))
    (root / "test" / "cat" / "1.png").write_bytes(b"broken")
    told = pack(list_pictures(root), tmp_path / "packed.h5", side=16)
    splits = load_splits(tmp_path / "packed.h5", side=16)
    assert splits.unreadable == told
    assert len(told) == 1
    assert {part: len(split) for part, split in splits.splits.items()} == {"training": 6, "test": 5}
    assert splits.splits["test"].dataset == "pets"
    assert not cache.exists()


def test_what_a_packed_file_in_a_folder_left_out_is_told(tmp_path):
    root = folder(tmp_path / "pets")
    (root / "cat" / "1.png").write_bytes(b"broken")
    (tmp_path / "new").mkdir()
    told = pack(list_pictures(root), tmp_path / "new" / "train_pets.h5", side=16, most_unreadable=0.5)
    splits = load_splits(tmp_path / "new", side=16)
    assert (list(splits.splits), splits.unreadable) == (["training"], told)


@pytest.mark.parametrize("suffix", [".h5", ".HDF5"])
def test_a_file_of_the_schema_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    train, test = write(path, "train", 4), write(path, "test", 2, seed=1)
    splits = load_splits(str(path), side=8)
    np.testing.assert_array_equal(splits.splits["training"].images, train)
    np.testing.assert_array_equal(splits.splits["test"].images, test)


def test_a_folder_of_files_of_the_schema_is_read(tmp_path):
    train, test = write(tmp_path / "train_hands.h5", "train", 4), write(tmp_path / "test_hands.h5", "test", 2, seed=1)
    assert list(load_splits(tmp_path, side=8).splits) == ["training", "test"]
    val = write(tmp_path / "val_hands.h5", "val", 3, seed=2)
    splits = load_splits(tmp_path, side=8)
    for part, images in (("training", train), ("validation", val), ("test", test)):
        np.testing.assert_array_equal(splits.splits[part].images, images)


def test_a_folder_of_several_such_files_is_refused(tmp_path):
    for name in ("train_a.h5", "train_b.h5", "test_a.h5"):
        write(tmp_path / name, name.split("_")[0], 2)
    with raises(ValueError, tmp_path, "train_*.h5", "train_a.h5", "train_b.h5"):
        load_splits(tmp_path, side=8)


def test_files_of_other_classes_are_refused(tmp_path):
    write(tmp_path / "train_a.h5", "train", 2)
    write(tmp_path / "test_a.h5", "test", 2, classes=("a", "c"))
    with raises(ValueError, tmp_path / "test_a.h5", "train_a.h5", "a, b", "a, c"):
        load_splits(tmp_path, side=8)


def test_cifar10_is_read(tmp_path):
    for batch in (0, 50):
        rows = noise(1000, 1024, 3, seed=batch)
        write_image(tmp_path / f"cifar10_batch_{batch}.png", rows, compress_level=1)
    (tmp_path / "cifar10_labels.js").write_text(f"var labels=[{','.join('0123456789' * 6000)}]")
    splits = load_splits(tmp_path, side=32)
    assert {part: split.images.shape for part, split in splits.splits.items()} == {
        "training": (1000, 32, 32, 3),
        "test": (1000, 32, 32, 3),
    }
    np.testing.assert_array_equal(splits.splits["test"].images[7], rows[7].reshape(32, 32, 3))


def test_arrays_of_another_size_are_resized(tmp_path):
    corners = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    corners[:, :4, :4], corners[:, 4:, 4:] = (255, 0, 0), (0, 0, 255)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train_set_x"], file["train_set_y"], file["list_classes"] = corners, [0, 1], [b"a", b"b"]
    for side in (32, 4):
        split = load_splits(tmp_path / "a.h5", side=side).splits["training"]
        assert split.images.shape == (2, side, side, 3)
        assert split.images[1, 0, 0].tolist() == [255, 0, 0]
        assert split.images[1, -1, -1].tolist() == [0, 0, 255]
        assert split.images[1, 0, -1].tolist() == [0, 0, 0]
        assert split.labels.tolist() == [0, 1]
    images = noise(2, 8, 8, 3)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["train_set_x"][...] = images
    small = load_splits(tmp_path / "a.h5", side=1).splits["training"].images
    assert abs(small[0, 0, 0].mean() - images[0].mean()) < 20  # averaged, not one pixel picked


def test_refuses_a_side_of_nothing(tmp_path):
    with raises(ValueError, "side", 1, 0):
        load_splits(tmp_path, side=0)


@pytest.mark.parametrize(("name", "kind"), [("nothing", FileNotFoundError), ("text.txt", ValueError)])
def test_refuses_what_holds_no_pictures(tmp_path, name, kind):
    (tmp_path / "text.txt").write_text("text")
    with raises(kind, tmp_path / name):
        load_splits(tmp_path / name, side=8)


def test_a_pattern_for_an_array_is_not_passed_over(tmp_path):
    write(tmp_path / "a.h5", "train", 4)
    with raises(ValueError, tmp_path / "a.h5"):
        load_splits(tmp_path / "a.h5", side=8, pattern="(?P<class>.)")


def test_a_cache_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "file"))
    root = folder(tmp_path / "pets")
    with raises(OSError, tmp_path / "file"):
        load_splits(root, side=8)


def test_the_sources_own_parts_are_kept(tmp_path):
    root = folder(tmp_path / "pets", parts=("train", "val", "test"))
    parts = load_pictures(root, side=16, test=0.5)
    assert parts.training.sources[0] == "train/cat/0.png"
    assert parts.validation.sources[0] == "val/cat/0.png"
    assert parts.test.sources[0] == "test/cat/0.png"
    assert [len(split) for split in parts.splits.values()] == [6, 6, 6]


def test_a_test_part_is_cut_off_where_there_is_none(tmp_path):
    root = folder(tmp_path / "pets", each=10)
    (root / "cat" / "1.png").write_bytes(b"broken")
    parts = load_pictures(root, side=16, test=0.3, seed=3)
    assert parts.validation is None
    assert len(parts.unreadable) == 1
    assert np.bincount(parts.test.labels).tolist() == [3, 3]
    assert len(parts.training) == 13
    assert not set(parts.training.sources) & set(parts.test.sources)
    again = load_pictures(list_pictures(root), side=16, test=0.3, seed=3)
    assert again.test.sources == parts.test.sources
    others = {load_pictures(root, side=16, test=0.3, seed=seed).test.sources for seed in range(4)}
    assert len(others) > 1


@pytest.mark.parametrize("test", [0, 1, -0.5, float("nan")])
def test_a_share_that_leaves_no_test_part_is_refused(tmp_path, test):
    root = folder(tmp_path / "pets")
    with raises(ValueError, root, repr(test)):
        load_pictures(root, side=16, test=test)


def test_shares_that_are_none_are_refused_where_they_are_not_needed_too(tmp_path):
    write(tmp_path / "a.h5", "train", 4)
    write(tmp_path / "a.h5", "test", 4)
    with raises(ValueError, tmp_path / "a.h5", 7.5):
        load_pictures(tmp_path / "a.h5", side=8, test=7.5)
    for load in (load_pictures, load_splits):
        with raises(ValueError, "most_unreadable", "0..1", 9):
            load(tmp_path / "a.h5", side=8, most_unreadable=9)


def test_training_pictures_are_needed(tmp_path):
    write(tmp_path / "a.h5", "test", 4)
    with raises(ValueError, tmp_path / "a.h5") as caught:
        load_pictures(tmp_path / "a.h5", side=8)
    told = str(caught.value).replace(str(tmp_path), "")
    assert "training" in told
    assert "test" in told


def test_what_was_read_is_a_split_like_any_other(tmp_path):
    split = load_splits(folder(tmp_path / "pets"), side=16).splits["training"]
    assert isinstance(split, Split)
    assert dataclasses.replace(split, dataset="other").fingerprint == split.fingerprint


@pytest.mark.parametrize(
    ("place", "pattern", "sizes"),
    [
        ("cats_dogs", None, {"training": 500, "test": 200}),
        ("leukemia", None, {"training": 726}),
        ("signs", None, {"training": 1080, "test": 120}),
        ("cifar10", None, {"training": 4000, "test": 1000}),
        ("caltech101/101_ObjectCategories", None, {"training": 1394}),
        ("rocks", r"/[IMS]_(?P<class>[^/]+?)_\d+", {"training": 480}),
    ],
)
def test_real_sources(shared_data, tmp_path, monkeypatch, place, pattern, sizes):
    if not (shared_data / place).is_dir():
        pytest.skip(f"no {place} in {shared_data}; set RESNET50_DATA to the folder with the real data")
    splits = load_splits(shared_data / place, side=16, pattern=pattern)
    assert {part: len(split) for part, split in splits.splits.items()} == sizes
    assert splits.unreadable == ()
    assert splits.splits["training"].images.shape[1:] == (16, 16, 3)
