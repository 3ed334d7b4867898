"""Fetch published weights into the cache, and check cached files."""

from __future__ import annotations

import mmap
import os
from contextlib import nullcontext
from pathlib import Path

from resnet50._io.bars import bar
from resnet50._io.fetch import DownloadError, Progress, cache_folder, check, fetch
from resnet50.weights.registry import PublishedWeights, find_published

_FORMER_LAYER = b"res2a_branch2a"
_FORMER = (
    "the existing file is an older one of Keras with the same name, whose layers (res2a_branch2a and so on) this "
    "network does not have"
)


def weights_folder(published: PublishedWeights) -> Path:
    """Return the cache folder of published weights.

    Args:
        published: Row of `resnet50.weights.REGISTRY`.

    Returns:
        ``weights/<publisher>`` in `resnet50._io.fetch.cache_folder`. For Keras' own files, the folder ``models`` of
        Keras' cache (``$KERAS_HOME``, or ``~/.keras``), so that keras.applications shares them.
    """
    if published.publisher != "keras":
        return cache_folder() / "weights" / published.publisher
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"]).expanduser() / "models"
    home = Path.home()
    # as Keras does if the user cannot write to the home folder
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras" / "models"  # noqa: S108


def fetch_weights(name: str, *, folder: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Path:
    """Fetch published weights, unless they are cached; a cached file is checked by its hash.

    Args:
        name: Name in `resnet50.weights.REGISTRY`.
        folder: Where to look for the file and put it; `weights_folder` by default.
        progress: Called as the file grows, with the bytes received and the total (None if unknown). By default, a
            progress bar is shown if standard error is a terminal.

    Returns:
        Path of the file, whose hash is right.

    Raises:
        ValueError: If no row has that name.
        DownloadError: If the file cannot be fetched, for example without network access; the message names the file,
            its address, and where to put it by hand.
    """
    published = find_published(name)
    folder = weights_folder(published) if folder is None else Path(folder)
    try:
        with bar(name, in_bytes=True) if progress is None else nullcontext(progress) as report:
            return fetch(published.download, folder, progress=report)
    except DownloadError as error:
        if _is_former(folder / published.download.name):
            raise DownloadError(f"{str(error).removesuffix('.')}; {_FORMER}.") from error
        raise


def check_weights(name: str, *, folder: str | os.PathLike[str] | None = None) -> str | None:
    """Check a cached file of published weights, without network access.

    Args:
        name: Name in `resnet50.weights.REGISTRY`.
        folder: Folder of the file; `weights_folder` by default.

    Returns:
        The difference, as "a file of ..., expected ...", or None if the file is right.

    Raises:
        ValueError: If no row has that name.
        FileNotFoundError: If the file does not exist.
    """
    published = find_published(name)
    folder = weights_folder(published) if folder is None else Path(folder)
    difference = check(published.download, folder)
    if difference is not None and _is_former(folder / published.download.name):
        return f"{difference}; {_FORMER}"
    return difference


def _is_former(path: Path) -> bool:
    """Return whether a file is Keras' former one, which has the name of the present one."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_FORMER_LAYER) >= 0
    except (OSError, ValueError):  # ValueError: an empty file cannot be mapped
        return False
