from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from resnet50.inference import export as exporting
from resnet50.inference.export import Comparison


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """An export of the tiny run."""
    from resnet50.classifier import Classifier
    from resnet50.inference.export import export

    out = tmp_path_factory.mktemp("exported") / "onnx"
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    export(Classifier.load(trained / "model.keras"), out, format="onnx", check=images)
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
    pixels = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_run_is_exported_and_the_export_predicts(command, trained, picture):
    status, out, err = command("export", trained, "out", "--format", "openvino", "--precision", "bf16")
    assert (status, err) == (0, "")
    first, second = out.splitlines()
    assert re.fullmatch(r"out: openvino, bf16, \d\.\d MB", first)
    assert re.fullmatch(
        rf"against {trained}/model\.keras, on 6 pictures: probabilities differ by \S+ on average, \S+ at most; the "
        r"most probable class is the same on \d+\.\d%",
        second,
    )
    status, out, err = command("predict", picture, "--model", "out", "--json", "--top", 6)
    assert (status, err) == (0, "")
    by_run = json.loads(command("predict", picture, "--model", trained, "--json", "--top", 6)[1])
    answer = json.loads(out)
    assert answer["top"] == {name: pytest.approx(share, abs=0.02) for name, share in by_run["top"].items()}
    assert (answer["model"], answer["dataset"]) == ("out", "rendered signs")


def test_int8_is_calibrated_on_training_pictures_and_compared_on_the_others(command, trained, files):
    status, out, err = command("export", trained, "out", "--format", "litert", "--precision", "int8", "--data", files)
    assert (status, err) == (0, "")
    assert re.match(r"out: litert, int8, \d\.\d MB, calibrated on 24 pictures\nagainst .*, on 6 pictures", out)


def test_a_run_has_its_own_pictures(command, trained, tiny_task, asked):
    assert command("export", trained, "out", "--format", "onnx")[0] == 0
    parts = tiny_task.load(None)
    for images, split in ((asked["calibration"], parts.training), (asked["check"], parts.test)):
        assert sorted(map(bytes, images)) == sorted(map(bytes, split.images))


def test_pictures_without_parts_are_cut_in_two(command, trained, asked, tmp_path):
    for k in range(40):
        path = tmp_path / "mine" / "ab"[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 40), (k, 0, 0)).save(path)
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
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40, 40), (100 * (k % 2), k, count)).save(path)
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
    assert re.fullmatch(
        rf"resnet50 {words[0]}: an exported network predicts, and has no '\w+' to look into; name the \.keras file "
        r"that it was made from\.",
        err.splitlines()[-1],
    )
    assert not (tmp_path / "out").exists()


def test_the_pictures_of_an_unknown_recipe_have_to_be_named(command, trained, tmp_path):
    from resnet50.classifier import Classifier

    replace(Classifier.load(trained / "model.keras"), recipe={}).save(tmp_path / "mine.keras")
    assert command("export", "mine.keras", "out", "--format", "onnx") == (
        2,
        "",
        "resnet50 export: mine.keras: its recipe 'None' is not known here; name the --data.\n",
    )


def test_pictures_that_are_others_by_now_are_not_taken_for_those_of_the_training(command, trained, tmp_path):
    from resnet50.classifier import Classifier

    replace(Classifier.load(trained / "model.keras"), fingerprint="0" * 64).save(tmp_path / "mine.keras")
    assert command("export", "mine.keras", "out", "--format", "onnx") == (
        2,
        "",
        "resnet50 export: mine.keras: the pictures that it was trained on are others by now; name some like them by "
        "--data.\n",
    )


def test_pictures_are_found_for_a_square_model_only(command, tmp_path, tiny_stages):
    from resnet50.classifier import Classifier
    from resnet50.model import build_resnet50

    model = build_resnet50(2, input_shape=(32, 40, 3), stages=tiny_stages)
    Classifier(model, ("a", "b"), "d", "f", {}, {}).save(tmp_path / "wide.keras")
    status, out, err = command("export", "wide.keras", "out", "--format", "onnx")
    assert (status, out) == (2, "")
    assert err == (
        "resnet50 export: wide.keras: needed a model of square pictures to find some for, got one of 40 x 32 pixels; "
        "in Python, resnet50.export takes it and any pictures of its size.\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["no.keras", "out", "--format", "onnx", "--precision", "bf16"],
            "the format onnx has the precisions fp32, fp16, int8, got 'bf16'.",
        ),
        (["no.keras", "out", "--format", "onnx"], "no.keras: needed a classifier (.keras), found nothing there; train"),
        (["no.keras", ".", "--format", "onnx"], ".: there is a folder already; remove it, or choose another name."),
        (["TRAINED", "out", "--format", "onnx", "--data", "none"], "none: "),
        (["TRAINED", "out", "--format", "onnx", "--pattern", "x"], "--pattern says how --data is read: name that too."),
        (["no.keras", "out", "--format", "coreml"], "argument --format: invalid choice: 'coreml'"),
        (["no.keras", "out"], "the following arguments are required: --format"),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(command, trained, words, message):
    status, out, err = command("export", *(trained if word == "TRAINED" else word for word in words))
    assert (status, out) == (2, "")
    assert err.startswith(f"resnet50 export: {message}")
    assert err.count("\n") == 1
