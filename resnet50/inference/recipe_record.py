"""Check the recipe that a classifier's file records: pages and commands read it, and a file may hold anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from resnet50._io.text import short

_LARGEST = 1e300  # magnitude of a number: NaN, infinity and what floating point cannot hold are refused

_STRING, _WHOLE, _NUMBER = ((str,), "a string"), ((int,), "a whole number"), ((int, float), "a number")
_OBJECT, _LIST = ((dict,), "an object"), ((list, tuple), "a list")

_NONE = {"weights", "train_image_size", "class_weight", "fit", "stages"}
"""What may be None."""

_RECIPE = {
    **dict.fromkeys(("name", "weights", "head", "stem", "form", "class_weight"), _STRING),
    **dict.fromkeys(("image_size", "train_image_size", "batch_size", "depth", "seed"), _WHOLE),
    **dict.fromkeys(("validation_split", "label_smoothing", "weight_decay", "mixup", "cutmix"), _NUMBER),
    **dict.fromkeys(("augmentation", "fit"), _OBJECT),
    **dict.fromkeys(("phases", "stages"), _LIST),
}
_AUGMENTATION = dict.fromkeys(("shift", "crop_area"), _NUMBER)
_PHASE = {
    **dict.fromkeys(("trainable", "schedule"), _STRING),
    **dict.fromkeys(("epochs", "patience", "views"), _WHOLE),
    **dict.fromkeys(("learning_rate", "min_error"), _NUMBER),
    "c_values": _LIST,
}


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Refuse a recorded recipe if a value that this package reads has a wrong type.

    Args:
        recipe: The record. Values may be missing, and others may be anything.

    Raises:
        ValueError: For the first such value, by its name; the message is to be continued.
    """
    for name, value, (types, expected) in _values(recipe):
        fits = isinstance(value, types) and not (isinstance(value, bool) and int in types)
        if not fits or (int in types and not abs(value) <= _LARGEST):
            raise ValueError(f"expected {name} of the recipe to be {expected}, got {short(value)}")


def _values(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any, tuple[tuple[type, ...], str]]]:
    """Give the values that are read, with their names and what they have to be."""
    yield from _named("", recipe, _RECIPE)
    yield from _named("augmentation.", recipe.get("augmentation", {}), _AUGMENTATION)
    for number, phase in enumerate(recipe.get("phases", ()), start=1):
        yield f"phase {number}", phase, _OBJECT
        yield from _named(f"phase {number} ", phase, _PHASE)
        yield from ((f"phase {number} c_values", value, _NUMBER) for value in phase.get("c_values", ()))


def _named(
    prefix: str, part: Mapping[str, Any], kinds: Mapping[str, tuple[tuple[type, ...], str]]
) -> Iterator[tuple[str, Any, tuple[tuple[type, ...], str]]]:
    for name, kind in kinds.items():
        if name in part and not (part[name] is None and name in _NONE):
            yield prefix + name, part[name], kind
