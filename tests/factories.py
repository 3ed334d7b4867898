"""What tests are made of: small data sets, tiny networks, image files, and a check on errors."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from resnet50.build import build_resnet50
from resnet50.conventions import V1, V1_5
from resnet50.data.augmentation import Augmentation
from resnet50.data.dataset import Dataset
from resnet50.inference.classifier import Classifier
from resnet50.model import Stage
from resnet50.reports.figures import ReportFigure
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe
from resnet50.uncertainty.scaling import Temperature
from resnet50.uncertainty.thresholds import Thresholds, reference_features

TINY_STAGES = (Stage("conv2", 2, (4, 6, 16), 1), Stage("conv3", 2, (5, 7, 24), 2))
"""Two stages of two blocks; no two numbers of channels are equal but those that must be.

Sixteen channels or more enter a stride: with fewer, and an even side, oneDNN in TensorFlow 2.21 writes past its
memory in the gradient of a strided 1x1 convolution, and the process dies, perhaps much later.
"""

BASIC_STAGES = (Stage("conv2", 2, (6, 64), 1), Stage("conv3", 2, (7, 24), 2))
"""The same of basic blocks; 64 channels leave the stem, so that the first block has no projection, as in ResNet-18."""


WITHOUT_TENSORFLOW = """
import sys


class Without:
    # A finder that does not find TensorFlow; asking whether it is there is answered with no.

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, *rest):
        return None if name.split(".")[0] == "tensorflow" else self.finder.find_spec(name, *rest)

    def __getattr__(self, name):
        return getattr(self.finder, name)


sys.meta_path[:] = [Without(finder) for finder in sys.meta_path]
"""
"""Beginning of a script that finds no TensorFlow."""


AS_IN_A_TERMINAL = """
import signal

signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
"""
"""Beginning of a script that a signal ends: a suite in the background, or under nohup, passes ignored ones on."""


PLAIN_FIGURES = """
from matplotlib.figure import Figure
from resnet50.reports.figures import ReportFigure

