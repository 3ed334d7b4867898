from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

from factories import classifier, noise, write_image
from resnet50 import datasets


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for name in ("a.png", "b.jpg"):
        write_image(folder / name, noise(50, 40, 3))
    return folder


def test_every_image_gets_a_line(command, numbers, trained, images):
    status, out, err = command("predict", images, "--model", trained, "--top", 2)
    assert status == 0
    about, rate = err.splitlines()
    assert f"{trained}/model.keras" in about
    assert "rendered signs" in about
    assert numbers(rate)[0] == "2"
    assert re.search(r"\b\d+\.\d \w+/s$", rate)
    first, second = out.splitlines()
    assert first.startswith(f"{images}/a.png  ")
    assert second.startswith(f"{images}/b.jpg  ")
    assert first.count("%") == 2


def test_a_shard_of_the_images_is_classified(command, refused, trained, images):
    answers = []
    for shard, name in (("1/2", "a.png"), ("2/2", "b.jpg")):
        status, out, err = command("predict", images, "--model", trained, "--shard", shard, "--format", "csv")
        assert status == 0
        assert err.splitlines()[0] == f"shard {shard}: 1 of 2 images"
        assert f"{images}/{name}" in out
        answers += out.splitlines()[1:]
    whole = command("predict", images, "--model", trained, "--format", "csv")[1].splitlines()[1:]
    assert answers == whole
    refused(("predict", images, "--model", trained, "--shard", "1/3"), 2, 3)


def test_standard_input_has_no_shards(refused, trained):
    refused(("predict", "-", "--model", trained, "--shard", "1/2"), "--shard")


def test_standard_input_is_one_image(refused, trained, images):
    refused(("predict", "-", images, "-", "--model", trained), "standard input", 2)


@pytest.mark.slow
def test_it_says_when_keras_opens_a_model(images, tmp_path):
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, strides=8, padding="same", name="gaps")(inputs)
    outputs = keras.layers.Dense(3, "softmax")(keras.layers.GlobalAveragePooling2D()(x))
    classifier(keras.Model(inputs, outputs)).save(tmp_path / "odd.keras")
    words = [sys.executable, "-m", "resnet50", "predict", images / "a.png", "--model", tmp_path / "odd.keras"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "%" in done.stdout
    (warning,) = [line for line in done.stderr.splitlines() if "opened by Keras" in line]
    assert "'gaps'" in warning


def test_what_is_left_out_of_a_folder_is_counted(command, trained, images):
    for name in ("a.dcm", "b.dcm", "notes.txt"):
        (images / name).touch()
    status, out, err = command("predict", images, "--model", trained)
    assert (status, len(out.splitlines())) == (0, 2)
    assert "2 .dcm, 1 .txt" in err.splitlines()[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("https://a.b/c.jpg", "https://a.b/c.jpg: expected an image file, got a URL"),
        ("dead.png", "link"),
        ("a.heic", "HEIC"),
    ],
)
def test_what_cannot_be_an_input_is_said(command, trained, images, tmp_path, name, words):
    (tmp_path / "dead.png").symlink_to("gone.png")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic")
    status, out, err = command("predict", images / "a.png", name, "--model", trained)
    assert status == 2
    assert "a.png" in out
    assert words in out + err


def test_a_hyphen_is_an_image_on_standard_input(command, trained, images, monkeypatch):
    content = (images / "b.jpg").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    status, out, _ = command("predict", images / "a.png", "-", images / "b.jpg", "--model", trained, "--json")
    assert status == 0
    first, piped, named = map(json.loads, out.splitlines())  # in the order of the words
    assert first["path"] == str(images / "a.png")
    assert piped.pop("path") == "-"
    assert named.pop("path") == str(images / "b.jpg")
    assert piped == named


@pytest.mark.parametrize("format_", ["text", "csv", "json"])
@pytest.mark.parametrize("content", [b"GIF89a", b""])
def test_damage_on_standard_input_is_said_and_the_others_are_classified(
    command, trained, images, monkeypatch, format_, content
):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    status, out, err = command("predict", "-", images / "a.png", "--model", trained, "--format", format_)
    assert status == 2
    assert "standard input: " in out + err
    assert f"{images}/a.png" in out


