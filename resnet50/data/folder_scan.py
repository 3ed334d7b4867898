"""Walk a folder: which of its files are images, and which are left out. No image is decoded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from resnet50._io.figure_mark import is_own_figure
from resnet50._io.paths import is_dead_link
from resnet50._io.workers import in_order
from resnet50.data.images import SUFFIXES
from resnet50.data.left_out import (
    DEAD_LINK,
    HIDDEN,
    NO_IMAGES,
    NOT_IMAGE,
    OWN,
    LeftOut,
    count_left_out,
    describe_left_out,
)

# Images that the decoder refuses: listed so that they are named and counted as unreadable, not as other files.
_REFUSED = (".arw", ".avif", ".cr2", ".dng", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".nef", ".psd", ".tga")
_NO_CLASSES = ("__MACOSX", "@eaDir")  # folders that macOS' archives and Synology's disks add beside images

# Files by which a folder that this library wrote is known, and its figures, which earlier versions did not mark
_OWN_FOLDERS = ({"recipe.json", "environment.json"}, {"report.json", "report.html"}, {"resnet50.json"})
_OWN_FIGURES = {f"{name}.png" for name in ("balance", "confusion", "curves", "mistakes", "reliability", "similarity")}

_BATCH = 256  # files that a thread looks into at a time

PathNames = tuple[str, ...]  # a path below the root, name by name


@dataclass(frozen=True)
class FolderScan:
    """The files in a folder and below.

    Attributes:
        images: Files that are images by their suffix, sorted; some may be images that cannot be decoded here.
        others: Reason (`resnet50.data.left_out.REASONS`) and path of every other file and of links to nothing.
        folders: The folders below the root.
    """

    images: tuple[PathNames, ...]
    others: tuple[tuple[str, PathNames], ...]
    folders: tuple[PathNames, ...]

    def left_out(self, depth: int) -> tuple[LeftOut, ...]:
        """Count what is left out by folder of a class or split.

        Args:
            depth: Names in the path of a class's folder: 1, or 2 below folders of splits.
        """
        used = {path[:length] for path in self.images for length in range(1, depth + 1)}
        used |= {path[:length] for reason, path in self.others if reason == OWN for length in range(1, depth + 1)}
        empty = [path for path in self.folders if len(path) <= depth and path not in used]
        tops = [path for path in empty if path[:-1] not in empty]
        found = [(NO_IMAGES, "/".join(path), "") for path in tops]
        return count_left_out(found + [self._place(reason, path, depth) for reason, path in self.others])

    @staticmethod
    def _place(reason: str, path: PathNames, depth: int) -> tuple[str, str, str]:
        if reason == DEAD_LINK:  # it may stand for the folder of a class
            return reason, "/".join(path[:depth]), ""
        return reason, "/".join(path[:-1][:depth]), _suffix(path[-1])


def scan_folder(root: Path) -> FolderScan:
    """Find the images in a folder and below by their suffix, and count everything else.

    Hidden folders, hidden files that are no images, and what macOS and disk stations add are ignored. Figures that this
    library drew are no images.

    Args:
        root: The folder. Links to folders in it are followed.

    Raises:
        ValueError: If there are no images, a folder cannot be read, or a link lists images twice.
    """
    images: list[PathNames] = []
    others: list[tuple[str, PathNames]] = []
    folders: list[PathNames] = []
    own: set[Path] = set()
    for here, files in _walk(root):
        inside = here.relative_to(root).parts
        if inside:
            folders.append(inside)
        if any(marks <= set(files) for marks in _OWN_FOLDERS) or (here.parent in own and here.parent != root):
            own.add(here)
        for name in files:
            reason = _reason(here, name, own=here in own)
            if reason is None:
                images.append((*inside, name))
            elif reason:
                others.append((reason, (*inside, name)))
    images.sort()
    drawn = set(_figures(root, images))
    others += [(OWN, path) for path in images if path in drawn]
    scan = FolderScan(tuple(path for path in images if path not in drawn), tuple(others), tuple(folders))
    if not scan.images:
        there = describe_left_out([each for each in scan.left_out(1) if each.reason != NO_IMAGES])
        raise ValueError(
            f"{root}: expected images ({', '.join(SUFFIXES)}), got a folder with none{there and f', but {there}'}."
        )
    return scan


def _walk(root: Path) -> Iterable[tuple[Path, Sequence[str]]]:
    """Yield each folder, with the names of its files."""
    visited: dict[tuple[int, int], Path] = {}
    for folder, folders, files in os.walk(root, followlinks=True, onerror=_refuse_folder):
        here = Path(folder)
        folders[:] = [name for name in sorted(folders) if not name.startswith(".") and name not in _NO_CLASSES]
        status = here.stat()
        first = visited.setdefault((status.st_dev, status.st_ino), here)
        if first in here.parents:  # a link that leads back up
            folders.clear()
            continue
        if first != here:
            raise ValueError(f"{here}: expected each image once, got a link to the folder {first}; remove the link.")
        yield here, files


def is_image_name(name: str) -> bool:
    """Return whether a file is listed as an image, by its name alone."""
    return name.lower().endswith(SUFFIXES + _REFUSED)


def _reason(folder: Path, name: str, *, own: bool) -> str | None:
    """Return why a file is left out; None for an image, "" for a file that is not even counted."""
    is_image = is_image_name(name)
    if name.startswith("."):
        return HIDDEN if is_image and not name.startswith("._") else ""  # ._name is macOS' metadata
    if is_image:
        return OWN if own and name in _OWN_FIGURES else None
    if own:
        return OWN
    return DEAD_LINK if is_dead_link(folder / name) else NOT_IMAGE


def _figures(root: Path, images: Sequence[PathNames]) -> Iterable[PathNames]:
    """Return the images that this library drew."""
    candidates = [path for path in images if path[-1].lower().endswith(".png")]
    batches = (candidates[start : start + _BATCH] for start in range(0, len(candidates), _BATCH))
    own = in_order(lambda batch: [path for path in batch if is_own_figure(os.path.join(root, *path))], batches)  # noqa: PTH118
    return (path for batch in own for path in batch)


def _suffix(name: str) -> str:
    """Return the suffix of a file's name; "" for none, and for a number, of which there may be as many as files."""
    suffix = Path(name).suffix.lower()
    return suffix if len(suffix) <= 10 and any(character.isalpha() for character in suffix) else ""


def _refuse_folder(error: OSError) -> NoReturn:
    raise ValueError(
        f"{error.filename}: expected a folder that can be read, got the error {error.strerror!r}; change its "
        "permissions, or remove it."
    ) from error
