"""The range test: on a real tiny network, and on losses that are written here."""

from __future__ import annotations

import itertools
import math
from dataclasses import FrozenInstanceError
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from factories import raises, tiny_model
from resnet50.data.augmentation import Augmentation
from resnet50.training import fitting, lr_finder
from resnet50.training.lr_finder import LearningRateCurve, find_learning_rate


@pytest.fixture
def steps_seen(monkeypatch):
    """Play losses in place of training; keep what each step was given: rate, images, targets and weights."""
    seen = []

    def play(losses):
        left = iter(losses)

        def train_on_batch(self, images, targets, sample_weight=None, *, return_dict):
            rate = float(keras.ops.convert_to_numpy(self.optimizer.learning_rate))
            seen.append((self, rate, images, targets, sample_weight))
            return {"loss": next(left)}

        monkeypatch.setattr(keras.Model, "train_on_batch", train_on_batch)
        return seen

    return play


@pytest.mark.slow
def test_a_real_network_learns_and_is_lost_in_the_end(tiny_recipe, images):
    done = []
    recipe = tiny_recipe.change(batch_size=16)
    curve = find_learning_rate(
        recipe, images.train, lowest=1e-5, highest=1e5, steps=60, progress=lambda *how_far: done.append(how_far)
    )
    assert 10 < len(curve.rates) == len(curve.losses) < 60  # the highest rates are never reached
    np.testing.assert_allclose(curve.rates, [1e-5 * 10 ** (k * 10 / 59) for k in range(len(curve.rates))], rtol=1e-6)
    assert all(math.isfinite(loss) for loss in curve.losses)
    assert min(curve.losses) < curve.losses[0] - 0.1
    assert curve.losses[-1] > 4 * min(curve.losses)
    assert 1e-4 < curve.suggestion < 10
    assert curve.suggestion in curve.rates
    assert done == [(k + 1, 60) for k in range(len(curve.rates))]
    assert curve == find_learning_rate(recipe, images.train, lowest=1e-5, highest=1e5, steps=60)


@pytest.mark.slow
def test_the_first_loss_is_that_of_the_recipes_fresh_network_on_its_first_batch(tiny_recipe, images):
    curve = find_learning_rate(tiny_recipe, images.train, lowest=1e-9, highest=1e-8, steps=10)
    # fresh, it can only guess among six classes, and what it says is near to even
    assert curve.losses[0] == pytest.approx(math.log(6), rel=0.5)
    other = find_learning_rate(tiny_recipe.change(seed=4), images.train, lowest=1e-9, highest=1e-8, steps=10)
    assert other.losses != curve.losses


def test_losses_are_averaged_without_a_bias_towards_zero(tiny_recipe, images, steps_seen):
    steps_seen([2.0, 1.0, 4.0] + [3.0] * 7)
    curve = find_learning_rate(tiny_recipe, images.train, lowest=1e-3, highest=1.0, steps=10)
    # (0.95 * 2 + 1) / 1.95 and (0.9025 * 2 + 0.95 * 1 + 4) / 2.8525
    assert curve.losses[:3] == pytest.approx((2.0, 1.487179, 2.368098), rel=1e-6)
    assert len(curve.losses) == 10


def test_every_step_has_its_rate_and_the_next_full_batch_of_the_recipe(tiny_recipe, images, steps_seen):
    recipe = tiny_recipe.change(batch_size=20, beta_2=0.95, label_smoothing=0.2)
    training = images.train
    seen = steps_seen([1.0] * 10)
    find_learning_rate(recipe, training, lowest=1e-3, highest=1.0, steps=10)
    rates = [rate for _, rate, *_ in seen]
    assert rates == pytest.approx([10 ** (-3 + k / 3) for k in range(10)], rel=1e-5)
    assert {len(images) for _, _, images, *_ in seen} == {20}  # of 48 images two full batches an epoch
    assert len({images.tobytes() for _, _, images, *_ in seen}) == 10  # each epoch has its own order and changes
    assert all((images.dtype, weights) == (np.uint8, None) for _, _, images, _, weights in seen)
    for _, _, images, _, _ in seen:
        assert not any((images == image).all(axis=(1, 2, 3)).any() for image in training.images)  # augmented
    model = seen[0][0]
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    assert model.optimizer.beta_2 == 0.95
    assert model.loss.label_smoothing == 0.2


def test_a_batch_size_above_the_number_of_images_takes_all_of_them(tiny_recipe, images, steps_seen):
    seen = steps_seen([1.0] * 10)
    find_learning_rate(tiny_recipe.change(batch_size=100), images.train, steps=10)
    assert {len(images) for _, _, images, *_ in seen} == {48}


def test_all_batches_are_taken_where_training_makes_them_of_one_size(tiny_recipe, images, monkeypatch):
    for module in (fitting, lr_finder):
        monkeypatch.setattr(module, "compiles_each_size", lambda: True)
    recipe = tiny_recipe.change(batch_size=20, augmentation=Augmentation())
    (*epoch, again) = itertools.islice(lr_finder._endless(recipe, images.train), 4)
    assert [len(targets) for _, targets in (*epoch, again)] == [16] * 4
    assert len({image.tobytes() for pixels, _ in epoch for image in pixels}) == len(
        {image.tobytes() for image in images.train.images}
    )


def test_held_out_images_are_not_looked_at(tiny_recipe, images, steps_seen):
    seen = steps_seen([1.0] * 10)
    find_learning_rate(tiny_recipe.change(batch_size=100, validation_split=0.25), images.train, steps=10)
    assert {len(images) for _, _, images, *_ in seen} == {36}


