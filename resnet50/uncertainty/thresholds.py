"""The thresholds of a classifier: what a prediction set holds, and which images are refused.

They are one object, which lies in the classifier's file and beside its exports, as arrays in NumPy's format.
"""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.text import plural, short
from resnet50.uncertainty.conformal import (
    METHODS,
    class_scores,
    conformal_quantile,
    fewest_images,
    prediction_sets,
)
from resnet50.uncertainty.distance import nearest_distances, unit
from resnet50.uncertainty.scaling import Temperature, scale
from resnet50.uncertainty.shares import COVERAGE, REFUSE

NEIGHBORS = 5
"""Nearest training images that an image is compared with."""

MOST_REFERENCES = 10_000
"""Most training images whose features are stored, evenly spread over all: 41 MB of features of ResNet-50."""

FILE = "thresholds.npz"
"""Name of the arrays in a ``.keras`` file, and beside an export."""

FITTED_ON = ("out-of-fold", "held-out")
"""The images that thresholds are fitted on, as `Thresholds` describes."""

_ABOUT = ("method", "fitted_on", "neighbors")
_MOST_BYTES = 1 << 28  # of a file; more than any classifier has
_LEVELS = (0.8, 0.9, 0.95, 0.99)  # coverages that a manifest states


@dataclass(frozen=True, eq=False)
class Judgement:
    """What thresholds say about images.

    Attributes:
        sets: Which classes are in the prediction set of each, bool ``(n, classes)``; None where no sets were asked for
            or can be given.
        distances: Cosine distance to the nearest training images, float32 ``(n,)``, 0..2; None without features.
        refused: Whether it is further than allowed, bool ``(n,)``; None where refusal was not asked for, or not known.
    """

    sets: np.ndarray | None
    distances: np.ndarray | None
    refused: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Thresholds:
    """When a classifier names several classes, and when it names none.

    They are fitted on images that the classifier has not learned from, and that chose nothing about it:

    - ``"out-of-fold"``: the training images, where the network below its linear head was not trained on them. The head
      was fitted anew without each fold of them in turn, and gave the scores of that fold. A set then holds the right
      class with a probability of at least ``1 - 2 alpha`` in theory (Barber et al. 2021, arXiv:1905.02928), and of
      about ``1 - alpha`` in practice, since a head fitted to fewer images is less sure.
    - ``"held-out"``: images of the validation split that no choice was made by: at least ``1 - alpha``.

    Attributes:
        temperature: Divides the logits before sets are made; 1 where none lowers the loss of held-out images.
        method: Score of a class, one of `resnet50.uncertainty.conformal.METHODS`.
        scores: Scores of the right classes of the calibration images, float32 ``(m,)``, 0..1.
        labels: Their classes, int64 ``(m,)``.
        distances: Distances of images like the training's to the nearest reference images, float32 ``(k,)``; empty
            where the classifier has no features.
        features: Features of the reference images, float16 ``(n, d)``, of length 1; empty as well.
        fitted_on: One of `FITTED_ON`.
        neighbors: Nearest reference images that an image is compared with.

    Raises:
        ValueError: If an array or a number is impossible.
    """

    temperature: Temperature
    method: str
    scores: np.ndarray
    labels: np.ndarray
    distances: np.ndarray
    features: np.ndarray
    fitted_on: str
    neighbors: int = NEIGHBORS

    def __post_init__(self) -> None:
        checks = {
            "temperature": self.temperature.is_possible,
            "method": self.method in METHODS,
            "scores": self.scores.ndim == 1 and self.scores.dtype == np.float32 and _in_range(self.scores, 0, 2),
            "labels": self.labels.shape == self.scores.shape and self.labels.dtype == np.int64,
            "distances": self.distances.ndim == 1
            and self.distances.dtype == np.float32
            and _in_range(self.distances, -0.01, 2.01),
            "features": self.features.ndim == 2
            and self.features.dtype == np.float16
            and len(self.features) <= MOST_REFERENCES
            and _in_range(self.features, -1.01, 1.01),
            "fitted_on": self.fitted_on in FITTED_ON,
            "neighbors": isinstance(self.neighbors, int) and self.neighbors >= 1,
        }
        for name, holds in checks.items():
            if not holds:
                raise ValueError(f"expected thresholds with possible {name}, got {short(getattr(self, name))}.")

    @property
    def refuses(self) -> bool:
        """Whether there are features to compare images with."""
        return bool(len(self.features) and len(self.distances))

    def class_thresholds(self, coverage: float, classes: int) -> np.ndarray | None:
        """Return the largest score that a set holds, for each class.

        Each class has its own where it has enough calibration images, so that sets hold the right class at the coverage
        for the images of each class; else all have the same one, and that holds on average over all images.

        Args:
            coverage: ``1 - alpha``, above 0 and below 1.
            classes: Number of classes.

        Returns:
            float64 ``(classes,)``; None where there are too few calibration images.
        """
        if self.by_class(coverage, classes):
            return np.array(
                [conformal_quantile(self.scores[self.labels == label], coverage) for label in range(classes)]
            )
        quantile = conformal_quantile(self.scores, coverage)
        return None if quantile is None else np.full(classes, quantile)

    def by_class(self, coverage: float, classes: int) -> bool:
        """Return whether each of so many classes has the calibration images that a threshold of its own needs."""
        return bool(np.bincount(self.labels, minlength=classes).min() >= fewest_images(coverage))

    def farthest(self, refuse: float) -> float | None:
        """Return the largest distance that is not refused; None where there are too few images to set it by.

        Args:
            refuse: Share of images like the training's that may be refused, above 0 and below 1.
        """
        return conformal_quantile(self.distances, 1 - refuse) if self.refuses else None

    def judge(
        self,
        probabilities: np.ndarray,
        distances: np.ndarray | None = None,
        *,
        coverage: float | None = COVERAGE,
        refuse: float | None = REFUSE,
    ) -> Judgement:
        """Return the prediction sets of images, and which of them are refused.

        Args:
            probabilities: float ``(n, classes)``, 0..1, as the classifier gives them.
            distances: Those that `measure` returns, float ``(n,)``; None where they are not known.
            coverage: Share of images whose class is to be in their set, above 0 and below 1; None for no sets.
            refuse: Share of images like the training's that may be refused, above 0 and below 1; None for no refusal.

        Raises:
            ValueError: If a share is not between 0 and 1.
        """
        sets = refused = None
        if coverage is not None:
            thresholds = self.class_thresholds(coverage, probabilities.shape[1])
            if thresholds is not None:
                sets = prediction_sets(scale(probabilities, self.temperature.value), thresholds, self.method)
        if refuse is not None and distances is not None and (limit := self.farthest(refuse)) is not None:
            refused = ~(distances <= limit)  # NaN is no distance
        return Judgement(sets, distances, refused)

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Return the cosine distance of images to the nearest reference images, float32 ``(n,)``, 0..2.

        Args:
            features: Of the images, float ``(n, d)``.

        Raises:
            ValueError: If they have another number of features.
        """
        if features.shape[1] != self.features.shape[1]:
            raise ValueError(
                f"expected {features.shape[1]:,} features of the training images, as the network gives, got "
                f"{self.features.shape[1]:,} in the thresholds; restore the file that was written with the network."
            )
        return nearest_distances(features, self.features, self.neighbors)

    def why_none(self, coverage: float | None, refuse: float | None, *, classes: int, prefix: str = "") -> str:
        """Return why there are no sets at a coverage, or no refusal; "" where both can be given.

        Args:
            coverage: As for `judge`.
            refuse: As for `judge`.
            classes: Number of classes.
            prefix: What the names of the shares begin with where the reader types them, such as ``"--"``.

        Returns:
            One line, with shares that so many images are enough for.
        """
        missing, possible = [], []
        if coverage is not None and self.class_thresholds(coverage, classes) is None:
            count, needed = len(self.scores), fewest_images(coverage)
            missing.append(_too_few(needed, f"for prediction sets at a coverage of {coverage:g}", count))
            possible += [f"{prefix}coverage {level:g}" for level in _possible(count)]
        if refuse is not None and self.refuses and self.farthest(refuse) is None:
            count, needed = len(self.distances), fewest_images(1 - refuse)
            missing.append(_too_few(needed, f"to refuse a share of {refuse:g}", count))
            possible += [f"{prefix}refuse {1 - level:g}" for level in _possible(count)]
        if not missing:
            return ""
        shares = f"predict with {' '.join(possible)}" if prefix else f"take {' and '.join(possible)}"
        instead = f", or {shares}" if possible else ""
        return f"expected at least {', and '.join(missing)}; train on more images{instead}."

    def divided(self, temperature: float) -> Thresholds:
        """Return the same thresholds for a classifier whose logits are divided by a temperature already."""
        rest = replace(self.temperature, value=self.temperature.value / temperature)
        return replace(self, temperature=rest)

    def to_bytes(self) -> bytes:
        """Return the content of a file in NumPy's format, which ``numpy.load`` opens without pickle."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            scores=self.scores,
            labels=self.labels,
            distances=self.distances,
            features=self.features,
            about=json.dumps(
                {"temperature": asdict(self.temperature)} | {name: getattr(self, name) for name in _ABOUT}
            ),
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes, *, classes: int) -> Thresholds:
        """Return the thresholds that `to_bytes` wrote.

        Args:
            content: The content of the file.
            classes: Number of classes of the classifier.

        Raises:
            ValueError: If it is another file, or damaged.
        """
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                    raise ValueError("compressed arrays")  # a few bytes could unpack to any number
            with np.load(io.BytesIO(content), allow_pickle=False) as file:
                arrays = {name: file[name] for name in ("scores", "labels", "distances", "features")}
                about = json.loads(str(file["about"]))
            thresholds = cls(
                **arrays, temperature=Temperature(**about["temperature"]), **{name: about[name] for name in _ABOUT}
            )
            if len(thresholds.labels) and not (thresholds.labels.min() >= 0 and thresholds.labels.max() < classes):
                raise ValueError(f"labels of other classes than {classes}")
        except Exception as error:  # a damaged file raises those of zipfile and NumPy
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"expected the thresholds of a classifier, got a damaged or other file ({reason})."
            ) from error
        return thresholds

    def to_dict(self, classes: int) -> dict[str, Any]:
        """Return the thresholds as plain numbers, ready for JSON, for programs without this package.

        Args:
            classes: Number of classes.

        Returns:
            For each coverage the largest score of each class, the distance beyond which an image is refused, and how
            both are computed.
        """
        sets = {f"{level:g}": self.class_thresholds(level, classes) for level in _LEVELS}
        refusal = {f"{share:g}": self.farthest(share) for share in (0.01, REFUSE, 0.1)} if self.refuses else {}
        return {
            "fitted_on": {"images": self.fitted_on, "count": len(self.scores)},
            "temperature": self.temperature.value,
            "prediction_set": {
                "score": self.method,
                "by_class": self.by_class(COVERAGE, classes),
                "largest_score": {level: _plain(values) for level, values in sets.items() if values is not None},
            },
            "refusal": {
                "neighbors": self.neighbors,
                "reference_images": len(self.features),
                "bytes": self.features.nbytes,
                "largest_distance": {share: value for share, value in refusal.items() if value is not None},
            },
        }

    def __str__(self) -> str:
        """Return what they are fitted on and how large they are, as a part of a sentence."""
        images = plural(len(self.scores), "image")
        where = "out of fold" if self.fitted_on == "out-of-fold" else "held out"
        shipped = f", with the features of {plural(len(self.features), 'training image')}" if self.refuses else ""
        return f"{images} {where}{shipped} ({self.features.nbytes / 1e6:.1f} MB)"


