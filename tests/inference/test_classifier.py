import importlib.util
import io
import json
import os
import struct
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest

from factories import noise, raises, tiny_model, with_thresholds
from resnet50.inference.classifier import Classifier
from resnet50.weights.read import read_weights

pytestmark = pytest.mark.filterwarnings(  # Keras, from TensorFlow's variables, whenever it loads or copies weights
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras"
)

IMAGES = noise(3, 32, 40, 3)
METADATA = {"class_names": ["a", "b", "c"], "dataset": "d", "fingerprint": "f", "recipe": {}, "metrics": {}}


@pytest.fixture(scope="module")
def classifier():
    return Classifier(
        network=tiny_model(seed=1),
        class_names=("fist", "fünf", "two"),
        dataset="hands",
        fingerprint="0123abcd",
        recipe={"name": "signs", "epochs": 24, "augmentation": {"shift": 0.1}, "stages": None},
        metrics={"accuracy": 0.983},
    )


@pytest.fixture(scope="module")
def saved(classifier, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "model.v1.keras"
    classifier.save(path)
    return path


def refuses(path, *values, error=ValueError):
    """Expect an error of exactly this class that names the path and the values."""
    with raises(error, path) as caught:
        Classifier.load(path)
    assert caught.type is error
    text = str(caught.value).replace(str(path), "")
    assert [value for value in values if str(value) not in text] == [], text


def archive(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("__", "."), text)
    return path


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_a_saved_classifier_is_loaded(classifier, saved):
    back = Classifier.load(str(saved))
    assert back.class_names == ("fist", "fünf", "two")
    assert (back.dataset, back.fingerprint) == ("hands", "0123abcd")
    assert back.recipe == {"name": "signs", "epochs": 24, "augmentation": {"shift": 0.1}, "stages": None}
    assert back.metrics == {"accuracy": 0.983}
    assert back.image_size == (32, 40)
    assert [layer.name for layer in back.model.layers] == [layer.name for layer in classifier.model.layers]
    assert back.model.name == classifier.model.name
    for before, after in zip(classifier.model.get_weights(), back.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_allclose(back.probabilities(IMAGES), classifier.probabilities(IMAGES), atol=1e-6)


@pytest.mark.parametrize(
    ("weights", "stored"),
    [
        ("/home/me/secret/w.safetensors", "w.safetensors"),
        (r"C:\secret\w.h5", "w.h5"),
        ("timm/a1_in1k", "timm/a1_in1k"),
        (None, None),
    ],
)
def test_no_folder_of_this_machine_is_stored(classifier, tmp_path, weights, stored):
    made = replace(classifier, recipe={"name": "signs", "weights": weights})
    made.save(tmp_path / "model.keras")
    with zipfile.ZipFile(tmp_path / "model.keras") as file:
        assert not any(b"secret" in file.read(name) for name in file.namelist())
    assert Classifier.load(tmp_path / "model.keras").recipe == {"name": "signs", "weights": stored}


def test_writes_one_file_of_keras_form(saved):
    assert names_in(saved.parent) == ["model.v1.keras"]
    with zipfile.ZipFile(saved) as file:
        assert sorted(file.namelist()) == ["config.json", "metadata.json", "model.weights.h5", "resnet50.json"]
        assert file.testzip() is None
        config = json.loads(file.read("config.json"))
        assert json.loads(file.read("resnet50.json"))["class_names"] == ["fist", "fünf", "two"]
    assert {layer["module"].split(".")[0] for layer in config["config"]["layers"]} == {"keras"}
    assert saved.stat().st_mode & 0o444 == 0o444 & ~umask()


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_loaded_one_can_be_saved_again(saved, tmp_path):
    Classifier.load(saved).save(tmp_path / "again.keras")
    assert Classifier.load(tmp_path / "again.keras").class_names == ("fist", "fünf", "two")


@pytest.mark.slow
def test_is_saved_uncompiled_with_any_optimizer(tmp_path):
    model = tiny_model()
    model.compile("adam", "categorical_crossentropy")
    made = Classifier(model, ("a", "b", "c"), "d", "f", {}, {})
    made.save(tmp_path / "a.keras")
    assert model.compiled
    assert not keras.saving.load_model(tmp_path / "a.keras").compiled
    np.testing.assert_array_equal(
        Classifier.load(tmp_path / "a.keras", runtime="keras").probabilities(IMAGES), made.probabilities(IMAGES)
    )


def run(script, *arguments, backend):
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_plain_keras_opens_it_in_a_process_without_this_package(classifier, saved, tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = """
import sys


class Without:
    # Finds neither this package nor, on another backend, TensorFlow.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *rest):
        hidden = ("resnet50", "tensorflow")[: 1 + (sys.argv[4] != "tensorflow")]
        return None if name.split(".")[0] in hidden else self.finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self.finder, name)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
import keras, numpy
model = keras.saving.load_model(sys.argv[1])
assert not model.compiled
assert all(layer.dtype_policy.name == "float32" for layer in model.layers)
numpy.save(sys.argv[3], model.predict(numpy.load(sys.argv[2]), verbose=0))
"""
    np.save(tmp_path / "images.npy", IMAGES)
    done = run(script, saved, tmp_path / "images.npy", tmp_path / "out.npy", backend, backend=backend)
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), classifier.probabilities(IMAGES), atol=2e-6)


def test_the_name_appears_when_all_is_written_and_not_before(classifier, tmp_path, monkeypatch):
    """So that a process that is killed leaves nothing under the name, or what was there."""
    path = tmp_path / "a.keras"
    seen = []
    replace = Path.replace

    def watch(self, target):
        assert not path.exists()
        seen.append((target, Classifier.load(self, runtime="keras").class_names))
        return replace(self, target)

    write = zipfile.ZipFile.writestr

    def not_yet(self, *arguments, **options):
        assert not path.exists()
        return write(self, *arguments, **options)

    monkeypatch.setattr(zipfile.ZipFile, "writestr", not_yet)
    monkeypatch.setattr(Path, "replace", watch)
    classifier.save(path)
    assert seen == [(path, ("fist", "fünf", "two"))]
    assert names_in(tmp_path) == ["a.keras"]


def test_after_a_failed_save_the_old_file_is_there(classifier, saved, tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    path.write_bytes(saved.read_bytes())
    unwritable = Classifier(classifier.model, ("a", "b", "c"), "d", "f", {"what": object()}, {})
    with raises(TypeError, "JSON"):
        unwritable.save(path)

    def no_room(*_, **__):
        raise OSError("no room")

    monkeypatch.setattr(zipfile.ZipFile, "writestr", no_room)
    with pytest.raises(OSError, match="no room"):
        classifier.save(path)
    assert path.read_bytes() == saved.read_bytes()
    assert names_in(tmp_path) == ["a.keras"]


@pytest.mark.parametrize("name", ["model.h5", "model", "model.keras.zip", "model.KERAS"])
def test_refuses_to_save_under_another_suffix(classifier, tmp_path, name):
    with raises(ValueError, tmp_path / name) as caught:
        classifier.save(tmp_path / name)
    assert ".keras" in str(caught.value).replace(name, "")
    assert names_in(tmp_path) == []


def test_refuses_to_save_over_a_folder(classifier, tmp_path):
    (tmp_path / "a.keras").mkdir()
    with raises(ValueError, tmp_path / "a.keras"):
        classifier.save(tmp_path / "a.keras")


@pytest.mark.parametrize(
    ("inputs", "outputs", "values"),
    [
        ((None, 32, 40, 3), 4, (4, 3, "a, b, c")),
        ((None, None, 40, 3), 3, ("(None, height, width, 3)", "(None, None, 40, 3)")),
        ((None, 20), 3, ("(None, height, width, 3)", "(None, 20)")),
    ],
)
def test_refuses_a_model_that_does_not_fit(inputs, outputs, values):
    model = SimpleNamespace(input_shape=inputs, output_shape=(None, outputs))
    with raises(ValueError, *values):
        Classifier(model, ("a", "b", "c"), "d", "f", {}, {})


@pytest.mark.parametrize("shape", [(2, 40, 32, 3), (32, 40, 3), (2, 32, 40, 1)])
def test_refuses_images_of_another_size(classifier, shape):
    with raises(ValueError, "(n, 32, 40, 3)", shape):
        classifier.probabilities(np.zeros(shape, np.uint8))


def test_refuses_batches_of_nothing(classifier):
    with raises(ValueError, "batch_size", 1, -5):
        classifier.probabilities(IMAGES, batch_size=-5)


def test_classifies_bytes_and_floats_alike_in_any_batch(classifier):
    expected = classifier.probabilities(IMAGES)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(expected, axis=0).max() > 1e-4  # the images do matter
    np.testing.assert_allclose(classifier.probabilities(IMAGES.astype(np.float32)), expected, atol=1e-6)
    np.testing.assert_allclose(classifier.probabilities(IMAGES, batch_size=2), expected, atol=1e-6)


def test_images_in_a_file_are_read_batch_by_batch(classifier, tmp_path, monkeypatch):
    images = noise(11, 32, 40, 3, seed=1)
    expected = classifier.probabilities(images, batch_size=4)
    images.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=images.shape)
    shapes = []
    predict = classifier.model.predict_on_batch
    monkeypatch.setattr(
        classifier.model, "predict_on_batch", lambda batch: shapes.append(batch.shape) or predict(batch)
    )
    np.testing.assert_array_equal(classifier.probabilities(mapped, batch_size=4), expected)
    assert shapes == [(4, 32, 40, 3)] * 3  # of one shape, for another the network would be compiled again


def test_an_answer_has_the_features_behind_it(classifier):
    probabilities, features = classifier.answer(IMAGES)
    np.testing.assert_allclose(probabilities, classifier.probabilities(IMAGES), rtol=1e-5)
    dense = classifier.model.layers[-1]
    scores = features @ np.asarray(dense.kernel) + np.asarray(dense.bias)
    expected = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(probabilities, expected / expected.sum(axis=1, keepdims=True), rtol=1e-5)


def test_other_thresholds_build_no_network_again(classifier):
    first = replace(classifier)
    first.answer(IMAGES)
    fitted = first.refitted(with_thresholds(classifier).thresholds)
    assert fitted.answering is first._with_features
    assert replace(fitted).answering is not first._with_features
    assert first.thresholds is None


def test_no_images_have_no_probabilities(classifier):
    assert classifier.probabilities(IMAGES[:0]).shape == (0, 3)


def test_refuses_a_path_without_a_model(tmp_path):
    refuses(tmp_path / "a.keras", ".keras", error=FileNotFoundError)
    refuses(tmp_path, ".keras", "folder", error=FileNotFoundError)


def test_refuses_a_file_cut_anywhere(saved, tmp_path):
    whole = saved.read_bytes()
    path = tmp_path / "a.keras"
    for size in [0, 3, 40, *range(1000, len(whole), len(whole) // 15), len(whole) - 1]:
        path.write_bytes(whole[:size])
        refuses(path, ".keras", "zip", "incomplete" if size >= 4 else "damaged")


@pytest.mark.parametrize("missing", [1, 22, 100, 400, 1000])
def test_a_file_without_its_end_is_not_taken_for_an_archive_inside_it(classifier, tmp_path, missing):
    """The thresholds, which come last, are an archive of their own."""
    with_thresholds(classifier).save(tmp_path / "whole.keras")
    path = tmp_path / "a.keras"
    path.write_bytes((tmp_path / "whole.keras").read_bytes()[:-missing])
    refuses(path, ".keras", "incomplete")
    with raises(ValueError, path, "damaged"):
        read_weights(path)


def test_refuses_other_files(tmp_path):
    text = tmp_path / "a.keras"
    text.write_text("some text\n")
    refuses(text, ".keras", "zip")
    inside = ("resnet50.json", "keras.saving.load_model")
    refuses(archive(tmp_path / "b.keras", readme__txt="x"), "zip", *inside)
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "c.keras")
    refuses(tmp_path / "c.keras", "Keras", *inside)


def test_a_model_saved_by_keras_itself_is_refused_without_its_labels(classifier, tmp_path):
    classifier.model.save(tmp_path / "a.keras")
    refuses(tmp_path / "a.keras", "Keras", "resnet50.json", "keras.saving.load_model")


KEYS = ("class_names", "dataset", "fingerprint", "recipe", "metrics")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"class_names": ', ("JSON", "line 1 column 17")),
        (b"\xff\xfe\x00", ("JSON",)),
        ("[" * 100_000, ("JSON",)),
        ('["class_names"]', (*KEYS, "list")),
        ("5", (*KEYS, "int")),
        ("null", (*KEYS, "NoneType")),
        ('{"class_names": ["a"]}', KEYS),
        (json.dumps(METADATA | {"more": 1}), (*KEYS, "more")),
        (json.dumps(METADATA | {"class_names": "abc"}), ("class_names", "'abc'")),
        (json.dumps(METADATA | {"class_names": [1, 2, 3]}), ("class_names", [1, 2, 3])),
    ],
)
def test_refuses_an_archive_that_carries_something_else(tmp_path, text, values):
    refuses(archive(tmp_path / "a.keras", config__json="{}", resnet50__json=text), "resnet50.json", *values)


