"""Bringing published weights into the cache, and checking what is there."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path
from typing import Any

from resnet50._io.fetch import DownloadError, Progress, cache_folder, check, fetch
from resnet50.weights.registry import PublishedWeights, find_published

_FORMER_LAYER = b"res2a_branch2a"
_FORMER = (
    "the file that is there is Keras' older one of the same name, with other layers (res2a_branch2a and so on) than "
    "this network has"
)


def weights_folder(source: PublishedWeights) -> Path:
    """Return the folder in which a published file is kept.

    Args:
        source: Row of `resnet50.weights.registry.REGISTRY`.

    Returns:
        ``weights/<publisher>`` in `resnet50._io.fetch.cache_folder`; for Keras' own files the folder ``models`` of
        Keras' cache (``$KERAS_HOME``, or ``~/.keras``), so that they are shared with keras.applications.
    """
    if source.publisher != "keras":
        return cache_folder() / "weights" / source.publisher
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"]).expanduser() / "models"
    home = Path.home()
    # as Keras does where the home folder is not the user's to write to
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "models"  # noqa: S108


def fetch_weights(name: str, *, folder: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Path:
    """Fetch published weights, unless they are in the cache already; a cached file is checked by its hash, too.

    Args:
        name: Name of a row of `resnet50.weights.registry.REGISTRY`.
        folder: Where to look for the file and put it; `weights_folder` by default.
        progress: Called as the file grows, with the bytes that are there and those of the whole (None if not known).
            By default Keras' progress bar is shown, if standard output is a terminal.

    Returns:
        The file; its hash is right.

    Raises:
        ValueError: If no row has that name.
        DownloadError: If the file cannot be had, as when there is no network; the text names the file, its address and
            where to put it by hand.
    """
    source = find_published(name)
    folder = weights_folder(source) if folder is None else Path(folder)
    try:
        return fetch(source.download, folder, progress=progress or _progress_bar(source))
    except DownloadError as error:
        if _is_former(folder / source.download.name):
            raise DownloadError(f"{str(error).removesuffix('.')}; {_FORMER}.") from error
        raise


def check_weights(name: str, *, folder: str | os.PathLike[str] | None = None) -> str | None:
    """Say what is wrong with a published file that is in the cache; no network is needed.

    Args:
        name: Name of a row of `resnet50.weights.registry.REGISTRY`.
        folder: Where the file is; `weights_folder` by default.

    Returns:
        What was found and what was needed, or None if its hash is right.

    Raises:
        ValueError: If no row has that name.
        FileNotFoundError: If the file is not there.
    """
    source = find_published(name)
    folder = weights_folder(source) if folder is None else Path(folder)
    found = check(source.download, folder)
    if found is not None and _is_former(folder / source.download.name):
        return f"{found}; {_FORMER}"
    return found


def _is_former(path: Path) -> bool:
    """Tell whether a file is Keras' former one, which has the name of the present one."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_FORMER_LAYER) >= 0
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return False


def _progress_bar(source: PublishedWeights) -> Progress | None:
    """Return what shows Keras' own bar, made when the first bytes have come; None where nobody looks."""
    if not sys.stdout.isatty():
        return None
    bars: list[Any] = []

    def show(done: int, total: int | None) -> None:
        import keras  # only here: looking for a file must not take seconds

        if not bars:
            bars.append(keras.utils.Progbar(total or source.download.size))
        bars[0].update(done)

    return show
