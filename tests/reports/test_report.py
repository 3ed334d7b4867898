"""The files of a report, for a tiny network with random weights and for unusual images and classifiers."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from dataclasses import replace

import keras
import numpy as np
import pytest
from PIL import Image

import factories
from factories import dataset, raises
from resnet50.audit.issue import Issue, Place
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.metrics.grad_cam import grad_cam
from resnet50.metrics.scores import FeatureScoring
from resnet50.plots.explain import overlay
from resnet50.reports.report import write_report
from resnet50.reports.scored import Scored
from resnet50.reports.training_summary import TrainingSummary
from resnet50.uncertainty.scaling import Temperature

RECIPE = {
    "name": "tiny", "phases": [{"trainable": "conv4", "epochs": 9, "learning_rate": 0.5, "schedule": "cosine"}],
    "weights": "some.h5", "batch_size": 16, "image_size": 32, "seed": 4, "validation_split": 0.2,
}  # fmt: skip
HISTORY = {"loss": [2.0, 1.0], "accuracy": [0.5, 0.99], "learning_rate": [0.5, 0.1], "seconds": [70.2, 60.0]}
FILES = {"report.json", "report.html", "confusion.png", "reliability.png", "mistakes.png", "balance.png"}


def labeled_images(n, classes=3, seed=0, shape=(32, 40), name="k{}"):
    rng = np.random.default_rng(seed)
    pixels = (rng.random((n, 1, 1, 3)) * rng.integers(0, 256, (n, *shape, 3))).astype(np.uint8)
    return dataset(
        rng.integers(0, classes, n),
        [name.format(k) for k in range(classes)],
        images=pixels,
        name="Farm",
        paths=[f"folder/p{k}.jpg" for k in range(n)],
    )


@pytest.fixture(scope="module")
def classifier():
    model = factories.tiny_model(seed=9)  # whose worst mistakes are not all of one class
    return factories.classifier(model, ("k0", "k1", "k2"), name="Farm", recipe={"name": "tiny", "seed": 4})


@pytest.fixture(scope="module")
def written(classifier, tmp_path_factory):
    """A report with everything that it may contain: its folder, the returned report, and the images."""
    folder = tmp_path_factory.mktemp("report") / "new" / "folder"
    splits = labeled_images(60, seed=1), labeled_images(40, seed=2), labeled_images(50, seed=3)
    test, train, validation = splits
    files = tuple((Place(f"folder/bad{k}.jpg", remark="is cut off"),) for k in range(20))
    issues = [
        Issue("leak", "error", "3 test images are in training.", "Take them out."),
        Issue("unreadable", "warning", "20 files cannot be read.", "Repair them.", files),
    ]
    training = TrainingSummary("Farm", RECIPE, HISTORY, DataSource("folder", "my farm"), model="runs/a run")
    report = write_report(
        folder, classifier, DatasetSplits(train, test, validation), issues=issues, training=training,
        source=training.source,
    )  # fmt: skip
    return folder, report, splits


def sections(folder):
    """Return the text of the page without markup: that below the title, then that of each section."""
    body = re.sub("<wbr>|</?i>", "", (folder / "report.html").read_text(encoding="utf-8")).split("<body>")[1]
    return [html.unescape(re.sub(r"<[^>]*>", " ", section)) for section in body.split("<h2 ")]


def section(folder, name):
    """Return the text of the section with this id, without line breaks."""
    (found,) = (text for text in sections(folder) if text.startswith(f'id="{name}"'))
    return " ".join(found.split())


def commands(folder):
    found = re.findall(r"<pre>(.*?)</pre>", (folder / "report.html").read_text(encoding="utf-8"))
    return [html.unescape(re.sub("</?b>", "", each)) for commands in found for each in commands.split("<br>")]


def remark(folder, metric):
    """Return the text below the number of a metric with this name."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    facts = re.findall(r"<div><dt>(.*?)</dt><dd>.*?</dd><dd>(.*?)</dd></div>", text)
    (below,) = (below for name, below in facts if metric in name.lower())
    return below


def missing(text, *values):
    """Return the values that are not in a text."""
    return [value for value in values if str(value) not in text]