def test_refuses_an_archive_that_keras_cannot_open(saved, tmp_path):
    path = tmp_path / "a.keras"
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as file:
        at = file.getinfo("model.weights.h5").header_offset + 20_000
    content[at] ^= 0xFF
    path.write_bytes(content)
    refuses(path, "CRC-32")


def changed(saved, path, **members):
    """Copy a classifier with other members: a value, or a function that changes the file's bytes or HDF5."""
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            change = members.get(name.replace(".", "__"))
            content = old.read(name)
            new.writestr(name, content if change is None else change(content) if callable(change) else change)
    return path


def heap_in_a_circle(content):
    content = bytearray(content)
    heap = content.index(b"HEAP")
    size, _, data = struct.unpack_from("<QQQ", content, heap + 8)
    struct.pack_into("<Q", content, heap + 16, size - 16)
    struct.pack_into("<Q", content, data + size - 16, size - 16)
    return bytes(content)


def huge_chunk(content):
    store = io.BytesIO(content)
    with h5py.File(store, "r+") as file:
        del file["layers/dense/vars/1"]
        options = {"shape": (3,), "maxshape": (None,), "chunks": (1 << 23,), "dtype": "f4", "compression": "gzip"}
        file["layers/dense/vars"].create_dataset("1", **options)
    return store.getvalue()


