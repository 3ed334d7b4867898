"""ImageNet from scratch in 90 epochs, as NVIDIA trains it: SGD, a cosine and crops, and nothing else.

Command: ``resnet50 train imagenet-90 --data DIR``. Published are 77.12 ± 0.11 % of the validation images in mixed
precision on eight A100, and 77.10 ± 0.06 % on sixteen V100 (NVIDIA/DeepLearningExamples,
``PyTorch/Classification/ConvNets/resnet50v1.5/README.md``; the numbers are from there and from ``configs.yml`` and
``image_classification/optimizers.py`` beside it). Not measured here.

A step has 2,048 images, as there: eight batches of 256, each with batch norm statistics of its own. What differs: the
rate of the warm-up rises in every step and not in every epoch; the bias of the last layer does not decay; residuals
start at zero. Crops are cut from the whole image where DIR holds packed records; from a folder of images, which are
decoded into a cache of 150 KB each, they are cut from the center square that is stored there.
"""

from __future__ import annotations

from resnet50.data.augmentation import Augmentation
from resnet50.data.fit import Fit
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe

RECIPE = Recipe(
    name="imagenet-90",
    phases=(Phase(epochs=90, learning_rate=2.048, warmup_epochs=8),),
    batch_size=256,
    gradient_accumulation_steps=8,
    optimizer="sgd",
    momentum=0.875,
    weight_decay=1 / 32768,
    label_smoothing=0.1,
    augmentation=Augmentation(crop_area=0.08, flip=True),
    conventions="v1.5",
    normalization="torch",
    image_size=224,
    fit=Fit(crop_ratio=0.875, resampling="bilinear"),
    checkpoint_epochs=1,
)
"""0.256 for each 256 images of a step; weight decay 1/32768 as the configuration for 2,048 images has it."""

VARIANTS = {"scratch": RECIPE}
