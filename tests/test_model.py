"""The whole network: counted, named and measured from literals; equal to keras.applications under random weights."""

from __future__ import annotations

import inspect
import math

import keras
import numpy as np
import pytest

import resnet50.weights.read
from factories import TINY_STAGES, fill_random, noise, raises, tiny_model
from oracles import DEPTHS, count, dim, expected_names, image, names_after_input, network_oracle, of_file, same_by_name
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.model import STAGES, TABLE_1, ResNet50, ResNet101, Stage, count_layers, features
from resnet50.weights.normalization import model_normalization


def copy_by_name(source: keras.Model, target: keras.Model) -> None:
    """Give every layer of ``target`` the weights of the layer of that name; both must have the same names."""
    weights = {layer.name: layer.get_weights() for layer in source.layers if layer.weights}
    layers = {layer.name: layer for layer in target.layers if layer.weights}
    assert weights.keys() == layers.keys()
    for name, layer in layers.items():
        layer.set_weights(weights[name])


def settings(layer: keras.Layer) -> dict:
    config = layer.get_config()
    if config.get("axis") == 3:  # of four, so the last
        config["axis"] = -1
    if config.get("kernel_size") == (1, 1):  # nothing to pad, with either word
        del config["padding"]
    return config


def sizes(model: keras.Model, *names: str) -> list[tuple[int, int]]:
    return [tuple(model.get_layer(name).output.shape[1:3]) for name in names]


STAGE_ENDS = ("conv1_relu", "pool1_pool", *(f"{stage}_block{depth}_out" for stage, depth in DEPTHS.items()))


@pytest.fixture(scope="module")
def theirs() -> keras.Model:
    return keras.applications.ResNet50(weights=None, input_shape=(75, 101, 3), classes=7)


@pytest.fixture(scope="module")
def ours() -> keras.Model:
    return ResNet50((75, 101, 3), 7)


@pytest.fixture(scope="module")
def full() -> keras.Model:
    return ResNet50((224, 224, 3), 1000)


@pytest.fixture(scope="module")
def open_ended() -> keras.Model:
    """Without top, sides of any size."""
    return ResNet50(None, include_top=False)


@pytest.fixture(scope="module")
def v1_5() -> keras.Model:
    return ResNet50((64, 96, 3), 1000, conventions=V1_5)


# -------------------------------------------------------------------------------------------------------------- counts


def test_parameters_with_1000_classes(full):
    assert full.count_params() == 25_636_712
    assert count(full.trainable_weights) == 25_583_592
    assert count(full.non_trainable_weights) == 53_120


def test_parameters_without_top(open_ended):
    assert open_ended.count_params() == 23_587_712


def test_parameters_of_ten_classes_in_small_images():
    model = ResNet50((32, 32, 3), 10)
    assert model.count_params() == 23_608_202
    assert model.output_shape == (None, 10)


def test_parameters_of_v1_5(v1_5):
    assert count(v1_5.trainable_weights) == 25_557_032
    assert count(v1_5.non_trainable_weights) == 53_120
    assert not [w.path for w in v1_5.weights if w.name == "bias" and "predictions" not in w.path]


def test_numbers_of_layers(full, open_ended):
    kinds = [type(layer).__name__ for layer in full.layers]
    assert kinds.count("Conv2D") == 53
    assert kinds.count("BatchNormalization") == 53
    assert kinds.count("Add") == 16
    assert kinds.count("Activation") == 49
    assert len(kinds) == 177
    assert len(open_ended.layers) == 175


def test_the_table_of_stages_is_table_1_of_the_paper():
    assert [(s.name, s.blocks, s.filters, s.stride) for s in STAGES] == [
        ("conv2", 3, (64, 64, 256), 1),
        ("conv3", 4, (128, 128, 512), 2),
        ("conv4", 6, (256, 256, 1024), 2),
        ("conv5", 3, (512, 512, 2048), 2),
    ]


