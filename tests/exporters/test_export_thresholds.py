"""Exports know when not to answer: features as a second output, thresholds in the manifest and in the file itself."""

from __future__ import annotations

import json
from dataclasses import replace

import keras
import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter

from factories import dataset, fill_random
from resnet50.build import build_resnet50
from resnet50.exporters import export as module
from resnet50.exporters.export import export
from resnet50.exporters.images import FoundImages, TrainingImages
from resnet50.exporters.own_thresholds import own_thresholds
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.features import with_features
from resnet50.inference.runtimes import FORMATS
from resnet50.metrics.thresholds import OwnImages, fit_thresholds
from resnet50.model import Stage
from resnet50.recipes.folder import FINE_TUNED
from resnet50.uncertainty.distance import nearest_distances
from resnet50.uncertainty.thresholds import reference_features

LABELS = np.arange(60) % 3
NAMES = ("fist", "fünf", "two")
QUANTIZED = ("int8", "uint8")
PAIRS = [(name, each) for name, runtime in FORMATS.items() if name != "web" for each in runtime.precisions]
STAGES = (Stage("conv2", 1, (4, 6, 16), 1), Stage("conv3", 2, (5, 7, 24), 2))


def images(count):
    """Return noise on backgrounds of different colors."""
    rng = np.random.default_rng(0)
    grounds = rng.uniform(40, 216, (count, 1, 1, 3))
    return np.uint8(np.clip(rng.normal(grounds, 30, (count, 32, 40, 3)), 0, 255))


IMAGES, OWN = images(12), images(60)


def plain() -> Classifier:
    """Return a tiny classifier that gives images different probabilities, none near 0 or 1."""
    model = fill_random(build_resnet50(3, input_shape=(32, 40, 3), stages=STAGES, normalization="torch"), 1)
    last = model.layers[-1]
    scores = keras.Model(model.input, last.input).predict_on_batch(np.float32(IMAGES)) @ last.get_weights()[0]
    last.set_weights([weight * 3 / np.abs(scores).max() for weight in last.get_weights()])
    return Classifier(model, NAMES, "hands", "0123abcd", {"name": "signs"}, {})


def with_thresholds(classifier: Classifier) -> Classifier:
    rows = forward_array(with_features(classifier.model), OWN, batch_size=20)
    distances = nearest_distances(rows[:, 3:], rows[:30, 3:], 5)
    own = OwnImages(rows[:, :3], LABELS, distances)
    return replace(classifier, thresholds=fit_thresholds(own, fitted_on="held-out", features=rows[:30, 3:]))


@pytest.fixture(scope="module")
def classifier():
    return with_thresholds(plain())


