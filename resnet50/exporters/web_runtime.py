"""ONNX Runtime Web: the files that a page needs to compute in the browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from resnet50._io.bars import bar
from resnet50._io.download import Download
from resnet50._io.fetch import cache_folder, check, fetch

VERSION = "1.30.0"
"""Version of ONNX Runtime Web."""

_SHA256: Mapping[str, tuple[int, str]] = {
    "ort.wasm.min.mjs": (50_126, "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b"),
    "ort-wasm-simd-threaded.mjs": (24_381, "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b"),
    "ort-wasm-simd-threaded.wasm": (14_239_897, "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2"),
}

DOWNLOADS = tuple(
    Download(name, (f"https://cdn.jsdelivr.net/npm/onnxruntime-web@{VERSION}/dist/{name}",), size, size, sha256=sha256)
    for name, (size, sha256) in _SHA256.items()
)
"""The files of ONNX Runtime Web that a page needs, 14 MB, at the address that its documentation names."""


def find_runtime(folder: str | os.PathLike[str] | None) -> list[Path]:
    """Return the files of ONNX Runtime Web, each checked by its hash.

    Args:
        folder: Where they are, such as ``dist`` of the package onnxruntime-web; None for the cache, into which they are
            fetched if they are not there.

    Raises:
        ValueError: If a file of the folder is missing or is another.
        DownloadError: If a file cannot be fetched.
    """
    if folder is None:
        cached = cache_folder() / "onnxruntime-web" / VERSION
        return [_fetched(download, cached) for download in DOWNLOADS]
    for download in DOWNLOADS:
        path = Path(folder, download.name)
        problem = check(download, folder) if path.is_file() else "no such file"
        if problem:
            raise ValueError(f"{path}: expected the file of onnxruntime-web {VERSION}, got {problem}.")
    return [Path(folder, download.name) for download in DOWNLOADS]


def _fetched(download: Download, folder: Path) -> Path:
    with bar(download.name, in_bytes=True) as progress:
        return fetch(download, folder, progress=progress)
