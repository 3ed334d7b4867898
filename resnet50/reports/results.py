"""Everything that the page of a report is about."""

from __future__ import annotations

from dataclasses import dataclass

from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.metrics.scores import Report
from resnet50.reports.training_summary import TrainingSummary


@dataclass(frozen=True, eq=False)
class Results:
    """The scores of a classifier, with its images and its training.

    Attributes:
        report: The scores.
        splits: The scored images as ``test``; those of the training as ``train`` and ``validation``, where known.
        training: The training.
        source: Where the scored images are; None where that is not known.
    """

    report: Report
    splits: DatasetSplits
    training: TrainingSummary
    source: DataSource | None = None

    @property
    def baseline(self) -> float:
        """Accuracy of always predicting the largest class of the scored images, 0..1."""
        return max(scores.support for scores in self.report.classes.values()) / self.report.images

    @property
    def skill(self) -> float:
        """Share of the baseline's mistakes that the classifier avoids: 1 without a mistake, 0 for the baseline."""
        baseline = self.baseline
        return (self.report.accuracy - baseline) / (1 - baseline) if baseline < 1 else 0.0
