"""Cut a dataset in two, or into folds, without separating images that belong together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from resnet50._io.text import listed, plural
from resnet50.data.dataset import Dataset
from resnet50.data.near_duplicates import join, near_duplicate_groups


class FoldsError(ValueError):
    """Images that cannot be cut into so many folds."""


def train_validation_split(dataset: Dataset, fraction: float, *, seed: int) -> tuple[Dataset, Dataset]:
    """Cut a dataset in two, classes in proportion as far as groups and near-duplicates allow.

    Images of one group (`Dataset.groups`: a patient, a specimen) and near-duplicates stay together, even where only
    both together connect them. The second dataset gets of each class the nearest whole number to its fraction, at
    least one image if the class has two that can be separated, and never all. Where groups are too large for exact
    numbers, small ones that bring the numbers closer are taken too.

    Use `resnet50.data.splits.DatasetSplits.cut` for a dataset with several splits, which searches for near-duplicates
    only once.

    Args:
        dataset: The images to cut.
        fraction: Fraction of each class that goes into the second dataset, above 0 and below 1.
        seed: Determines which images; the same seed gives the same cut.

    Returns:
        The rest and the dataset of that fraction, such as training and validation images, both in the dataset's order.

    Raises:
        ValueError: If the fraction is not between 0 and 1, or one of the two would be empty.
    """
    _check(fraction)
    rest, held_out = cut_indices(dataset, near_duplicate_groups(dataset.images, dataset.labels), fraction, seed=seed)
    return dataset.select(rest), dataset.select(held_out)


def cut_indices(
    dataset: Dataset, near_duplicates: np.ndarray, fraction: float, *, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the images that `train_validation_split` puts into each of the two datasets.

    Args:
        dataset: The images to cut.
        near_duplicates: Group of near-duplicates of each image, int64 ``(n,)``, counted from 0 in order of first
            appearance.
        fraction: Fraction of each class that goes into the second dataset, above 0 and below 1.
        seed: Determines which images.

    Returns:
        Indices of the rest and of the second dataset, int64, both ascending.

    Raises:
        ValueError: As `train_validation_split`.
    """
    _check(fraction)
    total = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    wanted = np.clip(np.round(total * fraction), total > 1, np.maximum(total - 1, 0)).astype(int)
    in_second = np.zeros(len(dataset), dtype=bool)
    clusters = _inseparable(dataset, near_duplicates)
    for members in _choose(dataset.labels, clusters, total, wanted, np.random.default_rng(seed)):
        in_second[members] = True
    if not in_second.any():
        raise ValueError(
            f"{dataset.name}: cutting off {fraction:g} of {plural(len(dataset), 'image')} leaves one side empty: "
            f"{_why_empty(clusters) if wanted.any() else 'no class has at least two images; add images.'}"
        )
    return np.flatnonzero(~in_second), np.flatnonzero(in_second)


def assign_folds(dataset: Dataset, near_duplicates: np.ndarray, folds: int, *, seed: int) -> np.ndarray:
    """Assign each image to a fold of a cross-validation, classes in proportion as far as groups allow.

    Images of one group and near-duplicates are in one fold. The largest sets of images that belong together are
    assigned first, each to the fold that has the smallest share of its classes so far; of equal ones, to the fold with
    the fewest images.

    Args:
        dataset: The images.
        near_duplicates: As for `cut_indices`.
        folds: Number of folds, at least 2.
        seed: Determines which images; the same seed gives the same folds.

    Returns:
        Fold of each image, int64 ``(n,)``, 0..folds-1.

    Raises:
        ValueError: If there are fewer than two folds.
        FoldsError: If a fold would be empty, or a class would be in one fold alone: a model that is trained on the
            others would not know it.
    """
    if folds < 2:
        raise ValueError(f"expected at least 2 folds, got {folds!r}.")
    clusters = _inseparable(dataset, near_duplicates)
    if len(clusters) < folds:
        raise FoldsError(
            f"{dataset.name}: expected at least {folds} sets of images that can be separated, one for each fold, got "
            f"{len(clusters)}; add images, or take fewer folds."
        )
    counts = np.stack([np.bincount(dataset.labels[each], minlength=len(dataset.class_names)) for each in clusters])
    order = np.random.default_rng(seed).permutation(len(clusters))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    shares = counts / np.maximum(counts.sum(axis=0), 1)
    filled = np.zeros((folds, counts.shape[1]))
    assigned = np.zeros(len(dataset), np.int64)
    for cluster in order:
        fold = np.lexsort((filled.sum(axis=1), (filled @ shares[cluster]).round(9)))[0]
        filled[fold] += counts[cluster]
        assigned[clusters[cluster]] = fold
    _check_classes(dataset, filled > 0)
    return assigned


