"""The thresholds of a trained classifier: which images they are fitted on, and that a resumed run has the same."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import factories
from factories import fill_random
from resnet50.build import build_resnet50
from resnet50.conventions import V1_5
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.inference.classifier import Classifier
from resnet50.model import Stage
from resnet50.training import thresholds as module
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.progress import Progress
from resnet50.training.train import resume, train

pytestmark = pytest.mark.slow  # trained runs

PROBE = LinearProbe(c_values=(0.01, 1.0))
NEVER = Phase(epochs=1, learning_rate=1e-5, min_error=1.0)
STOPS = Phase(epochs=2, learning_rate=1e-3, trainable="conv3", views=1)


class Watch(Progress):
    def __init__(self, *, epoch=None):
        super().__init__()
        self.reasons, self.aside, self.epoch = [], [], epoch

    def without_thresholds(self, reason):
        self.reasons.append(reason)

    def set_aside(self, images, rest, accuracy):
        self.aside.append((images, rest, accuracy))

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def many():
    """Of 160 images 96 train where 0.4 is held out."""
    return DatasetSplits(*rendered_signs(train=160, test=24, image_size=32))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    stages = [Stage(*row) for row in factories.tiny_recipe().stages]
    model = build_resnet50(5, input_shape=(32, 32, 3), stages=stages, conventions=V1_5, normalization="torch")
    path = tmp_path_factory.mktemp("pretrained") / "weights.keras"
    fill_random(model, 8).save(path)
    return str(path)


def recipe_of(weights, *phases, **changes):
    return factories.tiny_recipe(
        weights=weights, validation_split=0.4, phases=phases, **{"restore_best": True, **changes}
    )


@pytest.fixture(scope="module")
def probed(weights, many, tmp_path_factory):
    """A head that knows much of its training images by heart."""
    recipe = recipe_of(weights, LinearProbe(c_values=(1e4,)), NEVER)
    return train(recipe, many, out=tmp_path_factory.mktemp("runs") / "probed", progress=False)


def test_a_probe_s_thresholds_are_fitted_on_its_training_images_out_of_fold(probed):
    thresholds, history = probed.classifier.thresholds, probed.history
    assert thresholds.fitted_on == "out-of-fold"
    training = len(thresholds.scores)
    assert 90 <= training <= 102  # 0.6 of 160, near-duplicates together
    assert (len(thresholds.distances), thresholds.features.shape) == (training, (training, 24))
    # of the images themselves, 1 - p is at most this on average, by Jensen's inequality
    assert np.mean(thresholds.scores) > 1 - np.exp(-history[0]["loss"])
    assert np.median(thresholds.distances) > 0


def test_the_file_holds_them_and_is_plain_keras(probed):
    loaded = Classifier.load(probed.folder.model)
    assert loaded.thresholds.to_bytes() == probed.classifier.thresholds.to_bytes()
    assert keras.saving.load_model(probed.folder.model, compile=False).count_params()


def test_the_report_has_coverage_and_size_by_class_and_a_risk_coverage_curve(probed, many):
    selective = probed.report.selective
    assert selective.coverage == 0.95
    assert selective.all.images == 24
    assert sum(scores.images for scores in selective.classes.values()) == 24
    assert 0 <= selective.all.refused <= 1
    assert selective.answered[-1] == 1
    assert selective.risk[-1] == pytest.approx(1 - probed.report.accuracy)
    page = probed.folder.page.read_text()
    assert "Risk-coverage curve" in page
    assert (probed.folder.path / "risk_coverage.png").exists()


def test_near_duplicates_are_neither_compared_nor_in_other_folds(weights, many, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(
        module, "nearest_distances", lambda *given, groups: calls.append(groups) or np.zeros(len(given[0]))
    )
    double = many["train"].select(np.repeat(np.arange(len(many["train"])), 2))
    splits = DatasetSplits(double, many["test"])
    train(recipe_of(weights, PROBE, NEVER), splits, out=tmp_path / "run", progress=False)
    ((own, reference),) = calls
    np.testing.assert_array_equal(own, reference)
    assert len(set(own)) <= len(own) / 2


def test_images_that_choose_nothing_are_all_used(weights, many, tmp_path):
    recipe = recipe_of(weights, STOPS, restore_best=False)
    run = train(recipe, many, out=tmp_path / "run", progress=False)
    thresholds = run.classifier.thresholds
    assert thresholds.fitted_on == "held-out"
    assert 58 <= len(thresholds.scores) <= 70  # 0.4 of 160
    assert 90 <= len(thresholds.features) <= 102
    assert len(thresholds.distances) == len(thresholds.scores)


def test_where_an_epoch_is_chosen_half_of_the_validation_images_is_set_aside(weights, many, tmp_path):
    """And the same half after an interruption, with the same choice."""
    recipe = recipe_of(weights, PROBE, STOPS)
    run = train(recipe, many, out=tmp_path / "whole", progress=(watch := Watch()))
    ((aside, rest, accuracy),) = watch.aside
    assert (aside + rest, round(accuracy * rest, 6) % 1) == (64, 0)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, many, out=tmp_path / "cut", progress=Watch(epoch=2))
    resumed = resume(tmp_path / "cut", many, progress=False)
    assert resumed.classifier.thresholds.to_bytes() == run.classifier.thresholds.to_bytes()
    assert resumed.report == run.report
    if run.classifier.thresholds.fitted_on == "held-out":
        assert 28 <= len(run.classifier.thresholds.scores) <= 36


def test_too_few_images_leave_no_thresholds_and_the_reason_is_told(weights, images, tmp_path):
    watch = Watch()
    run = train(recipe_of(weights, STOPS), images, out=tmp_path / "run", progress=watch)
    assert run.classifier.thresholds is None
    assert run.report.selective is None
    (reason,) = watch.reasons
    assert all(word in reason for word in ("--validation-split", "19", "38"))
    assert run.report.selective_reason == reason


def test_too_few_training_images_for_a_set_are_told_at_the_end_of_the_training(weights, many, tmp_path):
    few = DatasetSplits(many["train"].select(np.arange(25)), many["test"])
    run = train(recipe_of(weights, PROBE, NEVER), few, out=tmp_path / "run", progress=(watch := Watch()))
    (reason,) = watch.reasons
    assert all(word in reason for word in ("19", str(len(run.classifier.thresholds.scores)), "--coverage"))
    assert run.report.selective_reason == reason


def test_features_that_are_too_many_are_not_stored(weights, many, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_FEATURES", 23)
    run = train(recipe_of(weights, STOPS, restore_best=False), many, out=tmp_path / "run", progress=False)
    assert not run.classifier.thresholds.refuses
    assert run.report.selective.all.refused is None


@pytest.mark.parametrize(
    ("phases", "count", "words"),
    [
        ((PROBE, NEVER), 60, ("38", "60", "connect")),
        ((PROBE, NEVER), 20, ("38", "20")),
        ((STOPS,), 5, ("19", "5")),
        ((STOPS,), 0, ("19", "none")),
    ],
)
def test_the_reason_fits_the_recipe_and_the_images(phases, count, words):
    recipe = recipe_of("weights.keras", *phases, restore_best=False)
    run = SimpleNamespace(splits=SimpleNamespace(validation=range(count)), record=SimpleNamespace(recipe=recipe))
    reason = module._too_few(run)
    assert all(word in reason for word in words)
    assert ("connect" in reason) == ("connect" in words)
    assert ("38" in reason) == ("38" in words)
