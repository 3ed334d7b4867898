"""Weights into a network: the whole backbone or nothing, the head where it fits, and a report that tells which."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from factories import fill_random, noise, raises
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.model import ResNet50, Stage
from resnet50.weights import WeightsFile, load_weights, read_weights
from resnet50.weights.transfer import TransferReport, adapt_kernel

SHAPE = (40, 48, 3)
TABLE = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))


def network(classes: int = 3, *, input_shape=SHAPE, stages=TABLE, conventions=V1_5, **options) -> keras.Model:
    return build_resnet50(classes, input_shape=input_shape, stages=stages, conventions=conventions, **options)


def weights_of(model: keras.Model) -> dict[str, tuple[np.ndarray, ...]]:
    return {layer.name: tuple(layer.get_weights()) for layer in model.layers if layer.weights}


def assert_same(actual, expected) -> None:
    assert actual.keys() == expected.keys()
    for name, values in expected.items():
        assert len(actual[name]) == len(values)
        assert all(map(np.array_equal, actual[name], values)), name


def as_file(model: keras.Model, **changes) -> WeightsFile:
    """What a file in torchvision's layout with this model's weights would be read as."""
    file = WeightsFile("some.pth", "torchvision", V1_5.from_scratch(), "symmetric", weights_of(model), {})
    return replace(file, **changes)


def refused(model: keras.Model, file: WeightsFile, *values: object, **options) -> str:
    before = weights_of(model)
    with raises(ValueError, *values) as caught:
        load_weights(model, file, **options)
    assert_same(weights_of(model), before)
    return str(caught.value)


def in_order(text: str, *values: str) -> bool:
    """Tell whether the values stand in a text, one after another."""
    return re.search(".*".join(map(re.escape, values)), text) is not None


@pytest.fixture
def source() -> keras.Model:
    return fill_random(network(), 1)


@pytest.fixture
def target() -> keras.Model:
    return fill_random(network(), 2)


# ------------------------------------------------------------------------------------------------------ what is loaded


def test_a_head_of_other_classes_is_not_loaded_though_it_fits(source, target):
    before = weights_of(target)
    file = as_file(source, class_names=("cats", "dogs", "cows"))
    report = load_weights(target, file, class_names=("ships", "planes", "cars"))
    head = "predictions"
    assert_same({head: weights_of(target)[head]}, {head: before[head]})
    assert set(report.kept) == {head}
    assert in_order(report.kept[head], "cats", "dogs", "ships", "planes")
    assert set(report.unused) == {"fc"}
    assert_same({"conv1_conv": weights_of(target)["conv1_conv"]}, {"conv1_conv": weights_of(source)["conv1_conv"]})


def test_a_head_of_the_same_classes_in_another_order_is_not_loaded(source, target):
    report = load_weights(target, as_file(source, class_names=("a", "b", "c")), class_names=("b", "a", "c"))
    assert set(report.kept) == {"predictions"}


def test_a_head_of_the_same_classes_is_loaded(source, target):
    report = load_weights(target, as_file(source, class_names=("a", "b", "c")), class_names=["a", "b", "c"])
    assert (report.kept, report.notes) == ({}, ())
    assert_same(weights_of(target), weights_of(source))


@pytest.mark.parametrize(("theirs", "ours"), [(None, ("a", "b", "c")), (("a", "b", "c"), None), (None, None)])
def test_where_classes_are_unknown_the_report_says_that_they_were_not_compared(theirs, ours, source, target):
    report = load_weights(target, as_file(source, class_names=theirs), class_names=ours)
    assert_same(weights_of(target), weights_of(source))
    (note,) = report.notes
    assert ("file" if theirs is None else "model") in note


def test_everything_fits(source, target):
    unused = {"queue": "no layer of ours"}
    report = load_weights(target, as_file(source, unused=unused))
    assert_same(weights_of(target), weights_of(source))
    assert report.loaded == tuple(weights_of(source))
    assert (report.kept, report.unused) == ({}, unused)
    assert (report.origin, report.layout) == ("some.pth", "torchvision")


def test_another_number_of_classes_keeps_the_models_head(source):
    target = fill_random(network(5), 2)
    head = weights_of(target)["predictions"]
    report = load_weights(target, as_file(source))
    assert_same(weights_of(target), weights_of(source) | {"predictions": head})
    assert (report.kept.keys(), report.unused.keys()) == ({"predictions"}, {"fc"})
    assert report.kept["predictions"] == report.unused["fc"]
    assert re.findall(r"\d+", report.unused["fc"]) == ["3", "5"]  # the file's, the model's
    assert report.loaded == tuple(name for name in weights_of(source) if name != "predictions")


@pytest.mark.parametrize(
    ("layout", "name"), [("torchvision", "fc"), ("hugging-face", "classifier.1"), ("keras", "predictions")]
)
def test_what_is_not_used_has_its_name_in_the_file(layout, name, source):
    report = load_weights(fill_random(network(5), 2), as_file(source, layout=layout))
    assert report.unused.keys() == {name}


def test_another_head_stays_as_a_whole(source):
    """Its classifier would even fit, behind a layer that the file's does not have."""
    target = fill_random(network(head="norm"), 2)
    head = {name: values for name, values in weights_of(target).items() if name in ("head_bn", "predictions")}
    assert len(head) == 2
    report = load_weights(target, as_file(source))
    assert_same(weights_of(target), weights_of(source) | head)
    assert (report.kept.keys(), report.unused.keys()) == ({"head_bn", "predictions"}, {"fc"})
    assert report.kept["head_bn"] != report.kept["predictions"] == report.unused["fc"]


