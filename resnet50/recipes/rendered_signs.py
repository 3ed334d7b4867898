"""Rendered signs: drawn hands that show 0 to 5, so that training needs no download. They are not SIGNS.

Command: ``resnet50 train rendered-signs``. On two cores with AVX512-BF16 it takes 138 to 143 s and reaches, on the test
images, 91.9 % on average over seeds 0 to 2, from 91.7 to 92.5 %, sd 0.5, where a linear classifier gets 39.2 %
(``benchmarks/results/accuracy-rendered-signs.json``).
"""

from __future__ import annotations

from resnet50.recipes import signs

VARIANTS = {name: recipe.change(name="rendered-signs") for name, recipe in signs.VARIANTS.items()}
RECIPE = VARIANTS["scratch"]
