"""Images of floats with pixels that are NaN or infinite."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from resnet50._io.text import have, share_of
from resnet50._io.workers import in_order
from resnet50.audit.issue import AllImages, Issue
from resnet50.data.images import Header, share_not_finite


def not_finite_pixels(
    images: AllImages, headers: Mapping[str, Sequence[Header | None]], root: Path | None
) -> Iterator[Issue]:
    """Find images with pixels that are NaN or infinite; only files of floats are decoded.

    Args:
        images: All images.
        headers: For each split a header for each image, None where there is no file.
        root: Folder that the paths start from.

    Yields:
        The issue.
    """
    floats = [
        number
        for split, start in zip(images.names, images.starts, strict=False)
        for number, header in enumerate(headers.get(split, ()), start)
        if header is not None and header.mode == "F"
    ]
    if root is None or not floats:
        return
    shares = list(in_order(lambda number: _share(root / images.place(number).path), floats))
    found = sorted(((share, number) for share, number in zip(shares, floats, strict=True) if share), reverse=True)
    if found:
        yield Issue(
            kind="not-finite",
            severity="warning",
            summary=f"{share_of(len(found), len(images), 'images')} {have(found)} pixels that are NaN or infinite.",
            advice="The range of values is that of the other pixels; NaN becomes black, and infinity white. Fill them "
            "in before, if they mean something else.",
            examples=images.each([(number, f"{share:.1%} of its pixels") for share, number in found]),
        )


def _share(path: Path) -> float:
    try:
        return share_not_finite(path)
    except (OSError, ValueError):  # it has changed since it was decoded
        return 0.0
