"""The recipe in the file of a classifier: a record for pages and commands, whose numbers may be any file's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resnet50._io.text import short

_TEXT = ("name", "weights", "head", "stem", "form", "class_weight", "trainable", "schedule")
_WHOLE = ("image_size", "train_image_size", "batch_size", "depth", "seed", "epochs", "patience", "views")
_NUMBERS = (
    *("validation_split", "label_smoothing", "weight_decay", "mixup", "cutmix"),
    *("learning_rate", "min_error", "crop_area"),
)

_KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    **dict.fromkeys(_TEXT, ((str,), "text")),
    **dict.fromkeys(_WHOLE, ((int,), "a whole number")),
    **dict.fromkeys(_NUMBERS, ((int, float), "a number")),
    **dict.fromkeys(("augmentation", "fit", "phase"), ((dict,), "an object")),
    **dict.fromkeys(("phases", "stages", "c_values"), ((list, tuple), "a list")),
}


def check_recipe(recipe: Mapping[str, Any]) -> None:
    """Refuse the record of a recipe in which something that is read has another type; it may lack any of it.

    Args:
        recipe: The record, also one that was made by hand, with any other values.

    Raises:
        ValueError: For the first value of another type, by its name.
    """
    for name, value in _values(recipe):
        types, expected = _KINDS[name]
        if value is not None and (not isinstance(value, types) or (isinstance(value, bool) and int in types)):
            raise ValueError(f"expected {name} of the recipe to be {expected}, got {short(value)}")


def _values(recipe: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the values that are read, of the recipe, its augmentation and its phases."""
    listed = recipe.get("phases")
    phases = listed if isinstance(listed, list | tuple) else ()
    parts = [part for part in (recipe, recipe.get("augmentation"), *phases) if isinstance(part, Mapping)]
    named = [(name, part[name]) for part in parts for name in _KINDS if name in part]
    return [*named, *(("phase", phase) for phase in phases)]
