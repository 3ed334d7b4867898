"""What several tests share: a quiet backend, a tiny network, random weights, the shared data."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from resnet50.model import Stage


@pytest.fixture
def tiny_stages() -> tuple[Stage, ...]:
    """Two stages of two blocks; no two numbers of channels are equal but those that must be.

    Sixteen channels or more enter a stride: with fewer, and an even side, oneDNN in TensorFlow 2.21 writes past its
    memory in the gradient of a strided 1x1 convolution, and the process dies, perhaps much later.
    """
    return (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 2, (5, 7, 24), 2))


@pytest.fixture(scope="session")
def random_weights() -> Callable[[keras.Model, int], keras.Model]:
    """Fill every weight, moving statistics included, with numbers under which activations stay of order one."""

    def fill(model: keras.Model, seed: int = 0) -> keras.Model:
        rng = np.random.default_rng(seed)
        for layer in model.layers:
            layer.set_weights([_random(rng, weight.name, tuple(weight.shape)) for weight in layer.weights])
        return model

    return fill


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real pictures that the repository does not hold."""
    folder = Path(os.environ.get("RESNET50_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set RESNET50_DATA to their folder")
    return folder


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name == "kernel":
        return rng.standard_normal(shape, dtype="float32") * np.float32(np.prod(shape[:-1]) ** -0.5)
    if name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    if name in ("bias", "beta", "moving_mean"):
        return rng.normal(0, 0.3, shape).astype("float32")
    raise AssertionError(f"a weight of an unknown kind: {name}")
