"""Every text file is read and written as UTF-8, whatever the system's own encoding is, such as cp1252 on Windows."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "resnet50"


def is_binary(call: ast.Call) -> bool:
    modes = [*call.args[:2], *(word.value for word in call.keywords if word.arg == "mode")]
    texts = [mode.value for mode in modes if isinstance(mode, ast.Constant) and isinstance(mode.value, str)]
    return any("b" in text and set(text) <= set("rwaxb+") for text in texts)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_text_has_an_encoding(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        given = {word.arg for word in node.keywords}
        if name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute):
            assert "encoding" in given, f"line {node.lineno}"
        if name in ("open", "fdopen", "TemporaryFile") and not is_binary(node) and node.args:
            value = getattr(node.func, "value", None)
            owner = getattr(value, "attr", getattr(value, "id", ""))
            if owner not in ("Image", "h5d", "os", "runtime", "zipfile") or name != "open":
                assert "encoding" in given, f"line {node.lineno}"
