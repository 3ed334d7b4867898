from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from factories import raises, write_image
from resnet50.data.rendered_signs import write_rendered_signs
from resnet50.recipes import (
    RECIPES,
    caltech101,
    cats_dogs,
    cifar10,
    find_task,
    find_variant,
    folder,
    leukemia,
    rendered_signs,
    rocks,
    signs,
)
from resnet50.training.network import build_network


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


def draw(path, count, rng):
    """Write so many pictures of noise, none like another."""
    for number in range(count):
        write_image(path / f"image_{number:04}.png", rng.integers(0, 256, (40, 44, 3), dtype=np.uint8))


def test_the_tasks_of_the_field_are_there():
    assert list(RECIPES) == [
        "signs",
        "leukemia",
        "rocks",
        "cats-dogs",
        "cifar10",
        "caltech101",
        "folder",
        "rendered-signs",
    ]
    for name, task in RECIPES.items():
        assert find_task(name) is task
        assert task.VARIANTS["scratch"] is task.RECIPE
        assert {recipe.name for recipe in task.VARIANTS.values()} == {name}
        assert set(task.VARIANTS) <= {"scratch", "fine-tuned", "classic"}
        assert task.RECIPE.weights is None
        assert "classic" in task.VARIANTS
        assert f"resnet50 train {name}" in task.__doc__


def test_an_unknown_task_is_refused():
    with raises(ValueError, *RECIPES, "'sings'"):
        find_task("sings")


def test_an_unknown_variant_is_refused():
    with raises(ValueError, "cifar10", "scratch", "classic", "'modern'"):
        find_variant(cifar10, "modern")


def test_signs_are_read_from_a_folder_or_from_the_cache(tmp_path, monkeypatch):
    write_rendered_signs(tmp_path / "signs", train=12, test=6)
    parts = signs.load(tmp_path / "signs")
    assert (len(parts.training), len(parts.test), parts.validation) == (12, 6, None)
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    assert signs.load().training.fingerprint == parts.training.fingerprint
    assert signs.load(side=48).training.images.shape == (12, 48, 48, 3)


def test_signs_that_are_nowhere_are_refused_with_advice(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    values = (tmp_path / "signs", "train_signs.h5", "test_signs.h5", "resnet50 data fetch signs", "--data")
    with raises(FileNotFoundError, *values):
        signs.load()


def test_rendered_signs_are_drawn_or_read(tmp_path):
    write_rendered_signs(tmp_path / "drawn", train=12, test=6)
    parts = rendered_signs.load(tmp_path / "drawn")
    assert (len(parts.training), len(parts.test), parts.training.dataset) == (12, 6, "rendered signs")


@pytest.mark.parametrize(
    ("task", "values"),
    [
        (folder, ()),
        (leukemia, ()),
        (cats_dogs, ()),
        (cifar10, ()),
        (caltech101, ("101_ObjectCategories",)),
        (rocks, ("360 Rocks", "120 Rocks")),
    ],
)
def test_a_task_without_its_pictures_says_that_it_needs_them(task: ModuleType, values: tuple[str, ...]):
    with raises(FileNotFoundError, *values):
        task.load(None, side=32)


def test_a_folder_of_ones_own_keeps_a_fifth_to_be_scored(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("fern", "moss"):
        draw(tmp_path / "plants" / name, 10, rng)
    parts = folder.load(tmp_path / "plants", side=32)
    assert (len(parts.training), len(parts.test), parts.validation) == (16, 4, None)
    assert parts.training.class_names == ("fern", "moss")
    assert len(folder.load(tmp_path / "plants", side=32, test=0.4).test) == 8
    by_number = folder.load(tmp_path / "plants", side=32, test=0.5, pattern=r"(?P<class>\d)\.png")
    assert by_number.training.class_names == tuple("0123456789")


@pytest.mark.parametrize("inside", [(), ("Original",)])
def test_leukemia_is_read_from_its_folders_or_the_published_one(tmp_path, inside):
    rng = np.random.default_rng(1)
    for name in ("Benign", "Early", "Pre", "Pro"):
        draw(tmp_path.joinpath("smears", *inside, name), 5, rng)
    (tmp_path / "smears" / "Segmented").mkdir()
    parts = leukemia.load(tmp_path / "smears", side=32)
    assert parts.training.class_names == ("Benign", "Early", "Pre", "Pro")
    assert (len(parts.training), len(parts.test)) == (16, 4)


def test_cats_and_dogs_are_read_in_both_layouts(tmp_path):
    rng = np.random.default_rng(2)
    for part, count in (("train", 4), ("test", 2)):
        for name in ("cats", "dogs"):
            draw(tmp_path / "ours" / part / name, count, rng)
    parts = cats_dogs.load(tmp_path / "ours", side=32)
    assert (len(parts.training), len(parts.test), parts.test.class_names) == (8, 4, ("cats", "dogs"))

    draw(tmp_path / "theirs" / "train", 20, rng)
    draw(tmp_path / "theirs" / "test", 3, rng)  # without labels
    for number, path in enumerate(sorted((tmp_path / "theirs" / "train").iterdir())):
        Image.open(path).save(path.parent / f"{'cat' if number % 2 else 'dog'}.{number}.jpg")
        path.unlink()
    parts = cats_dogs.load(tmp_path / "theirs", side=32)
    assert (len(parts.training), len(parts.test), parts.test.class_names) == (16, 4, ("cat", "dog"))


def test_caltech_leaves_its_odd_pictures_out(tmp_path):
    rng = np.random.default_rng(3)
    for name in ("Faces", "BACKGROUND_Google", "anchor"):
        draw(tmp_path / "caltech" / "101_ObjectCategories" / name, 5, rng)
    for place in (tmp_path / "caltech", tmp_path / "caltech" / "101_ObjectCategories"):
        parts = caltech101.load(place, side=32)
        assert parts.training.class_names == ("Faces", "anchor")
        assert (len(parts.training), len(parts.test)) == (8, 2)
        assert np.bincount(parts.training.labels).tolist() == [4, 4]
        assert parts.training.dataset == "Caltech-101"


def test_the_classic_network_of_cifar10_is_the_published_one():
    network = build_network(cifar10.VARIANTS["classic"], 10)
    assert network.count_params() == 23_608_202
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 23_555_082
    assert network.get_layer("conv1_bn").momentum == 0.99
    small = build_network(cifar10.RECIPE, 10)
    assert small.count_params() == 23_608_202 - (7 * 7 - 3 * 3) * 3 * 64
    assert small.get_layer("conv2_block3_out").output.shape == (None, 32, 32, 256)


@pytest.mark.parametrize(
    ("task", "place"),
    [(leukemia, "leukemia"), (cats_dogs, "cats_dogs"), (cifar10, "cifar10"), (caltech101, "caltech101")],
)
def test_the_published_pictures_are_read(task, place, shared_data):
    parts = task.load(shared_data / place, side=32)
    counts = {
        "leukemia": (581, 145, 4),
        "cats_dogs": (500, 200, 2),
        "cifar10": (4000, 1000, 10),
        "caltech101": (1116, 278, 20),
    }
    assert (len(parts.training), len(parts.test), len(parts.training.class_names)) == counts[place]
    assert parts.unreadable == ()
