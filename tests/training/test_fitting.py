"""Runs of several phases: linear probes, phases on stored features, and phases that are left out."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec

import keras
import numpy as np
import pytest

import factories
from factories import PLAIN_FIGURES, WITHOUT_TENSORFLOW, fill_random, jax_compiled_in
from resnet50.build import build_resnet50
from resnet50.conventions import V1_5
from resnet50.data.augmentation import Augmentation
from resnet50.inference.classifier import Classifier
from resnet50.model import Stage
from resnet50.training import features
from resnet50.training.divergence import DivergenceError
from resnet50.training.held_out import Misclassified
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.progress import EpochTable, Progress
from resnet50.training.train import resume, train

pytestmark = pytest.mark.slow  # trained runs

PROBE = LinearProbe(c_values=(0.01, 1.0))
HEAD = Phase(epochs=2, trainable="head", views=2, learning_rate=0.01)
UPPER = Phase(epochs=2, trainable="conv3", views=2, learning_rate=0.003)
ALL = Phase(epochs=2, learning_rate=0.001)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of random weights; those that a network begins with are others."""
    stages = [Stage(*row) for row in factories.tiny_recipe().stages]
    model = build_resnet50(5, input_shape=(32, 32, 3), stages=stages, conventions=V1_5, normalization="torch")
    path = tmp_path_factory.mktemp("pretrained") / "weights.keras"
    fill_random(model, 8).save(path)
    return str(path)


@pytest.fixture
def recipe(weights):
    return factories.tiny_recipe(
        weights=weights, validation_split=0.25, restore_best=True, phases=(PROBE, HEAD, UPPER, ALL)
    )


class Watch(Progress):
    """Record what a run shows, and the trainable weights after each phase."""

    def __init__(self):
        super().__init__()
        self.lines, self.left_out, self.began, self.reasons = [], [], [], []
        self.probes, self.gains, self.counts = [], [], []

    def say(self, line):
        self.lines.append(line)

    def leave_out(self, phase, wrong):
        self.left_out.append((phase, wrong))

    def begin_phase(self, phase, epoch, seconds=None, wrong=None):
        self.began.append((phase, epoch))
        self.reasons.append(wrong)

    def end_probe(self, epoch, c, scores):
        self.probes.append((epoch, c, scores))

    def end_phase(self, phase, before, after, *, best):
        self.gains.append((phase, before, after, best))

    @contextmanager
    def counted(self, step):
        yield lambda done, total: self.counts.append((done, total))


def weights_of(run):
    return run.classifier.model.get_weights()


