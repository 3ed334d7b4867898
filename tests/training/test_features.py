"""Features of frozen layers: the network's own, computed once."""

from __future__ import annotations

import errno
import os
import shutil
import time
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

import factories
from factories import dataset, noise, posix, raises, tiny_model
from resnet50._io.seal import seal
from resnet50.data.augmentation import Augmentation
from resnet50.data.batches import Batches
from resnet50.inference.runtimes import Network
from resnet50.training import features as module
from resnet50.training.environment import describe_environment
from resnet50.training.features import FrozenPart, boundary, upper_part, versions, why_not_stored
from resnet50.training.phases import LinearProbe, Phase

CHANGES = Augmentation(shift=0.2, rotation=30, flip=True)
ENVIRONMENT = describe_environment()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache; the folder of the features in it."""
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture(scope="module")
def network():
    return tiny_model(3)


@pytest.fixture
def passes(monkeypatch):
    """The sizes of all batches that any model computes from now on."""
    sizes = []

    def counted(predict):
        return lambda model, x: (sizes.append(len(x)), predict(model, x))[1]

    for kind in (keras.Model, Network):
        monkeypatch.setattr(kind, "predict_on_batch", counted(kind.predict_on_batch))
    return sizes


def some_images(n=37, seed=0):
    return dataset(np.arange(n) % 3, "abc", images=noise(n, 32, 40, 3, seed=seed), name="some")


def frozen(network, name="avg_pool", *, precision="float32", **environment):
    return FrozenPart(network, name, environment={**ENVIRONMENT, **environment}, precision=precision)


def own_output(network, name, images):
    """What the network itself computes at a layer, one layer after the other."""
    return np.asarray(keras.Model(network.input, network.get_layer(name).output)(images.astype(np.float32)))


@pytest.mark.parametrize("name", ["avg_pool", "conv2_block2_out", "pool1_pool"])
def test_features_are_the_output_of_the_network_at_that_layer(network, name):
    images = some_images()
    found = frozen(network, name).features(Batches(images, 4))
    expected = own_output(network, name, images.images)
    assert found.shape == expected.shape
    assert found.dtype == (np.float32 if name == "avg_pool" else np.float16)
    # a float16 has eleven bits
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 if name == "avg_pool" else 1e-3)
    assert not found.flags.writeable


def test_features_in_bfloat16_are_near_those_of_the_network(network):
    images = some_images()
    found = frozen(network, precision="bfloat16").features(Batches(images, 4))
    expected = own_output(network, "avg_pool", images.images)
    assert 0 < np.abs(found - expected).max() < 0.05 * np.abs(expected).max()


def test_features_of_a_version_are_those_of_the_changed_images(network):
    images = some_images()
    batches = Batches(images, 4, augmentation=CHANGES, views=3, seed=7)
    for version in range(3):
        found = frozen(network).features(batches, version)
        generators = [np.random.default_rng((7, version, image)) for image in range(len(images))]
        changed = images.images if version == 0 else CHANGES.apply(images.images[:], generators)
        np.testing.assert_allclose(found, own_output(network, "avg_pool", changed), rtol=1e-3, atol=1e-5)


def test_features_are_stored_and_not_computed_again(network, passes, folder):
    batches = Batches(some_images(), 4, augmentation=CHANGES, views=2, seed=7)
    part = frozen(network)
    first = [np.array(part.features(batches, version)) for version in (0, 1)]
    assert passes == [32, 32, 32, 32]  # every batch is of one size
    assert len(list(folder.iterdir())) == 2
    for again in (part, frozen(network), frozen(tiny_model(3))):
        for version, expected in enumerate(first):
            np.testing.assert_array_equal(again.features(batches, version), expected)
    assert len(passes) == 4


def test_a_second_network_of_a_process_finds_the_features_of_the_first(passes):
    """Keras numbers the operations of a process, such as the flip to BGR."""
    batches = Batches(some_images(5), 4)
    for _ in range(2):
        frozen(tiny_model(3, normalization="caffe")).features(batches)
    assert passes == [5]


def test_a_saved_and_loaded_network_finds_them_too(network, passes, tmp_path):
    batches = Batches(some_images(5), 4)
    frozen(network).features(batches)
    network.save(tmp_path / "model.keras")
    frozen(keras.saving.load_model(tmp_path / "model.keras", compile=False)).features(batches)
    assert passes == [5]


def other_weights(network):
    other = tiny_model(3)
    other.get_layer("conv1_bn").moving_mean.assign_add([1e-6] * other.get_layer("conv1_bn").moving_mean.shape[0])
    return other


@pytest.mark.parametrize(
    ("changed", "got"),
    [
        ({"backend": "abacus"}, "abacus"),
        ({"versions": {**ENVIRONMENT["versions"], "keras": "0.9"}}, "keras 0.9"),
        ({"versions": {**ENVIRONMENT["versions"], "pillow": "0.9"}}, "pillow 0.9"),  # it makes the changed images
        ({"machine": {**ENVIRONMENT["machine"], "processor": "an \x1babacus"}}, r"processor an \x1babacus"),
        ({"machine": {**ENVIRONMENT["machine"], "threads": 999}}, "threads 999"),
    ],
)
def test_another_environment_reads_the_features_of_a_run_but_computes_none(network, folder, monkeypatch, changed, got):
    batches = Batches(some_images(6), 4)
    stored = np.array(frozen(network).features(batches))
    monkeypatch.setattr(module, "describe_environment", lambda: {**ENVIRONMENT, **changed})
    part = frozen(network)
    assert not part.is_here
    np.testing.assert_array_equal(part.features(batches), stored)
    with raises(ValueError, f"threads {ENVIRONMENT['machine']['threads']}", got):
        part.features(Batches(some_images(5), 4))
    own = frozen(network, **changed)
    assert own.is_here
    own.features(batches)
    assert len(list(folder.iterdir())) == 2


def test_another_kernel_of_the_system_rounds_alike(network, folder):
    machine = {**ENVIRONMENT["machine"], "system": "a later one"}
    assert frozen(network, machine=machine).is_here


@pytest.mark.parametrize(
    ("network_of", "part_options", "images", "options", "version"),
    [
        (other_weights, {}, some_images(6), {}, 1),
        (lambda network: tiny_model(3, normalization="unit"), {}, some_images(6), {}, 1),
        (None, {"name": "conv3_block2_out"}, some_images(6), {}, 1),
        (None, {"precision": "bfloat16"}, some_images(6), {}, 1),
        (None, {}, some_images(6, seed=1), {}, 1),
        (None, {}, some_images(5), {}, 1),
        (None, {}, some_images(6), {"seed": 8}, 1),
        (None, {}, some_images(6), {"augmentation": replace(CHANGES, shift=0.1)}, 1),
        (None, {}, some_images(6), {}, 2),
        (None, {}, some_images(6), {}, 0),
    ],
    ids=[
        "weights",
        "normalization",
        "layer",
        "precision",
        "images",
        "fewer-images",
        "seed",
        "augmentation",
        "version",
        "image-itself",
    ],
)
def test_other_numbers_have_another_file(network, folder, network_of, part_options, images, options, version):
    common = {"augmentation": CHANGES, "views": 3, "seed": 7}
    frozen(network).features(Batches(some_images(6), 4, **common), 1)
    part = frozen(network_of(network) if network_of else network, **part_options)
    part.features(Batches(images, 4, **{**common, **options}), version)
    assert len(list(folder.iterdir())) == 2


def test_the_image_itself_has_one_file_whatever_changes_the_others(network, folder):
    images = some_images(6)
    for batches in (Batches(images, 4), Batches(images, 8, shuffle=True, augmentation=CHANGES, views=4, seed=1)):
        frozen(network).features(batches)
    assert len(list(folder.iterdir())) == 1


def test_features_do_not_depend_on_the_weights_above(network, passes):
    batches = Batches(some_images(5), 4)
    other = tiny_model(3)
    other.get_layer("predictions").bias.assign([1, 2, 3])
    for each in (network, other):
        frozen(each).features(batches)
    assert passes == [5]


def truncated(path):
    path.write_bytes(path.read_bytes()[:-20])


def damaged(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


def sealed(content):
    def write(path):
        path.write_bytes(content)
        seal(path)

    return write


@pytest.mark.parametrize(
    "spoil",
    [
        truncated,
        damaged,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"not an array" * 9),
        sealed(b"not an array" * 9),
        sealed(b""),
        lambda path: np.save(path, np.zeros((5, 24), np.float32)),  # without a seal
    ],
    ids=["truncated", "damaged", "empty", "foreign", "sealed-foreign", "sealed-empty", "unsealed"],
)
def test_a_file_that_is_not_as_it_was_written_is_computed_again(network, folder, passes, spoil):
    batches = Batches(some_images(5), 4)
    expected = np.array(frozen(network).features(batches))
    (path,) = folder.iterdir()
    spoil(path)
    np.testing.assert_array_equal(frozen(network).features(batches), expected)
    assert len(passes) == 2
    np.testing.assert_array_equal(frozen(network).features(batches), expected)
    assert len(passes) == 2


def test_an_interruption_leaves_no_file(network, folder):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        frozen(network).features(Batches(some_images(), 4), progress=interrupt)
    assert not list(folder.iterdir())


def test_progress_counts_the_images_that_are_computed(network):
    counted = []
    part, batches = frozen(network), Batches(some_images(70), 4)
    assert part.seconds_per_image is None
    part.features(batches, progress=lambda *count: counted.append(count))
    part.features(batches, progress=lambda *count: counted.append(count))
    assert counted == [(32, 70), (64, 70), (70, 70)]
    assert 0 < part.seconds_per_image < 60


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_an_error(folder, weight):
    broken = tiny_model(3)
    norm = broken.get_layer("conv3_block2_3_bn")
    norm.set_weights([values * weight for values in norm.get_weights()])
    with raises(ValueError, "conv3_block2_3_bn", "NaN", "weights"):
        frozen(broken)
    assert not folder.exists()


def test_features_that_are_no_numbers_are_an_error_and_leave_no_file(folder):
    large = tiny_model(3)
    norm = large.get_layer("conv2_block2_3_bn")
    norm.set_weights([values * 1e6 for values in norm.get_weights()])  # too large for a float16
    with raises(ValueError, "conv2_block2_out", "infinity", "weights"):
        frozen(large, "conv2_block2_out").features(Batches(some_images(5), 4))
    assert not list(folder.iterdir())


def test_the_features_used_longest_ago_make_room_for_new_ones(network, folder, monkeypatch):
    part, batches = frozen(network), [Batches(some_images(6, seed), 4) for seed in range(4)]
    paths = []
    for each in batches[:3]:
        part.features(each)
        paths += sorted(set(folder.iterdir()) - set(paths))
    for age, path in zip([300, 200, 100], paths, strict=True):
        os.utime(path, (time.time() - age,) * 2)
    part.features(batches[0])  # used again
    monkeypatch.setattr(module, "CACHE_BYTES", 3 * paths[0].stat().st_size)
    part.features(batches[3])
    assert [path.exists() for path in paths] == [True, False, True]
    assert len(list(folder.iterdir())) == 3


def test_what_a_killed_process_left_is_removed_and_what_another_one_writes_is_not(network, folder):
    folder.mkdir(parents=True)
    left, written = folder / ".partial-a.npy", folder / ".partial-b.npy"
    left.write_bytes(b"half")
    written.write_bytes(b"half")
    os.utime(left, (time.time() - 2 * 24 * 3600,) * 2)
    frozen(network).features(Batches(some_images(6), 4))
    assert (left.exists(), written.exists()) == (False, True)


@posix
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root writes everywhere")
def test_a_cache_that_cannot_be_written_is_named_with_its_variable(network, tmp_path):
    (tmp_path / "cache").mkdir(mode=0o500)
    with raises(PermissionError, tmp_path / "cache" / "features", "RESNET50_CACHE"):
        frozen(network).features(Batches(some_images(5), 4))


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_read_only_cache_is_named_with_its_variable(network, folder, monkeypatch, number):
    def refuse(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with raises(OSError, folder, "RESNET50_CACHE", os.strerror(number)):
        frozen(network).features(Batches(some_images(5), 4))


def test_a_file_in_place_of_the_cache_is_named(network, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with raises((ValueError, OSError), tmp_path / "cache"):
        frozen(network).features(Batches(some_images(5), 4))


def test_a_disk_without_room_is_named_before_anything_is_computed(network, folder, passes, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100))
    with raises(OSError, folder, "features"):
        frozen(network).features(Batches(some_images(5), 4))
    assert not passes


@pytest.mark.parametrize(
    ("head", "expected"),
    [("linear", "avg_pool"), ("norm", "avg_pool"), ("mlp", "avg_pool"), ("flatten", "conv3_block2_out")],
)
def test_a_phase_starts_from_the_last_layer_below_what_it_trains(head, expected):
    network = tiny_model(3, head=head)
    assert boundary(network, Phase(epochs=1, trainable="head")) == expected
    assert boundary(network, LinearProbe()) == expected
    assert boundary(network, Phase(epochs=1, trainable="conv3")) == "conv2_block2_out"
    assert boundary(network, Phase(epochs=1, trainable="conv2")) == "pool1_pool"


def test_without_a_pooling_conv2_starts_from_the_stem():
    assert boundary(tiny_model(3, stem="cifar"), Phase(epochs=1, trainable="conv2")) == "conv1_relu"


@pytest.mark.parametrize("head", ["linear", "norm", "mlp", "flatten"])
@pytest.mark.parametrize("trainable", ["head", "conv3", "conv2"])
def test_both_parts_together_are_the_network(head, trainable):
    network = tiny_model(3, head=head)
    name = boundary(network, Phase(epochs=1, trainable=trainable))
    images = some_images()
    upper = upper_part(network, name)
    found = upper.predict_on_batch(np.asarray(frozen(network, name).features(Batches(images, 4)), np.float32))
    np.testing.assert_allclose(found, network.predict_on_batch(images.images), atol=2e-3)
    assert boundary(network, Phase(epochs=1, trainable=trainable)) == name  # the network is as it was


def test_the_upper_part_shares_its_weights():
    network = tiny_model(3)
    upper = upper_part(network, "avg_pool")
    assert [layer.name for layer in upper.layers if layer.weights] == ["predictions"]
    upper.get_layer("predictions").bias.assign([5, 0, 0])
    assert network.get_layer("predictions").bias[0] == 5


@pytest.mark.parametrize(
    ("phase", "changes", "expected"),
    [
        (Phase(epochs=2), {}, 0),
        (Phase(epochs=2, views=3), {}, 3),
        (LinearProbe(), {}, 1),
        (LinearProbe(views=4), {}, 4),
        (Phase(epochs=2), {"augmentation": Augmentation()}, 1),
        (Phase(epochs=2), {"augmentation": Augmentation(flip=False)}, 1),
    ],
)
def test_a_phase_has_its_versions(phase, changes, expected):
    assert versions(factories.tiny_recipe(validation_split=0.2, **changes), phase) == expected


@pytest.mark.parametrize(
    ("phase", "changes", "values"),
    [
        (Phase(epochs=1), {}, ("all layers",)),
        (Phase(epochs=1, views=2), {}, ("all layers",)),
        (Phase(epochs=1, trainable="head", views=2), {"mixup": 0.2}, ("mixup", "cutmix")),
        (Phase(epochs=1, trainable="head", views=2), {"cutmix": 1.0}, ("mixup", "cutmix")),
        (Phase(epochs=1, trainable="head"), {}, ("views", "0")),
        (Phase(epochs=1, trainable="head", views=10**6), {}, ("GB",)),
    ],
)
def test_a_phase_that_cannot_train_on_stored_features_says_why(network, phase, changes, values):
    reason = why_not_stored(factories.tiny_recipe(**changes), phase, network, 100)
    assert all(value in reason for value in values), reason


@pytest.mark.parametrize(
    ("phase", "changes"),
    [
        (LinearProbe(), {}),
        (Phase(epochs=1, trainable="head", views=1), {}),
        (Phase(epochs=1, trainable="head"), {"augmentation": Augmentation()}),
        (Phase(epochs=1, trainable="conv3", views=3), {}),
    ],
)
def test_a_phase_that_can_train_on_stored_features_has_no_reason(network, phase, changes):
    assert why_not_stored(factories.tiny_recipe(validation_split=0.2, **changes), phase, network, 100) == ""


@pytest.mark.parametrize(
    ("phase", "each"),
    [
        (Phase(epochs=1, trainable="head", views=2), 24 * 4),  # float32
        (Phase(epochs=1, trainable="conv3", views=2), 8 * 10 * 16 * 2),  # float16
    ],
)
def test_as_many_bytes_are_stored_as_there_may_be(network, monkeypatch, phase, each):
    recipe, images = factories.tiny_recipe(), 50
    monkeypatch.setattr(module, "MOST_BYTES", 2 * images * each)
    assert why_not_stored(recipe, phase, network, images) == ""
    monkeypatch.setattr(module, "MOST_BYTES", 2 * images * each - 1)
    assert "GB" in why_not_stored(recipe, phase, network, images)
