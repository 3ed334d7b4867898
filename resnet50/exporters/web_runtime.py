"""ONNX Runtime Web: the files that a page needs to compute in the browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from resnet50._io.bars import bar
from resnet50._io.download import Download
from resnet50._io.fetch import Progress, cache_folder, check, fetch
from resnet50._io.paths import describe_path

VERSION = "1.30.0"
"""Version of the npm package onnxruntime-web."""

_FILES: Mapping[str, tuple[int, str]] = {  # size and SHA-256
    "ort.wasm.min.mjs": (50_126, "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b"),
    "ort-wasm-simd-threaded.mjs": (24_381, "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"),
    "ort-wasm-simd-threaded.wasm": (14_239_897, "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
}

# servers that give single files of npm packages; the whole package has 33 MB
_SERVERS = ("https://cdn.jsdelivr.net/npm", "https://unpkg.com")

DOWNLOADS = tuple(
    Download(
        name,
        tuple(f"{server}/onnxruntime-web@{VERSION}/dist/{name}" for server in _SERVERS),
        size,
        size,
        sha256=sha256,
    )
    for name, (size, sha256) in _FILES.items()
)
"""The files of the package that a page needs, 14 MB."""


def runtime_folder() -> Path:
    """Return the cache folder of ONNX Runtime Web. It may not exist yet."""
    return cache_folder() / "onnxruntime-web" / VERSION


def missing_bytes() -> int:
    """Return the number of bytes that `fetch_runtime` has to fetch: 0 if the cache has all files."""
    folder = runtime_folder()
    return sum(
        download.size or 0
        for download in DOWNLOADS
        if not (folder / download.name).is_file() or check(download, folder) is not None
    )


def fetch_runtime(*, progress: Progress | None = None) -> Path:
    """Fetch ONNX Runtime Web into the cache, unless it is there; cached files are checked by their hashes.

    Args:
        progress: Called as a file grows, with the bytes received and the total. By default, a progress bar is shown if
            standard error is a terminal.

    Returns:
        The folder with the three files.

    Raises:
        DownloadError: If a file cannot be fetched, for example without network access; the message names the file, its
            addresses, and where to put it by hand.
    """
    folder = runtime_folder()
    for download in DOWNLOADS:
        with bar(download.name, in_bytes=True) if progress is None else nullcontext(progress) as report:
            fetch(download, folder, progress=report)
    return folder


def find_runtime(folder: str | os.PathLike[str]) -> list[Path]:
    """Return the files of ONNX Runtime Web in a folder, each checked by its hash.

    Args:
        folder: Where they are, such as ``dist`` of the npm package onnxruntime-web.

    Raises:
        FileNotFoundError: If a file is not there.
        ValueError: If a file is another, such as that of another version.
    """
    paths = [Path(folder, download.name) for download in DOWNLOADS]
    for path, download in zip(paths, DOWNLOADS, strict=True):
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: expected a file of onnxruntime-web {VERSION}, got {describe_path(path)}; name the folder "
                "that has it, or none to fetch it."
            )
        if check(download, folder) is not None:
            raise ValueError(
                f"{path}: expected the file of onnxruntime-web {VERSION}, got one with another SHA-256; name the "
                "folder of that version, or none to fetch it."
            )
    return paths