def test_the_files_larger_head_is_not_used(target):
    source = fill_random(network(head="mlp"), 1)
    report = load_weights(target, as_file(source, layout="keras"))
    assert report.kept.keys() == {"predictions"}
    assert in_order(report.kept["predictions"], "[(128, 3), (3,)]", "[(24, 3), (3,)]")  # the file's, the model's
    assert report.unused["predictions"] == report.kept["predictions"]
    assert report.unused["head_dense_512"] == report.unused["head_dense_128"] != report.unused["predictions"]


def test_the_same_larger_head_is_loaded():
    source, target = (fill_random(network(head="mlp"), seed) for seed in (1, 2))
    assert load_weights(target, as_file(source)).kept == {}
    assert_same(weights_of(target), weights_of(source))


def test_a_network_without_top_takes_the_body(source):
    features = keras.Model(source.inputs, source.get_layer("avg_pool").output)
    target = fill_random(keras.models.clone_model(features), 2)
    report = load_weights(target, as_file(source))
    assert (report.kept, report.unused.keys()) == ({}, {"fc"})
    assert_same(weights_of(target), weights_of(features))


def test_a_file_without_a_head_leaves_the_models(source, target):
    head = weights_of(target)["predictions"]
    body = {name: values for name, values in weights_of(source).items() if name != "predictions"}
    report = load_weights(target, as_file(source, arrays=body))
    assert (report.kept.keys(), report.unused) == ({"predictions"}, {})
    assert_same(weights_of(target), body | {"predictions": head})


@pytest.mark.slow
def test_keras_applications_own_network_is_one():
    theirs = fill_random(keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 40, 3)), 1)
    mine = fill_random(ResNet50((32, 40, 3), include_top=False), 2)
    file = WeightsFile("x", "keras", V1.from_scratch(), "caffe", weights_of(mine), {})
    assert len(load_weights(theirs, file).loaded) == 106
    assert_same(weights_of(theirs), weights_of(mine))


# ------------------------------------------------------------------------------------------------------------ refusals


def test_one_shape_in_the_last_block_leaves_everything_as_it_was(source, target):
    name = "conv3_block1_3_conv"
    file = as_file(source, arrays=weights_of(source) | {name: (np.zeros((1, 1, 7, 25), "float32"),)})
    text = refused(target, file, "some.pth")
    assert in_order(text, name, "[(1, 1, 7, 24)]", "[(1, 1, 7, 25)]")  # the model's, the file's
    assert text.count("[") == 2  # no other layer is named


def test_other_conventions_are_named(source):
    refused(
        fill_random(network(conventions=V1), 2), as_file(source), "some.pth", 12, "v1.5", "biases", "conventions=V1_5"
    )


def test_a_stride_in_another_place_is_found_though_every_shape_fits(source):
    unbiased = fill_random(network(conventions=replace(V1, use_bias=False)), 2)
    values = ("some.pth", "v1.5", "3x3", "1x1", "conventions=V1_5")
    refused(unbiased, as_file(source), *values)
    refused(unbiased, as_file(source, layout="hugging-face"), *values)
    load_weights(unbiased, as_file(source, layout="keras"))  # such a file may be its own
    assert_same(weights_of(unbiased), weights_of(source))


