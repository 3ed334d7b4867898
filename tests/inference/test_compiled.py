"""A ``.keras`` file in ONNX Runtime against the Keras model that it holds."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers

import factories
from factories import NETWORKS, noise, posix, raises, tiny_model
from resnet50.inference import compiled as module
from resnet50.inference.classifier import Classifier
from resnet50.inference.features import feature_model
from resnet50.inference.runtimes import Network

IMAGES = noise(3, 32, 40, 3)


@pytest.fixture(autouse=True)
def graphs(tmp_path, monkeypatch):
    """An empty cache; the folder of the graphs in it."""
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "graphs"


@pytest.fixture(autouse=True)
def _same_weights():
    """The same random weights whichever tests ran before: some outputs are so extreme that rounding shows."""
    keras.utils.set_random_seed(0)


@pytest.fixture
def conversions(monkeypatch):
    """The files that are converted from now on."""
    paths = []
    convert = module._convert
    monkeypatch.setattr(module, "_convert", lambda path, **options: (paths.append(path), convert(path, **options))[1])
    return paths


def save(tmp_path, model, name="a.keras"):
    factories.classifier(model).save(tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("options", NETWORKS.values(), ids=NETWORKS)
def test_answers_as_keras_does(tmp_path, options):
    model = tiny_model(seed=1, **options)
    loaded = Classifier.load(save(tmp_path, model))
    assert isinstance(loaded.network, Network)
    assert loaded.image_size == (32, 40)
    np.testing.assert_allclose(loaded.probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)
    expected = feature_model(model).predict_on_batch(IMAGES)
    found = loaded.features.predict_on_batch(IMAGES)
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    linear = options.get("head", "linear") in ("linear", "norm")
    assert ("class_activation_maps" in loaded.network.outputs) == linear


def test_the_keras_model_is_there_when_it_is_asked_for(tmp_path):
    model = tiny_model(seed=1)
    path = save(tmp_path, model)
    loaded = Classifier.load(path)
    for found, expected in zip(loaded.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert loaded.model is loaded.model
    assert isinstance(Classifier.load(path, runtime="keras").network, keras.Model)
    with raises(ValueError, "'keras'", "'onnx'"):
        Classifier.load(path, runtime="onnx")


def test_the_keras_model_is_that_of_the_file_that_was_opened(tmp_path, monkeypatch):
    path = save(tmp_path, tiny_model(seed=1))
    monkeypatch.chdir(tmp_path)
    loaded = Classifier.load(path.name)
    monkeypatch.chdir("/")
    assert loaded.model.count_params()
    again = Classifier.load(path)
    save(tmp_path, tiny_model(seed=2))
    with raises(ValueError, path):
        _ = again.model


def test_a_graph_is_made_once(tmp_path, conversions, graphs):
    path = save(tmp_path, tiny_model(seed=1))
    first = Classifier.load(path).probabilities(IMAGES)
    path.rename(tmp_path / "b.keras")
    np.testing.assert_array_equal(Classifier.load(tmp_path / "b.keras").probabilities(IMAGES), first)
    assert conversions == [path]
    Classifier.load(save(tmp_path, tiny_model(seed=2), "c.keras"))
    assert len(conversions) == 2
    assert len(list(graphs.glob("*.onnx"))) == 2


@pytest.mark.parametrize("spoil", ["graph", "checksum", "cut"])
def test_a_damaged_graph_is_made_anew(tmp_path, conversions, graphs, spoil):
    path = save(tmp_path, tiny_model(seed=1))
    expected = Classifier.load(path).probabilities(IMAGES)
    (graph,), (checksum,) = graphs.glob("*.onnx"), graphs.glob("*.crc32")
    content = graph.read_bytes()
    if spoil == "graph":
        graph.write_bytes(content[:-2000] + bytes(1000) + content[-1000:])
    elif spoil == "cut":
        graph.write_bytes(content[:-100])
    else:
        checksum.unlink()
    np.testing.assert_array_equal(Classifier.load(path).probabilities(IMAGES), expected)
    assert len(conversions) == 2


@posix
def test_a_cache_that_cannot_be_written_changes_nothing(tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    model = tiny_model(seed=1)
    loaded = Classifier.load(save(tmp_path, model))
    np.testing.assert_allclose(loaded.probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


def test_the_graphs_used_longest_ago_make_room(tmp_path, graphs, monkeypatch):
    monkeypatch.setattr(module, "CACHE_BYTES", 0)
    for seed in (1, 2):
        Classifier.load(save(tmp_path, tiny_model(seed=seed), f"{seed}.keras"))
    assert len(list(graphs.glob("*.onnx"))) == 1


@pytest.mark.parametrize(
    ("name", "build"),
    [
        ("odd", lambda x: layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2, name="odd")(x))),
        ("odd", lambda x: layers.GlobalMaxPooling2D(name="odd")(x)),
        ("conv", lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="gelu", name="conv")(x))),
        (
            "half",
            lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, dtype="mixed_bfloat16", name="half")(x)),
        ),
        ("pool", lambda x: layers.Flatten()(layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x))),
        ("soft", lambda x: layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, activation="softmax", name="soft")(x))),
        ("soft", lambda x: layers.GlobalAveragePooling2D()(layers.Activation("softmax", name="soft")(x))),
        ("norm", lambda x: layers.GlobalAveragePooling2D()(layers.BatchNormalization(axis=1, name="norm")(x))),
        ("flip", lambda x: layers.GlobalAveragePooling2D()(keras.ops.flip(layers.Conv2D(3, 3)(x), axis=2))),
        (
            "wide",
            lambda x: layers.GlobalAveragePooling2D()(
                layers.Conv2D(4, 3, padding="same", dilation_rate=3, name="wide")(x)
            ),
        ),
        ("leaky", lambda x: layers.Dense(4, activation=keras.layers.LeakyReLU(0.2), name="leaky")(layers.Flatten()(x))),
        ("add", lambda x: layers.GlobalAveragePooling2D()(x + 3.0)),
    ],
)
def test_a_layer_that_it_does_not_know_is_for_keras(tmp_path, name, build):
    inputs = keras.Input((32, 40, 3))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(build(inputs)))
    path = save(tmp_path, model)
    with pytest.warns(UserWarning, match=f"Keras.*{name}"):
        loaded = Classifier.load(path)
    np.testing.assert_allclose(loaded.probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


@pytest.mark.parametrize("name", ["probabilities", "features", "class_activation_maps", "fit"])
def test_a_layer_may_have_any_name(tmp_path, name):
    inputs = keras.Input((32, 40, 3))
    pooled = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name=name)(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled))
    loaded = Classifier.load(save(tmp_path, model))
    assert isinstance(loaded.network, Network)
    np.testing.assert_allclose(loaded.probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


def test_a_sum_may_have_several_terms(tmp_path):
    inputs = keras.Input((32, 40, 3))
    terms = [layers.Conv2D(4, 3)(inputs) for _ in range(3)]
    pooled = layers.GlobalAveragePooling2D()(layers.Add()(terms))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(pooled))
    loaded = Classifier.load(save(tmp_path, model))
    assert isinstance(loaded.network, Network)
    np.testing.assert_allclose(loaded.probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


def test_a_layer_of_your_own_with_a_name_of_keras_is_for_keras(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class Dropout(layers.Layer):
        def call(self, x):
            return x * 2

    inputs = keras.Input((32, 40, 3))
    doubled = Dropout(name="mine")(layers.GlobalAveragePooling2D()(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(doubled))
    path = save(tmp_path, model)
    with pytest.warns(UserWarning, match=r"Keras.*mine"):
        loaded = Classifier.load(path)
    np.testing.assert_allclose(loaded.probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


def test_a_file_that_is_replaced_while_it_is_opened_is_refused(tmp_path, graphs, monkeypatch):
    path = save(tmp_path, tiny_model(seed=1))
    convert = module._convert

    def replaced(at, **options):
        graph = convert(at, **options)
        save(tmp_path, tiny_model(seed=2))
        return graph

    monkeypatch.setattr(module, "_convert", replaced)
    with raises(OSError, path):
        Classifier.load(path)
    assert list(graphs.glob("*.onnx")) == []


def test_a_cache_that_cannot_be_used_is_no_error(tmp_path, graphs):
    graphs.parent.mkdir(parents=True, exist_ok=True)
    graphs.write_text("a file where the folder should be")
    model = tiny_model(seed=1)
    loaded = Classifier.load(save(tmp_path, model))
    np.testing.assert_allclose(loaded.probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


def test_a_stored_graph_that_is_none_is_made_anew(tmp_path, graphs):
    model = tiny_model(seed=1)
    path = save(tmp_path, model)
    Classifier.load(path)
    (stored,) = graphs.glob("*.onnx")
    stored.write_bytes(b"no graph")
    stored.with_suffix(".crc32").write_text(module._checksum(stored))
    np.testing.assert_allclose(Classifier.load(path).probabilities(IMAGES), model.predict_on_batch(IMAGES), atol=1e-5)


def changed(path, change):
    """Write a copy of a classifier with another configuration."""
    copy = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config)
                content = json.dumps(config)
            new.writestr(name, content)
    return copy


def row(config, name):
    return next(each for each in config["config"]["layers"] if each["name"] == name)


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config.update(config=[]),
        lambda config: config["config"].pop("layers"),
        lambda config: row(config, "conv1_conv").pop("config"),
        lambda config: row(config, "conv1_conv")["config"].update(strides="many"),
        lambda config: row(config, "conv1_conv")["config"].update(groups=7),
        lambda config: row(config, "conv1_conv")["config"].update(kernel_size=[5, 5]),
        lambda config: row(config, "predictions")["config"].update(use_bias=False),
        lambda config: row(config, "predictions")["config"].update(units=4),
        lambda config: row(config, "conv1_bn")["config"].update(scale=False),
        lambda config: row(config, "conv1_bn").update(name="other"),
        lambda config: config["config"].update(output_layers=[["nowhere", 0, 0]]),
    ],
)
def test_a_configuration_that_is_none_is_one_error(tmp_path, change):
    path = changed(save(tmp_path, tiny_model(seed=1)), change)
    for options in ({}, {"precision": "int8", "calibration": IMAGES}):
        with raises(ValueError, path):
            Classifier.load(path, **options)


def test_what_the_runtime_finds_is_one_error_and_nothing_else(tmp_path, capfd):
    path = save(tmp_path, tiny_model(seed=1))
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    weights = io.BytesIO(members["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        kernel = file["layers/conv2d/vars/0"]
        shape = (*kernel.shape[:2], 4, kernel.shape[3])  # of four channels, where images have three
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars"].create_dataset("0", data=np.zeros(shape, np.float32))
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (members | {"model.weights.h5": weights.getvalue()}).items():
            archive.writestr(name, content)
    capfd.readouterr()
    with raises(ValueError, path):
        Classifier.load(path)
    assert capfd.readouterr() == ("", "")


def test_no_framework_is_imported(tmp_path):
    path = save(tmp_path, tiny_model(seed=1))
    script = (
        "import sys, numpy as np; from resnet50 import Classifier; "
        "c = Classifier.load(sys.argv[1]); c.predict(np.zeros((50, 60, 3), np.uint8)); "
        "print([n for n in ('keras', 'tensorflow', 'matplotlib', 'scipy', 'sklearn') if n in sys.modules])"
    )
    for _ in range(2):  # converted, and from the cache
        done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]"
