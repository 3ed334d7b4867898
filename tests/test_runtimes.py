"""Folders of exports: what is refused, and what is not imported. What they compute is in inference/test_export.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from resnet50 import runtimes
from resnet50.classifier import Classifier
from resnet50.evaluation.features import feature_model
from resnet50.evaluation.grad_cam import grad_cam
from resnet50.inference.export import export
from resnet50.model import Stage, build_resnet50
from resnet50.runtimes import FORMATS, Network, is_export

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 32, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def classifier(random_weights):
    stages = (Stage("conv2", 1, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))
    model = random_weights(build_resnet50(3, input_shape=(32, 40, 3), stages=stages))
    return Classifier(model, ("a", "b", "c"), "hands", "f", {}, {})


@pytest.fixture(scope="module")
def folders(classifier, tmp_path_factory):
    found = {}
    for name in FORMATS:
        found[name] = tmp_path_factory.mktemp("exports") / name
        export(classifier, found[name], format=name, check=IMAGES)
    return found


@pytest.fixture
def copied(folders, tmp_path):
    return Path(shutil.copytree(folders["onnx"], tmp_path / "export"))


def refusal(path, kind=ValueError):
    with pytest.raises(kind) as raised:
        Classifier.load(path)
    assert raised.type is kind
    assert "\n" not in str(raised.value)
    return str(raised.value).removeprefix(str(path))


def change(folder, **changes):
    path = folder / "resnet50.json"
    told = json.loads(path.read_text())
    told["export"] |= changes
    path.write_text(json.dumps(told))


def test_an_export_is_a_folder_with_a_description(folders, tmp_path):
    assert is_export(folders["onnx"])
    assert not is_export(folders["onnx"] / "model.onnx")
    assert not is_export(tmp_path)
    assert not is_export(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["onnx", "openvino", "litert"])
def test_predicting_imports_neither_tensorflow_nor_keras(folders, name):
    script = """
import sys
from resnet50.classifier import Classifier
from resnet50.inference.predict import predict
import numpy
found = Classifier.load(sys.argv[1]).probabilities(numpy.zeros((2, 32, 40, 3), numpy.uint8))
assert abs(found.sum(axis=1) - 1).max() < 1e-5
print(sorted({"keras", "tensorflow", "jax", "torch", "scipy", "matplotlib", "sklearn"} & {*sys.modules}))
"""
    command = [sys.executable, "-c", script, folders[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


def test_a_network_predicts_and_has_no_layers(folders):
    model = Classifier.load(folders["onnx"]).model
    assert isinstance(model, Network)
    assert (model.input_shape, model.output_shape) == ((None, 32, 40, 3), (None, 3))
    for refused in (
        lambda: model.layers,
        lambda: feature_model(model),
        lambda: grad_cam(model, IMAGES, np.zeros(4, int)),
    ):
        with pytest.raises(
            ValueError, match=r"^an exported network predicts, and has no '\w+' to look into; name the \.keras"
        ):
            refused()
    assert not hasattr(model, "get_config")


@pytest.mark.parametrize("name", ["model.onnx", "resnet50.json"])
def test_refuses_damaged_files(copied, name):
    path = copied / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    text = refusal(copied)
    if name == "model.onnx":
        assert text == "/model.onnx: needed the file that the export wrote, found another one; export again."
    else:
        assert text.startswith("/resnet50.json: needed the description of an exported classifier, found other text (")


def test_refuses_missing_files(copied):
    (copied / "model.onnx").unlink()
    assert refusal(copied) == "/model.onnx: needed the file that the export wrote, found none; export again."


@pytest.mark.parametrize("name", ["../stranger", "/etc/hostname", "nothing"])
def test_only_files_of_the_folder_are_looked_at(copied, name):
    (copied.parent / "stranger").write_text("not of the export")
    change(copied, files={"model.onnx": runtimes.sha256(copied / "model.onnx"), name: "0" * 64})
    with pytest.raises(ValueError, match=r": needed the file that the export wrote, found none; export again\.$"):
        Classifier.load(copied)


def test_the_file_that_is_opened_needs_its_hash(copied):
    change(copied, files={})
    assert refusal(copied) == "/model.onnx: needed the file that the export wrote, found another one; export again."


@pytest.mark.parametrize("text", ["", "[]", "5", "{}", '{"export": {}}', '{"export": {"files": []}}'])
def test_refuses_another_description(copied, text):
    (copied / "resnet50.json").write_text(text)
    assert refusal(copied).startswith(
        "/resnet50.json: needed the description of an exported classifier, found other text ("
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "coreml"}, "format must be one of saved_model, onnx, openvino, litert, got 'coreml'."),
        ({"precision": "bf16"}, "the format onnx has the precisions fp32, fp16, int8, got 'bf16'."),
        ({"files": 5}, "'int' object is not iterable"),
    ],
)
def test_refuses_a_description_of_something_else(copied, changes, message):
    change(copied, **changes)
    assert message in refusal(copied)


def test_refuses_labels_of_another_number(copied):
    path = copied / "resnet50.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"class_names": ["a", 5, "c"]}))
    assert refusal(copied).startswith(": needed class_names in resnet50.json to be a list of text, found")
    path.write_text(json.dumps(told | {"class_names": ["a", "b"]}))
    assert refusal(copied) == ": the model has 3 outputs, but there are 2 class names (a, b)."
    del told["dataset"]
    path.write_text(json.dumps(told))
    assert refusal(copied).startswith(": needed class_names, dataset, fingerprint, recipe, metrics in resnet50.json,")


@pytest.mark.parametrize("name", FORMATS)
def test_says_which_runtime_is_missing(folders, monkeypatch, name):
    package = {"saved_model": "tensorflow", "onnx": "onnxruntime", "litert": "ai_edge_litert"}.get(name, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert refusal(folders[name], ImportError) == (
        f": needed {package} to open it, which is not installed; pip install 'resnet50[export]'."
    )


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_runtime_cannot_open_is_one_line(folders, tmp_path, name):
    folder = Path(shutil.copytree(folders[name], tmp_path / "export"))
    told = json.loads((folder / "resnet50.json").read_text())["export"]["files"]
    for file in told:
        (folder / file).write_bytes(b"something else")
    change(folder, files={file: runtimes.sha256(folder / file) for file in told})
    assert " cannot open it (" in refusal(folder)


def test_an_export_is_not_saved_as_keras(folders, tmp_path):
    with pytest.raises(ValueError, match="needed a Keras model to save, got the network of an export; copy its folder"):
        Classifier.load(folders["onnx"]).save(tmp_path / "a.keras")
    assert list(tmp_path.iterdir()) == []
