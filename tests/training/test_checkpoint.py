"""A run that is killed and resumed ends as one that was never stopped, bit for bit."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest

import factories
from factories import AS_IN_A_TERMINAL, PLAIN_FIGURES, raises
from resnet50.data.batches import Batches
from resnet50.inference.classifier import Classifier
from resnet50.training.checkpoint import Checkpoint, Position, finished_epochs
from resnet50.training.phases import Phase
from resnet50.training.progress import Progress
from resnet50.training.train import resume, train

# A run in a process of its own, begun or resumed; dropout, averaging, the best epoch and a callback with a memory.
SCRIPT = """
import sys
from pathlib import Path
import keras
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.training.recipe import Recipe
from resnet50.training.train import resume, train
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
recipe = Recipe.from_json((folder / "recipe.json").read_text())
images = DatasetSplits(*rendered_signs(train=48, test=12, image_size=32))
callbacks = []
if recipe.swa_epochs == 1:
    callbacks.append(keras.callbacks.EarlyStopping("val_loss", patience=10**6, restore_best_weights=False))
if (out / "recipe.json").exists():
    resume(out, images, callbacks=callbacks)
else:
    train(recipe, images, out=out, callbacks=callbacks)
"""


def start(folder, out):
    with (folder / "errors").open("w") as errors:
        return subprocess.Popen(
            [sys.executable, "-c", AS_IN_A_TERMINAL + PLAIN_FIGURES + SCRIPT, str(folder), str(out)], stderr=errors
        )


PHASES = {
    "phases": (
        Phase(epochs=9, trainable="head", patience=1, learning_rate=1e-12),  # too slow to learn: ends after two epochs
        Phase(epochs=9, trainable="conv3", schedule="plateau", lr_factor=0.5, lr_patience=1, freeze_batch_norm=True),
        Phase(epochs=4, warmup_epochs=1, layer_lr_decay=0.5),
    ),
    "validation_split": 0.25,
    "ema": 0.8,
    "mixup": 0.3,
    "class_weight": "balanced",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "numbers",
    [{"swa_epochs": 10, "precision": "bfloat16"}, {**PHASES, "precision": "bfloat16"}],
    ids=["weights-averaged", "phases"],
)
def test_a_killed_run_ends_as_one_that_was_never_stopped(numbers, tiny_recipe, images, tmp_path):
    recipe = tiny_recipe.change(**{"epochs": 16, "head": "mlp", "checkpoint_epochs": 2, **numbers})
    if "validation_split" not in numbers:
        recipe = recipe.change(validation_split=0.2)  # so that there is a best epoch
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    train(recipe, images, out=tmp_path / "whole", progress=False)

    process = start(tmp_path, tmp_path / "killed")
    history = tmp_path / "killed" / "history.csv"
    # wait for the first epoch, since before it a process only loads libraries; then strike anywhere
    while process.poll() is None and not history.exists():
        time.sleep(0.01)
    time.sleep(random.Random(str(numbers)).uniform(0, 0.7))
    process.kill()
    process.wait()
    for name in ("model.keras", "checkpoints/best.keras"):
        if (tmp_path / "killed" / name).exists():
            Classifier.load(tmp_path / "killed" / name)  # whole, or not there
    if (tmp_path / "killed" / "checkpoints" / "last.h5").exists():
        with h5py.File(tmp_path / "killed" / "checkpoints" / "last.h5") as file:
            assert file["state"][()]
    assert start(tmp_path, tmp_path / "killed").wait() == 0, (tmp_path / "errors").read_text()[-3000:]

    for name in ("model.keras", "checkpoints/best.keras"):
        expected, found = (Classifier.load(tmp_path / run / name) for run in ("whole", "killed"))
        assert found.metrics == expected.metrics
        for a, b in zip(expected.model.get_weights(), found.model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")
    assert not list((tmp_path / "killed").rglob(".partial-*"))


class Cut(Progress):
    """Interrupt a run before an epoch, or where a phase is about to begin."""

    def __init__(self, *, epoch=None, phase=None):
        super().__init__()
        self.epoch, self.phase = epoch, phase
        self.phases = []

    def begin_phase(self, phase, epoch, seconds=None, wrong=None):
        self.phases.append((phase, epoch))
        if phase == self.phase:
            raise KeyboardInterrupt

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def in_phases(images, tmp_path_factory):
    """A run of three phases, the first of which ends early, that nothing stops."""
    recipe = factories.tiny_recipe(epochs=2, checkpoint_epochs=2, head="mlp", **PHASES)
    head, middle, last = recipe.phases
    recipe = recipe.change(phases=(head, replace(middle, epochs=3), last))
    cut = Cut()
    return train(recipe, images, out=tmp_path_factory.mktemp("runs") / "whole", progress=cut), recipe, cut.phases


@pytest.mark.slow
def test_phases_follow_one_another_and_epochs_count_on(in_phases):
    run, _, phases = in_phases
    assert phases == [(0, 0), (1, 2), (2, 5)]
    assert [(row["epoch"], row["phase"]) for row in run.history] == list(enumerate([1, 1, 2, 2, 2, 3, 3], 1))
    assert (run.folder.history).read_text().startswith("epoch,phase,accuracy,loss,val_accuracy,val_loss,learning_rate")
    assert run.history[-1]["learning_rate"] == pytest.approx(0, abs=1e-9)  # the last phase's cosine is whole


@pytest.mark.slow
def test_a_run_cut_in_every_phase_ends_as_one_that_was_never_stopped(in_phases, images, tmp_path):
    whole, recipe, _ = in_phases
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path, progress=Cut(epoch=0))  # before there is a state
    for goes_on, cut in (
        ((0, 0), {"phase": 1}),  # after the early end
        ((0, 0), {"epoch": 2}),  # in a phase of which there is no state
        ((0, 0), {"epoch": 3}),
        ((1, 2), {"phase": 2}),
        ((1, 2), {"epoch": 6}),
    ):
        progress = Cut(**cut)
        with pytest.raises(KeyboardInterrupt):
            resume(tmp_path, images, progress=progress)
        assert progress.phases[0] == goes_on
    progress = Cut()
    resumed = resume(tmp_path, images, progress=progress)
    assert progress.phases == [(2, 5)]
    for a, b in zip(whole.classifier.model.get_weights(), resumed.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    best = [Classifier.load(run.folder.best) for run in (whole, resumed)]
    for a, b in zip(*(classifier.model.get_weights() for classifier in best), strict=True):
        np.testing.assert_array_equal(a, b)
    assert rows(whole.folder.path) == rows(tmp_path)


@pytest.mark.slow
def test_a_finished_run_of_phases_is_resumed_to_the_same(in_phases, images):
    whole, _, _ = in_phases
    again = resume(whole.folder.path, images)
    for a, b in zip(whole.classifier.model.get_weights(), again.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_what_counts_as_better_is_the_same_after_a_resume(tiny_recipe, images, tmp_path):
    """Keras turns the sign of min_delta when training begins, and would turn it back when a run is resumed."""

    def callbacks():
        return [keras.callbacks.EarlyStopping("loss", min_delta=0.25, patience=9)]

    first, second = callbacks(), callbacks()
    recipe = tiny_recipe.change(epochs=2)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path, callbacks=first, progress=Cut(epoch=1))
    assert first[0].min_delta == -0.25
    resume(tmp_path, images, callbacks=second)
    assert second[0].min_delta == -0.25


def rows(run):
    """Every row of the history without its time."""
    return [line.rsplit(",", 1)[0] for line in (run / "history.csv").read_text().splitlines()]


class Remembers(keras.callbacks.Callback):
    """A callback that forgets when training begins, as Keras' own do."""

    def on_train_begin(self, logs=None):
        self.count, self.best, self.names, self.weights = 0, np.float32(9), {}, []

    def on_epoch_end(self, epoch, logs=None):
        self.count += 1
        self.best = np.float32(min(self.best, logs["loss"]))
        self.names[f"epoch {epoch}"] = [True, None, 0.5]
        self.names[epoch] = (np.arange(3.0) * epoch, self)
        self.weights = self.model.get_weights()[:2]


