"""A checksum at the end of a file, for formats whose readers do not mind further bytes."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO

_SEAL = b"resnet50"  # stands behind the format's own bytes, before the CRC-32 of all of them
_CRC_BYTES = 4


def seal(path: Path) -> None:
    """Append the checksum of a file's bytes."""
    with path.open("r+b") as file:
        checksum = _checksum(file, path.stat().st_size)
        file.write(_SEAL + checksum.to_bytes(_CRC_BYTES, "little"))


def check_seal(path: Path) -> bool:
    """Compare a file's bytes with their checksum.

    Returns:
        Whether the file has a checksum.

    Raises:
        OSError: If the bytes are others.
    """
    size = path.stat().st_size - len(_SEAL) - _CRC_BYTES
    with path.open("rb") as file:
        file.seek(max(0, size))
        end = file.read()
        if not end.startswith(_SEAL):
            return False
        file.seek(0)
        if _checksum(file, size).to_bytes(_CRC_BYTES, "little") != end[len(_SEAL) :]:
            raise OSError("other bytes than were written")
    return True


def _checksum(file: BinaryIO, size: int) -> int:
    """Return the CRC-32 of the next bytes of a file."""
    checksum = 0
    while size > 0 and (chunk := file.read(min(size, 1 << 20))):
        checksum, size = zlib.crc32(chunk, checksum), size - len(chunk)
    return checksum
