"""Audit packed records for damage: those that are not as they were written."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from resnet50._io.fetch import Progress
from resnet50._io.text import are, listed, share_of
from resnet50._io.workers import in_order
from resnet50.audit.issue import EXAMPLES, Issue, Place
from resnet50.data.lazy_images import LazyImages
from resnet50.data.records import DamagedRecordError
from resnet50.data.splits import DatasetSplits

_SHARDS = 20  # files that are named


def damaged_records(splits: DatasetSplits, *, progress: Progress | None = None) -> Iterator[Issue]:
    """Read every record, and report those whose content has another SHA-256 than the manifest says.

    One that this process has read before was compared then.

    Args:
        splits: The splits; nothing is read unless their images are in packed records.
        progress: Called with the records that are read and their number.

    Yields:
        The issue, if there is any.
    """
    packed = [
        (dataset, dataset.images)
        for dataset in splits.by_name.values()
        if isinstance(dataset.images, LazyImages) and dataset.images.is_encoded
    ]
    total, read, count = sum(len(dataset) for dataset, _ in packed), 0, 0
    examples, shards = list[Place](), set[str]()
    for dataset, images in packed:
        for index, damage in enumerate(in_order(partial(_damage, images), range(len(dataset)))):
            read += 1
            if progress is not None:
                progress(read, total)
            if damage:
                count += 1
                shards.add(damage.shard.name)
                if len(examples) < EXAMPLES:  # without the place of its pixels, which cannot be shown
                    examples.append(Place(dataset.paths[index], remark=str(damage)))
    if count:
        yield Issue(
            kind="damaged",
            severity="error",
            summary=f"{share_of(count, total, 'records')} {are(count)} not as they were written, in "
            f"{listed(sorted(shards), most=_SHARDS)}.",
            advice="Training ends where it reads one. Copy these files again, or pack the images again.",
            examples=tuple((place,) for place in examples),
        )


def _damage(images: LazyImages, index: int) -> DamagedRecordError | None:
    try:
        images.encoded(index)
    except DamagedRecordError as error:
        return error
    return None
