"""The library on other backends, each in a process of its own, where TensorFlow cannot be imported at all."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from factories import WITHOUT_TENSORFLOW, noise, tiny_model
from resnet50.conventions import V1, V1_5

SHAPE = (40, 48, 3)
CLASSES = 4
VARIANTS = {"v1": (V1, "caffe", "imagenet"), "v1.5": (V1_5, "torch", "cifar")}

# Runs with another KERAS_BACKEND; prints what it imported and writes what it predicted.
SCRIPT = (
    WITHOUT_TENSORFLOW
    + """
import importlib, pkgutil
from pathlib import Path

import keras
import numpy as np

import resnet50
from resnet50 import contributions, gradient_norms, lesions
from resnet50.data.dataset import Dataset
from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.model import Stage

folder = Path(sys.argv[1])
assert keras.backend.backend() == sys.argv[2], keras.backend.backend()

refused = []
for module in pkgutil.walk_packages(resnet50.__path__, "resnet50.", onerror=refused.append):
    if module.name.split(".")[-1] == "__main__":
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        if error.name in ("ray", "pyarrow"):  # of the extras serve and ray, too large to install for the tests
            continue
        if error.name != "tensorflow":
            raise
        refused.append(module.name)
for name in refused:
    spec = importlib.util.find_spec(name)
    with open(spec.origin) as file:
        assert "TensorFlow" in file.read().split('\"\"\"')[1], f"{name} imports TensorFlow and does not say so"

stages = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 2, (5, 7, 24), 2))
pixels = np.load(folder / "pixels.npy")
for name, (conventions, normalization, stem) in {
    "v1": (V1, "caffe", "imagenet"),
    "v1.5": (V1_5, "torch", "cifar"),
}.items():
    model = build_resnet50(
        4,
        input_shape=(40, 48, 3),
        stages=stages,
        conventions=conventions,
        normalization=normalization,
        stem=stem,
        weights=folder / f"{name}.keras",
    )
    np.save(folder / f"built-{name}.npy", keras.ops.convert_to_numpy(model(pixels)))
    whole = keras.saving.load_model(folder / f"{name}.keras")
    np.save(folder / f"loaded-{name}.npy", keras.ops.convert_to_numpy(whole(pixels)))
    model.save(folder / f"back-{name}.keras")

labels = np.arange(4)
shown = Dataset(pixels, labels, tuple("abcd"), tuple("abcd"), name="pixels")
scored = lesions(model, shown)
assert [each.block for each in scored] == ["conv2_block1", "conv2_block2", "conv3_block1", "conv3_block2"]
added = contributions(model, pixels)
assert all(np.isfinite(each.share) for each in added)
assert gradient_norms(model, pixels, labels)

model.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
before = [np.array(w) for w in model.get_weights()]
assert np.isfinite(model.train_on_batch(pixels.astype("float32"), np.array([0, 1, 2, 3])))
moved = [not np.array_equal(old, new) for old, new in zip(before, model.get_weights())]
assert all(moved), f"a training step moved {sum(moved)} of {len(moved)} weights"

if sys.argv[2] == "jax":
    from resnet50.training.accelerator import find_accelerator
    from resnet50.training.fast_cpu.precision import build_training_model
    from resnet50.training.one_pass import BatchNormalization

    import jax

    assert find_accelerator() is None
    assert jax.config.jax_compilation_cache_dir is None  # the names of the setting have not changed
    after = [np.array(w) for w in model.get_weights()]
    model.set_weights(before)
    trained = build_training_model(model, "float32")
    assert type(trained.get_layer("conv1_bn")) is BatchNormalization
    trained.compile(keras.optimizers.SGD(1e-3), "sparse_categorical_crossentropy")
    trained.train_on_batch(pixels.astype("float32"), np.array([0, 1, 2, 3]))
    for weight, old, expected, found in zip(model.weights, before, after, trained.get_weights()):
        # a bias in front of batch norm has the gradient zero, but for rounding in Keras
        still = old if weight.path.endswith("conv/bias") else expected
        np.testing.assert_allclose(found, still, rtol=1e-3, atol=1e-4 * np.abs(still).max(), err_msg=weight.path)
assert "tensorflow" not in sys.modules
print("imported", resnet50.__file__)
"""
)


@pytest.fixture
def on_tensorflow(tmp_path) -> dict[str, np.ndarray]:
    """Probabilities of two networks here, and their files in ``tmp_path``."""
    if keras.backend.backend() != "tensorflow":
        pytest.skip("the reference is computed on TensorFlow")
    pixels = noise(4, *SHAPE, seed=4)
    np.save(tmp_path / "pixels.npy", pixels)
    probabilities = {}
    for seed, (name, (conventions, normalization, stem)) in enumerate(VARIANTS.items()):
        model = tiny_model(
            CLASSES, size=SHAPE[:2], seed=seed, conventions=conventions, normalization=normalization, stem=stem
        )
        if normalization == "caffe":  # inputs of some hundred would saturate the softmax
            first = model.get_layer("conv1_conv")
            first.set_weights([weight / 100 for weight in first.get_weights()])
        model.save(tmp_path / f"{name}.keras")
        probabilities[name] = np.asarray(model(pixels))
        assert 0.001 < probabilities[name].max() < 0.999
        assert np.ptp(probabilities[name], axis=0).max() > 1e-3
    return probabilities


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_computes_the_same_without_tensorflow(backend, on_tensorflow, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")]),
    }
    done = subprocess.run(
        [sys.executable, script, tmp_path, backend], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    package = str(Path(__file__).parents[1] / "resnet50")
    assert f"imported {package}" in done.stdout
    for name, expected in on_tensorflow.items():
        for how in ("built", "loaded"):
            actual = np.load(tmp_path / f"{how}-{name}.npy")
            assert actual.dtype == np.float32
            np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-6, err_msg=f"{how} {name}")
        back = keras.saving.load_model(tmp_path / f"back-{name}.keras")
        np.testing.assert_array_equal(np.asarray(back(np.load(tmp_path / "pixels.npy"))), expected)
