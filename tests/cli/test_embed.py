from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "sub").mkdir(parents=True)
    for k, name in enumerate(("a.png", "sub/b.jpg")):
        pixels = np.random.default_rng(k).integers(0, 256, (50, 40, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def test_a_folder_becomes_a_file_of_features(command, trained, pictures, tmp_path):
    status, out, err = command("embed", pictures, "out.npz", "--model", trained)
    assert (status, out) == (0, "out.npz: 2 pictures, 24 features each\n")
    about, rate = err.splitlines()
    assert about == f"model: {trained}/model.keras, trained on rendered signs"
    assert rate.startswith("2 pictures, ")
    assert rate.endswith(" pictures/s")
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert file["features"].shape == (2, 24)
        assert file["features"][0].any()
        assert file["paths"].tolist() == [f"{pictures}/a.png", f"{pictures}/sub/b.jpg"]
        assert str(file["model"]) == f"{trained}/model.keras"


def test_a_bad_file_is_named_and_left_out(command, trained, pictures, tmp_path):
    (pictures / "aa.png").write_text("no picture")
    status, out, err = command("embed", pictures, "out.npz", "--model", trained)
    assert (status, out) == (2, "out.npz: 2 pictures, 24 features each\n")
    reason = f"{pictures}/aa.png: cannot be read as a picture (no picture in a format that is read here)."
    assert err.splitlines()[1] == reason
    assert err.splitlines()[2].startswith("3 pictures, 1 of them unreadable, ")
    with np.load(tmp_path / "out.npz") as file:
        assert len(file["paths"]) == 2


def test_nothing_is_written_where_nothing_can_be_read(command, trained, tmp_path):
    (tmp_path / "a.png").write_text("no picture")
    status, out, err = command("embed", tmp_path, "out.npz", "--model", trained)
    assert (status, out) == (2, "")
    assert err.splitlines()[-1] == (f"resnet50 embed: {tmp_path}: needed pictures, found none of 1 files readable.")
    assert not (tmp_path / "out.npz").exists()


def test_a_file_that_exists_is_kept(command, trained, pictures, tmp_path):
    (tmp_path / "out.npz").write_bytes(b"old")
    assert command("embed", pictures, "out.npz", "--model", trained) == (
        2,
        "",
        "resnet50 embed: out.npz: there is a file already; remove it, or choose another name.\n",
    )
    assert (tmp_path / "out.npz").read_bytes() == b"old"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([".", "out.npz"], "needed a model, found none in runs/"),
        ([".", "out.npz", "--model", "TRAINED"], ".: needed pictures (.jpg, "),
        ([".", "out.npy", "--model", "TRAINED"], "out.npy: the name of a file of features must end in .npz."),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(command, trained, words, message):
    status, out, err = command("embed", *(trained if word == "TRAINED" else word for word in words))
    assert (status, out) == (2, "")
    assert err.startswith(f"resnet50 embed: {message}")
    assert err.count("\n") == 1
