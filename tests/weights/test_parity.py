"""Weights of the PyTorch world mean the same here, to the logits; without PyTorch, and beside it where it is installed.

golden.npz holds what transformers', torchvision's and timm's ResNet-50 answered under random weights; make_golden.py
made it, and draws the same weights and images here. Everything is the whole network: only that one is published.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np
import pytest

from factories import fill_random, noise
from resnet50.build import build_resnet50
from resnet50.weights import load_weights, save_weights
from torch_files import write_legacy_pth, write_pth, write_safetensors

_spec = importlib.util.spec_from_file_location("make_golden", Path(__file__).with_name("make_golden.py"))
make_golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(make_golden)

TOLERANCE = 1e-4
SIZES = ["224x224", "97x131", "64x64"]
STAGE_ENDS = ["pool1_pool", "conv2_block3_out", "conv3_block4_out", "conv4_block6_out", "conv5_block3_out", "avg_pool"]


class Network(NamedTuple):
    """The classifier, and a model of the same layers that also tells what leaves each stage."""

    classifier: keras.Model
    taps: keras.Model

    def run(self, pixels: np.ndarray) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
        """Return every stage's end, the logits (without a softmax that would have to be undone) and probabilities."""
        *maps, probabilities = map(keras.ops.convert_to_numpy, self.taps(pixels))
        kernel, bias = self.classifier.get_layer("predictions").get_weights()
        return maps, maps[-1] @ kernel + bias, probabilities


def network(weights: Path) -> Network:
    """Build it around a file of weights, which alone decides conventions and normalization."""
    classifier = build_resnet50(1000, input_shape=(None, None, 3), weights=weights)
    ends = [classifier.get_layer(name).output for name in STAGE_ENDS]
    return Network(classifier, keras.Model(classifier.inputs[0], [*ends, *classifier.outputs]))


def difference(actual: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference in terms of the largest number expected."""
    assert actual.shape == expected.shape
    return float(np.abs(actual - expected).max() / np.abs(expected).max())


@contextmanager
def must_come_back(model: keras.Model) -> Iterator[None]:
    """Take a model's weights away; what happens in this context must bring back every bit of them."""
    before = model.get_weights()
    model.set_weights([np.full_like(array, 0.25) for array in before])
    try:
        yield
        for weight, value in zip(model.weights, before, strict=True):
            np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), value, err_msg=weight.path)
    finally:
        model.set_weights(before)


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    data = path.read_bytes()
    start = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:start])
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            kind = {"F32": "<f4", "I64": "<i8"}[entry["dtype"]]
            arrays[name] = np.frombuffer(data[start + begin : start + end], kind).reshape(entry["shape"])
    return arrays