def test_another_stem_is_named(source):
    text = refused(fill_random(network(stem="cifar"), 2), as_file(source), "some.pth", "conv1_conv", "stem")
    assert in_order(text, "7x7", "3x3")  # the file's, the model's
    assert text.count("[") == 2  # no other layer is named


@pytest.mark.parametrize(
    ("depths", "values"), [((3, 4, 23, 3), ("ResNet-101", 23, "conv4")), ((3, 8, 36, 3), ("ResNet-152", 36, "conv4"))]
)
def test_a_deeper_network_is_called_by_its_name(depths, values, target):
    arrays = {
        f"conv{stage}_block{block}_{part}_conv": (np.zeros((1, 1, 1, 1), "float32"),)
        for stage, blocks in enumerate(depths, 2)
        for block in range(1, blocks + 1)
        for part in (1, 2, 3)
    }
    refused(target, as_file(target, arrays=arrays), "some.pth", *values)


def test_basic_blocks_are_called_by_their_name(source, target):
    arrays = {name: values for name, values in weights_of(source).items() if "_3_" not in name}
    refused(target, as_file(source, arrays=arrays), "some.pth", "ResNet-18", "ResNet-34")


def test_a_model_of_other_layers_is_refused(source):
    x = keras.Input((4,))
    names = ("conv1_conv", "conv1_bn")
    refused(keras.Model(x, keras.layers.Dense(2, name="other")(x)), as_file(source), *names, "other")
    refused(keras.Model(x, x), as_file(source), *names)
    pixels = keras.Input(SHAPE)
    nested = keras.Model(pixels, keras.Sequential([source], name="nested")(pixels))
    refused(nested, as_file(source), *names, "nested")


def test_a_file_that_is_refused_is_not_loaded(target, tmp_path):
    before = weights_of(target)
    with raises(FileNotFoundError, tmp_path / "gone.pth", "ResNet"):
        load_weights(target, tmp_path / "gone.pth")
    assert_same(weights_of(target), before)


# ------------------------------------------------------------------------------------------------------ other channels


def test_one_channel_is_the_sum_of_three():
    kernel = np.random.default_rng(0).normal(0, 1, (7, 7, 3, 4)).astype("float32")
    adapted = adapt_kernel(kernel, 1)
    assert (adapted.shape, adapted.dtype) == ((7, 7, 1, 4), np.float32)
    np.testing.assert_allclose(adapted[:, :, 0], kernel[:, :, 0] + kernel[:, :, 1] + kernel[:, :, 2], rtol=1e-6)


@pytest.mark.parametrize(
    ("channels", "order"), [(2, [0, 1]), (4, [0, 1, 2, 0]), (5, [0, 1, 2, 0, 1]), (7, [0, 1, 2, 0, 1, 2, 0])]
)
def test_more_channels_repeat_the_three(channels, order):
    kernel = np.random.default_rng(0).normal(0, 1, (7, 7, 3, 4)).astype("float32")
    adapted = adapt_kernel(kernel, channels)
    assert (adapted.shape, adapted.dtype) == ((7, 7, channels, 4), np.float32)
    for place, channel in enumerate(order):
        np.testing.assert_allclose(adapted[:, :, place], kernel[:, :, channel] * 3 / channels, rtol=1e-6)


@pytest.mark.parametrize(("channels", "how"), [(1, "sum"), (4, "3/4")])
def test_a_stem_for_other_channels_is_adapted_when_asked(channels, how, source):
    target = fill_random(network(input_shape=(40, 48, channels), adapt_stem=True), 2)
    expected = weights_of(source) | {"conv1_conv": (adapt_kernel(weights_of(source)["conv1_conv"][0], channels),)}
    text = refused(target, as_file(source), "some.pth", "conv1_conv", "adapt_stem=True")
    assert str(channels) in text.partition("adapt_stem=True")[2]
    assert text.count("[") == 2  # no other layer is named
    report = load_weights(target, as_file(source, normalization="symmetric"), adapt_stem=True)
    note, _ = report.notes
    assert in_order(note, "conv1_conv", "3", str(channels), how)
    assert_same(weights_of(target), expected)


