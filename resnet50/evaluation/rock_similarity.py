"""Agreement of a network's features of rocks with human judgments of their similarity."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from resnet50._io.fetch import Progress
from resnet50._io.files import check_writable, write_text
from resnet50.data.dataset import Dataset
from resnet50.datasets import rocks
from resnet50.datasets.source import DataSource
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import Located, locate
from resnet50.inference.recorded_images import load_recorded
from resnet50.metrics.scores import Report, score
from resnet50.metrics.similarity import Similarity, similarity
from resnet50.training.run import RunDirectory

_TASK = "rocks"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RockSimilarity:
    """A comparison of a classifier with human judgment.

    Attributes:
        model: The classifier's file.
        dataset: Name of the dataset that it was trained on.
        similarity: Correlations with the human dimensions.
        reports: Scores on the test images by the 30 ``"classes"`` and the 3 ``"categories"``; empty for a classifier
            of other classes.
        folder: Folder of ``similarity.json`` and ``similarity.png``.
    """

    model: Path
    dataset: str
    similarity: Similarity
    reports: Mapping[str, Report]
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as in ``similarity.json``."""
        accuracies = {
            name: {"accuracy": report.accuracy, "interval": report.interval} for name, report in self.reports.items()
        }
        return {
            "model": str(self.model),
            "dataset": self.dataset,
            "dimension_names": rocks.DIMENSIONS,
            "similarity": asdict(self.similarity),
            "test": accuracies,
        }


def rock_similarity(
    model: str | os.PathLike[str],
    source: str | os.PathLike[str] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    permutations: int = 1000,
    progress: Progress | None = None,
) -> RockSimilarity:
    """Compare a classifier's features of rocks with the coordinates that human judgments give the same images.

    Args:
        model: Folder of a run, or a ``.keras`` file.
        source: Folder with ``360 Rocks``, ``120 Rocks`` and both ``mds`` files; None for the folder that the
            run recorded.
        out: Folder of ``similarity.json`` and ``similarity.png``; that of the model by default.
        permutations: Shuffles for the correlation that chance gives, at least 1.
        progress: Called while images are decoded.

    Returns:
        The comparison.

    Raises:
        FileNotFoundError: If the model or the images are not there.
        PermissionError: If the folder cannot be written to; before anything is read.
        ValueError: If the model does not take square images or has no features, there is no permutation, or ``out`` is
            a file.
    """
    located = locate(model)
    folder = located.model.parent if out is None else Path(out)
    check_writable(folder / "similarity.json")
    images = _find_source(located, source)
    if permutations < 1:
        raise ValueError(f"expected permutations to be at least 1, got {permutations}.")
    classifier = Classifier.load(located.model)
    height, width = classifier.image_size
    if height != width:
        raise ValueError(f"{located.model}: expected a model of square images, got one of {width} x {height} pixels.")
    _log.info("reading images")
    if source is not None:
        splits = images.load(height, fit=classifier.fit, progress=progress)
    else:
        splits = load_recorded(images, height, fit=classifier.fit, progress=progress)
    agreement = _compare(classifier, splits["train"], splits["test"], str(images.path), permutations)
    reports = _score(classifier, splits["test"])
    result = RockSimilarity(located.model, classifier.dataset, agreement, reports, folder)
    _write(result)
    return result


def _find_source(located: Located, source: str | os.PathLike[str] | None) -> DataSource:
    if source is not None:
        return DataSource(_TASK, str(source))
    recorded = RunDirectory(located.run).read().source if located.run is not None else None
    if recorded is None or recorded.task != _TASK or recorded.path is None:
        raise FileNotFoundError(
            f"{located.model}: expected a run that recorded the folder of 360 Rocks and 120 Rocks, got none; "
            "give that folder (--data)."
        )
    return DataSource(_TASK, recorded.path)


def _compare(classifier: Classifier, train: Dataset, test: Dataset, folder: str, permutations: int) -> Similarity:
    _log.info("comparing with human judgment")
    train_features, test_features = (
        forward_array(classifier.features, split.images, batch_size=32) for split in (train, test)
    )
    return similarity(
        train_features,
        rocks.human_space(folder, train),
        test_features,
        rocks.human_space(folder, test),
        permutations=permutations,
    )


def _score(classifier: Classifier, test: Dataset) -> dict[str, Report]:
    """Score by class and by category; nothing where the classifier has other classes."""
    if classifier.class_names != test.class_names:
        return {}
    probabilities = classifier.probabilities(test.images)
    by_category = score(*rocks.by_category(probabilities, test))
    return {"classes": score(probabilities, test), "categories": by_category}


def _write(result: RockSimilarity) -> None:
    from resnet50.plots.save import save_figure  # they load Matplotlib
    from resnet50.plots.similarity import draw_similarity

    write_text(result.folder / "similarity.json", json.dumps(result.to_dict(), indent=2))
    save_figure(draw_similarity(result.similarity, rocks.DIMENSIONS), result.folder / "similarity.png")
