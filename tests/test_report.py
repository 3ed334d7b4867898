"""The files of a report, on a tiny network with random weights, and on whatever may be strange about pictures."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
from PIL import Image

from resnet50.classifier import Classifier
from resnet50.data.split import Split
from resnet50.evaluation.grad_cam import grad_cam
from resnet50.figures.explain import overlay
from resnet50.model import build_resnet50
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
    return Split(
        (rng.random((n, 1, 1, 3)) * rng.integers(0, 256, (n, *shape, 3))).astype(np.uint8),
        rng.integers(0, classes, n),
        tuple(name.format(k) for k in range(classes)),
        tuple(f"folder/p{k}.jpg" for k in range(n)),
        "Farm",
    )


@pytest.fixture(scope="module")
def classifier(random_weights):
    from resnet50.model import Stage

    stages = (Stage("conv2", 1, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))
    model = random_weights(build_resnet50(classes=3, input_shape=(32, 40, 3), stages=stages))
    return Classifier(model, ("k0", "k1", "k2"), "Farm", "0" * 64, {"name": "tiny", "seed": 4}, {})


@pytest.fixture(scope="module")
def written(classifier, tmp_path_factory):
    """A report with all that it may hold: its folder, what was returned, and the pictures."""
    folder = tmp_path_factory.mktemp("report") / "new" / "folder"
    splits = pictures(60, seed=1), pictures(40, seed=2), pictures(50, seed=3)
    test, training, validation = splits
    findings = [Finding("leak", "error", "3 test pictures are in training.", "Take them out.")]
    report = write_report(folder, classifier, test, training=training, validation=validation, findings=findings)
    return folder, report, splits


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
    assert f"<h1>Farm: {report.accuracy:.1%} of 60 test pictures right</h1>" in text
    assert "3 classes. The classifier was trained by the recipe tiny, seed 4, on Farm." in text
    assert '<p class="note error"><b>error</b> 3 test pictures are in training.<br><span>Take them out.' in text
    shown = re.findall(r"<tr><td>(k\d)</td><td class=\"number\">([\d.]+)%", text)
    assert sorted(name for name, _ in shown) == ["k0", "k1", "k2"]
    assert [float(share) for _, share in shown] == sorted(float(share) for _, share in shown)
    assert text.count("<img ") == 3 + 2 * 24  # each of the worst mistakes, and where the network looks
    first = report.mistakes[0]
    assert f"<span>true: {first.true}</span><span>{first.source}</span>" in text
    assert f"<span>said: {first.said}, {first.probability:.0%}</span>" in text
    assert f"{len(report.mistakes)} of 60 pictures are taken for another class; here are the 24" in text
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
    assert "Where it looks cannot be shown: the model" in text
    assert "Grad-CAM)." not in text
    assert "trained by hand" in text
    assert "No temperature is offered: there were no validation pictures to fit one on." in text
    assert report.scaled is None


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
    text = (tmp_path / "report.html").read_text()
    temperature = np.log(0.98 / 0.01) / np.log(0.75 / 0.125)  # that of 0.75 for the first class
    assert f"A temperature of {temperature:.2f}, fitted on 60 validation pictures, makes that 0.0%, and the" in text
    assert "<pre>resnet50 evaluate RUN --calibrate OUT.keras</pre>" in text
    assert (report.no_temperature, report.worse_scaled) == ("", False)


def test_a_temperature_that_mends_nothing_is_not_offered(tmp_path):
    test = labelled(0, 60, 0)  # and it always says another
    report = write_report(tmp_path, sure(test), test, validation=test)
    assert report.scaled.temperature == pytest.approx(20, rel=1e-3)
    text = (tmp_path / "report.html").read_text()
    assert f"<p>No temperature is offered: {report.no_temperature}</p>" in text
    assert report.no_temperature == (
        "the one that fits 60 validation pictures best is 20.00, where the search ends, or lies beyond; with this "
        "classifier how sure it is says next to nothing of whether it is right."
    )
    assert "--calibrate" not in text
    cold = write_report(tmp_path, sure(test, (0.4, 0.3, 0.3)), test, validation=labelled(600, 1, 0))
    assert cold.scaled.temperature == pytest.approx(0.05, rel=1e-3)
    assert cold.no_temperature.endswith("next to nothing sets the class that it says apart from the others.")


def test_a_temperature_that_makes_the_test_worse_is_told_and_not_advised(tmp_path):
    test, validation = labelled(59, 1, 0), labelled(30, 15, 15)  # surer would be better for the one, not for the other
    report = write_report(tmp_path, sure(test), test, validation=validation)
    assert report.worse_scaled
    assert report.scaled.loss > report.loss
    assert report.no_temperature == ""
    text = (tmp_path / "report.html").read_text()
    assert f"and the loss {report.scaled.loss:.3f} in place of {report.loss:.3f}. Both are worse, so that it is" in text
    assert "--calibrate" not in text


def test_of_few_validation_pictures_no_temperature_is_made(tmp_path):
    test = labelled(45, 15, 0)
    report = write_report(tmp_path, sure(test), test, validation=labelled(39, 10, 0))
    assert report.scaled is None
    text = (tmp_path / "report.html").read_text()
    assert "No temperature is offered: needed at least 50 validation pictures to fit a temperature on, got 49;" in text
    assert "--calibrate" not in text
    assert json.loads((tmp_path / "report.json").read_text())["no_temperature"] == report.no_temperature


def test_means_over_classes_say_which_and_one_is_one(tmp_path):
    test = labelled(45, 15, 0)
    write_report(tmp_path, sure(test), test)
    text = (tmp_path / "report.html").read_text()
    assert "mean over the 2 classes that have test pictures" in text
    assert "mean recall over the 2 classes that have test pictures" in text
    write_report(tmp_path, sure(test), labelled(45, 15, 5))
    assert "<dd>mean of the 3 classes</dd>" in (tmp_path / "report.html").read_text()
    write_report(tmp_path, sure(test), labelled(0, 1, 0))
    text = (tmp_path / "report.html").read_text()
    assert "<h1>Farm: 0.0% of 1 test picture right</h1>" in text
    assert "mean over the 1 class that has test pictures" in text
    assert "1 of 1 picture is taken for another class." in text


def test_a_report_without_mistakes_says_so(tmp_path):
    test = labelled(60, 0, 0)
    report = write_report(tmp_path, sure(test), test, validation=test)
    assert (report.accuracy, report.mistakes, report.scaled) == (1.0, (), None)
    text = (tmp_path / "report.html").read_text()
    assert "There are none." in text
    assert "No temperature is offered: needed validation pictures of which some are mistaken, to fit a" in text
    assert "temperature on, got 60, all of them right." in text
    assert "taken for" not in text.split("<body>")[1].replace("how many pictures of each class are taken for", "")


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
    with pytest.raises(ValueError, match=r"^needed pictures \(n, 32, 40, 3\), got \(3, 8, 8, 3\)\.$"):
        write_report(tmp_path / "out", classifier, pictures(3, shape=(8, 8)))
    assert not (tmp_path / "out").exists()