@pytest.mark.parametrize(("content", "got"), [(b"12345", "MiB"), (None, "terminal")])
def test_standard_input_without_an_image_is_refused(command, trained, monkeypatch, content, got):
    monkeypatch.setattr("resnet50.cli.streams._MOST_BYTES", 4)
    stream = SimpleNamespace(buffer=io.BytesIO(content or b""), isatty=lambda: content is None)
    monkeypatch.setattr(sys, "stdin", stream)
    status, out, err = command("predict", "-", "--model", trained)
    assert (status, out) == (2, "")
    assert got in err


def test_json_is_one_object_a_line(command, trained, images):
    status, out, _ = command("predict", images / "a.png", "--model", trained / "model.keras", "--json", "--top", 6)
    assert status == 0
    answer = json.loads(out)
    assert answer["path"] == str(images / "a.png")
    names, shares = zip(*answer["top"], strict=True)  # pairs, since two classes may have one name
    assert set(names) == {"0", "1", "2", "3", "4", "5"}
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert list(shares) == sorted(shares, reverse=True)
    assert answer["error"] is None
    assert (answer["model"], answer["dataset"]) == (str(trained / "model.keras"), "rendered signs")


def test_csv_is_a_table_with_a_row_for_every_file(command, numbers, trained, images):
    (images / "aa, b.png").write_text("no image")
    status, out, err = command("predict", images, "--model", trained, "--format", "csv", "--top", 2)
    assert status == 2
    assert numbers(err)[:2] == ["3", "1"]
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0] == ["path", "class", "probability", "class_2", "probability_2", "error", "set", "refused"]
    assert [row[0] for row in rows[1:]] == [str(images / name) for name in ("a.png", "aa, b.png", "b.jpg")]
    assert rows[2][1:5] == [""] * 4
    assert f"{images}/aa, b.png" in rows[2][5]
    for row in (rows[1], rows[3]):
        assert row[1] != row[3]
        assert 1 >= float(row[2]) >= float(row[4]) >= 0
        assert row[5] == ""


def test_a_table_has_no_more_columns_than_there_are_classes(command, trained, images):
    _, out, _ = command("predict", images / "a.png", "--model", trained, "--format", "csv", "--top", 99)
    rows = list(csv.reader(io.StringIO(out)))
    assert rows[0][-5:-2] == ["class_6", "probability_6", "error"]
    assert len(rows[0]) == len(rows[1]) == 16


@pytest.mark.slow
@pytest.mark.parametrize("name", ["new/answers.csv", "answers.json", "answers.jsonl", "answers.CSV"])
def test_a_file_is_written_in_the_format_of_its_name(command, trained, images, tmp_path, name):
    (images / "aa.png").write_text("no image")
    status, out, err = command("predict", images, "--model", trained, "--out", name)
    assert (status, out) == (2, "")
    assert err.count("\n") == 2
    text = (tmp_path / name).read_text()
    if name.endswith(".json"):
        found = json.loads(text)
    elif name.endswith(".jsonl"):
        found = [json.loads(line) for line in text.splitlines()]
    else:
        assert command("predict", images, "--model", trained, "--format", "csv")[1] == text
        return
    assert [Path(one["path"]).name for one in found] == ["a.png", "aa.png", "b.jpg"]
    assert [len(one["top"]) for one in found] == [3, 0, 3]
    assert f"{images}/aa.png" in found[1]["error"]
    printed = command("predict", images, "--model", trained, "--json")[1]
    assert [json.loads(line) for line in printed.splitlines()] == found


def test_what_is_there_stays_and_nothing_half_done_is_left(command, refused, trained, images, tmp_path):
    (tmp_path / "answers.csv").write_text("old")
    refused(("predict", images, "--model", trained, "--out", "answers.csv"), "answers.csv")
    assert (tmp_path / "answers.csv").read_text() == "old"
    assert command("predict", images, "--model", trained, "--out", "new.csv", "--top", 0)[0] == 2
    assert [path.name for path in tmp_path.glob("*.csv")] == ["answers.csv"]


def test_a_folder_gives_what_training_would_take(command, trained, images):
    (images / "._a.png").write_bytes(b"what macOS writes beside a.png")
    (images / "phone.heic").write_bytes(b"an image that is not read here")
    status, out, err = command("predict", images, "--model", trained)
    assert status == 2
    assert [Path(line.split("  ")[0]).name for line in out.splitlines()] == ["a.png", "b.jpg"]
    assert f"{images}/phone.heic" in err.splitlines()[1]
    assert "._a" not in err


