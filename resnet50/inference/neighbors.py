"""The training images that are most like an image, by the features of the network."""

from __future__ import annotations

import logging
import os
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import atomic_path
from resnet50._io.text import plural
from resnet50.inference.classifier import Classifier
from resnet50.inference.embed import embed

MOST_IMAGES = 20_000
"""Most training images that are compared, evenly spread over all: 164 MB of features of ResNet-50."""

_log = logging.getLogger(__name__)

_OVERHEAD = 1 << 16  # bytes of the file besides its arrays


@dataclass(frozen=True)
class Neighbor:
    """A training image near another image.

    Attributes:
        path: The file.
        class_name: Its class.
        similarity: Cosine of the angle between the features of both, -1..1.
    """

    path: Path
    class_name: str
    similarity: float


@dataclass(frozen=True, eq=False)
class TrainingFeatures:
    """The features of training images.

    Attributes:
        features: float32 ``(n, d)``, rows of length 1.
        paths: The ``n`` files.
        class_names: The class of each.
    """

    features: np.ndarray
    paths: tuple[Path, ...]
    class_names: tuple[str, ...]

    def nearest(self, features: np.ndarray, count: int) -> tuple[Neighbor, ...]:
        """Return the images nearest to one with these features, float32 ``(d,)``, the nearest first."""
        similarities = self.features @ (features / max(float(np.linalg.norm(features)), 1e-12))
        best = np.argsort(-similarities, kind="stable")[:count]
        return tuple(Neighbor(self.paths[k], self.class_names[k], float(similarities[k])) for k in best)


def training_features(
    classifier: Classifier,
    images: Sequence[tuple[Path, str]],
    stored: str | os.PathLike[str],
    *,
    model_sha256: str,
    images_sha256: str,
    progress: Progress | None = None,
) -> TrainingFeatures:
    """Return the features of training images, from the file that stores them or by computing and storing them.

    A stored file that is damaged, or of another model or other images, is replaced. Where it cannot be written, the
    features are computed each time. Of more than `MOST_IMAGES` images, as many are compared.

    Args:
        classifier: The classifier.
        images: Path and class of each; those that cannot be read are left out.
        stored: The ``.npz`` file.
        model_sha256: SHA-256 of the classifier's file, in hexadecimal.
        images_sha256: SHA-256 of the list that the images come from, in hexadecimal.
        progress: Called after each file with the number of files done and their total.

    Raises:
        ImportError: If Keras, which computes the features of some networks, is not installed.
        ValueError: If the classifier has no features.
    """
    stored = Path(stored)
    digests = {"model_sha256": model_sha256, "images_sha256": images_sha256}
    found = read_features(stored, digests, most=len(images), width=classifier.features.output_shape[-1])
    if found is None:
        chosen = np.linspace(0, len(images) - 1, min(MOST_IMAGES, len(images))).astype(np.int64)
        _log.info("computing the features of %s, once", plural(len(chosen), "training image"))
        features, places = _compute(classifier, [images[k][0] for k in chosen], progress)
        found = features, chosen[places]
        with suppress(OSError, ValueError), atomic_path(stored) as temporary:  # a folder that is only read
            np.savez(
                temporary,
                features=found[0],
                images=found[1],
                model_sha256=model_sha256,
                images_sha256=images_sha256,
            )
    features, rows = found
    return TrainingFeatures(features, tuple(images[k][0] for k in rows), tuple(images[k][1] for k in rows))


def _compute(classifier: Classifier, paths: Sequence[Path], progress: Progress | None) -> tuple[np.ndarray, np.ndarray]:
    """Return features of length 1, and the places of their images among the paths."""
    embedding = embed(classifier, paths, progress=progress)
    unreadable = {each.path for each in embedding.unreadable}
    places = np.array([k for k, path in enumerate(paths) if str(path) not in unreadable], np.int64)
    features = embedding.features
    norms = np.sqrt(np.einsum("nd,nd->n", features, features))
    if not norms.all():  # without a direction, nothing is near
        features, places, norms = features[norms > 0], places[norms > 0], norms[norms > 0]
    features /= norms[:, None]
    return features, places


def read_features(
    path: Path, digests: Mapping[str, str], *, most: int, width: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Read the file that `training_features` writes.

    Args:
        path: The file.
        digests: Its ``model_sha256`` and ``images_sha256``.
        most: Number of images in the list.
        width: Number of features.

    Returns:
        The features, float32 ``(n, width)``, and which images of the list they are of, int64 ``(n,)``; None where
        there is no such file, or it is damaged, or of another model or other images.
    """
    try:
        if path.stat().st_size > 4 * most * width + 8 * most + _OVERHEAD:
            return None
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                return None  # a few bytes could unpack to any number
        with np.load(path, allow_pickle=False) as file:
            if set(file.files) != {"features", "images", *digests}:
                return None
            if any(str(file[name]) != digest for name, digest in digests.items()):
                return None
            features, rows = file["features"], file["images"]
    except Exception:  # a damaged file raises those of zipfile, NumPy and the system; it is made anew
        return None
    return (features, rows) if _are_features(features, width) and _are_rows(rows, len(features), most) else None


def _are_features(array: np.ndarray, width: int) -> bool:
    """Return whether an array has rows of length 1."""
    if array.dtype != np.float32 or array.ndim != 2 or array.shape[1] != width:
        return False
    return np.allclose(np.einsum("nd,nd->n", array, array), 1, atol=1e-3)


def _are_rows(array: np.ndarray, count: int, most: int) -> bool:
    """Return whether an array has as many different rows of a list, in its order."""
    if array.dtype != np.int64 or array.shape != (count,) or not count:
        return False
    return bool(array[0] >= 0 and array[-1] < most and (np.diff(array) > 0).all())
