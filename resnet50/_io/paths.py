"""Word what is at a path where a file or folder was expected."""

from __future__ import annotations

import os
import re
from pathlib import Path

ABSENT = "a path that does not exist"
"""What `describe_path` returns where nothing is."""

_URL = re.compile(r"(?i)(https?|ftp|s3|gs|hf|file):/")  # one slash is left of a URL that became a `Path`


def describe_path(path: str | os.PathLike[str]) -> str:
    """Return what is at a path, such as ``a folder`` or ``a path that does not exist``, and what to do if it is plain.

    A hyphen, which stands for standard input elsewhere, and a URL are no paths: the description says so.
    """
    text = os.fspath(path)
    if os.path.isdir(text):  # noqa: PTH112 - false for every error
        return "a folder"
    if os.path.isfile(text):  # noqa: PTH113
        return "a file"
    if os.path.exists(text):  # noqa: PTH110
        return "a special file"
    if os.path.islink(text):  # noqa: PTH114
        return f"a link to nothing ({os.readlink(text)})"  # noqa: PTH115
    if text == "-":
        return "a hyphen; only 'resnet50 predict' reads standard input; write it to a file and give its name"
    if is_url(text):
        return "a URL; download it and give the file or folder"
    return ABSENT


def as_given(path: str | os.PathLike[str]) -> str:
    """Return the text of a path, with the slash that a URL lost when it became a `Path`."""
    text = os.fspath(path)
    return _URL.sub(r"\1://", text) if is_url(text) and "://" not in text else text


def is_url(text: str) -> bool:
    """Return whether a text is a URL, also one whose slashes a `Path` has reduced to one."""
    return _URL.match(text) is not None


def is_dead_link(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a link to something that does not exist."""
    return Path(path).is_symlink() and not os.path.exists(path)  # noqa: PTH110
