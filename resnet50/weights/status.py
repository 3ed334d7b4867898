"""The state of weights files, without network access: where published ones are cached, and whether files are right."""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50._io.paths import describe_path
from resnet50.weights.fetch import check_weights, weights_folder
from resnet50.weights.registry import REGISTRY, SUFFIXES, PublishedWeights, find_published

if TYPE_CHECKING:
    from resnet50.weights.read import WeightsFile

_CHOOSE = "check its name, or choose published weights ('resnet50 weights list')"


@dataclass(frozen=True)
class Verdict:
    """Whether a weights file is the one that its publisher released.

    Attributes:
        name: Published name and path of the file that was checked.
        right: Whether its hash is the published one.
        text: The verdict, one line.
    """

    name: str
    right: bool
    text: str


def cached_path(source: PublishedWeights) -> Path:
    """Return where the file of published weights is, or would be."""
    return weights_folder(source) / source.download.name


def is_cached(source: PublishedWeights) -> bool:
    """Return whether the file of published weights is in the cache."""
    return cached_path(source).is_file()


def find_weights(name: str) -> tuple[PublishedWeights | None, Path]:
    """Find weights by a published name or a file; nothing is fetched.

    Args:
        name: Published name, or path of a file.

    Returns:
        The row of the registry and where its file is or would be; or None and the file.

    Raises:
        FileNotFoundError: If the name is that of a file that does not exist, or of a folder.
        ValueError: If it is neither.
    """
    path = Path(name)
    if name not in REGISTRY:
        if path.is_file():
            return None, path
        if path.suffix in SUFFIXES or path.is_dir():
            actual = "a folder; name the file in it" if path.is_dir() else f"{describe_path(path)}; {_CHOOSE}"
            raise FileNotFoundError(f"{name}: expected a file of weights or a published name, got {actual}.")
    source = find_published(name)
    return source, cached_path(source)


def verify(source: PublishedWeights | None, path: str | os.PathLike[str]) -> Verdict:
    """Compare a file of weights with the published hashes; no network is needed.

    Args:
        source: The published weights that it should be; None for any.
        path: The file. One that has the name of a published file is compared with that one.

    Returns:
        The verdict.

    Raises:
        FileNotFoundError: If the file does not exist and does not have the name of a published file.
    """
    path = Path(path)
    for row in (source,) if source else REGISTRY.values():
        if row.download.name == path.name:
            return _verify_row(row, path)
    for row in REGISTRY.values():
        if row.download.mismatch(path) is None:
            return Verdict(f"{row.name} ({path})", True, "right")
    return Verdict(str(path), False, "unknown, no published weights have its hash")


def _verify_row(row: PublishedWeights, path: Path) -> Verdict:
    name = f"{row.name} ({path})"
    if not path.is_file():
        return Verdict(name, False, "not there")
    mismatch = check_weights(row.name, folder=path.parent)
    return Verdict(name, True, "right") if mismatch is None else Verdict(name, False, f"WRONG, {mismatch}")


def facts(source: PublishedWeights) -> dict[str, Any]:
    """Return all properties of published weights as plain values, ready for JSON."""
    return {**dataclasses.asdict(source), "path": str(cached_path(source)), "cached": is_cached(source)}


def classes_of(weights: WeightsFile) -> int:
    """Return the number of classes of a file's classifier, at least 2 (`build_resnet50`); 1000 if it has none."""
    head = weights.arrays.get("predictions")
    return max(head[0].shape[-1], 2) if head and head[0].ndim == 2 else 1000


def channels_of(weights: WeightsFile) -> int:
    """Return the number of channels that a file's first convolution takes; 3 if it has none."""
    stem = weights.arrays.get("conv1_conv")
    return stem[0].shape[2] if stem and stem[0].ndim == 4 else 3


def form_of(weights: WeightsFile) -> str:
    """Return the row of `resnet50.forms.FORMS` that the layers of a file belong to."""
    if "post_bn" in weights.arrays:
        return "preactivation"
    projections = any(name.endswith("_0_conv") for name in weights.arrays)
    return "plain" if "conv3_block1_1_conv" in weights.arrays and not projections else "residual"