def test_a_name_that_is_no_utf_8_is_shown(command, trained, images):
    odd = os.fsencode(images) + b"/odd\xff.png"
    try:
        Path(os.fsdecode(odd)).write_bytes((images / "a.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes no such name")
    for words in ((), ("--format", "csv")):
        status, out, _ = command("predict", images, "--model", trained, *words)
        assert status == 0
        assert f"{images}/odd\\udcff.png" in out


def test_control_characters_in_a_name_do_not_reach_the_terminal(command, trained, images):
    (images / "\x1b[31mred.png").write_bytes((images / "a.png").read_bytes())
    (images / "\x1b[31mbad.png").write_text("no image")
    _, out, err = command("predict", images, "--model", trained)
    assert "\\x1b[31mred.png" in out
    assert "\\x1b[31mbad.png" in err
    assert "\x1b" not in out + err


def test_a_bad_file_is_named_and_the_rest_done(command, numbers, trained, images):
    (images / "aa.png").write_text("no image")
    status, out, err = command("predict", images, "--model", trained)
    assert status == 2
    assert len(out.splitlines()) == 2
    _, named, rate = err.splitlines()
    assert f"{images}/aa.png" in named
    assert numbers(rate)[:2] == ["3", "1"]


@pytest.mark.slow
def test_the_latest_run_is_the_model(command, images):
    assert command("train", "tiny", "--epochs", 1)[0] == 0
    status, out, err = command("predict", images / "a.png")
    assert status == 0
    assert out.startswith(str(images / "a.png"))
    assert "runs/tiny-" in err.splitlines()[0]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["x.png"], ["runs"]),
        (["x.png", "--model", "no.keras"], ["no.keras"]),
        (["empty", "--model", "TRAINED"], ["empty", ".jpg"]),
        (["x.png", "--top", "0", "--model", "TRAINED"], ["top", 1, 0]),
        (["x.png", "--out", "a.txt"], ["a.txt", ".csv", ".json", ".jsonl"]),
        (["x.png", "--out", "answers"], ["answers", ".csv", ".json", ".jsonl"]),
        (["x.png", "--out", "a.csv", "--json"], ["--json", "--out"]),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(command, trained, tmp_path, words, values):
    (tmp_path / "empty").mkdir()
    status, out, err = command("predict", *(trained if word == "TRAINED" else word for word in words))
    assert (status, out) == (2, "")
    assert err.startswith("resnet50 predict: ")
    assert err.count("\n") == 1
    assert [value for value in values if str(value) not in err] == []


def test_int8_is_calibrated_once_on_the_images_of_the_run(command, trained, images, monkeypatch):
    words = ("predict", images, "--model", trained, "--precision", "int8", "--json")
    status, first, _ = command(*words)
    assert (status, json.loads(first.splitlines()[0])["precision"]) == (0, "int8")
    monkeypatch.delitem(datasets.DATASETS, "tiny")
    status, out, err = command(*words[:-1])
    assert (status, len(out.splitlines())) == (0, 2)
    assert re.search(r"computed in int8 \(.* 0\.\d+ on average\)$", err.splitlines()[0])
    assert command(*words)[1] == first


def test_int8_is_calibrated_on_images_that_are_given(command, refused, trained, images, files, tmp_path):
    (tmp_path / "alone.keras").write_bytes((trained / "model.keras").read_bytes())
    words = ("predict", images / "a.png", "--model", "alone.keras", "--precision", "int8")
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(datasets.DATASETS, "tiny")  # as for a model of your own images
        refused(words, "alone.keras", "int8", "--data")
    assert command(*words, "--data", files)[0] == 0
    assert command(*words)[0] == 0


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_images_to_calibrate_on_are_for_int8(refused, trained, images, precision):
    words = ("predict", images / "a.png", "--model", trained, "--precision", precision, "--data", images)
    refused(words, "--data", "int8", precision)


def test_the_photo_of_a_hand_is_classified(command, trained, shared_data):
    photo = shared_data / "photos" / "my_image_coursera.jpg"
    status, out, err = command("predict", photo, "--model", trained)
    assert (status, err.count("\n")) == (0, 1)
    assert out.startswith(str(photo))
    assert out.count("\n") == 1


def test_a_table_holds_no_formulas(command, trained, images, tmp_path):
    (tmp_path / "=1+1.png").write_bytes((images / "a.png").read_bytes())
    _, out, _ = command("predict", "=1+1.png", "--model", trained, "--format", "csv")
    row = next(csv.reader(out.splitlines()[1:]))
    assert row[0] == "'=1+1.png"
    assert float(row[2]) > 0