def test_mixing_and_weights_are_the_recipes(tiny_recipe, images, steps_seen):
    seen = steps_seen([1.0] * 10)
    training = images.train.select(range(40))  # seven images of some classes, six of others
    find_learning_rate(tiny_recipe.change(mixup=1.0, class_weight="balanced"), training, steps=10)
    assert all(weights.shape == (8,) for *_, weights in seen)
    assert len({float(weight) for *_, weights in seen for weight in weights}) > 2
    assert any(0 < value < 1 for _, _, _, targets, _ in seen for value in targets.ravel())


def test_the_network_is_that_of_the_recipe_with_its_weights_and_what_it_freezes(
    tiny_recipe, images, steps_seen, tmp_path
):
    pretrained = tiny_model(6, size=(32, 32), head="mlp")
    pretrained.save_weights(tmp_path / "pretrained.weights.h5")
    recipe = tiny_recipe.change(
        head="mlp",
        stages=(("conv2", 2, (4, 6, 16), 1), ("conv3", 2, (5, 7, 24), 2)),
        weights=str(tmp_path / "pretrained.weights.h5"),
        normalization="symmetric",
        trainable="conv3",
        freeze_batch_norm=True,
        weight_decay=0.25,
        schedule="one-cycle",
        warmup_epochs=1,
    )
    seen = steps_seen([1.0] * 10)
    find_learning_rate(recipe, images.train, steps=10)
    model = seen[0][0]
    for name in ("conv1_conv", "conv3_block2_3_bn", "head_dense_512"):
        for weight, expected in zip(
            model.get_layer(name).get_weights(), pretrained.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_array_equal(weight, expected)
    trainable = [
        model.get_layer(name).trainable for name in ("conv2_block2_3_conv", "conv3_block1_1_conv", "conv3_block1_1_bn")
    ]
    assert trainable == [False, True, False]
    assert max(model.optimizer.decays) == 0.25


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_ends_the_curve(tiny_recipe, images, steps_seen, lost):
    seen = steps_seen([2.0] * 12 + [lost] + [2.0] * 20)
    curve = find_learning_rate(tiny_recipe, images.train, steps=30)
    assert len(curve.losses) == 12
    assert len(seen) == 13


def test_a_loss_of_four_times_its_best_ends_the_curve(tiny_recipe, images, steps_seen):
    seen = steps_seen([1.0] * 20 + [30.0] * 20)
    curve = find_learning_rate(tiny_recipe, images.train, steps=40)
    # 30 has a share of 0.05 / (1 - 0.95 ** 21) after one step and of 0.0975 / (1 - 0.95 ** 22) after two
    assert curve.losses[20:] == pytest.approx((3.198841, 5.179808), rel=1e-5)
    assert len(seen) == 22


@pytest.mark.slow
def test_the_suggestion_is_where_the_average_is_lowest(tiny_recipe, images, steps_seen):
    steps_seen([0.1] + [2.0] * 15 + [0.5] * 15 + [3.0] * 9)  # the first loss is an accident
    curve = find_learning_rate(tiny_recipe, images.train, lowest=1e-4, highest=1.0, steps=40)
    assert curve.suggestion == curve.rates[30] == pytest.approx(10 ** (-4 + 4 * 30 / 39))
    steps_seen([2.0] * 10)
    flat = find_learning_rate(tiny_recipe, images.train, lowest=1e-4, highest=1.0, steps=10)
    assert flat.suggestion in flat.rates


def test_a_network_that_is_lost_at_once_is_an_error(tiny_recipe, images, steps_seen):
    steps_seen([2.0] * 3 + [float("nan")])
    with raises(ValueError, 3, 0.01):
        find_learning_rate(tiny_recipe, images.train, lowest=1e-3, highest=1e7, steps=31)


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"lowest": 0.0}, ("lowest", "highest", 0.0, 1.0)),
        ({"lowest": 0.1, "highest": 0.1}, ("lowest", "highest", 0.1)),
        ({"highest": float("inf")}, ("lowest", "highest", 1e-6, "inf")),
        ({"lowest": float("nan")}, ("lowest", "highest", "nan", 1.0)),
        ({"steps": 9}, ("steps", 10, 9)),
    ],
)
def test_impossible_tests_are_refused(tiny_recipe, images, options, values):
    with raises(ValueError, *values):
        find_learning_rate(tiny_recipe, images.train, **options)


def test_images_of_another_size_are_refused(tiny_recipe, images):
    with raises(ValueError, "rendered signs", 33, "tiny", 32, "image_size"):
        find_learning_rate(tiny_recipe.change(image_size=33), images.train)


def test_a_curve_is_frozen():
    with pytest.raises(FrozenInstanceError):
        LearningRateCurve((0.1,), (1.0,), 0.1).suggestion = 1.0


def test_a_rate_is_that_of_all_batches_of_a_step(tiny_recipe, images, monkeypatch):
    used = []

    class Network:
        optimizer = SimpleNamespace(learning_rate=None)

        def train_on_batch(self, images, targets, return_dict):
            used.append(self.optimizer.learning_rate)
            return {"loss": float(len(used) % 3)}

    monkeypatch.setattr("resnet50.training.lr_finder._training_model", lambda recipe, classes: Network())
    recipe = tiny_recipe.change(gradient_accumulation_steps=3)
    curve = find_learning_rate(recipe, images.train, lowest=1e-3, highest=1.0, steps=10)
    assert used == [rate for rate in curve.rates for _ in range(3)]
    assert curve.losses == pytest.approx([1.0] * 10)