@pytest.mark.slow
def test_every_file_is_there_and_nothing_else(written):
    folder, _, _ = written
    assert {path.name for path in folder.iterdir()} == FILES | {"curves.png"}
    for path in folder.glob("*.png"):
        with Image.open(path) as figure:
            assert figure.width > 300


def test_the_numbers_are_those_of_the_predictions(written, classifier):
    folder, report, (test, _, _) = written
    probabilities = classifier.model.predict(test.images, verbose=0)
    predicted = probabilities.argmax(axis=1)
    assert report.accuracy == pytest.approx((predicted == test.labels).mean())
    assert [mistake.index for mistake in report.mistakes] == sorted(
        np.flatnonzero(predicted != test.labels), key=lambda k: (-probabilities[k].max(), k)
    )
    saved = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert saved["accuracy"] == report.accuracy
    assert saved["issues"][0] == {
        "kind": "leak",
        "severity": "error",
        "summary": "3 test images are in training.",
        "advice": "Take them out.",
        "examples": [],
    }


def test_the_page_shows_everything(written):
    folder, report, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    (title,) = re.findall(r"<h1>(.*?)</h1>", text)
    assert not missing(title, "Farm", f"{report.accuracy:.1%}", 60)
    (subtitle,) = re.findall(r'<p class="sub">(.*?)</p>', text)
    assert not missing(subtitle, 3, "Farm")
    (note,) = re.findall(r'<div class="note error">(.*?)</div>', text)
    assert not missing(note, "3 test images are in training.", "Take them out.")
    assert commands(folder)[0] == "resnet50 check 'my farm' --image-size 32"
    shown = re.findall(r"<tr><td>(k\d)</td><td class=\"number\">([\d.]+)%", text)
    assert sorted(name for name, _ in shown) == ["k0", "k1", "k2"]
    assert [float(share) for _, share in shown] == sorted(float(share) for _, share in shown)
    assert text.count("<img ") == 4 + 1 + 2 * 24  # figures, color bar, each of the worst mistakes with its Grad-CAM
    first = report.mistakes[0]
    image, heat, *_ = re.findall(r"<figcaption>(.*?)</figcaption>", re.sub("<wbr>|</?i>", "", text), re.DOTALL)
    assert not missing(image, first.true, *first.path.split("/"))
    assert not missing(heat, first.predicted, f"{first.probability:.0%}")
    assert not missing(section(folder, "mistakes"), len(report.mistakes), 60, 24, "4 x 5 cells, 8 pixels apart")
    assert len(text) < 500_000


def test_the_page_shows_curves_and_settings_of_the_training(written):
    folder, _, _ = written
    training = section(folder, "training")
    assert not missing(training, "99.0%", "2 epochs")  # the message of the curves
    settings = ("tiny", "some.h5", "32 x 32", 16, 4, "20%", "2 min 10 s", "conv4 and above", "2 of 9", 0.5, "cosine")
    assert not missing(training, *settings)


def test_scores_from_features_are_named_with_their_check(classifier, tmp_path):
    splits = DatasetSplits(labeled_images(10), labeled_images(12, seed=1), labeled_images(6, seed=2))
    probabilities = {name: np.full((n, 3), 1 / 3, np.float32) for name, n in (("test", 12), ("validation", 6))}
    scored = Scored(probabilities, FeatureScoring("bfloat16", 8, 0.00123))
    report = write_report(tmp_path, classifier, splits, scored=scored)
    assert report.loss == pytest.approx(np.log(3))
    assert not missing(sections(tmp_path)[0], "bfloat16", "8 test images", "0.0012")
    saved = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert saved["from_features"] == {"precision": "bfloat16", "compared": 8, "difference": 0.00123}
    assert "bfloat16" not in sections(tmp_path)[-1]
    write_report(tmp_path, classifier, splits)
    assert "bfloat16" not in sections(tmp_path)[0]


def test_phases_are_listed_with_what_validation_said(classifier, tmp_path):
    recipe = RECIPE | {
        "phases": [
            {"views": 6, "c_values": [0.1, 1.0], "min_error": 0.0},
            {"trainable": "all", "epochs": 9, "learning_rate": 0.5, "schedule": "cosine", "min_error": 0.05},
        ]
    }
    history = {"loss": [2.0], "accuracy": [0.5], "val_accuracy": [0.975], "phase": [1]}
    splits = DatasetSplits(labeled_images(10), labeled_images(12, seed=1))
    write_report(tmp_path, classifier, splits, training=TrainingSummary("Farm", recipe, history))
    assert not missing(
        section(tmp_path, "training"), "linear probe", "6 versions", "97.5%", "left out", "all", "cosine"
    )
    assert not (tmp_path / "curves.png").exists()


