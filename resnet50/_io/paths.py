"""Word what is at a path where a file or folder was expected."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from contextlib import suppress
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from resnet50._io.text import printable

ABSENT = "a path that does not exist"
"""What `describe_path` returns where nothing is."""

# A scheme has two letters or more, so that c:/photos is a path; zip:: begins a chain of URLs. Of a URL that became a
# `Path` one slash is left, and a folder stands before it if that was made absolute.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):/", re.IGNORECASE)
_URL = re.compile(rf"(?:.*?/)?((?:[a-z][a-z0-9+.-]+::)*{_SCHEME.pattern}.*)", re.IGNORECASE | re.DOTALL)

_MOST_COMPARED = 10_000  # names in the folder of a mistyped path

_AT_URL = "a URL; download it and give the file or folder"


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
        return _AT_URL
    return ABSENT


def describe_source(path: str | os.PathLike[str]) -> str:
    """Return like `describe_path` what is at a path where images were expected, and how those at a URL are read."""
    there = describe_path(path)
    return f"{there}, or write its images into OUT by 'resnet50 pack URL OUT --records'" if there == _AT_URL else there


def describe_missing_source(
    path: str | os.PathLike[str], suffixes: Collection[str], words: Collection[str] = ()
) -> str:
    """Return the end of an error on a path that holds no images: what is there, or the nearest name in its folder.

    Args:
        path: The path as typed.
        suffixes: Suffixes of files that may be suggested, in lower case; folders always may.
        words: Other names that may be suggested where the path has no folder, such as tasks.

    Returns:
        ``"; did you mean NAME?"``, or ``": a file."`` and the like.
    """
    there = describe_source(path)
    if there != ABSENT:
        return f": {there}."
    given = Path(path)
    names = {word.lower(): word for word in words} if given.name == os.fspath(path) else {}
    with suppress(OSError), os.scandir(given.parent) as entries:
        for entry in islice(entries, _MOST_COMPARED):
            name = entry.name
            may_be_typed = name == printable(name) and not name.startswith("-")
            if may_be_typed and (_is_folder(entry) or Path(name).suffix.lower() in suffixes):
                names[name.lower()] = str(given.parent / name)
    near = get_close_matches(given.name.lower(), names, n=1)
    return f"; did you mean {names[near[0]]}?" if near else f": {there}."


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def as_given(path: str | os.PathLike[str]) -> str:
    """Return the text of a path, or of the URL that became a `Path`, also an absolute one."""
    text = os.fspath(path)
    url = _URL.fullmatch(text)
    if url is None or "://" in text:
        return text
    return _SCHEME.sub(lambda url: f"{url[1]}://" + "/" * (url[1].lower() == "file"), url[1])


def is_url(text: str) -> bool:
    """Return whether a text is a URL, also one whose slashes a `Path` has reduced to one."""
    return _URL.fullmatch(text) is not None


def is_dead_link(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a link to something that does not exist."""
    return Path(path).is_symlink() and not os.path.exists(path)  # noqa: PTH110