def input_of(side):
    return lambda content: content.replace(b"[null, 32, 40, 3]", f"[null, {side}, {side}, 3]".encode())


@pytest.mark.parametrize(
    ("members", "values"),
    [
        ({"model__weights__h5": heap_in_a_circle}, ["heap"]),
        ({"model__weights__h5": huge_chunk}, ["chunks", f"{1 << 25:,}", "12"]),
        ({"config__json": lambda content: content + b" " * (16 << 20)}, ["config.json", "16 MiB"]),
        ({"config__json": input_of(10**6)}, ["1,000,000", "4,096"]),
        ({"resnet50__json": b" " * (17 << 20)}, ["resnet50.json", "16 MiB"]),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_refuses_what_would_take_all_memory_or_never_end(saved, tmp_path, members, values):
    refuses(changed(saved, tmp_path / "a.keras", **members), *values)


def test_a_hostile_file_stops_the_reading_of_weights_too(saved, tmp_path):
    with raises(ValueError, tmp_path / "a.keras", "heap"):
        read_weights(changed(saved, tmp_path / "a.keras", model__weights__h5=heap_in_a_circle))


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"class_names": [str(number) for number in range(100_001)]}, ["100,001", "100,000"]),
        ({"class_names": ["x" * 1001, "b", "c"]}, ["1,001", "1,000"]),
        ({"class_names": [1] * 10**6}, ["class_names"]),
        ({"dataset": ["d"]}, ["dataset", "['d']"]),
        ({"fingerprint": None}, ["fingerprint", "None"]),
        ({"recipe": []}, ["recipe", "[]"]),
        ({"recipe": {"name": []}}, ["recipe", "name", "[]"]),
        ({"metrics": {"accuracy": "x"}}, ["metrics", "'x'"]),
        ({"metrics": {"temperature": 0}}, ["metrics", "temperature", 0]),
    ],
)
def test_refuses_metadata_of_other_types_and_sizes_in_a_short_line(saved, tmp_path, changes, values):
    path = changed(saved, tmp_path / "a.keras", resnet50__json=json.dumps(METADATA | changes))
    with raises(ValueError, path, *values) as caught:
        Classifier.load(path)
    assert len(str(caught.value)) < 2000


