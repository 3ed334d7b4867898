"""Where a network's weights come from and what they expect pixels to be."""

from resnet50.weights.files import load_weights
from resnet50.weights.normalization import NORMALIZATIONS, normalize

__all__ = ["NORMALIZATIONS", "load_weights", "normalize"]
