from __future__ import annotations

from importlib.util import find_spec

import pytest

from factories import noise, write_image
from resnet50.inference import on_ray
from resnet50.inference.on_ray import INSTALL, StoredResults


@pytest.fixture
def images(tmp_path):
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "images" / name, noise(50, 40, 3))
    return tmp_path / "images"


@pytest.fixture
def asked(monkeypatch):
    """What the cluster is asked; it has a result of one image, and cannot read another."""
    calls = []

    def answer(model, images, out, *, progress, **options):
        calls.append((str(model), [image.name for image in images], out, options))
        progress(1, 2)
        return StoredResults(out, 2, 1, unreadable=1)

    monkeypatch.setattr(on_ray, "predict_on_ray", answer)
    monkeypatch.setattr(on_ray, "embed_on_ray", answer)
    monkeypatch.setattr(on_ray, "check_packages", lambda: None)
    return calls


def test_images_are_classified_on_a_cluster(command, asked, trained, images):
    words = ("--model", trained, "--ray", "head:6379", "--top", 2, "--coverage", "off", "--refuse", "off")
    status, out, err = command("predict", images, "--out", "answers", *words)
    assert (status, out) == (2, "answers: 2 images (1 unreadable)\n")
    assert "1 of 2 images" in err
    options = {"address": "head:6379", "precision": "fp32", "calibration": None}
    assert asked == [
        (
            f"{trained}/model.keras",
            ["a.png", "b.png"],
            "answers",
            options | {"top": 2, "coverage": None, "refuse": None},
        )
    ]


def test_features_are_computed_on_a_cluster(command, asked, trained, images):
    words = ("--model", trained, "--ray", "local", "--at", "conv2_block1_out", "--shard", "2/2")
    assert command("embed", images, "features", *words)[0] == 2
    options = {"address": "local", "precision": "fp32", "calibration": None, "at": "conv2_block1_out"}
    assert asked == [(f"{trained}/model.keras", ["b.png"], "features", options)]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["predict", "images"], ["--out"]),
        (["predict", "images", "--out", "answers.csv"], ["answers.csv", "--ray"]),
        (["predict", "-", "--out", "answers"], ["standard input", "--ray"]),
        (["predict", "images", "--out", "answers", "--format", "json"], ["--format"]),
        (["embed", "images", "features.npz"], ["features.npz", "--ray"]),
        (["embed", "images", "features"], ["runs"]),
    ],
)
def test_what_does_not_go_with_it_is_refused(refused, asked, images, words, values):
    refused([*words, "--ray", "local"], *values)
    assert asked == []


@pytest.mark.parametrize("missing", ["ray", "pyarrow", "pandas"])
def test_a_package_that_is_not_installed(refused, images, monkeypatch, missing):
    monkeypatch.setattr(on_ray, "find_spec", lambda name: None if name == missing else find_spec("json"))
    refused(["predict", "images", "--ray", "local", "--out", "answers"], missing, INSTALL)
