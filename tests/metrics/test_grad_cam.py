"""Grad-CAM against gradients worked out by hand, on every head, stem, convention and backend."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from scipy.ndimage import map_coordinates

from factories import NETWORKS, WITHOUT_TENSORFLOW, fill_random, noise, raises, tiny_model
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.inference.features import pooled_feature_model
from resnet50.metrics.grad_cam import explained_map, grad_cam
from resnet50.model import Stage

HEADS = ("linear", "norm", "mlp", "flatten")
LAST = "conv3_block2_out"  # of the tiny stages
JUMP = {"imagenet": 8, "cifar": 2}  # pixels from cell to cell there


def random_images(n: int, shape: tuple[int, int] = (40, 48)) -> np.ndarray:
    return noise(n, *shape, 3, seed=5)


def scores(model: keras.Model, head: str, maps: np.ndarray) -> np.ndarray:
    """Return the scores of a head before the softmax, (n, classes), in float64 and by NumPy alone."""

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        kernel, bias = (weight.astype("float64") for weight in model.get_layer(name).get_weights())
        return x @ kernel + bias

    pooled = maps.mean(axis=(1, 2))
    if head == "norm":
        gamma, beta, mean, variance = (w.astype("float64") for w in model.get_layer("head_bn").get_weights())
        pooled = (pooled - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    elif head == "mlp":
        pooled = np.maximum(dense(np.maximum(dense(pooled, "head_dense_512"), 0), "head_dense_128"), 0)
    elif head == "flatten":
        pooled = np.maximum(dense(maps.reshape(len(maps), -1), "head_dense_384"), 0)
    return dense(pooled, "predictions")


def placed(heat: np.ndarray, jump: int, shape: tuple[int, int]) -> np.ndarray:
    """Return a map whose cell i is centered on pixel jump * i, constant beyond the outermost centers."""
    places = np.mgrid[: shape[0], : shape[1]] / jump
    large = map_coordinates(heat, places, order=1, mode="nearest")
    return large / max(large.max(), 1e-30)


def by_hand(
    model: keras.Model, head: str, images: np.ndarray, classes: np.ndarray, at: str = LAST, jump: int = 8
) -> np.ndarray:
    """Return the heat from central differences: the effect on a score of raising a channel at all positions."""
    maps = np.asarray(keras.Model(model.input, model.get_layer(at).output)(images)).astype("float64")
    n, h, w, channels = maps.shape
    heat = np.zeros((n, h, w))
    each = np.arange(n)
    for k in range(channels):
        step = np.zeros(channels)
        step[k] = 1e-6
        rise = scores(model, head, maps + step)[each, classes] - scores(model, head, maps - step)[each, classes]
        heat += (rise / 2e-6 / (h * w))[:, None, None] * maps[..., k]
    return np.stack([placed(each, jump, images.shape[1:3]) for each in np.maximum(heat, 0)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("conventions", "normalization", "stem"), [(V1, "symmetric", "imagenet"), (V1_5, "torch", "cifar")]
)
@pytest.mark.parametrize("head", HEADS)
def test_agrees_with_finite_differences(head, conventions, normalization, stem, tmp_path):
    options = {"stem": stem, "conventions": conventions, "normalization": normalization}
    tiny_model(4, size=(40, 48), seed=1, head=head, **options).save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    images, classes = np.repeat(random_images(2), 4, axis=0), np.tile(np.arange(4), 2)
    heats = grad_cam(model, images, classes)
    assert heats.shape == (8, 40, 48)
    assert heats.dtype == np.float32
    assert heats.min() >= 0
    lit = heats.max(axis=(1, 2))
    assert set(lit) <= {0, 1}
    assert lit.any()
    np.testing.assert_allclose(heats, by_hand(model, head, images, classes, jump=JUMP[stem]), rtol=1e-3, atol=1e-3)


def test_for_the_linear_head_the_weights_are_the_column_of_the_kernel():
    model = tiny_model(3, size=(64, 40), seed=2)
    images, classes = random_images(3, (64, 40)), np.array([2, 0, 1])
    maps = np.asarray(keras.Model(model.input, model.get_layer(LAST).output)(images))
    kernel, _ = model.get_layer("predictions").get_weights()
    heats = grad_cam(model, images, classes)
    for image, label, heat in zip(maps, classes, heats, strict=True):
        expected = placed(np.maximum(image @ kernel[:, label], 0), 8, (64, 40))
        np.testing.assert_allclose(heat, expected, atol=1e-4)


@pytest.mark.parametrize("name", ["basic", "plain", "preactivation"])
def test_other_blocks_are_explained_at_their_last_map(name):
    model = tiny_model(3, size=(64, 40), seed=2, **NETWORKS[name])
    images, classes = random_images(3, (64, 40)), np.array([2, 0, 1])
    last = "post_relu" if name == "preactivation" else LAST
    maps = np.asarray(keras.Model(model.input, model.get_layer(last).output)(images))
    kernel, _ = model.get_layer("predictions").get_weights()
    for image, label, heat in zip(maps, classes, grad_cam(model, images, classes), strict=True):
        np.testing.assert_allclose(heat, placed(np.maximum(image @ kernel[:, label], 0), 8, (64, 40)), atol=1e-4)
    vectors = pooled_feature_model(model, at=last)(images)
    np.testing.assert_allclose(np.asarray(vectors), maps.mean(axis=(1, 2)), rtol=1e-4, atol=1e-5)


def bright(model: keras.Model) -> keras.Model:
    """Let the first class be as probable as the image is bright where cells are centered."""
    for layer in model.layers:
        weights = []
        for weight in layer.weights:
            value = np.full(weight.shape, 1.0 if weight.name in ("gamma", "moving_variance") else 0.0, "float32")
            if weight.name == "kernel" and len(weight.shape) == 4:
                value[weight.shape[0] // 2, weight.shape[1] // 2] = 1 / weight.shape[2]
            elif weight.name == "kernel":
                value[:, 0] = 1
            weights.append(value)
        layer.set_weights(weights)
    return model


PAPERS_STRIDES = [Stage(f"conv{k}", 1, (4, 6, 16 + k), min(k - 1, 2)) for k in (2, 3, 4, 5)]


@pytest.mark.parametrize("size", [(97, 128), (127, 96)], ids=str)
@pytest.mark.parametrize(
    ("conventions", "stem", "jump"),
    [(V1, "imagenet", 32), (V1_5, "imagenet", 32), (V1, "cifar", 8), (V1_5, "cifar", 8)],
)
def test_the_heat_lies_on_a_planted_patch(conventions, stem, jump, size):
    model = build_resnet50(3, input_shape=(*size, 3), stages=PAPERS_STRIDES, conventions=conventions, stem=stem)
    model = bright(model)
    centers = [(i, j) for i in range(0, size[0], 32) for j in range(0, size[1], 32)]
    images = np.full((len(centers), *size, 3), 60, "uint8")
    for image, (i, j) in zip(images, centers, strict=True):
        image[max(i - 4, 0) : i + 5, max(j - 4, 0) : j + 5] = 250
    for layer, pixels in (("conv5_block1_out", jump), ("conv4_block1_out", jump // 2)):
        heats = grad_cam(model, images, np.zeros(len(images), int), at=layer)
        for heat, (i, j) in zip(heats, centers, strict=True):
            places = np.argwhere(heat > 0.999)
            assert (abs(places - (i, j)) < np.maximum(5, 2 * pixels)).all()  # constant beyond the outermost centers
            assert heat[i, j] == 1
            around = [(i + down, j + right) for down, right in ((pixels, 0), (0, pixels), (-pixels, 0), (0, -pixels))]
            inside = [place for place in around if all(0 <= k < length for k, length in zip(place, size, strict=True))]
            assert inside
            assert all(heat[place] < 0.01 for place in inside) or pixels < 9  # the neighbors see the patch too


def test_a_patch_between_two_cells_lights_both():
    model = bright(build_resnet50(3, input_shape=(97, 128, 3), stages=PAPERS_STRIDES))
    image = np.full((1, 97, 128, 3), 60, "uint8")
    image[0, 30:67, 60:69] = 250  # from cell (1, 2) to cell (2, 2)
    (heat,) = grad_cam(model, image, np.array([0]), at="conv5_block1_out")
    assert np.argwhere(heat > 0.999).mean(axis=0).tolist() == [48, 64]


def test_the_earlier_map_by_hand():
    model = tiny_model(4, size=(40, 48), seed=1)
    images, classes = np.repeat(random_images(1), 4, axis=0), np.arange(4)
    maps = np.asarray(keras.Model(model.input, model.get_layer("conv2_block2_out").output)(images[:1]))
    tail = keras.Model(model.get_layer("conv2_block2_out").output, model.get_layer("avg_pool").output)
    kernel, _ = model.get_layer("predictions").get_weights()
    found = grad_cam(model, images, classes, at="conv2_block2_out")
    steps = np.eye(16, dtype="float32")[:, None, None] * 0.02
    rises = (np.asarray(tail(maps + steps)) - np.asarray(tail(maps - steps))) @ kernel / 0.04  # (16, 4)
    for k in range(4):
        np.testing.assert_allclose(found[k], placed(np.maximum(maps[0] @ rises[:, k], 0), 4, (40, 48)), atol=0.1)


def test_finds_the_quarter_that_decides():
    """The class depends on the brightness of the top left quarter alone."""
    inputs = keras.Input((64, 96, 3))
    x = layers.Conv2D(2, 1, name="bright")(layers.Rescaling(1 / 255)(inputs))
    x = layers.AveragePooling2D(16)(x)  # (batch, 4, 6, 2)
    outputs = layers.Dense(2, activation="softmax")(layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    model.get_layer("bright").set_weights([np.full((1, 1, 3, 2), 1 / 3, "float32"), np.zeros(2, "float32")])
    kernel = np.zeros((4, 6, 2, 2), "float32")
    kernel[:2, :3, 0, 1] = 1
    model.layers[-1].set_weights([kernel.reshape(48, 2), np.zeros(2, "float32")])
    images = np.zeros((1, 64, 96, 3), "uint8")
    images[:, :32, :48] = 200
    images[:, 40:, 60:] = 20
    (heat,) = grad_cam(model, images, np.array([1]))
    assert heat[:24, :40].min() > 0.9
    assert heat[40:, :].max() < 0.15
    assert heat[:, 56:].max() < 0.15
    assert not grad_cam(model, images, np.array([0])).any()  # nothing supports the other class


def test_an_image_gets_its_heat_whatever_is_beside_it():
    model = tiny_model(4, size=(40, 48), seed=3, head="mlp")
    images, classes = random_images(5), np.array([3, 1, 0, 2, 2])
    whole = grad_cam(model, images, classes)
    assert whole.any(axis=(1, 2)).sum() >= 2
    np.testing.assert_allclose(grad_cam(model, images, classes, batch_size=2), whole, atol=1e-4)
    np.testing.assert_allclose(grad_cam(model, images[3:4].astype("float32"), classes[3:4]), whole[3:4], atol=1e-4)
    assert grad_cam(model, images[:0], classes[:0]).shape == (0, 40, 48)


def test_the_model_stays_as_it_was(tmp_path):
    model = tiny_model(4, size=(40, 48), seed=4, head="norm")
    images, config, weights = random_images(4), model.to_json(), model.get_weights()
    expected = np.asarray(model(images))
    for _ in range(2):
        grad_cam(model, images, np.arange(4))
    assert model.to_json() == config
    assert all(map(np.array_equal, model.get_weights(), weights))
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(np.asarray(keras.saving.load_model(tmp_path / "model.keras")(images)), expected)
    copy = keras.models.clone_model(model)
    copy.set_weights(weights)
    np.testing.assert_array_equal(np.asarray(copy(images)), expected)


def test_the_papers_stages_and_images_of_any_size():
    model = fill_random(build_resnet50(3, input_shape=(None, None, 3), stages=PAPERS_STRIDES))
    for size, layer in (
        ((128, 140), "conv5_block1_out"),
        ((127, 64), "conv4_block1_out"),
        ((32, 33), "conv3_block1_out"),
    ):
        images = random_images(2, size)
        found = grad_cam(model, images, np.array([0, 2]))
        assert found.shape == (2, *size)
        np.testing.assert_array_equal(found, grad_cam(model, images, np.array([0, 2]), at=layer))
        assert explained_map(model, size).layer == layer


def test_a_layer_that_paths_bypass_is_refused():
    with raises(ValueError, "'resnet14'", "'conv2_block2_2_relu'", LAST):
        grad_cam(tiny_model(), random_images(1, (32, 40)), np.array([0]), at="conv2_block2_2_relu")


@pytest.fixture(scope="module")
def small() -> keras.Model:
    inputs = keras.Input((8, 6, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3)(inputs))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="small")


@pytest.mark.parametrize(
    ("images", "classes", "values"),
    [
        ((2, 8, 7, 3), [0, 1], ("'small'", "(None, 8, 6, 3)", "(2, 8, 7, 3)")),
        ((8, 6, 3), [0], ("'small'", "(None, 8, 6, 3)", "(8, 6, 3)")),
        ((2, 8, 6, 3), [0], (2, "(2,)", "int64", "(1,)")),
        ((2, 8, 6, 3), [0.0, 1.0], (2, "(2,)", "float64")),
        ((2, 8, 6, 3), [0, 3], ("classes", "0..2", "0..3")),
        ((2, 8, 6, 3), [-1, 1], ("classes", "0..2", "-1..1")),
    ],
)
def test_refuses_what_does_not_fit(small, images, classes, values):
    with raises(ValueError, *values):
        grad_cam(small, np.zeros(images, "uint8"), np.array(classes))


def test_refuses_a_model_without_feature_maps():
    inputs = keras.Input((8, 6, 3))
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Flatten()(inputs)), name="flat")
    with raises(ValueError, "'flat'", "Grad-CAM", "(batch, h, w, k)"):
        grad_cam(model, np.zeros((1, 8, 6, 3), "uint8"), np.array([0]))


def test_refuses_a_way_past_every_feature_map():
    inputs = keras.Input((8, 6, 3))
    maps = [layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, name=name)(inputs)) for name in ("left", "right")]
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(layers.Concatenate()(maps)), name="forked")
    with raises(ValueError, "'forked'", "Grad-CAM", "(batch, h, w, k)"):
        grad_cam(model, np.zeros((1, 8, 6, 3), "uint8"), np.array([0]))


def test_a_map_of_one_position_is_skipped(random_weights):
    inputs = keras.Input((2, 2, 3))
    x = layers.Conv2D(4, 1, name="several")(inputs)
    y = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 2, name="one")(x))
    model = random_weights(keras.Model(inputs, layers.Dense(3, activation="softmax", name="end")(y)), 3)
    image = random_images(1, (2, 2))
    (kernel, bias), (second, _), (end, _) = (model.get_layer(name).get_weights() for name in ("several", "one", "end"))
    maps = image[0].astype("float64") @ kernel[0, 0] + bias  # (2, 2, 4)
    slopes = (second @ end).mean(axis=(0, 1))  # (4, 3)
    heats = np.maximum(maps @ slopes, 0).transpose(2, 0, 1)  # (3, 2, 2)
    assert heats.any()
    found = grad_cam(model, np.repeat(image, 3, axis=0), np.arange(3))
    largest = np.maximum(heats.max(axis=(1, 2), keepdims=True), 1e-30)
    np.testing.assert_allclose(found, heats / largest, rtol=1e-4, atol=1e-5)


# without TensorFlow, which Keras imports wherever it is installed and a model's configuration is asked for
SCRIPT = f"""{WITHOUT_TENSORFLOW}
import keras
import numpy as np
from resnet50.inference.features import feature_model
from resnet50.metrics.grad_cam import grad_cam
from resnet50.metrics.gradients import gradient

