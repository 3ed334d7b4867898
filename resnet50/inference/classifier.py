"""The classifier: a model with its class names, in one ``.keras`` file or in an export for another runtime.

Plain ``keras.saving.load_model`` opens a ``.keras`` file without this package; this module also reads the metadata
in it. Keras is imported where such a file is read or written, and not for an export.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet50._io.files import atomic_path
from resnet50._io.keras_settings import keras_defaults
from resnet50._io.limits import IMAGE_SIDE, check_class_names
from resnet50._io.text import check_printable, listed, short
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.images import ImageLike, fit_image
from resnet50.data.lazy_images import LazyImages
from resnet50.inference.batching import forward_array
from resnet50.inference.locate import locate
from resnet50.inference.prediction import Prediction, rank_classes
from resnet50.inference.runtimes import Network, open_network, read_manifest
from resnet50.weights.keras_files import CLASSIFIER_MEMBER, CONFIG_MEMBER, check_archive, read_small
from resnet50.weights.layouts import UnfitFileError

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Classifier:
    """A trained model with its class names and its origin.

    Attributes:
        model: From RGB ``(batch, height, width, 3)``, 0..255, to probabilities ``(batch, classes)``; float32. A Keras
            model, or the network of an export, which predicts and has no layers.
        class_names: Name of each output.
        dataset: Name of the dataset that the model was trained on.
        fingerprint: SHA-256 of the training images (`Dataset.fingerprint`).
        recipe: Every number of the training.
        metrics: Scores on the test split, such as ``{"accuracy": 0.983}``.
        fit: How images are fitted to the model's size, as for its training.

    Raises:
        ValueError: If the model does not take images of one size, or the number of outputs is not that of the names.
    """

    model: keras.Model | Network = field(repr=False)
    class_names: tuple[str, ...]
    dataset: str
    fingerprint: str
    recipe: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, float]
    fit: Fit = DEFAULT_FIT

    def __post_init__(self) -> None:
        shape = self.model.input_shape
        if len(shape) != 4 or None in shape[1:]:
            raise ValueError(f"expected a model for images of one size, (None, height, width, 3), got {shape}.")
        if max(shape[1:]) > IMAGE_SIDE:
            raise ValueError(f"expected a model for images of at most {IMAGE_SIDE:,} pixels a side, got {shape}.")
        if self.model.output_shape[-1] != len(self.class_names):
            raise ValueError(
                f"expected a class name for each of the model's {self.model.output_shape[-1]} outputs, got "
                f"{len(self.class_names)} ({listed(self.class_names)})."
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels of the model's input."""
        _, height, width, _ = self.model.input_shape
        return height, width

    def predict(self, image: ImageLike, *, top: int = 3) -> Prediction:
        """Classify one image of any size; `resnet50.predict` classifies many.

        Args:
            image: Path, encoded bytes, open binary file, Pillow image, or pixels 0..255 of any size ((height, width)
                gray, or (height, width, 3 or 4)). It is fitted to the model's size as for training.
            top: Number of classes to name.

        Returns:
            The most probable classes and their probabilities; its ``error`` is None.

        Raises:
            FileNotFoundError: If there is no file at the path.
            ValueError: If the image cannot be read, or ``top`` is not positive.
        """
        height, width = self.image_size
        pixels = fit_image(image, height=height, width=width, fit=self.fit)
        (row,) = self.probabilities(pixels[None])
        path = Path(image) if isinstance(image, str | os.PathLike) else None
        return Prediction(0, path, rank_classes(row, self.class_names, top))

    def probabilities(self, images: np.ndarray | LazyImages, *, batch_size: int = 64) -> np.ndarray:
        """Classify images of the model's size.

        Args:
            images: RGB ``(n, height, width, 3)``, 0..255, uint8 or float; images in a file are read batch by batch.
            batch_size: Images in one forward pass.

        Returns:
            float32 ``(n, classes)``, 0..1, each row summing to 1.

        Warns:
            UserWarning: If the images are floats that never exceed 1.5, as pixels that were divided by 255.

        Raises:
            ValueError: If the images do not have the model's size or are not numbers from 0 to 255, the batch size is
                not positive, or the model's output is not a number.
        """
        return forward_array(self.model, images, batch_size=batch_size)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier, atomically and uncompiled, so that every backend can open it.

        Args:
            path: Name of the file, ending in ``.keras``.

        Raises:
            ValueError: If the name has another suffix, or the classifier is an export.
        """
        if Path(path).suffix != ".keras":
            raise ValueError(f"{path}: expected a file name that ends in .keras, got another; rename it.")
        import keras

        if isinstance(self.model, Network):
            raise ValueError(f"{path}: expected a Keras model to save, got an export; copy the export's folder.")
        uncompiled = keras.Model(self.model.input, self.model.output, name=self.model.name)  # of the same layers
        with atomic_path(path) as temporary:
            uncompiled.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(CLASSIFIER_MEMBER, json.dumps(self.metadata(), indent=2))

    def metadata(self) -> dict[str, Any]:
        """Return every field but the model, ready for JSON: what a file stores beside the model."""
        return {name: getattr(self, name) for name in _METADATA} | {"fit": self.fit.to_dict()}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Classifier:
        """Open a trained classifier: on any Keras backend, or an export in its own runtime.

        Args:
            path: A ``.keras`` file, the folder of a run, or the folder of an export.

        Raises:
            FileNotFoundError: If there is no such file.
            ImportError: If an export's runtime is not installed.
            ValueError: If it is something else, is damaged, or has no class names.
        """
        located = locate(path)
        path = located.model
        if located.kind == "export":
            metadata = read_manifest(path)
            export = metadata.pop("export")
            _check_metadata(metadata, path)
            return cls._from_metadata(path, metadata, open_network(path, export["format"], export["precision"]))
        metadata = _read_metadata(path)
        import keras

        with keras_defaults():
            try:
                model = keras.saving.load_model(path, compile=False)
            except Exception as error:  # Keras raises exceptions of many classes for a damaged archive
                raise ValueError(f"{path}: Keras cannot open it ({' '.join(str(error).split())[:200]}).") from error
        return cls._from_metadata(path, metadata, model)

    @classmethod
    def _from_metadata(cls, path: Path, metadata: Mapping[str, Any], model: keras.Model | Network) -> Classifier:
        try:
            fit = Fit.from_dict(metadata.get("fit", {}))
            return cls(model=model, **{**metadata, "class_names": tuple(metadata["class_names"]), "fit": fit})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


_METADATA = tuple(field.name for field in fields(Classifier) if field.name != "model")


def _read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata in an archive, once nothing in it can harm Keras.

    Raises:
        ValueError: If the file is not an archive, has no metadata or other metadata, is damaged, or declares more than
            any classifier has.
    """
    with _reading(path), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        text = read_small(archive, CLASSIFIER_MEMBER) if CLASSIFIER_MEMBER in members else None
    if text is None:
        received = "plain Keras model" if CONFIG_MEMBER in members else "zip archive of something else"
        raise ValueError(
            f"{path}: expected a classifier with its class names, got a {received} (no {CLASSIFIER_MEMBER} in it); "
            "open a plain model by keras.saving.load_model."
        )
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON in {CLASSIFIER_MEMBER}, got other text ({error}).") from error
    _check_metadata(metadata, path)
    with _reading(path):
        check_archive(path)
    return metadata


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the exceptions of many classes that zipfile, json and h5py raise for a damaged archive into one."""
    try:
        yield
    except UnfitFileError as error:
        raise ValueError(f"{path}: expected a classifier (.keras), got {error}") from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{path}: expected a classifier (.keras), got a damaged or other file ({reason}).") from error


def _check_metadata(metadata: Any, path: Path) -> None:
    """Refuse metadata that is not that of a classifier.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(metadata, dict) or set(metadata) | {"fit"} != set(_METADATA):
        got = short(list(metadata)) if isinstance(metadata, dict) else type(metadata).__name__
        raise ValueError(f"{path}: expected {', '.join(_METADATA)} in {CLASSIFIER_MEMBER}, got {got}.")
    texts = {name: metadata[name] for name in ("dataset", "fingerprint")}
    names, recipe, metrics = (metadata[name] for name in ("class_names", "recipe", "metrics"))
    checks = {
        "class_names": (isinstance(names, list) and all(isinstance(name, str) for name in names), "a list of strings"),
        **{name: (isinstance(text, str), "a string") for name, text in texts.items()},
        "recipe": (isinstance(recipe, dict) and isinstance(recipe.get("name", ""), str), "an object with a name"),
        "metrics": (
            isinstance(metrics, dict) and all(isinstance(score, int | float) for score in metrics.values()),
            "an object of numbers",
        ),
    }
    for name, (holds, expected) in checks.items():
        if not holds:
            raise ValueError(
                f"{path}: expected {name} in {CLASSIFIER_MEMBER} to be {expected}, got {short(metadata[name])}."
            )
    check_class_names(names, f"{path}: expected class_names in {CLASSIFIER_MEMBER}")
    check_printable((*names, metadata["dataset"]), f"{path}: expected names in {CLASSIFIER_MEMBER}")
