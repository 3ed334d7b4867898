"""A folder of images at an address that fsspec knows, such as an object store, copied for as long as it is read."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from resnet50._io.fetch import Progress
from resnet50._io.text import printable, short
from resnet50._io.workers import in_order
from resnet50.data.folder_scan import is_image_name

INSTALL = "pip install 'resnet50[records]'"
"""What installs the package that reads addresses; each kind of store has one more of its own."""

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:(//|:)", re.IGNORECASE)  # not C:\photos; zip:: begins a chain
_SECRET = re.compile(r"(?<=//)[^/]*@")  # a user's name and password
_QUERY = re.compile(r"\?\S+")  # it may hold a signature


def is_address(source: object) -> bool:
    """Return whether a source is an address such as ``s3://bucket/photos``, and not a path."""
    return isinstance(source, str) and _ADDRESS.match(source) is not None


@contextmanager
def local_copy(source: Any, *, beside: str | os.PathLike[str], progress: Progress | None = None) -> Iterator[Any]:
    """Yield a source; the files of an address are in a temporary folder within the block.

    Images alone are copied. Of other files there are names only, so that they are counted as left out.

    Args:
        source: An address, or anything else, which is yielded as it is.
        beside: A path whose folder the temporary one is made in.
        progress: Called with the number of files that were copied, and None.

    Raises:
        FileNotFoundError: If there are no files.
        ImportError: If fsspec, or what it needs for this kind of address, is not installed.
        OSError: If the files cannot be read or written.
        ValueError: If a file's name leads out of the folder.
    """
    if not is_address(source):
        yield source
        return
    place = Path(beside).absolute().parent
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=place) as temporary:
        folder = Path(temporary) / _name(source)
        folder.mkdir()
        _copy(source, folder, progress)
        yield folder


def _copy(address: str, folder: Path, progress: Progress | None) -> None:
    shown = _without_secrets(address)
    fsspec = _fsspec()
    done = 0
    try:
        store, root = fsspec.core.url_to_fs(address)

        def fetch(file: tuple[str, Path]) -> None:
            file[1].parent.mkdir(parents=True, exist_ok=True)
            if is_image_name(file[1].name):
                store.get_file(file[0], str(file[1]))
            else:
                file[1].touch()

        for _ in in_order(fetch, _files(store, root, folder)):
            done += 1
            if progress is not None:
                progress(done, None)
    except ImportError as error:
        raise ImportError(
            f"{shown}: expected the package for this kind of address, got none installed "
            f"({' '.join(str(error).split())})."
        ) from error
    except Exception as error:  # each store raises errors of its own
        if isinstance(error, ValueError) and str(error).startswith("expected"):
            raise ValueError(f"{shown}: {error}") from error
        reason = short(_without_secrets(" ".join(str(error).split())) or type(error).__name__)
        raise OSError(f"{shown}: expected a folder of files that can be read, got an error ({reason}).") from error
    if not done:
        raise FileNotFoundError(f"{shown}: expected a folder of images, got no files; see that the address is right.")


def _files(store: Any, root: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each file of a store below a root, and the path that its copy gets.

    fsspec's ``walk`` leaves out folders that cannot be listed, whatever its `on_error` says: so each is listed here.
    """
    start, folders = root.strip("/"), [root]
    while folders:
        here = folders.pop()
        for about in _listed(store, here, missing_ok=here == root):
            name = about["name"].strip("/")
            if name == here.strip("/"):  # an object store may have an object with the name of a folder
                continue
            if about["type"] == "directory":
                folders.append(about["name"])
                continue
            inside = PurePosixPath(name.removeprefix(start).strip("/"))
            if ".." in inside.parts or (os.sep != "/" and {os.sep, ":"} & set(str(inside))):
                raise ValueError(f"expected names of files within the folder, got {printable(short(str(inside)))}.")
            yield about["name"], folder.joinpath(*inside.parts)
        store.invalidate_cache()  # or the lists of a million files stay in memory


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
