"""What read_weights makes of a name, a path and a file, beyond what the tests of each layout show."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

import resnet50.weights.read
from factories import raises
from resnet50.blocks import V1, V1_5
from resnet50.weights import WeightsFile, read_weights

SUFFIXES = (".h5", ".weights.h5", ".keras", ".safetensors", ".pth", ".pt", ".bin")
KINDS = {"float32": "F32", "float16": "F16", "int64": "I64"}


def state_dict() -> dict[str, np.ndarray]:
    """As little as shows what it is: the first block's first kernel, and a head."""
    rng = np.random.default_rng(0)
    shapes = {"layer1.0.conv1.weight": (4, 5, 1, 1), "fc.weight": (3, 4), "fc.bias": (3,)}
    return {name: rng.normal(0, 1, shape).astype("float32") for name, shape in shapes.items()}


def safetensors(tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None, kinds=KINDS) -> bytes:
    """Return a length, a header of names and places, and the numbers."""
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, tensor in tensors.items():
        places = [len(data), len(data) + tensor.nbytes]
        header[name] = {"dtype": kinds[tensor.dtype.name], "shape": tensor.shape, "data_offsets": places}
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
def test_a_file_of_ours_says_its_normalisation(metadata, expected, path):
    path.write_bytes(safetensors(state_dict(), metadata))
    assert read_weights(path).normalization == expected


def test_half_precision_and_bfloat16(path):
    halves = {name: tensor.astype("float16") for name, tensor in state_dict().items()}
    path.write_bytes(safetensors(halves))
    for name, tensor in halves.items():
        if name == "fc.weight":
            np.testing.assert_array_equal(read_weights(path).arrays["predictions"][0], tensor.T.astype("float32"))
    cut = {name: (tensor.view("uint32") >> 16).astype("uint16") for name, tensor in state_dict().items()}
    path.write_bytes(safetensors(cut, kinds={"uint16": "BF16"}))
    expected = (cut["fc.bias"].astype("uint32") << 16).view("float32")
    np.testing.assert_array_equal(read_weights(path).arrays["predictions"][1], expected)
    assert read_weights(path).arrays["predictions"][1].dtype == np.float32


@pytest.mark.parametrize("share", [0.02, 0.3, 0.99])
def test_a_truncated_safetensors_file_is_refused(share, path):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with raises(ValueError, path, "ResNet-50", *SUFFIXES):
        read_weights(path)


@pytest.mark.parametrize(
    "header", [b"{", b"{}x", b'{"a": 1}', b'{"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}']
)
def test_a_safetensors_file_of_nonsense_is_refused(header, path):
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with raises(ValueError, path, "ResNet-50", "SafetensorError"):
        read_weights(path)


# -------------------------------------------------------------------------------------------------------------- names


def test_a_published_name_is_fetched_and_says_what_its_publisher_says(path, monkeypatch):
    asked = []
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", lambda name: asked.append(name) or path)
    file = read_weights("timm/a1_in1k")
    assert asked == ["timm/a1_in1k"]
    assert (file.origin, file.layout, file.normalization) == ("timm/a1_in1k", "torchvision", "torch")
    assert file.conventions == V1_5.from_scratch()
    file = read_weights("imagenet")  # whose conventions and normalisation are others, whatever the file looks like
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
    ("name", "near"), [("timm/a1", "timm/a1_in1k"), ("imagnet", "imagenet"), ("resnet", "imagenet")]
)
def test_an_unknown_name_is_told_those_that_are_near(name, near):
    with raises(ValueError, repr(name), near, "ResNet-50", *SUFFIXES):
        read_weights(name)


@pytest.mark.parametrize("name", ["gone.h5", "gone.keras", "a/gone.safetensors", "gone.pth", "gone.pt", "gone.bin"])
def test_a_missing_file_is_named(name):
    with raises(FileNotFoundError, name, "ResNet-50", *SUFFIXES):
        read_weights(name)


def test_a_missing_path_is_no_name():
    with raises(FileNotFoundError, "imagenet", "ResNet-50", *SUFFIXES):
        read_weights(Path("imagenet"))
