from __future__ import annotations

import re

import keras
import pytest
from PIL import Image

from factories import classifier, noise, tiny_model, write_image
from resnet50.conventions import V1, V1_5


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "thing.png", noise(90, 70, 3))


@pytest.mark.slow
def test_the_classes_and_the_figure_are_named(command, trained, image, tmp_path):
    status, out, err = command("explain", image, "--model", trained, "--top", 2)
    assert (status, err.count("\n")) == (0, 2)
    assert f"{trained}/model.keras" in err
    assert "conv3_block1_out, 4 x 4 cells, 8 pixels apart" in err
    assert "rendered signs" in err
    first, second, figure = out.splitlines()
    assert re.fullmatch(r"[0-5]  \d+\.\d%", first)
    assert re.fullmatch(r"[0-5]  \d+\.\d%", second)
    assert figure == "thing-explained.png"
    with Image.open(tmp_path / figure) as drawn:
        wide, high = drawn.size
    assert wide > 2 * high
    predicted = command("predict", image, "--model", trained, "--top", 2)[1]
    (tmp_path / figure).write_bytes(b"an earlier one, which is replaced")
    assert command("explain", image, "--model", trained)[0] == 0
    assert (tmp_path / figure).read_bytes().startswith(b"\x89PNG")
    assert all(line in re.sub(" +", " ", predicted) for line in re.sub(" +", " ", f"{first}\n{second}").splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(("conventions", "stem"), [(V1, "imagenet"), (V1_5, "cifar")])
@pytest.mark.parametrize("head", ["linear", "norm", "mlp", "flatten"])
def test_every_network_of_the_library_is_explained(head, conventions, stem, command, image, tmp_path):
    model = tiny_model(size=(40, 32), seed=1, head=head, conventions=conventions, stem=stem)
    classifier(model, name="letters").save("m.keras")
    status, out, err = command("explain", image, "--model", "m.keras", "--out", "new/out.png")
    assert (status, err.count("\n")) == (0, 2)
    assert "m.keras" in err
    assert "letters" in err
    assert out.count("\n") == 4
    assert (tmp_path / "new" / "out.png").stat().st_size > 10_000


def test_a_model_without_feature_maps_is_refused(refused, image, tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Dense(2, "softmax")(keras.layers.Flatten()(inputs)), name="flat")
    classifier(model, ("a", "b")).save("m.keras")
    refused(("explain", image, "--model", "m.keras"), "'flat'", "Grad-CAM")
    assert list(tmp_path.glob("*explained*")) == []


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["x.png"], ["runs"]),
        (["x.png", "--model", "EMPTY"], ["x.png"]),  # before the model is opened
        (["x.png", "--model", "TRAINED", "--top", "0"], ["top", 1, 0]),
        (["IMAGE", "--model", "TRAINED", "--out", "drawn"], ["drawn"]),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(refused, trained, image, tmp_path, words, values):
    (tmp_path / "empty.keras").touch()
    given = {"TRAINED": trained, "IMAGE": image, "EMPTY": tmp_path / "empty.keras"}
    refused(["explain", *(given.get(word, word) for word in words)], *values)


def test_the_layer_can_be_named(command, refused, image):
    classifier(tiny_model(size=(40, 32))).save("m.keras")
    status, _, err = command("explain", image, "--model", "m.keras", "--at", "conv2_block2_out")
    assert (status, "conv2_block2_out, 10 x 8 cells, 4 pixels apart" in err) == (0, True)
    refused(("explain", image, "--model", "m.keras", "--at", "conv9"), "'conv9'", "conv2_block2_out")


def test_the_photo_of_a_hand_is_explained(command, trained, shared_data):
    status, out, _ = command("explain", shared_data / "photos" / "my_image_coursera.jpg", "--model", trained)
    assert status == 0
    assert out.splitlines()[-1] == "my_image_coursera-explained.png"


def test_the_image_itself_is_not_written_over(refused, trained, image):
    before = image.read_bytes()
    refused(("explain", image, "--model", trained, "--out", image), image)
    assert image.read_bytes() == before


def test_without_matplotlib_the_figure_has_no_captions(command, image, tmp_path, monkeypatch):
    classifier(tiny_model(size=(40, 40))).save(tmp_path / "a.keras")
    monkeypatch.setattr("resnet50.evaluation.explain.find_spec", lambda name: None)
    status, out, _ = command("explain", image, "--model", "a.keras", "--top", 2, "--out", "b.png")
    assert status == 0
    assert "matplotlib" in out.splitlines()[-1]
    with Image.open("b.png") as figure:
        width, height = figure.size
    assert width > 3 * height  # the image and two maps
