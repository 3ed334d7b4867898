import dataclasses

import h5py
import numpy as np
import pytest

from factories import draw_image, image_folder, noise, raises, write_image
from resnet50.data.dataset import Dataset
from resnet50.data.fit import Fit
from resnet50.data.listing import list_images
from resnet50.data.loading import load_dataset, read_splits
from resnet50.data.options import ReadOptions
from resnet50.data.pack import pack


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "packed"


def write(path, split, count, *, classes=("a", "b"), image_size=8, seed=0):
    images = noise(count, image_size, image_size, 3, seed=seed)
    with h5py.File(path, "a") as file:
        file[f"{split}_set_x"], file[f"{split}_set_y"] = images, np.arange(count) % len(classes)
        if "list_classes" not in file:
            file["list_classes"] = [name.encode() for name in classes]
    return images


def test_a_pattern_finds_classes_in_names(tmp_path):
    for index, name in enumerate(("I_Basalt_1", "I_Basalt_2", "S_Chert_1", "S_Chert_2")):
        draw_image(tmp_path / "rocks" / f"{name}.png", index)
    dataset = read_splits(
        tmp_path / "rocks", image_size=8, options=ReadOptions(pattern="^[A-Z]_(?P<class>[^_]+)_")
    ).train
    assert (dataset.class_names, dataset.labels.tolist()) == (("Basalt", "Chert"), [0, 0, 1, 1])


def test_a_packed_file_is_read(tmp_path, cache):
    root = image_folder(tmp_path / "pets", splits=("train", "test"))
    (root / "test" / "cat" / "1.png").write_bytes(b"broken")
    unreadable = pack(list_images(root), tmp_path / "packed.h5", image_size=16)
    splits = read_splits(tmp_path / "packed.h5", image_size=16)
    assert splits.unreadable == unreadable
    assert len(unreadable) == 1
    assert {split: len(dataset) for split, dataset in splits.by_name.items()} == {"train": 6, "test": 5}
    assert splits.test.name == "pets"
    assert not cache.exists()


def test_files_left_out_of_a_packed_file_in_a_folder_are_listed(tmp_path):
    root = image_folder(tmp_path / "pets")
    (root / "cat" / "1.png").write_bytes(b"broken")
    (tmp_path / "new").mkdir()
    unreadable = pack(
        list_images(root), tmp_path / "new" / "train_pets.h5", image_size=16, options=ReadOptions(max_unreadable=0.5)
    )
    splits = read_splits(tmp_path / "new", image_size=16)
    assert (list(splits.by_name), splits.unreadable) == (["train"], unreadable)


@pytest.mark.parametrize("suffix", [".h5", ".HDF5"])
def test_a_file_of_the_schema_is_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    train, test = write(path, "train", 4), write(path, "test", 2, seed=1)
    splits = read_splits(str(path), image_size=8)
    np.testing.assert_array_equal(splits.train.images, train)
    np.testing.assert_array_equal(splits.test.images, test)


def test_a_folder_of_files_of_the_schema_is_read(tmp_path):
    train, test = write(tmp_path / "train_hands.h5", "train", 4), write(tmp_path / "test_hands.h5", "test", 2, seed=1)
    assert list(read_splits(tmp_path, image_size=8).by_name) == ["train", "test"]
    val = write(tmp_path / "val_hands.h5", "val", 3, seed=2)
    splits = read_splits(tmp_path, image_size=8)
    for split, pixels in (("train", train), ("validation", val), ("test", test)):
        np.testing.assert_array_equal(splits.by_name[split].images, pixels)


def test_a_folder_of_such_files_without_training_images_can_be_scored(tmp_path):
    test = write(tmp_path / "test_hands.h5", "test", 2)
    splits = read_splits(tmp_path, image_size=8, for_training=False)
    assert list(splits.by_name) == ["test"]
    np.testing.assert_array_equal(splits.test.images, test)
    with raises(ValueError, tmp_path):
        read_splits(tmp_path, image_size=8)


