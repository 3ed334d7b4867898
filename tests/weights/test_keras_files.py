"""Keras' files of weights: each layout loads exactly; whatever does not fit is refused and changes nothing."""

from __future__ import annotations

import io
import re
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from factories import fill_random, noise, raises
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.model import ResNet50, Stage
from resnet50.weights import load_weights, read_weights
from resnet50.weights.layouts import UnfitFileError

# Bare files as the publisher's go into classifiers from scratch here: the arrays are the point, not the pixels.
pytestmark = pytest.mark.filterwarnings("ignore:.*'symmetric':UserWarning")

SHAPE = (40, 48, 3)
TABLE = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))
# conv2_block1's 0_conv and 3_conv have the same shape here, as they have in ResNet-50 itself (stem: 64 channels)
SAME_SHAPE = (Stage("conv2", 1, (8, 64, 12), 1),)
LAYOUTS = ["w.h5", "w.weights.h5", "w.keras"]


def network(classes: int = 3, *, stages=TABLE, **options) -> keras.Model:
    return build_resnet50(classes, input_shape=SHAPE, stages=stages, **options)


@pytest.fixture(scope="module")
def built() -> tuple[keras.Model, keras.Model]:
    return network(), network()


@pytest.fixture
def source(built) -> keras.Model:
    return fill_random(built[0], 1)


@pytest.fixture
def target(built) -> keras.Model:
    return fill_random(built[1], 2)


def weights_of(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def assert_same(model: keras.Model, expected: dict[str, list[np.ndarray]]) -> None:
    actual = weights_of(model)
    assert actual.keys() == expected.keys()
    for name, arrays in expected.items():
        assert all(map(np.array_equal, arrays, actual[name])), name


def refused(model: keras.Model, path: Path, *values: object, error: type[Exception] = ValueError) -> str:
    """Loading fails with a message that names the file and holds these values, and not a bit of the model changes.

    Values are looked for after the file's path; a whole number must stand by itself, not in a shape. Returns that text.
    """
    before = weights_of(model)
    with raises(error, path) as caught:
        load_weights(model, path)
    assert type(caught.value) is error
    assert_same(model, before)
    text = str(caught.value).replace(str(path), "")
    numbers = re.findall(r"\b\d+\b", re.sub(r"\[[^]]*\]", "", text))
    missing = [value for value in values if str(value) not in (numbers if isinstance(value, int) else text)]
    assert not missing, f"{missing} not in the message: {text}"
    return text


def damaged(model: keras.Model, path: Path, *values: object) -> str:
    """It is refused with the error of a library, which the message contains beside these values."""
    text = refused(model, path, *values)
    with raises(ValueError, path) as caught:
        read_weights(path)
    reason = caught.value.__cause__
    assert reason is not None
    assert not isinstance(reason, UnfitFileError)
    assert " ".join(str(reason).split())[:200] in str(caught.value)
    return text


def order(text: str) -> list[str]:
    """Return where shapes stand and where None, for layers that differ: for each the model's, then the file's."""
    return re.findall(r"\[|None", text)


def in_order(text: str, *values: str) -> bool:
    """Tell whether the values stand in a text, one after another."""
    return re.search(".*".join(map(re.escape, values)), text) is not None


# ------------------------------------------------------------------------------------------------- writing each layout


def write_legacy(
    path: Path,
    arrays: dict[str, list[np.ndarray]],
    *,
    empty: tuple[str, ...] = ("conv1_relu",),
    text: type = bytes,
    under: str | None = None,
    spell: Callable[[str, str], str] = "{0}/{1}:0".format,
    **storage,
) -> Path:
    """Write the layout of Keras 1 and 2 by hand: names in attributes, a group for a layer, a data set for a weight."""

    def attribute(names: list[str]) -> np.ndarray | list[str]:
        return np.array([n.encode() for n in names]) if text is bytes else list(names)

    with h5py.File(path, "w") as file:
        root = file.create_group(under) if under else file
        root.attrs["layer_names"] = attribute([*empty, *arrays])
        for name in empty:
            root.create_group(name).attrs["weight_names"] = np.array([], "S1")
        for name, values in arrays.items():
            group = root.create_group(name)
            kinds = ["gamma", "beta", "moving_mean", "moving_variance"] if len(values) == 4 else ["kernel", "bias"]
            names = [spell(name, kind) for kind, _ in zip(kinds, values, strict=False)]
            group.attrs["weight_names"] = attribute(names)
            for weight_name, value in zip(names, values, strict=True):
                group.create_dataset(weight_name, data=value, **storage)
    return path


def save(model: keras.Model, path: Path) -> Path:
    """Let Keras write: ``.weights.h5`` and ``.keras`` as it does today, a plain ``.h5`` as the legacy model file."""
    if path.name.endswith(".weights.h5"):
        model.save_weights(path)
    else:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="You are saving your model as an HDF5 file")
            model.save(path)
    return path


