"""Leukemia: blood smears of four kinds, benign and early, pre and pro acute lymphoblastic leukemia.

Command: ``resnet50 train leukemia --data DIR``, where DIR holds the folders Benign, Early, Pre and Pro, as published
(Aria et al. 2021, "Acute Lymphoblastic Leukemia (ALL) image dataset", 3256 pictures). From scratch, on 726 of them, it
reaches 97.2 % of the 145 test pictures on average over seeds 0 to 2, from 96.6 to 97.9, sd 0.7; the classic setting,
from scratch too, 29.4 %, from 24.1 to 35.2, sd 5.5 (``benchmarks/results/tasks-leukemia.json``). A run took 384 to
547 s on two cores with AVX512-BF16 that had other work to do.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from resnet50.data.split import Parts
from resnet50.download import Progress
from resnet50.recipes import folder

RECIPE = replace(
    folder.RECIPE,
    name="leukemia",
    epochs=30,
    side=64,
    augmentation=replace(folder.RECIPE.augmentation, rotation=180),  # a smear has no upside
)

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": replace(folder.FINE_TUNED, name="leukemia", augmentation=RECIPE.augmentation),
    "classic": replace(
        folder.CLASSIC_TUNED,
        name="leukemia",
        head="norm",
        epochs=2,
        learning_rate=1e-4,
        schedule="exponential",
        rate_factor=0.93,  # 0.96 every 40 steps, of which the whole data set has some 70 in an epoch
    ),
}


def load(data: str | os.PathLike[str] | None, *, side: int, progress: Progress | None = None) -> Parts:
    """Read the pictures; a fifth is kept to be scored at the end.

    Args:
        data: Folder with a folder for each class, or the published one, which has them in ``Original``.
        side: Height and width in pixels that every picture is brought to.
        progress: Called while pictures are decoded.

    Returns:
        Training and test pictures.

    Raises:
        FileNotFoundError: If nothing is there, or no place is named.
        ValueError: If there are no class folders, or too many files cannot be read.
    """
    if data is not None and Path(data, "Original").is_dir():
        data = Path(data, "Original")
    return folder.load(data, side=side, progress=progress)
