"""The feature map at which an answer is explained."""

from __future__ import annotations

import keras
import pytest
from keras import layers

from factories import raises
from resnet50.build import build_resnet50
from resnet50.graph.explained_map import find_explained_map
from resnet50.graph.network_graph import Graph, graph_of
from resnet50.model import STAGES, Stage

STAGES_OF_ONE = tuple(Stage(stage.name, 1, (4, 4, 16), stage.stride) for stage in STAGES)


@pytest.fixture(scope="module")
def graphs() -> dict[str, Graph]:
    """Networks with the paper's strides for images of any size, by the name of the stem."""
    return {
        stem: graph_of(build_resnet50(3, input_shape=(None, None, 3), stages=STAGES_OF_ONE, stem=stem))
        for stem in ("imagenet", "cifar")
    }


@pytest.mark.parametrize(
    ("stem", "size", "layer", "cells"),
    [
        ("imagenet", (224, 224), "conv5_block1_out", (7, 7)),
        ("imagenet", (128, 128), "conv5_block1_out", (4, 4)),
        ("imagenet", (127, 300), "conv4_block1_out", (8, 19)),
        ("imagenet", (300, 127), "conv4_block1_out", (19, 8)),
        ("imagenet", (64, 64), "conv4_block1_out", (4, 4)),
        ("imagenet", (63, 64), "conv3_block1_out", (8, 8)),
        ("imagenet", (32, 32), "conv3_block1_out", (4, 4)),
        ("cifar", (32, 32), "conv5_block1_out", (4, 4)),
    ],
)
def test_small_images_are_explained_at_an_earlier_stage(graphs, stem, size, layer, cells):
    found = find_explained_map(graphs[stem], below="predictions", image_size=size)
    assert (found.layer, found.cells) == (layer, cells)


def test_a_layer_can_be_named(graphs):
    found = find_explained_map(graphs["imagenet"], below="predictions", image_size=(64, 64), layer="conv3_block1_add")
    assert (found.layer, found.cells) == ("conv3_block1_add", (8, 8))


@pytest.mark.parametrize("layer", ["conv4_block1_2_relu", "predictions", "avg_pool", "image", "conv9"])
def test_every_path_must_cross_it(graphs, layer):
    with raises(ValueError, "'resnet14'", repr(layer), "conv5_block1_out, conv4_block1_out, conv3_block1_out"):
        find_explained_map(graphs["imagenet"], below="predictions", image_size=(64, 64), layer=layer)


def test_what_does_not_lead_to_the_scores_is_no_path():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="shared")(inputs)
    scores = layers.Dense(2, name="scores")(layers.Flatten()(layers.Conv2D(4, 3, name="own")(x)))
    other = layers.Conv2D(4, 3, name="other")(layers.Conv2D(3, 1)(inputs))
    graph = graph_of(keras.Model(inputs, [scores, other]))
    assert find_explained_map(graph, below="scores", image_size=(8, 8)).layer == "own"


def test_the_finest_map_where_all_are_coarse():
    inputs = keras.Input((8, 8, 3))
    x = layers.AveragePooling2D(4, name="second")(layers.Conv2D(4, 2, strides=1, name="first")(inputs))
    x = layers.Conv2D(4, 1, name="third")(layers.Conv2D(4, 1, strides=4, name="only")(x))
    graph = graph_of(keras.Model(inputs, layers.Dense(2, name="scores")(layers.Flatten()(x))))
    assert find_explained_map(graph, below="scores", image_size=(3, 3)).layer == "first"


def test_the_image_itself_is_no_feature_map():
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 16, strides=16, name="patches")(layers.ZeroPadding2D(1)(layers.Rescaling(1 / 255)(inputs)))
    graph = graph_of(keras.Model(inputs, layers.Dense(2, name="scores")(layers.Flatten()(x))))
    assert find_explained_map(graph, below="scores", image_size=(32, 32)).layer == "patches"
    with raises(ValueError, "'rescaling", "such as patches,"):
        find_explained_map(graph, below="scores", image_size=(32, 32), layer=graph.layers[1]["name"])


def test_a_network_without_positions_is_refused():
    inputs = keras.Input((8, 8, 3))
    graph = graph_of(keras.Model(inputs, layers.Dense(2, name="scores")(layers.Flatten()(inputs)), name="flat"))
    with raises(ValueError, "'flat'", "Grad-CAM", "(batch, h, w, k)"):
        find_explained_map(graph, below="scores", image_size=(8, 8))