@pytest.mark.slow
def test_what_callbacks_remember_comes_back(tiny_recipe, images, tmp_path):
    first = Remembers()
    train(tiny_recipe, images, out=tmp_path / "run", callbacks=[first])
    second = Remembers()
    resume(tmp_path / "run", images, callbacks=[second])
    assert second.count == 4
    assert second.best == first.best
    assert set(second.names) == {0, 1, 2, 3, "epoch 0", "epoch 1", "epoch 2", "epoch 3"}
    assert second.names["epoch 3"] == [True, None, 0.5]
    np.testing.assert_array_equal(second.names[3][0], [0, 3, 6])
    assert len(second.names[3]) == 1  # the callback itself is no data
    for a, b in zip(first.weights, second.weights, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_other_callbacks_are_refused(tiny_recipe, images, tmp_path):
    train(tiny_recipe.change(epochs=1, warmup_epochs=0), images, out=tmp_path / "run", callbacks=[Remembers()])
    with raises(ValueError, tmp_path / "run" / "checkpoints" / "last.h5", "'Remembers'"):
        resume(tmp_path / "run", images)


@pytest.mark.slow
def test_a_checkpoint_of_another_network_is_refused(tiny_recipe, images, tmp_path):
    recipe = tiny_recipe.change(epochs=1, warmup_epochs=0)
    run = train(recipe, images, out=tmp_path / "run")
    run.folder.recipe.write_text(recipe.change(head="mlp").to_json())
    with raises(ValueError, run.folder.checkpoint):
        resume(tmp_path / "run", images)


@pytest.mark.slow
def test_another_hdf5_file_is_no_checkpoint(tiny_recipe, images, tmp_path):
    run = train(tiny_recipe.lasting(1), images, out=tmp_path / "run")
    with h5py.File(run.folder.checkpoint, "w") as file:
        file["x"] = 1
    with raises(ValueError, run.folder.checkpoint, "HDF5"):
        resume(tmp_path / "run", images)


@pytest.mark.slow
@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_cut_off_checkpoint_is_refused(keep, tiny_recipe, images, tmp_path):
    run = train(tiny_recipe.change(epochs=1, warmup_epochs=0), images, out=tmp_path / "run")
    content = run.folder.checkpoint.read_bytes()
    run.folder.checkpoint.write_bytes(content[: int(len(content) * keep)])
    with raises(ValueError, run.folder.checkpoint):
        resume(tmp_path / "run", images)


def test_a_disk_that_fills_up_leaves_the_last_checkpoint(images, tmp_path, monkeypatch):
    training = images.train
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(6, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    path = tmp_path / "last.h5"

    class DiskFull(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                monkeypatch.setattr(h5py.Group, "__setitem__", full)

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left on device"):
        checkpoint = Checkpoint(path, position=Position(), every=1, epochs=3, others=[])
        model.fit(Batches(training, 8), epochs=3, shuffle=False, verbose=0, callbacks=[DiskFull(), checkpoint])
    monkeypatch.undo()
    assert Checkpoint(path, position=Position(), every=1, epochs=3, others=[]).restore(model) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["last.h5"]


@pytest.fixture
def written(images, tmp_path):
    """A small model, its checkpoint after an epoch, and the path."""
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(6, "softmax")])
    model.compile("adam", "categorical_crossentropy")
    checkpoint = Checkpoint(tmp_path / "last.h5", position=Position(), every=1, epochs=1, others=[])
    model.fit(Batches(images.train, 8), epochs=1, shuffle=False, verbose=0, callbacks=[checkpoint])
    return model, checkpoint, tmp_path / "last.h5"


def unsealed(path):
    """Take the checksum away that stands behind HDF5's bytes: a name of 8 bytes, and 4 more."""
    path.write_bytes(path.read_bytes()[:-12])


def test_every_changed_byte_is_found_before_hdf5_reads_it(written, monkeypatch):
    model, checkpoint, path = written
    content = path.read_bytes()
    monkeypatch.setattr("resnet50.training.checkpoint.open_h5", lambda *_, **__: pytest.fail("HDF5 read it"))
    for place in range(0, len(content) - 12, 997):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with raises(ValueError, path, "damaged"):
            checkpoint.restore(model)


@pytest.mark.parametrize("kind", ["bit", "sector"])
def test_a_damaged_checkpoint_is_refused_or_restored_exactly(written, kind):
    model, checkpoint, path = written
    content, refused = path.read_bytes(), 0
    before = [keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]
    chance = random.Random(0)
    for _ in range(60):
        damaged = bytearray(content)
        place = chance.randrange(len(damaged))
        if kind == "bit":
            damaged[place] ^= 1 << chance.randrange(8)
        else:
            place -= place % 512
            damaged[place : place + 512] = bytes(len(damaged[place : place + 512]))
        path.write_bytes(damaged)
        try:
            assert checkpoint.restore(model) == 1
        except ValueError as error:
            refused += 1
            assert str(error).startswith(f"{path}: ")
        after = [keras.ops.convert_to_numpy(v) for v in (*model.variables, *model.optimizer.variables)]
        assert all(map(np.array_equal, before, after))
    assert refused > 50


def test_a_checkpoint_of_an_earlier_version_has_no_checksum_and_is_restored(written):
    model, checkpoint, path = written
    unsealed(path)
    assert checkpoint.restore(model) == 1


@pytest.mark.parametrize("state", ["{}", "[]", "{", '{"phase": 0}', '"text"'])
def test_a_checkpoint_with_another_state_is_refused(written, state):
    model, checkpoint, path = written
    unsealed(path)
    with h5py.File(path, "r+") as file:
        del file["state"]
        file["state"] = state
    with raises(ValueError, path):
        checkpoint.restore(model)


def test_what_must_not_be_older_than_a_checkpoint_is_written_before_it(images, tmp_path):
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(6, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    path, there = tmp_path / "last.h5", []
    checkpoint = Checkpoint(
        path, position=Position(), every=2, epochs=3, others=[], before=lambda: there.append(path.exists())
    )
    model.fit(Batches(images.train, 8), epochs=3, shuffle=False, verbose=0, callbacks=[checkpoint])
    assert there == [False, True, True]  # with the checkpoints of epochs 1, 2 and 3


def written_epochs(path, model, images, *, every, epochs, callbacks=(), stop=None):
    """Which epochs end with a checkpoint; the training may be stopped before one."""
    written = []

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch and finished_epochs(path) == epoch:
                written.append(epoch)
            if epoch == stop:
                raise KeyboardInterrupt

    checkpoint = Checkpoint(path, position=Position(), every=every, epochs=epochs, others=[])
    options = {"epochs": epochs, "shuffle": False, "verbose": 0}
    try:
        model.fit(Batches(images.train, 8), callbacks=[*callbacks, Look(), checkpoint], **options)
    except KeyboardInterrupt:
        assert finished_epochs(path) == written[-1]
        checkpoint.write_latest()
    return [*written, finished_epochs(path)]


@pytest.fixture
def small():
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(6, "softmax")])
    model.compile("sgd", "categorical_crossentropy")
    return model


