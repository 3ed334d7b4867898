"""Frozen is frozen, bit for bit, and what trains does move."""

from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from factories import noise, raises, tiny_model
from resnet50.conventions import V1_5
from resnet50.training.fast_cpu.precision import build_training_model
from resnet50.training.layer_groups import freeze, layer_groups, learning_rate_multipliers
from resnet50.training.optimizer import build_optimizer
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe

BACKBONE = ["conv1", "conv2", "conv3"]


def head_with_norm(features, classes):
    x = layers.GlobalAveragePooling2D(name="avg_pool")(features)
    x = layers.BatchNormalization(name="top_norm")(x)
    return layers.Dense(classes, activation="softmax", name="predictions")(x)


@pytest.fixture
def model():
    return tiny_model(5, size=(40, 32), seed=1, head=head_with_norm)


def home(name):
    """The layer group that a layer is in, by its name alone."""
    return name.split("_")[0] if name.startswith("conv") else "head"


def trained_for_two_steps(model, phase, precision):
    """Train the training model; return each layer's weights before and after."""
    training_model = build_training_model(model, precision)
    freeze(training_model, phase)
    recipe = Recipe(name="x", phases=(Phase(epochs=4),), weight_decay=0.1)
    training_model.compile(build_optimizer(recipe, phase, training_model, 2), keras.losses.CategoricalCrossentropy())
    before = {layer.name: layer.get_weights() for layer in training_model.layers if layer.weights}
    targets = np.eye(5, dtype="float32")[np.random.default_rng(0).integers(0, 5, 16)]
    training_model.fit(noise(16, 40, 32, 3), targets, batch_size=8, verbose=0)
    return {name: (old, training_model.get_layer(name).get_weights()) for name, old in before.items()}


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("phase", "trained"),
    [
        (Phase(epochs=1, trainable="head"), {"head"}),
        (Phase(epochs=1, trainable="conv3", layer_lr_decay=0.5), {"head", "conv3"}),
        (Phase(epochs=1, trainable="conv2"), {"head", "conv3", "conv2"}),
        (Phase(epochs=1), {"head", "conv3", "conv2", "conv1"}),
        (Phase(epochs=1, freeze_batch_norm=True), {"head", "conv3", "conv2", "conv1"}),
    ],
    ids=["head", "conv3", "conv2", "all", "statistics"],
)
def test_what_is_frozen_does_not_move_and_what_trains_does(model, phase, trained, precision):
    for name, (before, after) in trained_for_two_steps(model, phase, precision).items():
        frozen = home(name) not in trained or (phase.freeze_batch_norm and name.endswith("_bn"))
        moved = [not np.array_equal(old, new) for old, new in zip(before, after, strict=True)]
        # a bias in front of a batch norm that learns moves nothing, so that it does not learn
        idle = name.endswith("_conv") and len(moved) == 2 and not phase.freeze_batch_norm
        assert moved == [not frozen, *[not frozen and not idle] * (len(moved) - 1)], name


def test_what_follows_the_last_block_belongs_to_the_last_stage():
    conventions = replace(V1_5, stochastic_depth=0.2)
    groups = layer_groups(tiny_model(3, seed=None, form="preactivation", conventions=conventions))
    assert list(groups) == [*BACKBONE, "head"]
    names = [layer.name for layer in groups["conv3"]]
    assert names[-2:] == ["post_bn", "post_relu"]
    assert {"conv3_block1_drop", "conv3_block1_2_pad"} <= set(names)
    assert [layer.name for layer in groups["head"]] == ["image", "normalization", "avg_pool", "predictions"]


def test_freezing_again_undoes_what_was_frozen(model):
    freeze(model, Phase(epochs=1, trainable="head", freeze_batch_norm=True))
    freeze(model, Phase(epochs=1))
    assert all(layer.trainable for layer in model.layers)


def test_a_layer_group_that_is_not_there_is_refused(model):
    with raises(ValueError, "trainable", "head", "conv3", "conv2", "all", "'conv5'"):
        freeze(model, Phase(epochs=1, trainable="conv5"))


def test_the_layer_groups_of_a_network_are_its_stem_its_stages_and_the_rest(model):
    groups = layer_groups(model)
    assert list(groups) == [*BACKBONE, "head"]
    assert {"conv1_conv", "conv1_bn", "conv1_relu"} <= {layer.name for layer in groups["conv1"]}
    for name in ("conv2_block1_0_conv", "conv2_block1_2_bn", "conv2_block2_add", "conv2_block2_out"):
        assert model.get_layer(name) in groups["conv2"]
    assert {"avg_pool", "top_norm", "predictions"} <= {layer.name for layer in groups["head"]}
    assert sum(map(len, groups.values())) == len(model.layers)


def test_a_stage_learns_slower_than_the_one_above_it(model):
    multipliers = learning_rate_multipliers(model, Phase(epochs=1, layer_lr_decay=0.5, backbone_lr_multiplier=0.25))
    expected = {"head": 1.0, "conv3": 0.125, "conv2": 0.0625, "conv1": 0.03125}
    assert multipliers == [expected[home(weight.path.split("/")[0])] for weight in model.trainable_variables]


def test_frozen_weights_have_no_multiplier(model):
    phase = Phase(epochs=1, trainable="conv3", layer_lr_decay=0.5)
    freeze(model, phase)
    assert sorted(set(learning_rate_multipliers(model, phase))) == [0.5, 1.0]
    assert len(learning_rate_multipliers(model, phase)) == len(model.trainable_variables)
