"""Folders of exports: what is refused, and what is not imported. What they compute is in exporters/test_export.py."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import factories
from factories import noise, raises
from resnet50.exporters.export import export
from resnet50.inference import runtimes
from resnet50.inference.classifier import Classifier
from resnet50.inference.runtimes import FORMATS, Network, NoGraphError

RUNTIMES = [name for name in FORMATS if name != "web"]  # whose file is that of onnx

IMAGES = noise(4, 32, 40, 3)


@pytest.fixture(scope="module")
def classifier():
    return factories.classifier()


@pytest.fixture(scope="module")
def folders(classifier, tmp_path_factory):
    found = {}
    for name in RUNTIMES:
        found[name] = tmp_path_factory.mktemp("exports") / name
        export(classifier, found[name], format=name, check=IMAGES)
    return found


@pytest.fixture
def copied(folders, tmp_path):
    return Path(shutil.copytree(folders["onnx"], tmp_path / "export"))


def refuses(folder, *values, error=ValueError):
    """Expect an error of exactly this class that names the folder and the values; return its cause."""
    with raises(error, folder) as caught:
        Classifier.load(folder)
    assert caught.type is error
    text = str(caught.value).replace(str(folder), "")
    assert [value for value in values if str(value) not in text] == [], text
    return caught.value.__cause__


def rewrite(folder, manifest):
    """Write a description with the checksum that belongs to it, as an attacker would."""
    manifest["export"].pop("sha256", None)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    manifest["export"]["sha256"] = digest
    (folder / "resnet50.json").write_text(json.dumps(manifest))


def change(folder, **changes):
    manifest = json.loads((folder / "resnet50.json").read_text())
    manifest["export"] |= changes
    rewrite(folder, manifest)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["onnx", "openvino", "litert"])
def test_predicting_imports_neither_tensorflow_nor_keras(folders, name):
    script = """
import sys
from resnet50.inference.classifier import Classifier
from resnet50.inference.predict import predict
import numpy
found = Classifier.load(sys.argv[1]).probabilities(numpy.zeros((2, 32, 40, 3), numpy.uint8))
assert abs(found.sum(axis=1) - 1).max() < 1e-5
print(sorted({"keras", "tensorflow", "jax", "torch", "scipy", "matplotlib", "sklearn"} & {*sys.modules}))
"""
    command = [sys.executable, "-c", script, folders[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize("name", ["onnx", "openvino", "litert"])
def test_opening_an_export_prints_nothing(folders, name, capfd):
    Classifier.load(folders[name])
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNTIMES)
def test_predicting_in_a_new_process_prints_nothing(folders, name):
    """What a runtime prints when it is imported, and for its first image, too."""
    script = """
import sys
import numpy
from resnet50.inference.classifier import Classifier
Classifier.load(sys.argv[1]).probabilities(numpy.zeros((2, 32, 40, 3), numpy.uint8))
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    command = [sys.executable, "-c", script, folders[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_network_predicts_and_has_no_layers(folders):
    classifier = Classifier.load(folders["onnx"])
    network = classifier.network
    assert isinstance(network, Network)
    assert (network.input_shape, network.output_shape) == ((None, 32, 40, 3), (None, 3))
    for layers in ("model", "features"):
        with raises(NoGraphError, "export", ".keras"):
            getattr(classifier, layers)
    assert issubclass(NoGraphError, ValueError)


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
def test_only_files_in_the_folder_are_read(copied, name):
    (copied.parent / "stranger").write_text("not of the export")
    change(copied, files={"model.onnx": runtimes.sha256(copied / "model.onnx"), name: "0" * 64})
    with raises(ValueError, copied / name):
        Classifier.load(copied)


@pytest.mark.parametrize("name", ["weights.bin", "sub/weights.bin", "link", ".hidden"])
def test_a_file_that_the_export_did_not_write_is_refused(copied, name):
    """An ONNX file may name it as the place of its weights, without a hash."""
    (copied.parent / "stranger").write_text("not of the export")
    (copied / name).parent.mkdir(exist_ok=True)
    (copied / name).symlink_to(copied.parent) if name == "link" else (copied / name).write_text("more weights")
    refuses(copied, name)


def test_what_file_managers_add_to_a_folder_is_no_stranger(copied):
    for name in (".DS_Store", "Thumbs.db"):
        (copied / name).write_text("icons")
    assert Classifier.load(copied).class_names


def test_a_description_of_any_size_is_not_read(copied):
    with (copied / "resnet50.json").open("a") as file:
        file.write(" " * (16 << 20))
    refuses(copied, "/resnet50.json", "16 MiB")


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
        ({"format": "coreml"}, ("format", "saved_model", "onnx", "web", "openvino", "litert", "'coreml'")),
        ({"precision": "bf16"}, ("precision", "onnx", "fp32", "fp16", "int8", "'bf16'")),
        ({"files": 5}, ("'int'",)),
        ({"image_size": "ab"}, ("image_size", "'ab'")),
        ({"image_size": [0, 32]}, ("image_size", "[0, 32]")),
    ],
)
def test_refuses_a_description_of_something_else(copied, changes, values):
    change(copied, **changes)
    refuses(copied, "/resnet50.json", *values)


