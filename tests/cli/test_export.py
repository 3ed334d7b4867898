from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from factories import classifier, noise, tiny_model, write_image
from resnet50.inference import export as exporting
from resnet50.inference.export import Comparison


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """An export of the tiny run."""
    from resnet50.classifier import Classifier
    from resnet50.inference.export import export

    out = tmp_path_factory.mktemp("exported") / "onnx"
    export(Classifier.load(trained / "model.keras"), out, format="onnx", check=noise(4, 32, 32, 3))
    return out


@pytest.fixture
def asked(monkeypatch):
    """Do not export, but note what was to be exported."""
    noted = {}

    def export(classifier, out, **options):
        noted.update(options)
        return Comparison(len(options["check"]), 0.01, 0.001, 1.0)

    monkeypatch.setattr(exporting, "export", export)
    return noted


@pytest.fixture
def picture(tmp_path):
    return write_image(tmp_path / "a.png", noise(50, 40, 3))


def test_a_run_is_exported_and_the_export_predicts(command, numbers, trained, picture):
    status, out, err = command("export", trained, "out", "--format", "openvino", "--precision", "bf16")
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert re.fullmatch(r"out\b.*\bopenvino\b.*\bbf16\b.*\b\d\.\d MB", first)
    assert f"{trained}/model.keras" in second
    assert numbers(second)[0] == "6"
    assert re.search(r"\b\d+\.\d%", second)
    status, out, err = command("predict", picture, "--model", "out", "--json", "--top", 6)
    assert (status, err) == (0, "")
    by_run = json.loads(command("predict", picture, "--model", trained, "--json", "--top", 6)[1])
    answer = json.loads(out)
    assert answer["top"] == {name: pytest.approx(share, abs=0.02) for name, share in by_run["top"].items()}
    assert (answer["model"], answer["dataset"]) == ("out", "rendered signs")


def test_int8_is_calibrated_on_training_pictures_and_compared_on_the_others(command, numbers, trained, files):
    status, out, err = command("export", trained, "out", "--format", "litert", "--precision", "int8", "--data", files)
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert re.match(r"out\b.*\blitert\b.*\bint8\b.*\b\d\.\d MB", first)
    assert numbers(first)[1:] == ["24"]
    assert numbers(second)[0] == "6"


def test_a_run_has_its_own_pictures(command, trained, tiny_task, asked):
    assert command("export", trained, "out", "--format", "onnx")[0] == 0
    parts = tiny_task.load(None)
    for images, split in ((asked["calibration"], parts.training), (asked["check"], parts.test)):
        assert sorted(map(bytes, images)) == sorted(map(bytes, split.images))


def test_pictures_without_parts_are_cut_in_two(command, trained, asked, tmp_path):
    for k in range(40):
        write_image(tmp_path / "mine" / "ab"[k % 2] / f"{k}.png", f"rgb({k}, 0, 0)", size=(40, 40))
    assert command("export", trained, "out", "--format", "onnx", "--data", "mine")[0] == 0
    calibration, check = ({int(image[0, 0, 0]) for image in asked[name]} for name in ("calibration", "check"))
    assert len(check) >= 10
    assert calibration | check == set(range(40))
    assert not calibration & check


def test_of_many_pictures_some_of_each_class_are_taken(command, trained, asked, tmp_path, monkeypatch):
    monkeypatch.setattr("resnet50.cli.export._CALIBRATED", 8)
    monkeypatch.setattr("resnet50.cli.export._CHECKED", 4)
    for part, count in (("train", 30), ("test", 20)):
        for k in range(count):
            path = tmp_path / "mine" / part / "ab"[k % 2] / f"{k}.png"
            write_image(path, f"rgb({100 * (k % 2)}, {k}, {count})", size=(40, 40))
    found = []
    for _ in range(2):
        assert command("export", trained, "out", "--format", "onnx", "--data", "mine")[0] == 0
        found.append([np.asarray(asked[name])[:, 0, 0] for name in ("calibration", "check")])
    (calibration, check), again = found
    assert [sum(calibration[:, 0] == red) for red in (0, 100)] == [4, 4]
    assert [sum(check[:, 0] == red) for red in (0, 100)] == [2, 2]
    assert set(calibration[:, 2]) == {30}
    assert set(check[:, 2]) == {20}
    np.testing.assert_array_equal(again[0], calibration)