def test_the_columns_of_table_1():
    filters = {
        2: ((64, 64), (128, 128), (256, 256), (512, 512)),
        3: ((64, 64, 256), (128, 128, 512), (256, 256, 1024), (512, 512, 2048)),
    }
    columns = {
        18: ((2, 2, 2, 2), 2),
        34: ((3, 4, 6, 3), 2),
        50: ((3, 4, 6, 3), 3),
        101: ((3, 4, 23, 3), 3),
        152: ((3, 8, 36, 3), 3),
    }
    assert list(TABLE_1) == list(columns)
    for layers, (blocks, convolutions) in columns.items():
        stages = TABLE_1[layers]
        assert [stage.name for stage in stages] == ["conv2", "conv3", "conv4", "conv5"]
        assert tuple(stage.blocks for stage in stages) == blocks
        assert tuple(stage.filters for stage in stages) == filters[convolutions]
        assert [stage.stride for stage in stages] == [1, 2, 2, 2]
        assert count_layers(stages) == layers


# --------------------------------------------------------------------------------------------------------------- names


def test_every_name_in_order(full, open_ended):
    assert names_after_input(full) == [*expected_names(), "avg_pool", "predictions"]
    assert names_after_input(open_ended) == expected_names()


@pytest.mark.slow
def test_names_are_those_of_keras_applications_in_order(theirs, ours):
    assert names_after_input(ours) == names_after_input(theirs)


def test_v1_5_adds_nothing_but_paddings(v1_5):
    names = names_after_input(v1_5)
    assert names == [*expected_names(padded=True), "avg_pool", "predictions"]
    extra = {f"{stage}_block1_2_pad" for stage in ("conv3", "conv4", "conv5")}
    assert [name for name in names if name not in extra] == [*expected_names(), "avg_pool", "predictions"]


def test_layers_agree_with_keras_applications_in_kind_and_setting(theirs, ours):
    for mine, other in zip(ours.layers[1:], theirs.layers[1:], strict=True):
        assert type(mine) is type(other)
        assert settings(mine) == settings(other), mine.name
    assert ours.name == theirs.name == "resnet50"
    assert ours.dtype == theirs.dtype


def test_signature_is_compatible_with_keras_applications():
    mine = inspect.signature(ResNet50).parameters
    other = inspect.signature(keras.applications.ResNet50).parameters
    assert set(other) <= set(mine)
    assert [name for name, p in mine.items() if p.kind is p.POSITIONAL_OR_KEYWORD] == ["input_shape", "classes"]
    assert mine["input_shape"].default == (64, 64, 3)
    assert mine["classes"].default == 6
    for name in set(other) - {"input_shape", "classes", "weights"}:
        assert mine[name].default == other[name].default, name


# --------------------------------------------------------------------------------------------------------------- sizes


def test_sizes_at_224(full):
    assert sizes(full, *STAGE_ENDS) == [(n, n) for n in (112, 56, 56, 28, 14, 7)]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((64, 64), [(32, 32), (16, 16), (16, 16), (8, 8), (4, 4), (2, 2)]),
        ((75, 101), [(38, 51), (19, 26), (19, 26), (10, 13), (5, 7), (3, 4)]),
        ((33, 47), [(17, 24), (9, 12), (9, 12), (5, 6), (3, 3), (2, 2)]),
    ],
)
def test_sizes_of_each_stage(open_ended, size, expected):
    assert [tuple(math.ceil(n / by) for n in size) for by in (2, 4, 4, 8, 16, 32)] == expected
    taps = keras.Model(open_ended.inputs, [open_ended.get_layer(name).output for name in STAGE_ENDS])
    shapes = [tuple(spec.shape) for spec in taps.compute_output_spec(keras.KerasTensor((1, *size, 3)))]
    assert [shape[1:3] for shape in shapes] == expected
    assert [shape[3] for shape in shapes] == [64, 64, 256, 512, 1024, 2048]


def test_every_shape_is_that_of_keras_applications(theirs, ours):
    for mine, other in zip(ours.layers[1:], theirs.layers[1:], strict=True):
        assert mine.output.shape == other.output.shape, mine.name


