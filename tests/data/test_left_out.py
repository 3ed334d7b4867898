"""Everything in a source that is not an image to learn from is counted, by its suffix and class."""

from __future__ import annotations

import os

import numpy as np
import pytest
from matplotlib.figure import Figure

from factories import image_folder, raises, write_image
from resnet50.audit.check import check
from resnet50.data.hdf5 import read_packing
from resnet50.data.left_out import REASONS, LeftOut, count_left_out, describe_left_out
from resnet50.data.listing import list_images
from resnet50.data.loading import load_dataset, read_splits
from resnet50.data.pack import pack
from resnet50.plots.save import save_figure


def tree(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def left_out(source, **options):
    return [(each.reason, each.place, each.suffix, each.count) for each in list_images(source, **options).left_out]


def test_pixels_that_are_not_finite_are_counted_by_image(tmp_path):
    for name, bad in (("cat", np.nan), ("dog", np.inf)):
        for index in range(3):
            pixels = np.random.default_rng(index).random((16, 16)).astype(np.float32)
            pixels[0, :index] = bad
            write_image(tmp_path / "photos" / name / f"{index}.tif", pixels)
    expected = [("not-finite", "cat", ".tif", 2), ("not-finite", "dog", ".tif", 2)]
    for _ in range(2):  # decoded, and from the cache
        splits = read_splits(tmp_path / "photos", image_size=8)
        assert [(each.reason, each.place, each.suffix, each.count) for each in splits.left_out] == expected
    assert "4 images" in describe_left_out(splits.left_out)
    assert splits.fit.value_range == (0, 1)
    assert 100 < splits["train"].images.mean() < 150


def test_nothing_is_left_out_of_a_folder_of_images(tmp_path):
    assert left_out(image_folder(tmp_path)) == []


def test_files_are_counted_by_suffix_and_class(tmp_path):
    image_folder(tmp_path)
    tree(tmp_path, "cat/a.dcm", "cat/b.DCM", "cat/deep/c.dcm", "cat/plain", "dog/d.npy", "README.md")
    tree(tmp_path, "dog/1.2.840.10008", "dog/1.2.840.10009")  # numbers of DICOM series are no suffixes
    assert left_out(tmp_path) == [
        ("not-image", "", ".md", 1),
        ("not-image", "cat", "", 1),
        ("not-image", "cat", ".dcm", 3),
        ("not-image", "dog", "", 2),
        ("not-image", "dog", ".npy", 1),
    ]


def test_a_class_folder_without_images_is_named(tmp_path):
    image_folder(tmp_path)
    (tmp_path / "bird" / "deep").mkdir(parents=True)
    tree(tmp_path, "fish/notes.txt")
    assert left_out(tmp_path) == [
        ("no-images", "bird", "", 1),
        ("no-images", "fish", "", 1),
        ("not-image", "fish", ".txt", 1),
    ]


@pytest.mark.parametrize("name", ["test", "val"])
def test_a_split_without_images_is_named_once(tmp_path, name):
    image_folder(tmp_path, splits=("train",))
    (tmp_path / name / "cat").mkdir(parents=True)
    (tmp_path / "train" / "bird").mkdir()
    assert sorted(left_out(tmp_path)) == sorted([("no-images", name, "", 1), ("no-images", "train/bird", "", 1)])


def test_files_of_splits_are_counted_by_split_and_class(tmp_path):
    image_folder(tmp_path, splits=("train", "test"))
    tree(tmp_path, "test/cat/a.dcm", "train/b.txt")
    assert left_out(tmp_path) == [("not-image", "test/cat", ".dcm", 1), ("not-image", "train", ".txt", 1)]


def test_links_to_nothing_are_named(tmp_path):
    image_folder(tmp_path)
    (tmp_path / "bird").symlink_to(tmp_path / "gone")
    (tmp_path / "cat" / "more").symlink_to(tmp_path / "gone")
    assert left_out(tmp_path) == [("dead-link", "bird", "", 1), ("dead-link", "cat", "", 1)]


def test_hidden_images_are_counted_and_other_hidden_files_are_not(tmp_path):
    image_folder(tmp_path)
    tree(tmp_path, "cat/.a.png", "cat/._0.png", "cat/.DS_Store", ".git/x.png", "__MACOSX/cat/0.png")
    assert left_out(tmp_path) == [("hidden", "cat", ".png", 1)]


def test_a_pattern_counts_by_folder(tmp_path):
    write_image(tmp_path / "a" / "cat_1.png")
    write_image(tmp_path / "a" / "dog_1.png")
    tree(tmp_path, "a/cat_2.dcm", "list.txt")
    assert left_out(tmp_path, pattern=r"(?P<class>cat|dog)_") == [
        ("not-image", "", ".txt", 1),
        ("not-image", "a", ".dcm", 1),
    ]


# what this library wrote


def test_a_figure_of_this_library_is_no_image(tmp_path):
    image_folder(tmp_path)
    for name in ("cat/0-explained.png", "sheet.png"):  # beside the images, and beside the folders of classes
        save_figure(Figure(), tmp_path / name)
    listing = list_images(tmp_path)
    assert len(listing.entries) == 6
    assert left_out(tmp_path) == [("own", "", ".png", 1), ("own", "cat", ".png", 1)]


@pytest.mark.parametrize("marks", [("recipe.json", "environment.json"), ("report.json", "report.html")])
@pytest.mark.parametrize("place", ["run", "cat/run"])
def test_a_run_or_report_in_a_folder_of_images_is_no_class(tmp_path, marks, place):
    image_folder(tmp_path)
    tree(tmp_path, *(f"{place}/{name}" for name in marks), f"{place}/history.csv", f"{place}/checkpoints/last.h5")
    for name in ("curves", "confusion", "mistakes"):  # as an earlier version drew them, without a mark
        write_image(tmp_path / place / f"{name}.png")
    listing = list_images(tmp_path)
    assert listing.class_names == ("cat", "dog")
    assert len(listing.entries) == 6
    assert {(each.reason, each.place) for each in listing.left_out} == {("own", place.split("/")[0])}
    assert sum(each.count for each in listing.left_out) == 7


def test_an_export_in_a_folder_of_images_is_counted_as_our_own(tmp_path):
    image_folder(tmp_path)
    tree(tmp_path, "model-onnx/resnet50.json", "model-onnx/model.onnx")
    assert left_out(tmp_path) == [("own", "model-onnx", ".json", 1), ("own", "model-onnx", ".onnx", 1)]


def test_images_in_a_folder_that_is_also_a_run_stay_images(tmp_path):
    image_folder(tmp_path)
    tree(tmp_path, "cat/recipe.json", "cat/environment.json", "recipe.json", "environment.json")
    write_image(tmp_path / "cat" / "balance beam.png")
    assert len(list_images(tmp_path).entries) == 7


# frames and pages


@pytest.mark.parametrize("suffix", [".gif", ".tif", ".png", ".webp"])
def test_files_of_several_frames_are_counted_from_the_first_to_the_last_reading(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    root = image_folder(tmp_path / "pets")
    for name in ("a", "b"):
        write_image(root / "dog" / f"{name}{suffix}", save_all=True, append_images=[_other_frame()])
    expected = (LeftOut("more-frames", "dog", suffix, 2),)
    assert read_splits(root, image_size=16).left_out == expected
    assert read_splits(root, image_size=16).left_out == expected  # from the cache
    pack(root, tmp_path / "packed.h5", image_size=16)
    assert read_packing(tmp_path / "packed.h5").left_out == expected


def _other_frame():
    from PIL import Image

    return Image.new("RGB", (30, 20), "blue")


# where the counts are stored


def test_the_cache_tells_what_lies_beside_its_images_now(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    root = image_folder(tmp_path / "pets")
    assert read_splits(root, image_size=16).left_out == ()
    tree(root, "cat/a.dcm")
    assert load_dataset(root, image_size=16).left_out == (LeftOut("not-image", "cat", ".dcm", 1),)
    (root / "cat" / "a.dcm").unlink()
    assert read_splits(root, image_size=16).left_out == ()
    assert len(list((tmp_path / "cache" / "packed").iterdir())) == 1  # decoded once


def test_a_packed_file_tells_what_was_left_out(tmp_path):
    root = image_folder(tmp_path / "pets")
    name = os.fsdecode(b"a.d\xe9m") if os.name != "nt" else "a.dem"
    tree(root, "cat/a.dcm", f"dog/{name}")
    (root / "bird").mkdir()
    pack(root, tmp_path / "packed.h5", image_size=16)
    assert read_packing(tmp_path / "packed.h5").left_out == list_images(root).left_out != ()
    assert read_splits(tmp_path / "packed.h5", image_size=16).left_out == list_images(root).left_out


def test_check_warns_of_what_is_left_out_of_classes_and_notes_the_rest(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    root = image_folder(tmp_path / "pets")
    tree(root, "README.md")
    (note,) = (issue for issue in check(root).issues if issue.kind == "left-out")
    assert (note.severity, ".md" in note.summary) == ("note", True)
    tree(root, "cat/a.dcm", "cat/b.dcm")
    (warning,) = (issue for issue in check(root).issues if issue.kind == "left-out")
    assert warning.severity == "warning"
    for words in ("3 files", "2 .dcm", "1 .md", "cat"):
        assert words in warning.summary


# words


def test_a_folder_without_images_is_refused_with_what_it_holds(tmp_path):
    tree(tmp_path, "a/1.dcm", "a/2.dcm", "a/3")
    with raises(ValueError, tmp_path, "3 files", "2 .dcm", "1 without suffix"):
        list_images(tmp_path)


@pytest.mark.parametrize("reason", REASONS)
def test_every_reason_is_described_in_one_printable_line(reason):
    rows = [LeftOut(reason, f"class\n{k}", ".odd\x1b", 1_000) for k in range(9)]
    line = describe_left_out(rows)
    assert line.isprintable()
    assert "9,000" in line
    assert len(line) < 200


def test_nothing_is_described_by_nothing():
    assert describe_left_out(()) == ""


def test_equal_things_are_counted_together():
    found = [("hidden", "a", ".png"), ("not-image", "b", ""), ("hidden", "a", ".png")]
    assert count_left_out(found) == (LeftOut("hidden", "a", ".png", 2), LeftOut("not-image", "b", "", 1))
