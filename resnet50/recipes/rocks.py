"""Rocks: 30 classes of igneous, metamorphic and sedimentary rocks; 360 images to train on and 120 to test.

Command: ``resnet50 train rocks --data DIR``, which fine-tunes ImageNet weights in all layers. From scratch
(``--weights none``) it reaches 14.2 % of the 120 test images on average over seeds 0 to 2, from 12.5 to 16.7, sd 2.2,
where guessing gives 3.3; the classic setting, from scratch too, 5.3 %, from 3.3 to 7.5, sd 2.1
(``benchmarks/results/tasks-rocks.json``). Ten images of a class are few to learn from. A run from scratch took 203 to
213 s on two cores with AVX512-BF16.
"""

from __future__ import annotations

from resnet50.data.augmentation import Augmentation
from resnet50.recipes import folder
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe

RECIPE = folder.RECIPE.change(
    name="rocks",
    epochs=60,
    warmup_epochs=5,
    swa_epochs=10,
    image_size=64,
    # a rock has no upright orientation, but its color identifies it
    augmentation=Augmentation(shift=0.1, rotation=180, zoom=0.25, brightness=0.05, contrast=0.1, flip=True),
)

VARIANTS = {
    "scratch": RECIPE,
    "fine-tuned": folder.ALL_LAYERS.change(name="rocks", flip=True),
    "classic": Recipe(
        name="rocks",
        weights="imagenet",
        head="mlp",
        phases=(
            Phase(
                epochs=100,
                learning_rate=1e-3,
                schedule="plateau",
                lr_factor=0.1,
                lr_patience=10,
                trainable="head",
                patience=20,
            ),
            Phase(epochs=150, learning_rate=1e-4, schedule="plateau", lr_factor=0.1, lr_patience=10, patience=20),
        ),
        weight_decay=0.0,
        label_smoothing=0.0,
        validation_split=0.2,
        restore_best=True,
        precision="float32",
        image_size=224,
        augmentation=Augmentation(rotation=20, shear=10, zoom=0.2, flip=True),
    ),
}
