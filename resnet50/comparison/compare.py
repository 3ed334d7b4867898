"""Runs on the same test images: which are more accurate, and which differences are chance."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from resnet50._io.text import plural
from resnet50.audit.training_images import TrainingImage, read_training_images
from resnet50.comparison.runs import RunSummary, SeedGroup, changed_numbers, group_seeds, read_run
from resnet50.inference.locate import resume_command
from resnet50.metrics.paired import PairedDifference, paired_difference


@dataclass(frozen=True)
class ComparedGroup:
    """A run, or runs of one setting with different seeds, beside the others.

    Attributes:
        name: Name of its first run, and how many others there are; its path where another group has that name.
        runs: The runs.
        changes: Numbers of their recipe that are not the same in all compared runs.
        difference: How they differ from the first group on the same images; None for the first.
    """

    name: str
    runs: SeedGroup
    changes: dict[str, Any]
    difference: PairedDifference | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "runs": [run.to_dict() for run in self.runs.runs],
            "accuracy": self.runs.accuracy,
            "spread": self.runs.spread,
            "changes": self.changes,
            "difference": self.difference and asdict(self.difference),
        }


@dataclass(frozen=True)
class Disagreement:
    """A test image that some runs classify correctly and others do not.

    Attributes:
        path: Where it came from.
        class_name: Its class.
        right: For each group, the share of its runs that classify the image correctly, 0..1.
    """

    path: str
    class_name: str
    right: tuple[float, ...]


@dataclass(frozen=True)
class Comparison:
    """Compared runs.

    Attributes:
        dataset: Name of their dataset.
        images: Number of test images.
        groups: The runs in the order in which they were named, those of one setting together.
        disagreements: The test images on which the groups differ, those on which they differ most first.
    """

    dataset: str
    images: int
    groups: tuple[ComparedGroup, ...]
    disagreements: tuple[Disagreement, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "dataset": self.dataset,
            "images": self.images,
            "groups": [group.to_dict() for group in self.groups],
            "disagreements": [asdict(each) for each in self.disagreements],
        }


def compare(runs: Sequence[str | os.PathLike[str]]) -> Comparison:
    """Compare finished runs on their test images, each with the first.

    Runs that differ in their seed alone are taken together: their accuracy is the mean, and an image counts as the
    share of them that classify it correctly. Images are the same if their pixels are, or, for runs of other image sizes
    or fits, if their files and classes are.

    Args:
        runs: Directories of at least two runs, scored on the same test images.

    Returns:
        The runs with their paired differences from the first, and the images that they disagree about.

    Raises:
        FileNotFoundError: If one is not there.
        ValueError: If there are fewer than two, one is named twice, is damaged or not finished, they were scored on
            different images, or all are of one setting.
    """
    summaries = [read_run(folder) for folder in runs]
    images = _check(summaries)
    groups = group_seeds(summaries)
    if len(groups) < 2:
        raise ValueError(
            f"expected runs of different settings, got {len(summaries)} that differ in their seed alone; "
            "'resnet50 runs' shows their mean and spread."
        )
    changes = changed_numbers([group.runs[0] for group in groups])
    right = [_right(group) for group in groups]
    return Comparison(
        dataset=summaries[0].record.dataset,
        images=len(images),
        groups=tuple(
            ComparedGroup(name, group, changed, paired_difference(right[0], of_group) if number else None)
            for number, (name, group, changed, of_group) in enumerate(
                zip(_names(groups), groups, changes, right, strict=True)
            )
        ),
        disagreements=_disagreements(images, np.stack(right, axis=1)),
    )


def _names(groups: Sequence[SeedGroup]) -> list[str]:
    """Return a name for each group that no other has, since curves and columns bear it."""
    count = Counter(group.name for group in groups)
    return [group.name if count[group.name] == 1 else group.place for group in groups]


def _disagreements(images: Sequence[TrainingImage], right: np.ndarray) -> tuple[Disagreement, ...]:
    """Return the images whose row of ``right``, ``(images, groups)``, has different values."""
    spread = np.ptp(right, axis=1)
    order = np.argsort(-spread, kind="stable")[: int((spread > 0).sum())]
    return tuple(Disagreement(images[k].path, images[k].class_name, tuple(right[k].tolist())) for k in order)


def _right(group: SeedGroup) -> np.ndarray:
    """Return the share of a group's runs that classify each image correctly, 0..1, ``(images,)``."""
    return np.mean([run.scores.right for run in group.runs if run.scores], axis=0)


def _check(runs: Sequence[RunSummary]) -> tuple[TrainingImage, ...]:
    """Return the test images of the runs, which have to be the same ones."""
    if len(runs) < 2:
        raise ValueError(f"expected at least two runs to compare, got {len(runs)}; name more.")
    if len({run.folder.path.resolve() for run in runs}) < len(runs):
        raise ValueError("expected different runs, got one of them twice; name each once.")
    for run in runs:
        if run.scores is None:
            raise ValueError(
                f"{run.folder.path}: expected a finished run, got one without scores; resume it: "
                f"{resume_command(run.folder.path)}"
            )
    first, images = runs[0], _test_images(runs[0])
    for run in runs[1:]:
        others = _test_images(run)
        if not _same_images((run, others), (first, images)):
            labels = _with_other_labels(images, others)
            raise ValueError(
                f"{run.folder.path}: expected the test images of {first.folder.path} ({first.record.dataset}, "
                f"{plural(len(images), 'image')}), got others ({run.record.dataset}, {plural(len(others), 'image')}"
                f"{f', {labels:,} with another label' if labels else ''}); compare runs that were scored on the same "
                "images."
            )
    return images


def _with_other_labels(images: Sequence[TrainingImage], others: Sequence[TrainingImage]) -> int:
    """Return how many images have another label among the others, such as a corrected one."""
    labels = {image.path: image.class_name for image in images}
    return sum(labels.get(image.path, image.class_name) != image.class_name for image in others)


_Scored = tuple[RunSummary, Sequence[TrainingImage]]


def _same_images(one: _Scored, other: _Scored) -> bool:
    (first, images), (second, other_images) = one, other
    if first.record.fingerprints.get("test") == second.record.fingerprints.get("test"):
        return len(images) == len(other_images)
    recipe, other_recipe = first.record.recipe, second.record.recipe
    if (recipe.image_size, recipe.fit) == (other_recipe.image_size, other_recipe.fit):
        return False
    files, other_files = ([(image.path, image.class_name) for image in each] for each in (images, other_images))
    return files == other_files


def _test_images(run: RunSummary) -> tuple[TrainingImage, ...]:
    images = tuple(image for image in read_training_images(run.folder.images) if image.split == "test")
    if run.scores is None or len(images) != run.scores.images:
        scored = 0 if run.scores is None else run.scores.images
        raise ValueError(
            f"{run.folder.images}: expected the {scored:,} test images that were scored, got {len(images):,}; "
            "restore it."
        )
    return images
