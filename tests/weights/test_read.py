"""read_weights on names, paths and files, beyond the tests of each layout."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

import resnet50.weights.read
from factories import classifier, raises
from resnet50._io.limits import METADATA_BYTES
from resnet50.conventions import V1, V1_5
from resnet50.weights import WeightsFile, read_weights

SUFFIXES = (".h5", ".weights.h5", ".keras", ".safetensors", ".pth", ".pt", ".bin")
DTYPES = {"float32": "F32", "float16": "F16", "int64": "I64"}


def state_dict() -> dict[str, np.ndarray]:
    """As little as shows what it is: the first block's first kernel, and a head."""
    rng = np.random.default_rng(0)
    shapes = {"layer1.0.conv1.weight": (4, 5, 1, 1), "fc.weight": (3, 4), "fc.bias": (3,)}
    return {name: rng.normal(0, 1, shape).astype("float32") for name, shape in shapes.items()}


def safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None, dtypes=DTYPES) -> bytes:
    """Return a length, a header of names and places, and the numbers."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, tensor in tensors.items():
        places = [len(data), len(data) + tensor.nbytes]
        header[name] = {"dtype": dtypes[tensor.dtype.name], "shape": tensor.shape, "data_offsets": places}
        data += tensor.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "w.safetensors"
    path.write_bytes(safetensors(state_dict()))
    return path


def test_a_safetensors_file(path):
    file = read_weights(path)
    assert (file.origin, file.layout, file.normalization, file.unused) == (str(path), "torchvision", "torch", {})
    assert file.conventions == V1_5.from_scratch()
    assert file.arrays.keys() == {"conv2_block1_1_conv", "predictions"}
    np.testing.assert_array_equal(file.arrays["predictions"][0], state_dict()["fc.weight"].T)


def test_text_is_a_path_too_and_a_suffix_does_not_matter(path):
    other = path.rename(path.with_suffix(".weights"))
    assert read_weights(str(other)).arrays.keys() == {"conv2_block1_1_conv", "predictions"}


def test_what_was_read_passes_through(path):
    file = read_weights(path)
    assert isinstance(file, WeightsFile)
    assert read_weights(file) is file


def test_a_representation_does_not_show_a_hundred_megabytes(path):
    assert len(repr(read_weights(path))) < 500


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"format": "pt"}, "torch"),
        ({"format": "pt", "resnet50.normalization": "caffe"}, "caffe"),
        ({"resnet50.normalization": "symmetric"}, "symmetric"),
        ({"resnet50.normalization": "zscore"}, "unknown"),
        ({"normalization": "caffe"}, "torch"),
    ],
)
def test_a_file_of_ours_says_its_normalization(metadata, expected, path):
    path.write_bytes(safetensors(state_dict(), metadata))
    assert read_weights(path).normalization == expected


def test_half_precision_and_bfloat16(path):
    halves = {name: tensor.astype("float16") for name, tensor in state_dict().items()}
    path.write_bytes(safetensors(halves))
    for name, tensor in halves.items():
        if name == "fc.weight":
            np.testing.assert_array_equal(read_weights(path).arrays["predictions"][0], tensor.T.astype("float32"))
    cut = {name: (tensor.view("uint32") >> 16).astype("uint16") for name, tensor in state_dict().items()}
    path.write_bytes(safetensors(cut, dtypes={"uint16": "BF16"}))
    expected = (cut["fc.bias"].astype("uint32") << 16).view("float32")
    np.testing.assert_array_equal(read_weights(path).arrays["predictions"][1], expected)
    assert read_weights(path).arrays["predictions"][1].dtype == np.float32


@pytest.mark.parametrize("share", [0.02, 0.3, 0.99])
def test_a_truncated_safetensors_file_is_refused(share, path):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with raises(ValueError, path, "ResNet", *SUFFIXES):
        read_weights(path)


@pytest.mark.parametrize(
    "header", [b"{", b"{}x", b'{"a": 1}', b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}']
)
def test_a_safetensors_file_of_nonsense_is_refused(header, path):
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with raises(ValueError, path, "ResNet", "SafetensorError"):
        read_weights(path)


def test_reading_needs_no_keras(path):
    script = f"""
import sys
from resnet50.weights import NORMALIZATIONS, read_weights
from resnet50.weights import keras_files, layouts, torch_pickle, fetch
assert read_weights({str(path)!r}).layout == "torchvision"
assert sorted(NORMALIZATIONS) == ["caffe", "symmetric", "torch", "unit"]
sys.exit(", ".join(name for name in ("keras", "tensorflow", "jax", "torch") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "\n")


# -------------------------------------------------------------------------------------------------------------- names


def test_a_published_name_is_fetched_and_says_what_its_publisher_says(path, monkeypatch):
    asked = []
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", lambda name: asked.append(name) or path)
    file = read_weights("timm/a1_in1k")
    assert asked == ["timm/a1_in1k"]
    assert (file.origin, file.layout, file.normalization) == ("timm/a1_in1k", "torchvision", "torch")
    assert file.conventions == V1_5.from_scratch()
    file = read_weights("imagenet")  # whose conventions and normalization are others, whatever the file looks like
    assert (file.origin, file.normalization, file.conventions) == ("imagenet", "caffe", V1.from_scratch())


def test_a_published_name_wins_over_a_file_of_that_name(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path.rename(tmp_path / "imagenet")
    other = tmp_path / "fetched.safetensors"
    other.write_bytes(safetensors(state_dict()))
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", lambda name: other)
    assert read_weights("imagenet").origin == "imagenet"
    assert read_weights("./imagenet").origin == "imagenet"  # the path
    assert read_weights("./imagenet").normalization == "torch"
    assert read_weights(Path("imagenet")).normalization == "torch"


@pytest.mark.parametrize(
    ("name", "near"), [("timm/a1", "timm/a1_in1k"), ("imagnet", "imagenet"), ("resnet", "resnet50 weights list")]
)
def test_an_unknown_name_gets_the_nearest_or_where_they_are_listed(name, near):
    with raises(ValueError, repr(name), near, "ResNet", *SUFFIXES):
        read_weights(name)


@pytest.mark.parametrize("name", ["gone.h5", "gone.keras", "a/gone.safetensors", "gone.pth", "gone.pt", "gone.bin"])
def test_a_missing_file_is_named(name):
    with raises(FileNotFoundError, name, "ResNet", *SUFFIXES):
        read_weights(name)


def test_a_missing_path_is_no_name():
    with raises(FileNotFoundError, "imagenet", "ResNet", *SUFFIXES):
        read_weights(Path("imagenet"))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused(wrong, path):
    tensors = state_dict()
    tensors["layer1.0.conv1.weight"][2, 3] = wrong
    path.write_bytes(safetensors(tensors))
    with raises(ValueError, path, "conv2_block1_1_conv", "NaN"):
        read_weights(path)


def test_a_classifiers_file_names_its_classes(tmp_path):
    path = tmp_path / "a.keras"
    classifier(class_names=("x", "y", "z")).save(path)
    assert read_weights(path).class_names == ("x", "y", "z")


def test_metadata_without_end_are_refused(tmp_path):
    path = tmp_path / "a.keras"
    classifier().save(path)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the archive has such a member already
        archive.writestr("resnet50.json", b" " * (METADATA_BYTES + 1))
    with raises(ValueError, path, 16):
        read_weights(path)


def test_a_published_classifier_has_the_classes_of_imagenet(path, monkeypatch):
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", lambda name: path)
    assert read_weights("imagenet").class_names[:2] == ("tench", "goldfish")
    assert read_weights("imagenet-notop").class_names is None
