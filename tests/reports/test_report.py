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
from resnet50.audit.issue import Issue
from resnet50.inference.classifier import Classifier
from resnet50.metrics.grad_cam import grad_cam
from resnet50.plots.explain import overlay
from resnet50.reports.report import write_report

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
    issues = [Issue("leak", "error", "3 test images are in training.", "Take them out.")]
    report = write_report(folder, classifier, test, train=train, validation=validation, issues=issues)
    return folder, report, splits


def sections(folder):
    """Return the text of the page without markup: that below the title, then that of each section."""
    body = (folder / "report.html").read_text(encoding="utf-8").split("<body>")[1]
    return [html.unescape(re.sub(r"<[^>]*>", " ", section)) for section in body.split("<h2>")]


def commands(folder):
    return re.findall(r"<pre>(.*?)</pre>", (folder / "report.html").read_text(encoding="utf-8"))


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
    assert {path.name for path in folder.iterdir()} == FILES
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
    saved = json.loads((folder / "report.json").read_text())
    assert saved["accuracy"] == report.accuracy
    assert saved["issues"] == [
        {
            "kind": "leak",
            "severity": "error",
            "summary": "3 test images are in training.",
            "advice": "Take them out.",
            "examples": [],
        }
    ]


def test_the_temperature_is_fitted_on_validation_images_and_reported_for_the_test(written, classifier):
    _, report, (test, _, validation) = written
    held_out = classifier.probabilities(validation.images).astype(np.float64)

    def scaled(probabilities, temperature):
        powers = probabilities ** (1 / temperature)
        return powers / powers.sum(axis=1, keepdims=True)

    def loss(probabilities, labels):
        return -np.log(probabilities[np.arange(len(labels)), labels]).mean()

    candidates = np.geomspace(0.05, 20, 2000)
    best = min(candidates, key=lambda t: loss(scaled(held_out, t), validation.labels))
    assert report.temperature_scaling.temperature == pytest.approx(best, rel=0.01)
    assert report.temperature_scaling.images == 50
    after = scaled(classifier.probabilities(test.images).astype(np.float64), report.temperature_scaling.temperature)
    assert report.temperature_scaling.loss == pytest.approx(loss(after, test.labels), rel=1e-4)
    assert report.temperature_scaling.loss != pytest.approx(report.loss, rel=1e-3)


def test_the_page_shows_everything(written):
    folder, report, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    (title,) = re.findall(r"<h1>(.*?)</h1>", text)
    assert not missing(title, "Farm", f"{report.accuracy:.1%}", 60)
    (subtitle,) = re.findall(r'<p class="sub">(.*?)</p>', text)
    assert not missing(subtitle, 3, "tiny", 4, "Farm")
    (note,) = re.findall(r'<p class="note error">(.*?)</p>', text)
    assert not missing(note, "3 test images are in training.", "Take them out.")
    assert commands(folder)[0] == "resnet50 check DATA"
    shown = re.findall(r"<tr><td>(k\d)</td><td class=\"number\">([\d.]+)%", text)
    assert sorted(name for name, _ in shown) == ["k0", "k1", "k2"]
    assert [float(share) for _, share in shown] == sorted(float(share) for _, share in shown)
    assert text.count("<img ") == 3 + 2 * 24  # each of the worst mistakes with its Grad-CAM
    first = report.mistakes[0]
    image, heat, *_ = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert not missing(image, first.true, first.path)
    assert not missing(heat, first.predicted, f"{first.probability:.0%}")
    assert not missing(sections(folder)[-1], len(report.mistakes), 60, 24)
    assert len(text) < 1_500_000


def test_beside_each_mistake_is_the_grad_cam_of_its_predicted_class(written, classifier):
    folder, report, (test, _, _) = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'<figure><img src="data:image/png;base64,([^"]+)"', text)
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
    report = write_report(tmp_path, Classifier(constant([0.6, 0.3, 0.1]), test.class_names, "d", "", {}, {}), test)
    assert report.mistakes
    text = (tmp_path / "report.html").read_text()
    (note,) = re.findall(r'<p class="note note">(.*?)</p>', text)
    assert not missing(note, "constant", "Grad-CAM")
    assert text.count("<figure>") == len(report.mistakes)  # nothing beside them
    (subtitle,) = re.findall(r'<p class="sub">(.*?)</p>', text)
    assert "None" not in subtitle  # there is no recipe
    assert report.temperature_scaling is None
    assert report.temperature_reason
    assert report.temperature_reason in sections(tmp_path)[-2]
    assert commands(tmp_path) == []


