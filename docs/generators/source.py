"""Excerpts of the source code, cut out by name, so that a page cannot show another code than the one that runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Excerpt:
    """A named part of a source file.

    Attributes:
        file: Path below the root of the repository.
        name: Name of a function, a class or a constant at the top level of the file.
        inside: Name of a method of this class, or of a variable of this function; only its statement is cut out. Empty
            for all of it.
    """

    file: str
    name: str
    inside: str = ""


EXCERPTS: Mapping[str, Excerpt] = {
    "add.py": Excerpt("resnet50/blocks.py", "add"),
    "add_relu.py": Excerpt("resnet50/blocks.py", "add_relu"),
    "basic_block.py": Excerpt("resnet50/blocks.py", "basic_block"),
    "bottleneck.py": Excerpt("resnet50/blocks.py", "bottleneck"),
    "bottleneck_strides.py": Excerpt("resnet50/blocks.py", "bottleneck", inside="first"),
    "conv.py": Excerpt("resnet50/blocks.py", "conv"),
    "conv_norm.py": Excerpt("resnet50/blocks.py", "conv_norm"),
    "conv_norm_relu.py": Excerpt("resnet50/blocks.py", "conv_norm_relu"),
    "convolutional_block.py": Excerpt("resnet50/blocks.py", "convolutional_block"),
    "features.py": Excerpt("resnet50/model.py", "features"),
    "from_scratch.py": Excerpt("resnet50/conventions.py", "Conventions", inside="from_scratch"),
    "identity_block.py": Excerpt("resnet50/blocks.py", "identity_block"),
    "linear.py": Excerpt("resnet50/heads.py", "linear"),
    "norm.py": Excerpt("resnet50/blocks.py", "norm"),
    "plain_block.py": Excerpt("resnet50/forms.py", "plain_block"),
    "predictions.py": Excerpt("resnet50/heads.py", "_predictions"),
    "preactivation_block.py": Excerpt("resnet50/forms.py", "preactivation_block"),
    "residual.py": Excerpt("resnet50/blocks.py", "residual"),
    "stage.py": Excerpt("resnet50/model.py", "Stage"),
    "stages.py": Excerpt("resnet50/model.py", "STAGES"),
    "stem.py": Excerpt("resnet50/model.py", "Stem"),
    "stems.py": Excerpt("resnet50/model.py", "STEMS"),
    "table_1.py": Excerpt("resnet50/model.py", "TABLE_1"),
    "v1.py": Excerpt("resnet50/conventions.py", "V1"),
    "v1_5.py": Excerpt("resnet50/conventions.py", "V1_5"),
}
"""The excerpts that pages include, by the name of their fragment."""


def source_fragments(root: Path) -> dict[str, str]:
    """Cut all excerpts out of the sources below a folder.

    Args:
        root: Root of the repository.

    Returns:
        Code by the name of its fragment.

    Raises:
        ValueError: If a file has no part of an excerpt's name any more.
    """
    return {name: cut(root, excerpt) for name, excerpt in EXCERPTS.items()}


def cut(root: Path, excerpt: Excerpt) -> str:
    """Cut one excerpt out of its file, without docstrings and without the decorators of functions.

    Args:
        root: Root of the repository.
        excerpt: The part to cut out.

    Returns:
        Lines of the file, those of a statement without their indentation.

    Raises:
        ValueError: If the file has no part of that name.
    """
    text = (root / excerpt.file).read_text(encoding="utf-8")
    statement = _find(ast.parse(text).body, excerpt.name, excerpt.file)
    if excerpt.inside:
        statement = _find(getattr(statement, "body", []), excerpt.inside, f"{excerpt.file}, {excerpt.name}")
    return _lines(text, statement)


def _find(statements: list[ast.stmt], name: str, place: str) -> ast.stmt:
    for statement in statements:
        if name in _names(statement):
            return statement
    raise ValueError(
        f"{place}: expected a definition of {name!r}, which the documentation shows, got none; change its name in "
        "docs/generators/source.py too."
    )


def _names(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement defines."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    for target in targets:
        for node in target.elts if isinstance(target, ast.Tuple) else [target]:
            if isinstance(node, ast.Name):
                yield node.id


def _lines(text: str, statement: ast.stmt) -> str:
    """Return the lines of a statement without its docstring and the empty line after it."""
    lines = text.splitlines()
    first = statement.lineno
    if isinstance(statement, ast.ClassDef):  # a dataclass is not understood without its decorator
        first = min([first, *(decorator.lineno for decorator in statement.decorator_list)])
    hidden = _docstring_lines(statement)
    if hidden and not lines[hidden.stop - 1]:
        hidden = range(hidden.start, hidden.stop + 1)
    kept = [n for n in range(first, (statement.end_lineno or first) + 1) if n not in hidden]
    return "\n".join(lines[n - 1][statement.col_offset :] for n in kept) + "\n"


def _docstring_lines(statement: ast.stmt) -> range:
    """Return the numbers of the lines of a docstring, counted from 1; none where it is the whole body."""
    if not isinstance(statement, ast.FunctionDef | ast.ClassDef) or ast.get_docstring(statement) is None:
        return range(0)
    docstring, *code = statement.body
    return range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1) if code else range(0)
