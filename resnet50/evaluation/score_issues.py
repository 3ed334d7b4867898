"""Issues that make a score unreliable, beside those of the images themselves."""

from __future__ import annotations

from resnet50._io.text import plural
from resnet50.audit.issue import Issue
from resnet50.audit.training_images import read_training_images
from resnet50.training.run import RunDirectory


def changed_test_issue(count: int, run: RunDirectory) -> Issue:
    """Report that the test split is no longer the one that the run was scored on.

    Args:
        count: Number of its images now.
        run: The run.
    """
    counts = f"{plural(count, 'image')} now"
    if run.images.is_file():
        before = sum(image.split == "test" for image in read_training_images(run.images))
        counts = f"{plural(before, 'image')} then, {count:,} now"
    return Issue(
        "changed-test",
        "warning",
        f"The test split differs from the one that was scored at the end of training: {counts}.",
        f"Do not compare these figures with those in {run.report}.",
    )


def unknown_training_issue(count: int, source: str) -> Issue:
    """Report that images without a test split may include training images.

    A model file records one fingerprint of all its training images; only a run records each image.

    Args:
        count: Number of images that are scored.
        source: Their place.
    """
    return Issue(
        "unknown-training",
        "warning",
        f"{source} has no test split: all of it is scored ({plural(count, 'image')}), which may include images that "
        "the classifier was trained on.",
        "If so, the figures are worthless. Evaluate the folder of its run, which identifies them, or new images.",
    )
