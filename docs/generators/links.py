"""An extension of Griffe, which reads the docstrings: a documented name in backquotes becomes a link.

A docstring says `Dataset` or `Dataset.fingerprint`, in backquotes; the site links it to the page that documents it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe

REFERENCE = Path(__file__).resolve().parents[1] / "reference"
"""Folder of the pages that document names."""

_DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)
_NAME = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)")


def documented_names(folder: Path = REFERENCE) -> dict[str, list[str]]:
    """Return the names that each page of a folder documents, in the page's order, by the name of the page's file."""
    pages = {page.name: _DIRECTIVE.findall(page.read_text(encoding="utf-8")) for page in sorted(folder.glob("*.md"))}
    return {page: names for page, names in pages.items() if names}


class LinkNames(griffe.Extension):
    """Links the names in docstrings; a name that no page documents stays code."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Change the docstrings of a package that has been loaded."""
        links = _links(pkg, [name for names in documented_names().values() for name in names])
        for place in _defined(pkg):
            if place.docstring is not None:
                place.docstring.value = linked(place.docstring.value, place, links)


def linked(text: str, place: griffe.Object, links: Mapping[str, str]) -> str:
    """Return a docstring with links; a name that is documented right here gets none.

    Args:
        text: The docstring.
        place: The object that it describes, in whose scope names are looked up.
        links: For each name that a docstring may use, the name that the site documents it by.
    """
    here = {links.get(each.path) for each in (place, place.parent) if each is not None}

    def link(match: re.Match[str]) -> str:
        target = links.get(_resolved(match[1], place))
        return match[0] if target is None or target in here else f"[{match[0]}][{target}]"

    return _NAME.sub(link, text)


def _resolved(name: str, place: griffe.Object) -> str:
    """Return the path of a name in the scope of an object; the name itself if its scope has none."""
    first, dot, rest = name.partition(".")
    try:
        return f"{place.resolve(first)}{dot}{rest}"
    except griffe.NameResolutionError:
        return name


def _links(package: griffe.Module, names: Iterable[str]) -> dict[str, str]:
    """Return what to link to for each way to write a name: as documented, as defined, or by its last word alone."""
    links = {}
    for name in names:
        found = package[name.partition(".")[2]]
        path = found.target_path if found.is_alias else found.path
        defined = package[path.partition(".")[2]]
        spellings = (name, path, name.rpartition(".")[2])
        links.update(dict.fromkeys(spellings, name))
        for member in defined.members.values() if defined.is_class else ():
            target = f"{name}.{member.name}" if member.docstring is not None else name  # others have no place of their own
            links.update({f"{spelling}.{member.name}": target for spelling in spellings})
    return links


def _defined(parent: griffe.Object) -> Iterator[griffe.Object]:
    """Yield a module or class and everything that is defined in it."""
    yield parent
    for member in parent.members.values():
        if isinstance(member, griffe.Object):
            yield from _defined(member)
