"""The geometry of feature maps against what moves them: bright rows and columns, and gradients."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest
from keras import layers

from factories import TINY_STAGES, noise, tiny_model
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.graph.geometry import FeatureMap, ReceptiveField, feature_maps
from resnet50.graph.network_graph import graph_of
from resnet50.metrics.gradients import gradient
from resnet50.model import STAGES, TABLE_1, Stage

THIN = tuple(Stage(stage.name, stage.blocks, (4, 4, 16), stage.stride) for stage in STAGES)


def open_up(model: keras.Model) -> keras.Model:
    """Let every pixel of a receptive field raise the output: positive kernels, and nothing else."""
    for layer in model.layers:
        values = {"kernel": 0.1, "depthwise_kernel": 1, "pointwise_kernel": 1, "gamma": 1, "moving_variance": 1}
        layer.set_weights([np.full(w.shape, values.get(w.name, 0), "float32") for w in layer.weights])
    return model


def seen(model: keras.Model, layer: str, cell: tuple[int, int], images: int = 1) -> list[tuple[int, int]]:
    """Return the first and the last row, and the first and the last column, of the gradient of a cell.

    Max pooling passes on the gradient of one pixel of each window, so that a small field needs several images.
    """
    network = keras.Model(model.input, model.get_layer(layer).output)
    image = noise(images, *model.input_shape[1:]).astype("float32") / 4 + 150
    slope = np.abs(gradient(lambda image: keras.ops.sum(network(image)[:, cell[0], cell[1]]), image)).sum(axis=(0, 3))
    places = [np.flatnonzero(slope.any(axis=1 - axis)) for axis in (0, 1)]
    return [(int(place[0]), int(place[-1])) for place in places]


def expected(found: FeatureMap, cell: tuple[int, int]) -> list[tuple[float, float]]:
    """Return the same from the geometry."""
    middles = [center + jump * k for center, jump, k in zip(found.field.center, found.field.jump, cell, strict=True)]
    halves = [(size - 1) / 2 for size in found.field.size]
    return [(middle - half, middle + half) for middle, half in zip(middles, halves, strict=True)]


@pytest.mark.parametrize("size", [(96, 99), (97, 104)], ids=str)
@pytest.mark.parametrize(
    "options",
    [
        {"conventions": V1},
        {"conventions": V1_5, "normalization": "caffe"},
        {"conventions": V1, "stem": "cifar", "normalization": "torch"},
        {"conventions": V1_5, "stem": "cifar"},
    ],
    ids=["v1", "v1.5", "v1-cifar", "v1.5-cifar"],
)
def test_a_cell_looks_where_the_geometry_says(options, size):
    model = open_up(tiny_model(seed=None, size=size, **options))
    maps = feature_maps(graph_of(model))
    for layer in ("conv2_block2_out", "conv3_block2_out"):
        cell = tuple(cells // 2 for cells in maps[layer].cells)
        assert maps[layer].cells == model.get_layer(layer).output.shape[1:3]
        assert seen(model, layer, cell, images=12) == expected(maps[layer], cell)


@pytest.mark.parametrize("length", [29, 30, 31])
@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2D(2, 3, strides=2, padding="same", use_bias=False, name="layer"),
        layers.Conv2D(2, (4, 5), strides=(3, 1), padding="same", use_bias=False, name="layer"),
        layers.Conv2D(2, (3, 2), dilation_rate=(2, 3), padding="same", use_bias=False, name="layer"),
        layers.Conv2D(2, 5, strides=3, use_bias=False, name="layer"),
        layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False, name="layer"),
        layers.SeparableConv2D(2, 3, use_bias=False, name="layer"),
        layers.AveragePooling2D(4, name="layer"),
        layers.MaxPooling2D(3, strides=2, padding="same", name="layer"),
        layers.ZeroPadding2D(((1, 4), (3, 0)), name="layer"),
        layers.Concatenate(name="layer"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_each_layer_against_the_pixels_that_move_its_cells(layer, length):
    layer = type(layer).from_config(layer.get_config())
    inputs = keras.Input((length, length + 1, 3))
    before = layers.Conv2D(2, 3, padding="same", use_bias=False)(inputs)
    wide = layers.Conv2D(2, 5, padding="same", use_bias=False)(inputs)
    x = layer([before, wide] if isinstance(layer, layers.Concatenate) else before)
    model = open_up(keras.Model(inputs, x))
    found = feature_maps(graph_of(model))["layer"]
    assert found.cells == model.get_layer("layer").output.shape[1:3]
    for axis, along in enumerate(moved_by(model)):
        inside = 0
        for k, pixels in enumerate(along.T):
            first, last = expected(found, (k, k))[axis]
            places = np.flatnonzero(pixels)
            if first >= 0 and last < len(pixels):
                assert (places[0], places[-1]) == (first, last)
                inside += 1
            else:
                assert not len(places) or first <= places[0] <= places[-1] <= last
        assert inside > 2


def moved_by(model: keras.Model) -> list[np.ndarray]:
    """Return which cells are moved by each bright row, and by each bright column, bool (pixels, cells)."""
    moved = []
    for axis in (1, 2):
        pixels = np.arange(model.input_shape[axis])
        images = np.zeros((len(pixels), *model.input_shape[1:]), "float32")
        images[(pixels, pixels) if axis == 1 else (pixels, slice(None), pixels)] = 255
        moved.append(model.predict(images, verbose=0).max(axis=(3 - axis, 3)) > 0)
    return moved


@pytest.mark.slow
@pytest.mark.parametrize(
    ("conventions", "size", "first", "last"),
    [(V1, (767, 768), 143, 625), (V1_5, (768, 770), 171, 597)],
    ids=["v1", "v1.5"],
)
def test_the_last_stage_by_the_gradient_of_a_cell_in_the_middle(conventions, size, first, last):
    model = open_up(build_resnet50(3, input_shape=(*size, 3), stages=THIN, conventions=conventions))
    assert seen(model, "conv5_block3_out", (12, 12)) == [(first, last)] * 2
    field = feature_maps(graph_of(model))["conv5_block3_out"].field
    assert field == ReceptiveField((last - first + 1,) * 2, (32, 32), (0.0, 0.0))
    assert (first + last) / 2 == 12 * 32


@pytest.mark.parametrize(
    ("conventions", "stem", "jumps", "sizes"),
    [
        (V1, "imagenet", (4, 8, 16, 32), (35, 99, 291, 483)),
        (V1_5, "imagenet", (4, 8, 16, 32), (35, 91, 267, 427)),
        (V1, "cifar", (1, 2, 4, 8), (9, 25, 73, 121)),
        (V1_5, "cifar", (1, 2, 4, 8), (9, 23, 67, 107)),
    ],
)
def test_every_stage_of_the_papers_network(conventions, stem, jumps, sizes):
    model = build_resnet50(3, input_shape=(None, None, 3), stages=THIN, conventions=conventions, stem=stem)
    graph = graph_of(model)
    for length in (None, 63, 64, 97):
        maps = feature_maps(graph, image_size=length and (length, 2 * length))
        for stage, jump, size in zip(THIN, jumps, sizes, strict=True):
            found = maps[f"{stage.name}_block{stage.blocks}_out"]
            assert found.field == ReceptiveField((size, size), (jump, jump), (0.0, 0.0))
            assert found.cells == ((-(-length // jump), -(-2 * length // jump)) if length else (None, None))
        assert "avg_pool" not in maps
        assert "predictions" not in maps


@pytest.mark.parametrize(("depth", "size"), [(18, 435), (34, 899), (101, 1027)])
def test_other_columns_of_table_1(depth, size):
    """Sizes of Araujo et al. 2019 for v1, and by hand for basic blocks."""
    stages = [replace(stage, filters=(4, 4, 16)[-len(stage.filters) :]) for stage in TABLE_1[depth]]
    maps = feature_maps(graph_of(build_resnet50(3, input_shape=(None, None, 3), stages=stages, conventions=V1)))
    last = maps[f"conv5_block{stages[-1].blocks}_out"]
    assert last.field == ReceptiveField((size, size), (32, 32), (0.0, 0.0))


@pytest.mark.parametrize("form", ["plain", "preactivation"])
@pytest.mark.parametrize("conventions", [V1, V1_5], ids=["v1", "v1.5"])
def test_every_form_looks_at_the_same_pixels(form, conventions):
    options = {"input_shape": (None, None, 3), "stages": TINY_STAGES}
    dropping = replace(conventions, stochastic_depth=0.2)
    usual = feature_maps(graph_of(build_resnet50(3, conventions=dropping, **options)))
    maps = feature_maps(graph_of(build_resnet50(3, conventions=conventions, form=form, **options)))
    last = "post_relu" if form == "preactivation" else "conv3_block2_out"
    assert list(maps)[-1] == last
    assert maps[last].field == usual["conv3_block2_out"].field


@pytest.mark.parametrize(
    "build",
    [
        lambda x: layers.UpSampling2D(2, name="unknown")(x),
        lambda x: layers.Conv2D(2, 3, strides=2, padding="same", data_format="channels_first", name="unknown")(x),
        lambda x: layers.Softmax(axis=1, name="unknown")(x),
        lambda x: layers.Add(name="unknown")([x, layers.GlobalAveragePooling2D(keepdims=True)(x)]),
    ],
)
def test_what_is_behind_an_unknown_layer_is_left_out(build):
    inputs = keras.Input((12, 12, 3))
    x = layers.Activation("relu", name="last")(build(layers.Activation("relu", name="first")(inputs)))
    maps = feature_maps(graph_of(keras.Model(inputs, x)))
    assert "first" in maps
    assert not {"unknown", "last"} & set(maps)


def test_padding_as_same_needs_the_size_of_the_image():
    inputs = keras.Input((None, None, 3))
    graph = graph_of(keras.Model(inputs, layers.Conv2D(2, 3, strides=2, padding="same", name="strided")(inputs)))
    assert "strided" not in feature_maps(graph)
    assert feature_maps(graph, image_size=(8, 9))["strided"].field.center == (1.0, 0.0)


def test_a_map_says_how_coarse_it_is():
    square = FeatureMap("conv4", (4, 6), ReceptiveField((9, 9), (16, 16), (0.0, 0.0)))
    assert str(square) == "conv4, 4 x 6 cells, 16 pixels apart"
    assert "1 pixel apart" in str(FeatureMap("a", (4, 6), ReceptiveField((1, 1), (1, 1), (0.0, 0.0))))
    assert "16 x 8 pixels apart" in str(FeatureMap("a", (4, 6), ReceptiveField((9, 9), (16, 8), (0.0, 0.0))))
    assert FeatureMap.from_dict(json.loads(json.dumps(asdict(square)))) == square


@pytest.mark.parametrize(
    ("cells", "jump", "size", "expected"),
    [
        ((4, 4), (32, 32), (128, 128), True),
        ((4, 4), (32, 32), (127, 200), False),
        ((4, 4), (32, 32), (200, 127), False),
        ((1, 1), (1, 1), (8, 8), False),
    ],
)
def test_four_cells_fit_beside_each_other(cells, jump, size, expected):
    assert FeatureMap("a", cells, ReceptiveField((9, 9), jump, (0.0, 0.0))).resolves(size) == expected