def test_sizes_of_v1_5(v1_5):
    expected = [(32, 48), (16, 24), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert sizes(v1_5, *STAGE_ENDS) == expected
    # v1 strides on the first 1x1 convolution of a stage, v1.5 on the 3x3 after it
    inside = ("conv3_block1_1_relu", "conv3_block1_2_relu", "conv3_block1_0_bn")
    assert sizes(v1_5, *inside) == [(16, 24), (8, 12), (8, 12)]


def test_v1_strides_on_the_first_convolution_of_a_stage(full):
    assert sizes(full, "conv3_block1_1_relu", "conv3_block1_2_relu", "conv3_block1_0_bn") == [(28, 28)] * 3


@pytest.mark.parametrize("conventions", [V1, V1_5], ids=["v1", "v1.5"])
@pytest.mark.parametrize("size", [(75, 101), (33, 47), (64, 96)])
def test_ceil_arithmetic_in_both_conventions(conventions, size):
    stages = [Stage(f"conv{n}", 1, (2, 3, 4 + n), 1 if n == 2 else 2) for n in range(2, 6)]
    x = keras.Input((*size, 3))
    model = keras.Model(x, features(x, conventions=conventions, stages=stages))
    ends = [f"conv{n}_block1_out" for n in range(2, 6)]
    assert sizes(model, *ends) == [tuple(math.ceil(n / by) for n in size) for by in (4, 8, 16, 32)]


@pytest.mark.parametrize(("height", "width"), [(32, 32), (33, 45)])
def test_cifar_stem_keeps_the_side_until_the_stages(height, width):
    model = tiny_model(3, size=(height, width), seed=None, stem="cifar")
    names = names_after_input(model)
    assert names[:5] == ["normalization", "conv1_conv", "conv1_bn", "conv1_relu", "conv2_block1_1_conv"]
    assert model.get_layer("conv1_conv").kernel.shape == (3, 3, 3, 64)
    ends = ("conv1_relu", "conv2_block1_out", "conv2_block2_out", "conv3_block2_out")
    half = (math.ceil(height / 2), math.ceil(width / 2))
    assert sizes(model, *ends) == [(height, width)] * 3 + [half]


def test_none_sides_take_images_of_any_size():
    model = tiny_model(3, size=(None, None))
    assert model.input_shape == (None, None, None, 3)
    for size in [(33, 47), (40, 32)]:
        fixed = tiny_model(3, size=size, seed=None)
        copy_by_name(model, fixed)
        x = image(2, *size, 3)
        np.testing.assert_allclose(np.asarray(model(x)), np.asarray(fixed(x)), rtol=1e-5)


# ------------------------------------------------------------------------------- equality with keras.applications' own


def assert_equal_outputs(
    mine: keras.Model, other: keras.Model, x: np.ndarray, for_other: np.ndarray | None = None
) -> None:
    for_other = x if for_other is None else for_other
    alone = len(other.inputs) == 1 and not isinstance(other.input, list)
    expected = np.asarray(other(for_other if alone else [for_other]))
    assert np.isfinite(expected).all()
    assert np.ptp(expected) > 0.01
    np.testing.assert_allclose(np.asarray(mine(x)), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def test_outputs_under_their_weights(theirs, ours):
    fill_random(theirs, 1)
    copy_by_name(theirs, ours)
    assert_equal_outputs(ours, theirs, image(2, 75, 101, 3))


def test_outputs_under_our_weights(theirs, ours):
    fill_random(ours, 2)
    copy_by_name(ours, theirs)
    assert_equal_outputs(ours, theirs, image(2, 75, 101, 3))


def test_weights_pass_by_position_too(theirs, ours):
    """The order of every weight is the same, which is all that Keras' own loaders look at."""
    fill_random(theirs, 3)
    ours.set_weights(theirs.get_weights())
    assert_equal_outputs(ours, theirs, image(1, 75, 101, 3))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({"include_top": False, "input_shape": (33, 47, 3)}, (33, 47)),
        ({"include_top": False, "pooling": "avg", "input_shape": (None, None, 3)}, (40, 65)),
        ({"include_top": False, "pooling": "max", "input_shape": None, "name": "features"}, (65, 40)),
        ({"classifier_activation": None, "input_shape": (64, 48, 3), "classes": 5}, (64, 48)),
        ({"classifier_activation": "sigmoid", "input_shape": (40, 56, 1), "classes": 2}, (40, 56)),
    ],
    ids=["no top", "avg", "max", "logits", "sigmoid"],
)
def test_outputs_with_every_keyword(options, size):
    other = fill_random(keras.applications.ResNet50(weights=None, **options), 4)
    mine = ResNet50(weights=None, **options)
    copy_by_name(other, mine)
    assert names_after_input(mine) == names_after_input(other)
    assert mine.name == other.name
    assert mine.input_shape == other.input_shape
    assert mine.output_shape == other.output_shape
    x = image(2, *size, mine.input_shape[-1])
    assert_equal_outputs(mine, other, x)


