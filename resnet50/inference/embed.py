"""From image files to the features that a classifier sees in them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import atomic_path
from resnet50.data.dataset import Unreadable
from resnet50.inference.batching import forward
from resnet50.inference.classifier import Classifier
from resnet50.inference.features import feature_model


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features of images.

    Attributes:
        features: Row k for image k, float32 ``(n, d)``: what the classifier's last dense layer is given.
        paths: The ``n`` files.
        unreadable: Files that were left out.
    """

    features: np.ndarray
    paths: tuple[Path, ...]
    unreadable: tuple[Unreadable, ...]

    def save(self, path: str | os.PathLike[str], *, model: str | os.PathLike[str]) -> None:
        """Write the features, atomically, into a file that ``numpy.load`` opens without pickle.

        It holds ``features``, ``paths`` (text), ``model`` (text: the classifier's file) and ``model_sha256`` (text).

        Args:
            path: Name of the file, ending in ``.npz``.
            model: The classifier's file.

        Raises:
            ValueError: If the name does not end so.
        """
        check_name(path)
        with Path(model).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        names = np.array([str(one) for one in self.paths], dtype=np.str_)
        with atomic_path(path) as temporary:
            np.savez(temporary, features=self.features, paths=names, model=str(model), model_sha256=digest)


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a name of features that does not end in ``.npz``; NumPy would write to another one.

    Raises:
        ValueError: If it does not.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"{path}: the name of a file of features must end in .npz.")


def embed(
    classifier: Classifier, paths: Sequence[Path], *, batch_size: int = 32, progress: Progress | None = None
) -> Embedding:
    """Compute the features of any number of image files.

    Args:
        classifier: A trained classifier, with any head.
        paths: Image files.
        batch_size: Images in one forward pass; twice as many are read ahead.
        progress: Called with the files that are done and their number.

    Returns:
        The features of those that can be read, in order, and why the others cannot.

    Raises:
        ValueError: If the batch size is not positive.
    """
    model = feature_model(classifier.model)
    features = np.zeros((len(paths), model.output_shape[-1]), np.float32)
    kept: list[Path] = []
    unreadable: list[Unreadable] = []
    for done, (path, row) in enumerate(zip(paths, forward(model, paths, batch_size=batch_size), strict=True), 1):
        if isinstance(row, str):
            unreadable.append(Unreadable(str(path), row))
        else:
            features[len(kept)] = row
            kept.append(path)
        if progress is not None:
            progress(done, len(paths))
    return Embedding(features[: len(kept)], tuple(kept), tuple(unreadable))