def only_weights_legacy(model: keras.Model, path: Path) -> Path:
    """What Keras 2's ``save_weights("x.h5")`` wrote, by Keras' own code."""
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return path


def edit(path: Path, change: Callable[[h5py.File], None]) -> Path:
    """Change an HDF5 file, or the one inside a .keras archive, in place."""
    if path.suffix != ".keras":
        with h5py.File(path, "r+") as file:
            change(file)
        return path
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    store = io.BytesIO(members["model.weights.h5"])
    with h5py.File(store, "r+") as file:
        change(file)
    members["model.weights.h5"] = store.getvalue()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def group_of(file: h5py.File, layer: str) -> h5py.Group:
    """Find a layer's group in the structural layout by the name that Keras wrote on it."""
    for group in file["layers"].values():
        if group["vars"].attrs.get("name") == layer:
            return group
    raise AssertionError(f"no {layer} in the file")


# ------------------------------------------------------------------------------------------------------- what is loaded


@pytest.mark.parametrize("name", ["w.weights.h5", "w.keras", "w.h5"])
def test_a_file_that_keras_writes_loads_exactly(name, source, target, tmp_path):
    load_weights(target, save(source, tmp_path / name))
    assert_same(target, weights_of(source))
    x = noise(2, *SHAPE)
    np.testing.assert_array_equal(np.asarray(target(x)), np.asarray(source(x)))


def test_weights_that_keras_writes_in_the_legacy_layout_load_exactly(source, target, tmp_path):
    load_weights(target, only_weights_legacy(source, tmp_path / "w.h5"))
    assert_same(target, weights_of(source))


def test_the_path_may_be_text(source, target, tmp_path):
    load_weights(target, str(save(source, tmp_path / "w.weights.h5")))
    assert_same(target, weights_of(source))


@pytest.mark.parametrize("text", [bytes, str])
@pytest.mark.parametrize("under", [None, "model_weights"])
@pytest.mark.parametrize("spelling", ["{0}/{1}:0", "{0}/{0}/{1}:0", "{0}/{1}", "{0}_1/{1}:0"])
def test_legacy_files_of_every_age_load_exactly(text, under, spelling, source, target, tmp_path):
    path = write_legacy(tmp_path / "w.h5", weights_of(source), text=text, under=under, spell=spelling.format)
    load_weights(target, path)
    assert_same(target, weights_of(source))


def test_a_legacy_file_loads_by_name_whatever_the_order_of_layers(source, target, tmp_path):
    backwards = dict(reversed(weights_of(source).items()))
    load_weights(target, write_legacy(tmp_path / "w.h5", backwards))
    assert_same(target, weights_of(source))


def test_a_compressed_legacy_file_of_doubles_loads(source, target, tmp_path):
    doubles = {name: [w.astype("float64") for w in ws] for name, ws in weights_of(source).items()}
    load_weights(target, write_legacy(tmp_path / "w.h5", doubles, compression="gzip"))
    assert_same(target, weights_of(source))


