"""The complete classifier: one flat graph, its gradients, pretrained weights and refusals."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from factories import TINY_STAGES, noise, raises, tiny_model
from oracles import count, dim, expected_names, image, names_after_input, network_oracle, of_file, same_by_name
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.heads import HEADS
from resnet50.weights.normalization import model_normalization


@pytest.mark.slow
def test_classifier_is_one_flat_graph_without_lambdas():
    for normalization in ("symmetric", "caffe", "torch"):
        model = tiny_model(3, size=(40, 48), seed=None, normalization=normalization)
        assert not any(isinstance(layer, (keras.Model, keras.layers.Lambda)) for layer in model.layers)
        names = names_after_input(model)
        assert names[names.index("conv1_pad") - 1] == "normalization"
        assert names[-2:] == ["avg_pool", "predictions"]
        assert (model.name, model.inputs[0].name, len(model.inputs), len(model.outputs)) == ("resnet14", "image", 1, 1)
    body = names_after_input(build_resnet50())
    assert body == ["normalization", *expected_names(), "avg_pool", "predictions"]


@pytest.mark.parametrize("normalization", ["symmetric", "caffe", "torch"])
def test_bytes_and_floats_give_the_same_probabilities(normalization):
    model = tiny_model(4, size=(40, 48), seed=8, normalization=normalization)
    if normalization == "caffe":
        dim(model)
    pixels = noise(3, 40, 48, 3)
    pixels[0, :2] = 0
    pixels[0, 2:4] = 255
    bytes_, floats = model.predict_on_batch(pixels), model.predict_on_batch(pixels.astype("float32"))
    np.testing.assert_array_equal(bytes_, floats)
    np.testing.assert_array_equal(np.asarray(model(pixels)), np.asarray(model(pixels.astype("float32"))))
    assert bytes_.dtype == np.float32
    np.testing.assert_allclose(bytes_.sum(axis=1), 1, rtol=1e-5)
    assert (bytes_ > 0).all()
    assert np.ptp(bytes_, axis=0).max() > 1e-3


@pytest.mark.parametrize("normalization", ["symmetric", "caffe", "torch"])
def test_classifier_saves_and_loads_with_plain_keras(normalization, tmp_path):
    model = tiny_model(4, size=(40, 48), seed=10, normalization=normalization)
    dim(model)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    pixels = noise(2, 40, 48, 3, seed=2)
    np.testing.assert_array_equal(np.asarray(again(pixels)), np.asarray(model(pixels)))
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes gradients with TensorFlow's tape")
@pytest.mark.parametrize("conventions", [V1, V1_5], ids=["v1", "v1.5"])
def test_a_gradient_reaches_every_weight_of_the_network(conventions):
    """But for the biases before batch norm, which takes them off again: their gradient is zero up to rounding."""
    import tensorflow as tf

    model = tiny_model(4, size=(40, 48), seed=12, conventions=conventions)
    pixels = noise(4, 40, 48, 3, seed=3).astype("float32")
    with tf.GradientTape() as tape:
        probabilities = model(pixels, training=True)
        loss = -tf.reduce_mean(tf.math.log(tf.linalg.diag_part(probabilities)))
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        largest = np.abs(gradient.numpy()).max()
        if variable.name == "bias" and "predictions" not in variable.path:
            assert largest < 1e-5, variable.path
        else:
            assert largest > 1e-3, variable.path


@pytest.mark.slow
def test_training_moves_every_statistic_and_a_frozen_layer_none():
    model = tiny_model(3, size=(40, 48), seed=13)
    frozen = {"conv1_bn", "conv3_block1_0_bn"}
    for name in frozen:
        model.get_layer(name).trainable = False
    model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    before = {layer.name: layer.get_weights() for layer in norms}
    pixels, labels = image(4, 40, 48, 3) * 50 + 120, np.array([0, 1, 2, 0])
    model.predict_on_batch(pixels)
    model.test_on_batch(pixels, labels)
    for layer in norms:
        assert all(map(np.array_equal, before[layer.name], layer.get_weights()))
    model.train_on_batch(pixels, labels)
    for layer in norms:
        moved = [not np.array_equal(old, new) for old, new in zip(before[layer.name], layer.get_weights(), strict=True)]
        assert moved == [False, False, layer.name not in frozen, layer.name not in frozen], layer.name


@pytest.mark.parametrize(("conventions", "stride_of"), [(V1, "1_conv"), (V1_5, "2_conv")], ids=["v1", "v1.5"])
@pytest.mark.parametrize("normalization", ["symmetric", "caffe", "torch"])
def test_weights_bring_their_conventions_and_normalization(conventions, stride_of, normalization):
    source = tiny_model(3, size=(40, 48), seed=1, conventions=conventions, normalization=normalization)
    model = tiny_model(3, weights=of_file(source, normalization=normalization), size=(40, 48), seed=None)
    assert same_by_name(model, source)
    assert model.get_layer("conv1_conv").use_bias == conventions.use_bias
    assert model.get_layer(f"conv3_block1_{stride_of}").strides == (2, 2)
    assert model.get_layer("conv1_bn").momentum == 0.9
    assert model.get_layer("conv1_bn").epsilon == conventions.epsilon
    assert model_normalization(model) == normalization


def test_explicit_arguments_win_over_the_weights():
    source = tiny_model(3, size=(40, 48), seed=1)
    with pytest.warns(UserWarning) as caught:
        model = tiny_model(3, weights=of_file(source), normalization="torch", conventions=V1, size=(40, 48), seed=None)
    values = ("some file", "'torch'", "'caffe'")
    assert any(all(value in str(warning.message) for value in values) for warning in caught)
    assert same_by_name(model, source)
    assert model_normalization(model) == "torch"
    assert model.get_layer("conv1_bn").momentum == 0.99
    with raises(ValueError, "some file", 15):
        tiny_model(3, weights=of_file(source), conventions=V1_5, size=(40, 48), seed=None)


def test_a_head_for_other_classes_starts_afresh():
    source = tiny_model(3, size=(40, 48), seed=1)
    for changes in ({"classes": 5}, {"classes": 3, "head": "mlp"}):
        model = tiny_model(**changes, weights=of_file(source), size=(40, 48), seed=None)
        head = {"predictions", "head_dense_512", "head_dense_128"}
        assert same_by_name(
            keras.Model(model.inputs, model.get_layer("avg_pool").output),
            keras.Model(source.inputs, source.get_layer("avg_pool").output),
        )
        for layer in model.layers:
            if layer.name in head:
                kernel, bias = layer.get_weights()
                assert kernel.std() > 0
                assert (bias == 0).all()


def test_a_file_that_does_not_tell_its_normalization_wants_it_told():
    source = tiny_model(3, size=(40, 48), seed=1)
    file = of_file(source, normalization="unknown")
    with raises(ValueError, "some file", "normalization", "symmetric", "unit", "caffe", "torch"):
        tiny_model(3, weights=file, size=(40, 48), seed=None)
    assert model_normalization(tiny_model(3, weights=file, normalization="caffe", size=(40, 48), seed=None)) == "caffe"


def test_raw_images_give_what_torchs_preprocessing_and_network_give():
    """Torchvision's ToTensor and Normalize, written out, before the network in NumPy that strides on the 3x3."""
    source = tiny_model(5, size=(40, 56), seed=3, conventions=V1_5)
    file = of_file(source, layout="torchvision", normalization="torch")
    mine = tiny_model(5, size=(40, 56), seed=None, weights=file)
    pixels = noise(2, 40, 56, 3, seed=5)
    unit = pixels.astype("float64") / 255
    x = (unit - np.array([0.485, 0.456, 0.406])) / np.array([0.229, 0.224, 0.225])
    features = network_oracle(x, dict(file.arrays), [("conv2", 2, 1), ("conv3", 2, 2)], v15=True, cifar=False)
    kernel, bias = file.arrays["predictions"]
    logits = features.mean(axis=(1, 2)) @ kernel + bias
    expected = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.asarray(mine(pixels)), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"classes": 0}, ("classes", 0)),
        ({"classes": -1}, ("classes", -1)),
        ({"classes": 1}, ("classes", 2, 1)),
        ({"classes": True}, ("classes", True)),
        ({"input_shape": (31, 64, 3)}, ("input_shape", 32, (31, 64, 3))),
        ({"input_shape": (64, 64, 1)}, ("input_shape", "(height, width, 3)", (64, 64, 1), "adapt_stem=True")),
        ({"input_shape": (64, 64, 0), "adapt_stem": True}, ("input_shape", "channels", (64, 64, 0))),
        ({"input_shape": (3, 64, 64)}, ("input_shape", "(height, width, 3)", (3, 64, 64))),
        ({"input_shape": (64, 64)}, ("input_shape", "(height, width, 3)", (64, 64))),
        ({"weights": "nonsense"}, ("nonsense", ".h5", ".safetensors")),
        ({"head": "deep"}, ("head", *HEADS, "'deep'")),
        ({"normalization": "zscore"}, ("normalization", "symmetric", "unit", "caffe", "torch", "'zscore'")),
        ({"stem": "tiny"}, ("stem", "imagenet", "cifar", "'tiny'")),
    ],
)
def test_the_classifier_refuses_in_words(options, values):
    with raises(ValueError, *values):
        build_resnet50(**{"stages": TINY_STAGES, "input_shape": (40, 48, 3), **options})


def test_from_scratch_reaches_every_layer():
    """A fresh classifier: fast statistics, zero last gammas, He kernels, in each and every block."""
    model = tiny_model(3, size=(40, 48), seed=None)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert len(norms) == 1 + 4 + 3 + 4 + 3
    for layer in norms:
        assert layer.momentum == 0.9
        assert (layer.get_weights()[0] == (0 if layer.name.endswith("_3_bn") else 1)).all()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            assert layer.kernel_initializer.__class__.__name__ == "HeNormal"
    ready = tiny_model(3, size=(40, 48), seed=None, conventions=V1)
    for layer in ready.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            assert layer.momentum == 0.99
            assert (layer.get_weights()[0] == 1).all()


def test_parameters_of_a_classifier_of_six():
    model = build_resnet50()
    assert model.count_params() == 23_600_006
    assert count(model.trainable_weights) == 23_546_886
    assert count(model.non_trainable_weights) == 53_120
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, 6)


@pytest.mark.parametrize(("argument", "value"), [("head", "lineal"), ("stem", "imagenat")])
def test_names_are_checked_before_weights_are_read(tmp_path, argument, value):
    with raises(ValueError, argument, repr(value)):
        build_resnet50(weights=tmp_path / "missing.h5", **{argument: value})