def with_labels(model, path, **changes):
    model.save(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("resnet50.json", json.dumps(METADATA | changes))
    return path


def test_refuses_labels_of_another_number(classifier, tmp_path):
    path = with_labels(classifier.model, tmp_path / "a.keras", class_names=["a", "b"])
    refuses(path, 3, 2, "a, b")


@pytest.mark.parametrize("changes", [{"class_names": ["a", "b\x1b]52;c;eA==\x07", "c"]}, {"dataset": "two\nlines"}])
def test_refuses_names_that_could_command_a_terminal(classifier, tmp_path, changes):
    path = with_labels(classifier.model, tmp_path / "a.keras", **changes)
    with raises(ValueError, path, "resnet50.json") as caught:
        Classifier.load(path)
    assert str(caught.value).isprintable()


def test_refuses_to_run_code_from_a_file(tmp_path):
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Lambda(lambda x: x[:, 0, 0, :])(inputs)
    path = with_labels(keras.Model(inputs, outputs), tmp_path / "a.keras")
    refuses(path, "Lambda")


def test_random_damage_gives_no_other_error(saved, tmp_path):
    rng = np.random.default_rng(0)
    whole = saved.read_bytes()
    path = tmp_path / "a.keras"
    for _ in range(8):
        content = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            content[at] ^= rng.integers(1, 256)
        path.write_bytes(content)
        try:
            Classifier.load(path)  # where damage hit nothing that is read
        except ValueError as error:
            assert str(path) in str(error)
            assert "\n" not in str(error)