@pytest.mark.slow
def test_outputs_on_an_input_tensor():
    models = []
    for build in (keras.applications.ResNet50, ResNet50):
        source = keras.Input((36, 50, 3), name="source")
        halved = keras.layers.Rescaling(0.5, name="halved")(source)
        models.append(build(include_top=False, weights=None, input_tensor=halved, pooling="avg", name="on_tensor"))
    other, mine = models
    fill_random(other, 5)
    copy_by_name(other, mine)
    assert [layer.name for layer in mine.layers] == [layer.name for layer in other.layers]
    assert mine.name == other.name == "on_tensor"
    assert_equal_outputs(mine, other, image(2, 36, 50, 3))


def test_an_input_tensor_may_be_the_input_itself():
    source = keras.Input((33, 40, 3), name="source")
    model = ResNet50(input_tensor=source, classes=3)
    assert model.inputs[0] is source
    assert model.output_shape == (None, 3)


def test_shape_and_classes_by_position():
    model = ResNet50((40, 72, 3), 5)
    assert (model.input_shape, model.output_shape) == ((None, 40, 72, 3), (None, 5))


def test_no_shape_with_top_means_224():
    model = ResNet50(None, 4)
    assert (model.input_shape, model.output_shape) == ((None, 224, 224, 3), (None, 4))


def test_defaults_and_no_shape_without_top(open_ended):
    assert open_ended.input_shape == (None, None, None, 3)
    assert open_ended.output_shape == (None, None, None, 2048)
    assert open_ended.name == "resnet50"


# ----------------------------------------------------------------------- the whole graph against NumPy, v1.5 included


@pytest.mark.parametrize("kind", ["v1", "v1.5"])
@pytest.mark.parametrize("stem", ["imagenet", "cifar"])
@pytest.mark.parametrize("size", [(33, 47), (36, 32)])
def test_features_are_those_of_a_network_in_numpy(kind, stem, size):
    stages = (Stage("conv2", 3, (4, 6, 10), 1), Stage("conv3", 1, (5, 7, 12), 2), Stage("conv4", 2, (3, 8, 9), 3))
    x = keras.Input((*size, 3))
    output = features(x, stem=stem, conventions={"v1": V1, "v1.5": V1_5}[kind], stages=stages)
    model = fill_random(keras.Model(x, output), 6)
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    data = image(2, *size, 3)
    table = [("conv2", 3, 1), ("conv3", 1, 2), ("conv4", 2, 3)]
    expected = network_oracle(data, weights, table, v15=kind == "v1.5", cifar=stem == "cifar")
    actual = np.asarray(model(data))
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5 * expected.max())