def test_batch_norm_loads_by_name_whatever_the_order_of_its_four_weights(source, target, tmp_path):
    """All four have the same shape; a file may list them in another order."""
    path = write_legacy(tmp_path / "w.h5", weights_of(source))

    def reorder(file):
        attributes = file["conv1_bn"].attrs
        attributes["weight_names"] = attributes["weight_names"][[2, 0, 3, 1]]

    load_weights(target, edit(path, reorder))
    assert_same(target, weights_of(source))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_layers_in_another_order_load_by_name(suffix, tmp_path):
    """A network that lists its shortcut after the residual: Keras itself would load 0_conv into 3_conv in silence."""
    ours = fill_random(network(stages=SAME_SHAPE), 3)
    assert ours.get_layer("conv2_block1_0_conv").kernel.shape == ours.get_layer("conv2_block1_3_conv").kernel.shape
    exchange = {"conv2_block1_0_conv": "conv2_block1_3_conv", "conv2_block1_3_conv": "conv2_block1_0_conv"}
    other = keras.models.clone_model(ours, clone_function=lambda layer: _renamed(layer, exchange))
    fill_random(other, 4)
    load_weights(ours, save(other, tmp_path / f"w{suffix}"))
    assert_same(ours, {layer.name: weights_of(other)[layer.name] for layer in ours.layers if layer.weights})


def _renamed(layer: keras.Layer, names: dict[str, str]) -> keras.Layer:
    config = layer.get_config()
    return type(layer).from_config({**config, "name": names.get(layer.name, layer.name)})


@pytest.mark.slow
def test_files_of_keras_applications_load_into_the_network(tmp_path):
    theirs = fill_random(keras.applications.ResNet50(weights=None, include_top=False, input_shape=(32, 40, 3)), 5)
    mine = ResNet50((32, 40, 3), include_top=False, weights=only_weights_legacy(theirs, tmp_path / "notop.h5"))
    assert_same(mine, weights_of(theirs))
    fill_random(mine, 6)
    load_weights(mine, save(theirs, tmp_path / "theirs.keras"))
    assert_same(mine, weights_of(theirs))
    x = np.random.default_rng(1).normal(0, 1, (1, 32, 40, 3)).astype("float32")
    np.testing.assert_allclose(np.asarray(mine(x)), np.asarray(theirs(x)), rtol=1e-5, atol=1e-5)


def test_the_classifier_that_keras_applications_1_0_called_probs_loads(source, target, tmp_path):
    """It published the ImageNet files; Keras has since renamed the layer, and loads them by order."""
    arrays = {{"predictions": "probs"}.get(name, name): values for name, values in weights_of(source).items()}
    load_weights(target, write_legacy(tmp_path / "w.h5", arrays))
    assert_same(target, weights_of(source))


def test_building_with_a_file_loads_it(source, tmp_path):
    built = network(weights=save(source, tmp_path / "w.keras"))
    assert_same(built, weights_of(source))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras", ".h5"])
def test_a_head_with_dropout_loads(suffix, tmp_path):
    source, target = (fill_random(network(head="mlp"), seed) for seed in (1, 2))
    load_weights(target, save(source, tmp_path / f"w{suffix}"))
    assert_same(target, weights_of(source))


@pytest.mark.slow
def test_a_compiled_and_trained_model_loads_without_its_optimizer(target, tmp_path):
    source = fill_random(network(), 1)
    source.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    source.train_on_batch(np.random.default_rng(0).normal(100, 50, (4, *SHAPE)), np.array([0, 1, 2, 0]))
    for name in LAYOUTS:
        load_weights(fill_random(target, 7), save(source, tmp_path / name))
        assert_same(target, weights_of(source))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_files_that_tell_no_names_load_by_structure(suffix, source, target, tmp_path):
    """Early Keras 3 wrote none."""
    path = save(source, tmp_path / f"w{suffix}")

    def forget(file):
        for group in file["layers"].values():
            del group["vars"].attrs["name"]

    load_weights(target, edit(path, forget))
    assert_same(target, weights_of(source))


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_network_nested_in_the_files_model_is_found(name, source, target, tmp_path):
    """As transfer learning by the book saves it: a base inside a model with a head of its own."""
    base = keras.Model(source.inputs, source.get_layer("avg_pool").output, name="base")
    x = keras.Input(SHAPE)
    outer = keras.Model(x, keras.layers.Dense(3, name="predictions")(base(x)))
    load_weights(target, save(outer, tmp_path / name))
    assert_same(target, {**weights_of(source), "predictions": outer.get_layer("predictions").get_weights()})


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layer_that_is_there_twice_is_refused(name, source, target, tmp_path):
    x = keras.Input(SHAPE)
    outer = keras.Model(x, keras.layers.Dense(3, name="predictions")(source(x)))
    refused(target, save(outer, tmp_path / name), "predictions")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_bfloat16_weights_which_hdf5_does_not_know_are_read_exactly(suffix, tmp_path):
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(5, dtype="bfloat16", name="a")(x))
    model.get_layer("a").set_weights([np.random.default_rng(0).normal(0, 1, (4, 5)), np.linspace(-3, 1e30, 5)])
    arrays = read_weights(save(model, tmp_path / f"w{suffix}")).arrays
    assert arrays.keys() == {"a"}
    for actual, expected in zip(arrays["a"], model.get_layer("a").get_weights(), strict=True):
        assert actual.dtype == np.float32
        np.testing.assert_array_equal(actual, expected.astype("float32"))