@pytest.fixture(scope="module")
def exports(classifier, tmp_path_factory):
    """Make each export when it is first asked for; the held-out images are known for those of 8 bits."""
    made = {}

    def get(pair):
        if pair not in made:
            folder = tmp_path_factory.mktemp("exports") / "-".join(pair)
            held_out = dataset(LABELS, NAMES, images=OWN)
            found = FoundImages(dataset([0] * 8, images=IMAGES[4:]), dataset([0] * 8, images=IMAGES[:8]), held_out)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(module, "find_images", lambda *_, **__: found)
                made[pair] = folder, export(classifier, folder, format=pair[0], precision=pair[1])
        return made[pair]

    return get


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_an_export_doubts_as_its_classifier_does(classifier, exports, pair):
    folder, found = exports(pair)
    back = Classifier.load(folder)
    assert found.thresholds == str(back.thresholds)
    probabilities, distances = back.examine(IMAGES)
    np.testing.assert_allclose(probabilities, back.probabilities(IMAGES), atol=1e-5)
    _, expected = classifier.examine(IMAGES)
    np.testing.assert_allclose(distances, expected, atol=0.05 if pair[1] in QUANTIZED else 0.01)
    if pair[1] in QUANTIZED:
        assert back.thresholds.to_bytes() != classifier.thresholds.to_bytes()
        assert (back.thresholds.fitted_on, len(back.thresholds.scores)) == ("held-out", 60)
    else:
        assert back.thresholds.to_bytes() == classifier.thresholds.to_bytes()
    (one,) = back.doubts(forward_array(back.answering, IMAGES[:1], batch_size=1))
    assert one.prediction_set
    assert one.refused is not None


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_the_manifest_states_the_thresholds_and_the_tensor_of_features(exports, pair):
    folder, _ = exports(pair)
    about = json.loads((folder / "resnet50.json").read_text(encoding="utf-8"))["export"]
    assert about["thresholds"] == json.loads(json.dumps(Classifier.load(folder).thresholds.to_dict(3)))
    assert about["tensors"]["features"] == ("output_1" if pair[0] in ("saved_model", "litert") else "features")
    assert "thresholds.npz" in about["files"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", FORMATS["litert"].precisions)
def test_the_first_output_of_a_litert_file_is_the_probabilities(exports, precision):
    folder, _ = exports(("litert", precision))
    interpreter = Interpreter(str(folder / "model.tflite"))
    outputs = interpreter.get_output_details()
    assert [each["shape"].tolist() for each in outputs] == [[1, 3], [1, 24]]
    named = interpreter.get_signature_runner().get_output_details()
    assert [(name, each["index"]) for name, each in named.items()] == [
        ("output_0", outputs[0]["index"]),
        ("output_1", outputs[1]["index"]),
    ]


@pytest.mark.parametrize("pair", [("onnx", "fp32"), ("onnx", "int8")], ids="-".join)
def test_an_onnx_file_states_them_itself(exports, pair):
    folder, _ = exports(pair)
    manifest = json.loads((folder / "resnet50.json").read_text(encoding="utf-8"))
    texts = {each.key: each.value for each in onnx.load(folder / "model.onnx").metadata_props}
    assert json.loads(texts["thresholds"]) == manifest["export"]["thresholds"]


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_an_openvino_file_states_them_itself(exports, precision):
    import openvino

    folder, _ = exports(("openvino", precision))
    manifest = json.loads((folder / "resnet50.json").read_text(encoding="utf-8"))
    text = openvino.Core().read_model(folder / "model.xml").get_rt_info(["resnet50", "thresholds"]).astype(str)
    assert json.loads(text) == manifest["export"]["thresholds"]


def test_after_a_linear_probe_8_bits_fit_theirs_on_training_images_out_of_fold(classifier, tmp_path, monkeypatch):
    recipe = json.loads(FINE_TUNED.to_json()) | {"weights_sha256": "0" * 64}  # as after pretrained weights
    features = reference_features(forward_array(with_features(classifier.model), OWN, batch_size=20)[:, 3:])
    thresholds = replace(classifier.thresholds, fitted_on="out-of-fold", features=features)
    probed = replace(classifier, recipe=recipe, thresholds=thresholds)
    calibrated = np.arange(60) < 20
    own = TrainingImages(dataset(LABELS, NAMES, images=OWN), np.arange(60), np.arange(60), calibrated)
    found = FoundImages(own.chosen.select(np.flatnonzero(calibrated)), dataset([0] * 8, images=IMAGES[:8]), own)
    monkeypatch.setattr(module, "find_images", lambda *_, **__: found)
    assert export(probed, tmp_path / "out", format="onnx", precision="int8").thresholds
    thresholds = Classifier.load(tmp_path / "out").thresholds
    assert thresholds.fitted_on == "out-of-fold"
    np.testing.assert_array_equal(thresholds.labels, LABELS[20:])
    assert np.median(thresholds.scores) > 0.5  # labels that mean nothing, learned by no head that scores them
    assert len(thresholds.distances) == 40
    assert thresholds.distances.min() > 1e-4  # none is compared with itself

    calibrated_export = replace(Classifier.load(tmp_path / "out"), metrics={"temperature": 4.0})
    divided = own_thresholds(calibrated_export, probed.thresholds, own)  # its logits are divided by 4 already
    np.testing.assert_array_equal(divided.scores, thresholds.scores)
    assert divided.temperature.value == pytest.approx(thresholds.temperature.value / 4)

    others = replace(probed.thresholds, features=probed.thresholds.features[:20])
    assert own_thresholds(calibrated_export, others, own) is None  # the features are of other images

    connected = replace(own, near_duplicates=np.zeros(60, np.int64))
    monkeypatch.setattr(module, "find_images", lambda *_, **__: found._replace(own=connected))
    assert export(probed, tmp_path / "none", format="onnx", precision="int8").thresholds == ""


def test_8_bits_without_held_out_images_have_no_thresholds(classifier, tmp_path):
    found = export(
        classifier, tmp_path / "out", format="onnx", precision="int8", check=IMAGES[:8], calibration=IMAGES[4:]
    )
    back = Classifier.load(tmp_path / "out")
    assert (found.thresholds, back.thresholds) == ("", None)
    assert back.examine(IMAGES)[1] is None
    manifest = json.loads((tmp_path / "out" / "resnet50.json").read_text(encoding="utf-8"))
    assert manifest["export"]["thresholds"] is None


def test_a_classifier_without_thresholds_has_one_output(tmp_path):
    export(plain(), tmp_path / "out", format="onnx", check=IMAGES)
    graph = onnx.load(tmp_path / "out" / "model.onnx").graph
    assert [output.name for output in graph.output] == ["probabilities"]
