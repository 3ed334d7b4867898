"""ImageNet from scratch by procedure A3 of "ResNet strikes back": 100 epochs at 160 pixels, tested at 224.

Command: ``resnet50 train imagenet --data DIR``. Published are 78.1 % of the validation images (Wightman, Touvron and
Jégou 2021, arXiv:2110.00476, table 2 and its results; 78.05 % for timm's ``resnet50.a3_in1k``). Not measured here.
``--variant classic`` is the setting of ``imagenet-90``.

LAMB, binary cross-entropy, RandAugment 6, mixup 0.1, cutmix 1, no label smoothing: the numbers were compared with a
second implementation (open-mmlab/mmpretrain, ``configs/resnet/resnet50_8xb256-rsb-a3-100e_in1k.py``), which trains at
224 pixels with batch norm over all devices. A class counts in full above a share of 0.2 of a mixed image, as in
published commands of these procedures (``--bce-target-thresh 0.2``, Alibaba-MIIL/ML_Decoder). A step has 2,048 images:
four batches of 512, each with batch norm statistics of its own. What differs: every 32 images have a mixture of their
own, and not every batch of a GPU; crops are always resized bicubically; validation images, where there are any, are
scored at 160 pixels. Crops are cut from the whole image where DIR holds packed records; from a folder of images, which
are decoded into a cache of 150 KB each, they are cut from the center square that is stored there.
"""

from __future__ import annotations

from resnet50.data.augmentation import Augmentation
from resnet50.data.fit import Fit
from resnet50.recipes import imagenet_90
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe

RECIPE = Recipe(
    name="imagenet",
    phases=(Phase(epochs=100, learning_rate=8e-3, warmup_epochs=5),),
    batch_size=512,
    gradient_accumulation_steps=4,
    optimizer="lamb",
    weight_decay=0.02,
    clip_norm=1.0,
    loss="binary-cross-entropy",
    target_threshold=0.2,
    label_smoothing=0.0,
    augmentation=Augmentation(crop_area=0.08, flip=True, rand_augment=6),
    mixup=0.1,
    cutmix=1.0,
    conventions="v1.5",
    normalization="torch",
    image_size=224,
    train_image_size=160,
    fit=Fit(crop_ratio=0.95, resampling="bicubic"),
    checkpoint_epochs=1,
)
"""The limit of the gradients' norm is a part of timm's LAMB."""

VARIANTS = {"scratch": RECIPE, "classic": imagenet_90.RECIPE.change(name="imagenet")}