def test_packed_test_images_alone_are_not_fitted_again(tmp_path):
    fit = Fit(crop_ratio=0.5)
    (tmp_path / "new").mkdir()
    pack(
        image_folder(tmp_path / "in", splits=("train", "test")), tmp_path / "new" / "test_x.h5", image_size=16, fit=fit
    )
    packed = read_splits(tmp_path / "new" / "test_x.h5", image_size=16).test
    splits = read_splits(tmp_path / "new", image_size=16, fit=fit, for_training=False)
    assert (splits.fit, splits.test.images.tolist()) == (fit, packed.images.tolist())
    with raises(ValueError, "stretched", "0.5"):
        read_splits(tmp_path / "new", image_size=16, fit=Fit(mode="stretch"), for_training=False)


def test_splits_that_were_packed_by_other_fits_are_refused(tmp_path):
    root = image_folder(tmp_path / "in", splits=("train", "test"))
    (tmp_path / "new").mkdir()
    pack(root, tmp_path / "new" / "train_x.h5", image_size=16, fit=Fit(crop_ratio=0.5))
    pack(root, tmp_path / "new" / "test_x.h5", image_size=16, fit=Fit(mode="stretch"))
    with raises(ValueError, "test_x.h5", "train_x.h5", "stretched", "0.5"):
        read_splits(tmp_path / "new", image_size=16)


def test_a_folder_of_several_such_files_is_refused(tmp_path):
    for name in ("train_a.h5", "train_b.h5", "test_a.h5"):
        write(tmp_path / name, name.split("_")[0], 2)
    with raises(ValueError, tmp_path, "train_*.h5", "train_a.h5", "train_b.h5"):
        read_splits(tmp_path, image_size=8)


def test_files_of_other_classes_are_refused(tmp_path):
    write(tmp_path / "train_a.h5", "train", 2)
    write(tmp_path / "test_a.h5", "test", 2, classes=("a", "c"))
    with raises(ValueError, tmp_path / "test_a.h5", "train_a.h5", "a, b", "a, c"):
        read_splits(tmp_path, image_size=8)


def test_cifar10_is_read(tmp_path):
    for batch in (0, 50):
        rows = noise(1000, 1024, 3, seed=batch)
        write_image(tmp_path / f"cifar10_batch_{batch}.png", rows, compress_level=1)
    (tmp_path / "cifar10_labels.js").write_text(f"var labels=[{','.join('0123456789' * 6000)}]")
    splits = read_splits(tmp_path, image_size=32)
    assert {split: dataset.images.shape for split, dataset in splits.by_name.items()} == {
        "train": (1000, 32, 32, 3),
        "test": (1000, 32, 32, 3),
    }
    np.testing.assert_array_equal(splits.test.images[7], rows[7].reshape(32, 32, 3))


def test_arrays_of_another_size_are_resized(tmp_path):
    corners = np.zeros((2, 8, 8, 3), dtype=np.uint8)
    corners[:, :4, :4], corners[:, 4:, 4:] = (255, 0, 0), (0, 0, 255)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["train_set_x"], file["train_set_y"], file["list_classes"] = corners, [0, 1], [b"a", b"b"]
    for image_size in (32, 4):
        dataset = read_splits(tmp_path / "a.h5", image_size=image_size).train
        assert dataset.images.shape == (2, image_size, image_size, 3)
        assert dataset.images[1, 0, 0].tolist() == [255, 0, 0]
        assert dataset.images[1, -1, -1].tolist() == [0, 0, 255]
        assert dataset.images[1, 0, -1].tolist() == [0, 0, 0]
        assert dataset.labels.tolist() == [0, 1]
    images = noise(2, 8, 8, 3)
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["train_set_x"][...] = images
    small = read_splits(tmp_path / "a.h5", image_size=1).train.images
    assert abs(small[0, 0, 0].mean() - images[0].mean()) < 20  # averaged, not one pixel picked


