"""Your own pictures: any folder of class folders, a CSV table, or an h5 file.

Command: ``resnet50 train folder PICTURES``. Where ImageNet's weights are at hand they are fine-tuned at 224 pixels;
else the network learns from nothing at 96. A fifth of the pictures is kept to be scored at the end, where the source
names no test part of its own, and some of the rest to be scored after every epoch.

The recipes that begin with these numbers, such as leukemia, are scored beside the classic setting by
``benchmarks/tasks.py``.
"""

from __future__ import annotations

import os
from dataclasses import replace

from resnet50.data.augmentation import Augmentation
from resnet50.data.pictures import load_pictures
from resnet50.data.split import Parts
from resnet50.download import Progress
from resnet50.training.recipe import Phase, Recipe

RECIPE = Recipe(
    name="folder",
    epochs=40,
    batch_size=32,
    learning_rate=3e-3,
    warmup_epochs=3,
    beta_2=0.99,
    weight_decay=0.02,
    label_smoothing=0.1,
    validation=0.15,
    average_epochs=5,
    checkpoint_epochs=10,
    side=96,
    augmentation=Augmentation(shift=0.1, rotation=15, zoom=0.2, brightness=0.15, contrast=0.15, flip=True),
)

FINE_TUNED = Recipe(
    name="folder",
    weights="imagenet",
    before=(Phase(epochs=5, learning_rate=3e-3, warmup_epochs=1, trains="head"),),
    epochs=15,
    batch_size=32,
    learning_rate=3e-4,
    warmup_epochs=2,
    layer_decay=0.7,
    weight_decay=0.02,
    label_smoothing=0.1,
    validation=0.15,
    checkpoint_epochs=5,
    side=224,
    augmentation=RECIPE.augmentation,
)
"""Not measured: no ImageNet weights were at hand where this was written."""

CLASSIC = Recipe(
    name="folder",
    epochs=40,
    batch_size=32,
    learning_rate=1e-3,
    warmup_epochs=0,
    schedule="constant",
    weight_decay=0.0,
    label_smoothing=0.0,
    validation=0.15,
    conventions="keras",
    normalization="unit",
    precision="float32",
    side=96,
)
"""Plain ``fit`` of keras.applications.ResNet50 with Adam, from random weights."""

CLASSIC_TUNED = replace(CLASSIC, weights="imagenet", conventions=None, normalization=None, side=224)
"""What public projects do with ImageNet's weights, but for the head and the epochs."""

VARIANTS = {"scratch": RECIPE, "fine-tuned": FINE_TUNED, "classic": CLASSIC}


def load(
    data: str | os.PathLike[str] | None,
    *,
    side: int,
    progress: Progress | None = None,
    pattern: str | None = None,
    test: float = 0.2,
    most_unreadable: float = 0.1,
) -> Parts:
    """Read pictures from any source that `resnet50.data.pictures.load_pictures` knows.

    Args:
        data: The source.
        side: Height and width in pixels that every picture is brought to.
        progress: Called while pictures are decoded.
        pattern: Regular expression that finds the class, as a group named ``class``, in a file's path.
        test: Share of the pictures to score at the end, where the source has no test part.
        most_unreadable: Share of files that may be left out since they cannot be read.

    Returns:
        Training and test pictures, and validation pictures where the source has such a part.

    Raises:
        FileNotFoundError: If nothing is there, or no place is named.
        ValueError: If the source is none that is known, or too many of its files cannot be read.
    """
    if data is None:
        raise FileNotFoundError("needed a place to read pictures from, got none; name a folder, a CSV or an h5 file.")
    return load_pictures(
        data, side=side, progress=progress, pattern=pattern, test=test, most_unreadable=most_unreadable
    )