def test_files_of_an_issue_are_listed(written):
    folder, _, _ = written
    issues = section(folder, "data-issues")
    assert "folder/bad15.jpg is cut off" in issues
    assert "bad16" not in issues
    assert not missing(issues, 16, 20, "report.json")
    assert len(json.loads((folder / "report.json").read_text(encoding="utf-8"))["issues"][1]["examples"]) == 20


def test_commands_name_the_real_places(written):
    folder, _, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert not re.findall(r"\b(DATA|RUN|OUT|MODEL)\b", text)
    assert all("'my farm'" in command or "'runs/a run" in command for command in commands(folder))


def test_figures_are_svg_for_light_and_dark_paper(written):
    folder, _, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    figures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', text)
    assert len(figures) == 4
    for data in figures:
        svg = base64.b64decode(data).decode()
        assert "prefers-color-scheme:dark" in svg
        assert not re.search(r"style=\"[^\"]*#[0-9a-f]{6}", svg)  # every color is a variable of the style


def test_beside_each_mistake_is_the_grad_cam_of_its_predicted_class(written, classifier):
    folder, report, (test, _, _) = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'<figure>.*?src="data:image/png;base64,([^"]+)"', text)
    ]
    worst = [mistake.index for mistake in report.mistakes[:24]]
    predicted = np.array([int(mistake.predicted[1:]) for mistake in report.mistakes[:24]])
    heats = grad_cam(classifier.model, test.images[worst], predicted)
    assert len(set(predicted.tolist())) > 1
    for row, index in enumerate(worst):
        np.testing.assert_array_equal(shown[2 * row], test.images[index])
        expected = overlay(test.images[index], heats[row]).astype(int)
        assert np.abs(shown[2 * row + 1] - expected).max() <= 1


def test_the_most_confused_pairs_of_classes_come_first(written):
    folder, report, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    rows = re.findall(
        r"<td>k(\d)</td><td>k(\d)</td><td class=\"number\">(\d+)</td><td class=\"number\">([\d.]+)%", text
    )
    counts = [int(count) for *_, count, _ in rows]
    assert counts == sorted(counts, reverse=True)
    for true, predicted, count, share in rows:
        assert report.confusion[int(true)][int(predicted)] == int(count)
        assert float(share) == pytest.approx(100 * int(count) / sum(report.confusion[int(true)]), abs=0.06)