def read_member(archive: zipfile.ZipFile, *, classes: int) -> Thresholds | None:
    """Read the thresholds of a ``.keras`` file that is open; None where it has none.

    Raises:
        ValueError: If they are damaged, or far too large.
    """
    if FILE not in archive.namelist():
        return None
    if archive.getinfo(FILE).file_size > _MOST_BYTES:
        raise ValueError(f"expected thresholds of at most {_MOST_BYTES >> 20} MiB, got more.")
    return Thresholds.from_bytes(archive.read(FILE), classes=classes)


def read_file(folder: Path, *, classes: int) -> Thresholds:
    """Read the thresholds beside an export.

    Raises:
        ValueError: If they are damaged, or far too large.
    """
    path = folder / FILE
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"expected thresholds of at most {_MOST_BYTES >> 20} MiB, got more.")
        return Thresholds.from_bytes(path.read_bytes(), classes=classes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def reference_features(features: np.ndarray) -> np.ndarray:
    """Return the features that are stored to compare images with, float16 ``(n, d)``, of length 1."""
    return unit(features[spread_indices(len(features))]).astype(np.float16)


def spread_indices(count: int) -> np.ndarray:
    """Return which of ``count`` images have their features stored: at most `MOST_REFERENCES`, evenly spread."""
    return np.linspace(0, count - 1, min(MOST_REFERENCES, count)).astype(np.int64)


def right_scores(probabilities: np.ndarray, labels: np.ndarray, method: str) -> np.ndarray:
    """Return the scores of the right classes of images, float32 ``(n,)``."""
    return class_scores(probabilities, method)[np.arange(len(labels)), labels].astype(np.float32)


def _too_few(needed: int, purpose: str, count: int) -> str:
    return f"{plural(needed, 'calibration image')} {purpose}, got {count:,}"


def _possible(count: int) -> list[float]:
    """Return the highest usual coverage that so many calibration images are enough for; nothing if they are not."""
    return [level for level in _LEVELS if fewest_images(level) <= count][-1:]


def _in_range(values: np.ndarray, low: float, high: float) -> bool:
    return bool(((values >= low) & (values <= high)).all())  # NaN compares false


def _plain(thresholds: np.ndarray) -> float | list[float]:
    """Return one number where all classes have the same."""
    return float(thresholds[0]) if (thresholds == thresholds[0]).all() else thresholds.tolist()
