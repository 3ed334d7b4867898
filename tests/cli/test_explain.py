from __future__ import annotations

import re

import keras
import numpy as np
import pytest
from PIL import Image

from resnet50.blocks import V1, V1_5
from resnet50.classifier import Classifier
from resnet50.model import build_resnet50


@pytest.fixture
def picture(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (90, 70, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "thing.png")
    return tmp_path / "thing.png"


def test_the_classes_and_the_figure_are_named(command, trained, picture, tmp_path):
    status, out, err = command("explain", picture, "--model", trained, "--top", 2)
    assert (status, err) == (0, f"model: {trained}/model.keras, trained on rendered signs\n")
    first, second, figure = out.splitlines()
    assert re.fullmatch(r"[0-5]  \d+\.\d%", first)
    assert re.fullmatch(r"[0-5]  \d+\.\d%", second)
    assert figure == "thing-explained.png"
    with Image.open(tmp_path / figure) as drawn:
        wide, high = drawn.size
    assert wide > 2 * high
    predicted = command("predict", picture, "--model", trained, "--top", 2)[1]
    (tmp_path / figure).write_bytes(b"an earlier one, which is replaced")
    assert command("explain", picture, "--model", trained)[0] == 0
    assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
    assert all(line in re.sub(" +", " ", predicted) for line in re.sub(" +", " ", f"{first}\n{second}").splitlines())


@pytest.mark.parametrize(("conventions", "stem"), [(V1, "imagenet"), (V1_5, "small")])
@pytest.mark.parametrize("head", ["linear", "norm", "mlp", "flatten"])
def test_every_network_of_the_library_is_explained(
    head, conventions, stem, command, picture, tiny_stages, random_weights, tmp_path
):
    model = build_resnet50(
        3, input_shape=(40, 32, 3), stages=tiny_stages, head=head, conventions=conventions, stem=stem
    )
    Classifier(random_weights(model, 1), ("a", "b", "c"), "d", "f", {}, {}).save("m.keras")
    status, out, err = command("explain", picture, "--model", "m.keras", "--out", "new/out.png")
    assert (status, err) == (0, "model: m.keras, trained on d\n")
    assert out.count("\n") == 4
    assert (tmp_path / "new" / "out.png").stat().st_size > 10_000


def test_a_model_without_feature_maps_is_refused(command, picture, tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(inputs)), name="flat")
    Classifier(model, ("a", "b"), "d", "f", {}, {}).save("m.keras")
    status, out, err = command("explain", picture, "--model", "m.keras")
    assert (status, out) == (2, "")
    assert err == (
        "resnet50 explain: the model 'flat': Grad-CAM needs a feature map (batch, h, w, k) of several places that "
        "alone decides what the scores are, found none.\n"
    )
    assert list(tmp_path.glob("*explained*")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["x.png"], "needed a model, found none in runs/"),
        (["x.png", "--model", "TRAINED"], "x.png: needed a picture, found nothing there."),
        (["x.png", "--model", "TRAINED", "--top", "0"], "top must be at least 1, got 0."),
        (["PICTURE", "--model", "TRAINED", "--out", "out"], "out: needed a name that ends in a format"),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(command, trained, picture, words, message):
    words = [{"TRAINED": trained, "PICTURE": picture}.get(word, word) for word in words]
    status, out, err = command("explain", *words)
    assert (status, out) == (2, "")
    assert err.startswith(f"resnet50 explain: {message}")
    assert err.count("\n") == 1


def test_the_photo_of_a_hand_is_explained(command, trained, shared_data):
    status, out, _ = command("explain", shared_data / "photos" / "my_image_coursera.jpg", "--model", trained)
    assert status == 0
    assert out.splitlines()[-1] == "my_image_coursera-explained.png"


def test_the_picture_itself_is_not_written_over(command, trained, picture):
    before = picture.read_bytes()
    status, out, err = command("explain", picture, "--model", trained, "--out", picture)
    assert (status, out) == (2, "")
    assert err == f"resnet50 explain: {picture}: there is a file already; remove it, or choose another name.\n"
    assert picture.read_bytes() == before
