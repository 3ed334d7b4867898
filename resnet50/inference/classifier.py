"""The classifier: a model and all that its labels mean, in one ``.keras`` archive, or exported for another runtime.

Plain ``keras.saving.load_model`` opens an archive without this package; this module also reads what it carries beside.
Keras is imported where an archive is read or written, and not for what is exported.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from resnet50._io.files import atomic_path
from resnet50.data.lazy_images import LazyImages
from resnet50.inference.runtimes import MANIFEST, Network, is_export, open_network, read_manifest

if TYPE_CHECKING:
    import keras

MEMBER = MANIFEST
"""Name of the extra member of the archive. Keras' own ``model.save`` drops it."""


@dataclass(frozen=True)
class Classifier:
    """A trained model and what one must know to use it.

    Attributes:
        model: From RGB ``(batch, height, width, 3)``, 0..255, to probabilities ``(batch, classes)``; float32. A Keras
            model, or the network of an export, which predicts and has no layers.
        class_names: Name of each output.
        dataset: Name of the data set that the model was trained on.
        fingerprint: SHA-256 of the training images (`Dataset.fingerprint`).
        recipe: Every number of the training.
        metrics: What was measured on the test split, such as ``{"accuracy": 0.983}``.

    Raises:
        ValueError: If the model does not take images of one size, or has not as many outputs as there are names.
    """

    model: keras.Model | Network = field(repr=False)
    class_names: tuple[str, ...]
    dataset: str
    fingerprint: str
    recipe: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, float]

    def __post_init__(self) -> None:
        shape = self.model.input_shape
        if len(shape) != 4 or None in shape[1:]:
            raise ValueError(f"expected a model of images of one size, (None, height, width, 3), got {shape}.")
        if self.model.output_shape[-1] != len(self.class_names):
            raise ValueError(
                f"the model has {self.model.output_shape[-1]} outputs, but there are {len(self.class_names)} class "
                f"names ({', '.join(self.class_names)})."
            )

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width in pixels of the images that the model was trained on."""
        _, height, width, _ = self.model.input_shape
        return height, width

    def probabilities(self, images: np.ndarray | LazyImages, *, batch_size: int = 64) -> np.ndarray:
        """Classify images of the model's size.

        Args:
            images: RGB ``(n, height, width, 3)``, 0..255, uint8 or float; what lies in a file is read block by block.
            batch_size: Images in one forward pass.

        Returns:
            float32 ``(n, classes)``, 0..1, each row summing to 1.

        Raises:
            ValueError: If the images do not have the model's size, or the batch size is not positive.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
        if images.ndim != 4 or images.shape[1:] != (*self.image_size, 3):
            raise ValueError(f"expected images (n, {self.image_size[0]}, {self.image_size[1]}, 3), got {images.shape}.")
        found = np.zeros((len(images), len(self.class_names)), np.float32)
        for start in range(0, len(images), batch_size):
            some = np.asarray(images[start : start + batch_size])
            missing = min(batch_size, len(images)) - len(some)  # for another shape a backend would compile again
            padded = np.pad(some, [(0, missing), (0, 0), (0, 0), (0, 0)]) if missing else some
            found[start : start + batch_size] = self.model.predict_on_batch(padded)[: len(some)]
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier, atomically and uncompiled (a compiled file opens on few backends but its own).

        Args:
            path: Name of the file, ending in ``.keras``.

        Raises:
            ValueError: If the name does not end so, or the network is that of an export.
        """
        if Path(path).suffix != ".keras":
            raise ValueError(f"{path}: the name of a classifier must end in .keras.")
        import keras

        if isinstance(self.model, Network):
            raise ValueError(f"{path}: expected a Keras model to save, got the network of an export; copy its folder.")
        uncompiled = keras.Model(self.model.input, self.model.output, name=self.model.name)  # of the very same layers
        with atomic_path(path) as temporary:
            uncompiled.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(MEMBER, json.dumps(self.carried(), indent=2))

    def carried(self) -> dict[str, Any]:
        """Return what a file holds beside the model, ready for JSON."""
        return {name: getattr(self, name) for name in _CARRIED}

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Classifier:
        """Open a classifier: the archive that `save` wrote, on any backend, or an export, in the runtime it is for.

        Args:
            path: The ``.keras`` file, or the folder of the export.

        Raises:
            FileNotFoundError: If there is no such file.
            ImportError: If an export's runtime is not installed.
            ValueError: If it is neither, is damaged, or does not carry its class names.
        """
        path = Path(path)
        if is_export(path):
            told = read_manifest(path)
            export = told.pop("export")
            carried = _checked(told, path)
            return cls._made(path, carried, open_network(path, export["format"], export["precision"]))
        if not path.is_file():
            found = "a folder" if path.is_dir() else "nothing there"
            raise FileNotFoundError(f"{path}: expected a classifier (.keras), found {found}; train one first.")
        carried = _read_member(path)
        import keras

        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # Keras raises many kinds for a damaged archive
            raise ValueError(f"{path}: Keras cannot open it ({' '.join(str(error).split())[:200]}).") from error
        return cls._made(path, carried, model)

    @classmethod
    def _made(cls, path: Path, carried: Mapping[str, Any], model: keras.Model | Network) -> Classifier:
        try:
            return cls(model=model, **{**carried, "class_names": tuple(carried["class_names"])})
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


_CARRIED = tuple(field.name for field in fields(Classifier) if field.name != "model")


def _read_member(path: Path) -> dict[str, Any]:
    """Return what the archive carries beside the model.

    Raises:
        ValueError: If it is no archive, or does not carry just that.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            text = archive.read(MEMBER) if MEMBER in names else None
    except Exception as error:  # zipfile raises many kinds for a damaged archive
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path}: expected a classifier (.keras), found a damaged or other file ({reason})."
        ) from error
    if text is None:
        kind = "plain Keras model" if "config.json" in names else "zip archive of something else"
        raise ValueError(
            f"{path}: expected a classifier with its class names, found a {kind} (no {MEMBER} inside); "
            "keras.saving.load_model opens a plain one."
        )
    try:
        carried = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected JSON in {MEMBER}, found other text ({error}).") from error
    return _checked(carried, path)


def _checked(carried: Any, path: Path) -> dict[str, Any]:
    """Return what a file carries beside the model, if it is that.

    Raises:
        ValueError: If it is not.
    """
    if not isinstance(carried, dict) or set(carried) != set(_CARRIED):
        found = ", ".join(carried) if isinstance(carried, dict) else type(carried).__name__
        raise ValueError(f"{path}: expected {', '.join(_CARRIED)} in {MEMBER}, found {found}.")
    class_names = carried["class_names"]
    if not isinstance(class_names, list) or not all(isinstance(name, str) for name in class_names):
        raise ValueError(f"{path}: expected class_names in {MEMBER} to be a list of text, found {class_names!r}.")
    return carried
