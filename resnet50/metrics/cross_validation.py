"""Scores of a cross-validation, in which each image is predicted once by a model that has not seen it."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.cells import harmless
from resnet50._io.files import atomic_path
from resnet50._io.matrix_json import with_matrix
from resnet50.data.dataset import Dataset
from resnet50.data.splits import DatasetSplits
from resnet50.metrics.scores import ClassScores, Report, score


@dataclass(frozen=True, eq=False)
class Repetition:
    """One cross-validation: a cut into folds and the predictions of its models.

    Attributes:
        seed: Seed of the cut.
        folds: Fold of each image, int64 ``(n,)``, counted from 0.
        probabilities: Row k by the model that has not seen image k, float32 ``(n, classes)``, 0..1.
        c_values: The ``C`` of each fold's linear head; empty where the whole recipe was trained.
    """

    seed: int
    folds: np.ndarray
    probabilities: np.ndarray
    c_values: tuple[float, ...] = ()


@dataclass(frozen=True)
class FoldScores:
    """Scores on one fold.

    Attributes:
        seed: Seed of the cut.
        fold: Number of the fold, counted from 1.
        images: Number of its images.
        accuracy: Share of them whose most probable class is right, 0..1.
        c: The ``C`` of its linear head; None where the whole recipe was trained.
    """

    seed: int
    fold: int
    images: int
    accuracy: float
    c: float | None


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """The result of `resnet50.cross_validate`.

    Attributes:
        splits: The images by their split in the source.
        dataset: All of them, as `DatasetSplits.pooled`.
        clusters: Set of images that belong together (a group, near-duplicates) of each image, int64 ``(n,)``.
        repetitions: A cross-validation for each seed, at least one.
        weights: Name or file of the pretrained weights; None where the network started from random ones.
        features: Features of each image by the frozen network, float32 ``(n, d)``; None where the whole recipe was
            trained.
        remarks: What the reader should know about these scores, in sentences.
    """

    splits: DatasetSplits
    dataset: Dataset
    clusters: np.ndarray
    repetitions: tuple[Repetition, ...]
    weights: str | None
    features: np.ndarray | None = None
    remarks: tuple[str, ...] = ()

    @property
    def folds(self) -> int:
        """Number of folds."""
        return int(self.repetitions[0].folds.max()) + 1

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """The scores of each repetition over all images.

        Their intervals take images for independent; `interval` does not.
        """
        return tuple(score(each.probabilities, self.dataset) for each in self.repetitions)

    @property
    def probabilities(self) -> np.ndarray:
        """The mean probabilities over the repetitions, float32 ``(n, classes)``."""
        return np.mean([each.probabilities for each in self.repetitions], axis=0)

    @property
    def accuracy(self) -> float:
        """Share of the images that are predicted right, 0..1, the mean over the repetitions."""
        return float(np.mean([report.accuracy for report in self.reports]))

    @property
    def fold_scores(self) -> tuple[FoldScores, ...]:
        """The scores of each fold of each repetition."""
        return tuple(
            FoldScores(
                seed=each.seed,
                fold=fold + 1,
                images=int((each.folds == fold).sum()),
                accuracy=float(self._is_right(each)[each.folds == fold].mean()),
                c=each.c_values[fold] if each.c_values else None,
            )
            for each in self.repetitions
            for fold in range(self.folds)
        )

    @property
    def spread(self) -> float:
        """Standard deviation of the accuracy over the folds of all repetitions, 0..1."""
        return float(np.std([each.accuracy for each in self.fold_scores], ddof=1))

    @property
    def spread_of_seeds(self) -> float | None:
        """Standard deviation of the accuracy over the repetitions, 0..1; None for one repetition."""
        accuracies = [report.accuracy for report in self.reports]
        return float(np.std(accuracies, ddof=1)) if len(accuracies) > 1 else None

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the accuracy, 0..1.

        It is Wilson's for the effective number of images, which is smaller than the number of images where those that
        belong together are right or wrong together (design effect; Kish 1965). It does not contain the chance in which
        images a model is trained on; `spread` shows that.
        """
        right = np.mean([self._is_right(each) for each in self.repetitions], axis=0)
        return wilson_interval(self.accuracy, len(right) / design_effect(right, self.clusters))

    @property
    def classes(self) -> dict[str, ClassScores]:
        """Scores of each class by its name, the mean over the repetitions."""
        rows = {name: [report.classes[name] for report in self.reports] for name in self.dataset.class_names}
        return {name: _mean_scores(of_class) for name, of_class in rows.items()}

    def to_json(self) -> str:
        """Return the scores as JSON text, in which each row of the confusion matrix is a line."""
        values: dict[str, Any] = {
            "dataset": self.dataset.name,
            "images": len(self.dataset),
            "folds": self.folds,
            "weights": self.weights,
            "accuracy": self.accuracy,
            "interval": self.interval,
            "spread": self.spread,
            "spread_of_seeds": self.spread_of_seeds,
            "loss": float(np.mean([report.loss for report in self.reports])),
            "macro_f1": float(np.mean([report.macro_f1 for report in self.reports])),
            "fold_scores": [asdict(each) for each in self.fold_scores],
            "classes": {name: asdict(scores) for name, scores in self.classes.items()},
            "confusion": [],
            "remarks": self.remarks,
        }
        confusion = np.mean([report.confusion for report in self.reports], axis=0)
        return with_matrix(values, "confusion", confusion.tolist())

    def save_predictions(self, path: Path) -> None:
        """Write a row for each image and repetition as CSV, atomically.

        The columns are path, split, label, seed, fold (counted from 1), prediction, and the probability of each class.
        """
        names = self.dataset.class_names
        splits = [split for split, images in self.splits.by_name.items() for _ in range(len(images))]
        with (
            atomic_path(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file,
        ):
            table = csv.writer(file)
            columns = ("path", "split", "label", "seed", "fold", "prediction")
            table.writerow([*columns, *(f"probability of {name}" for name in names)])
            for each in self.repetitions:
                for k, row in enumerate(each.probabilities):
                    words = (self.dataset.paths[k], splits[k], names[self.dataset.labels[k]])
                    cells = (*words, each.seed, each.folds[k] + 1, names[row.argmax()])
                    table.writerow([*map(harmless, cells), *(f"{share:.6f}" for share in row)])

    def _is_right(self, repetition: Repetition) -> np.ndarray:
        return repetition.probabilities.argmax(axis=1) == self.dataset.labels


def wilson_interval(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson 1927).

    Args:
        share: The share, 0..1.
        count: Number of independent trials, above 0; may be a fraction.
    """
    z = 1.959964
    center = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, float(center - half)), min(1.0, float(center + half))


def design_effect(values: np.ndarray, clusters: np.ndarray) -> float:
    """Return by how much images that belong together widen the variance of a mean, at least 1.

    It is the variance of the mean with clusters drawn as a whole, over that with images drawn one by one.

    Args:
        values: A number for each image, ``(n,)``.
        clusters: Cluster of each image, ``(n,)``, from 0.

    Source: Kish 1965, Survey Sampling, section 8.2.
    """
    deviations = values - values.mean()
    alone = np.square(deviations).sum()
    together = np.square(np.bincount(clusters, weights=deviations)).sum()
    return max(1.0, float(together / alone)) if alone > 0 else 1.0


def _mean_scores(rows: Sequence[ClassScores]) -> ClassScores:
    return ClassScores(
        precision=float(np.mean([row.precision for row in rows])),
        recall=float(np.mean([row.recall for row in rows])),
        f1=float(np.mean([row.f1 for row in rows])),
        support=rows[0].support,
    )
