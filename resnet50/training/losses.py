"""The training losses of recipes, and the accuracy that is shown beside them."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from resnet50.training.recipe import Recipe


def build_loss(recipe: Recipe) -> keras.losses.Loss:
    """Build the loss of a recipe, for a model from `resnet50.training.fast_cpu.precision.build_training_model`.

    ``"cross-entropy"`` is that of the softmax, ``-sum(t log p)``. ``"binary-cross-entropy"`` takes each class by itself
    (`BinaryCrossEntropy`) and the training model's logits; the trained model ends with a softmax in either case, which
    does not change which class is the most probable.
    """
    if takes_logits(recipe):
        return BinaryCrossEntropy(recipe.label_smoothing, recipe.target_threshold)
    return keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing)


def takes_logits(recipe: Recipe) -> bool:
    """Return whether the loss of a recipe takes logits in place of probabilities."""
    return recipe.loss == "binary-cross-entropy"


class Accuracy(keras.metrics.CategoricalAccuracy):
    """Share of the images that are classified correctly: each counts once, whatever its weight, and not at all with 0.

    The weights of classes are for the loss alone; an image of weight 0 fills a batch up.
    """

    def __init__(self) -> None:
        super().__init__(name="accuracy")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Count a batch: targets and outputs ``(n, classes)``, weights ``(n,)``."""
        counted = None if sample_weight is None else ops.cast(sample_weight > 0, self.dtype)
        return super().update_state(y_true, y_pred, counted)


class BinaryCrossEntropy(keras.losses.Loss):
    """Binary cross-entropy of each class, averaged over the classes: ``-mean(t log s(z) + (1 - t) log(1 - s(z)))``.

    For logits ``z``, the sigmoid ``s`` and targets ``t``, which are the shares of the classes in an image, smoothed, or
    1 and 0 above and below a threshold: an image that is mixed of a cat and a dog then shows both.

    Args:
        label_smoothing: Share of the target that is spread over all classes, as in `CategoricalCrossentropy`.
        threshold: Share above which a class counts in full; 0 leaves the shares as they are.

    Source: Wightman et al. 2021, arXiv:2110.00476, section 2.2; ``timm/loss/binary_cross_entropy.py``.
    """

    def __init__(self, label_smoothing: float = 0.0, threshold: float = 0.0) -> None:
        super().__init__(name="binary_cross_entropy")
        self.label_smoothing, self.threshold = label_smoothing, threshold

    def call(self, targets: Any, logits: Any) -> Any:
        """Return the loss of each image, ``(n,)``, for targets and logits ``(n, classes)``."""
        if self.threshold:
            targets = ops.cast(targets > self.threshold, logits.dtype)
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / targets.shape[-1]
        return ops.mean(ops.binary_crossentropy(targets, logits, from_logits=True), axis=-1)
