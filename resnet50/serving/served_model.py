"""What clients may know of a served classifier; the process that speaks HTTP has this and not the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resnet50.inference.prediction import Doubt

if TYPE_CHECKING:
    from resnet50.inference.classifier import Classifier
    from resnet50.inference.locate import Located


class Shares(NamedTuple):
    """What a client asks of the thresholds, as `resnet50.predict` takes it; None for what a model has by default.

    Attributes:
        coverage: Share of images whose class is to be in their set.
        refuse: Share of images like the training's that may be refused.
    """

    coverage: float | None = None
    refuse: float | None = None


class Answer(NamedTuple):
    """What an image gives.

    Attributes:
        probabilities: float32 ``(classes,)``.
        doubt: What the thresholds of the classifier say; nothing where no shares were asked for.
    """

    probabilities: np.ndarray
    doubt: Doubt = Doubt()


Row = Answer | str
"""The answer for an image, or the reason why it cannot be read, one line."""

Image = bytes | np.ndarray
"""An encoded image, or pixels of the model's size: RGB ``(height, width, 3)``, 0..255, uint8 or float32."""


@dataclass(frozen=True, kw_only=True)
class ServedModel:
    """A classifier without its network and without the paths and numbers of its training.

    Attributes:
        name: Name of the model in URLs and answers.
        class_names: Name of each output.
        image_size: Height and width in pixels of the network's input.
        precision: Precision of the computation, such as ``"fp32"``.
        dataset: Name of the dataset that the model was trained on.
        fingerprint: SHA-256 of the training images.
        metrics: Scores on the test split.
        fit: How images are fitted to the input (`resnet50.Fit`).
    """

    name: str
    class_names: Sequence[str]
    image_size: tuple[int, int]
    precision: str
    dataset: str
    fingerprint: str
    metrics: Mapping[str, float]
    fit: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return every field, ready for JSON."""
        return asdict(self)


def describe(classifier: Classifier, name: str) -> ServedModel:
    """Return what clients may know of a classifier."""
    return ServedModel(
        name=name,
        class_names=classifier.class_names,
        image_size=classifier.image_size,
        precision=classifier.precision,
        dataset=classifier.dataset,
        fingerprint=classifier.fingerprint,
        metrics=dict(classifier.metrics),
        fit=classifier.fit.to_dict(),
    )


def model_name(located: Located) -> str:
    """Return the name of a model on disk: that of its run or export, or that of its file without the suffix."""
    path: Path = (located.run or located.model).resolve()
    return path.name if path.is_dir() else path.stem
