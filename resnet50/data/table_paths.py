"""Find the files that the paths in a CSV file mean, where they are spelled otherwise than on this disk."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from resnet50._io.text import listed, printable
from resnet50.data.images import SUFFIXES

_Index = dict[str, list[str]]  # names of files by their key


class FileFinder:
    """Find files by their paths in a table.

    Args:
        folder: Folder that relative paths start from.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indices: dict[Path, tuple[_Index, _Index]] = {}

    def find(self, text: str) -> Path:
        r"""Return the file that a path means.

        That is the path itself, if there is such a file. Else it is the only file whose path differs in ways that are
        plain: ``\`` for ``/``, accents composed differently, upper or lower case, or a missing suffix.

        Args:
            text: The path.

        Returns:
            The file; the path as it is written if there is no such file.

        Raises:
            ValueError: If it may mean several files.
        """
        path = self._folder / text
        if os.path.isfile(path):  # noqa: PTH113 - false for every error
            return path
        return self._descend(PurePosixPath(text.replace("\\", "/"))) or path

    def _descend(self, path: PurePosixPath) -> Path | None:
        """Follow a path name by name; return the file at its end, or None."""
        here = Path(path.anchor) if path.anchor else self._folder
        *folders, last = path.relative_to(path.anchor).parts or ("",)
        for name in folders:
            if os.path.isdir(here / name):  # noqa: PTH112
                here /= name
                continue
            found = [each for each in self._index(here)[0].get(_key(name), ()) if (here / each).is_dir()]
            if len(found) != 1:
                return None
            here /= found[0]
        return self._file(here, last)

    def _file(self, folder: Path, name: str) -> Path | None:
        for index in self._index(folder):
            found = [each for each in index.get(_key(name), ()) if (folder / each).is_file()]
            if len(found) > 1:
                raise ValueError(
                    f"expected the path of one file, got {printable(name)}, which may mean {listed(found)}; write it "
                    "as on the disk."
                )
            if found:
                return folder / found[0]
        return None

    def _index(self, folder: Path) -> tuple[_Index, _Index]:
        """Return the names in a folder by name, and those of images by name without suffix."""
        if folder not in self._indices:
            names = _names(folder)
            images = [name for name in names if name.lower().endswith(SUFFIXES)]
            by_name = _indexed((name, name) for name in names)
            self._indices[folder] = by_name, _indexed((Path(name).stem, name) for name in images)
        return self._indices[folder]


def _indexed(pairs: Iterable[tuple[str, str]]) -> _Index:
    index: _Index = {}
    for text, name in pairs:
        index.setdefault(_key(text), []).append(name)
    return index


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are needed, not paths
    except (OSError, ValueError):  # ValueError: a name with a zero byte
        return []


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
