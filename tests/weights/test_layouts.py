"""PyTorch's names and axes against a list written out here, and every kin of ResNet-50 that is not it."""

from __future__ import annotations

import numpy as np
import pytest

from factories import raises
from resnet50.weights.layouts import (
    HUGGING_FACE,
    TORCHVISION,
    UnfitFileError,
    describe_network,
    from_bfloat16,
    from_state_dict,
    to_state_dict,
)

DEPTHS = (3, 4, 6, 3)
KINDS = ("weight", "bias", "running_mean", "running_var")
# ours, torchvision's, Hugging Face's; from their sources
EXAMPLES = [
    ("conv1_conv", "conv1", "embedder.embedder.convolution"),
    ("conv1_bn", "bn1", "embedder.embedder.normalization"),
    ("conv2_block1_0_conv", "layer1.0.downsample.0", "encoder.stages.0.layers.0.shortcut.convolution"),
    ("conv2_block1_0_bn", "layer1.0.downsample.1", "encoder.stages.0.layers.0.shortcut.normalization"),
    ("conv2_block3_1_conv", "layer1.2.conv1", "encoder.stages.0.layers.2.layer.0.convolution"),
    ("conv3_block4_2_bn", "layer2.3.bn2", "encoder.stages.1.layers.3.layer.1.normalization"),
    ("conv4_block6_3_conv", "layer3.5.conv3", "encoder.stages.2.layers.5.layer.2.convolution"),
    ("conv5_block1_3_bn", "layer4.0.bn3", "encoder.stages.3.layers.0.layer.2.normalization"),
    ("conv4_block23_1_conv", "layer3.22.conv1", "encoder.stages.2.layers.22.layer.0.convolution"),
    ("predictions", "fc", "classifier.1"),
]


def tiny() -> dict[str, np.ndarray]:
    """A network of one block, by torchvision's names; all numbers random, no two sizes equal but those that must be."""
    rng = np.random.default_rng(0)
    shapes = {
        "conv1": (5, 3, 7, 7),
        "layer1.0.conv1": (2, 5, 1, 1),
        "layer1.0.conv2": (4, 2, 3, 3),
        "layer1.0.conv3": (6, 4, 1, 1),
        "layer1.0.downsample.0": (6, 5, 1, 1),
    }
    norms = {"bn1": 5, "layer1.0.bn1": 2, "layer1.0.bn2": 4, "layer1.0.bn3": 6, "layer1.0.downsample.1": 6}
    tensors = {f"{name}.weight": rng.normal(0, 1, shape) for name, shape in shapes.items()}
    tensors.update({f"{name}.{kind}": rng.normal(0, 1, width) for name, width in norms.items() for kind in KINDS})
    tensors |= {"fc.weight": rng.normal(0, 1, (8, 6)), "fc.bias": rng.normal(0, 1, 8)}
    tensors = {name: tensor.astype("float32") for name, tensor in tensors.items()}
    return tensors | {f"{name}.num_batches_tracked": np.array(7) for name in norms}


