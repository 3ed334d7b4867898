from __future__ import annotations

import csv
import io
import json
import os
import re
from pathlib import Path

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
    assert status == 0
    about, rate = err.splitlines()
    assert about == f"model: {trained}/model.keras, trained on rendered signs"
    assert re.fullmatch(r"2 pictures, \d+\.\d pictures/s", rate)
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


def test_csv_is_a_table_with_a_row_for_every_file(command, trained, pictures):
    (pictures / "aa, b.png").write_text("no picture")
    status, out, err = command("predict", pictures, "--model", trained, "--format", "csv", "--top", 2)
    assert status == 2
    assert err.startswith("3 pictures, 1 of them unreadable, ")
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["path", "class", "probability", "class_2", "probability_2", "error"]
    assert [row[0] for row in rows[1:]] == [str(pictures / name) for name in ("a.png", "aa, b.png", "b.jpg")]
    assert rows[2][1:5] == [""] * 4
    assert rows[2][5].startswith(f"{pictures}/aa, b.png: cannot be read")
    for row in (rows[1], rows[3]):
        assert row[1] != row[3]
        assert 1 >= float(row[2]) >= float(row[4]) >= 0
        assert row[5] == ""


def test_a_table_has_no_more_columns_than_there_are_classes(command, trained, pictures):
    _, out, _ = command("predict", pictures / "a.png", "--model", trained, "--format", "csv", "--top", 99)
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0][-3:] == ["class_6", "probability_6", "error"]
    assert len(rows[0]) == len(rows[1]) == 14


@pytest.mark.parametrize("name", ["new/answers.csv", "answers.json", "answers.jsonl", "answers.CSV"])
def test_a_file_is_written_in_the_format_of_its_name(command, trained, pictures, tmp_path, name):
    (pictures / "aa.png").write_text("no picture")
    status, out, err = command("predict", pictures, "--model", trained, "--out", name)
    assert (status, out) == (2, "")
    assert err.count("\n") == 2
    text = (tmp_path / name).read_text()
    if name.endswith(".json"):
        found = json.loads(text)
    elif name.endswith(".jsonl"):
        found = [json.loads(line) for line in text.splitlines()]
    else:
        assert command("predict", pictures, "--model", trained, "--format", "csv")[1] == text
        return
    assert [Path(one["path"]).name for one in found] == ["a.png", "aa.png", "b.jpg"]
    assert [len(one["top"]) for one in found] == [3, 0, 3]
    assert found[1]["error"].startswith(f"{pictures}/aa.png: cannot be read")
    printed = command("predict", pictures, "--model", trained, "--json")[1]
    assert [json.loads(line) for line in printed.splitlines()] == found


def test_what_is_there_stays_and_nothing_half_done_is_left(command, trained, pictures, tmp_path):
    (tmp_path / "answers.csv").write_text("old")
    assert command("predict", pictures, "--model", trained, "--out", "answers.csv") == (
        2,
        "",
        "resnet50 predict: answers.csv: there is a file already; remove it, or choose another name.\n",
    )
    assert (tmp_path / "answers.csv").read_text() == "old"
    assert command("predict", pictures, "--model", trained, "--out", "new.csv", "--top", 0)[0] == 2
    assert [path.name for path in tmp_path.glob("*.csv")] == ["answers.csv"]


def test_a_folder_gives_what_training_would_take(command, trained, pictures):
    (pictures / "._a.png").write_bytes(b"what macOS writes beside a.png")
    (pictures / "phone.heic").write_bytes(b"a picture that is not read here")
    status, out, err = command("predict", pictures, "--model", trained)
    assert status == 2
    assert [Path(line.split("  ")[0]).name for line in out.splitlines()] == ["a.png", "b.jpg"]
    assert err.splitlines()[1].startswith(f"{pictures}/phone.heic: cannot be read as a picture ")
    assert "._a" not in err


def test_a_name_that_is_no_utf_8_is_shown(command, trained, pictures):
    odd = os.fsencode(pictures) + b"/odd\xff.png"
    try:
        Path(os.fsdecode(odd)).write_bytes((pictures / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    for words in ((), ("--format", "csv")):
        status, out, _ = command("predict", pictures, "--model", trained, *words)
        assert status == 0
        assert f"{pictures}/odd\\udcff.png" in out


def test_a_bad_file_is_named_and_the_rest_done(command, trained, pictures):
    (pictures / "aa.png").write_text("no picture")
    status, out, err = command("predict", pictures, "--model", trained)
    assert status == 2
    assert len(out.splitlines()) == 2
    _, named, rate = err.splitlines()
    assert named == f"{pictures}/aa.png: cannot be read as a picture (no picture in a format that is read here)."
    assert rate.startswith("3 pictures, 1 of them unreadable, ")


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
        ([".", "--model", "TRAINED"], "resnet50 predict: .: needed pictures (.jpg, "),
        (["x.png", "--top", "0", "--model", "TRAINED"], "resnet50 predict: top must be at least 1, got 0."),
        (
            ["x.png", "--out", "a.txt"],
            "resnet50 predict: a.txt: needed a name that ends in .csv, .json, .jsonl, got",
        ),
        (
            ["x.png", "--out", "a"],
            "resnet50 predict: a: needed a name that ends in .csv, .json, .jsonl, got no",
        ),
        (["x.png", "--out", "a.csv", "--json"], "resnet50 predict: argument --json: not allowed with argument --out"),
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
