from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.jpg"):
        pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_every_picture_gets_a_line(command, trained, pictures):
    status, out, err = command("predict", pictures, "--model", trained, "--top", 2)
    assert (status, err) == (0, f"model: {trained}/model.keras, trained on rendered signs\n")
    first, second = out.splitlines()
    assert first.startswith(f"{pictures}/a.png  ")
    assert second.startswith(f"{pictures}/b.jpg  ")
    assert first.count("%") == 2


def test_json_is_one_object_a_line(command, trained, pictures):
    status, out, _ = command("predict", pictures / "a.png", "--model", trained / "model.keras", "--json", "--top", 6)
    assert status == 0
    answer = json.loads(out)
    assert answer["path"] == str(pictures / "a.png")
    assert set(answer["top"]) == {"0", "1", "2", "3", "4", "5"}
    assert sum(answer["top"].values()) == pytest.approx(1, abs=1e-5)
    assert list(answer["top"].values()) == sorted(answer["top"].values(), reverse=True)
    assert answer["error"] is None
    assert (answer["model"], answer["dataset"]) == (str(trained / "model.keras"), "rendered signs")


def test_a_bad_file_is_named_and_the_rest_done(command, trained, pictures):
    (pictures / "aa.png").write_text("no picture")
    status, out, err = command("predict", pictures, "--model", trained)
    assert status == 2
    assert len(out.splitlines()) == 2
    assert (
        err.splitlines()[1]
        == f"{pictures}/aa.png: cannot be read as a picture (no picture in a format that is read here)."
    )


def test_the_latest_run_is_the_model(command, pictures):
    assert command("train", "tiny", "--epochs", 1)[0] == 0
    status, out, err = command("predict", pictures / "a.png")
    assert status == 0
    assert out.startswith(str(pictures / "a.png"))
    assert err.startswith("model: runs/tiny-")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.png"], "resnet50 predict: needed a model, found none in runs/; train one first"),
        (["x.png", "--model", "no.keras"], "resnet50 predict: no.keras: needed a classifier (.keras), found nothing"),
        ([".", "--model", "TRAINED"], "resnet50 predict: .: needed a folder with pictures"),
        (["x.png", "--top", "0", "--model", "TRAINED"], "resnet50 predict: top must be at least 1, got 0."),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(command, trained, words, message):
    status, out, err = command("predict", *(trained if word == "TRAINED" else word for word in words))
    assert (status, out) == (2, "")
    assert err.splitlines()[-1].startswith(message)
    assert err.count("\n") == 1 + err.startswith("model: ")


def test_the_photo_of_a_hand_is_classified(command, trained, shared_data):
    photo = shared_data / "photos" / "my_image_coursera.jpg"
    status, out, err = command("predict", photo, "--model", trained)
    assert (status, err.count("\n")) == (0, 1)
    assert out.startswith(str(photo))
    assert out.count("\n") == 1