folder, backend = sys.argv[1:]
assert keras.backend.backend() == backend
slope = gradient(lambda x: keras.ops.sum(x**3), np.array([[1.0, -2.0]]))
assert slope.dtype == np.float32 and slope.tolist() == [[3.0, 12.0]], slope
images = np.load(folder + "/images.npy")
for head in ("norm", "flatten"):
    model = keras.saving.load_model(folder + "/" + head + ".keras")
    heats = grad_cam(model, images, np.arange(4))
    assert heats.dtype == np.float32
    np.save(folder + "/" + head + ".npy", heats)
    np.save(folder + "/" + head + "-features.npy", feature_model(model).predict(images, verbose=0))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_gives_the_same(backend, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    from resnet50.inference.features import feature_model

    images = random_images(4)
    np.save(tmp_path / "images.npy", images)
    expected = {}
    for head in ("norm", "flatten"):
        model = tiny_model(4, size=(40, 48), seed=6, head=head)
        model.save(tmp_path / f"{head}.keras")
        expected[head] = grad_cam(model, images, np.arange(4)), np.asarray(feature_model(model)(images))
        assert expected[head][0].any()
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, script, tmp_path, backend], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    for head, (heats, features) in expected.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{head}.npy"), heats, atol=1e-3, err_msg=head)
        np.testing.assert_allclose(np.load(tmp_path / f"{head}-features.npy"), features, rtol=1e-3, atol=1e-4)
