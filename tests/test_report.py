"""The files of a report, on a tiny network with random weights, and on whatever may be strange about pictures."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
from PIL import Image

import factories
from factories import dataset, raises
from resnet50.classifier import Classifier
from resnet50.evaluation.grad_cam import grad_cam
from resnet50.figures.explain import overlay
from resnet50.report import write_report

FILES = {"report.json", "report.html", "confusion.png", "reliability.png", "mistakes.png", "balance.png"}


@dataclass(frozen=True)
class Finding:
    """What the page needs of a finding."""

    kind: str
    severity: str
    summary: str
    advice: str


def pictures(n, classes=3, seed=0, shape=(32, 40), name="k{}"):
    rng = np.random.default_rng(seed)
    images = (rng.random((n, 1, 1, 3)) * rng.integers(0, 256, (n, *shape, 3))).astype(np.uint8)
    return dataset(
        rng.integers(0, classes, n),
        [name.format(k) for k in range(classes)],
        images=images,
        name="Farm",
        paths=[f"folder/p{k}.jpg" for k in range(n)],
    )


@pytest.fixture(scope="module")
def classifier():
    model = factories.tiny_model(seed=9)  # whose worst mistakes are not all of one class
    return factories.classifier(model, ("k0", "k1", "k2"), name="Farm", recipe={"name": "tiny", "seed": 4})


@pytest.fixture(scope="module")
def written(classifier, tmp_path_factory):
    """A report with all that it may hold: its folder, what was returned, and the pictures."""
    folder = tmp_path_factory.mktemp("report") / "new" / "folder"
    splits = pictures(60, seed=1), pictures(40, seed=2), pictures(50, seed=3)
    test, training, validation = splits
    findings = [Finding("leak", "error", "3 test pictures are in training.", "Take them out.")]
    report = write_report(folder, classifier, test, training=training, validation=validation, findings=findings)
    return folder, report, splits


def sections(folder):
    """Return the texts of the page without its marks: what stands under the title, and under each heading."""
    body = (folder / "report.html").read_text(encoding="utf-8").split("<body>")[1]
    return [html.unescape(re.sub(r"<[^>]*>", " ", part)) for part in body.split("<h2>")]


def commands(folder):
    return re.findall(r"<pre>(.*?)</pre>", (folder / "report.html").read_text(encoding="utf-8"))


def remark(folder, metric):
    """Return what stands under the number of a metric that is called so."""
    text = (folder / "report.html").read_text(encoding="utf-8")
    facts = re.findall(r"<div><dt>(.*?)</dt><dd>.*?</dd><dd>(.*?)</dd></div>", text)
    (found,) = (below for name, below in facts if metric in name.lower())
    return found


def missing(text, *values):
    """Return the values that are not in a text."""
    return [value for value in values if str(value) not in text]


def test_every_file_is_there_and_nothing_else(written):
    folder, _, _ = written
    assert {path.name for path in folder.iterdir()} == FILES
    for path in folder.glob("*.png"):
        with Image.open(path) as figure:
            assert figure.width > 300


def test_the_numbers_are_those_of_the_predictions(written, classifier):
    folder, report, (test, _, _) = written
    probabilities = classifier.model.predict(test.images, verbose=0)
    said = probabilities.argmax(axis=1)
    assert report.accuracy == pytest.approx((said == test.labels).mean())
    assert [mistake.index for mistake in report.mistakes] == sorted(
        np.flatnonzero(said != test.labels), key=lambda k: (-probabilities[k].max(), k)
    )
    saved = json.loads((folder / "report.json").read_text())
    assert saved["accuracy"] == report.accuracy
    assert saved["findings"] == [
        {"kind": "leak", "severity": "error", "summary": "3 test pictures are in training.", "advice": "Take them out."}
    ]


def test_the_temperature_is_fitted_on_validation_pictures_and_told_for_the_test(written, classifier):
    _, report, (test, _, validation) = written
    held_out = classifier.probabilities(validation.images).astype(np.float64)

    def scaled(probabilities, temperature):
        powers = probabilities ** (1 / temperature)
        return powers / powers.sum(axis=1, keepdims=True)

    def loss(probabilities, labels):
        return -np.log(probabilities[np.arange(len(labels)), labels]).mean()

    candidates = np.geomspace(0.05, 20, 2000)
    best = min(candidates, key=lambda t: loss(scaled(held_out, t), validation.labels))
    assert report.scaled.temperature == pytest.approx(best, rel=0.01)
    assert report.scaled.pictures == 50
    after = scaled(classifier.probabilities(test.images).astype(np.float64), report.scaled.temperature)
    assert report.scaled.loss == pytest.approx(loss(after, test.labels), rel=1e-4)
    assert report.scaled.loss != pytest.approx(report.loss, rel=1e-3)


def test_the_page_says_it_all(written):
    folder, report, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    (title,) = re.findall(r"<h1>(.*?)</h1>", text)
    assert not missing(title, "Farm", f"{report.accuracy:.1%}", 60)
    (subtitle,) = re.findall(r'<p class="sub">(.*?)</p>', text)
    assert not missing(subtitle, 3, "tiny", 4, "Farm")
    (note,) = re.findall(r'<p class="note error">(.*?)</p>', text)
    assert not missing(note, "3 test pictures are in training.", "Take them out.")
    assert commands(folder)[0] == "resnet50 check DATA"
    shown = re.findall(r"<tr><td>(k\d)</td><td class=\"number\">([\d.]+)%", text)
    assert sorted(name for name, _ in shown) == ["k0", "k1", "k2"]
    assert [float(share) for _, share in shown] == sorted(float(share) for _, share in shown)
    assert text.count("<img ") == 3 + 2 * 24  # each of the worst mistakes, and where the network looks
    first = report.mistakes[0]
    picture, look, *_ = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert not missing(picture, first.true, first.source)
    assert not missing(look, first.said, f"{first.probability:.0%}")
    assert not missing(sections(folder)[-1], len(report.mistakes), 60, 24)
    assert len(text) < 1_500_000


def test_beside_each_mistake_stands_where_the_network_finds_its_answer(written, classifier):
    folder, report, (test, _, _) = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    shown = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
        for data in re.findall(r'<figure><img src="data:image/png;base64,([^"]+)"', text)
    ]
    worst = [mistake.index for mistake in report.mistakes[:24]]
    said = np.array([int(mistake.said[1:]) for mistake in report.mistakes[:24]])
    heats = grad_cam(classifier.model, test.images[worst], said)
    assert len(set(said.tolist())) > 1
    for row, index in enumerate(worst):
        np.testing.assert_array_equal(shown[2 * row], test.images[index])
        expected = overlay(test.images[index], heats[row]).astype(int)
        assert np.abs(shown[2 * row + 1] - expected).max() <= 1


def test_pairs_are_named_from_the_most_confused_on(written):
    folder, report, _ = written
    text = (folder / "report.html").read_text(encoding="utf-8")
    rows = re.findall(
        r"<td>k(\d)</td><td>k(\d)</td><td class=\"number\">(\d+)</td><td class=\"number\">([\d.]+)%", text
    )
    counts = [int(count) for *_, count, _ in rows]
    assert counts == sorted(counts, reverse=True)
    for true, said, count, share in rows:
        assert report.confusion[int(true)][int(said)] == int(count)
        assert float(share) == pytest.approx(100 * int(count) / sum(report.confusion[int(true)]), abs=0.06)


def constant(scores, shape=(8, 8)):
    """A network without convolutions that always says the same."""
    inputs = keras.Input((*shape, 3))
    flat = keras.layers.Flatten()(inputs)
    last = keras.layers.Dense(len(scores), activation="softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, last(flat), name="constant")
    last.set_weights([last.get_weights()[0], np.log(scores)])
    return model


def test_what_has_no_feature_map_is_reported_without_heat(tmp_path):
    test = pictures(3, shape=(8, 8))
    report = write_report(tmp_path, Classifier(constant([0.6, 0.3, 0.1]), test.class_names, "d", "", {}, {}), test)
    assert report.mistakes
    text = (tmp_path / "report.html").read_text()
    (note,) = re.findall(r'<p class="note note">(.*?)</p>', text)
    assert not missing(note, "constant", "Grad-CAM")
    assert text.count("<figure>") == len(report.mistakes)  # nothing beside them
    (subtitle,) = re.findall(r'<p class="sub">(.*?)</p>', text)
    assert "None" not in subtitle  # there is no recipe
    assert report.scaled is None
    assert report.no_temperature
    assert report.no_temperature in sections(tmp_path)[-2]
    assert commands(tmp_path) == []


def labelled(*shares):
    """So many pictures of each class."""
    labels = np.repeat(np.arange(len(shares)), shares)
    return replace(pictures(len(labels), shape=(8, 8)), labels=labels)


SURE = (0.98, 0.01, 0.01)


def sure(test, scores=SURE):
    return Classifier(constant(scores), test.class_names, "d", "", {}, {})


def test_a_temperature_is_offered_with_its_command(tmp_path):
    test = labelled(45, 15, 0)
    report = write_report(tmp_path, sure(test), test, validation=test)
    temperature = np.log(0.98 / 0.01) / np.log(0.75 / 0.125)  # that of 0.75 for the first class
    assert not missing(sections(tmp_path)[-2], f"{temperature:.2f}", 60, "0.0%", f"{report.scaled.loss:.3f}")
    assert commands(tmp_path) == ["resnet50 evaluate RUN --calibrate OUT.keras"]
    assert (report.no_temperature, report.worse_scaled) == ("", False)


def test_a_temperature_that_mends_nothing_is_not_offered(tmp_path):
    test = labelled(0, 60, 0)  # and it always says another
    report = write_report(tmp_path, sure(test), test, validation=test)
    assert report.scaled.temperature == pytest.approx(20, rel=1e-3)
    assert report.no_temperature in sections(tmp_path)[-2]
    assert not missing(report.no_temperature, 60, "20.00")
    assert commands(tmp_path) == []
    cold = write_report(tmp_path, sure(test, (0.4, 0.3, 0.3)), test, validation=labelled(600, 1, 0))
    assert cold.scaled.temperature == pytest.approx(0.05, rel=1e-3)
    assert not missing(cold.no_temperature, 601, "0.05")


def test_a_temperature_that_makes_the_test_worse_is_told_and_not_advised(tmp_path):
    test, validation = labelled(59, 1, 0), labelled(30, 15, 15)  # surer would be better for the one, not for the other
    report = write_report(tmp_path, sure(test), test, validation=validation)
    assert report.worse_scaled
    assert report.scaled.loss > report.loss
    assert report.no_temperature == ""
    told = (f"{report.scaled.loss:.3f}", f"{report.loss:.3f}", f"{report.scaled.calibration_error:.1%}")
    assert not missing(sections(tmp_path)[-2], *told)
    assert commands(tmp_path) == []


def test_of_few_validation_pictures_no_temperature_is_made(tmp_path):
    test = labelled(45, 15, 0)
    report = write_report(tmp_path, sure(test), test, validation=labelled(39, 10, 0))
    assert report.scaled is None
    assert report.no_temperature in sections(tmp_path)[-2]
    assert not missing(report.no_temperature, 50, 49)
    assert commands(tmp_path) == []
    assert json.loads((tmp_path / "report.json").read_text())["no_temperature"] == report.no_temperature


def test_means_over_classes_say_which_and_one_is_one(tmp_path):
    test = labelled(45, 15, 0)
    write_report(tmp_path, sure(test), test)
    assert "2" in remark(tmp_path, "f1")
    assert "2" in remark(tmp_path, "balanced")
    write_report(tmp_path, sure(test), labelled(45, 15, 5))
    assert "3" in remark(tmp_path, "f1")
    write_report(tmp_path, sure(test), labelled(0, 1, 0))
    assert "1" in remark(tmp_path, "f1")


def test_a_report_without_mistakes_says_so(tmp_path):
    test = labelled(60, 0, 0)
    report = write_report(tmp_path, sure(test), test, validation=test)
    assert (report.accuracy, report.mistakes, report.scaled) == (1.0, (), None)
    text = (tmp_path / "report.html").read_text()
    assert "<figure>" not in text
    assert text.count("<table>") == 1  # that of the classes; there are no pairs
    assert report.no_temperature in sections(tmp_path)[-2]
    assert "60" in report.no_temperature
    assert commands(tmp_path) == []


def test_hostile_names_stay_text_and_an_earlier_report_is_replaced(classifier, tmp_path):
    hostile = pictures(30, name="<script>alert({})</script> 猫")
    hostile = replace(hostile, sources=("<img src=x>", "a\udcffb.jpg", "c") * 10, dataset="<b>$ & \udcff</b>")
    (tmp_path / "report.html").write_text("earlier")
    write_report(tmp_path, replace(classifier, class_names=hostile.class_names), hostile)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>$" not in text
    assert "<img src=x>" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 猫" in text
    assert "a?b.jpg" in text
    assert {path.name for path in tmp_path.iterdir()} == FILES


def test_the_page_stays_small_whatever_the_pictures_are(tmp_path):
    test = pictures(40, shape=(400, 400))
    write_report(tmp_path, Classifier(constant([0.6, 0.3, 0.1], (400, 400)), test.class_names, "d", "", {}, {}), test)
    assert (tmp_path / "report.html").stat().st_size < 3_000_000  # of noise, which no format makes small


def test_pictures_of_another_size_are_refused_before_anything_is_written(classifier, tmp_path):
    with raises(ValueError, "(n, 32, 40, 3)", "(3, 8, 8, 3)"):
        write_report(tmp_path / "out", classifier, pictures(3, shape=(8, 8)))
    assert not (tmp_path / "out").exists()
