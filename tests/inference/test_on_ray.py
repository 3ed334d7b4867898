"""Ray Data in a process of its own, each test through the command. They need Ray, and Linux to find its processes."""

from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from factories import classifier, noise, raises, tiny_model, with_thresholds, write_image
from processes import below
from resnet50.inference.classifier import Classifier
from resnet50.inference.embed import embed
from resnet50.inference.on_ray import _Job, predict_on_ray
from resnet50.inference.predict import find_images, predict
from resnet50.inference.result_rows import prediction_rows


def with_ray(test):
    """Mark a test that starts Ray."""
    missing = not all(map(find_spec, ("ray", "pyarrow", "pandas")))
    for mark in (
        pytest.mark.slow,
        pytest.mark.skipif(missing, reason="Ray Data is not installed: pip install 'resnet50[ray]'"),
        pytest.mark.skipif(sys.platform != "linux", reason="it looks for processes in /proc"),
    ):
        test = mark(test)
    return test


@pytest.mark.parametrize("options", [{"top": 0}, {"coverage": 1.0}, {"refuse": 0.0}])
def test_options_are_checked_first(options):
    with raises(ValueError, *options.values()):
        predict_on_ray("nothing", [], "out", **options)


def test_a_model_that_is_not_there(tmp_path):
    with raises(FileNotFoundError, tmp_path / "none"):
        predict_on_ray(tmp_path / "none", ["a.png"], tmp_path / "out")


def test_a_machine_without_the_folder_or_with_another_model_is_named(tmp_path):
    model, out = tmp_path / "pets.keras", tmp_path / "out"
    model.write_bytes(b"one")
    job = _Job.of(model, out, prediction_rows, {}, "fp32", None)
    with raises(ValueError, out, platform.node()):
        job.open()
    out.mkdir()
    model.write_bytes(b"another")
    with raises(ValueError, model, platform.node()):
        job.open()


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "pets.keras"
    with_thresholds(classifier(tiny_model(size=(40, 32)))).save(path)
    return path


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    """200 images that take a while to decode, three of which are broken."""
    folder = tmp_path_factory.mktemp("images")
    for k in range(10):
        write_image(folder / f"{k}.png", np.kron(noise(100, 150, 3, seed=k), np.ones((12, 12, 1), np.uint8)))
    for k in range(10, 198):
        os.link(folder / f"{k % 10}.png", folder / f"{k}.png")
    (folder / "97.jpg").write_text("no image")
    (folder / "98.png").unlink()  # a link, whose file others are
    (folder / "98.png").write_bytes((folder / "9.png").read_bytes()[:9999])
    (folder / "99.gif").touch()
    return folder


def start(*words: object, name: str = "predict") -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "resnet50", name, *map(str, words)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def read(folder: Path) -> dict[str, dict[str, object]]:
    import pyarrow.parquet as pq

    rows = [row for file in folder.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    found = {row["path"]: row for row in rows}
    assert len(found) == len(rows)
    return found


def check_predictions(folder: Path, model: Path, images: Path) -> None:
    """Compare the rows in a folder with what ``predict`` says in this process."""
    found = read(folder)
    for prediction in predict(Classifier.load(model), find_images([images])):
        row = found.pop(str(prediction.path))
        assert row["error"] == prediction.error
        assert row["refused"] == prediction.refused
        assert row["set"] == (None if prediction.prediction_set is None else list(prediction.prediction_set))
        if prediction.error is None:
            names, shares = zip(*prediction.top, strict=True)
            assert (row["class"], row["class_2"], row["class_3"]) == names
            np.testing.assert_allclose([row[f"probability{k}"] for k in ("", "_2", "_3")], shares, atol=1e-6)
            np.testing.assert_allclose(row["distance"], prediction.distance, atol=1e-6)
    assert found == {}


@with_ray
@pytest.mark.parametrize("victim", ["a process of Ray", "the command"])
def test_what_is_killed_on_the_way_loses_nothing(model, images, tmp_path, victim):
    out = tmp_path / "answers"
    words = (images, "--ray", "local", "--out", out, "--model", model)
    running = start(*words)
    while not list(out.glob("*.parquet")):
        assert running.poll() is None, running.stderr.read()
        time.sleep(0.01)
    (actor, *_) = below(running.pid, "ray::MapWorker")
    os.kill(running.pid if victim == "the command" else actor, signal.SIGKILL)
    first = {file.name: file.stat().st_mtime_ns for file in out.glob("*.parquet")}
    status, printed, _ = finish(running)
    if victim == "the command":
        assert status == -signal.SIGKILL
        assert len(read(out)) < 200
        first = {file.name: file.stat().st_mtime_ns for file in out.glob("*.parquet")}
        status, printed, _ = finish(start(*words))
    assert status == 2
    assert printed.endswith(f"{out}: 200 images (3 unreadable)\n")  # after what Ray says of a process that died
    assert {name: (out / name).stat().st_mtime_ns for name in first} == first
    check_predictions(out, model, images)


@with_ray
def test_features_of_a_manifest_and_an_error_of_a_process(model, images, tmp_path, monkeypatch):
    monkeypatch.chdir(images)
    import pandas

    names = ["1.png", "97.jpg"]
    pandas.DataFrame({"path": names}).to_parquet("list.parquet")
    words = ("list.parquet", tmp_path / "out", "--ray", "local", "--model", model)
    status, _, err = finish(start(*words, "--at", "conv9", name="embed"))
    assert (status, err.splitlines()[-1].startswith("resnet50 embed: ")) == (2, True), err[-1500:]
    assert "'conv9'" in err
    assert finish(start(*words[:1], tmp_path / "new", *words[2:], name="embed"))[0] == 2
    expected = embed(Classifier.load(model), [Path(name) for name in names])
    found = read(tmp_path / "new")
    np.testing.assert_allclose(found["1.png"]["features"], expected.features[0], atol=1e-6)
    assert found["97.jpg"] == {"path": "97.jpg", "features": None, "error": expected.unreadable[0].reason}
