"""Check the recipe that a classifier's file records: pages and commands read it, and a file may hold anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from resnet50._io.limits import IMAGE_SIDE
from resnet50._io.text import short
from resnet50.data.fit import Fit


class _Kind(NamedTuple):
    """What a value has to be: its types and, of a number, its limits, which NaN is outside of."""

    expected: str
    types: tuple[type, ...]
    low: float = 0
    high: float = 1e300

    def fits(self, value: Any) -> bool:
        is_number = int in self.types
        right = isinstance(value, self.types) and not (is_number and isinstance(value, bool))
        return right and (not is_number or self.low <= value <= self.high)


_STRING, _LIST, _OBJECT = _Kind("a string", (str,)), _Kind("a list", (list, tuple)), _Kind("an object", (dict,))
_YES_OR_NO = _Kind("true or false", (bool,))
_COUNT = _Kind("a whole number from 0 to 4,294,967,295", (int,), high=2**32 - 1)
_SIZE = _Kind(f"a whole number from 1 to {IMAGE_SIDE:,}", (int,), low=1, high=IMAGE_SIDE)
_NUMBER = _Kind("a number of 0 or more", (int, float))
_SHARE = _Kind("a number from 0 to 1", (int, float), high=1)

_NONE = {"weights", "train_image_size", "class_weight", "fit", "stages", "flip"}
"""What may be None."""

_RECIPE = {
    **dict.fromkeys(("name", "weights", "head", "stem", "form", "class_weight"), _STRING),
    **dict.fromkeys(("image_size", "train_image_size"), _SIZE),
    **dict.fromkeys(("batch_size", "depth", "seed"), _COUNT),
    **dict.fromkeys(("validation_split", "label_smoothing"), _SHARE),
    **dict.fromkeys(("weight_decay", "mixup", "cutmix"), _NUMBER),
    **dict.fromkeys(("augmentation", "fit"), _OBJECT),
    **dict.fromkeys(("phases", "stages"), _LIST),
}
_AUGMENTATION = {"shift": _SHARE, "crop_area": _SHARE, "flip": _YES_OR_NO}
_PHASE = {
    **dict.fromkeys(("trainable", "schedule"), _STRING),
    **dict.fromkeys(("epochs", "patience", "views"), _COUNT),
    "learning_rate": _NUMBER,
    "min_error": _SHARE,
    "c_values": _LIST,
}


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Refuse a recorded recipe if a value that this package reads is of a wrong type or impossible.

    Args:
        recipe: The record. Values may be missing, and others may be anything.

    Raises:
        ValueError: For the first such value, by its name.
    """
    for name, value, kind in _values(recipe):
        if not kind.fits(value):
            raise ValueError(f"expected {name} of the recipe to be {kind.expected}, got {short(value)}.")
    if recipe.get("fit"):
        Fit.from_dict(recipe["fit"])


def _values(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any, _Kind]]:
    """Give the values that are read, with their names and what they have to be; each before what is inside of it."""
    yield from _named("", recipe, _RECIPE)
    yield from _named("augmentation.", recipe.get("augmentation", {}), _AUGMENTATION)
    for number, phase in enumerate(recipe.get("phases", ()), start=1):
        yield f"phase {number}", phase, _OBJECT
        yield from _named(f"phase {number} ", phase, _PHASE)
        yield from ((f"phase {number} c_values", value, _NUMBER) for value in phase.get("c_values", ()))


def _named(prefix: str, part: Mapping[str, Any], kinds: Mapping[str, _Kind]) -> Iterator[tuple[str, Any, _Kind]]:
    for name, kind in kinds.items():
        if name in part and not (part[name] is None and name in _NONE):
            yield prefix + name, part[name], kind
