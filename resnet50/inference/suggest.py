"""Unlabeled images whose labels would teach most: uncertain ones, unlike each other (active learning)."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resnet50._io.cells import harmless
from resnet50._io.fetch import Progress
from resnet50._io.files import atomic_path
from resnet50._io.text import plural
from resnet50.data.dataset import Unreadable
from resnet50.inference.classifier import Classifier
from resnet50.inference.embed import embed

COLUMNS = ("path", "label", "prediction", "probability", "second", "uncertainty")
"""Columns of the table that `Suggestions.save` writes."""

_LONGEST = 1 << 20  # characters of a line that is read


@dataclass(frozen=True)
class Suggestion:
    """An image to label.

    Attributes:
        path: The file.
        prediction: Its most probable class.
        probability: Its probability, 0..1.
        second: The second most probable class.
        uncertainty: ``1 - (p1 - p2)`` of the two most probable classes, 0..1.
    """

    path: Path
    prediction: str
    probability: float
    second: str
    uncertainty: float


@dataclass(frozen=True)
class Suggestions:
    """The result of `suggest`.

    Attributes:
        images: The images to label, the first one first.
        searched: Number of images that they were chosen from.
        class_names: The classes of the classifier.
        unreadable: Files that could not be read.
    """

    images: tuple[Suggestion, ...]
    searched: int
    class_names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a row for each image as CSV, atomically: path, an empty label to fill in, and what is predicted.

        Paths of images below the folder of the table are relative to it, so that it can be read as a dataset.

        Raises:
            ValueError: As `check_unlabeled`.
        """
        check_unlabeled(path)
        folder = Path(path).absolute().parent
        with (
            atomic_path(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            table = csv.writer(file)
            table.writerow(COLUMNS)
            for each in self.images:
                image = each.path.absolute()
                place = image.relative_to(folder) if image.is_relative_to(folder) else image
                words = map(harmless, (str(place), "", each.prediction))
                table.writerow((*words, f"{each.probability:.4f}", harmless(each.second), f"{each.uncertainty:.4f}"))


def check_unlabeled(path: str | os.PathLike[str]) -> None:
    """Refuse to replace a table that somebody has begun to fill in, or a file that is no such table.

    Args:
        path: Where the table of `Suggestions.save` is to be written. Nothing there, an empty file, and a table of that
            form without labels can be replaced.

    Raises:
        ValueError: If labels would be lost, or another file.
    """
    path = Path(path)
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        rows = csv.reader(iter(lambda: file.readline(_LONGEST), ""))
        try:
            header = tuple(next(rows, COLUMNS))
            labels = sum(len(row) > 1 and bool(row[1].strip()) for row in rows)
        except csv.Error:
            header = ()
    if header != COLUMNS:
        raise ValueError(
            f"{path}: expected a table of suggestions to replace, got another file; choose another name (--out)."
        )
    if labels:
        raise ValueError(
            f"{path}: expected a table without labels to replace, got one with {plural(labels, 'label')} filled in; "
            "keep it under another name, or choose one for the new table (--out)."
        )


def suggest(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike[str]],
    *,
    number: int = 50,
    progress: Progress | None = None,
) -> Suggestions:
    """Choose the images whose labels would teach a classifier most.

    The first is the one that the classifier is least certain of. Each further one has the largest product of its
    uncertainty and its distance to the nearest one chosen, so that near-duplicates are not asked for twice.

    Args:
        classifier: A trained classifier in fp32 that ends in a dense layer.
        paths: Image files without labels; `resnet50.find_images` finds those of folders.
        number: Number of images to choose, at least 1; all where there are fewer.
        progress: As for `resnet50.embed`.

    Returns:
        The images to label, the first one first, and the files that could not be read.

    Raises:
        ValueError: If the number is not positive, no image can be read, the classifier is an export, or it has fewer
            than two classes.

    Source: Scheffer, Decomain and Wrobel 2001 for the margin of the two most probable classes; Sener and Savarese 2018,
    arXiv:1708.00489, for the distance to those chosen. The product of both is this library's.
    """
    if number < 1:
        raise ValueError(f"expected at least 1 image to suggest, got {number!r}.")
    if len(classifier.class_names) < 2:
        raise ValueError(
            f"expected a classifier of at least two classes, got {len(classifier.class_names)}; use another."
        )
    from resnet50.inference.features import last_dense

    kernel, bias = last_dense(classifier.model).get_weights()
    embedding = embed(classifier, paths, progress=progress)
    if not embedding.paths:
        raise ValueError(f"expected images that can be read, got none of {len(paths):,}; name others.")
    probabilities = _softmax(embedding.features @ kernel + bias)
    order = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    first, second = np.take_along_axis(probabilities, order, axis=1).T
    chosen = choose(1 - (first - second), embedding.features, number)
    names = classifier.class_names
    images = (
        Suggestion(
            path=embedding.paths[k],
            prediction=names[order[k, 0]],
            probability=float(first[k]),
            second=names[order[k, 1]],
            uncertainty=float(1 - (first[k] - second[k])),
        )
        for k in chosen
    )
    return Suggestions(tuple(images), len(embedding.paths), names, embedding.unreadable)


def choose(uncertainty: np.ndarray, features: np.ndarray, number: int) -> list[int]:
    """Choose uncertain images that are unlike each other.

    Args:
        uncertainty: Uncertainty of each image, 0..1, ``(n,)``.
        features: ``(n, d)``; unlike is a large cosine distance.
        number: Number of images to choose, at most n.

    Returns:
        Their indices, the first one first.
    """
    rows = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    distance, left = np.ones(len(rows)), np.ones(len(rows), bool)
    chosen: list[int] = []
    while left.any() and len(chosen) < number:
        best = int(np.where(left, uncertainty * distance, -1).argmax())
        chosen.append(best)
        left[best] = False
        distance = np.minimum(distance, np.clip(1 - rows @ rows[best], 0, None))
    return chosen


def _softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))
