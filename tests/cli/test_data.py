from __future__ import annotations

import pytest

from factories import noise, write_image
from resnet50._io.fetch import DownloadError
from resnet50.datasets import signs


def test_a_dataset_is_described_and_drawn(command, numbers, files, tmp_path):
    status, out, err = command("data", "show", "rendered-signs", "--data", files, "--out", "sheet.png")
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("rendered signs")
    assert "RGB" in lines[0]
    assert numbers(lines[0]) == ["64", "64"]
    assert lines[1].split()[:2] == ["train", "24"]
    assert numbers(lines[1])[1:] == ["0", "4", "1", "4", "2", "4", "3", "4", "4", "4", "5", "4"]
    assert lines[3].split()[:2] == ["test", "6"]
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_files_that_were_left_out_are_counted(command, numbers, tmp_path):
    for seed, name in enumerate(("fern", "moss")):
        for k in range(20):
            write_image(tmp_path / "plants" / name / f"{k}.png", noise(40, 44, 3, seed=10 * seed + k))
    (tmp_path / "plants" / "fern" / "a.jpg").write_bytes(b"no image")
    status, out, _ = command("data", "show", "folder", "plants")
    assert status == 0
    assert "resnet50 check" in out.splitlines()[5]
    assert numbers(out.splitlines()[5]) == ["1"]
    (tmp_path / "plants" / "fern" / "b.jpg").write_bytes(b"")
    (line,) = command("data", "show", "folder", "plants")[1].splitlines()[5:]
    assert numbers(line) == ["2"]


@pytest.mark.parametrize(("out", "values"), [("sheet.txt", (".txt", ".png")), ("taken/sheet.png", ("taken", "a file"))])
def test_a_figure_that_cannot_be_written_is_refused_before_images_are_read(refused, tmp_path, out, values):
    (tmp_path / "taken").touch()
    refused(("data", "show", "folder", "nowhere", "--out", out), *values)


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
