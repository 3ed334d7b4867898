"""The input and the output of an exported network, described for programs without this package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resnet50.data.fit import Fit
from resnet50.inference.classifier import Classifier
from resnet50.weights.normalization import model_normalization

QUANTIZED = ("int8", "uint8")
"""Precisions that are calibrated on images; uint8 is int8 with pixels and probabilities of 8 bits."""


@dataclass(frozen=True)
class Contract:
    """Description of an export for programs without this package.

    Attributes:
        class_names: Name of each output.
        fit: How images are fitted to the size of the network.
        any_size: Whether the export does that itself.
        image: How an image becomes the input, step by step: keys and plain values, ready for JSON.
        features: Whether the export gives the features that images are compared by, as a second output.
        thresholds: When it names several classes, or none (`Thresholds.to_dict`); None where that is not known, or not
            yet.
    """

    class_names: tuple[str, ...]
    fit: Fit
    any_size: bool
    image: Mapping[str, Any]
    features: bool = False
    thresholds: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, classifier: Classifier, *, precision: str, any_size: bool) -> Contract:
        """Return the contract of a classifier's export.

        One of 8 bits gives other probabilities and features, so that the classifier's thresholds are not its own.
        """
        fit, value_range = classifier.fit, classifier.fit.value_range
        steps = {name: value for name, value in fit.to_dict().items() if name != "value_range"}
        image = {
            "frame": "first",
            "orientation": "EXIF applied",
            "alpha": "on white",
            "gray": "three equal channels",
            "deep": None if value_range is None else list(value_range),
            "fit": {**steps, "by": "the network" if any_size else "the caller"},
            "size": "any" if any_size else list(classifier.image_size),
            "colors": "RGB",
            "layout": "HWC" if any_size else "NHWC",
            "dtype": "uint8" if any_size or precision == "uint8" else "float32",
            "range": [0, 255],
            "normalization": {"name": model_normalization(classifier.model), "by": "the network"},
        }
        known = classifier.thresholds
        own = known.to_dict(len(classifier.class_names)) if known and precision not in QUANTIZED else None
        return cls(classifier.class_names, fit, any_size, image, known is not None and known.refuses, own)

    def texts(self) -> dict[str, str]:
        """Return the texts that formats with metadata of their own store, as JSON.

        These are ``class_names``, ``image`` and, where they are known, ``thresholds``.
        """
        texts = {"class_names": json.dumps(self.class_names, ensure_ascii=False), "image": json.dumps(self.image)}
        return texts if self.thresholds is None else {**texts, "thresholds": json.dumps(self.thresholds)}

    @property
    def labels(self) -> str:
        """The content of ``labels.txt``: a class name a line."""
        return "".join(f"{name}\n" for name in self.class_names)
