"""Caltech-101: pictures of 101 kinds of things, 40 to 800 of each.

Command: ``resnet50 train caltech101 --data DIR``, where DIR holds ``101_ObjectCategories``, as published (Fei-Fei et
al. 2004, "Learning generative visual models from few training examples"). Its folder of odd pictures,
``BACKGROUND_Google``, is left out. From scratch, on 1116 pictures of 20 of the classes and for 15 of its 30 epochs, it
reaches 72.2 % of 278 test pictures on average over seeds 0 to 2, from 70.5 to 73.7, sd 1.6; the classic setting, from
scratch too, 37.2 %, from 28.8 to 44.2, sd 7.8 (``benchmarks/results/tasks-caltech101.json``). These 15 epochs took 153
to 227 s on two cores with AVX512-BF16, some of them with other work to do.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from resnet50.data.listing import list_pictures
from resnet50.data.pictures import load_pictures
from resnet50.data.split import Parts
from resnet50.download import Progress
from resnet50.recipes import folder

RECIPE = replace(folder.RECIPE, name="caltech101", epochs=30, side=64, balance_classes=True)

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": replace(folder.FINE_TUNED, name="caltech101", balance_classes=True),
    "classic": replace(folder.CLASSIC, name="caltech101", epochs=30, side=64),
}
"""No public setting is known; the classic one is plain ``fit`` from random weights."""

_ODD = "BACKGROUND_Google"


def load(data: str | os.PathLike[str] | None, *, side: int, progress: Progress | None = None) -> Parts:
    """Read the pictures; a fifth of each class is kept to be scored at the end.

    Args:
        data: The published folder, or its ``101_ObjectCategories``.
        side: Height and width in pixels that every picture is brought to.
        progress: Called while pictures are decoded.

    Returns:
        Training and test pictures.

    Raises:
        FileNotFoundError: If nothing is there, or no place is named.
        ValueError: If there are no class folders, or too many files cannot be read.
    """
    if data is None:
        raise FileNotFoundError("needed the folder 101_ObjectCategories, got none; name it.")
    inside = Path(data, "101_ObjectCategories")
    listing = list_pictures(inside if inside.is_dir() else data)
    names = tuple(name for name in listing.class_names if name != _ODD)
    kept = [entry for entry in listing.entries if listing.class_names[entry.label] != _ODD]
    entries = tuple(replace(entry, label=names.index(listing.class_names[entry.label])) for entry in kept)
    listing = replace(listing, entries=entries, class_names=names, dataset="Caltech-101")
    return load_pictures(listing, side=side, progress=progress)
