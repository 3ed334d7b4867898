"""Cross-validation on tiny networks: by features, and with a run for each fold."""

from __future__ import annotations

import numpy as np
import pytest

from factories import fill_random, raises, tiny_recipe
from resnet50.build import build_resnet50
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.evaluation.cross_validate import cross_validate
from resnet50.inference.classifier import Classifier
from resnet50.model import Stage
from resnet50.training.features import FrozenPart
from resnet50.training.phases import LinearProbe, Phase


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def splits():
    train, test = rendered_signs(train=30, test=12, image_size=32)
    return DatasetSplits(train, test)


@pytest.fixture(scope="module")
def network():
    stages = tuple(Stage(*row) for row in tiny_recipe().stages)
    return fill_random(build_resnet50(4, input_shape=(32, 32, 3), stages=stages), 5)


@pytest.fixture(scope="module")
def recipe(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("pretrained") / "weights.keras"
    network.save(path)
    return tiny_recipe(weights=str(path), phases=(LinearProbe(c_values=(0.1,)), Phase(epochs=1)))


def test_every_image_of_all_splits_is_predicted_from_features(recipe, splits):
    steps = []
    result = cross_validate(recipe, splits, folds=3, seeds=(0, 7), progress=lambda done, total: steps.append(total))
    assert len(result.dataset) == 42
    assert result.dataset.paths == (*splits["train"].paths, *splits["test"].paths)
    assert [each.seed for each in result.repetitions] == [0, 7]
    for each in result.repetitions:
        assert set(each.folds) == {0, 1, 2}
        assert len(each.c_values) == 3
        assert set(each.c_values) <= {0.001, 0.003, 0.1}
        np.testing.assert_allclose(each.probabilities.sum(axis=1), 1, atol=1e-5)
    assert (result.repetitions[0].folds != result.repetitions[1].folds).any()
    assert result.features.shape[0] == 42
    assert {42, 3} <= set(steps)
    assert "weights.keras" in result.remarks[0]
    again = cross_validate(recipe, splits, folds=3, seeds=(0, 7))
    np.testing.assert_array_equal(again.probabilities, result.probabilities)


def test_another_label_does_not_compute_the_features_again(recipe, splits, monkeypatch):
    cross_validate(recipe, splits, folds=3)
    monkeypatch.setattr(FrozenPart, "_fill", None)
    labels = splits["train"].labels.copy()
    labels[:2] = labels[:2][::-1]
    changed = DatasetSplits(
        type(splits["train"])(
            splits["train"].images, labels, splits["train"].class_names, splits["train"].paths, splits["train"].name
        ),
        splits.test,
    )
    result = cross_validate(recipe, changed, folds=3)
    np.testing.assert_array_equal(result.dataset.labels[:2], labels[:2])


def test_a_network_that_knows_the_labels_is_refused(recipe, network, splits, tmp_path):
    names = splits["train"].class_names
    stages = tuple(Stage(*row) for row in recipe.stages)
    model = fill_random(build_resnet50(len(names), input_shape=(32, 32, 3), stages=stages))
    Classifier(model, names, "signs", "0" * 64, {}, {}).save(tmp_path / "tuned.keras")
    with raises(ValueError, tmp_path / "tuned.keras", names[0]):
        cross_validate(recipe.change(weights=str(tmp_path / "tuned.keras")), splits)


def test_what_cannot_be_cross_validated_is_refused_before_any_work(recipe, splits):
    with raises(ValueError, "weights", "--full"):
        cross_validate(recipe.change(weights=None), splits)
    with raises(ValueError, 3, 3):
        cross_validate(recipe, splits, seeds=(3, 3))
    with raises(ValueError, 64, 32):
        cross_validate(recipe.change(image_size=64), splits)
    one_left = splits.map(lambda dataset: dataset.select(np.flatnonzero(dataset.labels == 1)))
    with raises(ValueError, "two classes", splits["train"].class_names[1]):  # as corrections may leave it
        cross_validate(recipe, one_left)


@pytest.mark.slow
def test_a_run_for_each_fold_is_resumed_or_used(splits, tmp_path, monkeypatch):
    recipe = tiny_recipe(phases=(Phase(epochs=1),))
    steps = []
    first = cross_validate(
        recipe, splits, folds=2, seeds=(3,), runs=tmp_path, progress=lambda done, total: steps.append((done, total))
    )
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == [
        "seed-3-fold-1",
        "seed-3-fold-2",
    ]
    assert steps[-2:] == [(1, 2), (2, 2)]
    assert first.features is None
    assert first.remarks == ()
    assert all(each.c is None for each in first.fold_scores)
    model = Classifier.load(tmp_path / "seed-3-fold-2" / "model.keras")
    held_out = first.repetitions[0].folds == 1
    expected = model.probabilities(first.dataset.images[held_out])
    np.testing.assert_allclose(first.probabilities[held_out], expected, atol=1e-4)

    (tmp_path / "seed-3-fold-2" / "report.html").unlink()  # as if it was stopped before the end
    (tmp_path / "seed-3-fold-2" / "model.keras").unlink()
    monkeypatch.setattr("resnet50.evaluation.fold_runs.train", None)  # no run is started
    again = cross_validate(recipe, splits, folds=2, seeds=(3,), runs=tmp_path)
    np.testing.assert_allclose(again.probabilities, first.probabilities, atol=1e-4)
    with raises(ValueError, tmp_path / "seed-3-fold-1", "recipe"):
        cross_validate(recipe.change(weight_decay=0.5), splits, folds=2, seeds=(3,), runs=tmp_path)
