"""Temperature scaling of probabilities.

Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_MIN_PROBABILITY = 1e-38  # about the smallest float32; a softmax gives 0 below it


@dataclass(frozen=True)
class Temperature:
    """A divisor of the logits, and why it is recommended or not.

    Attributes:
        value: The temperature, above 0; 1 where none is recommended.
        images: Number of images that it was fitted on.
        loss: Mean cross-entropy of these images without a temperature, in nats; 0 where none is recommended.
        scaled_loss: The same with temperatures that were fitted on other folds, below `loss`; 0 as well.
        reason: Why none is recommended, one line; else empty.
    """

    value: float = 1.0
    images: int = 0
    loss: float = 0.0
    scaled_loss: float = 0.0
    reason: str = ""

    @property
    def is_possible(self) -> bool:
        """Whether each field has its type and range; a file may hold anything."""
        numbers = (self.value, self.loss, self.scaled_loss)
        known = all(isinstance(number, int | float) and 0 <= number < np.inf for number in numbers)
        return known and self.value > 0 and isinstance(self.images, int) and isinstance(self.reason, str)


def scale(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return p^(1/T), normalized: the softmax of the logits divided by T.

    Args:
        probabilities: float ``(n, classes)``, 0..1; a probability of 0 counts as 1e-38.
        temperature: T, above 0.

    Returns:
        float64 ``(n, classes)``, 0..1, each row summing to 1.
    """
    logits = np.log(np.maximum(probabilities, _MIN_PROBABILITY, dtype=np.float64)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