# --------------------------------------------------------------------------------- what a file tells beside the arrays


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize(("conventions", "expected"), [(V1, "v1"), (V1_5, "v1.5")], ids=["v1", "v1.5"])
def test_conventions_follow_from_the_biases(name, conventions, expected, tmp_path):
    file = read_weights(save(network(conventions=conventions), tmp_path / name))
    assert (file.conventions.name, file.conventions.use_bias) == (expected, expected == "v1")
    assert (file.conventions, file.layout, file.unused) == (conventions.from_scratch(), "keras", {})
    assert file.origin == str(tmp_path / name)


@pytest.mark.parametrize("name", ["w.h5", "w.keras"])
@pytest.mark.parametrize("normalization", ["symmetric", "caffe", "torch"])
def test_a_file_with_a_graph_tells_how_pixels_are_normalized(name, normalization, tmp_path):
    path = save(network(normalization=normalization), tmp_path / name)
    assert read_weights(path).normalization == normalization


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_bare_network_has_the_normalization_of_its_publisher(name, tmp_path):
    features = network(normalization="torch")
    bare = keras.Model(features.get_layer("conv1_pad").input, features.output)
    assert read_weights(save(bare, tmp_path / name)).normalization == "caffe"


@pytest.mark.parametrize("write", [save, only_weights_legacy], ids=["structural", "legacy"])
def test_weights_alone_do_not_tell_which_normalization_there_is(write, tmp_path):
    path = write(network(), tmp_path / ("w.weights.h5" if write is save else "w.h5"))
    assert read_weights(path).normalization == "unknown"
    with raises(ValueError, path, "normalization"):
        network(weights=path)
    assert network(weights=path, normalization="symmetric").count_params() > 0


@pytest.mark.parametrize("name", ["w.h5", "w.keras"])
def test_the_normalization_around_a_nested_network_is_found(name, source, tmp_path):
    x = keras.Input(SHAPE)
    pixels = keras.layers.Rescaling(1 / 127.5, -1)(x)
    bare = keras.Model(source.get_layer("conv1_pad").input, source.get_layer("avg_pool").output)
    outer = keras.Model(x, keras.layers.Dense(3)(bare(pixels)))
    assert read_weights(save(outer, tmp_path / name)).normalization == "symmetric"


# --------------------------------------------------------------------------------------------- other networks' weights


@pytest.mark.parametrize("name", LAYOUTS)
def test_another_width_is_refused(name, target, tmp_path):
    wider = (TABLE[0], Stage("conv3", 1, (5, 8, 24), 2))
    path = save(fill_random(network(stages=wider), 1), tmp_path / name)
    text = refused(target, path, 3)
    # the model's, the file's
    assert in_order(text, "conv3_block1_2_conv", "[(3, 3, 5, 7), (7,)]", "[(3, 3, 5, 8), (8,)]")
    assert in_order(text, "conv3_block1_2_bn", "[(7,), (7,), (7,), (7,)]", "[(8,), (8,), (8,), (8,)]")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_with_a_layer_too_few_is_refused(name, target, tmp_path):
    shallow = keras.Model(target.inputs, target.get_layer("conv2_block2_out").output)
    text = refused(target, save(shallow, tmp_path / name), 8)
    assert order(text) == ["[", "None"] * 3


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_file_with_a_layer_too_many_is_refused(name, source, target, tmp_path):
    """Keras itself would load the layers that it finds and drop the rest in silence."""
    path = save(source, tmp_path / name)
    shallow = keras.Model(target.inputs, target.get_layer("conv2_block2_out").output)
    text = refused(shallow, path, 8)
    assert order(text) == ["None", "["] * 3


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_deeper_network_is_refused(name, target, tmp_path):
    deeper = (TABLE[0], Stage("conv3", 2, (5, 7, 24), 2))
    path = save(fill_random(network(stages=deeper), 1), tmp_path / name)
    text = refused(target, path, 6)
    assert order(text) == ["None", "["] * 3
    assert text.count("conv3_block2_") == 3