@pytest.mark.slow
def test_the_first_classifier_is_the_bare_network_on_normalized_pixels():
    classifier = fill_random(build_resnet50(5, input_shape=(40, 56, 3), normalization="caffe"), 9)
    dim(classifier)
    bare = ResNet50((40, 56, 3), 5)
    copy_by_name(classifier, bare)
    pixels = noise(2, 40, 56, 3, seed=1).astype("float32")
    normalized = pixels[..., ::-1] - np.array([103.939, 116.779, 123.68], "float32")
    assert_equal_outputs(classifier, bare, pixels, normalized)


# --------------------------------------------------------------------------------------------------- pretrained weights


@pytest.mark.slow
def test_raw_images_give_what_keras_preprocessing_and_network_give():
    theirs = fill_random(keras.applications.ResNet50(weights=None, input_shape=(40, 56, 3), classes=5), 3)
    dim(theirs)
    mine = build_resnet50(5, input_shape=(40, 56, 3), weights=of_file(theirs))
    pixels = noise(2, 40, 56, 3, seed=5)
    preprocessed = keras.applications.resnet.preprocess_input(pixels.astype("float32"))  # a copy: it works in place
    assert_equal_outputs(mine, theirs, pixels, preprocessed)


@pytest.mark.slow
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_other_channels_when_asked_with_weights_and_without(channels):
    options = {"stages": TINY_STAGES, "adapt_stem": True}
    source = tiny_model(3, size=(40, 48), seed=1)
    pixels = noise(2, 33, 47, channels, seed=5)
    fresh = build_resnet50(3, input_shape=(33, 47, channels), **options)
    assert fresh(pixels).shape == (2, 3)
    model = build_resnet50(3, input_shape=(None, None, channels), weights=of_file(source), **options)
    assert same_by_name(model, source, but=("conv1_conv",))
    kernel, rgb = (m.get_layer("conv1_conv").get_weights()[0] for m in (model, source))
    if channels == 1:
        np.testing.assert_allclose(kernel[:, :, 0], rgb.sum(axis=2), rtol=1e-5, atol=1e-6)
    else:
        bgr = rgb[:, :, ::-1]  # the file's is for BGR, and images of other channels are not flipped
        np.testing.assert_allclose(kernel[:, :, -1], bgr[:, :, (channels - 1) % 3] * 3 / channels, rtol=1e-5)
    assert model(pixels).shape == (2, 3)
    assert model_normalization(model) == "caffe"


@pytest.mark.parametrize(
    ("options", "name"), [({"classes": 1000}, "imagenet"), ({"include_top": False}, "imagenet-notop")]
)
def test_imagenet_is_asked_for_as_in_keras_applications(options, name, monkeypatch):
    asked = []
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", lambda name: asked.append(name) or "gone.h5")
    monkeypatch.setattr(resnet50.weights.read, "_read_file", lambda path: of_file(ResNet50((32, 40, 3), **options)))
    model = ResNet50((32, 40, 3), weights="imagenet", **options)
    assert asked == [name]
    assert model.get_layer("conv1_bn").momentum == 0.99  # of V1, which the network is built with


def test_a_top_that_does_not_fit_is_refused_before_a_download(monkeypatch):
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", None)
    with raises(ValueError, "'timm/a1_in1k'", 1000, 6, "include_top=False"):
        ResNet50((32, 40, 3), weights="timm/a1_in1k")
    with raises(ValueError, "'imagenet-notop'", 6):
        ResNet50((32, 40, 3), weights="imagenet-notop")


@pytest.mark.parametrize(("weights", "layers"), [("timm/a1_in1k", 101), ("keras/resnet101.imagenet", 50)])
def test_published_weights_of_another_depth_are_refused_before_a_download(weights, layers, monkeypatch):
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", None)
    depths = ("ResNet-101", "ResNet-50")
    for build in (build_resnet50, ResNet50):
        with raises(ValueError, f"{weights}: ", *depths):
            build(1000, stages=TABLE_1[layers], weights=weights) if build is build_resnet50 else build(
                None, 1000, stages=TABLE_1[layers], weights=weights
            )