def assert_same_run(run, expected):
    """Weights, figures and reports are the same, bit for bit; the time is not."""
    for found, value in zip(weights_of(run), weights_of(expected), strict=True):
        np.testing.assert_array_equal(found, value)
    assert without_seconds(run.history) == without_seconds(expected.history)
    assert run.classifier.metrics == expected.classifier.metrics
    assert run.report == expected.report
    thresholds = [each.classifier.thresholds and each.classifier.thresholds.to_bytes() for each in (run, expected)]
    assert thresholds[0] == thresholds[1]
    saved = [Classifier.load(each.folder.model) for each in (run, expected)]
    assert saved[0].metrics == saved[1].metrics
    for one, other in zip(saved[0].model.get_weights(), weights_of(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def without_seconds(history):
    return [{name: value for name, value in row.items() if name != "seconds"} for row in history]


def phase_of_best(history, *, last):
    """Return the phase of the epoch that validated best up to a phase; of equal accuracies the lower loss counts."""
    rows = [row for row in history if row["phase"] <= last]
    return max(rows, key=lambda row: (round(row["val_accuracy"], 6), -row["val_loss"]))["phase"]


@pytest.fixture(scope="module")
def whole(weights, images, tmp_path_factory):
    """A run of four phases that nothing stops."""
    recipe = factories.tiny_recipe(
        weights=weights, validation_split=0.25, restore_best=True, phases=(PROBE, HEAD, UPPER, ALL)
    )
    watch = Watch()
    return train(recipe, images, out=tmp_path_factory.mktemp("runs") / "whole", progress=watch), watch


def test_phases_follow_one_another(whole):
    run, watch = whole
    assert watch.began == [(0, 0), (1, 1), (2, 3), (3, 5)]
    assert [(row["epoch"], row["phase"]) for row in run.history] == list(enumerate([1, 2, 2, 3, 3, 4, 4], 1))
    assert [epoch for epoch, _, _ in watch.probes] == [0]
    assert not watch.left_out
    assert [phase for phase, *_ in watch.gains] == [1, 2, 3]
    for phase, _, _, best in watch.gains:
        assert best is (phase_of_best(run.history, last=phase + 1) == phase + 1)
    assert not watch.lines  # each phase but the last, which trains all layers, is on stored features


def test_a_probe_has_a_row_of_the_history_without_a_learning_rate(whole):
    run, watch = whole
    rows = list(csv.DictReader(run.folder.history.read_text().splitlines()))
    assert rows[0]["learning_rate"] == ""
    assert all(float(row["learning_rate"]) >= 0 for row in rows[1:])
    scores = watch.probes[0][2]
    assert {name: float(rows[0][name]) for name in scores} == scores


def test_features_are_computed_once_for_all_phases(whole):
    """36 training and 12 validation images at the pooling; then a changed version of the 36; then conv2's output."""
    _, watch = whole
    blocks = [(32, 36), (36, 36)]
    assert watch.counts == [*blocks, (12, 12), *blocks, *blocks, *blocks, (12, 12)]


def test_the_best_epoch_of_all_phases_is_kept(whole, images):
    run, _ = whole
    best = max(run.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    held_out = run.folder.path / "checkpoints" / "best.keras"
    assert Classifier.load(held_out).metrics["val_accuracy"] == best["val_accuracy"]
    for found, expected in zip(Classifier.load(held_out).model.get_weights(), weights_of(run), strict=True):
        np.testing.assert_array_equal(found, expected)


class Cut(Progress):
    """Interrupt a run: where a phase begins, before an epoch, or before the n-th computation of features."""

    def __init__(self, *, phase=None, epoch=None, step=None):
        super().__init__()
        self.phase, self.epoch, self.step, self.steps = phase, epoch, step, 0

    def begin_phase(self, phase, epoch, seconds=None, wrong=None):
        if phase == self.phase:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt

    @contextmanager
    def counted(self, step):
        self.steps += 1
        if self.steps == self.step:
            yield self.interrupt
            raise KeyboardInterrupt
        yield lambda done, total: None

    def interrupt(self, done, total):
        raise KeyboardInterrupt


def test_an_interruption_at_every_place_and_an_empty_cache_change_nothing(whole, recipe, images, tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=Cut(step=1))
    on_features = ({"phase": 1}, {"step": 2}, {"epoch": 2}, {"step": 2}, {"epoch": 3}, {"epoch": 4})
    for cut in (*on_features, {"phase": 3}, {"epoch": 6}):
        with pytest.raises(KeyboardInterrupt):
            resume(tmp_path / "run", images, progress=Cut(**cut))
    watch = Watch()
    assert_same_run(resume(tmp_path / "run", images, progress=watch), whole[0])
    assert watch.gains == whole[1].gains[-1:]  # of the phase that was cut, compared with those before it
    assert not list((tmp_path / "cache").rglob(".partial-*"))


def test_a_finished_run_resumed_is_the_same(whole, images, tmp_path):
    shutil.copytree(whole[0].folder.path, tmp_path / "run")
    assert_same_run(resume(tmp_path / "run", images, progress=False), whole[0])


def test_a_phase_begins_with_the_best_epoch_of_those_before_it(recipe, images, tmp_path):
    learns, stays = (replace(HEAD, epochs=1, views=1, learning_rate=rate) for rate in (0.3, 1e-9))
    recipe = recipe.change(phases=(LinearProbe(c_values=(1e-7,)), learns, LinearProbe(c_values=(1e-7,)), stays))
    first, better, worse, last = train(recipe, images, out=tmp_path / "best", progress=False).history
    assert first["val_accuracy"] == worse["val_accuracy"] < better["val_accuracy"]
    assert last["val_accuracy"] == pytest.approx(better["val_accuracy"])
    *_, last = train(recipe.change(restore_best=False), images, out=tmp_path / "last", progress=False).history
    assert last["val_accuracy"] == pytest.approx(worse["val_accuracy"])


@pytest.mark.parametrize("probe_wins", [True, False])
def test_a_resumed_run_scores_as_it_would_have(recipe, images, tmp_path, probe_wins):
    """The best epoch may be one of an earlier process, on features that it had stored."""
    slow = Phase(epochs=3, trainable="head", views=1, learning_rate=1e-7 if probe_wins else 0.03)
    recipe = recipe.change(phases=(PROBE if probe_wins else LinearProbe(c_values=(1e-7,)), slow))
    expected = train(recipe, images, out=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=Cut(epoch=3))
    run = resume(tmp_path / "run", images, progress=False)
    assert_same_run(run, expected)
    assert run.report.from_features is not None


LEFT_OUT = {"phases": (LinearProbe(c_values=(1.0,)), Phase(epochs=2, learning_rate=1e-5, min_error=1.0))}


def test_a_phase_that_validation_leaves_out_is_recorded_as_such(recipe, images, tmp_path):
    watch = Watch()
    run = train(recipe.change(**LEFT_OUT), images, out=tmp_path / "run", progress=watch)
    assert watch.left_out == [(1, Misclassified(round(12 * (1 - run.history[0]["val_accuracy"])), 12))]
    assert watch.began == [(0, 0)]
    assert [row["phase"] for row in run.history] == [1]
    page = run.folder.page.read_text()
    assert "left out" in page
    assert "linear probe" in page
    assert not run.folder.checkpoint.exists()
    assert_same_run(resume(run.folder.path, images, progress=False), run)


def test_a_thorough_run_trains_what_validation_would_leave_out(recipe, images, tmp_path):
    watch = Watch()
    run = train(recipe.change(**LEFT_OUT).thorough(), images, out=tmp_path / "run", progress=watch)
    assert not watch.left_out
    assert [row["phase"] for row in run.history] == [1, 2, 2]
    assert "left out" not in run.folder.page.read_text()


@pytest.mark.parametrize("more", [0, -0.5])
def test_a_phase_is_left_out_at_its_error_and_not_below(whole, recipe, images, tmp_path, more):
    """The probe misclassifies a whole number of the 12 validation images."""
    wrong = round(12 * (1 - whole[0].history[0]["val_accuracy"]))
    assert 1 < wrong < 12
    watch = Watch()
    last = Phase(epochs=1, learning_rate=1e-5, min_error=(wrong + more) / 12)
    train(recipe.change(phases=(PROBE, last)), images, out=tmp_path / "run", progress=watch)
    assert watch.left_out == ([] if more else [(1, Misclassified(wrong, 12))])
    assert watch.reasons == ([None, Misclassified(wrong, 12)] if more else [None])


def test_a_probe_leaves_the_backbone_alone_and_fits_the_head(recipe, images, tmp_path):
    run = train(recipe.change(**LEFT_OUT), images, out=tmp_path / "run", progress=False)
    loaded = keras.saving.load_model(recipe.weights, compile=False)
    for layer in run.classifier.model.layers:
        if layer.weights and layer.name != "predictions":
            for found, expected in zip(layer.get_weights(), loaded.get_layer(layer.name).get_weights(), strict=True):
                np.testing.assert_array_equal(found, expected)
    assert run.history[0]["loss"] < np.log(6)  # of a head of zeros


def test_probes_alone_need_no_validation(recipe, images, tmp_path):
    recipe = recipe.change(
        phases=(LinearProbe(c_values=(100.0,)), Phase(epochs=1, trainable="head", views=1)),
        validation_split=0.0,
        restore_best=False,
    )
    run = train(recipe, images, out=tmp_path / "run", progress=False)
    assert set(run.history[0]) == {"epoch", "phase", "loss", "accuracy", "seconds"}


@pytest.mark.parametrize(
    ("phase", "options"),
    [(HEAD, {}), (UPPER, {"ema": 0.7}), (UPPER, {"swa_epochs": 2, "restore_best": False})],
    ids=["head", "conv3-ema", "conv3-swa"],
)
def test_stored_features_change_nothing_but_the_time(recipe, images, tmp_path, monkeypatch, phase, options):
    recipe = recipe.change(phases=(phase,), class_weight="balanced", **options)
    watch = Watch()
    stored = train(recipe, images, out=tmp_path / "stored", progress=watch)
    assert not watch.lines
    monkeypatch.setattr(features, "MOST_BYTES", 0)
    again = Watch()
    computed = train(recipe, images, out=tmp_path / "computed", progress=again)
    assert "GB" in again.lines[0]
    exact = phase is HEAD  # feature maps are stored in float16, and Adam's steps make much of little
    for one, other in zip(weights_of(stored), weights_of(computed), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5 if exact else 0.03)
    for one, other in zip(stored.history, computed.history, strict=True):
        assert one["val_loss"] == pytest.approx(other["val_loss"], rel=1e-4 if exact else 1e-2)
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-4 if exact else 1e-2)
    assert stored.report.from_features
    assert computed.report.from_features is None


def test_a_phase_that_computes_the_frozen_layers_again_says_why(recipe, images, tmp_path):
    watch = Watch()
    run = train(recipe.change(phases=(HEAD,), mixup=0.3), images, out=tmp_path / "run", progress=watch)
    (line,) = watch.lines
    assert "mixup" in line
    assert not watch.counts
    assert run.report.from_features is None


def test_without_changes_a_head_phase_is_on_features_of_the_images(recipe, images, tmp_path):
    watch = Watch()
    head = Phase(epochs=2, trainable="head")
    train(recipe.change(phases=(head,), augmentation=Augmentation()), images, out=tmp_path / "run", progress=watch)
    assert not watch.lines
    assert sum(total == done for done, total in watch.counts) in (0, 2)  # other tests may have stored them


def test_a_phase_on_features_leaves_the_layers_below_alone(recipe, images, tmp_path):
    recipe = recipe.change(phases=(PROBE, UPPER), precision="bfloat16", restore_best=False)
    run = train(recipe, images, out=tmp_path / "run", progress=False)
    loaded = keras.saving.load_model(recipe.weights, compile=False)
    for layer in run.classifier.model.layers:
        if layer.weights and layer.name != "predictions":
            pairs = zip(layer.get_weights(), loaded.get_layer(layer.name).get_weights(), strict=True)
            same = all(np.array_equal(found, expected) for found, expected in pairs)
            assert same == layer.name.startswith(("conv1", "conv2")), layer.name


@pytest.mark.parametrize("averaging", [{"ema": 0.6}, {"ema": 0.6, "restore_best": False}])
def test_averages_go_with_probes_between_phases(recipe, images, tmp_path, averaging):
    recipe = recipe.change(phases=(HEAD, PROBE, UPPER), **averaging)
    expected = train(recipe, images, out=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=Cut(phase=2))
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run", images, progress=Cut(epoch=4))
    assert_same_run(resume(tmp_path / "run", images, progress=False), expected)


def test_the_last_epochs_are_averaged_after_a_probe(recipe, images, tmp_path):
    recipe = recipe.change(phases=(PROBE, ALL), restore_best=False, swa_epochs=2)
    expected = train(recipe, images, out=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=Cut(epoch=2))
    assert_same_run(resume(tmp_path / "run", images, progress=False), expected)


def test_a_head_with_dropout_and_an_early_end_resume_exactly_on_features(recipe, images, tmp_path):
    head = Phase(epochs=5, trainable="head", views=2, patience=1, learning_rate=0.003)
    recipe = recipe.change(head="mlp", phases=(head, UPPER))
    expected = train(recipe, images, out=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=Cut(epoch=1))
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "run", images, progress=Cut(phase=1))
    assert_same_run(resume(tmp_path / "run", images, progress=False), expected)


def test_a_phase_that_its_patience_ends_says_so(images, tmp_path):
    too_slow = {"trainable": "head", "learning_rate": 1e-12}  # the loss cannot fall
    phases = (Phase(epochs=2, trainable="head"), Phase(epochs=7, patience=1, **too_slow), Phase(epochs=2, patience=9))
    recipe = factories.tiny_recipe(phases=phases, validation_split=0.25, restore_best=True)
    watch = Watch()
    run = train(recipe, images, out=tmp_path / "run", progress=watch)
    trained = [row["phase"] for row in run.history].count(2)
    (line,) = (line for line in watch.lines if "early" in line)
    assert f"{trained} of 7 epochs" in line
    assert "1 epoch " in line


def test_an_end_by_a_callback_or_by_the_last_epoch_is_not_put_down_to_the_patience(images, tmp_path):
    class StopNow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    too_slow = Phase(epochs=2, trainable="head", learning_rate=1e-12, patience=1)
    for name, phase, callbacks in (("last", too_slow, []), ("other", replace(ALL, epochs=5, patience=4), [StopNow()])):
        watch = Watch()
        recipe = factories.tiny_recipe(phases=(phase,), validation_split=0.25, restore_best=True)
        run = train(recipe, images, out=tmp_path / name, callbacks=callbacks, progress=watch)
        assert len(run.history) == 2
        assert not [line for line in watch.lines if "early" in line]


class Epochs(keras.callbacks.Callback):
    """A callback of the caller's, with a memory."""

    def __init__(self):
        super().__init__()
        self.epochs, self.inputs = [], set()

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(epoch)
        self.inputs.add(tuple(self.model.input_shape[1:]))


def test_callbacks_see_the_part_that_is_fitted_and_no_probe(recipe, images, tmp_path):
    callback = Epochs()
    train(recipe, images, out=tmp_path / "run", callbacks=[callback], progress=False)
    assert callback.epochs == [1, 2, 3, 4, 5, 6]
    assert callback.inputs == {(24,), (8, 8, 16), (32, 32, 3)}


def test_tensorboard_logs_phases_on_features(recipe, images, tmp_path):
    if find_spec("tensorboard") is None:
        pytest.skip("tensorboard is not installed")
    logs = tmp_path / "run" / "tensorboard"
    shown = [keras.callbacks.TensorBoard(logs, histogram_freq=1, write_graph=False)]
    expected = train(recipe, images, out=tmp_path / "run", callbacks=shown, progress=False)
    assert list((logs / "train").glob("events.*"))
    assert len(expected.history) == 7


def test_a_terminal_shows_bars_of_features_between_phases(recipe, images, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    table = EpochTable(recipe.phases)
    assert table._console.is_terminal
    train(recipe, images, out=tmp_path / "run", progress=table)
    shown = capsys.readouterr().out
    assert "computing features" in shown
    assert shown.count("best validation accuracy") == 3


def test_two_classes_and_other_weights_of_classes_change_the_probe(images, tmp_path):
    """Each class counts the same where it is asked for."""
    few = [k for k, label in enumerate(images.train.labels) if label == 0 or (label == 1 and k % 4)]
    two = factories.dataset(
        images.train.labels[few], ("a", "b"), images=np.asarray(images.train.images)[few], name="two"
    )
    splits = type(images)(two, two)
    recipe = factories.tiny_recipe(phases=(LinearProbe(c_values=(0.1,)), Phase(epochs=1, trainable="head", views=1)))
    plain, balanced = (
        train(recipe.change(class_weight=each), splits, out=tmp_path / f"{each}", progress=False).history[0]
        for each in (None, "balanced")
    )
    assert plain["loss"] != balanced["loss"]
    assert json.loads((tmp_path / "balanced" / "recipe.json").read_text())["phases"][0]["c_values"] == [0.1]


SCRIPT = (
    WITHOUT_TENSORFLOW
    + PLAIN_FIGURES
    + """
from pathlib import Path

import keras
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.training.recipe import Recipe
from resnet50.training.train import resume, train
from resnet50.training.progress import Progress

folder = Path(sys.argv[1])
recipe = Recipe.from_json((folder / "recipe.json").read_text())
images = DatasetSplits(*rendered_signs(train=32, test=6, image_size=32))

class Stop(Progress):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt

whole = train(recipe, images, out=folder / "whole", progress=False)
assert [row["phase"] for row in whole.history] == [1, 2, 2, 3, 3]
for epoch in (2, 4):
    try:
        train(recipe, images, out=folder / str(epoch), progress=Stop(epoch))
    except KeyboardInterrupt:
        resumed = resume(folder / str(epoch), images, progress=False)
    weights = whole.classifier.model.get_weights(), resumed.classifier.model.get_weights()
    assert all((a == b).all() for a, b in zip(*weights))
    assert resumed.report == whole.report
assert whole.report.from_features.difference < 1e-3
"""
)


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_features_are_trained_on_alike_on_another_backend(backend, recipe, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    recipe = recipe.change(phases=(PROBE, UPPER, HEAD), ema=0.5)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, **jax_compiled_in(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_later_phase_that_diverges_leaves_the_best_model_of_those_before(recipe, images, tmp_path):
    watch = Watch()
    diverging = recipe.change(phases=(PROBE, Phase(epochs=2, learning_rate=1e30)))
    run = train(diverging, images, out=tmp_path / "run", progress=watch)
    (line,) = [line for line in watch.lines if "ended early" in line]
    assert "epoch" in line
    alone = train(recipe.change(phases=(PROBE, ALL)), images, out=tmp_path / "probed", progress=False)
    assert [row["val_loss"] for row in run.history if row["phase"] == 1] == [alone.history[0]["val_loss"]]
    assert run.report.accuracy == Classifier.load(run.folder.model).metrics["accuracy"]
    assert all(np.isfinite(weight).all() for weight in weights_of(run))


def test_without_a_best_epoch_divergence_ends_the_run(recipe, images, tmp_path):
    last = recipe.change(phases=(PROBE, Phase(epochs=2, learning_rate=1e30)), restore_best=False)
    with pytest.raises(DivergenceError):
        train(last, images, out=tmp_path / "run", progress=False)
