"""Averaged predictions, of classifiers whose answers are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import factories
from factories import noise, raises, tiny_model, write_image
from resnet50 import Classifier, evaluate_averaged
from resnet50.comparison import averaging

pytestmark = pytest.mark.slow  # reports


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two classifiers, trained with mirrored images and shifts of up to a quarter, as their recipes say."""
    folder = tmp_path_factory.mktemp("models")
    recipe = {"augmentation": {"flip": None, "shift": 0.25}}
    for seed in (0, 1):
        model = tiny_model(3, size=(32, 32), seed=seed)
        factories.classifier(model, recipe=recipe).save(folder / f"{seed}.keras")
    return [folder / "0.keras", folder / "1.keras"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for number in range(12):
        write_image(folder / "abc"[number % 3] / f"{number:02}.png", noise(32, 32, 3, seed=number))
    return folder


def expected(models, images, versions=lambda image: [image]):
    """Accuracy of the mean of all probabilities, computed image by image."""
    classifiers = [Classifier.load(model) for model in models]
    right = []
    for path in sorted(images.rglob("*.png")):
        image = np.asarray(factories.Image.open(path))
        rows = [
            np.mean([classifier.probabilities(version[None])[0] for version in versions(image)], axis=0)
            for classifier in classifiers
        ]
        right.append("abc"[np.mean(rows, axis=0).argmax()] == path.parent.name)
    return np.mean(right)


def test_an_ensemble_is_the_mean_of_probabilities(models, images, tmp_path):
    result = evaluate_averaged(models, images, out=tmp_path / "report")
    assert result.evaluation.report.accuracy == pytest.approx(expected(models, images))
    assert result.accuracies == pytest.approx([expected([model], images) for model in models])
    assert result.passes == 2
    gain = result.evaluation.report.accuracy - np.mean(result.accuracies)
    assert result.difference.difference == pytest.approx(gain)
    assert (tmp_path / "report" / "report.html").is_file()
    assert result.evaluation.classifier.thresholds is None


def test_changes_are_those_of_the_training(models, images, tmp_path):
    """The image, its mirror image, and shifts by an eighth of 32 pixels that repeat the border."""

    def versions(image):
        padded = np.pad(image, [(4, 4), (4, 4), (0, 0)], mode="edge")
        corners = [(0, 4), (8, 4), (4, 0), (4, 8)]
        return [image, image[:, ::-1], *(padded[top : top + 32, left : left + 32] for top, left in corners)]

    result = evaluate_averaged(models[:1], images, out=tmp_path / "report", tta=True)
    assert result.passes == 6
    assert result.evaluation.report.accuracy == pytest.approx(expected(models[:1], images, versions))


@pytest.mark.parametrize(
    ("augmentation", "count"),
    [({}, 1), ({"flip": False, "shift": 0.0}, 1), ({"flip": True}, 2), ({"flip": False, "shift": 0.1}, 5)],
)
def test_only_what_the_training_changed_is_changed(augmentation, count):
    classifier = factories.classifier(tiny_model(3, size=(40, 40)), recipe={"augmentation": augmentation})
    assert len(averaging._changes(classifier)) == count


def test_nothing_to_average_is_refused(models, images, tmp_path):
    plain = tmp_path / "plain.keras"
    replace(Classifier.load(models[0], runtime="keras"), recipe={}).save(plain)
    with raises(ValueError, models[0], "twice"):
        evaluate_averaged([models[0], models[1], models[0]], images, out=tmp_path / "report")
    with raises(ValueError, "two", "--tta"):
        evaluate_averaged(models[:1], images, out=tmp_path / "report")
    with raises(ValueError, plain, "--tta"):
        evaluate_averaged([plain], images, out=tmp_path / "report", tta=True)
    with raises(ValueError, plain, "a file"):
        evaluate_averaged(models, images, out=plain)
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"class_names": ("a", "b", "d")}, "classes"),
        ({"fingerprint": "1" * 64}, "training images"),
        ({"network": tiny_model(3, size=(32, 40))}, "image size"),
    ],
)
def test_runs_that_do_not_fit_are_refused(models, images, tmp_path, change, name):
    other = tmp_path / "other.keras"
    replace(Classifier.load(models[1], runtime="keras"), **change).save(other)
    with raises(ValueError, other, models[0], name):
        evaluate_averaged([models[0], other], images, out=tmp_path / "report")
