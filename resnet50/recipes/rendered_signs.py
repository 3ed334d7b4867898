"""Rendered signs: drawn hands that show 0 to 5, so that training needs no download. They are not SIGNS.

Command: ``resnet50 train rendered-signs``. On two cores with AVX512-BF16 it takes 138 to 143 s and reaches, on
the test pictures, 91.9 % on average over seeds 0 to 2, from 91.7 to 92.5 %, sd 0.5, where a linear classifier gets
39.2 % (``benchmarks/results/accuracy-rendered-signs.json``).
"""

from __future__ import annotations

import os
from dataclasses import replace

from resnet50.data.pictures import load_pictures
from resnet50.data.rendered_signs import rendered_signs
from resnet50.data.split import Parts
from resnet50.download import Progress
from resnet50.recipes import signs

VARIANTS = {name: replace(recipe, name="rendered-signs") for name, recipe in signs.VARIANTS.items()}
RECIPE = VARIANTS["scratch"]


def load(data: str | os.PathLike[str] | None = None, *, side: int = 64, progress: Progress | None = None) -> Parts:
    """Draw the pictures, or read ones that were drawn before.

    Args:
        data: Folder that `resnet50.data.rendered_signs.write_rendered_signs` wrote; None to draw 1080 and 120 anew.
        side: Height and width in pixels.
        progress: Never called, since there is nothing to decode.

    Returns:
        Training and test pictures.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file does not keep to the schema.
    """
    if data is None:
        return Parts(*rendered_signs(side=side))
    return load_pictures(data, side=side, progress=progress)