def swap_names(manifest):
    manifest["class_names"][:2] = manifest["class_names"][1::-1]


CHANGES = {
    "class names": swap_names,
    "fit": lambda manifest: manifest["fit"].update(mode="stretch"),
    "scores": lambda manifest: manifest["metrics"].update(accuracy=1),
    "image": lambda manifest: manifest["export"]["image"].update(colors="BGR"),
    "tensors": lambda manifest: manifest["export"]["tensors"].update(features="features"),
    "thresholds": lambda manifest: manifest["export"].update(thresholds={}),
    "another key": lambda manifest: manifest["export"].update(more=1),
    "the checksum": lambda manifest: manifest["export"].update(sha256=5),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_description_that_was_edited_is_refused(copied, name):
    path = copied / "resnet50.json"
    manifest = json.loads(path.read_text())
    CHANGES[name](manifest)
    path.write_text(json.dumps(manifest, indent=2))
    refuses(copied, "/resnet50.json")


def test_order_and_white_space_of_a_description_do_not_matter(copied):
    path = copied / "resnet50.json"
    names = Classifier.load(copied).class_names
    manifest = json.loads(path.read_text())
    path.write_bytes(json.dumps(dict(reversed(manifest.items())), indent=1).replace("\n", "\r\n").encode())
    assert Classifier.load(copied).class_names == names


def test_an_earlier_export_without_a_checksum_of_its_description_is_opened(copied):
    path = copied / "resnet50.json"
    manifest = json.loads(path.read_text())
    del manifest["export"]["sha256"]
    path.write_text(json.dumps(manifest))
    assert Classifier.load(copied).class_names == tuple(manifest["class_names"])


def test_refuses_labels_of_another_number(copied):
    manifest = json.loads((copied / "resnet50.json").read_text())
    rewrite(copied, manifest | {"class_names": ["a", 5, "c"]})
    refuses(copied, "class_names", "resnet50.json", ["a", 5, "c"])
    rewrite(copied, manifest | {"class_names": ["a", "b"]})
    refuses(copied, 3, 2, "a, b")
    del manifest["dataset"]
    rewrite(copied, manifest)
    refuses(copied, "class_names", "dataset", "fingerprint", "recipe", "metrics", "resnet50.json")


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_missing_runtime_is_named_with_its_command(folders, monkeypatch, name):
    package = {"saved_model": "tensorflow", "onnx": "onnxruntime", "litert": "ai_edge_litert"}.get(name, name)
    monkeypatch.setitem(sys.modules, package, None)
    refuses(folders[name], package, "pip install 'resnet50[export]'", error=ImportError)


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_file_that_a_runtime_cannot_open_is_one_line(folders, tmp_path, name):
    folder = Path(shutil.copytree(folders[name], tmp_path / "export"))
    files = json.loads((folder / "resnet50.json").read_text())["export"]["files"]
    for file in files:
        (folder / file).write_bytes(b"something else")
    change(folder, files={file: runtimes.sha256(folder / file) for file in files})
    cause = refuses(folder, FORMATS[name].package)
    assert cause is not None


def test_an_export_is_not_saved_as_keras(folders, tmp_path):
    with raises(ValueError, tmp_path / "a.keras"):
        Classifier.load(folders["onnx"]).save(tmp_path / "a.keras")
    assert list(tmp_path.iterdir()) == []
