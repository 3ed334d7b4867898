"""JSON that has a matrix: a line for each row, not for each number, of which a thousand classes have a million."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


def with_matrix(values: Mapping[str, Any], key: str, matrix: Sequence[Sequence[float]]) -> str:
    """Return JSON text, indented, with a matrix among the values.

    Args:
        values: What `json.dumps` takes, with an empty list in the matrix's place.
        key: Its key in them, which is the only one of that name with an empty list.
        matrix: The rows.
    """
    text = json.dumps(values, indent=2)
    rows = ",\n".join(f"    {json.dumps(row)}" for row in matrix)
    # in a string it would have backslashes
    return text.replace(f'"{key}": []', f'"{key}": [\n{rows}\n  ]', 1) if matrix else text
