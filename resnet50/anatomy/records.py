"""The measurements of a network that was taken apart, block by block."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import numpy as np

from resnet50.anatomy.blocks import Contribution, Lesion
from resnet50.anatomy.probes import ProbeScore
from resnet50.anatomy.views import ChannelMaps, Patch
from resnet50.audit.issue import Issue
from resnet50.data.dataset import Dataset
from resnet50.graph.geometry import FeatureMap
from resnet50.inference.classifier import Classifier

VISIBLE = 0.0455
"""Share of the largest gradient above which a pixel belongs to an effective receptive field."""


@dataclass(frozen=True, eq=False)
class ShownImage:
    """An image that the network is shown on.

    Attributes:
        name: Where it came from.
        pixels: RGB uint8 ``(height, width, 3)``, as the network sees it.
        label: Index of the most probable class.
        class_name: Its name.
        probability: Its probability, 0..1.
    """

    name: str
    pixels: np.ndarray
    label: int
    class_name: str
    probability: float


@dataclass(frozen=True, eq=False)
class View:
    """A part of the network on one image.

    Attributes:
        box: Receptive field of the cell in the middle, cut at the edges: (top, left, bottom, right) in pixels.
        heat: Grad-CAM of the image's class at its output, 0..1, ``(height, width)``; None where there is none.
        channels: The strongest channels.
    """

    box: tuple[int, int, int, int] | None
    heat: np.ndarray | None
    channels: tuple[ChannelMaps, ...]


@dataclass(frozen=True, eq=False)
class PartAnatomy:
    """All that is known of a residual block, of the stem or of the head.

    Attributes:
        name: Name of the block, ``"stem"`` or ``"head"``.
        layer: Name of the layer that its output comes from.
        equation: What it computes.
        convolutions: Its convolutions and dense layers in words, without those of a shortcut.
        source: Lines of this library that compute it; empty for the stem and the head.
        shape: Shape of its output.
        parameters: Numbers in its weights, moving statistics included.
        macs: Multiply-accumulates for one image.
        feature_map: Geometry of its output; None where it is not known.
        projection: The convolutions of its shortcut in words; empty where it has none.
        shortcut: What its shortcut carries, ``"x"``, ``"W x"`` or ``"W a"``; None without one.
        effective_field: How much each pixel moves the cell in the middle, 0..1, ``(height, width)``; None without
            images.
        contribution: How much it adds; None without images.
        lesion: The accuracy without it; None without labeled images.
        probe: The accuracy of a linear classifier on its output; None without training images.
        views: The block on each shown image.
        patches: By channel, the patches of training images that excite it most.
    """

    name: str
    layer: str
    equation: str
    convolutions: tuple[str, ...]
    source: str
    shape: tuple[int | None, ...]
    parameters: int
    macs: int
    feature_map: FeatureMap | None
    projection: tuple[str, ...] = ()
    shortcut: str | None = None
    effective_field: np.ndarray | None = None
    contribution: Contribution | None = None
    lesion: Lesion | None = None
    probe: ProbeScore | None = None
    views: tuple[View, ...] = ()
    patches: dict[int, tuple[Patch, ...]] | None = None

    @property
    def effective_width(self) -> float | None:
        """Width in pixels of the square that is as large as the effective receptive field."""
        return None if self.effective_field is None else float((self.effective_field > VISIBLE).sum() ** 0.5)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        field = self.feature_map and self.feature_map.field
        return {
            "name": self.name,
            "equation": self.equation,
            "shape": self.shape,
            "parameters": self.parameters,
            "macs": self.macs,
            "receptive_field": field and asdict(field),
            "effective_width": self.effective_width,
            "contribution": self.contribution and asdict(self.contribution),
            "lesion": self.lesion and asdict(self.lesion),
            "probe": self.probe and asdict(self.probe),
        }


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A network taken apart.

    Attributes:
        name: Name of the run's folder, of the file, or of published weights.
        classifier: The classifier.
        parts: Its stem, its residual blocks and its head, from the input up.
        filters: Filters of its first convolution as they act on RGB, float ``(filters, h, w, 3)``.
        images: The shown images.
        scored: Held-out images that lesions and probes are scored on; None where they are not known.
        training: Training images of probes and patches; None where they are not known.
        accuracy: Accuracy of the whole network on ``scored``, 0..1, and its 95 % interval; None without them.
        has_shortcuts: Whether its blocks have shortcuts; without them there are no contributions and lesions.
        left_out: What was not measured or not used, and why.
        issues: What makes the accuracies unreliable, as in an evaluation.
    """

    name: str
    classifier: Classifier
    parts: tuple[PartAnatomy, ...]
    filters: np.ndarray
    images: tuple[ShownImage, ...]
    scored: Dataset | None
    training: Dataset | None
    accuracy: tuple[float, tuple[float, float]] | None
    has_shortcuts: bool
    left_out: tuple[str, ...]
    issues: tuple[Issue, ...] = ()

    def _repr_html_(self) -> str:
        """Return the page in a frame, for a notebook."""
        from resnet50.anatomy.page import anatomy_page  # it draws what is here

        return f'<iframe srcdoc="{escape(anatomy_page(self))}" width="100%" height="900" style="border: 0"></iframe>'

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain values."""
        return {
            "model": self.name,
            "accuracy": self.accuracy and self.accuracy[0],
            "images": self.scored and len(self.scored),
            "left_out": list(self.left_out),
            "issues": [asdict(issue) for issue in self.issues],
            "parts": [part.to_dict() for part in self.parts],
        }
