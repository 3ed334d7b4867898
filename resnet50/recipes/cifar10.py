"""CIFAR-10: ten classes of objects on 60,000 images of 32 x 32 pixels.

Command: ``resnet50 train cifar10 --data DIR``, which fine-tunes ImageNet weights on images enlarged to 128 pixels: the
60,000 then take 3 GB of memory, 9 GB at 224. From scratch (``--weights none``), the network has the CIFAR stem, which
keeps the full 32 x 32 resolution up to the second stage: 23,600,522 parameters and four times the computation of the
paper's stem at 64 pixels. On 4,000 of the images and for 2 of its 30 epochs, it reaches 36.7 % of 1,000 test images on
average over seeds 0 to 2, from 35.7 to 37.9, sd 1.1; the classic setting, from scratch too, 11.7 %, from 10.1 to 14.1,
sd 2.1 (``benchmarks/results/tasks-cifar10.json``). These 2 epochs took 150 to 152 s on two cores with AVX512-BF16.
"""

from __future__ import annotations

from dataclasses import replace

from resnet50.recipes import folder

RECIPE = folder.RECIPE.change(
    name="cifar10",
    epochs=30,
    batch_size=64,
    stem="cifar",
    image_size=32,
    validation_split=0.1,
    augmentation=replace(folder.RECIPE.augmentation, shift=0.125, rotation=0, zoom=0, flip=True),
)

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": folder.FINE_TUNED.change(name="cifar10", image_size=128, augmentation=RECIPE.augmentation),
    "classic": folder.CLASSIC.change(
        name="cifar10",
        epochs=100,
        schedule="plateau",
        lr_factor=0.1,
        lr_patience=2,
        patience=10,
        validation_split=0.1,
        image_size=32,
    ),
}
"""The classic network has the ImageNet stem and 23,608,202 parameters; 93.28 % were published for it."""
