"""An extension of Griffe: a field of a recipe shows its default instead of the call that also holds its help."""

from __future__ import annotations

from typing import Any

import griffe

_MAKER = "resnet50._io.arguments.number"  # (help, default, ...)


class ShowDefaults(griffe.Extension):
    """Replaces the call that makes a field of a recipe by the field's default."""

    def on_attribute_instance(self, *, attr: griffe.Attribute, **_: Any) -> None:
        """Change the value of a field that has been read."""
        if isinstance(attr.value, griffe.ExprCall) and attr.value.canonical_path == _MAKER:
            attr.value = attr.value.arguments[1]
