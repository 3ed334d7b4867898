"""What keeps a GPU busy: the loss one step late, and programs that are kept. Both without a GPU."""

from __future__ import annotations

import os
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from factories import posix
from resnet50.training import feeding
from resnet50.training.accelerator import Accelerator
from resnet50.training.divergence import DivergenceError, StopDivergence
from resnet50.training.feeding import OneStepLate, batches_ahead, keep_compiled_programs, looks_at_steps
from resnet50.training.progress import EpochTable, Progress


class Note(keras.callbacks.Callback):
    """Writes down each call, and how many steps the optimizer had made by then."""

    def __init__(self):
        super().__init__()
        self.heard = []

    def on_train_batch_end(self, batch, logs=None):
        self.heard.append((batch, round(logs["loss"], 3), int(self.model.optimizer.iterations)))

    def on_test_begin(self, logs=None):
        self.heard.append("validation")

    def on_epoch_end(self, epoch, logs=None):
        self.heard.append("epoch ends")


@pytest.mark.parametrize("validated", [True, False])
def test_a_loss_is_reported_when_the_next_step_is_done_and_the_last_one_before_the_validation(validated):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, kernel_initializer="ones", use_bias=False)])
    model.compile(keras.optimizers.SGD(0.0), "mean_squared_error", run_eagerly=True)
    x = np.arange(3, dtype=np.float32)[:, None]  # losses 0, 1, 4, of which Keras reports the mean so far
    note = Note()
    callbacks = OneStepLate([note], model=model, epochs=2, steps=3, verbose=0)
    model.fit(
        x,
        0 * x,
        batch_size=1,
        epochs=2,
        shuffle=False,
        validation_data=(x, x) if validated else None,
        callbacks=callbacks,
        verbose=0,
    )
    ends = (["validation"] if validated else []) + ["epoch ends"]
    epoch = [(0, 0, 2), (1, 0.5, 3), (2, 1.667, 3), *ends]
    if keras.backend.backend() == "tensorflow":  # on JAX the steps are counted on the device until the epoch ends
        again = [(each[0], each[1], each[2] + 3) for each in epoch[:3]]
        assert note.heard == [*epoch, *again, *ends]
    assert len(model.history.history["loss"]) == 2


def test_a_training_that_diverges_in_its_last_step_is_stopped_before_the_epoch_ends():
    note = Note()
    callbacks = OneStepLate([note, StopDivergence(3, advice="Wait.")])
    note.set_model(SimpleNamespace(optimizer=SimpleNamespace(iterations=0)))
    callbacks.on_train_batch_end(7, {"loss": float("nan")})
    with pytest.raises(DivergenceError, match="step 8"):
        callbacks.on_epoch_end(0, {"loss": 1.0})
    assert "epoch ends" not in note.heard


class OldName(keras.callbacks.Callback):
    def on_batch_end(self, batch, logs=None):
        pass


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (Note(), True),
        (OldName(), True),
        (keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: None), True),
        (keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: None), False),
        (keras.callbacks.EarlyStopping(), False),
        (Progress(), False),
    ],
    ids=["batch", "old name", "function", "epoch", "early stopping", "progress"],
)
def test_a_callback_that_looks_at_steps_is_known(callback, expected):
    assert looks_at_steps(callback) is expected


def test_a_bar_is_drawn_four_times_a_second_at_most():
    assert EpochTable([])._bars.live.refresh_per_second == 4


@pytest.fixture
def config(monkeypatch, tmp_path):
    """The settings of a JAX that computes on a GPU, and a cache."""
    settings = SimpleNamespace(jax_compilation_cache_dir=None)
    settings.update = lambda name, value: setattr(settings, name, value)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(feeding, "find_accelerator", lambda: Accelerator("L4", True))
    monkeypatch.setattr(feeding, "import_module", {"jax": SimpleNamespace(config=settings)}.get)
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    return settings


def test_what_jax_compiles_for_a_gpu_is_kept_and_the_oldest_removed(config, tmp_path, monkeypatch):
    monkeypatch.setattr(feeding, "CACHE_BYTES", 25)
    (tmp_path / "jax").mkdir(mode=0o700)
    for age, name in enumerate(["new-cache", "older-cache", "oldest-cache", "oldest-other"]):
        (tmp_path / "jax" / name).write_bytes(bytes(10))
        os.utime(tmp_path / "jax" / name, (1e9 - age, 1e9 - age))
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir == str(tmp_path / "jax")
    assert sorted(path.name for path in (tmp_path / "jax").iterdir()) == ["new-cache", "older-cache", "oldest-other"]


@posix
def test_a_folder_that_others_can_write_to_is_not_used(config, tmp_path):
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax").chmod(0o777)
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir is None


def test_a_new_folder_is_the_users_alone(config, tmp_path):
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir == str(tmp_path / "jax")
    assert not (tmp_path / "jax").stat().st_mode & 0o022


@pytest.mark.parametrize("why", ["the caller's own folder", "a processor", "another backend", "no folder"])
def test_nothing_is_kept_for(why, config, monkeypatch, tmp_path):
    if why == "the caller's own folder":
        config.jax_compilation_cache_dir = "/elsewhere"
    elif why == "a processor":
        monkeypatch.setattr(feeding, "find_accelerator", lambda: None)
    elif why == "another backend":
        monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    else:
        (tmp_path / "jax").touch()
    before = config.jax_compilation_cache_dir
    keep_compiled_programs()
    assert config.jax_compilation_cache_dir == before


def test_batches_are_made_ahead_for_a_gpu(monkeypatch):
    monkeypatch.setattr(feeding, "find_accelerator", lambda: Accelerator("L4", True))
    assert batches_ahead() == 4
    monkeypatch.setattr(feeding, "find_accelerator", lambda: None)
    assert batches_ahead() == 0
