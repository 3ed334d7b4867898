"""Cut a dataset in two, or into folds, without separating images that belong together."""

from __future__ import annotations

from dataclasses import dataclass

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
    clusters = _Clusters.of(dataset, near_duplicates)
    in_second = _choose(clusters, total, wanted, np.random.default_rng(seed))[clusters.numbers]
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
    clusters = _Clusters.of(dataset, near_duplicates)
    if len(clusters) < folds:
        raise FoldsError(
            f"{dataset.name}: expected at least {folds} sets of images that can be separated, one for each fold, got "
            f"{len(clusters)}; add images, or take fewer folds."
        )
    order = np.random.default_rng(seed).permutation(len(clusters))
    order = order[np.argsort(-clusters.sizes[order], kind="stable")]
    total = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    filled, images = np.zeros((folds, len(total))), np.zeros(folds, np.int64)
    fold_of = np.zeros(len(clusters), np.int64)
    for cluster in order:
        labels, counts = clusters.counts_of(cluster)
        share = (filled[:, labels] @ (counts / total[labels])).round(9)
        fold_of[cluster] = fold = np.lexsort((images, share))[0]
        filled[fold, labels] += counts
        images[fold] += clusters.sizes[cluster]
    _check_classes(dataset, filled > 0)
    return fold_of[clusters.numbers]


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


def _why_empty(clusters: _Clusters) -> str:
    smallest = plural(int(clusters.sizes.min()), "image")
    return (
        "groups and near-duplicates, which stay together, are too large for this fraction or are all of a class; the "
        f"smallest has {smallest}; choose another fraction, add images or, if the near-duplicates are different images "
        "of one scene, leave them out of account (near_duplicates=False, --no-near-duplicates)."
    )


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
        found: dict[str, int] = {}
        first = np.array([found.setdefault(group, index) for index, group in enumerate(dataset.groups)])
        named = np.array([bool(group) for group in dataset.groups])
        groups = join(groups, np.flatnonzero(named), first[named])
    return groups


@dataclass(frozen=True, eq=False)
class _Clusters:
    """Images that must stay together, with their counts by class: a sparse table, since most have one image.

    Attributes:
        numbers: Cluster of each image, int64 ``(n,)``.
        sizes: Number of images of each cluster, int64 ``(clusters,)``.
        starts: First entry of each cluster, and the number of all entries, int64 ``(clusters + 1,)``.
        labels: Class of each entry, int64 ``(entries,)``; at most ``n``.
        counts: Number of images of the cluster and class of each entry, int64 ``(entries,)``.
    """

    numbers: np.ndarray
    sizes: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset, near_duplicates: np.ndarray) -> _Clusters:
        numbers, classes = cluster_numbers(dataset, near_duplicates), len(dataset.class_names)
        entries, counts = np.unique(numbers * classes + dataset.labels, return_counts=True)
        sizes = np.bincount(numbers)
        starts = np.searchsorted(entries, np.arange(len(sizes) + 1) * classes)
        return cls(numbers, sizes, starts, entries % max(classes, 1), counts)

    def __len__(self) -> int:
        return len(self.sizes)

    def counts_of(self, cluster: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the classes of a cluster, ascending, and the number of its images of each."""
        entries = slice(self.starts[cluster], self.starts[cluster + 1])
        return self.labels[entries], self.counts[entries]


def _choose(clusters: _Clusters, total: np.ndarray, wanted: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Choose clusters that together come as close to the wanted number of each class as they can, bool."""
    order = rng.permutation(len(clusters))
    chosen = np.zeros(len(clusters), dtype=bool)
    # memoryviews: their items are Python's integers, with which this loop is some ten times as fast
    starts, labels, counts = clusters.starts.data, clusters.labels.data, clusters.counts.data
    missing, still_missing = wanted.tolist(), int(wanted.sum())
    for cluster in order.tolist():
        if not still_missing:
            return chosen
        entries = range(starts[cluster], starts[cluster + 1])
        if all(counts[entry] <= missing[labels[entry]] for entry in entries):
            chosen[cluster] = True
            for entry in entries:
                missing[labels[entry]] -= counts[entry]
                still_missing -= counts[entry]
    left = np.array(missing)
    # a cluster can bring the numbers closer only if some class of it is still missing
    helps = np.logical_or.reduceat(left[clusters.labels] > 0, clusters.starts[:-1]) & ~chosen
    others = order[helps[order]]
    for cluster in others[np.argsort(clusters.sizes[others], kind="stable")]:
        if not left.any():
            break
        here, count = clusters.counts_of(cluster)
        before, after = left[here], left[here] - count
        fits = (wanted[here] - after < total[here]).all()
        if fits and _cost(after, wanted[here], wanted.sum()) < _cost(before, wanted[here], wanted.sum()):
            left[here], chosen[cluster] = after, True
    return chosen


def _cost(missing: np.ndarray, wanted: np.ndarray, all_wanted: int) -> int:
    """Return by how many images the numbers of some classes are off; an absent class weighs more than all images."""
    absent = (missing == wanted) & (wanted > 0)
    return int(np.abs(missing).sum() + all_wanted * absent.sum())