def test_refuses_an_image_size_of_zero(tmp_path):
    with raises(ValueError, "image_size", 1, 0):
        read_splits(tmp_path, image_size=0)


@pytest.mark.parametrize(("name", "kind"), [("nothing", FileNotFoundError), ("text.txt", ValueError)])
def test_refuses_what_holds_no_images(tmp_path, name, kind):
    (tmp_path / "text.txt").write_text("text")
    with raises(kind, tmp_path / name):
        read_splits(tmp_path / name, image_size=8)


def test_a_pattern_for_an_array_is_refused(tmp_path):
    write(tmp_path / "a.h5", "train", 4)
    with raises(ValueError, tmp_path / "a.h5"):
        read_splits(tmp_path / "a.h5", image_size=8, options=ReadOptions(pattern="(?P<class>.)"))


def test_the_sources_own_splits_are_used(tmp_path):
    root = image_folder(tmp_path / "pets", splits=("train", "val", "test"))
    splits = load_dataset(root, image_size=16, options=ReadOptions(test_split=0.5))
    assert splits.train.paths[0] == "train/cat/0.png"
    assert splits.validation.paths[0] == "val/cat/0.png"
    assert splits.test.paths[0] == "test/cat/0.png"
    assert [len(dataset) for dataset in splits.by_name.values()] == [6, 6, 6]


def test_a_test_split_is_cut_off_where_there_is_none(tmp_path):
    root = image_folder(tmp_path / "pets", each=10)
    (root / "cat" / "1.png").write_bytes(b"broken")
    splits = load_dataset(root, image_size=16, options=ReadOptions(test_split=0.3), seed=3)
    assert splits.validation is None
    assert len(splits.unreadable) == 1
    assert np.bincount(splits.test.labels).tolist() == [3, 3]
    assert len(splits.train) == 13
    assert not set(splits.train.paths) & set(splits.test.paths)
    again = load_dataset(list_images(root), image_size=16, options=ReadOptions(test_split=0.3), seed=3)
    assert again.test.paths == splits.test.paths
    others = {
        load_dataset(root, image_size=16, options=ReadOptions(test_split=0.3), seed=seed).test.paths
        for seed in range(4)
    }
    assert len(others) > 1


def test_refuses_a_source_without_training_images(tmp_path):
    write(tmp_path / "a.h5", "test", 4)
    with raises(ValueError, tmp_path / "a.h5") as caught:
        load_dataset(tmp_path / "a.h5", image_size=8)
    message = str(caught.value).replace(str(tmp_path), "")
    assert "train" in message
    assert "test" in message


def test_the_name_is_not_part_of_the_fingerprint(tmp_path):
    dataset = read_splits(image_folder(tmp_path / "pets"), image_size=16).train
    assert isinstance(dataset, Dataset)
    assert dataclasses.replace(dataset, name="other").fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("place", "pattern", "sizes"),
    [
        ("cats_dogs", None, {"train": 500, "test": 200}),
        ("leukemia", None, {"train": 726}),
        ("signs", None, {"train": 1080, "test": 120}),
        ("cifar10", None, {"train": 4000, "test": 1000}),
        ("caltech101/101_ObjectCategories", None, {"train": 1394}),
        ("rocks", r"/[IMS]_(?P<class>[^/]+?)_\d+", {"train": 480}),
    ],
)
def test_real_sources(shared_data, tmp_path, monkeypatch, place, pattern, sizes):
    if not (shared_data / place).is_dir():
        pytest.skip(f"no {place} in {shared_data}; set RESNET50_DATA to the folder with the real data")
    splits = read_splits(shared_data / place, image_size=16, options=ReadOptions(pattern=pattern))
    assert {split: len(dataset) for split, dataset in splits.by_name.items()} == sizes
    assert splits.unreadable == ()
    assert splits.train.images.shape[1:] == (16, 16, 3)
