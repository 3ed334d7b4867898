"""One tiny run from end to end, and everything that a run refuses."""

from __future__ import annotations

import csv
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import factories
from factories import PLAIN_FIGURES, WITHOUT_TENSORFLOW, fill_random, jax_compiled_in, noise, raises
from resnet50.build import build_resnet50
from resnet50.conventions import V1_5
from resnet50.data.dataset import Unreadable
from resnet50.data.fit import Fit
from resnet50.data.splits import DatasetSplits
from resnet50.data.splitting import train_validation_split
from resnet50.datasets.rendered_signs import rendered_signs, write_rendered_signs
from resnet50.datasets.source import DataSource
from resnet50.evaluation.evaluate import evaluate
from resnet50.exporters.export import export
from resnet50.inference.classifier import Classifier
from resnet50.inference.predict import predict
from resnet50.metrics.scores import score
from resnet50.model import Stage
from resnet50.training.averaging import averaged
from resnet50.training.checkpoint import finished_epochs
from resnet50.training.divergence import DivergenceError
from resnet50.training.phases import Phase
from resnet50.training.progress import Progress
from resnet50.training.train import resume, train

pytestmark = pytest.mark.slow  # trained runs


@pytest.fixture(scope="module")
def finished(images, tmp_path_factory):
    recipe = factories.tiny_recipe(
        epochs=3, validation_split=0.25, restore_best=True, precision="bfloat16", checkpoint_epochs=2
    )
    return train(
        recipe,
        images,
        out=tmp_path_factory.mktemp("runs") / "tiny",
        source=DataSource("rendered-signs"),
    )


