"""What each loader reads, in the layouts in which its dataset is published."""

from inspect import Parameter, signature

import numpy as np
import pytest
from PIL import Image

from factories import raises, write_image
from resnet50.data.options import ReadOptions
from resnet50.data.pack_records import pack_records
from resnet50.datasets import (
    DATASETS,
    caltech101,
    cats_dogs,
    cifar10,
    folder,
    imagenet,
    leukemia,
    rendered_signs,
    rocks,
    signs,
)
from resnet50.datasets.rendered_signs import write_rendered_signs


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


def draw(path, count, rng):
    """Write images of noise, no two alike."""
    for number in range(count):
        write_image(path / f"image_{number:04}.png", rng.integers(0, 256, (40, 44, 3), dtype=np.uint8))


@pytest.mark.parametrize("name", DATASETS)
def test_loaders_have_one_signature(name):
    path, *others = signature(DATASETS[name]).parameters.values()
    assert (path.name, path.default) == ("path", Parameter.empty)
    options = ["options"] if name == "folder" else []
    assert [each.name for each in others] == ["image_size", "fit", *options, "progress"]
    assert all(each.kind is Parameter.KEYWORD_ONLY for each in others)


def test_signs_are_read_from_a_folder_or_from_the_cache(tmp_path, monkeypatch):
    write_rendered_signs(tmp_path / "signs", train=12, test=6)
    splits = signs.load(tmp_path / "signs", image_size=64)
    assert (len(splits.train), len(splits.test), splits.validation) == (12, 6, None)
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    assert signs.load(None, image_size=64).train.fingerprint == splits.train.fingerprint
    assert signs.load(None, image_size=48).train.images.shape == (12, 48, 48, 3)


def test_missing_signs_are_refused_with_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    values = (tmp_path / "signs", "train_signs.h5", "test_signs.h5", "resnet50 data fetch signs", "--data")
    with raises(FileNotFoundError, *values):
        signs.load(None, image_size=64)


def test_rendered_signs_are_drawn_or_read(tmp_path):
    write_rendered_signs(tmp_path / "drawn", train=12, test=6)
    splits = rendered_signs.load(tmp_path / "drawn", image_size=64)
    assert (len(splits.train), len(splits.test), splits.train.name) == (12, 6, "rendered signs")


@pytest.mark.parametrize(
    ("module", "values"),
    [
        (folder, ()),
        (leukemia, ()),
        (cats_dogs, ()),
        (cifar10, ()),
        (caltech101, ("101_ObjectCategories",)),
        (imagenet, ("train", "val")),
        (rocks, ("360 Rocks", "120 Rocks")),
    ],
)
def test_a_loader_without_a_usual_place_needs_a_path(module, values):
    with raises(FileNotFoundError, *values):
        module.load(None, image_size=32)