@pytest.mark.parametrize("name", LAYOUTS)
def test_weights_of_other_conventions_are_refused(name, target, tmp_path):
    path = save(fill_random(network(conventions=V1_5), 1), tmp_path / name)
    text = refused(target, path, 12, "v1.5", "biases", "conventions=V1_5")
    assert in_order(text, "conv1_conv", "[(7, 7, 3, 64), (64,)]", "[(7, 7, 3, 64)]")  # the model's, the file's


@pytest.mark.parametrize("name", LAYOUTS)
def test_weights_of_v1_are_refused_by_v1_5(name, source, tmp_path):
    path = save(source, tmp_path / name)
    text = refused(fill_random(network(conventions=V1_5), 2), path, 12, "v1", "biases", "conventions=V1")
    assert not re.search(r"v1[._]5", text, re.IGNORECASE)


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_network_of_other_names_is_refused(name, target, tmp_path):
    x = keras.Input((4,))
    path = save(keras.Model(x, keras.layers.Dense(2, name="other")(x)), tmp_path / name)
    text = refused(target, path, 24)
    assert text.count("[") == 3  # a few examples, not all


def test_old_files_of_keras_are_recognized_by_their_names_of_layers(target, source, tmp_path):
    """Keras 1 and 2.0 published files under the same file name with layers called res2a_branch2a and so on."""
    names = {"conv2_block1_1_conv": "res2a_branch2a", "conv1_conv": "conv1"}
    arrays = {names.get(name, name): values for name, values in weights_of(source).items()}
    path = write_legacy(tmp_path / "w.h5", arrays)
    refused(target, path, "Keras", "res2a_branch2a", "conv2_block1_1_conv", "'imagenet'")


# -------------------------------------------------------------------------------------------------- names that disagree


def test_weights_under_another_layers_name_are_refused(tmp_path):
    """Two convolutions of the same shape whose groups were exchanged: the weights' own names give it away."""
    model = fill_random(network(stages=SAME_SHAPE), 1)
    path = write_legacy(tmp_path / "w.h5", weights_of(fill_random(network(stages=SAME_SHAPE), 2)))

    def exchange(file):
        file.move("conv2_block1_0_conv", "for_now")
        file.move("conv2_block1_3_conv", "conv2_block1_0_conv")
        file.move("for_now", "conv2_block1_3_conv")

    refused(model, edit(path, exchange), "conv2_block1_0_conv", "conv2_block1_3_conv")


def test_a_weight_name_that_leads_nowhere_is_refused(source, target, tmp_path):
    path = write_legacy(tmp_path / "w.h5", weights_of(source))

    def rename(file):
        file["conv2_block1_2_conv"].attrs["weight_names"] = np.array([b"conv2_block1_2_conv/krnl:0", b"gone/bias:0"])

    damaged(target, edit(path, rename), "krnl")


@pytest.mark.parametrize(
    ("change", "refusal", "values"),
    [
        (lambda file: file.pop("conv1_conv"), damaged, ["conv1_conv"]),
        (lambda file: file["conv1_conv"].attrs.pop("weight_names"), damaged, ["weight_names"]),
        (lambda file: file["conv1_conv"].pop("conv1_conv/bias:0"), damaged, ["bias"]),
        (lambda file: file.attrs.pop("layer_names"), refused, ["HDF5", "Keras", "conv1_bn"]),
        (lambda file: file.attrs.__setitem__("layer_names", np.array([], "S1")), refused, [24]),
        (lambda file: file.attrs.__setitem__("layer_names", 7), damaged, []),
        (
            lambda file: file["conv1_bn"].attrs.__setitem__("weight_names", [b"conv1_bn/gamma:0"] * 4),
            refused,
            ["conv1_bn"],
        ),
    ],
    ids=["group", "weight_names", "weight", "layer_names", "no layers", "a number", "one weight four times"],
)
def test_a_legacy_file_with_a_piece_missing_is_refused(change, refusal, values, source, target, tmp_path):
    refusal(target, edit(write_legacy(tmp_path / "w.h5", weights_of(source)), change), *values)


