"""The training images that are most like an image, by the features of the network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.files import atomic_path
from resnet50.inference.classifier import Classifier
from resnet50.inference.embed import embed


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
        similarities = self.features @ (features / np.linalg.norm(features).clip(1e-12))
        best = np.argsort(-similarities, kind="stable")[:count]
        return tuple(Neighbor(self.paths[k], self.class_names[k], float(similarities[k])) for k in best)


def training_features(
    classifier: Classifier,
    images: Sequence[tuple[Path, str]],
    stored: str | os.PathLike[str],
    *,
    sha256: str,
    progress: Progress | None = None,
) -> TrainingFeatures:
    """Return the features of training images, from the file that stores them or by computing and storing them.

    Args:
        classifier: The classifier.
        images: Path and class of each; those that cannot be read are left out.
        stored: The ``.npz`` file.
        sha256: That of the classifier's file; features of another are computed again.
        progress: Called after each file with the number of files done and their total.
    """
    stored = Path(stored)
    if stored.is_file():
        with np.load(stored) as file:
            if set(file.files) == _ARRAYS and str(file["model_sha256"]) == sha256:
                paths = tuple(map(Path, file["paths"].tolist()))
                return TrainingFeatures(file["features"], paths, tuple(file["class_names"].tolist()))
    classes = dict(images)
    embedding = embed(classifier, [path for path, _ in images], progress=progress)
    norms = np.linalg.norm(embedding.features, axis=1, keepdims=True).clip(1e-12)
    found = TrainingFeatures(embedding.features / norms, embedding.paths, tuple(classes[p] for p in embedding.paths))
    with atomic_path(stored) as temporary:
        np.savez(
            temporary,
            features=found.features,
            paths=np.array([str(path) for path in found.paths], dtype=np.str_),
            class_names=np.array(found.class_names, dtype=np.str_),
            model_sha256=sha256,
        )
    return found


_ARRAYS = {"features", "paths", "class_names", "model_sha256"}