def test_a_kernel_for_bgr_meets_images_in_rgb_order(source):
    """An image of four channels is not flipped, so that its first, red, belongs to the file's last."""
    target = fill_random(network(input_shape=(40, 48, 4), adapt_stem=True, normalization="caffe"), 2)
    load_weights(target, as_file(source, normalization="caffe"), adapt_stem=True)
    (blue, green, red), *_ = np.moveaxis(weights_of(source)["conv1_conv"][0], 2, 0)[None]
    for place, plane in enumerate([red, green, blue, red]):
        actual = weights_of(target)["conv1_conv"][0][:, :, place]
        np.testing.assert_allclose(actual, plane * 3 / 4, rtol=1e-6)


def test_a_gray_image_gives_what_it_gives_as_rgb(source):
    """With the same mean for each channel it does exactly."""
    gray = network(input_shape=(40, 48, 1), adapt_stem=True)
    load_weights(gray, as_file(source), adapt_stem=True)
    pixels = noise(2, 40, 48, 1).astype("float32")
    np.testing.assert_allclose(
        np.asarray(gray(pixels)), np.asarray(source(np.repeat(pixels, 3, axis=-1))), rtol=1e-4, atol=1e-6
    )


def test_three_channels_are_not_adapted(source, target):
    report = load_weights(target, as_file(source, normalization="symmetric"), adapt_stem=True)
    assert not [note for note in report.notes if "adapted" in note]
    assert_same(weights_of(target), weights_of(source))


def test_weights_of_one_channel_are_not_adapted_to_three(target):
    gray = fill_random(network(input_shape=(40, 48, 1), adapt_stem=True), 1)
    text = refused(target, as_file(gray), "some.pth", adapt_stem=True)
    assert in_order(text, "conv1_conv", "[(7, 7, 3, 64)]", "[(7, 7, 1, 64)]")  # the model's, the file's
    assert text.count("[") == 2  # no other layer is named
    assert "adapt_stem" not in text  # it was tried


# ---------------------------------------------------------------------------------------------------------- the report


def test_another_normalization_than_the_models_warns(source, target):
    file = as_file(source, normalization="torch")
    with pytest.warns(UserWarning) as caught:
        note, _ = load_weights(target, file).notes
    assert in_order(note, "'symmetric'", "'torch'")  # the model's, the file's
    (warning,) = caught
    assert file.origin in str(warning.message)
    assert note in str(warning.message)
    assert not [note for note in load_weights(network(normalization="torch"), file).notes if "normalizes" in note]
    assert not [
        note for note in load_weights(target, replace(file, normalization="unknown")).notes if "normalizes" in note
    ]
    bare = keras.Model(target.get_layer("conv1_pad").input, target.output)
    assert not [note for note in load_weights(bare, file).notes if "normalizes" in note]


def test_a_report_reads_well():
    kept = {"head_bn": "reason one", "predictions": "reason two"}
    unused = {f"queue.{n}": "reason three" for n in range(6)} | {"fc": "reason four"}
    report = TransferReport("timm/a1_in1k", "torchvision", ("conv1_conv", "conv1_bn"), kept, unused, ("a note",))
    rows = [
        ("timm/a1_in1k", "torchvision", "2", "2", "7"),  # loaded, unchanged, not used
        ("unchanged", "head_bn", "reason one"),
        ("unchanged", "predictions", "reason two"),
        ("not used", "queue.0", "queue.1", "queue.2", "queue.3", "2", "reason three"),
        ("not used", "fc", "reason four"),
        ("note", "a note"),
    ]
    for line, values in zip(str(report).splitlines(), rows, strict=True):
        assert in_order(line, *values)
    assert "queue.4" not in str(report)
    assert json.loads(report.to_json()) == {
        "origin": "timm/a1_in1k",
        "layout": "torchvision",
        "loaded": ["conv1_conv", "conv1_bn"],
        "kept": kept,
        "unused": unused,
        "notes": ["a note"],
    }


def test_a_path_is_read_and_named(source, target, tmp_path):
    source.save(tmp_path / "w.keras")
    report = load_weights(target, tmp_path / "w.keras")
    assert (report.origin, report.layout) == (str(tmp_path / "w.keras"), "keras")
    assert load_weights(target, read_weights(Path(tmp_path / "w.keras"))) == report
