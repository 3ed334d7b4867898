import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from resnet50.classifier import Classifier
from resnet50.model import Stage, build_resnet50

pytestmark = pytest.mark.filterwarnings(  # Keras, from TensorFlow's variables, whenever it loads or copies weights
    "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras"
)

STAGES = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 2, (5, 7, 24), 2))
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 40, 3), dtype=np.uint8)
CARRIED = {"class_names": ["a", "b", "c"], "dataset": "d", "fingerprint": "f", "recipe": {}, "metrics": {}}


@pytest.fixture(scope="module")
def classifier(random_weights):
    model = random_weights(build_resnet50(3, input_shape=(32, 40, 3), stages=STAGES), 1)
    return Classifier(
        model=model,
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


def refusal(path, kind=ValueError):
    with pytest.raises(kind) as raised:
        Classifier.load(path)
    assert raised.type is kind
    text = str(raised.value)
    assert "\n" not in text
    assert text.startswith(f"{path}: ")
    return text.removeprefix(f"{path}: ")


def archive(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("__", "."), text)
    return path


def names_in(folder):
    return sorted(entry.name for entry in folder.iterdir())


def test_what_is_saved_is_loaded(classifier, saved):
    back = Classifier.load(str(saved))
    assert back.class_names == ("fist", "fünf", "two")
    assert (back.dataset, back.fingerprint) == ("hands", "0123abcd")
    assert back.recipe == {"name": "signs", "epochs": 24, "augmentation": {"shift": 0.1}, "stages": None}
    assert back.metrics == {"accuracy": 0.983}
    assert back.side == (32, 40)
    assert [layer.name for layer in back.model.layers] == [layer.name for layer in classifier.model.layers]
    assert back.model.name == classifier.model.name
    for before, after in zip(classifier.model.get_weights(), back.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    np.testing.assert_array_equal(back.probabilities(IMAGES), classifier.probabilities(IMAGES))


def test_leaves_one_file_of_the_usual_form(saved):
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


def test_is_saved_uncompiled_whatever_trained_it(tmp_path):
    model = build_resnet50(3, input_shape=(32, 40, 3), stages=STAGES)
    model.compile("adam", "categorical_crossentropy")
    made = Classifier(model, ("a", "b", "c"), "d", "f", {}, {})
    made.save(tmp_path / "a.keras")
    assert model.compiled
    assert not keras.saving.load_model(tmp_path / "a.keras").compiled
    np.testing.assert_array_equal(
        Classifier.load(tmp_path / "a.keras").probabilities(IMAGES), made.probabilities(IMAGES)
    )


def run(script, *arguments, backend):
    environment = os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_plain_keras_opens_it_in_a_process_without_this_package(classifier, saved, tmp_path, backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = """
import sys


class Without:
    # A finder of neither this package nor, on another backend, TensorFlow; who asks whether it is there hears no.

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
        seen.append((target, Classifier.load(self).class_names))
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


def test_a_failed_save_keeps_the_old_file(classifier, saved, tmp_path, monkeypatch):
    path = tmp_path / "a.keras"
    path.write_bytes(saved.read_bytes())
    unwritable = Classifier(classifier.model, ("a", "b", "c"), "d", "f", {"what": object()}, {})
    with pytest.raises(TypeError, match="not JSON serializable"):
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
    with pytest.raises(ValueError, match=rf"{name}: the name of a classifier must end in \.keras\.$"):
        classifier.save(tmp_path / name)
    assert names_in(tmp_path) == []


def test_refuses_to_save_over_a_folder(classifier, tmp_path):
    (tmp_path / "a.keras").mkdir()
    with pytest.raises(ValueError, match=r"a\.keras: needed a file name to write to, found a folder\.$"):
        classifier.save(tmp_path / "a.keras")


@pytest.mark.parametrize(
    ("inputs", "outputs", "text"),
    [
        ((None, 32, 40, 3), 4, r"the model has 4 outputs, but there are 3 class names \(a, b, c\)\."),
        ((None, None, 40, 3), 3, r"needed a model of pictures of one size, .*, got \(None, None, 40, 3\)\."),
        ((None, 20), 3, r"needed a model of pictures of one size, \(None, height, width, 3\), got \(None, 20\)\."),
    ],
)
def test_refuses_a_model_that_does_not_fit(inputs, outputs, text):
    model = SimpleNamespace(input_shape=inputs, output_shape=(None, outputs))
    with pytest.raises(ValueError, match=f"^{text}$"):
        Classifier(model, ("a", "b", "c"), "d", "f", {}, {})


@pytest.mark.parametrize("shape", [(2, 40, 32, 3), (32, 40, 3), (2, 32, 40, 1)])
def test_refuses_pictures_of_another_size(classifier, shape):
    with pytest.raises(ValueError) as raised:
        classifier.probabilities(np.zeros(shape, np.uint8))
    assert str(raised.value) == f"needed pictures (n, 32, 40, 3), got {shape}."


def test_refuses_batches_of_nothing(classifier):
    with pytest.raises(ValueError, match=r"^batch_size must be at least 1, got -1\.$"):
        classifier.probabilities(IMAGES, batch_size=-1)


def test_classifies_bytes_and_floats_alike_in_any_batch(classifier):
    expected = classifier.probabilities(IMAGES)
    assert expected.dtype == np.float32
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-6)
    assert np.ptp(expected, axis=0).max() > 1e-4  # the pictures do matter
    np.testing.assert_allclose(classifier.probabilities(IMAGES.astype(np.float32)), expected, atol=1e-6)
    np.testing.assert_allclose(classifier.probabilities(IMAGES, batch_size=2), expected, atol=1e-6)


def test_pictures_that_lie_in_a_file_are_read_a_batch_at_a_time(classifier, tmp_path, monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (11, 32, 40, 3), dtype=np.uint8)
    expected = classifier.probabilities(images, batch_size=4)
    images.tofile(tmp_path / "images")
    mapped = np.memmap(tmp_path / "images", np.uint8, "r", shape=images.shape)
    given = []
    predict = classifier.model.predict_on_batch
    monkeypatch.setattr(classifier.model, "predict_on_batch", lambda batch: given.append(batch.shape) or predict(batch))
    np.testing.assert_array_equal(classifier.probabilities(mapped, batch_size=4), expected)
    assert given == [(4, 32, 40, 3)] * 3  # of one shape, for another the network would be compiled again


def test_no_pictures_have_no_probabilities(classifier):
    assert classifier.probabilities(IMAGES[:0]).shape == (0, 3)


def test_refuses_what_is_no_file(tmp_path):
    needed = "needed a classifier (.keras), found"
    assert refusal(tmp_path / "a.keras", FileNotFoundError) == f"{needed} nothing there; train one first."
    assert refusal(tmp_path, FileNotFoundError) == f"{needed} a folder; train one first."


def test_refuses_a_file_cut_anywhere(saved, tmp_path):
    whole = saved.read_bytes()
    path = tmp_path / "a.keras"
    for size in [0, 3, 40, *range(1000, len(whole), len(whole) // 15), len(whole) - 1]:
        path.write_bytes(whole[:size])
        assert refusal(path) == (
            "needed a classifier (.keras), found a damaged or other file (File is not a zip file)."
        )


def test_refuses_other_files(tmp_path):
    text = tmp_path / "a.keras"
    text.write_text("some text\n")
    assert refusal(text).startswith("needed a classifier (.keras), found a damaged or other file")
    tail = "(no resnet50.json inside); keras.saving.load_model opens a plain one."
    needed = "needed a classifier with its class names, found a"
    assert refusal(archive(tmp_path / "b.keras", readme__txt="x")) == f"{needed} zip archive of something else {tail}"
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).save(tmp_path / "c.keras")
    assert refusal(tmp_path / "c.keras") == f"{needed} plain Keras model {tail}"


def test_keras_own_save_loses_the_labels_and_that_is_said(classifier, tmp_path):
    classifier.model.save(tmp_path / "a.keras")
    assert "found a plain Keras model" in refusal(tmp_path / "a.keras")


KEYS = "needed class_names, dataset, fingerprint, recipe, metrics in resnet50.json, found"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"class_names": ', "needed JSON in resnet50.json, found other text (Expecting value: line 1 column 17"),
        (b"\xff\xfe\x00", "needed JSON in resnet50.json, found other text ("),
        ("[" * 100_000, "needed JSON in resnet50.json, found other text ("),
        ('["class_names"]', f"{KEYS} list."),
        ("5", f"{KEYS} int."),
        ("null", f"{KEYS} NoneType."),
        ('{"class_names": ["a"]}', f"{KEYS} class_names."),
        (json.dumps(CARRIED | {"more": 1}), f"{KEYS} class_names, dataset, fingerprint, recipe, metrics, more."),
        (
            json.dumps(CARRIED | {"class_names": "abc"}),
            "needed class_names in resnet50.json to be a list of text, found",
        ),
        (json.dumps(CARRIED | {"class_names": [1, 2, 3]}), "needed class_names in resnet50.json to be a list of text"),
    ],
)
def test_refuses_an_archive_that_carries_something_else(tmp_path, text, expected):
    assert refusal(archive(tmp_path / "a.keras", config__json="{}", resnet50__json=text)).startswith(expected)


def test_refuses_an_archive_that_keras_cannot_open(saved, tmp_path):
    path = archive(tmp_path / "a.keras", config__json="{}", resnet50__json=json.dumps(CARRIED))
    assert refusal(path).startswith("Keras cannot open it (")
    content = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as file:
        at = file.getinfo("model.weights.h5").header_offset + 20_000
    content[at] ^= 0xFF
    path.write_bytes(content)
    assert refusal(path).startswith("Keras cannot open it (Bad CRC-32")


def with_labels(model, path, **changes):
    model.save(path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("resnet50.json", json.dumps(CARRIED | changes))
    return path


def test_refuses_labels_of_another_number(classifier, tmp_path):
    path = with_labels(classifier.model, tmp_path / "a.keras", class_names=["a", "b"])
    assert refusal(path) == "the model has 3 outputs, but there are 2 class names (a, b)."


def test_refuses_to_run_code_from_a_file(tmp_path):
    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Lambda(lambda x: x[:, 0, 0, :])(inputs)
    path = with_labels(keras.Model(inputs, outputs), tmp_path / "a.keras")
    assert "`Lambda` layer" in refusal(path)


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
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