def test_words_in_place_of_numbers_are_refused(source, target, tmp_path):
    """Of the right shape, in the last layer: those before it must not have been loaded."""
    path = write_legacy(tmp_path / "w.h5", weights_of(source))

    def scribble(file):
        group = file["predictions/predictions"]
        del group["bias:0"]
        group["bias:0"] = [b"one", b"two", b"three"]

    damaged(target, edit(path, scribble))


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
@pytest.mark.parametrize(
    ("change", "refusal", "values", "shapes"),
    [
        (lambda file: group_of(file, "conv1_conv")["vars"].pop("1"), refused, ["conv1_conv"], ["[", "["]),
        (lambda file: group_of(file, "predictions")["vars"].move("1", "7"), damaged, [], []),
        (lambda file: group_of(file, "conv1_bn").pop("vars"), refused, ["conv1_bn"], ["[", "None"]),
        (lambda file: file.pop("layers"), refused, ["HDF5", "Keras"], []),
        (
            lambda file: group_of(file, "conv1_conv")["vars"].attrs.__setitem__("name", "conv0_conv"),
            refused,
            [2, "conv1_conv", "conv0_conv"],
            ["[", "None", "None", "["],
        ),
        (
            lambda file: group_of(file, "conv1_conv")["vars"].attrs.__setitem__("name", "conv2_block1_1_conv"),
            refused,
            ["conv2_block1_1_conv"],
            [],
        ),
    ],
    ids=["weight", "number", "vars", "layers", "renamed", "name taken twice"],
)
def test_a_structural_file_with_a_piece_missing_is_refused(
    suffix, change, refusal, values, shapes, source, target, tmp_path
):
    text = refusal(target, edit(save(source, tmp_path / f"w{suffix}"), change), *values)
    assert order(text) == shapes


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_nameless_file_of_another_network_leaves_no_trace(suffix, target, tmp_path):
    """Keras loads layer after layer and fails at the last; the first must be as before."""
    deeper = (TABLE[0], Stage("conv3", 2, (5, 7, 24), 2))
    path = save(fill_random(network(stages=deeper), 1), tmp_path / f"w{suffix}")

    def forget(file):
        for group in file["layers"].values():
            del group["vars"].attrs["name"]

    refused(target, edit(path, forget), 6, "batch_normalization_12")


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_nameless_file_of_a_smaller_network_leaves_no_trace(suffix, target, tmp_path):
    path = save(fill_random(network(stages=(TABLE[0],)), 1), tmp_path / f"w{suffix}")

    def forget(file):
        for group in file["layers"].values():
            del group["vars"].attrs["name"]

    refused(target, edit(path, forget), 8)


@pytest.mark.parametrize("suffix", [".weights.h5", ".keras"])
def test_a_link_to_another_file_is_refused(suffix, source, target, tmp_path):
    """Or a file of weights could bring in the numbers of any file that its reader may read."""
    other = save(source, tmp_path / "other.weights.h5")

    def link(file):
        group = group_of(file, "conv1_conv")["vars"]
        del group["1"]
        group["1"] = h5py.ExternalLink(str(other), "layers/conv2d/vars/1")

    path = edit(save(source, tmp_path / f"w{suffix}"), link)
    refused(target, path, "link")


def test_a_legacy_link_to_another_file_is_refused(source, target, tmp_path):
    other, path = (write_legacy(tmp_path / name, weights_of(source)) for name in ("other.h5", "w.h5"))

    def link(file):
        del file["conv1_conv"]
        file["conv1_conv"] = h5py.ExternalLink(str(other), "conv1_conv")

    refused(target, edit(path, link), "conv1_conv", "link")


def test_bytes_of_another_file_are_refused(source, target, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(range(256)))
    path = write_legacy(tmp_path / "w.h5", weights_of(source))

    def bring_in(file):
        del file["conv1_conv/conv1_conv/bias:0"]
        group = file["conv1_conv/conv1_conv"]
        group.create_dataset("bias:0", (64,), "f4", external=[(str(tmp_path / "secret"), 0, 256)])

    refused(target, edit(path, bring_in), "conv1_conv/conv1_conv/bias:0")


