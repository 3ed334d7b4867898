"""Limits of what a file may declare: far above any use, and low enough that a hostile file costs little."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

METADATA_BYTES = 16 << 20
"""Most bytes of a description in JSON: a hundred times what a classifier of a thousand classes needs."""

CLASSES = 100_000
"""Most classes; ImageNet-21k has 21,841."""

NAME_LENGTH = 1_000
"""Most characters of a class name."""

IMAGE_SIDE = 4_096
"""Most pixels of a network's input in height and in width."""


def read_text(path: Path) -> str:
    """Read a description that is UTF-8 text.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it has more than `METADATA_BYTES`, or is not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(METADATA_BYTES + 1)
    if len(content) > METADATA_BYTES:
        raise ValueError(f"expected at most {METADATA_BYTES >> 20} MiB, got more.")
    return content.decode("utf-8")


def check_class_names(names: Sequence[str], expected: str) -> None:
    """Refuse too many class names, and names that are too long.

    Args:
        names: The names.
        expected: How the message begins, such as ``"model.keras: expected class names"``.

    Raises:
        ValueError: If there are more than `CLASSES`, or one has more than `NAME_LENGTH` characters.
    """
    if len(names) > CLASSES:
        raise ValueError(f"{expected}, at most {CLASSES:,}, got {len(names):,}.")
    longest = max(names, key=len, default="")
    if len(longest) > NAME_LENGTH:
        raise ValueError(
            f"{expected} of at most {NAME_LENGTH:,} characters, got one of {len(longest):,}, {longest[:40]!r} …"
        )
