"""Every format and precision, written and opened again, against the classifier it was made from."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import flatbuffers
import keras
import numpy as np
import pytest
from PIL import Image
from tensorflow.lite.python import schema_py_generated as schema

import factories
from factories import dataset, fill_random, raises, tiny_model
from resnet50.build import build_resnet50
from resnet50.conventions import V1_5
from resnet50.data.fit import Fit
from resnet50.data.splits import DatasetSplits
from resnet50.exporters import export as module
from resnet50.exporters import images as export_images
from resnet50.exporters import litert, onnx
from resnet50.exporters.export import Comparison, export
from resnet50.exporters.images import find_images
from resnet50.graph.onnx_graph import onnx_model
from resnet50.inference import calibration as calibration_module
from resnet50.inference.classifier import Classifier
from resnet50.metrics.thresholds import OwnImages, fit_thresholds
from resnet50.model import Stage


def images(count):
    """Return noise on backgrounds of different colors; on one background a network could hardly tell them apart."""
    rng = np.random.default_rng(0)
    grounds = rng.uniform(40, 216, (count, 1, 1, 3))
    return np.uint8(np.clip(rng.normal(grounds, 30, (count, 32, 40, 3)), 0, 255))


IMAGES = images(12)

# how far one image's probability may be off
PAIRS = {
    ("saved_model", "fp32"): 1e-5,
    ("saved_model", "bf16"): 4e-2,
    ("onnx", "fp32"): 1e-5,
    ("onnx", "fp16"): 2e-3,
    ("onnx", "int8"): 8e-2,
    ("openvino", "fp32"): 1e-5,
    ("openvino", "bf16"): 4e-2,
    ("openvino", "fp16"): 2e-3,
    ("openvino", "int8"): 8e-2,
    ("litert", "fp32"): 1e-5,
    ("litert", "fp16"): 2e-3,
    ("litert", "int8"): 8e-2,
    ("litert", "uint8"): 8e-2,
}

STAGES = (Stage("conv2", 1, (4, 6, 16), 1), Stage("conv3", 2, (5, 7, 24), 2))

FILES = {
    "saved_model": {"saved_model.pb", "fingerprint.pb", "variables/variables.index"},
    "onnx": {"model.onnx"},
    "openvino": {"model.xml", "model.bin"},
    "litert": {"model.tflite"},
}


@pytest.fixture(scope="module")
def classifier():
    """A tiny classifier that gives images different probabilities, none near 0 or 1."""
    return classifier_of(network(1, normalization="torch"))


def network(seed, *, size=(32, 40), **options):
    return fill_random(build_resnet50(3, input_shape=(*size, 3), stages=STAGES, **options), seed)


def classifier_of(model, images=IMAGES):
    """Bring the last layer's weights to a size with which probabilities are neither alike nor 0 or 1."""
    last = model.layers[-1]
    scores = keras.Model(model.input, last.input).predict_on_batch(np.float32(images)) @ last.get_weights()[0]
    last.set_weights([weight * 3 / np.abs(scores).max() for weight in last.get_weights()])
    return Classifier(model, ("fist", "fünf", "two"), "hands", "0123abcd", {"name": "signs"}, {"accuracy": 0.983})


