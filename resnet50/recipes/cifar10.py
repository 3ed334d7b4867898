"""CIFAR-10: ten kinds of things on 60,000 pictures of 32 x 32 pixels.

Command: ``resnet50 train cifar10 --data DIR``, where DIR holds the binary version (Krizhevsky 2009, "Learning multiple
layers of features from tiny images"). The network has the small stem, which keeps all 32 x 32 places up to the second
stage: 23,600,522 parameters and four times the work of the paper's stem at 64 pixels. From scratch, on 4,000 of the
pictures and for 2 of its 30 epochs, it reaches 36.7 % of 1,000 test pictures on average over seeds 0 to 2, from 35.7 to
37.9, sd 1.1; the classic setting, from scratch too, 11.7 %, from 10.1 to 14.1, sd 2.1
(``benchmarks/results/tasks-cifar10.json``). These 2 epochs took 150 to 152 s on two cores with AVX512-BF16.
"""

from __future__ import annotations

import os
from dataclasses import replace

from resnet50.data.split import Parts
from resnet50.download import Progress
from resnet50.recipes import folder

RECIPE = replace(
    folder.RECIPE,
    name="cifar10",
    epochs=30,
    batch_size=64,
    stem="small",
    side=32,
    validation=0.1,
    augmentation=replace(folder.RECIPE.augmentation, shift=0.125, rotation=0, zoom=0, flip=True),
)

VARIANTS = {
    "scratch": RECIPE,
    "classic": replace(
        folder.CLASSIC,
        name="cifar10",
        epochs=100,
        schedule="plateau",
        rate_factor=0.1,
        rate_patience=2,
        patience=10,
        validation=0.1,
        side=32,
    ),
}
"""The classic network has the stem for large pictures and 23,608,202 parameters; it was published with 93.28 %."""


def load(data: str | os.PathLike[str] | None, *, side: int = 32, progress: Progress | None = None) -> Parts:
    """Read CIFAR-10.

    Args:
        data: Folder with the binary version, or with PNG sheets of pictures and their labels.
        side: Height and width in pixels; the pictures have 32 and are resized to any other.
        progress: Never called, since there is nothing to decode.

    Returns:
        Training and test pictures.

    Raises:
        FileNotFoundError: If nothing is there, or no place is named.
        ValueError: If the files are damaged, or of the version that is pickled.
    """
    return folder.load(data, side=side, progress=progress)