# --------------------------------------------------------------------------------------------- against golden numbers


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return make_golden.state_dict()


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    return make_golden.images()


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(make_golden.GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def ours(arrays, tmp_path_factory) -> Network:
    """The network around a torchvision file; a test that changes its weights brings them back."""
    return network(write_safetensors(tmp_path_factory.mktemp("weights") / "model.safetensors", arrays))


def test_these_are_the_weights_and_images_of_the_golden_numbers(arrays, images, golden):
    assert make_golden.digest(arrays | images) == golden["digest"]


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_golden_logits(size, ours, images, golden):
    _, logits, probabilities = ours.run(images[size])
    expected = golden[f"{size} logits"]
    assert difference(logits, expected) < TOLERANCE
    exponentials = np.exp(expected - expected.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, exponentials / exponentials.sum(axis=1, keepdims=True), rtol=2e-3)


@pytest.mark.parametrize("size", SIZES)
def test_golden_numbers_after_each_stage(size, ours, images, golden):
    maps, _, _ = ours.run(images[size])
    for name, actual, mean, values in zip(
        STAGE_ENDS, maps, golden[f"{size} means"], golden[f"{size} samples"], strict=True
    ):
        assert actual.mean(dtype="float64") == pytest.approx(mean, rel=TOLERANCE), name
        assert difference(make_golden.samples(actual), values) < TOLERANCE, name


@pytest.mark.parametrize(
    ("write", "rename"),
    [
        (write_pth, dict),
        (write_legacy_pth, dict),
        (write_safetensors, make_golden.hugging_face),
        (write_pth, make_golden.hugging_face),
    ],
    ids=["torchvision-pth", "torchvision-legacy-pth", "hugging-face-safetensors", "hugging-face-pth"],
)
def test_another_file_of_the_same_arrays_gives_the_same_weights(write, rename, ours, arrays, tmp_path):
    suffix = "safetensors" if write is write_safetensors else "pth"
    path = write(tmp_path / f"model.{suffix}", rename(arrays))
    with must_come_back(ours.classifier):
        load_weights(ours.classifier, path)


def test_saving_gives_back_every_array(ours, arrays, tmp_path):
    save_weights(ours.classifier, tmp_path / "saved.safetensors", layout="torchvision")
    saved = read_safetensors(tmp_path / "saved.safetensors")
    assert saved.keys() == arrays.keys()
    for name, array in saved.items():
        assert (array.dtype, array.shape) == (arrays[name].dtype, arrays[name].shape), name
        if not name.endswith("num_batches_tracked"):  # Keras does not count them, and PyTorch only trains by them
            np.testing.assert_array_equal(array, arrays[name], err_msg=name)


# ------------------------------------------------------------------------------------ live, against PyTorch's networks


@pytest.fixture(scope="module", params=["transformers", "torchvision", "timm"])
def theirs(request, arrays):
    """A publisher's network with the same weights, and where its stages end."""
    pytest.importorskip("torch")
    if importlib.util.find_spec("torchvision"):
        make_golden.import_torchvision()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their own making
        pytest.importorskip(request.param)
        return make_golden.NETWORKS[request.param](arrays)


def test_live_logits_and_every_value_of_every_stage(theirs, ours):
    pixels = noise(2, 75, 110, 3, seed=8)
    maps, logits, _ = ours.run(pixels)
    their_maps, their_logits = make_golden.run(*theirs, pixels, "float32")
    assert difference(logits, their_logits) < TOLERANCE
    for name, actual, expected in zip(STAGE_ENDS, maps, their_maps, strict=True):
        assert difference(actual, expected.reshape(actual.shape)) < TOLERANCE, name


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_live_files_of_torch_save_give_the_same_weights(zipped, theirs, ours, tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(theirs[0].state_dict(), tmp_path / "theirs.pth", _use_new_zipfile_serialization=zipped)
    with must_come_back(ours.classifier):
        load_weights(ours.classifier, tmp_path / "theirs.pth")


@pytest.mark.parametrize("theirs", ["transformers"], indirect=True)
def test_live_folder_of_save_pretrained_gives_the_same_weights(theirs, ours, tmp_path):
    theirs[0].save_pretrained(tmp_path)
    with must_come_back(ours.classifier):
        load_weights(ours.classifier, tmp_path / "model.safetensors")


@pytest.mark.parametrize("theirs", ["torchvision", "timm"], indirect=True)
def test_live_saved_weights_open_in_their_network(theirs, ours, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    save_weights(ours.classifier, tmp_path / "ours.safetensors", layout="torchvision")
    fresh = copy.deepcopy(theirs[0])
    for tensor in fresh.state_dict().values():
        tensor.zero_()
    fresh.load_state_dict(safetensors.load_file(tmp_path / "ours.safetensors"), strict=True)
    pixels = noise(1, 64, 83, 3, seed=9)
    _, logits = make_golden.run(fresh, [], pixels, "float32")
    assert difference(ours.run(pixels)[1], logits) < TOLERANCE


# ------------------------------------------------------------------------- Keras' own network, through its own files


@pytest.fixture(scope="module")
def keras_network() -> keras.Model:
    """keras.applications' network for images of any size, up to the logits, and no weight as it was initialized."""
    anything = keras.Input((None, None, 3))
    model = keras.applications.ResNet50(weights=None, input_tensor=anything, classifier_activation=None)
    fill_random(model, 7)
    # variances about as small as epsilon, or another epsilon would pass
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            variance = (variance - 0.5) ** 16
            deviation = np.sqrt(variance + 1e-5)
            layer.set_weights([gamma, beta, mean * deviation, variance])
            convolution = model.get_layer(layer.name.removesuffix("bn") + "conv")
            convolution.set_weights([array * deviation for array in convolution.get_weights()])
    return model


def keras_logits(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    x = keras.applications.resnet.preprocess_input(pixels.astype("float32"))
    return keras.ops.convert_to_numpy(model([x]))  # a list, as keras.applications has it


def write_as_keras_publishes(model: keras.Model, path: Path) -> Path:
    """Write the layout of Keras' ImageNet files, by Keras' own code."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


@pytest.fixture(scope="module")
def published(keras_network, tmp_path_factory) -> Network:
    """Ours around the file that Keras would publish of those weights."""
    return network(write_as_keras_publishes(keras_network, tmp_path_factory.mktemp("keras") / "published.h5"))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_logits_of_keras_applications(size, keras_network, published, images):
    assert difference(published.run(images[size])[1], keras_logits(keras_network, images[size])) < TOLERANCE


@pytest.mark.slow
def test_weights_that_keras_saves_today_are_the_same(keras_network, published, tmp_path):
    keras_network.save_weights(tmp_path / "theirs.weights.h5")
    with must_come_back(published.classifier):
        load_weights(published.classifier, tmp_path / "theirs.weights.h5")


@pytest.mark.parametrize("name", ["back.h5", "back.weights.h5"])
def test_keras_applications_loads_what_we_save(name, keras_network, published, tmp_path):
    save_weights(published.classifier, tmp_path / name, layout="keras")
    with must_come_back(keras_network):
        keras_network.load_weights(tmp_path / name)
