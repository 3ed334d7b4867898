from __future__ import annotations

import numpy as np
import pytest

from factories import noise, write_image


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for k, name in enumerate(("a.png", "sub/b.jpg")):
        write_image(folder / name, noise(50, 40, 3, seed=k))
    return folder


def test_a_folder_becomes_a_file_of_features(command, numbers, trained, images, tmp_path):
    status, out, err = command("embed", images, "out.npz", "--model", trained)
    assert (status, out.count("\n")) == (0, 1)
    assert out.startswith("out.npz")
    assert numbers(out) == ["2", "24"]
    about, rate = err.splitlines()
    assert f"{trained}/model.keras" in about
    assert "rendered signs" in about
    assert numbers(rate)[0] == "2"
    assert rate.endswith("/s")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert file["features"].shape == (2, 24)
        assert file["features"][0].any()
        assert file["paths"].tolist() == [f"{images}/a.png", f"{images}/sub/b.jpg"]
        assert str(file["model"]) == f"{trained}/model.keras"


def test_a_shard_of_the_images_is_embedded(command, trained, images, tmp_path):
    status, _, err = command("embed", images, "out.npz", "--model", trained, "--shard", "2/2")
    assert (status, err.splitlines()[0]) == (0, "shard 2/2: 1 of 2 images")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert file["features"].shape == (1, 24)
        assert file["paths"].tolist() == [f"{images}/sub/b.jpg"]


def test_features_in_int8_say_so(command, trained, images, tmp_path):
    status, _, err = command("embed", images, "out.npz", "--model", trained, "--precision", "int8")
    assert status == 0
    assert "computed in int8 (" in err.splitlines()[0]
    with np.load(tmp_path / "out.npz") as file:
        assert (file["features"].shape, str(file["precision"])) == ((2, 24), "int8")


def test_another_layer_is_named_in_the_answer_and_in_the_file(command, trained, images, tmp_path):
    status, out, _ = command("embed", images, "out.npz", "--model", trained, "--at", "conv2_block1_out")
    assert (status, out) == (0, "out.npz: 2 images, 16 features each at conv2_block1_out\n")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert file["features"].shape == (2, 16)
        assert str(file["at"]) == "conv2_block1_out"


def test_an_unknown_layer_is_refused(command, trained, images, tmp_path):
    status, out, err = command("embed", images, "out.npz", "--model", trained, "--at", "conv2_block1")
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("resnet50 embed: ")
    assert "'conv2_block1'" in last
    assert "conv2_block1_" in last
    assert not (tmp_path / "out.npz").exists()


def test_a_bad_file_is_named_and_left_out(command, numbers, trained, images, tmp_path):
    (images / "aa.png").write_text("no image")
    status, out, err = command("embed", images, "out.npz", "--model", trained)
    assert (status, out.count("\n")) == (2, 1)
    assert numbers(out) == ["2", "24"]
    _, named, rate = err.splitlines()
    assert f"{images}/aa.png" in named
    assert numbers(rate)[:2] == ["3", "1"]
    with np.load(tmp_path / "out.npz") as file:
        assert len(file["paths"]) == 2


def test_nothing_is_written_where_nothing_can_be_read(command, numbers, trained, tmp_path):
    (tmp_path / "a.png").write_text("no image")
    status, out, err = command("embed", tmp_path, "out.npz", "--model", trained)
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("resnet50 embed: ")
    assert str(tmp_path) in last
    assert numbers(last) == ["1"]
    assert not (tmp_path / "out.npz").exists()


def test_a_file_that_exists_is_kept(refused, trained, images, tmp_path):
    (tmp_path / "out.npz").write_bytes(b"old")
    refused(("embed", images, "out.npz", "--model", trained), "out.npz")
    assert (tmp_path / "out.npz").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["empty", "out.npz"], ["runs"]),
        (["empty", "out.npz", "--model", "TRAINED"], ["empty", ".jpg"]),
        (["empty", "out.npy", "--model", "TRAINED"], ["out.npy", ".npz"]),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(refused, trained, tmp_path, words, values):
    (tmp_path / "empty").mkdir()
    refused(["embed", *(trained if word == "TRAINED" else word for word in words)], *values)
