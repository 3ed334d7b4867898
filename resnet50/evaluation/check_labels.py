"""The audit with labels: images whose label may be wrong, by predictions of models that have not seen them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from resnet50._io.fetch import Progress
from resnet50.audit.check import Audit, check
from resnet50.audit.issue import SEVERITIES, AllImages, Issue
from resnet50.audit.label_errors import label_issues
from resnet50.data.dataset import Dataset
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.data.splitting import FoldsError
from resnet50.datasets.source import DataSource
from resnet50.evaluation.cross_validate import cross_validate
from resnet50.training.recipe import Recipe


def check_labels(
    source: str | os.PathLike[str] | DataSource | Dataset | DatasetSplits,
    recipe: Recipe,
    *,
    options: ReadOptions = DEFAULT_OPTIONS,
    folds: int = 5,
    seeds: Sequence[int] = (0,),
    progress: Progress | None = None,
) -> Audit:
    """Find what is wrong with a dataset, as `resnet50.check` does, and which labels may be wrong.

    Every image is predicted by a linear head on frozen features that was fitted without it
    (`resnet50.cross_validate`). Images that are predicted as another class are ranked by the probability of their
    label, with the nearest images of both classes; confident learning marks those that are probably wrong, and says how
    many are expected of each class (`resnet50.audit.label_errors`). Images whose label corrections confirm or change
    are not among them.

    Args:
        source: As for `resnet50.check`.
        recipe: Pretrained weights, image size and fit; its linear probe.
        options: As for `resnet50.check`.
        folds: Number of folds, at least 2.
        seeds: A seed for each cut into folds; the probabilities are the mean over the cuts.
        progress: Called with the number done and the total, from the start again for each stage of the work.

    Returns:
        The audit, with an issue of the kind ``"label-error"`` if there are such images. Where the source cannot be used
        for training or cut into folds, labels are not checked, and the issue says so.

    Raises:
        FileNotFoundError: If nothing is there, or there is no file of the pretrained weights.
        ValueError: As `resnet50.check` and `resnet50.cross_validate`.
    """
    audit = check(source, image_size=recipe.image_size, fit=recipe.fit, options=options, progress=progress)
    if any(issue.kind in ("unusable", "damaged") for issue in audit.issues):
        return _not_checked(audit, "the source cannot be used for training.")
    try:
        result = cross_validate(recipe.change(fit=None), audit.splits, folds=folds, seeds=seeds, progress=progress)
    except FoldsError as error:
        return _not_checked(audit, str(error))
    images = AllImages(audit.splits.by_name)
    corrections = audit.splits.corrections
    decided = corrections.decided if corrections is not None else frozenset()
    found = label_issues(images, result.probabilities, result.features, decided=decided)
    issues = (*audit.issues, *found)
    return replace(audit, issues=tuple(sorted(issues, key=lambda issue: SEVERITIES.index(issue.severity))))


def _not_checked(audit: Audit, reason: str) -> Audit:
    """Return the audit with a note on why labels are not checked."""
    issue = Issue("label-error", "note", f"Labels are not checked: {reason}", "Fix that first, and check again.")
    return replace(audit, issues=(*audit.issues, issue))
