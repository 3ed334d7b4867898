"""A public file: its addresses, and the size and hashes by which it is recognized."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_HASH_DIGITS = {"git_blob": (40,), "sha256": (64, 8), "md5": (32,)}


@dataclass(frozen=True)
class Download:
    """A public file that is checked by hash.

    Attributes:
        name: File name, without a folder.
        urls: http or https addresses of the file, tried in this order. ``$HF_ENDPOINT`` replaces
            ``https://huggingface.co`` in them.
        limit: Maximum size in bytes, so that a wrong address cannot fill the disk.
        size: Exact size in bytes, if it is published.
        git_blob: Git blob id, as ``git hash-object`` prints it: 40 hexadecimal digits.
        sha256: SHA-256, 64 hexadecimal digits; or its first 8, where no more are published.
        md5: MD5, 32 hexadecimal digits.
        sha256_from_server: Whether to check by the SHA-256 that the server states (``X-Linked-ETag`` of Hugging Face),
            for files without a published hash. This detects a broken transfer, but not a changed file. The hash is
            stored beside the file as ``<name>.sha256``, for later checks.

    Raises:
        ValueError: If the name contains a folder, an address is not http or https, a size or hash is malformed, or
            there is no hash to check by.
    """

    name: str
    urls: tuple[str, ...]
    limit: int
    size: int | None = None
    git_blob: str | None = None
    sha256: str | None = None
    md5: str | None = None
    sha256_from_server: bool = False

    def __post_init__(self) -> None:
        if self.name in ("", ".", "..") or re.search(r'[/\\:"\x00-\x1f]', self.name):
            raise ValueError(f"expected the name of a download to be a file name without a folder, got {self.name!r}.")
        if not self.urls:
            raise ValueError(f"{self.name}: expected at least one address, got none.")
        for url in self.urls:
            if urlsplit(url).scheme not in ("http", "https"):
                raise ValueError(f"{self.name}: expected an http or https address, got {url!r}.")
        if self.limit < 1:
            raise ValueError(f"{self.name}: expected limit of at least 1 byte, got {self.limit!r}.")
        if self.size is not None and not 0 < self.size <= self.limit:
            raise ValueError(f"{self.name}: expected size of 1 to {self.limit} bytes (the limit), got {self.size!r}.")
        for name, counts in _HASH_DIGITS.items():
            digits = getattr(self, name)
            if digits is not None and not (len(digits) in counts and re.fullmatch("[0-9a-f]+", digits)):
                expected = " or ".join(map(str, counts))
                raise ValueError(f"{self.name}: expected {name} to be {expected} digits 0-9 or a-f, got {digits!r}.")
        if not (self.git_blob or self.sha256 or self.md5 or self.sha256_from_server):
            raise ValueError(
                f"{self.name}: expected git_blob, sha256 or md5 to check the file by, or sha256_from_server=True, "
                "got none of them."
            )

    def mismatch(self, path: str | os.PathLike[str]) -> str | None:
        """Compare a file with this download.

        Args:
            path: The file.

        Returns:
            The difference, as "a file of ..., expected ...", or None if the size and every hash are right.

        Raises:
            OSError: If the file cannot be read.
        """
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size > self.limit:
                return f"a file of {size} bytes, expected at most {self.limit}"
            if self.size not in (None, size):
                return f"a file of {size} bytes, expected {self.size}"
            known = {name: getattr(self, name) for name in _HASH_DIGITS if getattr(self, name) is not None}
            for name, expected in known.items():
                file.seek(0)
                digits = hashlib.file_digest(file, partial(_hasher, name, size)).hexdigest()
                if not digits.startswith(expected):
                    return f"a file of {size} bytes with {name.replace('_', ' ')} {digits}, expected {expected}"
        return None if known else f"a file of {size} bytes without a SHA-256 to check it by"


def _hasher(name: str, size: int) -> Any:
    if name == "git_blob":  # Git hashes the size, too
        return hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return hashlib.new(name, usedforsecurity=False)
