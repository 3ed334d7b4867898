from __future__ import annotations

import json

import pytest

from factories import noise, tiny_model, write_image
from resnet50 import Classifier


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.keras"
    Classifier(tiny_model(size=(48, 48)), ("a", "b", "c"), "letters", "0" * 64, {}, {}).save(path)
    return path


@pytest.mark.slow
def test_a_network_is_taken_apart_on_labeled_images(command, model, tmp_path):
    for number in range(6):
        write_image(tmp_path / "new" / "abc"[number % 3] / f"{number}.png", noise(48, 48, 3, seed=number))
    words = ("anatomy", model, "--data", tmp_path / "new", "--out", tmp_path / "page.html")
    status, out, error = command(*words)
    assert status == 0
    (row,) = (line.split() for line in out.splitlines() if line.startswith("conv2_block2"))
    assert row[1:3] == ["27", "px"]
    assert "6 held-out images" in out
    assert "training images" in error  # there are none
    assert out.splitlines()[-1] == str(tmp_path / "page.html")
    assert "conv2_block2" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_measurements_are_printed_as_json(command, model, tmp_path):
    photo = write_image(tmp_path / "photo.png", noise(48, 48, 3))
    out = command("anatomy", model, photo, "--out", tmp_path / "page.html", "--json")[1]
    assert json.loads(out)["parts"][2]["receptive_field"]["size"] == [27, 27]


def test_a_page_of_another_kind_and_a_missing_model_are_refused(refused, model, tmp_path):
    refused(("anatomy", model, "--out", "page.pdf"), "page.pdf", ".html")
    refused(("anatomy", tmp_path / "nothing.keras"), tmp_path / "nothing.keras")


def test_a_missing_image_is_named_before_the_model_is_opened(refused, tmp_path):
    (tmp_path / "empty.keras").touch()
    refused(("anatomy", tmp_path / "empty.keras", "missing.jpg"), "missing.jpg")
