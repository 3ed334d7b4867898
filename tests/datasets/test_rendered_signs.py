import hashlib

import numpy as np
import pytest

from factories import raises
from resnet50.datasets.rendered_signs import DATASET, rendered_signs, write_rendered_signs
from resnet50.datasets.signs import load_signs


@pytest.fixture(scope="module")
def few():
    return rendered_signs(train=60, test=12)


@pytest.fixture(scope="module")
def many():
    return rendered_signs(train=480, test=120)


def test_types_and_shapes(few):
    train, test = few
    assert train.images.shape == (60, 64, 64, 3)
    assert test.images.shape == (12, 64, 64, 3)
    assert train.images.dtype == np.uint8
    assert train.labels.dtype == np.int64
    assert train.class_names == test.class_names == ("0", "1", "2", "3", "4", "5")


def test_another_image_size_is_drawn():
    train, _ = rendered_signs(train=2, test=1, image_size=33)
    assert train.images.shape == (2, 33, 33, 3)


def test_same_seed_same_pixels(few):
    for first, second in zip(few, rendered_signs(train=60, test=12), strict=True):
        assert first.fingerprint == second.fingerprint


def test_the_pixels_of_a_seed_never_change(few):
    """Runs record only the seed; the digests are those of the first release that drew hands."""
    digests = [hashlib.sha256(dataset.images.tobytes()).hexdigest()[:16] for dataset in few]
    assert digests == ["190147753b7f2d3a", "6dfaf301e6f73cc5"]


def test_other_seed_other_pixels(few):
    train, _ = rendered_signs(train=6, test=1, seed=1)
    for image in train.images:
        assert not (image == few[0].images).all(axis=(1, 2, 3)).any()


@pytest.mark.slow
def test_a_larger_set_begins_with_the_smaller_one(few, many):
    for small, large in zip(few, many, strict=True):
        np.testing.assert_array_equal(large.images[: len(small)], small.images)
        np.testing.assert_array_equal(large.labels[: len(small)], small.labels)
        assert large.paths[: len(small)] == small.paths


@pytest.mark.slow
def test_no_image_comes_twice(many):
    images = [image.tobytes() for dataset in many for image in dataset.images]
    assert len(set(images)) == 600


def test_classes_are_even_and_shuffled(many):
    train, test = many
    assert np.bincount(train.labels).tolist() == [80] * 6
    assert np.bincount(test.labels).tolist() == [20] * 6
    odd, _ = rendered_signs(train=13, test=1, image_size=32)
    assert sorted(np.bincount(odd.labels, minlength=6)) == [2, 2, 2, 2, 2, 3]
    assert len({tuple(six) for six in train.labels.reshape(-1, 6)}) > 40
    assert not np.array_equal(train.labels[:120], test.labels)


def test_the_name_says_that_these_are_no_photos(few):
    train, test = few
    assert DATASET == train.name == test.name == "rendered signs"
    assert train.paths[17] == "rendered signs train #17 (seed 0)"
    assert test.paths[3] == "rendered signs test #3 (seed 0)"


def test_written_files_read_back_equal(few, tmp_path):
    paths = write_rendered_signs(tmp_path / "new", train=60, test=12)
    assert paths == (tmp_path / "new" / "train_signs.h5", tmp_path / "new" / "test_signs.h5")
    for drawn, read in zip(few, load_signs(tmp_path / "new"), strict=True):
        assert read.fingerprint == drawn.fingerprint
        assert read.paths == drawn.paths
        assert read.name == "rendered signs"


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"train": 0}, ("train", 1, 0)),
        ({"test": 0}, ("test", 1, 0)),
        ({"image_size": 31}, ("image_size", 32, 31)),
        ({"seed": -1}, ("seed", 0, -1)),
    ],
)
def test_refusals(options, values, tmp_path):
    for draw in (rendered_signs, lambda **options: write_rendered_signs(tmp_path, **options)):
        with raises(ValueError, "rendered signs", *values):
            draw(**options)
    assert not list(tmp_path.iterdir())


def test_a_linear_classifier_is_not_enough(many):
    """Better than chance (1/6), so the labels mean something; far below a network, so the task does too."""
    (x, y), (x_test, y_test) = ((dataset.images.reshape(len(dataset), -1) / 255.0, dataset.labels) for dataset in many)
    mean = x.mean(axis=0)
    x, x_test = x - mean, x_test - mean
    kernel = x @ x.T
    ridge = 0.1 * np.trace(kernel) / len(kernel)
    votes = x_test @ (x.T @ np.linalg.solve(kernel + ridge * np.eye(len(kernel)), np.eye(6)[y] - 1 / 6))
    accuracy = (votes.argmax(axis=1) == y_test).mean()
    assert 0.2 < accuracy < 0.6
