from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from scipy.special import softmax

from factories import BASIC_STAGES, noise, raises, tiny_model
from resnet50.conventions import V1_5
from resnet50.training.fast_cpu import precision
from resnet50.training.fast_cpu.precision import build_training_model, resolve_precision


@pytest.fixture
def model():
    return tiny_model(5, size=(40, 32), seed=1, normalization="caffe")


def batch(n=16):
    return noise(n, 40, 32, 3), np.eye(5, dtype="float32")[np.random.default_rng(0).integers(0, 5, n)]


def one_step(model):
    model.compile(keras.optimizers.SGD(0.01), keras.losses.CategoricalCrossentropy())
    images, targets = batch()
    return model.train_on_batch(images, targets)


@pytest.mark.slow
@pytest.mark.parametrize("precision_name", ["float32", "bfloat16"])
def test_a_training_model_has_the_weights_and_answers_of_its_model_and_leaves_it_alone(model, precision_name):
    before = model.get_weights()
    training_model = build_training_model(model, precision_name)
    images, _ = batch()
    expected, found = model.predict(images, verbose=0), training_model.predict(images, verbose=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol={"float32": 1e-6, "bfloat16": 0.05}[precision_name])
    one_step(training_model)
    assert any((old != new).any() for old, new in zip(before, training_model.get_weights(), strict=True))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_training_model_may_take_images_of_another_size_and_give_logits(model):
    images, _ = batch(3)
    training_model = build_training_model(model, "float32", image_size=48, logits=True)
    assert (training_model.input_shape, training_model.output_shape) == ((None, 48, 48, 3), (None, 5))
    logits = np.asarray(build_training_model(model, "float32", logits=True).predict_on_batch(images))
    np.testing.assert_allclose(np.asarray(model.predict_on_batch(images)), softmax(logits, axis=1), atol=1e-6)
    for mine, other in zip(model.get_weights(), training_model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_a_bfloat16_training_model_keeps_pixels_head_and_weights_in_float32(model):
    training_model = build_training_model(model, "bfloat16")
    assert training_model.get_layer("conv2_block1_1_conv").compute_dtype == "bfloat16"
    assert training_model.get_layer("normalization").compute_dtype == "float32"
    assert training_model.get_layer("predictions").compute_dtype == "float32"
    assert {weight.dtype for weight in training_model.weights} == {"float32"}


@pytest.mark.slow
def test_a_training_model_keeps_frozen_layers_frozen(model):
    model.get_layer("conv1_bn").trainable = False
    training_model = build_training_model(model, "bfloat16")
    assert not training_model.get_layer("conv1_bn").trainable
    one_step(training_model)
    for old, new in zip(
        model.get_layer("conv1_bn").get_weights(), training_model.get_layer("conv1_bn").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(old, new)


@pytest.mark.slow
def test_a_bfloat16_step_lands_where_a_float32_step_does(model):
    plain, fast = build_training_model(model, "float32"), build_training_model(model, "bfloat16")
    assert one_step(plain) == pytest.approx(one_step(fast), rel=0.02)
    for weight, expected, found in zip(model.weights, plain.get_weights(), fast.get_weights(), strict=True):
        if weight.name.startswith("moving"):
            np.testing.assert_allclose(found, expected, rtol=0.05, atol=0.02, err_msg=weight.path)


@pytest.mark.slow
def test_a_float32_step_is_the_plain_graphs(model):
    training_model = build_training_model(model, "float32")
    before = model.get_weights()
    assert one_step(training_model) == pytest.approx(one_step(model), rel=1e-5)
    for weight, old, expected, found in zip(
        model.weights, before, model.get_weights(), training_model.get_weights(), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(), err_msg=weight.path)
        assert (found != old).any() or weight.path.endswith("conv/bias"), weight.path


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"stages": BASIC_STAGES},
        {"stages": BASIC_STAGES, "form": "plain"},
        {"form": "preactivation", "conventions": V1_5},
    ],
    ids=["basic", "plain", "preactivation"],
)
def test_a_step_of_other_blocks_is_the_plain_graphs(options):
    model = tiny_model(5, size=(40, 32), seed=1, **options)
    training_model = build_training_model(model, "float32")
    assert one_step(training_model) == pytest.approx(one_step(model), rel=1e-5)
    for weight, expected, found in zip(model.weights, model.get_weights(), training_model.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max(), err_msg=weight.path)


