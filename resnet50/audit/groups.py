"""Issues of groups, such as patients or specimens, that have images in two splits."""

from __future__ import annotations

from collections.abc import Iterator

from resnet50._io.text import have, listed, share_of
from resnet50.audit.issue import EXAMPLES, AllImages, Issue
from resnet50.data.dataset import Dataset


def shared_groups(images: AllImages) -> Iterator[Issue]:
    """Find groups (`Dataset.groups`) that have images in two splits.

    Args:
        images: All images.

    Yields:
        An issue for each pair of splits that share groups.
    """
    first = [_first_of_group(dataset) for dataset in images.splits.values()]
    for late in range(len(first)):
        for early in range(late):
            shared = [group for group in first[late] if group in first[early]]
            if shared:
                yield Issue(
                    kind="group-leak",
                    severity="error",
                    summary=f"{share_of(len(shared), len(first[late]), f'groups of the {images.names[late]} split')} "
                    f"also {have(shared)} images in the {images.names[early]} split: {listed(shared)}.",
                    advice="Keep all images of a group in one split; otherwise the score is too high for new groups.",
                    examples=tuple(
                        tuple(
                            images.place(images.starts[split] + first[split][group], group) for split in (late, early)
                        )
                        for group in shared[:EXAMPLES]
                    ),
                )


def _first_of_group(dataset: Dataset) -> dict[str, int]:
    """Return the index of the first image of each group, in the order of these images."""
    first: dict[str, int] = {}
    for index, group in enumerate(dataset.groups):
        if group:
            first.setdefault(group, index)
    return first
