"""Leukemia: blood smears of four classes, benign and early, pre and pro acute lymphoblastic leukemia.

Command: ``resnet50 train leukemia --data DIR``, which fine-tunes ImageNet weights. From scratch (``--weights none``),
on 726 of the 3256 images, it reaches 97.2 % of the 145 test images on average over seeds 0 to 2, from 96.6 to 97.9, sd
0.7; the classic setting, from scratch too, 29.4 %, from 24.1 to 35.2, sd 5.5
(``benchmarks/results/tasks-leukemia.json``). A run took 384 to 547 s on two cores with AVX512-BF16 and other work
running.
"""

from __future__ import annotations

from dataclasses import replace

from resnet50.recipes import folder

RECIPE = folder.RECIPE.change(
    name="leukemia",
    epochs=30,
    image_size=64,
    augmentation=replace(folder.RECIPE.augmentation, rotation=180),  # a smear has no upright orientation
)

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": folder.FINE_TUNED.change(name="leukemia", augmentation=RECIPE.augmentation),
    "classic": folder.CLASSIC_TUNED.change(
        name="leukemia",
        head="norm",
        epochs=2,
        learning_rate=1e-4,
        schedule="exponential",
        lr_factor=0.93,  # 0.96 every 40 steps; the whole dataset has some 70 in an epoch
    ),
}