def test_a_bias_in_front_of_batch_norm_learns_only_where_that_is_frozen(model):
    training_model = build_training_model(model, "float32")
    training_model.get_layer("conv1_bn").trainable = False
    before = {layer.name: layer.get_weights() for layer in training_model.layers}
    one_step(training_model)
    moved = {
        name
        for name, weights in before.items()
        if name.endswith("_conv") and (weights[1] != training_model.get_layer(name).get_weights()[1]).any()
    }
    assert moved == {"conv1_conv"}


def test_auto_follows_the_processor(monkeypatch):
    monkeypatch.setattr(precision, "_has_fast_bfloat16", lambda: True)
    assert resolve_precision("auto") == ("bfloat16" if keras.backend.backend() == "tensorflow" else "float32")
    monkeypatch.setattr(precision, "_has_fast_bfloat16", lambda: False)
    assert resolve_precision("auto") == "float32"
    assert resolve_precision("bfloat16") == "bfloat16"


def test_an_unknown_precision_is_refused():
    with raises(ValueError, "precision", "auto", "float32", "bfloat16", "'half'"):
        resolve_precision("half")


@pytest.mark.slow
def test_a_head_may_normalize_pooled_channels():
    def head(features, classes):
        x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(features)
        x = keras.layers.BatchNormalization(name="top_norm")(x)
        return keras.layers.Dense(classes, activation="softmax", name="predictions")(x)

    training_model = build_training_model(tiny_model(5, size=(40, 32), seed=1, head=head), "bfloat16")
    assert type(training_model.get_layer("top_norm")) is keras.layers.BatchNormalization
    assert np.isfinite(one_step(training_model))


AMD, INTEL = "vendor_id : AuthenticAMD flags : avx512f ", "vendor_id : GenuineIntel flags : avx512f "
WINDOWS_INTEL = "Intel64 Family 6 Model 207 Stepping 2, GenuineIntel"
WINDOWS_AMD = "AMD64 Family 25 Model 17 Stepping 1, AuthenticAMD"


@pytest.mark.parametrize(
    ("features", "flags", "name", "expected"),
    [
        ({"AVX512BF16": True}, None, WINDOWS_AMD, True),
        ({"AVX512BF16": True}, None, WINDOWS_INTEL, False),  # as fast as float32, before the conversions
        ({"AVX512BF16": False, "AVX512F": True}, None, WINDOWS_AMD, False),
        ({}, None, "arm", False),  # an earlier NumPy, or an ARM processor, on macOS or Windows
        ({"AVX512BF16": True}, AMD + "avx512_bf16", "", True),
        ({}, AMD + "avx512_bf16", "", True),  # an earlier NumPy on Linux
        ({}, AMD, "", False),
        ({"AVX512BF16": True}, INTEL + "avx512_bf16", "", False),
        ({"AVX512BF16": True}, INTEL + "avx512_bf16 amx_bf16 amx_tile", "", True),
    ],
)
def test_bfloat16_is_taken_where_the_processor_is_faster_in_it(monkeypatch, features, flags, name, expected):
    def read_text(path, **_):
        assert path == Path("/proc/cpuinfo")
        if flags is None:
            raise FileNotFoundError
        return flags

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(precision.platform, "processor", lambda: name)
    monkeypatch.setattr(precision, "_numpy_features", lambda: features)
    assert precision._has_fast_bfloat16() is expected


def test_another_numpy_tells_nothing_of_the_processor(monkeypatch):
    def missing(name):
        raise ImportError(name)

    assert precision._numpy_features().get("SSE2", True)  # of every x86 processor, and of no other
    monkeypatch.setattr(precision, "import_module", missing)
    assert precision._numpy_features() == {}