def test_predicting_by_an_export_imports_neither_keras_nor_tensorflow(exported, picture):
    script = """
import sys
from resnet50.cli import main
try:
    main(["predict", sys.argv[1], "--model", sys.argv[2]])
finally:
    print(sorted({"keras", "tensorflow", "jax", "torch", "scipy", "matplotlib", "sklearn", "onnx"} & {*sys.modules}))
"""
    command = [sys.executable, "-c", script, picture, exported]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer, imported = done.stdout.splitlines()
    assert answer.startswith(str(picture))
    assert imported == "[]"


def test_an_export_is_evaluated(command, exported, trained, files, tmp_path):
    _, by_run, _ = command("evaluate", trained, "--data", files, "--json", "--out", "run")
    status, out, _ = command("evaluate", exported, "--data", files, "--json", "--out", "export")
    assert status == 0
    told, expected = json.loads(out), json.loads(by_run)
    assert (told["accuracy"], told["confusion"]) == (expected["accuracy"], expected["confusion"])
    assert told["loss"] == pytest.approx(expected["loss"], abs=1e-4)


@pytest.mark.parametrize(
    "words",
    [
        ("explain", "PICTURE", "--model", "EXPORT"),
        ("embed", "PICTURE", "out.npz", "--model", "EXPORT"),
        ("summary", "EXPORT"),
        ("export", "EXPORT", "out", "--format", "onnx", "--data", "FILES"),
    ],
    ids=lambda words: words[0],
)
def test_what_looks_into_the_network_refuses_an_export(command, exported, files, picture, words, tmp_path):
    there = {"EXPORT": exported, "FILES": files, "PICTURE": picture}
    status, out, err = command(*(there.get(word, word) for word in words))
    assert (status, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith(f"resnet50 {words[0]}: ")
    assert re.search(r"'\w+'", last)  # what of the network it has not
    assert ".keras" in last
    assert not (tmp_path / "out").exists()


def test_the_pictures_of_an_unknown_recipe_have_to_be_named(refused, trained, tmp_path):
    from resnet50.classifier import Classifier

    replace(Classifier.load(trained / "model.keras"), recipe={}).save(tmp_path / "mine.keras")
    refused(("export", "mine.keras", "out", "--format", "onnx"), "mine.keras", "'None'", "--data")


def test_pictures_that_are_others_by_now_are_not_taken_for_those_of_the_training(refused, trained, tmp_path):
    from resnet50.classifier import Classifier

    replace(Classifier.load(trained / "model.keras"), fingerprint="0" * 64).save(tmp_path / "mine.keras")
    refused(("export", "mine.keras", "out", "--format", "onnx"), "mine.keras", "--data")


def test_pictures_are_found_for_a_square_model_only(refused, tmp_path):
    classifier(tiny_model(2, size=(32, 40)), ("a", "b")).save(tmp_path / "wide.keras")
    refused(("export", "wide.keras", "out", "--format", "onnx"), "wide.keras", 40, 32, "resnet50.export")


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (
            ["no.keras", "out", "--format", "onnx", "--precision", "bf16"],
            ["onnx", "fp32", "fp16", "int8", "'bf16'"],
        ),
        (["no.keras", "out", "--format", "onnx"], ["no.keras"]),
        (["no.keras", "TRAINED", "--format", "onnx"], ["TRAINED"]),
        (["TRAINED", "out", "--format", "onnx", "--data", "nowhere"], ["nowhere"]),
        (["TRAINED", "out", "--format", "onnx", "--pattern", "x"], ["--pattern", "--data"]),
        (["no.keras", "out", "--format", "coreml"], ["--format", "'coreml'"]),
        (["no.keras", "out"], ["--format"]),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(refused, trained, words, values):
    words, values = ([trained if word == "TRAINED" else word for word in some] for some in (words, values))
    refused(["export", *words], *values)
