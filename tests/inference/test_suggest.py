"""Images to label: uncertain ones, unlike each other."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from factories import classifier, draw_image, raises
from resnet50.inference.embed import embed
from resnet50.inference.suggest import Suggestions, check_unlabeled, choose, suggest


def test_uncertain_images_that_are_unlike_each_other_come_first():
    features = np.array([[1, 0, 0], [1, 0.01, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    assert choose(np.array([0.9, 0.89, 0.5, 0.4]), features, 3) == [0, 2, 3]
    assert choose(np.array([0.9, 0.89, 0.5, 0.4]), features, 9) == [0, 2, 3, 1]
    assert choose(np.array([0.1, 0.1, 0.5, 0.4]), features, 1) == [2]
    same = np.ones((3, 2), np.float32)
    assert sorted(choose(np.array([0.5, 0.5, 0.5]), same, 3)) == [0, 1, 2]


@pytest.fixture(scope="module")
def model():
    return classifier()


@pytest.fixture
def images(tmp_path):
    return [draw_image(tmp_path / f"{k}.png", k) for k in range(6)]


def test_each_has_its_predictions_and_is_written(model, images, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    found = suggest(model, [*images, broken], number=4)
    assert (len(found.images), found.searched, found.class_names) == (4, 6, ("a", "b", "c"))
    assert [each.path for each in found.unreadable] == [str(broken)]
    for each in found.images:
        first, second = model.predict(each.path, top=2).top
        assert (each.prediction, each.second) == (first[0], second[0])
        assert each.probability == pytest.approx(first[1], abs=1e-4)
        assert each.uncertainty == pytest.approx(1 - first[1] + second[1], abs=1e-4)
    uncertainty = {each.path: each.uncertainty for each in suggest(model, images, number=6).images}
    assert found.images[0].uncertainty == max(uncertainty.values())
    found.save(tmp_path / "suggest.csv")
    with (tmp_path / "suggest.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header[:3] == ["path", "label", "prediction"]
    assert [row[0] for row in rows] == [each.path.name for each in found.images]
    assert len(embed(model, images).paths) == 6


def test_nothing_to_choose_is_refused(model, images, tmp_path):
    with raises(ValueError, 0):
        suggest(model, images, number=0)
    (tmp_path / "x.png").write_bytes(b"")
    with raises(ValueError, 1):
        suggest(model, [tmp_path / "x.png"])


HEADER = "path,label,prediction,probability,second,uncertainty\n"


@pytest.mark.parametrize("content", ["", HEADER, HEADER + "a.png, ,cats,0.5,dogs,1\n", "\ufeff" + HEADER])
def test_a_table_without_labels_is_replaced(content, tmp_path):
    (tmp_path / "table.csv").write_text(content, encoding="utf-8")
    Suggestions((), 0, ("cats", "dogs"), ()).save(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == HEADER
    check_unlabeled(tmp_path / "new.csv")


@pytest.mark.parametrize(
    ("content", "got"),
    [
        (HEADER + "a.png,cats\nb.png,dogs,dogs,0.5,cats,1\nc.png,,,,,\n", "2 labels"),
        ("path,label\na.png,\n", "another file"),
        (HEADER.replace(",", ";"), "another file"),  # as a spreadsheet saves it in many countries
        (HEADER + f'"{"a" * 200_000}",', "another file"),
    ],
)
def test_labels_and_other_files_are_not_replaced(content, got, tmp_path):
    (tmp_path / "table.csv").write_text(content)
    with raises(ValueError, tmp_path / "table.csv", got):
        Suggestions((), 0, ("cats", "dogs"), ()).save(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text() == content
