"""Cats and dogs: photos of either, of all sizes.

Command: ``resnet50 train cats-dogs --data DIR``, which fine-tunes ImageNet weights. From scratch (``--weights none``),
on 500 photos, it reaches 73.8 % of 200 test photos on average over seeds 0 to 2, from 72.0 to 76.0, sd 2.0; the classic
setting, from scratch too, 54.5 %, from 54.0 to 55.0, sd 0.5 (``benchmarks/results/tasks-cats-dogs.json``). A run took
311 to 361 s on two cores with AVX512-BF16.
"""

from __future__ import annotations

from resnet50.recipes import folder

RECIPE = folder.RECIPE.change(name="cats-dogs", image_size=64)

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": folder.FINE_TUNED.change(name="cats-dogs"),
    "classic": folder.CLASSIC_TUNED.change(
        name="cats-dogs", trainable="head", head="flatten", epochs=10, validation_split=0.2, image_size=180
    ),
}