@pytest.fixture(scope="module")
def exports(classifier, tmp_path_factory):
    """Make each export when it is first asked for; give back its folder and how far it was found to be."""
    made = {}

    def get(pair):
        if pair not in made:
            folder = tmp_path_factory.mktemp("exports") / "-".join(pair)
            found = export(
                classifier, folder, format=pair[0], precision=pair[1], check=IMAGES[:8], calibration=IMAGES[4:]
            )
            made[pair] = folder, found
        return made[pair]

    return get


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_an_export_predicts_what_the_classifier_does(classifier, exports, pair):
    folder, found = exports(pair)
    back = Classifier.load(folder)
    expected = classifier.probabilities(IMAGES)
    assert np.ptp(expected, axis=0).min() > 0.03
    probabilities = back.probabilities(IMAGES)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=PAIRS[pair])
    np.testing.assert_allclose(back.probabilities(IMAGES.astype(np.float32)), probabilities, atol=1e-5)
    np.testing.assert_allclose(back.probabilities(IMAGES, batch_size=5), probabilities, atol=1e-5)
    assert (back.class_names, back.dataset) == (("fist", "fünf", "two"), "hands")
    assert (back.fingerprint, back.recipe, back.metrics) == ("0123abcd", {"name": "signs"}, {"accuracy": 0.983})
    assert back.image_size == (32, 40)
    differences = np.abs(probabilities[:8] - expected[:8]).max(axis=1)
    assert found.images == 8
    assert found.largest == pytest.approx(differences.max(), abs=1e-5)
    assert found.mean == pytest.approx(differences.mean(), abs=1e-5)
    assert found.agreement == np.mean(probabilities[:8].argmax(axis=1) == expected[:8].argmax(axis=1))


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_a_folder_describes_itself(exports, pair):
    folder, _ = exports(pair)
    manifest = json.loads((folder / "resnet50.json").read_text(encoding="utf-8"))
    assert set(manifest) == {"class_names", "dataset", "fingerprint", "recipe", "metrics", "fit", "export"}
    about = manifest["export"]
    assert (about["format"], about["precision"], about["image_size"]) == (*pair, [32, 40])
    image = about["image"]
    assert (image["size"], image["range"], image["colors"], image["layout"]) == ([32, 40], [0, 255], "RGB", "NHWC")
    assert image["dtype"] == ("uint8" if pair[1] == "uint8" else "float32")
    assert image["normalization"] == {"name": "torch", "by": "the network"}
    steps = {name: value for name, value in manifest["fit"].items() if name != "value_range"}
    assert image["fit"] == {**steps, "by": "the caller"}
    assert (folder / "labels.txt").read_text(encoding="utf-8").splitlines() == manifest["class_names"]
    assert set(about["files"]) >= FILES[pair[0]]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {*about["files"], "resnet50.json"}
    for name, digest in about["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert folder.stat().st_mode & 0o055 == 0o055


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_network_fits_images_of_any_size_itself(tmp_path, precision):
    made = replace(classifier_of(network(1)), fit=Fit(crop_ratio=0.8))
    options = {"format": "onnx", "precision": precision, "check": IMAGES[:4], "calibration": IMAGES[4:]}
    export(made, tmp_path / "plain", **options)
    export(made, tmp_path / "any", any_size=True, **options)
    about = json.loads((tmp_path / "any" / "resnet50.json").read_text(encoding="utf-8"))["export"]["image"]
    assert (about["size"], about["layout"], about["dtype"]) == ("any", "HWC", "uint8")
    assert about["fit"]["by"] == "the network"
    plain, any_size = (Classifier.load(tmp_path / name) for name in ("plain", "any"))
    assert any_size.image_size == (32, 40)
    np.testing.assert_allclose(any_size.probabilities(IMAGES), plain.probabilities(IMAGES), atol=1e-6)
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / "any" / "model.onnx", providers=["CPUExecutionProvider"])
    coarse = Image.fromarray(IMAGES[0][:8, :8])
    for size in ((300, 200), (70, 90), (40, 32)):
        image = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))
        expected = dict(plain.predict(image, top=3).top)
        (found,) = session.run(None, {"image": image})[0]
        np.testing.assert_allclose(found, [expected[name] for name in plain.class_names], atol=0.01)


def test_only_onnx_fits_images_itself(classifier, tmp_path):
    refusal(classifier, tmp_path, "onnx", "litert", format="litert", any_size=True)


def file_metadata(folder, name):
    """What the file of an export tells by itself: class names, description of the image, names of input and output."""
    if name == "onnx":
        import onnx

        model = onnx.load(folder / "model.onnx")
        texts = {each.key: each.value for each in model.metadata_props}
        return texts["class_names"], texts["image"], model.graph.input[0].name, model.graph.output[0].name
    if name == "openvino":
        import openvino

        model = openvino.Core().read_model(folder / "model.xml")
        names, image = (model.get_rt_info(["resnet50", key]).astype(str) for key in ("class_names", "image"))
        return names, image, model.input().any_name, model.output().any_name
    from ai_edge_litert.interpreter import Interpreter

    signature = Interpreter(str(folder / "model.tflite")).get_signature_list()["serving_default"]
    root, labels = metadata_of((folder / "model.tflite").read_bytes())
    with zipfile.ZipFile(folder / "model.tflite") as archive:
        names = json.dumps(archive.read(labels).decode().splitlines(), ensure_ascii=False)
    return names, root, *signature["inputs"], *signature["outputs"]