def constant(scores, shape=(8, 8)):
    """A network without convolutions that predicts the same for every image."""
    inputs = keras.Input((*shape, 3))
    flat = keras.layers.Flatten()(inputs)
    last = keras.layers.Dense(len(scores), activation="softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, last(flat), name="constant")
    last.set_weights([last.get_weights()[0], np.log(scores)])
    return model


def test_a_network_without_feature_maps_has_no_grad_cam(tmp_path):
    test = labeled_images(3, shape=(8, 8))
    report = write_report(tmp_path, confident(test, (0.6, 0.3, 0.1)), DatasetSplits(test=test))
    assert report.mistakes
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    (note,) = re.findall(r'<div class="note note">(.*?)</div>', text)
    assert not missing(note, "constant", "Grad-CAM")
    assert text.count("<figure>") == len(report.mistakes)  # nothing beside them
    assert 'id="training"' not in text  # neither a recipe nor a history
    assert 'class="legend"' not in text
    assert report.temperature_scaling is None
    assert report.temperature_reason
    assert report.temperature_reason in section(tmp_path, "calibration")
    assert commands(tmp_path) == []


@pytest.mark.parametrize("known", [True, False])
def test_why_there_are_no_sets_is_on_the_page(tmp_path, known):
    test, words = labeled(2, 1, 0), {"no_thresholds": "expected 19 images, got 12."} if known else {}
    classifier = confident(test) if known else factories.with_thresholds(confident(test), calibration=12)
    report = write_report(tmp_path, classifier, DatasetSplits(test=test), **words)
    assert report.selective is None
    assert not missing(report.selective_reason, 19, 12)
    assert report.selective_reason in section(tmp_path, "sets")


def labeled(*counts):
    """This many images of each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return replace(labeled_images(len(labels), shape=(8, 8)), labels=labels)


CONFIDENT = (0.98, 0.01, 0.01)


def confident(test, scores=CONFIDENT):
    return Classifier(constant(scores), test.class_names, "d", "", {}, {})


def written_with(tmp_path, classifier, test, validation=None, **training):
    """Write a report of a training in the run ``a run``."""
    summary = TrainingSummary("d", {}, model="a run", **training)
    return write_report(tmp_path, classifier, DatasetSplits(None, test, validation), training=summary)


def test_a_recommended_temperature_is_named_with_its_command(tmp_path):
    test = labeled(45, 15, 0)
    report = written_with(tmp_path, confident(test), test, test)
    scaling = report.temperature_scaling
    temperature = np.log(0.98 / 0.01) / np.log(0.75 / 0.125)  # that of 0.75 for the first class
    assert scaling.temperature == pytest.approx(temperature, rel=1e-3)
    shown = (f"{temperature:.2f}", 60, "0.0%", f"{scaling.loss:.3f}", f"{scaling.cross_validated_loss:.3f}")
    assert not missing(section(tmp_path, "calibration"), *shown)
    assert commands(tmp_path) == ["resnet50 evaluate 'a run' --calibrate 'a run/calibrated.keras'"]
    assert report.temperature_reason == ""


def test_without_a_place_of_the_model_there_is_no_command(tmp_path):
    test = labeled(45, 15, 0)
    report = write_report(tmp_path, confident(test), DatasetSplits(None, test, test))
    assert report.temperature_scaling is not None
    assert commands(tmp_path) == []


def test_where_no_temperature_is_recommended_none_is_named(tmp_path):
    test = labeled(59, 1, 0)
    report = written_with(tmp_path, confident(test, (0.8, 0.1, 0.1)), test, labeled(48, 6, 6))
    assert report.temperature_scaling is None
    assert report.temperature_reason in section(tmp_path, "calibration")
    assert "1.0" not in section(tmp_path, "calibration").split("recommended")[1].split("Accuracy")[0]
    assert commands(tmp_path) == []
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["temperature_scaling"] is None


def test_of_a_temperature_that_changes_nothing_nothing_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("resnet50.reports.report.find_temperature", lambda *given: Temperature(1.0, images=60))
    test = labeled(45, 15, 0)
    report = written_with(tmp_path, confident(test), test, test)
    assert (report.temperature_scaling, report.temperature_reason) == (None, "")
    assert "emperature" not in section(tmp_path, "calibration")


def test_the_test_images_have_no_part_in_the_recommendation(tmp_path):
    test, validation = labeled(59, 1, 0), labeled(30, 15, 15)  # a temperature helps the one and not the other
    report = written_with(tmp_path, confident(test), test, validation)
    assert report.temperature_scaling.loss > report.loss
    scores = (f"{report.temperature_scaling.loss:.3f}", f"{report.loss:.3f}")
    assert not missing(section(tmp_path, "calibration"), *scores)
    assert len(commands(tmp_path)) == 1


def test_no_temperature_is_fitted_on_few_validation_images(tmp_path):
    test = labeled(45, 15, 0)
    report = written_with(tmp_path, confident(test), test, labeled(39, 10, 0))
    assert report.temperature_scaling is None
    assert report.temperature_reason in section(tmp_path, "calibration")
    assert not missing(report.temperature_reason, 50, 49)
    assert "expected" not in report.temperature_reason  # it is information, and worded as no error is
    assert commands(tmp_path) == []
    assert (
        json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["temperature_reason"]
        == report.temperature_reason
    )


@pytest.mark.slow
def test_means_over_classes_count_the_classes_with_images(tmp_path):
    test = labeled(45, 15, 0)
    write_report(tmp_path, confident(test), DatasetSplits(test=test))
    assert "2" in remark(tmp_path, "macro f1")
    assert "2" in remark(tmp_path, "balanced")
    write_report(tmp_path, confident(test), DatasetSplits(test=labeled(45, 15, 5)))
    assert "3" in remark(tmp_path, "macro f1")
    write_report(tmp_path, confident(test), DatasetSplits(test=labeled(0, 1, 0)))
    assert "1" in remark(tmp_path, "macro f1")


def test_a_report_without_mistakes_says_so(tmp_path):
    test = labeled(60, 0, 0)
    report = write_report(tmp_path, confident(test), DatasetSplits(None, test, test))
    assert (report.accuracy, report.mistakes, report.temperature_scaling) == (1.0, (), None)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<figure>" not in text
    assert text.count("<table>") == 1  # the table of classes; there are no confused pairs
    assert report.temperature_reason in section(tmp_path, "calibration")
    assert "60" in report.temperature_reason
    assert commands(tmp_path) == []


@pytest.mark.slow
def test_hostile_names_stay_text_and_an_earlier_report_is_replaced(classifier, tmp_path):
    hostile = labeled_images(30, name="<script>alert({})</script> 猫")
    hostile = replace(hostile, paths=("<img src=x>", "a\udcffb.jpg", "c") * 10, name="<b>$ & \udcff</b>")
    (tmp_path / "report.html").write_text("earlier")
    write_report(tmp_path, replace(classifier, class_names=hostile.class_names), DatasetSplits(test=hostile))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>$" not in text
    assert "<img src=x>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 猫" in text
    assert "a\\udcffb.jpg" in text
    assert {path.name for path in tmp_path.iterdir()} == FILES


@pytest.mark.slow
def test_the_page_stays_small_whatever_the_images_are(tmp_path):
    test = labeled_images(40, shape=(400, 400))
    noisy = Classifier(constant([0.6, 0.3, 0.1], (400, 400)), test.class_names, "d", "", {}, {})
    write_report(tmp_path, noisy, DatasetSplits(test=test))
    assert (tmp_path / "report.html").stat().st_size < 3_000_000  # of noise, which does not compress


def test_images_of_another_size_are_refused_before_anything_is_written(classifier, tmp_path):
    with raises(ValueError, "(n, 32, 40, 3)", "(3, 8, 8, 3)"):
        write_report(tmp_path / "out", classifier, DatasetSplits(test=labeled_images(3, shape=(8, 8))))
    assert not (tmp_path / "out").exists()


def test_without_images_to_score_nothing_is_written(classifier, tmp_path):
    with raises(ValueError, "test", "train"):
        write_report(tmp_path / "out", classifier, DatasetSplits(train=labeled_images(3)))
    assert not (tmp_path / "out").exists()


def scored_like(probabilities, from_features=None):
    return Scored({"test": np.float32(probabilities), "validation": np.float32(probabilities)}, from_features)


def test_probabilities_that_are_passed_in_are_scored_as_they_are(tmp_path, classifier, monkeypatch):
    test = labeled_images(6)
    probabilities = np.full((6, 3), 0.1) + 0.7 * np.eye(3)[[0, 1, 2, 0, 1, 2]]
    monkeypatch.setattr(Classifier, "probabilities", lambda *_: pytest.fail("the network is not run"))
    scored = scored_like(probabilities, FeatureScoring("bfloat16", 5, 0.0123))
    report = write_report(tmp_path, classifier, DatasetSplits(test=test), scored=scored)
    predicted = [0, 1, 2, 0, 1, 2]
    assert report.accuracy == np.mean(test.labels == predicted)
    written = json.loads((tmp_path / "report.json").read_text())
    assert written["from_features"] == {"precision": "bfloat16", "compared": 5, "difference": 0.0123}
    page = (tmp_path / "report.html").read_text()
    assert not missing(page, "bfloat16", "5 test images", "0.0123")


def test_the_validation_probabilities_that_are_passed_in_fit_the_temperature(tmp_path, classifier):
    images = labeled(40, 40, 40)
    right = 0.02 + 0.94 * np.eye(3)[images.labels]
    right[::3] = right[::3][:, [1, 2, 0]]  # a third is wrong and as sure
    splits = DatasetSplits(None, images, images)
    report = write_report(tmp_path, confident(images), splits, scored=scored_like(right))
    assert report.temperature_scaling.temperature > 1.1
    assert report.accuracy == pytest.approx(2 / 3, abs=0.01)