ReportFigure.with_title = ReportFigure.without_title = lambda figure: Figure(figsize=(1, 1))
"""
"""Beginning of a script whose reports have empty figures, as in `plain_figures`."""


def jax_compiled_in(folder: Path) -> dict[str, str]:
    """Return an environment where JAX compiles a function once for all the models and processes that have it."""
    return {"JAX_COMPILATION_CACHE_DIR": str(folder / "jax"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


@contextmanager
def raises(kind: type[BaseException], *values: object) -> Iterator[pytest.ExceptionInfo[BaseException]]:
    """Expect an error of one line that holds these values: file names, numbers, names of arguments and classes.

    The sentence around them is not checked, so that it can be reworded.
    """
    with pytest.raises(kind) as caught:
        yield caught
    message = str(caught.value)
    assert "\n" not in message, message
    paths = [str(value) for value in values if isinstance(value, Path)]
    missing = [path for path in paths if path not in message]
    rest = re.sub(r"\S*/pytest-of-\S*/\S*?/", "", _without(message, paths))  # a test's folder is named after the test
    missing += [str(value) for value in values if not isinstance(value, Path) and str(value) not in rest]
    assert not missing, f"{missing} not in the message: {message}"


def _without(text: str, parts: Sequence[str]) -> str:
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "")
    return text


posix = pytest.mark.skipif(sys.platform == "win32", reason="permissions, signals or devices that Windows lacks")


def noise(*shape: int, seed: int | Sequence[int] = 0) -> np.ndarray:
    """Return random pixels, uint8 of this shape, 0..255."""
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def fixed_camera(n: int, *, size: int = 48, seed: int = 0) -> np.ndarray:
    """Return images of one scene that differ by the sensor's noise alone, and every other one by a scratch."""
    rng = np.random.default_rng(seed)
    scene = np.random.default_rng(0).integers(90, 110, (size, size, 3))
    images = np.clip(scene + rng.normal(0, 6, (n, *scene.shape)), 0, 255).astype(np.uint8)
    images[1::2, size // 2, size // 4 : size // 2] = 160
    return images


def dataset(
    labels: Sequence[int],
    class_names: Sequence[str] = ("cats", "dogs"),
    *,
    images: np.ndarray | None = None,
    size: tuple[int, int] = (8, 8),
    name: str = "pets",
    paths: Sequence[str] = (),
    groups: Sequence[str] = (),
    seed: int = 0,
) -> Dataset:
    """Return labeled images; random pixels unless ``images`` are given."""
    return Dataset(
        images=noise(len(labels), *size, 3, seed=seed) if images is None else images,
        labels=np.array(labels, dtype=np.int64),
        class_names=tuple(class_names),
        paths=tuple(paths) or tuple(f"{index}.png" for index in range(len(labels))),
        name=name,
        groups=tuple(groups),
    )


def write_image(
    path: Path, pixels: np.ndarray | str = "red", *, size: tuple[int, int] = (30, 20), **options: Any
) -> Path:
    """Write an image file, and its folder: pixels, or one color in (width, height); return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", size, pixels) if isinstance(pixels, str) else Image.fromarray(pixels)
    image.save(path, **options)
    return path


def draw_image(path: Path, seed: int | tuple[int, ...]) -> Path:
    return write_image(path, noise(30, 20, 3, seed=seed))


def image_folder(root: Path, *, splits: Sequence[str] = ("",), each: int = 3) -> Path:
    """Images of two classes, in folders of splits if there are any."""
    for number, split in enumerate(splits):
        for label, name in enumerate(("cat", "dog")):
            for index in range(each):
                draw_image(root / split / name / f"{index}.png", (number, label, index))
    return root


def texts(figure: Figure) -> list[str]:
    """The texts inside the axes of a figure."""
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=50, bbox_inches="tight")
    return buffer.getvalue()


def fill_random(model: keras.Model, seed: int = 0) -> keras.Model:
    """Fill every weight, moving statistics included, with numbers under which activations stay of order one."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights([_random(rng, weight.name, tuple(weight.shape)) for weight in layer.weights])
    return model


NETWORKS: dict[str, dict[str, Any]] = {
    "v1-mlp": {"conventions": V1, "head": "mlp"},
    "v1.5-norm": {"conventions": V1_5, "head": "norm"},
    "v1.5-caffe-flatten": {"conventions": V1_5, "normalization": "caffe", "head": "flatten"},
    "cifar-torch": {"stem": "cifar", "normalization": "torch"},
    "basic": {"stages": BASIC_STAGES, "conventions": replace(V1_5, stochastic_depth=0.2)},
    "plain": {"stages": BASIC_STAGES, "form": "plain"},
    "preactivation": {"form": "preactivation", "conventions": V1_5},
}
"""Options of networks that together have every head, stem, block variant and form."""


def tiny_model(
    classes: int = 3, *, size: tuple[int, int] = (32, 40), seed: int | None = 0, **options: Any
) -> keras.Model:
    """Return a network of `TINY_STAGES` for images of (height, width), its weights random unless ``seed`` is None."""
    model = build_resnet50(classes, **{"input_shape": (*size, 3), "stages": TINY_STAGES} | options)
    return model if seed is None else fill_random(model, seed)


def classifier(
    model: keras.Model | None = None,
    class_names: Sequence[str] = ("a", "b", "c"),
    *,
    name: str = "letters",
    recipe: dict[str, Any] | None = None,
    metrics: dict[str, float] | None = None,
) -> Classifier:
    """Return a classifier of a tiny network, or of this one."""
    model = tiny_model(len(class_names)) if model is None else model
    return Classifier(model, tuple(class_names), name, "0" * 64, recipe or {}, metrics or {})


def with_thresholds(known: Classifier, *, calibration: int = 99, near: bool = True) -> Classifier:
    """Return a classifier with thresholds: scores 1/n .. 1 of the classes in turn, and random training features.

    Args:
        known: The classifier.
        calibration: Number of calibration images.
        near: Whether every image is near enough to be answered; else none is.
    """
    width = known.features.output_shape[-1]
    features = np.abs(np.random.default_rng(0).normal(size=(20, width)))
    thresholds = Thresholds(
        Temperature(),
        "lac",
        scores=((np.arange(calibration) + 1) / calibration).astype(np.float32),
        labels=np.arange(calibration) % len(known.class_names),
        distances=np.full(calibration, 2.0 if near else 0.0, np.float32),
        features=reference_features(features),
        fitted_on="held-out",
    )
    return replace(known, thresholds=thresholds)


def tiny_recipe(**changes: Any) -> Recipe:
    """Return a recipe of seconds for images of 32 pixels, with other numbers by name (`Recipe.change`)."""
    recipe = Recipe(
        name="tiny",
        phases=(Phase(epochs=4, warmup_epochs=1),),
        batch_size=8,
        augmentation=Augmentation(shift=0.1, rotation=10, flip=True),
        image_size=32,
        stages=(("conv2", 1, (4, 6, 16), 1), ("conv3", 2, (5, 7, 24), 2)),
        precision="float32",
        checkpoint_epochs=1,
        seed=3,
    )
    return recipe.change(**changes)


@contextmanager
def plain_figures() -> Iterator[None]:
    """Leave the figures of reports empty in the block: they are drawn in tests of their own, and take seconds."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("with_title", "without_title"):
            patch.setattr(ReportFigure, name, lambda figure: Figure(figsize=(1, 1)))
        yield


def _random(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    if name == "kernel":
        return rng.standard_normal(shape, dtype="float32") * np.float32(np.prod(shape[:-1]) ** -0.5)
    if name in ("gamma", "moving_variance"):
        return rng.uniform(0.5, 1.5, shape).astype("float32")
    if name in ("bias", "beta", "moving_mean"):
        return rng.normal(0, 0.3, shape).astype("float32")
    raise AssertionError(f"a weight of an unknown kind: {name}")