def metadata_of(content):
    """Read the description and the name of the file of labels in a LiteRT file, by the positions in its schema."""
    model = schema.ModelT.InitFromPackedBuf(content)
    (entry,) = [each for each in model.metadata if each.name == b"TFLITE_METADATA"]
    data = bytes(model.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"

    def field(table, slot):
        return table.Pos + flatbuffers.number_types.UOffsetTFlags.py_type(table.Offset(4 + 2 * slot))

    def below(table, slot, index=None):
        at = field(table, slot)
        at = table.Vector(at - table.Pos) + 4 * index if index is not None else at
        return flatbuffers.table.Table(data, table.Indirect(at))

    root = flatbuffers.table.Table(data, flatbuffers.encode.Get(flatbuffers.packer.uoffset, data, 0))
    output = below(below(root, 3, 0), 3, 0)
    file = below(output, 6, 0)
    return root.String(field(root, 1)).decode(), file.String(field(file, 0)).decode()


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[0] != "saved_model"], ids="-".join)
def test_the_file_of_the_runtime_says_what_it_takes_and_gives(exports, pair):
    folder, _ = exports(pair)
    names, image, *tensors = file_metadata(folder, pair[0])
    manifest = json.loads((folder / "resnet50.json").read_text(encoding="utf-8"))
    assert json.loads(names) == ["fist", "fünf", "two"]
    assert json.loads(image) == manifest["export"]["image"]
    assert tensors == [manifest["export"]["tensors"][end] for end in ("input", "output")]


@pytest.mark.parametrize(
    ("name", "small", "file"),
    [
        ("onnx", "fp16", "model.onnx"),
        ("openvino", "fp16", "model.bin"),
        ("litert", "fp16", "model.tflite"),
        ("saved_model", "bf16", "saved_model.pb"),
    ],
)
def test_fewer_bits_make_smaller_files(exports, name, small, file):
    half, whole = ((exports((name, precision))[0] / file).stat().st_size for precision in (small, "fp32"))
    assert half < 0.85 * whole


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[1] != "fp32"], ids="-".join)
def test_fewer_bits_round_more(classifier, exports, pair):
    if pair == ("openvino", "bf16") and "bf16" not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this processor does not compute in bfloat16")
    found = Classifier.load(exports(pair)[0]).probabilities(IMAGES)
    assert np.abs(found - classifier.probabilities(IMAGES)).max() > 1e-5


def refusal(classifier, tmp_path, *values, error=ValueError, **options):
    options = {"format": "onnx", "check": IMAGES[:2]} | options
    with raises(error, *values) as caught:
        export(classifier, tmp_path / "out", **options)
    assert list(tmp_path.iterdir()) == []
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "precision", "precisions"),
    [
        ("saved_model", "int8", ("fp32", "bf16")),
        ("saved_model", "fp16", ("fp32", "bf16")),
        ("onnx", "bf16", ("fp32", "fp16", "int8")),
        ("litert", "bf16", ("fp32", "fp16", "int8")),
        ("openvino", "fp64", ("fp32", "bf16", "fp16", "int8")),
    ],
)
def test_refuses_a_precision_that_the_format_does_not_have(classifier, tmp_path, name, precision, precisions):
    text = refusal(classifier, tmp_path, name, repr(precision), format=name, precision=precision)
    assert set(re.findall(r"\b(?:fp|bf|int)\d+", text)) == {*precisions, precision}


def test_refuses_an_unknown_format(classifier, tmp_path):
    refusal(classifier, tmp_path, "format", "saved_model", "onnx", "openvino", "litert", "'coreml'", format="coreml")


def test_refuses_to_work_without_images(classifier, tmp_path):
    refusal(classifier, tmp_path, "hands", 32, 40, precision="int8")  # it is not square, so that none can be found
    refusal(classifier, tmp_path, "int8", precision="int8", calibration=IMAGES[:0])
    assert "int8" not in refusal(classifier, tmp_path, check=IMAGES[:0])


def test_refuses_a_model_that_is_not_float32(classifier, tmp_path):
    def convert(layer):
        config = layer.get_config()
        if layer.name == "conv1_conv":
            config["dtype"] = "mixed_bfloat16"
        return type(layer).from_config(config)

    mixed = replace(classifier, network=keras.models.clone_model(classifier.model, clone_function=convert))
    refusal(mixed, tmp_path, "float32", "'conv1_conv'", "mixed_bfloat16")


def test_refuses_an_export(exports, tmp_path):
    refusal(Classifier.load(exports(("onnx", "fp32"))[0]), tmp_path, "export", ".keras")


