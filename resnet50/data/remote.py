"""A folder of images at an address that fsspec knows, such as an object store, copied for as long as it is read."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from resnet50._io.fetch import Progress
from resnet50._io.files import DISK_FULL, check_room, folder_named, temporary_folder
from resnet50._io.text import printable, short
from resnet50._io.workers import in_order
from resnet50.data.folder_scan import is_image_name

INSTALL = "pip install 'resnet50[records]'"
"""What installs the package that reads addresses; each kind of store has one more of its own."""

_log = logging.getLogger(__name__)

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:(//|:)", re.IGNORECASE)  # not C:\photos; zip:: begins a chain
_SECRET = re.compile(r"(?<=//)[^/]*@")  # a user's name and password
_QUERY = re.compile(r"\?\S+")  # it may hold a signature


def is_address(source: object) -> bool:
    """Return whether a source is an address such as ``s3://bucket/photos``, and not a path."""
    return isinstance(source, str) and _ADDRESS.match(source) is not None


@contextmanager
def local_copy(
    source: Any,
    *,
    beside: str | os.PathLike[str],
    needed: Callable[[int, int], int],
    progress: Progress | None = None,
) -> Iterator[Any]:
    """Yield a source; the files of an address are in a temporary folder within the block.

    All files are listed first. Images alone are copied. Of other files there are names only, so that they are counted
    as left out. Errors of the block name the address, not the folder.

    Args:
        source: An address, or anything else, which is yielded as it is.
        beside: What is to be written. The temporary folder is made beside it.
        needed: Returns the bytes that will be written there, for a number of images and the bytes of their files.
        progress: Called with the number of files that were copied, and their number.

    Raises:
        FileNotFoundError: If there are no files.
        ImportError: If fsspec, or what it needs for this kind of address, is not installed.
        OSError: If the files cannot be read or written, or there is no room on the disk for the images and what is to
            be written, as far as the listing has sizes.
        ValueError: If a file's name leads out of the folder, or two are the same on this disk.
    """
    if not is_address(source):
        yield source
        return
    shown = _without_secrets(source)
    with temporary_folder(Path(beside).absolute()) as temporary:
        folder = temporary / _name(source)
        folder.mkdir()
        with folder_named(folder, shown if shown.endswith("://") else shown.rstrip("/")):
            _copy(source, shown, folder, Path(beside), needed, progress)
            yield folder


def _copy(
    address: str,
    shown: str,
    folder: Path,
    beside: Path,
    needed: Callable[[int, int], int],
    progress: Progress | None,
) -> None:
    fsspec = _fsspec()
    with _errors_named(shown, "a folder of files"):
        store, root = fsspec.core.url_to_fs(address)
        _log.info("listing images")
        files = list(_files(store, root))
        is_file = not files and store.isfile(root)
    if not files:
        got = "a file; an archive's address begins with its kind, such as zip://::" if is_file else "no files"
        raise FileNotFoundError(f"{shown}: expected a folder of images, got {got}; see that the address is right.")
    sizes = [size for name, size in files if is_image_name(name)]
    check_room(beside, sum(sizes) + needed(len(sizes), sum(sizes)), f"a copy of {shown} and what is packed from it")

    def fetch(file: tuple[str, int]) -> None:
        name, _ = file
        path = folder / _inside(name, root)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(exist_ok=False)
        except (FileExistsError, NotADirectoryError) as error:  # a store may have both a and a/b
            raise ValueError("expected names that differ on this disk, got two that do not; rename one.") from error
        if is_image_name(name):
            store.get_file(name, str(path))

    _log.info("copying images")
    with closing(in_order(fetch, files)) as copied:
        for done, (name, _) in enumerate(files, 1):
            with _errors_named(f"{shown}: {_without_secrets(_inside(name, root))}", "a file"):
                next(copied)
            if progress is not None:
                progress(done, len(files))


@contextmanager
def _errors_named(place: str, expected: str) -> Iterator[None]:
    """Turn the errors of a store, each of which has its own, into one line without secrets."""
    try:
        yield
    except ImportError as error:
        raise ImportError(
            f"{place}: expected the package for this kind of address, got none installed "
            f"({' '.join(str(error).split())})."
        ) from error
    except Exception as error:
        if isinstance(error, ValueError) and str(error).startswith("expected"):
            raise ValueError(f"{place}: {error}") from error
        if isinstance(error, OSError) and error.errno in DISK_FULL:
            raise OSError(
                f"{place}: expected room on the disk for a copy, got none ({error.strerror}); free some, or choose "
                "another place."
            ) from error
        reason = short(_without_secrets(" ".join(f"{type(error).__name__}: {error}".split())))  # some give a path alone
        raise OSError(f"{place}: expected {expected} that can be read, got an error ({reason}).") from error


def _files(store: Any, root: str) -> Iterator[tuple[str, int]]:
    """Yield the name of each file of a store below a root, and its bytes; 0 where the store does not tell.

    fsspec's ``walk`` leaves out folders that cannot be listed, whatever its `on_error` says: so each is listed here.
    """
    folders = [root]
    while folders:
        here = folders.pop()
        for about in _listed(store, here, missing_ok=here == root):
            name = about["name"]
            if name.strip("/") == here.strip("/"):  # an object store may have an object with the name of a folder
                continue
            if about["type"] == "directory":
                folders.append(name)
            elif not name.endswith("/"):  # that of a folder below
                _inside(name, root)
                yield name, about.get("size") or 0
        store.invalidate_cache()  # or the lists of a million files stay in memory


def _inside(name: str, root: str) -> str:
    """Return the path of a file below the root.

    Raises:
        ValueError: If it leads out of it.
    """
    inside = PurePosixPath(name.strip("/").removeprefix(root.strip("/")).strip("/"))
    if ".." in inside.parts or (os.sep != "/" and {os.sep, ":"} & set(str(inside))):
        raise ValueError(f"expected names of files within the folder, got {printable(short(str(inside)))}.")
    return str(inside)


def _listed(store: Any, folder: str, *, missing_ok: bool) -> list[dict[str, Any]]:
    try:
        return list(store.ls(folder, detail=True))
    except FileNotFoundError:
        if missing_ok:
            return []
        raise


def _name(address: str) -> str:
    """Return the last name of an address: that of the folder, or of an archive without its suffix."""
    parts = _QUERY.sub("", _SECRET.sub("", address)).split("::")
    names = [name for part in parts for name in part.partition("://")[2].split("/") if name]
    last = PurePosixPath(names[-1] if names else "images")
    return re.sub(r"[^\w.-]", "_", last.stem if "::" in address else last.name).strip(".") or "images"


def _without_secrets(text: str) -> str:
    """Return a text, which may hold addresses, as it may be shown."""
    return printable(_QUERY.sub("?...", _SECRET.sub("...@", text)))


def _fsspec() -> ModuleType:
    try:
        import fsspec
        import fsspec.core
    except ImportError as error:
        raise ImportError(f"expected the package fsspec to read an address, got none installed; {INSTALL}.") from error
    return fsspec