def test_a_file_of_another_depth_is_refused_before_a_network_is_built(tmp_path, monkeypatch):
    path = tmp_path / "w.h5"
    tiny_model(3, size=(32, 40)).save(path.with_suffix(".keras"))
    monkeypatch.setattr(keras.layers, "Conv2D", None)
    with raises(ValueError, "w.keras: ", "ResNet-14", "ResNet-8"):
        build_resnet50(3, stages=[Stage("conv2", 3, (4, 16), 1)], weights=path.with_suffix(".keras"))


@pytest.mark.parametrize(("options", "name"), [({}, "imagenet"), ({"include_top": False}, "imagenet-notop")])
def test_imagenet_of_another_depth_is_its_own_file(options, name, monkeypatch):
    asked = []
    monkeypatch.setattr(resnet50.weights.read, "fetch_weights", lambda name: asked.append(name) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ResNet101((32, 40, 3), 1000, weights="imagenet", **options)
    assert asked == [f"keras/resnet101.{name}"]


@pytest.mark.slow
def test_the_bare_network_refuses_a_file_with_another_top(tmp_path):
    path = tmp_path / "w.keras"
    ResNet50((32, 40, 3), 419).save(path)
    with raises(ValueError, path, "predictions", 419, 6):
        ResNet50((32, 40, 3), weights=path)
    assert ResNet50((32, 40, 3), include_top=False, weights=path).output_shape == (None, 1, 2, 2048)
    with raises(ValueError, path, "v1", "conventions=V1") as caught:
        ResNet50((32, 40, 3), 419, weights=path, conventions=V1_5)
    assert "V1_5" not in str(caught.value)


# ------------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({"pooling": "mean"}, ("pooling", "None", "'avg'", "'max'", "'mean'")),
        ({"include_top": False, "pooling": ""}, ("pooling", "None", "'avg'", "'max'", "''")),
        ({"input_shape": (31, 64, 3)}, ("input_shape", 32, (31, 64, 3))),
        ({"input_shape": (64, 31, 3)}, ("input_shape", 32, (64, 31, 3))),
        ({"input_shape": (64, 64, None)}, ("input_shape", "channels", (64, 64, None))),
        ({"input_shape": (64, 64, 0)}, ("input_shape", "channels", (64, 64, 0))),
        ({"input_shape": (64, 64)}, ("input_shape", "(height, width, channels)", (64, 64))),
        ({"input_shape": (1, 64, 64, 3)}, ("input_shape", "(height, width, channels)", (1, 64, 64, 3))),
        ({"input_tensor": np.zeros((1, 64, 64, 3))}, ("input_tensor", "numpy.ndarray")),
        ({"input_tensor": (64, 64, 3)}, ("input_tensor", "tuple")),
        ({"stem": "huge"}, ("stem", "imagenet", "cifar", "'huge'")),
    ],
)
def test_the_network_refuses_in_words(options, values):
    with raises(ValueError, *values):
        ResNet50(**options)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [0, -3, True, 2.5, "6", None])
def test_the_network_refuses_classes_that_are_no_positive_integer(classes):
    with raises(ValueError, "classes", repr(classes)):
        ResNet50((32, 40, 3), classes)


def test_the_network_refuses_channels_first():
    keras.config.set_image_data_format("channels_first")
    try:
        with raises(ValueError, "'channels_first'", "'channels_last'"):
            ResNet50()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_the_network_refuses_an_unknown_name_of_weights():
    with raises(ValueError, "nonsense", ".h5", ".safetensors"):
        ResNet50((32, 40, 3), include_top=False, weights="nonsense")


@pytest.mark.parametrize("name", ["missing.h5", "missing.weights.h5", "missing.keras"])
def test_a_missing_file_of_weights(name, tmp_path):
    with raises(FileNotFoundError, tmp_path / name, ".safetensors"):
        ResNet50((32, 40, 3), include_top=False, weights=tmp_path / name)
    with raises(FileNotFoundError, tmp_path / name, ".safetensors"):
        build_resnet50(stages=TINY_STAGES, weights=str(tmp_path / name))
