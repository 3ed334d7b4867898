from __future__ import annotations

import numpy as np
from PIL import Image

from resnet50.data import signs
from resnet50.download import DownloadError


def test_a_data_set_is_told_and_drawn(command, files, tmp_path):
    status, out, err = command("data", "show", "rendered-signs", "--data", files, "--out", "sheet.png")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "rendered signs: RGB, 64 x 64 pixels"
    assert lines[1].split()[:2] == ["training", "24"]
    assert "0: 4  1: 4  2: 4  3: 4  4: 4  5: 4" in lines[1]
    assert lines[2].split()[:2] == ["test", "6"]
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_files_that_were_left_out_are_counted(command, tmp_path):
    rng = np.random.default_rng(0)
    for name in ("fern", "moss"):
        (tmp_path / "plants" / name).mkdir(parents=True)
        for k in range(10):
            pixels = rng.integers(0, 256, (40, 44, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "plants" / name / f"{k}.png")
    (tmp_path / "plants" / "fern" / "a.jpg").write_bytes(b"no picture")
    status, out, _ = command("data", "show", "folder", "plants")
    assert (status, out.splitlines()[3:]) == (0, ["1 file cannot be read and is left out: see 'resnet50 check'"])
    (tmp_path / "plants" / "fern" / "b.jpg").write_bytes(b"")
    out = command("data", "show", "folder", "plants")[1]
    assert out.splitlines()[3:] == ["2 files cannot be read and are left out: see 'resnet50 check'"]


def test_fetching_says_where_the_files_are(command, monkeypatch, tmp_path):
    asked = []

    def fetch(folder, *, progress):
        progress(1, 2)
        asked.append(folder)
        return tmp_path / "there"

    monkeypatch.setattr(signs, "fetch_signs", fetch)
    assert command("data", "fetch", "signs", "--out", "there") == (0, f"{tmp_path}/there\n", "")
    assert asked == ["there"]


def test_a_failed_download_is_one_line(command, monkeypatch):
    def fetch(folder, *, progress):
        raise DownloadError("train_signs.h5: no address gave it.\nAddress: x")

    monkeypatch.setattr(signs, "fetch_signs", fetch)
    assert command("data", "fetch", "signs") == (
        2,
        "",
        "resnet50 data: train_signs.h5: no address gave it. Address: x\n",
    )
