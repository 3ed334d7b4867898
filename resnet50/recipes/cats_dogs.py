"""Cats and dogs: photos of either, of all sizes.

Command: ``resnet50 train cats-dogs --data DIR``, where DIR holds ``train/cats``, ``train/dogs``, ``test/cats`` and
``test/dogs``, or the competition's ``train`` folder of ``cat.0.jpg``, ``dog.0.jpg`` and so on (Elson et al. 2007,
"Asirra", 25,000 labelled photos). From scratch, on 500 photos, it reaches 73.8 % of 200 test photos on average over
seeds 0 to 2, from 72.0 to 76.0, sd 2.0; the classic setting, from scratch too, 54.5 %, from 54.0 to 55.0, sd 0.5
(``benchmarks/results/tasks-cats-dogs.json``). A run took 311 to 361 s on two cores with AVX512-BF16.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from resnet50.data.split import Parts
from resnet50.download import Progress
from resnet50.recipes import folder

RECIPE = replace(folder.RECIPE, name="cats-dogs", side=64)

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": replace(folder.FINE_TUNED, name="cats-dogs"),
    "classic": replace(
        folder.CLASSIC_TUNED,
        name="cats-dogs",
        trains="head",
        head="flatten",
        epochs=10,
        validation=0.2,
        side=180,
    ),
}


def load(data: str | os.PathLike[str] | None, *, side: int, progress: Progress | None = None) -> Parts:
    """Read the photos; where there is no test part, a fifth is kept to be scored at the end.

    Args:
        data: Folder with a part for training and one to test, or the competition's.
        side: Height and width in pixels that every photo is brought to.
        progress: Called while photos are decoded.

    Returns:
        Training and test photos.

    Raises:
        FileNotFoundError: If nothing is there, or no place is named.
        ValueError: If there are no classes, or too many files cannot be read.
    """
    if data is not None and any(Path(data, "train").glob("cat.*.jpg")):  # the competition's test photos have no labels
        return folder.load(Path(data, "train"), side=side, progress=progress, pattern=r"^(?P<class>cat|dog)\.")
    return folder.load(data, side=side, progress=progress)