def test_a_state_is_written_after_the_first_epoch_and_then_every_few(small, images, tmp_path):
    assert written_epochs(tmp_path / "last.h5", small, images, every=3, epochs=7) == [1, 3, 6, 7]


def test_a_state_is_written_after_some_minutes_whatever_the_recipe_says(small, images, tmp_path, monkeypatch):
    clock = iter(range(0, 10**6, 50))  # an epoch takes 50 seconds or 100
    monkeypatch.setattr("resnet50.training.checkpoint.time", SimpleNamespace(monotonic=lambda: next(clock)))
    written = written_epochs(tmp_path / "last.h5", small, images, every=100, epochs=8)
    assert written[:2] == [1, 4]
    assert written[-1] == 8


def test_an_interrupted_training_writes_the_state_after_its_last_epoch(small, images, tmp_path):
    assert written_epochs(tmp_path / "last.h5", small, images, every=10, epochs=20, stop=4) == [1, 4]


def test_the_written_state_is_that_of_the_epochs_end(small, images, tmp_path):
    """Arrays that change after an epoch, the model's and those of callbacks, are copied at its end."""
    weights, sums = {}, keras.callbacks.Callback()
    sums.total = np.zeros(3)

    class Change(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            sums.total += 1  # in place
            weights[epoch] = self.model.get_weights()

        def on_train_batch_end(self, batch, logs=None):
            if len(weights) == 2:
                sums.total += 100
                raise KeyboardInterrupt

    checkpoint = Checkpoint(tmp_path / "last.h5", position=Position(), every=10, epochs=5, others=[sums])
    with pytest.raises(KeyboardInterrupt):
        small.fit(Batches(images.train, 8), epochs=5, shuffle=False, verbose=0, callbacks=[Change(), sums, checkpoint])
    checkpoint.write_latest()
    sums.total = np.zeros(3)
    again = Checkpoint(tmp_path / "last.h5", position=Position(), every=10, epochs=5, others=[sums])
    assert again.restore(small) == 2
    again.on_train_begin()
    assert sums.total.tolist() == [2, 2, 2]
    for found, expected in zip(small.get_weights(), weights[1], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_without_a_checkpoint_no_epoch_is_finished(tmp_path):
    assert finished_epochs(tmp_path / "last.h5") == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="on Windows these end a process at once")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])  # after SIGHUP as after SIGTERM: see test_interruption.py
def test_a_signal_leaves_the_state_after_the_last_epoch(name, tiny_recipe, tmp_path):
    recipe = tiny_recipe.change(epochs=400, checkpoint_epochs=1000, validation_split=0.25)
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    out = tmp_path / "run"
    process = start(tmp_path, out)
    while process.poll() is None and (not (out / "history.csv").exists() or len(rows(out)) < 4):
        time.sleep(0.01)
    process.send_signal(signal.Signals[name])
    status = process.wait()
    assert status == (-signal.SIGINT if name == "SIGINT" else 128 + signal.Signals[name])
    finished = finished_epochs(out / "checkpoints" / "last.h5")
    assert finished >= 2
    assert len(rows(out)) - 1 - finished in (0, 1)  # the history may have an epoch whose state came too late
    Classifier.load(out / "checkpoints" / "best.keras")
    assert not list(out.rglob(".partial-*"))
