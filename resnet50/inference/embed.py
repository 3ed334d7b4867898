"""Compute the features of image files, and store them in one ``.npz`` file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import atomic_path
from resnet50.data.dataset import Unreadable
from resnet50.inference.batching import forward_images
from resnet50.inference.classifier import Classifier
from resnet50.inference.runtimes import Network, sha256

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, eq=False)
class Embedding:
    """Features of images.

    Attributes:
        features: Row k for image k, float32 ``(n, d)``: the input of the classifier's last dense layer, or the output
            of the layer ``at``, its mean over positions where it is a feature map.
        paths: The ``n`` files.
        unreadable: Files that could not be read, which have no row.
        at: Name of the layer; None for the input of the last dense layer.
        precision: Precision in which they were computed, such as ``"fp32"``.
    """

    features: np.ndarray
    paths: tuple[Path, ...]
    unreadable: tuple[Unreadable, ...]
    at: str | None = None
    precision: str = "fp32"

    def save(self, path: str | os.PathLike[str], *, model: str | os.PathLike[str]) -> None:
        """Write the features, atomically, into a file that ``numpy.load`` opens without pickle.

        Its arrays are ``features``, ``paths`` (text), ``model`` (text: the classifier's file), ``model_sha256`` (text),
        ``at`` (text: the layer, empty for the input of the last dense layer) and ``precision`` (text).

        Args:
            path: Name of the file, ending in ``.npz``.
            model: The classifier's file.

        Raises:
            ValueError: If the name has another suffix.
        """
        check_name(path)
        digest = sha256(Path(model))
        paths = np.array([str(each) for each in self.paths], dtype=np.str_)
        with atomic_path(path) as temporary:
            np.savez(
                temporary,
                features=self.features,
                paths=paths,
                model=str(model),
                model_sha256=digest,
                at=self.at or "",
                precision=self.precision,
            )


def check_name(path: str | os.PathLike[str]) -> None:
    """Refuse a file name for features that does not end in ``.npz``, to which NumPy would append the suffix.

    Raises:
        ValueError: If it does not.
    """
    if Path(path).suffix != ".npz":
        raise ValueError(f"{path}: expected a file name that ends in .npz, got another; rename it.")


def embed(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike[str]],
    *,
    at: str | None = None,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Embedding:
    """Compute the features of any number of image files, each fitted to the model's size as for training.

    Args:
        classifier: A trained classifier, with any head.
        paths: Image files; `resnet50.find_images` finds those of folders.
        at: Name of the layer whose output is taken, its mean over positions where it is a feature map; this needs
            Keras. None for the input of the last dense layer.
        batch_size: Images in one forward pass; at most two batches are read ahead.
        progress: Called after each file with the number of files done and their total.

    Returns:
        The features of the files that can be read, in order, and why the others cannot.

    Raises:
        ValueError: If the batch size is not positive, the classifier is an export, or it has no such layer.
    """
    model = _features(classifier, at)
    features = np.zeros((len(paths), model.output_shape[-1]), np.float32)
    readable: list[Path] = []
    unreadable: list[Unreadable] = []
    rows = forward_images(model, paths, fit=classifier.fit, batch_size=batch_size)
    for done, (path, (_, row)) in enumerate(zip(paths, rows, strict=True), 1):
        if isinstance(row, str):
            unreadable.append(Unreadable(str(path), row))
        else:
            features[len(readable)] = row
            readable.append(Path(path))
        if progress is not None:
            progress(done, len(paths))
    return Embedding(features[: len(readable)], tuple(readable), tuple(unreadable), at, classifier.precision)


def _features(classifier: Classifier, at: str | None) -> keras.Model | Network:
    if at is None:
        return classifier.features
    if classifier.precision != "fp32":
        raise ValueError(
            f"expected a classifier in fp32 for the output of a layer, {at}, got one in {classifier.precision}; leave "
            "out the layer or the precision."
        )
    from resnet50.inference.features import pooled_feature_model

    return pooled_feature_model(classifier.model, at=at)
