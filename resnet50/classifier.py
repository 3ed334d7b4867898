"""The classifier file: one ``.keras`` archive with the model and all that its labels mean.

Plain ``keras.saving.load_model`` opens it without this package; this module also reads what it carries beside.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnet50.data.rows import Rows
from resnet50.files import atomic_path

MEMBER = "resnet50.json"
"""Name of the extra member of the archive. Keras' own ``model.save`` drops it."""

_BLOCK = 256 << 20  # bytes of pictures that become one tensor


@dataclass(frozen=True)
class Classifier:
    """A trained model and what one must know to use it.

    Attributes:
        model: From RGB ``(batch, height, width, 3)``, 0..255, to probabilities ``(batch, classes)``; float32.
        class_names: Name of each output.
        dataset: Name of the data set that the model was trained on.
        fingerprint: SHA-256 of the training pictures (`Split.fingerprint`).
        recipe: Every number of the training.
        metrics: What was measured on the test split, such as ``{"accuracy": 0.983}``.

    Raises:
        ValueError: If the model does not take pictures of one size, or has not as many outputs as there are names.
    """

    model: keras.Model = field(repr=False)
    class_names: tuple[str, ...]
    dataset: str
    fingerprint: str
    recipe: Mapping[str, Any] = field(repr=False)
    metrics: Mapping[str, float]

    def __post_init__(self) -> None:
        shape = self.model.input_shape
        if len(shape) != 4 or None in shape[1:]:
            raise ValueError(f"needed a model of pictures of one size, (None, height, width, 3), got {shape}.")
        if self.model.output_shape[-1] != len(self.class_names):
            raise ValueError(
                f"the model has {self.model.output_shape[-1]} outputs, but there are {len(self.class_names)} class "
                f"names ({', '.join(self.class_names)})."
            )

    @property
    def side(self) -> tuple[int, int]:
        """Height and width in pixels of the pictures that the model was trained on."""
        _, height, width, _ = self.model.input_shape
        return height, width

    def probabilities(self, images: np.ndarray | Rows, *, batch_size: int = 64) -> np.ndarray:
        """Classify pictures of the model's size.

        Args:
            images: RGB ``(n, height, width, 3)``, 0..255, uint8 or float; what lies in a file is read block by block.
            batch_size: Pictures in one forward pass.

        Returns:
            float32 ``(n, classes)``, 0..1, each row summing to 1.

        Raises:
            ValueError: If the pictures do not have the model's size.
        """
        if images.ndim != 4 or images.shape[1:] != (*self.side, 3):
            raise ValueError(f"needed pictures (n, {self.side[0]}, {self.side[1]}, 3), got {images.shape}.")
        # Keras makes one tensor of all that predict is given, and pictures that lie in a file may be more than memory
        some = batch_size * max(1, _BLOCK // (images[:1].nbytes * batch_size or 1))
        blocks = [images[start : start + some] for start in range(0, max(1, len(images)), some)]
        return np.concatenate([self.model.predict(block, batch_size=batch_size, verbose=0) for block in blocks])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier, atomically and uncompiled (a compiled file opens on few backends but its own).

        Args:
            path: Name of the file, ending in ``.keras``.

        Raises:
            ValueError: If the name does not end so.
        """
        if Path(path).suffix != ".keras":
            raise ValueError(f"{path}: the name of a classifier must end in .keras.")
        carried = {name: getattr(self, name) for name in _CARRIED}
        uncompiled = keras.Model(self.model.input, self.model.output, name=self.model.name)  # of the very same layers
        with atomic_path(path) as temporary:
            uncompiled.save(temporary)
            with zipfile.ZipFile(temporary, "a") as archive:
                archive.writestr(MEMBER, json.dumps(carried, indent=2))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Classifier:
        """Open a classifier that `save` wrote, on any backend.

        Args:
            path: The file.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is no Keras archive, is damaged, or does not carry its class names.
        """
        path = Path(path)
        if not path.is_file():
            found = "a folder" if path.is_dir() else "nothing there"
            raise FileNotFoundError(f"{path}: needed a classifier (.keras), found {found}; train one first.")
        carried = _read_member(path)
        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # Keras raises many kinds for a damaged archive
            raise ValueError(f"{path}: Keras cannot open it ({' '.join(str(error).split())[:200]}).") from error
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
        raise ValueError(f"{path}: needed a classifier (.keras), found a damaged or other file ({reason}).") from error
    if text is None:
        kind = "plain Keras model" if "config.json" in names else "zip archive of something else"
        raise ValueError(
            f"{path}: needed a classifier with its class names, found a {kind} (no {MEMBER} inside); "
            "keras.saving.load_model opens a plain one."
        )
    try:
        carried = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: needed JSON in {MEMBER}, found other text ({error}).") from error
    if not isinstance(carried, dict) or set(carried) != set(_CARRIED):
        found = ", ".join(carried) if isinstance(carried, dict) else type(carried).__name__
        raise ValueError(f"{path}: needed {', '.join(_CARRIED)} in {MEMBER}, found {found}.")
    class_names = carried["class_names"]
    if not isinstance(class_names, list) or not all(isinstance(name, str) for name in class_names):
        raise ValueError(f"{path}: needed class_names in {MEMBER} to be a list of text, found {class_names!r}.")
    return carried
