"""Writing weights for others: exact, atomic, in the very layout that Keras and PyTorch's world expect."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from factories import fill_random, noise, raises
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.model import ResNet50, Stage
from resnet50.weights import load_weights, read_weights, save_weights

SHAPE = (40, 48, 3)
TABLE = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))


def network(conventions=V1_5, **options) -> keras.Model:
    return build_resnet50(3, input_shape=SHAPE, stages=TABLE, conventions=conventions, **options)


def assert_same(actual: keras.Model, expected: keras.Model) -> None:
    ours, theirs = (
        {layer.name: layer.get_weights() for layer in m.layers if layer.weights} for m in (actual, expected)
    )
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        assert all(map(np.array_equal, ours[name], values)), name


def header_of(path: Path) -> dict:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])


def number(path: Path, name: str) -> np.ndarray:
    data = path.read_bytes()
    entry = header_of(path)[name]
    start = 8 + struct.unpack("<Q", data[:8])[0]
    begin, end = entry["data_offsets"]
    return np.frombuffer(data[start + begin : start + end], "<f4").reshape(entry["shape"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layout", "conventions"),
    [
        ("w.safetensors", "torchvision", V1_5),
        ("w.h5", "keras", V1_5),
        ("w.h5", "keras", V1),
        ("w.weights.h5", "keras", V1_5),
        ("w.weights.h5", "keras", V1),
    ],
)
@pytest.mark.parametrize("normalization", ["symmetric", "caffe", "torch"])
def test_a_round_trip_is_exact(name, layout, conventions, normalization, tmp_path):
    model = fill_random(network(conventions, normalization=normalization), 1)
    save_weights(model, tmp_path / name, layout=layout)
    file = read_weights(tmp_path / name)
    assert (file.layout, file.normalization, file.conventions.name) == (layout, normalization, conventions.name)
    again = build_resnet50(3, input_shape=SHAPE, stages=TABLE, weights=tmp_path / name)
    assert_same(again, model)
    pixels = noise(2, *SHAPE)
    np.testing.assert_allclose(np.asarray(again(pixels)), np.asarray(model(pixels)), rtol=1e-5, atol=1e-7)
    other = fill_random(network(conventions, normalization=normalization), 2)
    report = load_weights(other, tmp_path / name)
    assert (report.kept, report.unused) == ({}, {})
    (note,) = report.notes
    assert "classes" in note  # these files do not name theirs
    assert_same(other, model)


def test_a_state_dict_has_torchvisions_names_shapes_and_numbers(tmp_path):
    model = fill_random(network(), 1)
    save_weights(model, str(tmp_path / "w.safetensors"))
    header = header_of(tmp_path / "w.safetensors")
    assert header.pop("__metadata__") == {"format": "pt", "resnet50.normalization": "symmetric"}
    shapes = {
        "conv1.weight": [64, 3, 7, 7],
        "bn1.running_var": [64],
        "layer1.0.downsample.0.weight": [16, 64, 1, 1],
        "layer1.1.conv2.weight": [6, 4, 3, 3],
        "layer2.0.bn2.num_batches_tracked": [],
        "layer2.0.downsample.1.bias": [24],
        "fc.weight": [3, 24],
        "fc.bias": [3],
    }
    assert {name: header[name]["shape"] for name in shapes} == shapes
    assert len(header) == 12 + 12 * 5 + 2  # convolutions, batch norms, the classifier
    for name, entry in header.items():
        assert entry["dtype"] == ("I64" if name.endswith("num_batches_tracked") else "F32"), name
    kernel = model.get_layer("conv2_block2_2_conv").get_weights()[0]
    np.testing.assert_array_equal(
        number(tmp_path / "w.safetensors", "layer1.1.conv2.weight"), kernel.transpose(3, 2, 0, 1)
    )
    mean = model.get_layer("conv3_block1_0_bn").get_weights()[2]
    np.testing.assert_array_equal(number(tmp_path / "w.safetensors", "layer2.0.downsample.1.running_mean"), mean)


@pytest.mark.slow
def test_a_bare_network_without_top_has_no_head_and_no_normalization(tmp_path):
    model = fill_random(ResNet50((32, 40, 3), include_top=False, conventions=V1_5), 1)
    save_weights(model, tmp_path / "w.safetensors")
    header = header_of(tmp_path / "w.safetensors")
    assert header["__metadata__"] == {"format": "pt"}
    assert not [name for name in header if name.startswith("fc")]
    assert read_weights(tmp_path / "w.safetensors").normalization == "torch"


@pytest.mark.slow
def test_keras_applications_opens_the_legacy_layout(tmp_path):
    model = fill_random(build_resnet50(7, input_shape=(32, 40, 3), conventions=V1, normalization="caffe"), 1)
    save_weights(model, tmp_path / "w.h5", layout="keras")
    theirs = keras.applications.ResNet50(weights=str(tmp_path / "w.h5"), input_shape=(32, 40, 3), classes=7)
    assert_same(theirs, model)
    with h5py.File(tmp_path / "w.h5") as file:
        assert [name.decode() for name in file.attrs["layer_names"]] == [layer.name for layer in model.layers]
        assert list(file["conv1_bn"].attrs["weight_names"]) == [
            b"conv1_bn/gamma:0",
            b"conv1_bn/beta:0",
            b"conv1_bn/moving_mean:0",
            b"conv1_bn/moving_variance:0",
        ]
        assert list(file["conv1_relu"].attrs["weight_names"]) == []
        assert file.attrs["resnet50.normalization"] == "caffe"


@pytest.mark.parametrize("head", ["mlp", "norm", "flatten"])
def test_other_heads_go_into_keras_layout_only(head, tmp_path):
    model, other = (fill_random(network(head=head), seed) for seed in (1, 2))
    save_weights(model, tmp_path / "w.h5", layout="keras")
    load_weights(other, tmp_path / "w.h5")
    assert_same(other, model)
    with raises(ValueError, "w.safetensors", "torchvision", "head_", "layout='keras'"):
        save_weights(model, tmp_path / "w.safetensors")


def test_frozen_layers_are_written_in_the_same_order(tmp_path):
    model, other = (fill_random(network(), seed) for seed in (1, 2))
    model.trainable = False
    for name, layout in (("w.h5", "keras"), ("w.safetensors", "torchvision")):
        save_weights(model, tmp_path / name, layout=layout)
        load_weights(fill_random(other, 3), tmp_path / name)
        assert_same(other, model)


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("biased", [True, False])
def test_the_network_of_v1_does_not_fit_torchvision(biased, tmp_path):
    from dataclasses import replace

    model = network(replace(V1, use_bias=biased))
    with raises(ValueError, "w.safetensors", "torchvision", "conventions", "layout='keras'") as caught:
        save_weights(model, tmp_path / "w.safetensors")
    assert {"v1", "v1.5"} <= set(re.findall(r"\bv[\d.]*\d\b", str(caught.value)))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "layout", "values"),
    [
        ("w.pth", "torchvision", ("w.pth", "torchvision", ".safetensors")),
        ("w.h5", "torchvision", ("w.h5", "torchvision", ".safetensors")),
        ("w.safetensors", "keras", ("w.safetensors", "keras", ".h5")),
        ("w.keras", "keras", ("w.keras", "keras", ".h5")),
        ("w.h5", "timm", ("layout", "torchvision", "keras", "'timm'")),
    ],
)
def test_names_and_layouts_that_do_not_fit_are_refused(name, layout, values, tmp_path):
    with raises(ValueError, *values):
        save_weights(network(), tmp_path / name, layout=layout)


def test_another_model_is_refused(tmp_path):
    x = keras.Input((4,))
    with raises(ValueError, "conv1_conv", "conv1_bn", "other"):
        save_weights(keras.Model(x, keras.layers.Dense(2, name="other")(x)), tmp_path / "w.h5", layout="keras")


@pytest.mark.parametrize(
    ("name", "layout"), [("w.safetensors", "torchvision"), ("w.h5", "keras"), ("w.weights.h5", "keras")]
)
def test_a_failure_leaves_the_old_file(name, layout, tmp_path, monkeypatch):
    (tmp_path / name).write_bytes(b"old")

    def fail(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("resnet50.weights.save.save_file", fail)
    monkeypatch.setattr("resnet50.weights.save.h5py.File", fail)
    with raises(OSError, "no space left on device"):
        save_weights(network(), tmp_path / name, layout=layout)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [(name, b"old")]


def test_blocks_of_two_convolutions_go_and_come_in_every_layout(tmp_path):
    stages = (Stage("conv2", 2, (6, 64), 1), Stage("conv3", 1, (7, 24), 2))
    options = {"input_shape": SHAPE, "stages": stages, "conventions": V1_5}
    model = fill_random(build_resnet50(3, **options), 1)
    for name, layout in (("w.safetensors", "torchvision"), ("w.h5", "keras"), ("w.weights.h5", "keras")):
        save_weights(model, tmp_path / name, layout=layout)
        again = build_resnet50(3, **options | {"weights": tmp_path / name, "conventions": None})
        for layer in model.layers:
            for ours, theirs in zip(layer.get_weights(), again.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(ours, theirs, err_msg=layer.name)
    names = {name for name in header_of(tmp_path / "w.safetensors") if name.endswith("weight")}
    blocks = ("layer1.0", "layer1.1", "layer2.0")
    expected = {f"{block}.{part}{n}.weight" for block in blocks for part in ("conv", "bn") for n in (1, 2)}
    expected |= {
        "conv1.weight",
        "bn1.weight",
        "fc.weight",
        "layer2.0.downsample.0.weight",
        "layer2.0.downsample.1.weight",
    }
    assert names == expected


@pytest.mark.parametrize(("form", "values"), [("plain", ("plain",)), ("preactivation", ("post_bn",))])
def test_other_forms_have_no_names_in_torchvision_and_come_back_from_keras(form, values, tmp_path):
    model = fill_random(network(V1_5, form=form), 1)
    with raises(ValueError, tmp_path / "w.safetensors", "torchvision", "layout='keras'", *values):
        save_weights(model, tmp_path / "w.safetensors")
    save_weights(model, tmp_path / "w.h5", layout="keras")
    again = build_resnet50(3, input_shape=SHAPE, stages=TABLE, weights=tmp_path / "w.h5", form=form)
    assert all(map(np.array_equal, model.get_weights(), again.get_weights()))
    with raises(ValueError, "w.h5"):
        build_resnet50(3, input_shape=SHAPE, stages=TABLE, weights=tmp_path / "w.h5")
