"""The rocks as they are published: of which kind a picture is, in which part, and which row of judgements is its."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from factories import dataset, raises, write_image
from resnet50.evaluation.report import score
from resnet50.recipes import rocks

KINDS = ("M_Marble", "I_Andesite", "S_Rock Salt")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three kinds, four and three pictures of each; a picture's first pixel value and its row tell its number."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for name, count, ending, first in (("360", 4, "", 0), ("120", 3, "_120", 100)):
        names = sorted(
            f"{kind}_{number:0{2 if ending == '' else 1}}{ending}.jpg" for kind in KINDS for number in range(count)
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
    parts = rocks.load(folder, side=8)
    assert parts.validation is None
    assert parts.unreadable == ()
    assert parts.training.dataset == parts.test.dataset == "rocks"
    assert parts.training.class_names == parts.test.class_names == ("Andesite", "Marble", "Rock Salt")
    assert parts.training.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert parts.test.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3
    assert parts.training.images.shape == (12, 8, 8, 3)
    assert [Path(source).name for source in parts.test.sources[:4]] == [
        "I_Andesite_0_120.jpg", "I_Andesite_1_120.jpg", "I_Andesite_2_120.jpg", "M_Marble_0_120.jpg",
    ]  # fmt: skip


def test_each_picture_has_its_own_row_of_judgements(folder):
    parts = rocks.load(folder, side=8)
    for split in (parts.training, parts.test, parts.training.take([7, 2, 2])):
        places = rocks.human_space(folder, split)
        assert places.shape == (len(split), 8)
        assert np.abs(places[:, 0] - split.images[:, 4, 4, 0]).max() <= 2  # JPEG rounds
    assert rocks.human_space(folder, parts.test.take([])).shape == (0, 8)


def test_a_picture_that_cannot_be_read_does_not_shift_the_rows(folder):
    (folder / "120 Rocks" / "I_Andesite_1_120.jpg").write_text("no picture")
    parts = rocks.load(folder, side=8)
    assert len(parts.test) == 8
    assert len(parts.unreadable) == 1
    places = rocks.human_space(folder, parts.test)
    assert np.abs(places[:, 0] - parts.test.images[:, 4, 4, 0]).max() <= 2


def test_what_is_no_picture_has_no_row(folder):
    parts = rocks.load(folder, side=8)
    (folder / "360 Rocks" / "I_Andesite_01.txt").write_text("a note beside the picture")
    places = rocks.human_space(folder, parts.training)
    assert np.abs(places[:, 0] - parts.training.images[:, 4, 4, 0]).max() <= 2


def test_progress_is_told(folder):
    seen = []
    rocks.load(folder, side=8, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (21, 21)


def test_a_missing_place_is_refused():
    with raises(FileNotFoundError, "360 Rocks", "120 Rocks", "--data"):
        rocks.load(None, side=8)


def test_a_missing_folder_is_refused(folder):
    (folder / "120 Rocks").rename(folder / "120")
    with raises(FileNotFoundError, folder, "360 Rocks", "120 Rocks") as caught:
        rocks.load(folder, side=8)
    told = str(caught.value)
    assert told.count("120 Rocks") > told.count("360 Rocks")  # of the two, it is the one that is missing


def test_a_name_without_a_kind_is_refused(folder):
    (folder / "360 Rocks" / "X_Andesite_1.jpg").write_bytes(b"")
    with raises(ValueError, 1, 22, "360 Rocks/X_Andesite_1.jpg"):
        rocks.load(folder, side=8)


def test_judgements_that_do_not_fit_are_refused(folder):
    parts = rocks.load(folder, side=8)
    table = folder / "mds_120.txt"
    rows = np.loadtxt(table)
    for wrong, numbers in ((rows[:8], ["8", "8", "8", "9"]), (rows[:, :7], ["7", "8", "9", "9"])):
        np.savetxt(table, wrong)
        with raises(ValueError, table, "120 Rocks") as caught:
            rocks.human_space(folder, parts.test)
        told = str(caught.value).replace(str(table), "").replace("120 Rocks", "")
        assert sorted(re.findall(r"\d+", told)) == numbers  # 9 pictures need 8 each; rows, and how many each has
    table.write_text("a b c\n")
    with raises(ValueError, table, "'a'"):
        rocks.human_space(folder, parts.test)
    table.unlink()
    with raises(FileNotFoundError, table, "120 Rocks"):
        rocks.human_space(folder, parts.test)


def test_pictures_of_another_source_are_refused(folder):
    other = dataset([0], ("Andesite",), paths=("photos/I_Andesite_00.jpg",))
    with raises(ValueError, folder, "360 Rocks", "120 Rocks", "photos/I_Andesite_00.jpg"):
        rocks.human_space(folder, other)


def test_kinds_add_up_to_categories(folder):
    test = rocks.load(folder, side=8).test.take([0, 3, 6])
    probabilities = np.array([[0.2, 0.5, 0.3], [0.1, 0.6, 0.3], [0.5, 0.25, 0.25]], "float32")
    merged, split = rocks.by_category(probabilities, test)
    assert split.class_names == ("Igneous", "Metamorphic", "Sedimentary")
    assert split.labels.tolist() == [0, 1, 2]
    assert merged == pytest.approx(probabilities)
    assert score(merged, split).accuracy == pytest.approx(1 / 3)


def test_two_kinds_of_a_category_help_each_other():
    split = dataset([0, 1], ("Slate", "Basalt", "Gneiss", "Chert"))
    merged, parents = rocks.by_category(np.array([[0.3, 0.35, 0.25, 0.1], [0.4, 0.3, 0.2, 0.1]]), split)
    assert merged == pytest.approx(np.array([[0.35, 0.55, 0.1], [0.3, 0.6, 0.1]]))
    assert parents.labels.tolist() == [1, 0]


def test_other_classes_have_no_category():
    split = dataset([0], ("Slate", "cat"), name="mixed")
    with raises(ValueError, "mixed", "cat") as caught:
        rocks.by_category(np.array([[0.5, 0.5]]), split)
    assert "Slate" not in str(caught.value)


def test_every_variant_is_a_recipe_of_rocks():
    assert rocks.VARIANTS["scratch"] is rocks.RECIPE
    assert {recipe.name for recipe in rocks.VARIANTS.values()} == {"rocks"}
    assert rocks.RECIPE.weights is None
    assert rocks.VARIANTS["fine-tuned"].weights == "imagenet"


def test_the_classic_variant_is_the_setting_that_was_published():
    classic = asdict(rocks.VARIANTS["classic"])
    head, every = rocks.VARIANTS["classic"].phases
    assert (classic["weights"], classic["head"]) == ("imagenet", "mlp")
    assert (head.trains, every.trains) == ("head", "all")
    assert head.epochs + every.epochs == 250
    for phase in (head, every):
        assert phase.schedule == "plateau"
        assert phase.patience > phase.rate_patience > 0
    changed = {name for name, most in classic["augmentation"].items() if most}
    assert changed == {"rotation", "shear", "zoom", "flip"}


def test_the_published_pictures(shared_data):
    """Each kind twelve and four times, its category the letter of its files, and the judgements in their order."""
    parts = rocks.load(shared_data / "rocks", side=32)
    assert len(parts.training.class_names) == 30
    assert np.bincount(parts.training.labels).tolist() == [12] * 30
    assert np.bincount(parts.test.labels).tolist() == [4] * 30
    assert set(rocks.CATEGORIES) == set(parts.test.class_names)
    for split, lightness in ((parts.training, 0.5), (parts.test, 0.7)):
        kinds = [split.class_names[label] for label in split.labels]
        letters = [Path(source).name[0] for source in split.sources]
        assert letters == [rocks.CATEGORIES[kind][0] for kind in kinds]
        places = rocks.human_space(shared_data / "rocks", split)
        # people's first dimension is lightness: no other order of the rows would follow the pixels so
        assert np.corrcoef(places[:, 0], split.images.mean(axis=(1, 2, 3)))[0, 1] > lightness
