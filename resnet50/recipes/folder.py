"""Your own images: any folder of class folders, a CSV table, or an h5 file.

Command: ``resnet50 train PATH``. It fine-tunes ImageNet weights at 224 pixels, and offers to fetch them where they are
not cached; without them, the network trains from scratch at 96. The recipes that begin with these numbers, such as
leukemia, are compared with the classic setting by ``benchmarks/tasks.py``.
"""

from __future__ import annotations

from resnet50.data.augmentation import Augmentation
from resnet50.training.phases import LinearProbe, Phase
from resnet50.training.recipe import Recipe

RECIPE = Recipe(
    name="folder",
    phases=(Phase(epochs=40, learning_rate=3e-3, warmup_epochs=3),),
    batch_size=32,
    beta_2=0.99,
    weight_decay=0.02,
    label_smoothing=0.1,
    validation_split=0.15,
    swa_epochs=5,
    checkpoint_epochs=10,
    image_size=96,
    augmentation=Augmentation(shift=0.1, rotation=15, zoom=0.2, brightness=0.15, contrast=0.15, flip=None),
)

FINE_TUNED = Recipe(
    name="folder",
    weights="timm/tv_in1k",
    phases=(
        LinearProbe(),
        LinearProbe(views=8, min_error=0.05),
        Phase(
            epochs=6,
            learning_rate=3e-4,
            warmup_epochs=0.5,
            freeze_batch_norm=True,
            layer_lr_decay=0.7,
            patience=2,
            min_error=0.03,
        ),
    ),
    batch_size=32,
    weight_decay=0.02,
    label_smoothing=0.0,
    validation_split=0.15,
    restore_best=True,
    checkpoint_epochs=5,
    image_size=224,
    augmentation=RECIPE.augmentation,
)
"""A linear probe; then one on more versions of each image, and all layers, each only where validation still errs.

The weights were trained with plain cross-entropy; label smoothing makes features less useful to a linear head
(Kornblith et al. 2019, arXiv:1805.08974). Their license, BSD-3-Clause, allows commercial use.
"""

ALL_LAYERS = FINE_TUNED.change(
    phases=(Phase(epochs=20, learning_rate=2e-3, warmup_epochs=2, layer_lr_decay=0.4),),
    weight_decay=0.05,
    label_smoothing=0.1,
    restore_best=False,
    train_image_size=160,
    augmentation=Augmentation(crop_area=0.08, brightness=0.15, contrast=0.4, flip=None),
)
"""All layers from the first epoch, on random parts of the images, where a linear probe errs much.

Much of it is as in timm's fine-tuning (crops, light, label smoothing, AdamW with layer decay), for 20 epochs, at 160
pixels in place of 224, and with a higher learning rate. The test images are scored at 224: things look larger in random
parts than in whole images (Touvron et al. 2019, arXiv:1906.06423). The numbers were chosen on folds of the training
photos of rocks.
"""

CLASSIC = Recipe(
    name="folder",
    phases=(Phase(epochs=40, learning_rate=1e-3, schedule="constant"),),
    batch_size=32,
    weight_decay=0.0,
    label_smoothing=0.0,
    validation_split=0.15,
    conventions="keras",
    normalization="unit",
    precision="float32",
    image_size=96,
)
"""Plain ``fit`` of keras.applications.ResNet50 with Adam, from random weights."""

CLASSIC_TUNED = CLASSIC.change(weights="imagenet", conventions=None, normalization=None, image_size=224)
"""The usual setting of public projects with ImageNet weights; each task sets head and epochs."""

VARIANTS = {"scratch": RECIPE, "fine-tuned": FINE_TUNED, "all-layers": ALL_LAYERS, "classic": CLASSIC}
