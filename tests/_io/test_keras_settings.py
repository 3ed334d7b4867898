"""Networks are float32, and training computes the same, whatever the user's Keras is set to."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest

from factories import classifier, noise, plain_figures, raises, tiny_model, tiny_recipe
from resnet50._io.keras_settings import keras_defaults
from resnet50.build import build_resnet50
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.graph.fold_model import fold_batch_norm
from resnet50.inference.classifier import Classifier
from resnet50.model import Stage
from resnet50.training.train import Run, train

SETTINGS = ["float16", "bfloat16", "float64", "mixed_float16"]


@contextmanager
def user_setting(name: str) -> Iterator[None]:
    """As ~/.keras/keras.json or a call of the user's sets it."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    if not name.startswith("mixed"):
        keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def dtypes(model: keras.Model) -> set[str]:
    return {layer.dtype_policy.name for layer in model.layers} | {weight.dtype for weight in model.weights}


def test_the_users_settings_come_back():
    with user_setting("float16"):
        with pytest.raises(RuntimeError), keras_defaults():
            assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "float32")
            raise RuntimeError
        assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float16", "float16")


@pytest.mark.parametrize("setting", SETTINGS)
def test_networks_are_float32(setting, tmp_path):
    images = noise(3, 32, 40, 3)
    expected = tiny_model().predict_on_batch(images)
    with user_setting(setting):
        model = tiny_model()
        np.testing.assert_array_equal(model.predict_on_batch(images), expected)
        classifier(model).save(tmp_path / "model.keras")
        loaded = Classifier.load(tmp_path / "model.keras")
        np.testing.assert_allclose(loaded.probabilities(images), expected, rtol=1e-5)
        for network in (model, loaded.model, fold_batch_norm(model)):
            assert dtypes(network) == {"float32"}
    config = zipfile.ZipFile(tmp_path / "model.keras").read("config.json").decode()
    assert {word for word in config.replace('"', " ").split() if "float" in word} == {"float32"}


@pytest.mark.parametrize("setting", SETTINGS)
def test_another_head_is_float32_too(setting):
    with user_setting(setting):
        model = build_resnet50(2, input_shape=(32, 32, 3), head="norm", stages=[Stage("conv2", 1, (4, 6, 16), 1)])
    assert dtypes(model) == {"float32"}


def train_tiny(out: Path) -> Run:
    images = DatasetSplits(*rendered_signs(train=24, test=6, image_size=32))
    with plain_figures():
        return train(tiny_recipe(epochs=2, validation_split=0.25, ema=0.9), images, out=out, progress=False)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run with Keras' own settings."""
    return train_tiny(tmp_path_factory.mktemp("runs") / "plain")


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["float16", "float64", "mixed_float16"])
def test_training_is_the_same(setting, plain, tmp_path):
    with user_setting(setting):
        other = train_tiny(tmp_path / "other")
    for a, b in zip(plain.classifier.model.get_weights(), other.classifier.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    losses = [json.loads(run.folder.report.read_text())["loss"] for run in (plain, other)]
    assert losses[0] == losses[1]


def test_channels_first_is_refused_when_a_model_is_opened(tmp_path):
    classifier().save(tmp_path / "model.keras")
    keras.config.set_image_data_format("channels_first")
    try:
        with raises(ValueError, "'channels_first'", "image_data_format"):
            Classifier.load(tmp_path / "model.keras", runtime="keras")
    finally:
        keras.config.set_image_data_format("channels_last")