def _check_classes(dataset: Dataset, in_fold: np.ndarray) -> None:
    """Refuse folds of which one has all images of a class; ``in_fold`` is boolean ``(folds, classes)``."""
    alone = [dataset.class_names[label] for label in np.flatnonzero(in_fold.sum(axis=0) == 1)]
    if alone:
        raise FoldsError(
            f"{dataset.name}: expected at least two images of every class that can be separated, got one image, or one "
            f"group or set of near-duplicates, of {listed(alone)}; add images, or remove the class."
        )


def _check(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ValueError(f"expected a fraction above 0 and below 1, got {fraction!r}.")


def _why_empty(clusters: list[np.ndarray]) -> str:
    smallest = plural(min(map(len, clusters)), "image")
    return (
        "groups and near-duplicates, which stay together, are too large for this fraction or are all of a class; the "
        f"smallest has {smallest}; choose another fraction, add images or, if the near-duplicates are different images "
        "of one scene, leave them out of account (near_duplicates=False, --no-near-duplicates)."
    )


def _inseparable(dataset: Dataset, near_duplicates: np.ndarray) -> list[np.ndarray]:
    """Return the indices of the images of each cluster (`cluster_numbers`), in the order of the first of each."""
    numbers = cluster_numbers(dataset, near_duplicates)
    return np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])


def cluster_numbers(dataset: Dataset, near_duplicates: np.ndarray) -> np.ndarray:
    """Return a number for each image, which those that must stay together share.

    Args:
        dataset: The images; those of one of its groups stay together.
        near_duplicates: As for `cut_indices`; they stay together too.

    Returns:
        int64 ``(n,)``, from 0 in order of first appearance.
    """
    groups = near_duplicates
    if dataset.groups:
        named = np.array([bool(group) for group in dataset.groups])
        _, first, inverse = np.unique(np.array(dataset.groups), return_index=True, return_inverse=True)
        groups = join(groups, np.flatnonzero(named), first[inverse][named])
    return groups


def _choose(
    labels: np.ndarray, clusters: list[np.ndarray], total: np.ndarray, wanted: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield sets of indices that together come as close to the wanted number of each class as they can."""
    missing = wanted.copy()
    others = []
    for index in rng.permutation(len(clusters)):
        counts = np.bincount(labels[clusters[index]], minlength=len(wanted))
        if (counts <= missing).all():
            missing -= counts
            yield clusters[index]
        else:
            others.append((clusters[index], counts))
    for members, counts in sorted(others, key=lambda other: len(other[0])):
        if not missing.any():
            return
        after = missing - counts
        if (wanted - after < np.maximum(total, 1)).all() and _cost(after, wanted) < _cost(missing, wanted):
            missing = after
            yield members


def _cost(missing: np.ndarray, wanted: np.ndarray) -> int:
    """Return by how many images the numbers are off; a class without any weighs more than all images together."""
    absent = (missing == wanted) & (wanted > 0)
    return int(np.abs(missing).sum() + wanted.sum() * absent.sum())
