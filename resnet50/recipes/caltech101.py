"""Caltech-101: 101 classes of objects, 40 to 800 images of each.

Command: ``resnet50 train caltech101 --data DIR``, which fine-tunes ImageNet weights. From scratch (``--weights none``),
on 1116 images of 20 of the classes and for 15 of its 30 epochs, it reaches 72.2 % of 278 test images on average over
seeds 0 to 2, from 70.5 to 73.7, sd 1.6; the classic setting, from scratch too, 37.2 %, from 28.8 to 44.2, sd 7.8
(``benchmarks/results/tasks-caltech101.json``). These 15 epochs took 153 to 227 s on two cores with AVX512-BF16, some of
them with other work running.
"""

from __future__ import annotations

from resnet50.recipes import folder

RECIPE = folder.RECIPE.change(name="caltech101", epochs=30, image_size=64, class_weight="balanced")

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": folder.FINE_TUNED.change(name="caltech101", class_weight="balanced"),
    "classic": folder.CLASSIC.change(name="caltech101", epochs=30, image_size=64),
}
"""No public setting is known; the classic variant is plain ``fit`` from random weights."""