def test_refuses_another_backend_where_tensorflow_writes(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    values = ("litert", "TensorFlow", "jax", "KERAS_BACKEND=tensorflow", "onnx", "openvino")
    refusal(classifier, tmp_path, *values, format="litert")


@pytest.mark.parametrize(
    ("name", "precision", "package"),
    [
        ("onnx", "fp32", "onnxruntime"),
        ("openvino", "fp32", "openvino"),
        ("openvino", "int8", "nncf"),
        ("litert", "fp32", "ai_edge_litert"),
    ],
)
def test_says_which_package_is_missing(classifier, tmp_path, monkeypatch, name, precision, package):
    monkeypatch.setitem(sys.modules, package, None)
    options = {"format": name, "precision": precision, "calibration": IMAGES}
    refusal(classifier, tmp_path, package, name, "pip install 'resnet50[export]'", error=ImportError, **options)


def test_refuses_a_name_that_is_taken(classifier, exports, tmp_path):
    (tmp_path / "there").mkdir()
    with raises(ValueError, tmp_path / "there"):
        export(classifier, tmp_path / "there", format="onnx", check=IMAGES[:2])


def test_an_export_that_computes_something_else_is_removed(classifier, tmp_path, monkeypatch):
    def wrong(*arguments, **options):
        made = onnx_model(*arguments, **options)
        next(tensor for tensor in made.graph.initializer if tensor.name == "predictions/bias").raw_data = bytes(12)
        return made

    monkeypatch.setattr(onnx, "onnx_model", wrong)
    refusal(classifier, tmp_path, tmp_path / "out", "0.0001", 2)


MIXED = {
    "v1, pixels as Caffe's": {"normalization": "caffe", "head": "mlp"},
    "v1.5, CIFAR stem": {"conventions": V1_5, "stem": "cifar", "head": "norm", "normalization": "unit"},
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "pair", [pair for pair in PAIRS if pair[1] not in ("int8", "uint8")], ids="-".join
)  # random networks lose too much
@pytest.mark.parametrize("name", MIXED)
def test_every_head_and_stem_is_exported(tmp_path, name, pair):
    scaled = classifier_of(network(2, **MIXED[name]))
    export(scaled, tmp_path / "out", format=pair[0], precision=pair[1], check=IMAGES, calibration=IMAGES)
    found = Classifier.load(tmp_path / "out").probabilities(IMAGES)
    np.testing.assert_allclose(found, scaled.probabilities(IMAGES), atol=2 * PAIRS[pair])


def test_one_that_gives_every_image_the_same_answer_is_removed(classifier, tmp_path, monkeypatch):
    always = classifier.probabilities(IMAGES).mean(axis=0)
    opened = SimpleNamespace(probabilities=lambda images: np.tile(always, (len(images), 1)))
    monkeypatch.setattr(Classifier, "load", lambda path: opened)
    off = np.abs(classifier.probabilities(IMAGES) - always).max(axis=1).mean()
    monkeypatch.setitem(module.TOLERANCES, "int8", 2 * off)
    values = (f"{0.75 * off:.2g}", 12, f"{off:.2g}")
    refusal(classifier, tmp_path, *values, precision="int8", calibration=IMAGES, check=IMAGES)


def test_a_failure_of_a_converter_is_one_line(classifier, tmp_path, monkeypatch):
    def fails(*_):
        raise RuntimeError("no such\noperation")

    monkeypatch.setattr(litert, "write", fails)
    values = (tmp_path / "out", "litert", "fp16", "no such operation")
    refusal(classifier, tmp_path, *values, format="litert", precision="fp16")


def test_one_that_gives_nan_is_removed(classifier, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_compare", lambda *_: Comparison(2, np.nan, np.nan, 0.5))
    refusal(classifier, tmp_path, 2, "nan", "50.0%")


def splits_of(**counts):
    """Two classes by turns; the red of an image is its class times 100, its green its number, its blue its split."""
    made = {}
    for blue, (name, count) in enumerate(counts.items()):
        labels = np.arange(count) % 2
        pixels = np.zeros((count, 32, 32, 3), np.uint8)
        pixels[..., 0], pixels[..., 1], pixels[..., 2] = (
            values[:, None, None] for values in (100 * labels, np.arange(count), np.full(count, blue))
        )
        made[name] = dataset(labels, images=pixels)
    return DatasetSplits(**made)


class Source:
    """A source of these splits, which counts how often it is read."""

    def __init__(self, splits):
        self.splits, self.reads = splits, 0

    def load(self, image_size, *, fit, progress=None):
        self.reads += 1
        assert image_size == 32
        return self.splits


def find(source=None, classifier=None, **options):
    return find_images(classifier or factories.classifier(square_model()), name="m.keras", source=source, **options)


def square_model():
    return tiny_model(3, size=(32, 32), seed=None)


def test_some_of_each_class_are_taken_of_the_first_and_the_last_split(monkeypatch):
    monkeypatch.setattr(export_images, "CALIBRATION_IMAGES", 8)
    monkeypatch.setattr(export_images, "CHECK_IMAGES", 4)
    source = Source(splits_of(train=30, validation=10, test=20))
    calibration, check, _ = find(source)
    again = find(source)
    assert [sum(calibration.images[:, 0, 0, 0] == red) for red in (0, 100)] == [4, 4]
    assert [sum(check.images[:, 0, 0, 0] == red) for red in (0, 100)] == [2, 2]
    assert set(calibration.images[:, 0, 0, 2]) == {0}
    assert set(check.images[:, 0, 0, 2]) == {2}
    np.testing.assert_array_equal(again[0].images, calibration.images)


def test_a_source_without_splits_is_divided():
    calibration, check, _ = find(Source(splits_of(train=40)))
    numbers = [set(each.images[:, 0, 0, 1].tolist()) for each in (calibration, check)]
    assert len(check) >= 10
    assert numbers[0] | numbers[1] == set(range(40))
    assert not numbers[0] & numbers[1]


def test_a_folder_is_read_by_its_path(tmp_path):
    for k in range(6):
        factories.write_image(tmp_path / "mine" / "ab"[k % 2] / f"{k}.png", f"rgb({k}, 0, 0)", size=(40, 40))
    calibration, check, _ = find(tmp_path / "mine")
    assert len(calibration) + len(check) == 6


def test_the_images_of_a_run_are_those_that_it_recorded(monkeypatch, tmp_path):
    splits = splits_of(train=6, test=4)
    trained = replace(factories.classifier(square_model()), fingerprint=splits.train.fingerprint)
    source = Source(splits)

    def read_source(run):
        assert run == tmp_path
        return source

    monkeypatch.setattr(calibration_module, "read_source", read_source)
    calibration, check, _ = find(classifier=trained, run=tmp_path)
    assert (len(calibration), len(check), source.reads) == (6, 4, 1)
    with raises(ValueError, "m.keras", "--data"):
        find(classifier=replace(trained, fingerprint="0" * 64), run=tmp_path)


def test_after_a_linear_probe_thresholds_take_training_images_half_of_which_calibrate(monkeypatch, tmp_path):
    train, test = (dataset(np.arange(n) % 2, images=factories.noise(n, 32, 32, 3, seed=n)) for n in (30, 4))
    images = DatasetSplits(train=train, test=test)
    thresholds = fit_thresholds(
        OwnImages(np.full((40, 2), 0.5, np.float32), np.arange(40) % 2, np.ones(40)),
        fitted_on="out-of-fold",
        features=np.ones((40, 5)),
    )
    trained = replace(
        factories.classifier(square_model()),
        fingerprint=images.train.fingerprint,
        recipe={"validation_split": 0.2},
        thresholds=thresholds,
    )
    monkeypatch.setattr(calibration_module, "read_source", lambda run: Source(images))
    calibration, check, own = find(classifier=trained, run=tmp_path)
    validation = images.hold_out(0.2, seed=0).validation
    assert (len(validation), len(own.chosen), len(calibration), len(check)) == (6, 24, 12, 4)
    assert not {image.tobytes() for image in validation.images} & {image.tobytes() for image in own.chosen.images}
    np.testing.assert_array_equal(own.chosen.select(np.flatnonzero(own.calibrated)).images, calibration.images)
    held_out = replace(trained, thresholds=replace(thresholds, fitted_on="held-out"))
    assert find(classifier=held_out, run=tmp_path).own is None  # too few to halve


def test_the_images_of_an_unknown_recipe_have_to_be_given():
    with raises(ValueError, "m.keras", "'None'", "--data"):
        find()


def test_images_are_found_for_a_square_model_only():
    with raises(ValueError, "m.keras", 40, 32, "arrays"):
        find(Source(splits_of(train=4)), factories.classifier(tiny_model(3, seed=None)))


@pytest.mark.slow
def test_a_file_is_exported_on_images_of_a_source(tmp_path):
    square = classifier_of(network(1, size=(32, 32)), images(12)[:, :, :32])
    square.save(tmp_path / "m.keras")
    source = Source(DatasetSplits(dataset([0] * 12, images=images(12)[:, :, :32])))
    comparison = export(tmp_path / "m.keras", tmp_path / "out", format="onnx", precision="int8", source=source)
    assert comparison.calibration_images + comparison.images == 12
    assert Classifier.load(tmp_path / "out").class_names == ("fist", "fünf", "two")


def test_a_taken_name_is_refused_before_images_are_read(tmp_path, classifier):
    source = Source(None)
    (tmp_path / "out").mkdir()
    with raises(ValueError, tmp_path / "out"):
        export(classifier, tmp_path / "out", format="onnx", source=source)
    assert source.reads == 0
