"""How an image of any size and depth becomes the pixels that a network takes: one object for training and for use."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from resnet50._io.arguments import check_types
from resnet50._io.text import short

MODES = ("crop", "pad", "stretch")
"""Ways to fit an image to another shape; `Fit` describes them."""

RESAMPLING = ("bicubic", "bilinear")
"""Ways to compute pixels of another size, both with antialiasing where the image shrinks."""

BORDER = "border"
"""The padding color that is the mean color of an image's border."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How an image is fitted to a network's input, after its EXIF orientation is applied.

    It is recorded with the recipe, the cache, the model file and every export, so that training, prediction and
    exports cannot differ. The size is that of the network's input.

    Attributes:
        mode: ``"crop"`` cuts out the center in the shape of the input; ``"pad"`` shows the whole image and fills the
            rest with `pad_color`; ``"stretch"`` shows the whole image in another shape.
        crop_ratio: Share of the largest possible center crop that is kept along each axis, above 0 to 1: an input of
            224 pixels at 0.875 is the middle of an image whose shorter side has 256. 1 with the other modes.
        pad_color: ``"border"`` for the mean color of the image's border, or RGB as ``"#rrggbb"``.
        resampling: ``"bicubic"`` or ``"bilinear"``, both with antialiasing.
        value_range: Values of images of more than 8 bits that become 0 and 255; values beyond are clipped. None where
            there are no such images, or to measure it when a source is read.

    Raises:
        ValueError: If a value is not as described.
    """

    mode: str = field(
        default="crop",
        metadata={
            "help": "Fit of images to the input: crop the center, pad to the whole image, or stretch it.",
            "choices": MODES,
            "option": "fit",
        },
    )
    crop_ratio: float = field(
        default=1.0,
        metadata={"help": "Share of the largest center crop that is kept, 0..1; published weights bring theirs."},
    )
    pad_color: str = field(
        default=BORDER,
        metadata={
            "help": "Padding color: border for the mean of the image's border, or #rrggbb.",
            "metavar": "COLOR",
        },
    )
    resampling: str = field(default="bicubic", metadata={"help": "How images are resized.", "choices": RESAMPLING})
    value_range: tuple[float, float] | None = field(
        default=None,
        metadata={
            "help": "Values of images of more than 8 bits that become black and white; without it, they are measured "
            "over the whole source.",
            "metavar": ("BLACK", "WHITE"),
        },
    )

    def __post_init__(self) -> None:
        check_types(self)
        if self.mode not in MODES:
            raise ValueError(f"expected the fit to be one of {', '.join(MODES)}, got {self.mode!r}.")
        if not 0 < self.crop_ratio <= 1 or (self.mode != "crop" and self.crop_ratio != 1):
            raise ValueError(
                f"expected crop_ratio above 0 and at most 1, and 1 where the fit is not crop, got {self.crop_ratio!r} "
                f"with {self.mode}."
            )
        if self.pad_color != BORDER and not re.fullmatch("#[0-9a-fA-F]{6}", self.pad_color):
            raise ValueError(f"expected pad_color to be {BORDER} or #rrggbb, got {self.pad_color!r}.")
        if self.mode != "pad" and self.pad_color != BORDER:
            raise ValueError(f"expected pad_color only where the fit is pad, got {self.pad_color} with {self.mode}.")
        if self.resampling not in RESAMPLING:
            raise ValueError(f"expected resampling to be one of {', '.join(RESAMPLING)}, got {self.resampling!r}.")
        if self.value_range is not None:
            object.__setattr__(self, "value_range", _checked_range(self.value_range))

    def kept(self, width: int, height: int) -> float:
        """Return the share of an image's area, 0..1, that a square input shows."""
        return self.crop_ratio**2 * min(width, height) / max(width, height) if self.mode == "crop" else 1.0

    def __str__(self) -> str:
        """Return the fit in words, such as ``"center crop of 0.875, bicubic"``."""
        shapes = {
            "crop": "center crop" + (f" of {self.crop_ratio:.3g}" if self.crop_ratio < 1 else ""),
            "pad": f"padded with {'the color of its border' if self.pad_color == BORDER else self.pad_color}",
            "stretch": "stretched",
        }
        depth = "" if self.value_range is None else ", values {:g}..{:g}".format(*self.value_range)
        return f"{shapes[self.mode]}, {self.resampling}{depth}"

    def asks_for(self, other: Fit) -> bool:
        """Return whether images that were fitted as ``other`` says are what this fit asks for.

        Without a value range of its own, it takes the range that was measured; images of 8 bits have none to compare.
        """
        same_range = None in (self.value_range, other.value_range) or self.value_range == other.value_range
        return same_range and replace(self, value_range=None) == replace(other, value_range=None)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> Fit:
        """Return the fit with the values that `to_dict` returned.

        Raises:
            ValueError: If the values are not those of a fit.
        """
        try:
            if not isinstance(values, Mapping):
                raise TypeError(type(values).__name__)
            return cls(**values)
        except TypeError as error:
            raise ValueError(
                f"expected {', '.join(cls.__dataclass_fields__)} of a fit, got {short(str(error))}."
            ) from error


DEFAULT_FIT = Fit()
"""The largest center crop, bicubic."""


def _checked_range(values: Any) -> tuple[float, float]:
    """Return a range of values as two floats.

    Raises:
        ValueError: If it is not two finite numbers, the first below the second.
    """
    is_pair = isinstance(values, tuple | list) and len(values) == 2
    if not is_pair or not all(type(value) in (int, float) and math.isfinite(value) for value in values):
        raise ValueError(f"expected value_range to be two finite numbers or None, got {values!r}.")
    low, high = map(float, values)
    if low >= high:
        raise ValueError(f"expected value_range with the first number below the second, got {low:g} and {high:g}.")
    return low, high
