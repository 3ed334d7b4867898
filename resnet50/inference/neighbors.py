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
    arrays = _read(stored, digests, most=len(images), width=classifier.features.output_shape[-1])
    if arrays is None:
        _log.info("computing the features of %s, once", plural(min(MOST_IMAGES, len(images)), "training image"))
        chosen = np.linspace(0, len(images) - 1, min(MOST_IMAGES, len(images))).astype(np.int64)
        arrays = _compute(classifier, [images[k][0] for k in chosen], progress)
        arrays = {"features": arrays["features"], "images": chosen[arrays["images"]]}
        with suppress(OSError, ValueError), atomic_path(stored) as temporary:  # a folder that is only read
            np.savez(temporary, **arrays, **digests)
    rows = arrays["images"].tolist()
    return TrainingFeatures(arrays["features"], tuple(images[k][0] for k in rows), tuple(images[k][1] for k in rows))


def _compute(classifier: Classifier, paths: Sequence[Path], progress: Progress | None) -> dict[str, np.ndarray]:
    """Return features of length 1, and the places of their images among the paths."""
    embedding = embed(classifier, paths, progress=progress)
    unreadable = {each.path for each in embedding.unreadable}
    places = np.array([k for k, path in enumerate(paths) if str(path) not in unreadable], np.int64)
    features = embedding.features
    norms = np.sqrt(np.einsum("nd,nd->n", features, features))
    if not norms.all():  # without a direction, nothing is near
        features, places, norms = features[norms > 0], places[norms > 0], norms[norms > 0]
    features /= norms[:, None]
    return {"features": features, "images": places}


def _read(path: Path, digests: Mapping[str, str], *, most: int, width: int) -> dict[str, np.ndarray] | None:
    """Return the stored arrays; None if there is no file, or another one than was written for these digests."""
    try:
        if path.stat().st_size > 4 * most * width + 8 * most + _OVERHEAD:
            return None
        with zipfile.ZipFile(path) as archive:
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                return None  # a few bytes could unpack to any number
        with np.load(path, allow_pickle=False) as file:
            if set(file.files) != {"features", "images", *digests}:
                return None
            if any(file[name].shape != () or str(file[name]) != digest for name, digest in digests.items()):
                return None
            arrays = {name: file[name] for name in ("features", "images")}
    except Exception:  # a damaged file raises those of zipfile, NumPy and the system; it is made anew
        return None
    features, rows = arrays["features"], arrays["images"]
    if (features.dtype, rows.dtype) != (np.float32, np.int64) or features.shape != (len(rows), width) or rows.ndim != 1:
        return None
    if not len(rows) or rows[0] < 0 or rows[-1] >= most or (np.diff(rows) <= 0).any():
        return None
    return arrays if np.allclose(np.einsum("nd,nd->n", features, features), 1, atol=1e-3) else None
