"""A finished run that is trained on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import factories
from factories import raises
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.progress import Progress
from resnet50.training.train import resume, train


def same_weights(run, other):
    weights = (run.classifier.model.get_weights(), other.classifier.model.get_weights())
    return all((a == b).all() for a, b in zip(*weights, strict=True))


class Stop(Progress):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        self.weights = getattr(self, "weights", None) or self.model.get_weights()
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_a_further_phase_is_like_the_last():
    recipe = factories.tiny_recipe(epochs=20, warmup_epochs=2, swa_epochs=5, learning_rate=0.5)
    head = Phase(epochs=1, trainable="head")
    extended = recipe.change(phases=(head, recipe.last)).extended(10)
    assert extended.phases == (head, recipe.last, replace(recipe.last, epochs=10, warmup_epochs=1))
    assert (extended.swa_epochs, extended.epochs) == (2, 31)


@pytest.mark.slow
def test_a_run_that_is_trained_on_is_one_that_was_begun_with_both_phases(images, tmp_path):
    recipe = factories.tiny_recipe(epochs=2, validation_split=0.25, restore_best=True)
    whole = train(recipe.extended(3), images, out=tmp_path / "whole")
    train(recipe, images, out=tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run", images, epochs=5, progress=Stop(4))
    extended = resume(tmp_path / "run", images)  # the recipe has the further phase now
    assert same_weights(whole, extended)
    assert [row["epoch"] for row in extended.history] == [1, 2, 3, 4, 5]
    assert [row.get("phase") for row in extended.history] == [None, None, 2, 2, 2]
    assert [row["loss"] for row in extended.history] == [row["loss"] for row in whole.history]
    assert extended.folder.read().recipe == whole.folder.read().recipe
    assert [phase["epochs"] for phase in extended.classifier.recipe["phases"]] == [2, 3]


@pytest.mark.slow
def test_a_run_with_averaged_weights_goes_on_from_them(images, tmp_path):
    recipe = factories.tiny_recipe(epochs=4, swa_epochs=3)
    finished = train(recipe, images, out=tmp_path / "run")
    stop = Stop(5)
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run", images, epochs=6, progress=stop)
    for found, expected in zip(stop.weights, finished.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert len(resume(tmp_path / "run", images).history) == 6


@pytest.mark.slow
def test_a_run_that_ended_early_goes_on_from_where_it_ended(images, tmp_path):
    too_slow = {"trainable": "head", "learning_rate": 1e-12}  # the loss cannot fall
    recipe = factories.tiny_recipe(epochs=9, validation_split=0.25, patience=1, warmup_epochs=0, **too_slow)
    assert len(train(recipe, images, out=tmp_path / "run").history) == 2
    extended = resume(tmp_path / "run", images, epochs=3)
    assert [row["epoch"] for row in extended.history] == [1, 2, 3]


@pytest.mark.slow
def test_what_cannot_be_trained_on_is_refused_and_left_alone(images, tmp_path):
    recipe = factories.tiny_recipe(epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=Stop(1))
    before = (tmp_path / "run" / "recipe.json").read_text()
    with raises(ValueError, tmp_path / "run", 1, 2, 9, "resume") as refused:
        resume(tmp_path / "run", images, epochs=9)
    assert "--weights" not in str(refused.value)  # there is no model yet
    run = resume(tmp_path / "run", images)
    with raises(ValueError, tmp_path / "run", "above 2", "got 2"):
        resume(tmp_path / "run", images, epochs=2)
    run.folder.checkpoint.unlink()
    with raises(ValueError, tmp_path / "run", "checkpoint", "--weights"):
        resume(tmp_path / "run", images, epochs=9)
    assert (tmp_path / "run" / "recipe.json").read_text() == before


PROBE = LinearProbe(c_values=(0.1,))
LEFT_OUT = Phase(epochs=2, learning_rate=1e-4, min_error=1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("phases", "trained"),
    [
        ((PROBE, LEFT_OUT), [1]),
        ((PROBE, Phase(epochs=2, trainable="head", views=1), LEFT_OUT), [1, 2, 2]),
        ((Phase(epochs=1), LinearProbe(views=2, c_values=(0.1,)), LEFT_OUT), [1, 2]),
    ],
    ids=["probe", "head", "probe-last"],
)
def test_a_run_that_ended_without_its_last_phase_goes_on(images, tmp_path, phases, trained):
    recipe = factories.tiny_recipe(phases=phases, validation_split=0.25, restore_best=True)
    run = train(recipe, images, out=tmp_path / "run")
    assert [row["phase"] for row in run.history] == trained
    epochs = len(trained) + 2
    with raises(ValueError, tmp_path / "run", f"above {len(trained)}", f"got {len(trained)}"):
        resume(tmp_path / "run", images, epochs=len(trained))
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run", images, epochs=epochs, progress=Stop(epochs - 1))
    extended = resume(tmp_path / "run", images)
    further = len(phases) + 1
    assert [row["phase"] for row in extended.history] == [*trained, further, further]
    assert [row["epoch"] for row in extended.history] == list(range(1, epochs + 1))
    whole = train(recipe.extended(2), images, out=tmp_path / "whole")
    assert extended.folder.read().recipe == whole.folder.read().recipe
    assert same_weights(whole, extended)
    assert len(resume(tmp_path / "run", images, epochs=epochs + 1).history) == epochs + 1


@pytest.mark.slow
def test_a_run_that_lost_its_checkpoint_is_not_trained_anew(images, tmp_path):
    trained = Phase(epochs=1, learning_rate=1e-4)
    recipe = factories.tiny_recipe(phases=(PROBE, trained), validation_split=0.25)
    run = train(recipe, images, out=tmp_path / "run")
    run.folder.checkpoint.unlink()
    with raises(ValueError, tmp_path / "run", "checkpoint"):
        resume(tmp_path / "run", images, epochs=9)


@pytest.mark.slow
def test_a_run_stopped_before_a_phase_that_may_be_left_out_is_not_finished(images, tmp_path):
    class StopThere(Progress):
        def leave_out(self, phase, wrong):
            raise KeyboardInterrupt

    recipe = factories.tiny_recipe(phases=(PROBE, LEFT_OUT), validation_split=0.25)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=StopThere())
    with raises(ValueError, tmp_path / "run", "checkpoint"):
        resume(tmp_path / "run", images, epochs=9)


@pytest.mark.slow
def test_an_extension_that_cannot_begin_leaves_the_recipe_alone(images, tmp_path):
    model = tmp_path / "weights.keras"
    started = train(factories.tiny_recipe(epochs=1, warmup_epochs=0), images, out=tmp_path / "first")
    started.classifier.model.save(model)
    recipe = factories.tiny_recipe(phases=(PROBE, LEFT_OUT), validation_split=0.25, weights=str(model))
    run = train(recipe, images, out=tmp_path / "run")
    before = run.folder.recipe.read_text()
    model.rename(tmp_path / "elsewhere.keras")
    with raises(FileNotFoundError, model):
        resume(tmp_path / "run", images, epochs=9)
    assert run.folder.recipe.read_text() == before