def hugging_face(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = {theirs: f"resnet.{other}" for _, theirs, other in EXAMPLES[:4]} | {"fc": "classifier.1"}
    for k in (1, 2, 3):
        names[f"layer1.0.conv{k}"] = f"resnet.encoder.stages.0.layers.0.layer.{k - 1}.convolution"
        names[f"layer1.0.bn{k}"] = f"resnet.encoder.stages.0.layers.0.layer.{k - 1}.normalization"
    return {f"{names[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": t for name, t in tensors.items()}


@pytest.mark.parametrize(("ours", "torchvision", "theirs"), EXAMPLES)
def test_names_there_and_back(ours, torchvision, theirs):
    assert TORCHVISION.layer(torchvision) == HUGGING_FACE.layer(theirs) == ours
    assert (TORCHVISION.module(ours), HUGGING_FACE.module(ours)) == (torchvision, theirs)


@pytest.mark.parametrize(
    "name", ["layer1.0.conv4", "layer01.0.conv1", "layer1.0", "layer1.0.se.fc1", "fc1", "layerx.0.bn1"]
)
def test_other_names_have_no_layer(name):
    assert TORCHVISION.layer(name) is None
    assert HUGGING_FACE.layer(name) is None


def test_our_other_layers_have_no_module():
    assert [TORCHVISION.module(name) for name in ("head_bn", "conv2_block1_4_conv", "normalization")] == [None] * 3


def test_axes_and_kinds():
    tensors = tiny()
    layout, arrays, unused = from_state_dict(tensors)
    assert (layout, unused, len(arrays)) == ("torchvision", {}, 11)
    (kernel,) = arrays["conv2_block1_2_conv"]
    assert kernel.shape == (3, 3, 2, 4)
    assert kernel[0, 2, 1, 3] == tensors["layer1.0.conv2.weight"][3, 1, 0, 2]
    dense, bias = arrays["predictions"]
    assert dense.shape == (6, 8)
    assert dense[4, 7] == tensors["fc.weight"][7, 4]
    np.testing.assert_array_equal(bias, tensors["fc.bias"])
    for actual, kind in zip(arrays["conv2_block1_0_bn"], KINDS, strict=True):
        np.testing.assert_array_equal(actual, tensors[f"layer1.0.downsample.1.{kind}"])


def test_hugging_face_is_the_same_network():
    _, expected, _ = from_state_dict(tiny())
    for rename in (lambda name: name, lambda name: name.removeprefix("resnet.")):
        layout, arrays, unused = from_state_dict({rename(n): t for n, t in hugging_face(tiny()).items()})
        assert (layout, unused) == ("hugging-face", {})
        assert arrays.keys() == expected.keys()
        for name, values in expected.items():
            assert all(map(np.array_equal, arrays[name], values)), name


def test_there_and_back_is_the_same_to_the_bit():
    tensors = tiny()
    back = to_state_dict(from_state_dict(tensors)[1])
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked"):
            assert (back[name].dtype, back[name].shape, back[name]) == (np.int64, (), 0)
        else:
            assert back[name].dtype == np.float32
            assert back[name].flags.c_contiguous
            np.testing.assert_array_equal(back[name], tensor, err_msg=name)


def test_a_layer_without_a_name_in_torchvision_is_refused():
    with raises(ValueError, "head_bn", "torchvision"):
        to_state_dict({"head_bn": (np.zeros(3),) * 4})


@pytest.mark.parametrize("prefix", ["module.", "model.", "module.model.", "backbone.", "_orig_mod.", "0."])
def test_whatever_stands_before_every_name_is_dropped(prefix):
    _, expected, _ = from_state_dict(tiny())
    _, arrays, unused = from_state_dict({prefix + name: tensor for name, tensor in tiny().items()})
    assert (arrays.keys(), unused) == (expected.keys(), {})


def test_a_head_may_stand_outside_the_prefix():
    tensors = {n if n.startswith("fc.") else f"backbone.{n}": t for n, t in tiny().items()}
    assert "predictions" in from_state_dict(tensors)[1]


def test_tensors_outside_the_network_are_listed():
    more = {"queue": np.zeros(3), "projection_head.0.weight": np.zeros((2, 2)), "fc.extra.weight": np.zeros(1)}
    unused = from_state_dict(tiny() | more)[2]
    assert unused.keys() == more.keys()
    assert all("ResNet" in reason for reason in unused.values())


@pytest.mark.parametrize("kind", ["float16", "float64", "float32"])
def test_every_float_becomes_float32(kind):
    tensors = {name: tensor.astype(kind) for name, tensor in tiny().items()}
    for values in from_state_dict(tensors)[1].values():
        assert {value.dtype for value in values} == {np.dtype("float32")}


def test_bfloat16_is_the_upper_half_of_float32():
    bits = np.array([0x3F80, 0xC000, 0x0001, 0x7F80, 0x8000], "uint16")
    np.testing.assert_array_equal(from_bfloat16(bits), np.array([1, -2, 2.0**-133, np.inf, -0.0], "float32"))


# ------------------------------------------------------------------------------------------------------------ refusals


FIRST = ("layer1.0.conv1.weight", "encoder.stages.0.layers.0.layer.0.convolution.weight")


def changed(**changes: np.ndarray | None) -> dict[str, np.ndarray]:
    tensors = tiny() | {name: tensor for name, tensor in changes.items() if tensor is not None}
    return {name: tensor for name, tensor in tensors.items() if changes.get(name, 0) is not None}


@pytest.mark.parametrize(
    ("tensors", "values"),
    [
        (changed(**{"layer1.0.bn3.running_var": None}), ("layer1.0.bn3.running_var",)),
        (changed(**{"fc.weight": None}), ("fc.weight",)),
        (changed(**{"layer1.0.bn1.weight": np.array([1, 2])}), ("layer1.0.bn1.weight", "int64")),
        (changed(**{"conv1.weight": np.zeros((5, 3, 7))}), ("conv1.weight", (5, 3, 7), 4)),
        (changed(**{"fc.weight": np.zeros((8, 6, 1, 1))}), ("fc.weight", (8, 6, 1, 1), 2)),
        (changed(**{"conv1.0.weight": np.zeros(3)}), ("conv1.0.weight", "ResNet-D")),
        (changed(**{"layer1.0.se.fc1.weight": np.zeros(3)}), ("layer1.0.se.fc1.weight", "squeeze", "ResNet")),
        (changed(**{f"layer1.{n}.conv4.weight": np.zeros(3) for n in range(17)}), ("layer1.0.conv4.weight", 17)),
        (changed(**{"layer1.0.downsample.2.weight": np.zeros(3)}), ("layer1.0.downsample.2.weight",)),
        (changed(**{"conv1.weight_orig": np.zeros(3)}), ("conv1.weight_orig",)),
        ({"stages.0.blocks.0.norm1.weight": np.zeros(3)}, ("stages.0.blocks.0.norm1.weight", "ResNet-V2")),
        ({f"embed.{n}": np.zeros(3) for n in range(17)}, (*FIRST, "embed.0", "embed.1", 17)),
        ({}, FIRST),
        (tiny() | {f"ema.{n}": t for n, t in tiny().items()}, (2, "''", "'ema.'")),
        (tiny() | hugging_face(tiny()), (2, "''", "'resnet.'")),
        ({f"m.{n}": t for n, t in tiny().items()} | {"fc.bias": np.zeros(8)}, ("fc.bias",)),
    ],
)
def test_what_is_no_resnet_50_is_refused_in_words(tensors, values):
    with raises(UnfitFileError, *values):
        from_state_dict(tensors)


@pytest.mark.parametrize(
    ("depths", "width", "inputs", "expected"),
    [
        ((3, 4, 6, 3), 64, 64, ["ResNet-50"]),
        ((3, 4, 23, 3), 64, 64, ["ResNet-101", "23", "conv4"]),
        ((3, 8, 36, 3), 64, 64, ["ResNet-152", "36", "conv4"]),
        ((3, 4, 6, 3), 128, 128, ["Wide ResNet", "128"]),
        ((3, 4, 6, 3), 128, 4, ["ResNeXt", "32"]),
    ],
)
def test_networks_are_recognized_by_depth_and_width(depths, width, inputs, expected):
    shapes = {}
    for stage, blocks in enumerate(depths, 2):
        for block in range(1, blocks + 1):
            shapes[f"conv{stage}_block{block}_1_conv"] = [(1, 1, 64, width)]
            shapes[f"conv{stage}_block{block}_2_conv"] = [(3, 3, inputs, width)]
            shapes[f"conv{stage}_block{block}_3_conv"] = [(1, 1, width, 256)]
    described = describe_network(shapes)
    assert [value for value in expected if value not in described] == []


def test_basic_blocks_and_v2_are_recognized_by_names():
    basic = describe_network({"conv2_block1_1_conv": [(3, 3, 64, 64)], "conv2_block1_2_conv": [(3, 3, 64, 64)]})
    assert "ResNet-18" in basic
    assert "ResNet-34" in basic
    assert "ResNet-V2" in describe_network({"conv2_block1_preact_bn": [(64,)] * 4})
    assert "ResNet-V2" in describe_network({"post_bn": [(64,)] * 4})


@pytest.mark.parametrize(
    "shapes",
    [
        {"conv2_block1_1_conv": [(3,)], "other": [()]},
        {f"conv2_block1_{part}_conv": [(1, 1, 6, 6)] for part in (1, 2, 3)},
    ],
)
def test_another_network_has_no_name(shapes):
    assert describe_network(shapes) is None
