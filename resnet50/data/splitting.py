"""Cutting a part off a split, so that nothing that belongs together comes to lie on both sides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from resnet50._io.text import plural
from resnet50.data.dataset import Dataset
from resnet50.data.near_duplicates import join, near_duplicate_groups


def train_validation_split(dataset: Dataset, fraction: float, *, seed: int) -> tuple[Dataset, Dataset]:
    """Cut a split in two, classes in proportion as far as what must stay together allows.

    On one side stay images of one group (`Dataset.groups`: a patient, a specimen) and near-duplicates, also where only
    both together make the connection. The second part gets of each class the nearest whole number to its share, but at
    least one image if the class has two that can be parted, and never all. Where groups are too large for exact
    numbers, small ones that bring the numbers nearer are taken too.

    Args:
        dataset: What to cut.
        fraction: Share of each class that goes into the second part, above 0 and below 1.
        seed: Decides which images; the same seed gives the same cut.

    Returns:
        The rest and the part of that share, such as training and validation, both in the split's order.

    Raises:
        ValueError: If the fraction is not between 0 and 1, or a part would be left empty.
    """
    if not 0 < fraction < 1:
        raise ValueError(f"fraction must lie between 0 and 1, got {fraction!r}.")
    total = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    wanted = np.clip(np.round(total * fraction), total > 1, np.maximum(total - 1, 0)).astype(int)
    in_second = np.zeros(len(dataset), dtype=bool)
    bound = _bound(dataset)
    for members in _choose(dataset.labels, bound, total, wanted, np.random.default_rng(seed)):
        in_second[members] = True
    if not in_second.any():
        raise ValueError(
            f"a cut of {fraction:g} of {plural(len(dataset), 'image')} leaves one side empty: "
            f"{_why_empty(bound) if wanted.any() else 'no class has two; add images.'}"
        )
    return dataset.select(np.flatnonzero(~in_second)), dataset.select(np.flatnonzero(in_second))


def _why_empty(bound: list[np.ndarray]) -> str:
    smallest = plural(min(map(len, bound)), "image")
    return (
        "what must stay together, near-duplicates and images of one group, comes in pieces too large for the share "
        f"or all of a class, the smallest of {smallest}; cut another share, or add images."
    )


def _bound(dataset: Dataset) -> list[np.ndarray]:
    """Return the indices of the images that must stay together, in the order of the first of each."""
    bound = near_duplicate_groups(dataset.images)
    if dataset.groups:
        named = np.array([bool(group) for group in dataset.groups])
        _, first, inverse = np.unique(np.array(dataset.groups), return_index=True, return_inverse=True)
        bound = join(bound, np.flatnonzero(named), first[inverse][named])
    return np.split(np.argsort(bound, kind="stable"), np.cumsum(np.bincount(bound))[:-1])


def _choose(
    labels: np.ndarray, bound: list[np.ndarray], total: np.ndarray, wanted: np.ndarray, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield the indices of those that together come as near to the wanted numbers of each class as they can."""
    missing = wanted.copy()
    others = []
    for index in rng.permutation(len(bound)):
        counts = np.bincount(labels[bound[index]], minlength=len(wanted))
        if (counts <= missing).all():
            missing -= counts
            yield bound[index]
        else:
            others.append((bound[index], counts))
    for members, counts in sorted(others, key=lambda other: len(other[0])):
        if not missing.any():
            return
        after = missing - counts
        if (wanted - after < np.maximum(total, 1)).all() and _cost(after, wanted) < _cost(missing, wanted):
            missing = after
            yield members


def _cost(missing: np.ndarray, wanted: np.ndarray) -> int:
    """Return by how many images the numbers are off; a class without any weighs more than all of them."""
    absent = (missing == wanted) & (wanted > 0)
    return int(np.abs(missing).sum() + wanted.sum() * absent.sum())
