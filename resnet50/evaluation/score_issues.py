"""Issues that make a score unreliable, beside those of the images themselves."""

from __future__ import annotations

from collections import Counter

import numpy as np

from resnet50._io.text import are, listed, plural, printable, share_of
from resnet50.audit.issue import EXAMPLES, Issue, Place
from resnet50.audit.training_images import read_training_images
from resnet50.data.dataset import Dataset
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


def unknown_class_issue(dataset: Dataset, unknown: np.ndarray) -> Issue:
    """Report images that are not scored, since the classifier does not know their classes.

    Args:
        dataset: The images, those of unknown classes too.
        unknown: Whether the class of an image is unknown, bool ``(n,)``, somewhere true.
    """
    numbers = np.flatnonzero(unknown)
    counts = Counter(dataset.class_names[label] for label in dataset.labels[numbers])
    names = [f"{printable(name)} ({count:,})" for name, count in counts.most_common()]
    return Issue(
        "unknown-class",
        "warning",
        f"{share_of(len(numbers), len(dataset), 'images')} {are(numbers)} of {plural(len(names), 'class')} that the "
        f"classifier does not know, and left out of the score: {listed(names)}.",
        "The classifier gives each of them one of its own classes; no score shows that.",
        tuple(
            (Place(dataset.paths[number], class_name=dataset.class_names[dataset.labels[number]]),)
            for number in numbers[:EXAMPLES]
        ),
    )