def test_a_fifth_of_a_folder_becomes_the_test_split(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("fern", "moss"):
        draw(tmp_path / "plants" / name, 10, rng)
    splits = folder.load(tmp_path / "plants", image_size=32)
    assert (len(splits.train), len(splits.test), splits.validation) == (16, 4, None)
    assert splits.train.class_names == ("fern", "moss")
    assert len(folder.load(tmp_path / "plants", image_size=32, options=ReadOptions(test_split=0.4)).test) == 8
    options = ReadOptions(test_split=0.5, pattern=r"(?P<class>\d)\.png")
    by_number = folder.load(tmp_path / "plants", image_size=32, options=options)
    assert by_number.train.class_names == tuple("0123456789")


@pytest.mark.parametrize("inside", [(), ("Original",)])
def test_leukemia_is_read_from_its_folders_or_the_published_one(tmp_path, inside):
    rng = np.random.default_rng(1)
    for name in ("Benign", "Early", "Pre", "Pro"):
        draw(tmp_path.joinpath("smears", *inside, name), 5, rng)
    (tmp_path / "smears" / "Segmented").mkdir()
    splits = leukemia.load(tmp_path / "smears", image_size=32)
    assert splits.train.class_names == ("Benign", "Early", "Pre", "Pro")
    assert (len(splits.train), len(splits.test)) == (16, 4)


def test_cats_and_dogs_are_read_in_both_layouts(tmp_path):
    rng = np.random.default_rng(2)
    for split, count in (("train", 4), ("test", 2)):
        for name in ("cats", "dogs"):
            draw(tmp_path / "folders" / split / name, count, rng)
    splits = cats_dogs.load(tmp_path / "folders", image_size=32)
    assert (len(splits.train), len(splits.test), splits.test.class_names) == (8, 4, ("cats", "dogs"))

    draw(tmp_path / "competition" / "train", 20, rng)
    draw(tmp_path / "competition" / "test", 3, rng)  # without labels
    for number, path in enumerate(sorted((tmp_path / "competition" / "train").iterdir())):
        Image.open(path).save(path.parent / f"{'cat' if number % 2 else 'dog'}.{number}.jpg")
        path.unlink()
    splits = cats_dogs.load(tmp_path / "competition", image_size=32)
    assert (len(splits.train), len(splits.test), splits.test.class_names) == (16, 4, ("cat", "dog"))


def test_the_validation_images_of_imagenet_are_its_test_split(tmp_path):
    rng = np.random.default_rng(4)
    for split, count in (("train", 4), ("val", 2)):
        for name in ("n01440764", "n01443537"):
            draw(tmp_path / "ilsvrc" / split / name, count, rng)
        if split == "train":
            with raises(ValueError, tmp_path / "ilsvrc", "val"):
                imagenet.load(tmp_path / "ilsvrc", image_size=32)
    splits = imagenet.load(tmp_path / "ilsvrc", image_size=32)
    assert (len(splits.train), len(splits.test), splits.validation) == (8, 4, None)
    assert (splits.train.class_names, splits.train.name) == (("n01440764", "n01443537"), "ImageNet")
    for name in ("n01440764", "n01443537"):
        draw(tmp_path / "ilsvrc" / "test" / name, 1, rng)
    splits = imagenet.load(tmp_path / "ilsvrc", image_size=32)
    assert (len(splits.validation), len(splits.test)) == (4, 2)


def test_imagenet_is_read_from_the_records_that_it_was_packed_into(tmp_path):
    pytest.importorskip("array_record")
    rng = np.random.default_rng(4)
    for split, count in (("train", 4), ("val", 2)):
        for name in ("n01440764", "n01443537"):
            draw(tmp_path / "ilsvrc" / split / name, count, rng)
        pack_records(tmp_path / "ilsvrc", tmp_path / f"records-{split}")
    with raises(ValueError, tmp_path / "records-train", "val"):
        imagenet.load(tmp_path / "records-train", image_size=32)
    splits = imagenet.load(tmp_path / "records-val", image_size=32)
    folder = imagenet.load(tmp_path / "ilsvrc", image_size=32)
    assert (len(splits.train), splits.validation, splits.test.name) == (8, None, "ImageNet")
    assert (splits.train.paths, splits.test.paths) == (folder.train.paths, folder.test.paths)
    np.testing.assert_array_equal(splits.test.images[:], folder.test.images[:])
    np.testing.assert_array_equal(splits.near_duplicates.groups, folder.near_duplicates.groups)


def test_caltech_leaves_its_unrelated_images_out(tmp_path):
    rng = np.random.default_rng(3)
    for name in ("Faces", "BACKGROUND_Google", "anchor"):
        draw(tmp_path / "caltech" / "101_ObjectCategories" / name, 5, rng)
    for place in (tmp_path / "caltech", tmp_path / "caltech" / "101_ObjectCategories"):
        splits = caltech101.load(place, image_size=32)
        assert splits.train.class_names == ("Faces", "anchor")
        assert (len(splits.train), len(splits.test)) == (8, 2)
        assert np.bincount(splits.train.labels).tolist() == [4, 4]
        assert splits.train.name == "Caltech-101"


@pytest.mark.parametrize(
    ("module", "place", "counts"),
    [
        (leukemia, "leukemia", (581, 145, 4)),
        (cats_dogs, "cats_dogs", (500, 200, 2)),
        (cifar10, "cifar10", (4000, 1000, 10)),
        (caltech101, "caltech101", (1116, 278, 20)),
    ],
)
def test_the_published_images_are_read(module, place, counts, shared_data):
    splits = module.load(shared_data / place, image_size=32)
    assert (len(splits.train), len(splits.test), len(splits.train.class_names)) == counts
    assert splits.unreadable == ()
