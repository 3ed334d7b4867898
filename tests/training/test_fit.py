"""One tiny run from end to end, and everything that a run refuses."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import keras
import numpy as np
import pytest

from resnet50.classifier import Classifier
from resnet50.data.rendered_signs import rendered_signs
from resnet50.evaluation.report import score
from resnet50.training.callbacks import DivergenceError
from resnet50.training.fit import resume, train


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    from resnet50.training.recipe import Recipe

    recipe = Recipe(
        name="tiny",
        epochs=3,
        batch_size=8,
        warmup_epochs=1,
        side=32,
        stages=(("conv2", 1, (4, 6, 16), 1), ("conv3", 1, (5, 7, 24), 2)),
        validation=0.25,
        keep="best",
        precision="bfloat16",
        checkpoint_epochs=2,
    )
    return train(recipe, *pictures, out=tmp_path_factory.mktemp("runs") / "tiny", data="somewhere")


def test_the_folder_holds_everything(finished):
    folder = finished.folder
    names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
    assert names == {
        "model.keras",
        "recipe.json",
        "environment.json",
        "history.csv",
        "report.json",
        "curves.png",
        "confusion.png",
        "checkpoints/last.h5",
        "checkpoints/best.keras",
    }
    for figure in (folder.curves, folder.confusion):
        assert figure.read_bytes().startswith(b"\x89PNG")


def test_the_report_is_that_of_the_saved_file(finished, pictures):
    _, test = pictures
    saved = Classifier.load(finished.folder.model)
    assert score(saved.probabilities(test.images), test) == finished.report
    report = json.loads(finished.folder.report.read_text())
    assert report["accuracy"] == finished.report.accuracy
    assert saved.metrics["accuracy"] == finished.report.accuracy
    assert saved.class_names == ("0", "1", "2", "3", "4", "5")
    assert saved.dataset == "rendered signs"
    assert saved.recipe["epochs"] == 3


def test_the_saved_file_is_plain_float32_keras(finished):
    model = keras.saving.load_model(finished.folder.model, compile=False)
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    assert {layer.dtype_policy.name for layer in model.layers} == {"float32"}
    assert type(model.get_layer("conv1_bn")) is keras.layers.BatchNormalization
    assert not model.compiled


def test_the_best_epoch_is_the_model(finished):
    best = max(finished.history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    saved = Classifier.load(finished.folder.best)
    assert saved.metrics["val_accuracy"] == best["val_accuracy"]
    for expected, found in zip(saved.model.get_weights(), finished.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_the_history_has_a_row_for_each_epoch(finished):
    rows = list(csv.DictReader(finished.folder.history.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[0] == pytest.approx(1e-3, rel=1e-6)  # the warm-up's end
    assert rates[1] == pytest.approx(5e-4, rel=1e-6)  # half of half a cosine
    assert rates[2] == pytest.approx(0, abs=1e-9)


def test_the_environment_names_data_and_precision(finished, pictures):
    environment = json.loads(finished.folder.environment.read_text())
    assert environment["data"]["fingerprint"] == pictures[0].fingerprint
    assert environment["data"]["path"].endswith("somewhere")
    assert environment["precision"] == "bfloat16"


def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(tiny_recipe, pictures, tmp_path):
    short = replace(tiny_recipe, epochs=2, warmup_epochs=0)
    first, again, other = (
        train(replace(short, seed=seed), *pictures, out=tmp_path / name).classifier.model.get_weights()
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_a_tiny_network_learns_its_training_pictures(tiny_recipe, tmp_path):
    pictures, _ = rendered_signs(train=12, test=1, side=32)
    recipe = replace(
        tiny_recipe,
        epochs=60,
        learning_rate=0.01,
        label_smoothing=0.0,
        augmentation=type(tiny_recipe.augmentation)(),
        batch_size=12,
        average_epochs=3,
        checkpoint_epochs=60,
    )
    assert train(recipe, pictures, pictures, out=tmp_path / "run").report.accuracy >= 0.9


def test_pictures_of_another_size_are_refused(tiny_recipe, pictures, tmp_path):
    message = "rendered signs: needed pictures of 33 x 33 pixels for the recipe tiny, got 32 x 32; set side to theirs"
    with pytest.raises(ValueError, match=message):
        train(replace(tiny_recipe, side=33), *pictures, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_classes_in_the_test_split_are_refused(tiny_recipe, pictures, tmp_path):
    training, test = pictures
    with pytest.raises(ValueError, match=r"needed the same classes for training and test, got 0, .* and a, b, c"):
        train(tiny_recipe, training, replace(test, class_names=tuple("abcdef")), out=tmp_path)


def test_a_folder_with_a_run_is_refused(finished, tiny_recipe, pictures):
    with pytest.raises(ValueError, match="there is a run here already"):
        train(tiny_recipe, *pictures, out=finished.folder.path)


def test_resuming_with_other_pictures_is_refused(finished, pictures):
    training, test = pictures
    with pytest.raises(ValueError, match="needed the pictures that the run began with, found others"):
        resume(finished.folder.path, training.take(range(47)), test)


def test_resuming_with_other_test_pictures_is_refused(finished, pictures):
    training, test = pictures
    with pytest.raises(ValueError, match="needed the pictures that the run began with, found others"):
        resume(finished.folder.path, training, test.take(range(11)))


def test_resuming_on_another_machine_warns(finished, pictures):
    path = finished.folder.environment
    text = path.read_text()
    environment = json.loads(text)
    environment["machine"]["threads"] = 99
    path.write_text(json.dumps(environment))
    with pytest.warns(UserWarning, match="machine are no longer those that the run began with"):
        resume(finished.folder.path, *pictures)
    path.write_text(text)


def test_resuming_on_another_backend_is_refused(finished, pictures):
    path = finished.folder.environment
    text = path.read_text()
    path.write_text(text.replace(f'"backend": "{keras.backend.backend()}"', '"backend": "abacus"'))
    with pytest.raises(ValueError, match=r"the run began on the backend abacus, .* set KERAS_BACKEND=abacus"):
        resume(finished.folder.path, *pictures)
    path.write_text(text)


def test_resuming_nothing_is_refused(pictures, tmp_path):
    with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}: needed the folder of a run")):
        resume(tmp_path, *pictures)


class Poison(keras.callbacks.Callback):
    """Make a weight NaN before the third epoch, if armed."""

    def __init__(self, armed):
        super().__init__()
        self._armed = armed  # an object is no JSON, so that a resume does not bring it back

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2 and self._armed is not None:
            kernel = self.model.get_layer("conv1_conv").kernel
            kernel.assign(kernel * np.nan)


def test_a_lost_loss_keeps_the_last_good_state(tiny_recipe, pictures, tmp_path):
    message = r"the loss became nan in epoch 3, step 1\. Lower the learning rate \(it was 0\.001\)"
    with pytest.raises(DivergenceError, match=message):
        train(tiny_recipe, *pictures, out=tmp_path / "run", callbacks=[Poison(armed=object())])
    assert not (tmp_path / "run" / "model.keras").exists()
    finished = resume(tmp_path / "run", *pictures, callbacks=[Poison(armed=None)])
    assert len(finished.history) == 4
    assert all(np.isfinite(weight).all() for weight in finished.classifier.model.get_weights())


def test_stopping_early_is_remembered(tiny_recipe, pictures, tmp_path):
    def callbacks():
        return [keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)]

    run = train(tiny_recipe, *pictures, out=tmp_path / "run", callbacks=callbacks())
    assert len(run.history) == 2
    again = resume(tmp_path / "run", *pictures, callbacks=callbacks())
    assert len(again.history) == 2


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_needs_no_tensorflow_on_another_backend(backend, tiny_recipe, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = """
import sys
from pathlib import Path

class Without:
    # A finder that does not find TensorFlow; asking whether it is there is answered with no.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *rest):
        return None if name.split(".")[0] == "tensorflow" else self.finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self.finder, name)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import keras
from resnet50 import Recipe, rendered_signs, resume, train
recipe = Recipe.from_json(Path(sys.argv[1], "recipe.json").read_text())
pictures = rendered_signs(train=32, test=6, side=32)

class Stop(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise KeyboardInterrupt

whole = train(recipe, *pictures, out=Path(sys.argv[1], "whole"))
assert len(whole.history) == 2 and whole.history[1]["loss"] == whole.history[1]["loss"]
try:
    train(recipe, *pictures, out=Path(sys.argv[1], "stopped"), progress=Stop())
except KeyboardInterrupt:
    resumed = resume(Path(sys.argv[1], "stopped"), *pictures)
weights = whole.classifier.model.get_weights(), resumed.classifier.model.get_weights()
assert all((a == b).all() for a, b in zip(*weights))
"""
    (tmp_path / "recipe.json").write_text(replace(tiny_recipe, epochs=2, warmup_epochs=0, validation=0.25).to_json())
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
