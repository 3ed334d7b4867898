"""Folders of exports: what is refused, and what is not imported. What they compute is in inference/test_export.py."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import factories
from factories import noise, raises
from resnet50 import runtimes
from resnet50.classifier import Classifier
from resnet50.evaluation.features import feature_model
from resnet50.evaluation.grad_cam import grad_cam
from resnet50.inference.export import export
from resnet50.runtimes import FORMATS, Network, NoGraphError, is_export

IMAGES = noise(4, 32, 40, 3)


@pytest.fixture(scope="module")
def classifier():
    return factories.classifier()


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


def refuses(folder, *values, kind=ValueError):
    """Expect an error of just this kind that holds the folder, and the values beside it; return its cause."""
    with raises(kind, folder) as caught:
        Classifier.load(folder)
    assert caught.type is kind
    text = str(caught.value).replace(str(folder), "")
    assert [value for value in values if str(value) not in text] == [], text
    return caught.value.__cause__


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
    with raises(NoGraphError, "'layers'", ".keras"):
        _ = model.layers
    with raises(NoGraphError, ".keras"):
        feature_model(model)
    with raises(NoGraphError, ".keras"):
        grad_cam(model, IMAGES, np.zeros(4, int))
    assert issubclass(NoGraphError, ValueError)
    assert not hasattr(model, "get_config")


@pytest.mark.parametrize("name", ["model.onnx", "resnet50.json"])
def test_refuses_damaged_files(copied, name):
    path = copied / name
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    path.write_bytes(content)
    refuses(copied, f"/{name}")


def test_refuses_missing_files(copied):
    (copied / "model.onnx").unlink()
    refuses(copied, "/model.onnx")


@pytest.mark.parametrize("name", ["../stranger", "/etc/hostname", "nothing"])
def test_only_files_of_the_folder_are_looked_at(copied, name):
    (copied.parent / "stranger").write_text("not of the export")
    change(copied, files={"model.onnx": runtimes.sha256(copied / "model.onnx"), name: "0" * 64})
    with raises(ValueError, copied / name):
        Classifier.load(copied)


def test_the_file_that_is_opened_needs_its_hash(copied):
    change(copied, files={})
    refuses(copied, "/model.onnx")


@pytest.mark.parametrize("text", ["", "[]", "5", "{}", '{"export": {}}', '{"export": {"files": []}}'])
def test_refuses_another_description(copied, text):
    (copied / "resnet50.json").write_text(text)
    refuses(copied, "/resnet50.json")


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"format": "coreml"}, ("format", "saved_model", "onnx", "openvino", "litert", "'coreml'")),
        ({"precision": "bf16"}, ("precision", "onnx", "fp32", "fp16", "int8", "'bf16'")),
        ({"files": 5}, ("'int'",)),
    ],
)
def test_refuses_a_description_of_something_else(copied, changes, values):
    change(copied, **changes)
    refuses(copied, "/resnet50.json", *values)


def test_refuses_labels_of_another_number(copied):
    path = copied / "resnet50.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"class_names": ["a", 5, "c"]}))
    refuses(copied, "class_names", "resnet50.json", ["a", 5, "c"])
    path.write_text(json.dumps(told | {"class_names": ["a", "b"]}))
    refuses(copied, 3, 2, "a, b")
    del told["dataset"]
    path.write_text(json.dumps(told))
    refuses(copied, "class_names", "dataset", "fingerprint", "recipe", "metrics", "resnet50.json")


@pytest.mark.parametrize("name", FORMATS)
def test_says_which_runtime_is_missing(folders, monkeypatch, name):
    package = {"saved_model": "tensorflow", "onnx": "onnxruntime", "litert": "ai_edge_litert"}.get(name, name)
    monkeypatch.setitem(sys.modules, package, None)
    refuses(folders[name], package, "pip install 'resnet50[export]'", kind=ImportError)


@pytest.mark.parametrize("name", FORMATS)
def test_what_a_runtime_cannot_open_is_one_line(folders, tmp_path, name):
    folder = Path(shutil.copytree(folders[name], tmp_path / "export"))
    told = json.loads((folder / "resnet50.json").read_text())["export"]["files"]
    for file in told:
        (folder / file).write_bytes(b"something else")
    change(folder, files={file: runtimes.sha256(folder / file) for file in told})
    cause = refuses(folder, FORMATS[name].package)
    assert cause is not None


def test_an_export_is_not_saved_as_keras(folders, tmp_path):
    with raises(ValueError, tmp_path / "a.keras"):
        Classifier.load(folders["onnx"]).save(tmp_path / "a.keras")
    assert list(tmp_path.iterdir()) == []
