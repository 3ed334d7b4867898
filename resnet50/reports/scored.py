"""The probabilities that a report is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from resnet50.metrics.scores import FeatureScoring


@dataclass(frozen=True, eq=False)
class Scored:
    """Predicted probabilities of the images of a report.

    Attributes:
        probabilities: For ``"test"`` and, where there is one, ``"validation"``, float32 ``(n, classes)``, 0..1.
        from_features: How they were computed from features; None where the float32 model computed them.
    """

    probabilities: Mapping[str, np.ndarray]
    from_features: FeatureScoring | None = None