def labeled(*counts):
    """This many images of each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    return replace(labeled_images(len(labels), shape=(8, 8)), labels=labels)


CONFIDENT = (0.98, 0.01, 0.01)


def confident(test, scores=CONFIDENT):
    return Classifier(constant(scores), test.class_names, "d", "", {}, {})


def test_a_temperature_is_recommended_with_its_command(tmp_path):
    test = labeled(45, 15, 0)
    report = write_report(tmp_path, confident(test), test, validation=test)
    temperature = np.log(0.98 / 0.01) / np.log(0.75 / 0.125)  # that of 0.75 for the first class
    assert not missing(
        sections(tmp_path)[-2], f"{temperature:.2f}", 60, "0.0%", f"{report.temperature_scaling.loss:.3f}"
    )
    assert commands(tmp_path) == ["resnet50 evaluate RUN --calibrate OUT.keras"]
    assert (report.temperature_reason, report.temperature_hurts) == ("", False)


def test_a_temperature_at_the_limit_is_not_recommended(tmp_path):
    test = labeled(0, 60, 0)  # and it always predicts another class
    report = write_report(tmp_path, confident(test), test, validation=test)
    assert report.temperature_scaling.temperature == pytest.approx(20, rel=1e-3)
    assert report.temperature_reason in sections(tmp_path)[-2]
    assert not missing(report.temperature_reason, 60, "20.00")
    assert commands(tmp_path) == []
    cold = write_report(tmp_path, confident(test, (0.4, 0.3, 0.3)), test, validation=labeled(600, 1, 0))
    assert cold.temperature_scaling.temperature == pytest.approx(0.05, rel=1e-3)
    assert not missing(cold.temperature_reason, 601, "0.05")


def test_a_temperature_that_makes_the_test_worse_is_reported_and_not_recommended(tmp_path):
    test, validation = labeled(59, 1, 0), labeled(30, 15, 15)  # more confidence helps the one and not the other
    report = write_report(tmp_path, confident(test), test, validation=validation)
    assert report.temperature_hurts
    assert report.temperature_scaling.loss > report.loss
    assert report.temperature_reason == ""
    scores = (
        f"{report.temperature_scaling.loss:.3f}",
        f"{report.loss:.3f}",
        f"{report.temperature_scaling.calibration_error:.1%}",
    )
    assert not missing(sections(tmp_path)[-2], *scores)
    assert commands(tmp_path) == []


def test_no_temperature_is_fitted_on_few_validation_images(tmp_path):
    test = labeled(45, 15, 0)
    report = write_report(tmp_path, confident(test), test, validation=labeled(39, 10, 0))
    assert report.temperature_scaling is None
    assert report.temperature_reason in sections(tmp_path)[-2]
    assert not missing(report.temperature_reason, 50, 49)
    assert commands(tmp_path) == []
    assert json.loads((tmp_path / "report.json").read_text())["temperature_reason"] == report.temperature_reason


@pytest.mark.slow
def test_means_over_classes_count_the_classes_with_images(tmp_path):
    test = labeled(45, 15, 0)
    write_report(tmp_path, confident(test), test)
    assert "2" in remark(tmp_path, "macro f1")
    assert "2" in remark(tmp_path, "balanced")
    write_report(tmp_path, confident(test), labeled(45, 15, 5))
    assert "3" in remark(tmp_path, "macro f1")
    write_report(tmp_path, confident(test), labeled(0, 1, 0))
    assert "1" in remark(tmp_path, "macro f1")


def test_a_report_without_mistakes_says_so(tmp_path):
    test = labeled(60, 0, 0)
    report = write_report(tmp_path, confident(test), test, validation=test)
    assert (report.accuracy, report.mistakes, report.temperature_scaling) == (1.0, (), None)
    text = (tmp_path / "report.html").read_text()
    assert "<figure>" not in text
    assert text.count("<table>") == 1  # the table of classes; there are no confused pairs
    assert report.temperature_reason in sections(tmp_path)[-2]
    assert "60" in report.temperature_reason
    assert commands(tmp_path) == []


@pytest.mark.slow
def test_hostile_names_stay_text_and_an_earlier_report_is_replaced(classifier, tmp_path):
    hostile = labeled_images(30, name="<script>alert({})</script> 猫")
    hostile = replace(hostile, paths=("<img src=x>", "a\udcffb.jpg", "c") * 10, name="<b>$ & \udcff</b>")
    (tmp_path / "report.html").write_text("earlier")
    write_report(tmp_path, replace(classifier, class_names=hostile.class_names), hostile)
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
    write_report(tmp_path, Classifier(constant([0.6, 0.3, 0.1], (400, 400)), test.class_names, "d", "", {}, {}), test)
    assert (tmp_path / "report.html").stat().st_size < 3_000_000  # of noise, which does not compress


def test_images_of_another_size_are_refused_before_anything_is_written(classifier, tmp_path):
    with raises(ValueError, "(n, 32, 40, 3)", "(3, 8, 8, 3)"):
        write_report(tmp_path / "out", classifier, labeled_images(3, shape=(8, 8)))
    assert not (tmp_path / "out").exists()
