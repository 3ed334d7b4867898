"""The rocks as they are published: the class and split of each image, and its row of judgments."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from factories import dataset, raises, write_image
from resnet50.datasets import rocks
from resnet50.metrics.scores import score

CLASSES = ("M_Marble", "I_Andesite", "S_Rock Salt")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three classes, four and three images of each; an image's pixel value and its row hold its number."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for name, count, ending, first in (("360", 4, "", 0), ("120", 3, "_120", 100)):
        names = sorted(
            f"{rock}_{number:0{2 if ending == '' else 1}}{ending}.jpg" for rock in CLASSES for number in range(count)
        )
        rows = []
        for index, file in enumerate(names):
            pixels = np.full((10, 12, 3), first + 5 * index, "uint8")
            write_image(root / f"{name} Rocks" / file, pixels, quality=95)
            rows.append([first + 5 * index, *rng.normal(size=7).round(3)])
        np.savetxt(root / f"mds_{name}.txt", rows, fmt="%8.3f")
    (root / "360 Rocks" / "Thumbs.db").write_text("what an explorer leaves")
    (root / "360 Rocks" / "._I_Andesite_00.jpg").write_text("what macOS leaves")
    return root


def test_the_two_folders_are_training_and_test_in_the_order_of_their_names(folder):
    splits = rocks.load(folder, image_size=8)
    assert splits.validation is None
    assert splits.unreadable == ()
    assert splits.train.name == splits.test.name == "rocks"
    assert splits.train.class_names == splits.test.class_names == ("Andesite", "Marble", "Rock Salt")
    assert splits.train.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert splits.test.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert splits.train.images.shape == (12, 8, 8, 3)
    assert [Path(source).name for source in splits.test.paths[:4]] == [
        "I_Andesite_0_120.jpg", "I_Andesite_1_120.jpg", "I_Andesite_2_120.jpg", "M_Marble_0_120.jpg",
    ]  # fmt: skip


def test_each_image_has_its_own_row_of_judgments(folder):
    splits = rocks.load(folder, image_size=8)
    for labeled in (splits.train, splits.test, splits.train.select([7, 2, 2])):
        places = rocks.human_space(folder, labeled)
        assert places.shape == (len(labeled), 8)
        assert np.abs(places[:, 0] - labeled.images[:, 4, 4, 0]).max() <= 2  # JPEG rounds
    assert rocks.human_space(folder, splits.test.select([])).shape == (0, 8)


def test_an_image_that_cannot_be_read_does_not_shift_the_rows(folder):
    (folder / "120 Rocks" / "I_Andesite_1_120.jpg").write_text("no image")
    splits = rocks.load(folder, image_size=8)
    assert len(splits.test) == 8
    assert len(splits.unreadable) == 1
    places = rocks.human_space(folder, splits.test)
    assert np.abs(places[:, 0] - splits.test.images[:, 4, 4, 0]).max() <= 2


def test_other_files_have_no_row(folder):
    splits = rocks.load(folder, image_size=8)
    (folder / "360 Rocks" / "I_Andesite_01.txt").write_text("a note beside the image")
    places = rocks.human_space(folder, splits.train)
    assert np.abs(places[:, 0] - splits.train.images[:, 4, 4, 0]).max() <= 2


def test_progress_is_reported(folder):
    seen = []
    rocks.load(folder, image_size=8, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (21, 21)


def test_a_missing_place_is_refused():
    with raises(FileNotFoundError, "360 Rocks", "120 Rocks"):
        rocks.load(None, image_size=8)


def test_a_missing_folder_is_refused(folder):
    (folder / "120 Rocks").rename(folder / "120")
    with raises(FileNotFoundError, folder, "360 Rocks", "120 Rocks") as caught:
        rocks.load(folder, image_size=8)
    message = str(caught.value)
    assert message.count("120 Rocks") > message.count("360 Rocks")  # of the two, it is the one that is missing


def test_a_name_without_a_class_is_refused(folder):
    (folder / "360 Rocks" / "X_Andesite_1.jpg").write_bytes(b"")
    with raises(ValueError, 1, 22, "360 Rocks/X_Andesite_1.jpg"):
        rocks.load(folder, image_size=8)


def test_judgments_that_do_not_fit_are_refused(folder):
    splits = rocks.load(folder, image_size=8)
    table = folder / "mds_120.txt"
    rows = np.loadtxt(table)
    for wrong, numbers in ((rows[:8], ["8", "8", "8", "9"]), (rows[:, :7], ["7", "8", "9", "9"])):
        np.savetxt(table, wrong)
        with raises(ValueError, table, "120 Rocks") as caught:
            rocks.human_space(folder, splits.test)
        message = str(caught.value).replace(str(table), "").replace("120 Rocks", "")
        assert sorted(re.findall(r"\d+", message)) == numbers  # 9 images need 8 each; rows, and how many each has
    table.write_text("a b c\n")
    with raises(ValueError, table, "'a'"):
        rocks.human_space(folder, splits.test)
    table.unlink()
    with raises(FileNotFoundError, table, "120 Rocks"):
        rocks.human_space(folder, splits.test)


def test_images_of_another_source_are_refused(folder):
    other = dataset([0], ("Andesite",), paths=("photos/I_Andesite_00.jpg",))
    with raises(ValueError, folder, "360 Rocks", "120 Rocks", "photos/I_Andesite_00.jpg"):
        rocks.human_space(folder, other)


def test_classes_add_up_to_categories(folder):
    test = rocks.load(folder, image_size=8).test.select([0, 3, 6])
    probabilities = np.array([[0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.5, 0.25, 0.25]], "float32")
    merged, labeled = rocks.by_category(probabilities, test)
    assert labeled.class_names == ("Igneous", "Metamorphic", "Sedimentary")
    assert labeled.labels.tolist() == [0, 1, 2]
    assert merged == pytest.approx(probabilities)
    assert score(merged, labeled).accuracy == pytest.approx(1 / 3)


def test_two_classes_of_a_category_add_up():
    labeled = dataset([0, 1], ("Slate", "Basalt", "Gneiss", "Chert"))
    merged, parents = rocks.by_category(np.array([[0.3, 0.35, 0.25, 0.1], [0.4, 0.3, 0.2, 0.1]]), labeled)
    assert merged == pytest.approx(np.array([[0.35, 0.55, 0.1], [0.3, 0.6, 0.1]]))
    assert parents.labels.tolist() == [1, 0]


def test_other_classes_have_no_category():
    labeled = dataset([0], ("Slate", "cat"), name="mixed")
    with raises(ValueError, "mixed", "cat") as caught:
        rocks.by_category(np.array([[0.5, 0.5]]), labeled)
    assert "Slate" not in str(caught.value)


def test_the_published_images(shared_data):
    """Twelve and four images of each class, whose category is the first letter of its files, and judgments in order."""
    splits = rocks.load(shared_data / "rocks", image_size=32)
    assert len(splits.train.class_names) == 30
    assert np.bincount(splits.train.labels).tolist() == [12] * 30
    assert np.bincount(splits.test.labels).tolist() == [4] * 30
    assert set(rocks.CATEGORIES) == set(splits.test.class_names)
    for labeled, lightness in ((splits.train, 0.5), (splits.test, 0.7)):
        classes = [labeled.class_names[label] for label in labeled.labels]
        letters = [Path(source).name[0] for source in labeled.paths]
        assert letters == [rocks.CATEGORIES[name][0] for name in classes]
        places = rocks.human_space(shared_data / "rocks", labeled)
        # people's first dimension is lightness: no other order of the rows would follow the pixels so
        assert np.corrcoef(places[:, 0], labeled.images.mean(axis=(1, 2, 3)))[0, 1] > lightness
