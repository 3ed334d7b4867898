"""The forms of a block against their equations, written here in NumPy; networks of each form."""

from __future__ import annotations

import math
from dataclasses import replace

import keras
import numpy as np
import pytest

from factories import fill_random, raises
from oracles import image
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.forms import FORMS, Form, find_form
from resnet50.model import ResNet50, Stage

EPSILON = {"v1": 1.001e-5, "v1.5": 1e-5}
CONVENTIONS = {"v1": V1, "v1.5": V1_5}
BOTTLENECKS = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))
BASIC = (Stage("conv2", 2, (6, 16), 1), Stage("conv3", 1, (7, 24), 2))


def correlate(x: np.ndarray, weights: list[np.ndarray], stride: int) -> np.ndarray:
    kernel, *bias = (array.astype("float64") for array in weights)
    side = len(kernel)
    x = np.pad(x, ((0, 0), *[(side // 2, side // 2)] * 2, (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ijco->nhwo", seen, kernel) + (bias[0] if bias else 0)


def normalize(x: np.ndarray, weights: list[np.ndarray], kind: str) -> np.ndarray:
    gamma, beta, mean, variance = (array.astype("float64") for array in weights)
    return gamma * (x - mean) / np.sqrt(variance + EPSILON[kind]) + beta


def plain_oracle(x: np.ndarray, weights: dict[str, list[np.ndarray]], strides: list[int], kind: str) -> np.ndarray:
    for number, stride in enumerate(strides, 1):
        x = normalize(correlate(x, weights[f"b_{number}_conv"], stride), weights[f"b_{number}_bn"], kind)
        x = np.maximum(x, 0)
    return x


def preactivation_oracle(
    x: np.ndarray, weights: dict[str, list[np.ndarray]], strides: list[int], kind: str
) -> np.ndarray:
    y = x
    for number, stride in enumerate(strides, 1):
        y = np.maximum(normalize(y, weights[f"b_{number}_bn"], kind), 0)
        if number == 1 and "b_0_conv" in weights:
            x = correlate(y, weights["b_0_conv"], math.prod(strides))
        y = correlate(y, weights[f"b_{number}_conv"], stride)
    return x + y


ORACLES = {"plain": plain_oracle, "preactivation": preactivation_oracle}


def block(form: str, channels: int, filters: tuple[int, ...], *, fill: bool = True, **options) -> keras.Model:
    x = keras.Input((9, 8, channels))
    model = keras.Model(x, FORMS[form].block(x, filters, name="b", **options))
    return fill_random(model, 3) if fill else model


def weights_of(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
@pytest.mark.parametrize(("channels", "stride"), [(11, 1), (5, 1), (5, 2), (11, 2)])
@pytest.mark.parametrize("filters", [(4, 6, 11), (4, 11)])
@pytest.mark.parametrize("form", ["plain", "preactivation"])
def test_a_block_is_its_equation(form, filters, channels, stride, kind):
    model = block(form, channels, filters, stride=stride, conventions=CONVENTIONS[kind])
    strides = [1, stride, 1] if kind == "v1.5" and len(filters) == 3 else [stride, 1, 1][: len(filters)]
    x = image(2, 9, 8, channels)
    expected = ORACLES[form](x.astype("float64"), weights_of(model), strides, kind)
    assert expected.shape == (2, math.ceil(9 / stride), math.ceil(8 / stride), 11)
    np.testing.assert_allclose(np.asarray(model(x)), expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert ("b_0_conv" in weights_of(model)) == (form == "preactivation" and (channels, stride) != (11, 1))


@pytest.mark.parametrize("filters", [(4, 6, 11), (4, 11)])
def test_names_of_the_layers(filters):
    numbers = range(1, len(filters) + 1)
    units = {f"b_{n}_{part}" for n in numbers for part in ("conv", "bn", "relu")}
    names = {form: {layer.name for layer in block(form, 11, filters, fill=False).layers[1:]} for form in FORMS}
    assert names["preactivation"] == units | {"b_add"}
    assert names["plain"] == units - {f"b_{len(filters)}_relu"} | {"b_out"}
    assert names["residual"] == names["plain"] | {"b_add"}


@pytest.mark.parametrize("form", ["plain", "preactivation"])
def test_from_scratch_no_gamma_is_zero(form):
    """Without a shortcut nothing would be left; before a ReLU no gradient would come through."""
    for name, weights in weights_of(block(form, 11, (4, 11), conventions=V1.from_scratch(), fill=False)).items():
        assert name.endswith("_conv") or (weights[0] == 1).all()


def test_a_plain_block_refuses_stochastic_depth():
    with raises(ValueError, "b: ", "stochastic_depth", 0.2):
        block("plain", 11, (4, 11), conventions=replace(V1, stochastic_depth=0.2))


@pytest.mark.parametrize("form", ["plain", "preactivation"])
def test_blocks_refuse_in_words(form):
    with raises(ValueError, "b: ", "filters", "[4]"):
        block(form, 11, [4])
    with raises(ValueError, "b: ", "stride", 0):
        block(form, 11, (4, 11), stride=0)


@pytest.mark.parametrize("stages", [BOTTLENECKS, BASIC], ids=["bottlenecks", "basic"])
@pytest.mark.parametrize("form", list(FORMS))
def test_a_network_of_each_form(form, stages):
    model = build_resnet50(3, input_shape=(32, 40, 3), stages=stages, form=form)
    names = [layer.name for layer in model.layers]
    additions = [name for name in names if name.endswith("_add")]
    assert additions == ([] if form == "plain" else ["conv2_block1_add", "conv2_block2_add", "conv3_block1_add"])
    assert (names[-4:-2] == ["post_bn", "post_relu"]) == (form == "preactivation")
    assert model.name == ("resnet11" if stages is BOTTLENECKS else "resnet8")
    assert model(np.zeros((1, 32, 40, 3))).shape == (1, 3)


def test_stochastic_depth_rises_to_the_last_block():
    model = build_resnet50(
        3, input_shape=(32, 40, 3), stages=BOTTLENECKS, conventions=replace(V1, stochastic_depth=0.3)
    )
    drops = {layer.name: layer for layer in model.layers if layer.name.endswith("_drop")}
    assert [(name, pytest.approx(layer.rate)) for name, layer in drops.items()] == [
        ("conv2_block1_drop", 0.1),
        ("conv2_block2_drop", 0.2),
        ("conv3_block1_drop", 0.3),
    ]


def test_a_form_is_found_by_name_or_is_the_form_itself():
    own = Form("own", FORMS["plain"].block)
    assert find_form("plain") is FORMS["plain"]
    assert find_form(own) is own
    assert set(FORMS) == {"residual", "plain", "preactivation"}
    for build in (build_resnet50, ResNet50):
        with raises(ValueError, "form", "residual", "plain", "preactivation", "'dense'"):
            build(form="dense")
    with raises(ValueError, "conv2_block1", "stochastic_depth"):
        build_resnet50(3, stages=BASIC, form="plain", conventions=replace(V1, stochastic_depth=0.3))
