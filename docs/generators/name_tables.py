"""Tables of the names that the reference documents, from the docstrings. Nothing here imports Keras."""

from __future__ import annotations

import re
from collections.abc import Sequence

import griffe

from generators.links import documented_names, load_package
from generators.markdown import table

_SENTENCE = re.compile(r".+?\.(?=\s+[A-Z`]|\s*$)", re.DOTALL)


def name_tables() -> dict[str, str]:
    """Return a table of names for each page of the reference, by the name of the page's file."""
    package = load_package()
    return {page: name_table(names, package) for page, names in documented_names().items()}


def name_table(names: Sequence[str], package: griffe.Module) -> str:
    """Return a row for each name: a link, the first sentence of its docstring, and the module to import it from.

    Raises:
        ValueError: If a name has no docstring.
    """
    rows = []
    for name in names:
        module, _, short = name.rpartition(".")
        rows.append((f"[`{short}`][{name}]", _first_sentence(name, package), f"`{module}`"))
    return table(("name", "what it is", "import from"), rows)


def _first_sentence(name: str, package: griffe.Module) -> str:
    docstring = package[name.partition(".")[2]].docstring
    sentence = _SENTENCE.match(docstring.value) if docstring else None
    if sentence is None:
        raise ValueError(f"{name}: expected a docstring that begins with a sentence, got none; write one.")
    return " ".join(sentence[0].split())