def test_the_folder_holds_everything(finished):
    folder = finished.folder
    names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
    assert names == {
        "model.keras",
        "recipe.json",
        "environment.json",
        "history.csv",
        "images.csv",
        "report.json",
        "curves.png",
        "confusion.png",
        "reliability.png",
        "balance.png",
        "mistakes.png",
        "report.html",
        "checkpoints/last.h5",
        "checkpoints/best.keras",
    }
    for figure in ("curves", "confusion", "reliability", "balance", "mistakes"):
        assert (folder.path / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_every_image_is_recorded_with_its_split(finished, images):
    rows = list(csv.DictReader(finished.folder.images.read_text().splitlines()))
    assert [row["split"] for row in rows] == ["train"] * 36 + ["validation"] * 12 + ["test"] * 12
    sha256 = {
        (path, images.train.class_names[label]): hashlib.sha256(image.tobytes()).hexdigest()
        for dataset in (images.train, images.test)
        for path, label, image in zip(dataset.paths, dataset.labels, dataset.images, strict=True)
    }
    assert {(row["path"], row["class"]): row["sha256"] for row in rows} == sha256
    assert len(sha256) == 60


def test_the_report_is_that_of_the_saved_file(finished, images):
    test = images.test
    saved = Classifier.load(finished.folder.model, runtime="keras")
    plain = replace(finished.report, temperature_scaling=None, temperature_reason="", selective_reason="", issues=())
    assert score(saved.probabilities(test.images), test) == plain
    report = json.loads(finished.folder.report.read_text())
    assert report["accuracy"] == finished.report.accuracy
    assert saved.metrics["accuracy"] == finished.report.accuracy
    assert saved.class_names == ("0", "1", "2", "3", "4", "5")
    assert saved.dataset == "rendered signs"
    assert [phase["epochs"] for phase in saved.recipe["phases"]] == [3]


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


def test_the_environment_names_data_and_precision(finished, images):
    environment = json.loads(finished.folder.environment.read_text())
    assert environment["data"]["fingerprints"] == {"train": images.train.fingerprint, "test": images.test.fingerprint}
    assert environment["data"]["name"] == "rendered signs"
    assert DataSource.from_dict(environment["data"]["source"]) == DataSource("rendered-signs")
    assert environment["precision"] == "bfloat16"


@pytest.mark.slow
def test_the_same_recipe_gives_the_same_weights_and_another_seed_others(tiny_recipe, images, tmp_path):
    short = tiny_recipe.change(epochs=2, warmup_epochs=0)
    first, again, other = (
        train(short.change(seed=seed), images, out=tmp_path / name).classifier.model.get_weights()
        for name, seed in (("first", 3), ("again", 3), ("other", 4))
    )
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


@pytest.mark.slow
def test_images_that_lie_in_a_file_give_the_same_weights(tiny_recipe, images, tmp_path):
    def filed(dataset):
        dataset.images.tofile(tmp_path / "images" / f"{len(dataset)}")
        mapped = np.memmap(tmp_path / "images" / f"{len(dataset)}", np.uint8, "r", shape=dataset.images.shape)
        return replace(dataset, images=mapped)

    (tmp_path / "images").mkdir()
    recipe = tiny_recipe.change(epochs=1, warmup_epochs=0, validation_split=0.25)
    mapped = DatasetSplits(filed(images.train), filed(images.test))
    learning, _ = train_validation_split(mapped.train, 0.25, seed=recipe.seed)
    assert not isinstance(learning.images, np.ndarray)
    here, there = (train(recipe, splits, out=tmp_path / name) for name, splits in (("a", images), ("b", mapped)))
    for one, other in zip(here.classifier.model.get_weights(), there.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "a" / "report.json").read_text() == (tmp_path / "b" / "report.json").read_text()


@pytest.mark.slow
def test_a_tiny_network_learns_its_training_images(tiny_recipe, tmp_path):
    few, _ = rendered_signs(train=12, test=1, image_size=32)
    recipe = tiny_recipe.change(
        epochs=60,
        learning_rate=0.01,
        label_smoothing=0.0,
        augmentation=type(tiny_recipe.augmentation)(),
        batch_size=12,
        swa_epochs=3,
        checkpoint_epochs=60,
    )
    assert train(recipe, DatasetSplits(few, few), out=tmp_path / "run").report.accuracy >= 0.9


def test_images_of_another_size_are_refused(tiny_recipe, images, tmp_path):
    with raises(ValueError, "rendered signs", 33, "tiny", 32, "image_size"):
        train(tiny_recipe.change(image_size=33), images, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_other_classes_in_the_test_split_are_refused(tiny_recipe, images, tmp_path):
    training, test = images.train, images.test
    with raises(ValueError, "train", "test", ", ".join(training.class_names), "a, b, c, d, e, f"):
        train(tiny_recipe, DatasetSplits(training, replace(test, class_names=tuple("abcdef"))), out=tmp_path)


def test_a_share_that_cannot_be_held_out_is_refused_before_anything_is_written(tiny_recipe, images, tmp_path):
    classes = len(images.train.class_names)
    alike = replace(images.train.select([0] * classes), labels=np.arange(classes))  # near-duplicates stay together
    recipe = tiny_recipe.change(validation_split=0.25)
    with raises(ValueError, "validation", 0.25, classes):
        train(recipe, DatasetSplits(alike, images.test), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_disk_without_room_for_the_run_is_refused_before_anything_is_written(
    tiny_recipe, images, tmp_path, monkeypatch
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with raises(OSError, tmp_path / "run", "1 MB"):
        train(tiny_recipe, images, out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_is_one_line_with_the_command_to_resume(tiny_recipe, images, tmp_path, number):
    class DiskFull(Progress):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1:
                raise OSError(number, os.strerror(number))

    with raises(OSError, tmp_path, os.strerror(number)) as caught:
        train(tiny_recipe, images, out=tmp_path, progress=DiskFull())
    assert str(caught.value).endswith(f": resnet50 train --resume {tmp_path}")
    assert len(resume(tmp_path, images, progress=False).history) == 4


def test_a_folder_with_a_run_is_refused(finished, tiny_recipe, images):
    with raises(ValueError, finished.folder.path):
        train(tiny_recipe, images, out=finished.folder.path)


def test_resuming_with_other_images_is_refused(finished, images):
    training, test = images.train, images.test
    with raises(ValueError, finished.folder.path, "SHA-256"):
        resume(finished.folder.path, DatasetSplits(training.select(range(47)), test))


def test_resuming_with_other_test_images_is_refused(finished, images):
    training, test = images.train, images.test
    with raises(ValueError, finished.folder.path, "SHA-256"):
        resume(finished.folder.path, DatasetSplits(training, test.select(range(11))))


def test_resuming_on_another_machine_warns(finished, images):
    path = finished.folder.environment
    text = path.read_text()
    environment = json.loads(text)
    environment["machine"]["threads"] = 99
    path.write_text(json.dumps(environment))
    with pytest.warns(UserWarning) as caught:
        resume(finished.folder.path, images)
    (message,) = (str(warning.message) for warning in caught if warning.category is UserWarning)
    assert str(finished.folder.path) in message
    assert "machine" in message
    assert "versions" not in message
    path.write_text(text)


def test_resuming_on_another_backend_is_refused(finished, images):
    path = finished.folder.environment
    text = path.read_text()
    path.write_text(text.replace(f'"backend": "{keras.backend.backend()}"', '"backend": "abacus"'))
    with raises(ValueError, finished.folder.path, keras.backend.backend(), "KERAS_BACKEND=abacus"):
        resume(finished.folder.path, images)
    path.write_text(text)


@pytest.mark.slow
def test_the_recorded_source_is_loaded_on_a_resume(tiny_recipe, tmp_path):
    write_rendered_signs(tmp_path / "drawn", train=24, test=6)
    source = DataSource("rendered-signs", str(tmp_path / "drawn"))
    splits = source.load(32)
    recipe = tiny_recipe.change(epochs=2)
    whole = train(recipe, splits, out=tmp_path / "whole", source=source)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, splits, out=tmp_path / "run", source=source, progress=First(stop=1))
    resumed = resume(tmp_path / "run")
    for a, b in zip(whole.classifier.model.get_weights(), resumed.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    (tmp_path / "drawn").rename(tmp_path / "moved")
    with raises(FileNotFoundError, tmp_path / "drawn", "--data", "splits"):
        resume(tmp_path / "run")


def test_a_run_without_a_source_needs_its_images(tiny_recipe, images, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tiny_recipe, images, out=tmp_path / "run", progress=First(stop=0))
    with raises(FileNotFoundError, tmp_path / "run", "splits"):
        resume(tmp_path / "run")


def test_a_split_that_is_missing_is_refused_before_anything_is_written(tiny_recipe, images, tmp_path):
    with raises(ValueError, "test", "train"):
        train(tiny_recipe, DatasetSplits(train=images.train), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_callback_does_not_show_progress(tiny_recipe, images, tmp_path):
    with raises(ValueError, "progress", "True", "False", "EarlyStopping", "callbacks"):
        train(tiny_recipe, images, out=tmp_path / "run", progress=keras.callbacks.EarlyStopping())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_progress_is_shown_or_not_and_closed_in_the_end(tiny_recipe, images, tmp_path, monkeypatch, capsys):
    closed = []

    class Closed(First):
        def close(self):
            closed.append(self.stop)

    one = tiny_recipe.change(epochs=1, warmup_epochs=0)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes the output for a terminal's
    train(one, images, out=tmp_path / "quiet", progress=False)
    assert capsys.readouterr().out == ""
    train(one, images, out=tmp_path / "shown")
    assert "loss" in capsys.readouterr().out
    train(one, images, out=tmp_path / "ends", progress=Closed())
    with pytest.raises(KeyboardInterrupt):
        train(one, images, out=tmp_path / "fails", progress=Closed(stop=0))
    assert closed == [None, 0]


def test_resuming_nothing_is_refused(images, tmp_path):
    with raises(FileNotFoundError, tmp_path):
        resume(tmp_path, images)


class Poison(keras.callbacks.Callback):
    """Make a weight NaN before the third epoch, if armed."""

    def __init__(self, armed):
        super().__init__()
        self._armed = armed  # an object is no JSON, so that a resume does not bring it back

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2 and self._armed is not None:
            kernel = self.model.get_layer("predictions").kernel  # below, a fused activation hides what is no number
            kernel.assign(kernel * np.nan)


@pytest.mark.slow
def test_a_lost_loss_keeps_the_last_good_state(tiny_recipe, images, tmp_path):
    with raises(DivergenceError, "nan", tmp_path / "run" / "checkpoints" / "last.h5") as caught:
        train(tiny_recipe, images, out=tmp_path / "run", callbacks=[Poison(armed=object())])
    numbers = re.findall(r"\d+(?:\.\d+)?", str(caught.value).replace(str(tmp_path), ""))
    assert {"3", "1", "0.001"} <= set(numbers)  # the epoch, the step, and the learning rate
    assert not (tmp_path / "run" / "model.keras").exists()
    finished = resume(tmp_path / "run", images, callbacks=[Poison(armed=None)])
    assert len(finished.history) == 4
    assert all(np.isfinite(weight).all() for weight in finished.classifier.model.get_weights())


def test_stopping_early_is_remembered(tiny_recipe, images, tmp_path):
    def callbacks():
        return [keras.callbacks.EarlyStopping("loss", patience=0, min_delta=1e9)]

    run = train(tiny_recipe, images, out=tmp_path / "run", callbacks=callbacks())
    assert len(run.history) == 2
    written = run.folder.images.read_bytes()
    run.folder.images.unlink()  # it is written again
    again = resume(tmp_path / "run", images, callbacks=callbacks())
    assert len(again.history) == 2
    assert run.folder.images.read_bytes() == written


def test_a_head_phase_leaves_the_backbone_alone_and_the_classifier_can_be_trained_on(tiny_recipe, images, tmp_path):
    recipe = tiny_recipe.change(epochs=1, warmup_epochs=0, trainable="head", precision="bfloat16")
    begun = build_resnet50(6, input_shape=(32, 32, 3), stages=[Stage(*row) for row in recipe.stages])
    before = weights_of(begun)
    begun.save(tmp_path / "begun.keras")
    run = train(recipe.change(weights=str(tmp_path / "begun.keras")), images, out=tmp_path / "run")
    after = weights_of(keras.saving.load_model(run.folder.model, compile=False))
    for name, expected in before.items():
        same = [np.array_equal(a, b) for a, b in zip(expected, after[name], strict=True)]
        assert same == [name != "predictions"] * len(same), name
    assert all(layer.trainable for layer in run.classifier.model.layers)


def weights_of(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A file of random weights in v1.5's conventions, for five classes, and what is in it."""
    model = build_resnet50(
        5,
        input_shape=(32, 32, 3),
        stages=[Stage("conv2", 1, (4, 6, 16), 1), Stage("conv3", 2, (5, 7, 24), 2)],
        conventions=V1_5,
        normalization="torch",
    )
    fill_random(model, 8)
    path = tmp_path_factory.mktemp("pretrained") / "weights.keras"
    model.save(path)
    return path, weights_of(model)


class First(Progress):
    """Store the weights that training begins with; stop before an epoch."""

    def __init__(self, *, stop=None):
        super().__init__()
        self.stop = stop

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 0:
            self.weights = weights_of(self.model)
        if epoch == self.stop:
            raise KeyboardInterrupt


def test_pretrained_weights_bring_their_network_and_are_reported(tiny_recipe, pretrained, images, tmp_path):
    path, weights = pretrained
    recipe = tiny_recipe.change(epochs=1, warmup_epochs=0, weights=str(path))
    first = First()
    run = train(recipe, images, out=tmp_path / "run", progress=first)
    assert not run.classifier.model.get_layer("conv1_conv").use_bias  # v1.5's
    for name, expected in weights.items():
        for a, b in zip(expected, first.weights[name], strict=True):
            assert name == "predictions" or np.array_equal(a, b)
    assert set(run.transfer.loaded) == set(weights) - {"predictions"}
    assert set(run.transfer.kept) == {"predictions"}
    written = json.loads(run.folder.transfer.read_text())
    assert written == json.loads(run.transfer.to_json())
    recorded = json.loads(run.folder.environment.read_text())["weights"]
    assert (recorded["origin"], recorded["normalization"], recorded["conventions"]["name"]) == (
        str(path),
        "torch",
        "v1.5",
    )
    assert re.fullmatch("[0-9a-f]{64}", recorded["sha256"])
    published = Classifier.load(run.folder.model).recipe
    assert (published["weights"], published["weights_sha256"]) == (path.name, recorded["sha256"])


@pytest.mark.slow
def test_a_checkpoint_makes_the_file_of_weights_dispensable(tiny_recipe, pretrained, images, tmp_path):
    path = tmp_path / "weights.keras"
    path.write_bytes(pretrained[0].read_bytes())
    recipe = tiny_recipe.change(epochs=2, warmup_epochs=0, weights=str(path))
    whole = train(recipe, images, out=tmp_path / "whole")
    for name, stop in (("early", 0), ("late", 1)):
        with pytest.raises(KeyboardInterrupt):
            train(recipe, images, out=tmp_path / name, progress=First(stop=stop))
    early = resume(tmp_path / "early", images)
    assert early.transfer == whole.transfer
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "changed", progress=First(stop=0))
    other = keras.saving.load_model(path, compile=False)
    other.get_layer("conv1_bn").set_weights([weight + 1 for weight in other.get_layer("conv1_bn").get_weights()])
    other.save(path)
    with raises(ValueError, path, "SHA-256"):
        resume(tmp_path / "changed", images)
    path.unlink()
    with raises(FileNotFoundError, path):
        resume(tmp_path / "changed", images)
    late = resume(tmp_path / "late", images)
    assert late.transfer is None
    for run in (early, late):
        for a, b in zip(whole.classifier.model.get_weights(), run.classifier.model.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_weights_without_a_normalization_need_it_from_the_recipe(tiny_recipe, pretrained, tmp_path, images):
    _, weights = pretrained
    model = build_resnet50(
        5, input_shape=(32, 32, 3), stages=[Stage(*row) for row in tiny_recipe.stages], conventions=V1_5
    )
    for name, values in weights.items():
        model.get_layer(name).set_weights(values)
    model.save_weights(tmp_path / "bare.weights.h5")
    recipe = tiny_recipe.change(epochs=1, warmup_epochs=0, weights=str(tmp_path / "bare.weights.h5"))
    rows = ("symmetric", "unit", "caffe", "torch")
    with raises(ValueError, tmp_path / "bare.weights.h5", "normalization", *rows):
        train(recipe, images, out=tmp_path / "run")
    with raises(ValueError, "normalization", *rows, "'foo'"):
        train(recipe.change(normalization="foo"), images, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    run = train(recipe.change(normalization="caffe"), images, out=tmp_path / "run")
    assert json.loads(run.folder.environment.read_text())["weights"]["normalization"] == "caffe"


def test_weights_of_another_network_are_refused_before_anything_is_written(tiny_recipe, pretrained, images, tmp_path):
    recipe = tiny_recipe.change(weights=str(pretrained[0]), stages=(("conv2", 1, (4, 6, 16), 1),))
    with raises(ValueError, pretrained[0], "ResNet-5", "ResNet-11"):
        train(recipe, images, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_basic_blocks_with_preactivation_and_stochastic_depth_train_and_resume_exactly(tiny_recipe, images, tmp_path):
    stages = (("conv2", 1, (6, 64), 1), ("conv3", 2, (7, 24), 2))
    recipe = tiny_recipe.change(epochs=2, stages=stages, form="preactivation", stochastic_depth=0.4)
    whole = train(recipe, images, out=tmp_path / "whole", progress=False)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, images, out=tmp_path / "run", progress=First(stop=1))
    resumed = resume(tmp_path / "run", images, progress=False)
    names = [layer.name for layer in whole.classifier.model.layers]
    assert {"conv3_block2_drop", "post_bn"} <= set(names)
    for a, b in zip(whole.classifier.model.get_weights(), resumed.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    pixels = images["test"].images
    found = Classifier.load(resumed.folder.model).probabilities(pixels)
    np.testing.assert_allclose(found, resumed.classifier.probabilities(pixels), atol=1e-5)


def test_callbacks_that_do_not_go_with_the_recipe_are_refused_before_anything_is_written(tiny_recipe, images, tmp_path):
    with raises(ValueError, "ReduceLROnPlateau", "'cosine'"):
        train(tiny_recipe, images, out=tmp_path / "run", callbacks=[keras.callbacks.ReduceLROnPlateau("loss")])
    assert not (tmp_path / "run").exists()


class Averages(Progress):
    """Store the running average of the weights at the end of every epoch, and the weights themselves."""

    def on_train_begin(self, logs=None):
        self.averages, self.weights = [], []

    def on_epoch_end(self, epoch, logs=None):
        with averaged(self.model):
            self.averages.append(self.model.get_weights())
        self.weights.append(self.model.get_weights())


@pytest.mark.slow
@pytest.mark.parametrize("restore_best", [False, True])
def test_the_running_average_is_validated_and_saved(restore_best, tiny_recipe, images, tmp_path):
    watch = Averages()
    recipe = tiny_recipe.change(ema=0.9, validation_split=0.25, restore_best=restore_best, learning_rate=0.01)
    run = train(recipe, images, out=tmp_path / "run", progress=watch)
    best = max(range(4), key=lambda k: (run.history[k]["val_accuracy"], -run.history[k]["val_loss"]))
    expected_weights = watch.averages[best if restore_best else 3]
    for found, expected in zip(run.classifier.model.get_weights(), expected_weights, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert any((a != b).any() for a, b in zip(watch.averages[3], watch.weights[3], strict=True))
    # the validation's figures are those of the file
    _, held_out = train_validation_split(images.train, 0.25, seed=recipe.seed)
    saved = Classifier.load(run.folder.best)
    again = score(saved.probabilities(held_out.images), held_out)
    assert again.accuracy == pytest.approx(run.history[best]["val_accuracy"])


@pytest.mark.slow
def test_rare_classes_and_mixtures_change_what_is_learned(tiny_recipe, images, tmp_path):
    training, test = images.train, images.test
    uneven = training.select([k for k in range(len(training)) if training.labels[k] != 5 or k % 3 == 0])
    recipe = tiny_recipe.change(epochs=1, warmup_epochs=0)
    plain, *others = (
        train(recipe.change(**numbers), DatasetSplits(uneven, test), out=tmp_path / name).classifier.model.get_weights()
        for name, numbers in (
            ("plain", {}),
            ("balanced", {"class_weight": "balanced"}),
            ("mixup", {"mixup": 0.5}),
            ("cutmix", {"cutmix": 1.0}),
        )
    )
    for other in others:
        assert any((a != b).any() for a, b in zip(plain, other, strict=True))


@pytest.mark.slow
def test_tensorboard_may_come_and_go(tiny_recipe, images, tmp_path):
    pytest.importorskip("tensorboard")
    recipe = tiny_recipe.change(phases=(Phase(epochs=1, trainable="head"), Phase(epochs=2)))
    logs = tmp_path / "run" / "tensorboard"
    shown = [keras.callbacks.TensorBoard(logs, write_graph=False)]
    train(recipe, images, out=tmp_path / "run", callbacks=shown)
    assert list((logs / "train").glob("events.*"))
    resume(tmp_path / "run", images)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_needs_no_tensorflow_on_another_backend(backend, tiny_recipe, tmp_path):
    if find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = (
        WITHOUT_TENSORFLOW
        + PLAIN_FIGURES
        + """
from pathlib import Path

import keras
from resnet50.data.fit import Fit
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.training.recipe import Recipe
from resnet50.training.train import resume, train
from resnet50.training.progress import Progress
recipe = Recipe.from_json(Path(sys.argv[1], "recipe.json").read_text())
images = DatasetSplits(*rendered_signs(train=32, test=6, image_size=32))

class Stop(Progress):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt

class Moved(Progress):
    # Which layers each phase moved.

    def on_train_begin(self, logs=None):
        self.before = {layer.name: layer.get_weights() for layer in self.model.layers if layer.weights}

    def on_train_end(self, logs=None):
        after = {name: self.model.get_layer(name).get_weights() for name in self.before}
        moved.append({n for n in after if any((a != b).any() for a, b in zip(after[n], self.before[n]))})

moved = []
whole = train(recipe, images, out=Path(sys.argv[1], "whole"), progress=Moved())
assert [row["phase"] for row in whole.history] == [1, 2, 2]
assert whole.history[1]["loss"] == whole.history[1]["loss"]
assert moved[0] == {"predictions"}, moved[0]
assert {"predictions", "conv1_conv", "conv3_block1_1_conv"} <= moved[1]
assert not [name for name in moved[1] if name.endswith("_bn")]
try:
    train(recipe, images, out=Path(sys.argv[1], "stopped"), progress=Stop())
except KeyboardInterrupt:
    resumed = resume(Path(sys.argv[1], "stopped"), images)
weights = whole.classifier.model.get_weights(), resumed.classifier.model.get_weights()
assert all((a == b).all() for a, b in zip(*weights))
"""
    )
    recipe = tiny_recipe.change(
        phases=(
            Phase(epochs=1, trainable="head"),
            Phase(epochs=2, freeze_batch_norm=True, layer_lr_decay=0.5),
        ),
        validation_split=0.25,
        ema=0.5,
    )
    (tmp_path / "recipe.json").write_text(recipe.to_json())
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        env={**os.environ, "KERAS_BACKEND": backend, **jax_compiled_in(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_run_that_ends_early_keeps_its_best_epoch(tiny_recipe, images, tmp_path):
    """The loss does not settle: it rises sooner or later, and two more epochs pass before the run ends."""
    recipe = tiny_recipe.change(
        epochs=40, validation_split=0.25, patience=2, learning_rate=0.5, schedule="constant", warmup_epochs=0
    )
    watch = Averages()
    run = train(recipe, images, out=tmp_path / "run", progress=watch)
    best = max(range(len(run.history)), key=lambda k: (run.history[k]["val_accuracy"], -run.history[k]["val_loss"]))
    assert best < len(run.history) - 1 < 39
    for found, expected in zip(run.classifier.model.get_weights(), watch.weights[best], strict=True):
        np.testing.assert_array_equal(found, expected)


def test_a_class_without_training_images_is_refused(tiny_recipe, images, tmp_path):
    few = images.train.select(np.flatnonzero(images.train.labels != 2))
    unreadable = (Unreadable("a.png", "damaged"), Unreadable("b.png", "damaged"))
    with raises(ValueError, few.name, f"none of {few.class_names[2]}", "2 files"):
        train(tiny_recipe, DatasetSplits(few, images.test, unreadable=unreadable), out=tmp_path / "run")
    assert not list(tmp_path.iterdir())


class Exhaust(keras.callbacks.Callback):
    """Run out of memory in the third epoch, as JAX says it: TensorFlow would wait ten seconds for more."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 400 bytes.")


def test_running_out_of_memory_names_what_to_change_and_leaves_a_state(tiny_recipe, images, tmp_path):
    recipe = tiny_recipe.change(checkpoint_epochs=100)
    run = tmp_path / "a run"
    with raises(MemoryError, run, "--batch-size", "--image-size", 8, 32, "resnet50 train --resume") as caught:
        train(recipe, images, out=run, callbacks=[Exhaust()])
    assert str(caught.value).endswith(f"--resume '{run}'")
    assert finished_epochs(run / "checkpoints" / "last.h5") == 2


def test_a_run_with_a_last_batch_of_one_image_trains_as_it_was_recorded(tiny_recipe, images, tmp_path):
    odd = DatasetSplits(images.train.select(range(33)), images.test)
    recipe = tiny_recipe.change(epochs=2, batch_size=32)
    shared = train(recipe, odd, out=tmp_path / "shared")
    before = recipe.change(share_last_batch=False)
    whole = train(before, odd, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(before, odd, out=tmp_path / "run", progress=First(stop=1))
    values = json.loads((tmp_path / "run" / "recipe.json").read_text())
    del values["share_last_batch"]  # as an earlier version wrote it
    (tmp_path / "run" / "recipe.json").write_text(json.dumps(values))
    resumed = resume(tmp_path / "run", odd)
    weights = [run.classifier.model.get_weights() for run in (whole, resumed, shared)]
    assert all((a == b).all() for a, b in zip(*weights[:2], strict=True))
    assert any((a != b).any() for a, b in zip(*weights[1:], strict=True))


def test_a_run_that_another_process_trains_is_not_resumed(finished, images):
    with finished.folder.locked(), raises(ValueError, finished.folder.path):
        resume(finished.folder.path, images)


def test_mirroring_that_turns_one_class_into_another_is_refused_unless_asked_for(tiny_recipe, tmp_path):
    left = factories.noise(24, 4, 4, 3, seed=5).repeat(8, axis=1).repeat(8, axis=2)
    pixels = np.concatenate([left, left[:, :, ::-1]])
    hands = factories.dataset([0] * 24 + [1] * 24, ("this", "that"), images=pixels)
    splits = DatasetSplits(hands, hands.select([0, 24]))
    with raises(ValueError, "pets", "25 of 25 images of 'this'", "'that'", "--no-flip", "--flip"):
        train(tiny_recipe.change(flip=None), splits, out=tmp_path / "refused", progress=False)
    assert not list(tmp_path.iterdir())
    for flip in (True, False):
        run = train(tiny_recipe.change(flip=flip, epochs=2), splits, out=tmp_path / f"{flip}", progress=False)
        assert run.folder.read().recipe.augmentation.flip is flip


def test_mirroring_by_default_goes_on_where_classes_are_no_mirror_images(tiny_recipe, images, tmp_path):
    run = train(tiny_recipe.change(flip=None, epochs=2), images, out=tmp_path / "run", progress=False)
    assert run.folder.read().recipe.augmentation.flip is None


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A run on wide images whose classes differ at the ends alone, shown whole by stretching."""
    folder = tmp_path_factory.mktemp("wide")
    for name, at in (("left", 0), ("right", 140)):
        for index in range(12):
            pixels = np.kron(noise(2, 16, 3, seed=(at, index)), np.ones((10, 10, 1), np.uint8))
            pixels[:, at : at + 20] = 255
            factories.write_image(folder / "images" / name / f"{index}.png", pixels)
    source, fit = DataSource("folder", str(folder / "images")), Fit(mode="stretch", resampling="bilinear")
    recipe = factories.tiny_recipe(epochs=1, warmup_epochs=0, batch_size=4)
    splits = source.load(32, fit=fit)
    return train(recipe, splits, out=folder / "run", source=source, progress=False), splits


@pytest.mark.slow
def test_images_are_fitted_alike_in_training_and_use(fitted, tmp_path):
    run, splits = fitted
    fit = Fit(mode="stretch", resampling="bilinear")
    assert run.classifier.fit == Classifier.load(run.folder.path).fit == run.folder.read().recipe.fit == fit
    rows = run.classifier.probabilities(splits["test"].images)
    files = [splits.root / path for path in splits["test"].paths]
    found = list(predict(run.classifier, files, top=2))
    for row, prediction in zip(rows, found, strict=True):
        assert prediction.top[0][1] == pytest.approx(row.max(), abs=1e-6)
    assert evaluate(run.folder.path, out=tmp_path / "again").report.accuracy == run.report.accuracy
    export(run.folder.path, tmp_path / "onnx", format="onnx")
    exported = Classifier.load(tmp_path / "onnx")
    assert exported.fit == fit
    assert exported.predict(files[0]).top[0][1] == pytest.approx(rows[0].max(), abs=1e-4)


@pytest.mark.slow
def test_a_resumed_run_fits_images_as_it_did(fitted):
    run, _ = fitted
    assert resume(run.folder.path, progress=False).classifier.fit == run.classifier.fit


def test_images_that_are_fitted_otherwise_than_the_recipe_says_are_refused(tiny_recipe, images, tmp_path):
    with raises(ValueError, "stretched", "center crop"):
        train(tiny_recipe.change(fit=Fit(mode="stretch")), images, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
