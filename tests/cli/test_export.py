from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from factories import classifier, noise, tiny_model, write_image
from resnet50.data.options import ReadOptions
from resnet50.exporters import export as exporting
from resnet50.exporters import web_runtime
from resnet50.exporters.export import Comparison

pytestmark = pytest.mark.slow  # trained runs


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """An export of the tiny run."""
    from resnet50.exporters.export import export
    from resnet50.inference.classifier import Classifier

    out = tmp_path_factory.mktemp("exported") / "onnx"
    export(Classifier.load(trained / "model.keras"), out, format="onnx", check=noise(4, 32, 32, 3))
    return out


@pytest.fixture
def asked(monkeypatch):
    """Do not export, but record what was to be exported."""
    recorded = {}

    def export(model, out, **options):
        recorded.update(options, model=model, out=out)
        return Comparison(6, 0.01, 0.001, 1.0, 24)

    monkeypatch.setattr(exporting, "export", export)
    return recorded


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "a.png", noise(50, 40, 3))


@pytest.mark.slow
def test_a_run_is_exported_and_the_export_predicts(command, numbers, trained, image):
    status, out, err = command("export", trained, "out", "--format", "openvino", "--precision", "bf16")
    assert (status, err) == (0, "")
    first, second, third = out.splitlines()
    assert re.fullmatch(r"out\b.*\bopenvino\b.*\bbf16\b.*\b\d\.\d MB", first)
    assert f"{trained}/model.keras" in second
    assert numbers(second)[0] == "6"
    assert third.startswith("thresholds: ")
    assert re.search(r"\b\d+\.\d%", second)
    status, out, err = command("predict", image, "--model", "out", "--json", "--top", 6)
    assert (status, err) == (0, "")
    by_run = json.loads(command("predict", image, "--model", trained, "--json", "--top", 6)[1])
    answer = json.loads(out)
    assert dict(answer["top"]) == {name: pytest.approx(share, abs=0.02) for name, share in by_run["top"]}
    assert (answer["model"], answer["dataset"]) == ("out", "rendered signs")


def test_int8_is_calibrated_on_training_images_and_compared_on_the_others(command, numbers, trained, files):
    status, out, err = command("export", trained, "out", "--format", "litert", "--precision", "int8", "--data", files)
    assert (status, err) == (0, "")
    first, second, third = out.splitlines()
    assert re.match(r"out\b.*\blitert\b.*\bint8\b.*\b\d\.\d MB", first)
    assert numbers(first)[1:] == ["24"]
    assert numbers(second)[0] == "6"
    assert third.startswith("thresholds: ")


def test_the_options_are_handed_on(command, numbers, trained, asked, tmp_path):
    words = ("--format", "onnx", "--precision", "int8", "--data", "mine", "--pattern", "(?P<class>a|b)")
    status, out, err = command("export", trained, "out", *words)
    assert (status, err) == (0, "")
    assert callable(asked.pop("progress"))
    assert asked == {
        "model": str(trained),
        "out": "out",
        "format": "onnx",
        "precision": "int8",
        "any_size": False,
        "web_runtime": None,
        "source": "mine",
        "options": ReadOptions(pattern="(?P<class>a|b)"),
    }
    first, second, third = out.splitlines()
    assert numbers(first)[-1] == "24"
    assert numbers(second)[0] == "6"
    assert third.startswith("thresholds: ")


def test_a_page_is_int8_and_the_output_says_how_to_open_it(command, trained, asked):
    status, out, err = command("export", trained, "my page", "--format", "web", "--runtime", "dist")
    assert (status, err) == (0, "")
    assert (asked["format"], asked["precision"], asked["web_runtime"]) == ("web", "int8", "dist")
    first, _, thresholds, last = out.splitlines()
    assert thresholds.startswith("thresholds: ")
    assert "int8" in first
    assert "python -m http.server 8000 --directory 'my page'" in last


def test_the_runtime_of_a_page_is_fetched_with_a_notice_of_its_size(command, trained, asked, monkeypatch, tmp_path):
    monkeypatch.setattr("resnet50._io.fetch._RETRIES", 0)
    downloads = tuple(replace(download, urls=("http://127.0.0.1:9/",)) for download in web_runtime.DOWNLOADS)
    monkeypatch.setattr(web_runtime, "DOWNLOADS", downloads)
    status, out, err = command("export", trained, "out", "--format", "web")
    assert (status, out, asked) == (2, "", {})
    notice, error = err.splitlines()
    assert "14 MB" in notice
    assert "127.0.0.1" in error
    assert str(tmp_path / "cache" / "onnxruntime-web" / web_runtime.VERSION / "ort.wasm.min.mjs") in error


def test_predicting_by_an_export_imports_neither_keras_nor_tensorflow(exported, image):
    script = """
import sys
from resnet50.cli import main
try:
    main(["predict", sys.argv[1], "--model", sys.argv[2]])
finally:
    print(sorted({"keras", "tensorflow", "jax", "torch", "scipy", "matplotlib", "sklearn", "onnx"} & {*sys.modules}))
"""
    command = [sys.executable, "-c", script, image, exported]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer, imported = done.stdout.splitlines()
    assert answer.startswith(str(image))
    assert imported == "[]"


def test_an_export_is_evaluated(command, exported, trained, files, tmp_path):
    _, by_run, _ = command("evaluate", trained, "--data", files, "--json", "--out", "run")
    status, out, _ = command("evaluate", exported, "--data", files, "--json", "--out", "export")
    assert status == 0
    told, expected = json.loads(out), json.loads(by_run)
    assert (told["accuracy"], told["confusion"]) == (expected["accuracy"], expected["confusion"])
    assert told["loss"] == pytest.approx(expected["loss"], abs=1e-4)


def test_the_images_of_an_unknown_recipe_have_to_be_named(refused, trained, tmp_path):
    from resnet50.inference.classifier import Classifier

    replace(Classifier.load(trained / "model.keras"), recipe={}).save(tmp_path / "mine.keras")
    refused(("export", "mine.keras", "out", "--format", "onnx"), "mine.keras", "'None'", "--data")


def test_images_that_are_others_by_now_are_not_taken_for_those_of_the_training(refused, trained, tmp_path):
    from resnet50.inference.classifier import Classifier

    replace(Classifier.load(trained / "model.keras"), fingerprint="0" * 64).save(tmp_path / "mine.keras")
    refused(("export", "mine.keras", "out", "--format", "onnx"), "mine.keras", "--data")


def test_images_are_found_for_a_square_model_only(refused, tmp_path):
    classifier(tiny_model(2, size=(32, 40)), ("a", "b")).save(tmp_path / "wide.keras")
    refused(("export", "wide.keras", "out", "--format", "onnx"), "wide.keras", 40, 32, "Python")


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
        (["no.keras", "out", "--format", "web"], ["no.keras"]),
        (["TRAINED", "out", "--format", "web", "--runtime", "nowhere"], ["nowhere/ort.wasm.min.mjs"]),
        (["TRAINED", "out", "--format", "onnx", "--runtime", "nowhere"], ["web", "onnx"]),
    ],
)
def test_what_cannot_be_done_gets_one_line_and_status_2(refused, trained, words, values):
    words, values = ([trained if word == "TRAINED" else word for word in some] for some in (words, values))
    refused(["export", *words], *values)