def test_a_claim_of_more_bytes_than_any_network_has_is_refused(source, target, tmp_path):
    path = write_legacy(tmp_path / "w.h5", weights_of(source))

    def blow_up(file):
        del file["conv1_conv/conv1_conv/bias:0"]
        file["conv1_conv/conv1_conv"].create_dataset("bias:0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024))

    edit(path, blow_up)
    assert path.stat().st_size < 1 << 20
    text = refused(target, path, 1 << 30)
    assert re.search(r"\b\d{13}\b", text)  # the bytes that it claims


@pytest.mark.slow
def test_an_archive_that_unpacks_to_far_more_is_refused(source, target, tmp_path):
    path = tmp_path / "w.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("model.weights.h5", "w") as member:
            for _ in range(1025):
                member.write(bytes(1 << 20))
        archive.writestr("config.json", "{}")
    assert path.stat().st_size < 2 << 20
    refused(target, path, 1024)


# ------------------------------------------------------------------------------------------ files that are not weights

EXPECTED = ("ResNet", ".h5", ".weights.h5", ".keras", ".safetensors", ".pth", ".pt", ".bin")
PAGE = b"\n<!DOCTYPE html><html><head><title>Not Found</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 102967424\n"


@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "w.keras", "w.pth", "w.safetensors"])
@pytest.mark.parametrize(
    ("content", "value"),
    [
        (PAGE, "HTML"),
        (POINTER, "Git LFS"),
        (b"", "empty"),
        (b"no weights", "b'no weigh'"),
        (b"PK\x03\x04 no weights", "BadZipFile"),
    ],
    ids=["page", "pointer", "empty", "text", "zip"],
)
def test_a_file_that_is_something_else_is_named(name, content, value, target, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    refused(target, path, *EXPECTED, value)


@pytest.mark.parametrize("name", LAYOUTS)
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_truncated_file_is_refused(name, share, source, target, tmp_path):
    path = save(source, tmp_path / name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    damaged(target, path)


def test_a_damaged_chunk_is_refused(source, target, tmp_path):
    """The file opens and tells its names; only reading the numbers shows it, here in the last layer."""
    path = write_legacy(tmp_path / "w.h5", weights_of(source), fletcher32=True, chunks=True)
    with h5py.File(path) as file:
        where = file["predictions/predictions/kernel:0"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as raw:
        raw.seek(where + 5)
        raw.write(b"\xff\x00\xff")
    damaged(target, path)


def test_a_damaged_archive_is_refused(source, target, tmp_path):
    """The directory at the end of the archive is whole, the weights before it are not: the checksum tells."""
    path = save(source, tmp_path / "w.keras")
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("model.weights.h5")
    data = bytearray(path.read_bytes())
    middle = member.header_offset + member.compress_size // 2
    data[middle : middle + 4] = bytes(255 - b for b in data[middle : middle + 4])
    path.write_bytes(data)
    damaged(target, path)


def test_an_archive_of_something_else_is_refused(target, tmp_path):
    path = tmp_path / "w.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no weights here")
    refused(target, path, *EXPECTED, "Keras", "PyTorch")


def test_an_hdf5_file_of_something_else_is_refused(target, tmp_path):
    for name in ("w.h5", "w.weights.h5"):
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file["images"] = np.zeros((2, 3))
        refused(target, path, *EXPECTED, "HDF5", "Keras", "images")


@pytest.mark.parametrize("name", ["missing.h5", "missing.weights.h5", "missing.keras", "missing.pth"])
def test_a_missing_file_is_named(name, target, tmp_path):
    refused(target, tmp_path / name, *EXPECTED, error=FileNotFoundError)


@pytest.mark.parametrize("name", ["folder.h5", "folder.keras", "folder"])
def test_a_folder_is_refused(name, target, tmp_path):
    (tmp_path / name).mkdir()
    refused(target, tmp_path / name, *EXPECTED, "folder", error=FileNotFoundError)


@pytest.mark.parametrize("name", LAYOUTS)
def test_content_decides_and_not_the_suffix(name, source, target, tmp_path):
    load_weights(target, shutil.copy(save(source, tmp_path / name), tmp_path / "w.ckpt"))
    assert_same(target, weights_of(source))
