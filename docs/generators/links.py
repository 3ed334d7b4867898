"""An extension of Griffe, which reads the docstrings: a documented name in backquotes becomes a link.

A docstring says `Dataset` or `Dataset.fingerprint`, in backquotes; the site links it to the page that documents it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import griffe

ROOT = Path(__file__).resolve().parents[2]

REFERENCE = ROOT / "docs" / "reference"
"""Folder of the pages that document names."""

_DIRECTIVE = re.compile(r"^::: (\S+)$", re.MULTILINE)
_NAME = re.compile(r"(?<!`)`([A-Za-z_][\w.]*)`(?!`)")


def documented_names(folder: Path = REFERENCE) -> dict[str, list[str]]:
    """Return the names that each page of a folder documents, in the page's order, by the name of the page's file."""
    pages = {page.name: _DIRECTIVE.findall(page.read_text(encoding="utf-8")) for page in sorted(folder.glob("*.md"))}
    return {page: names for page, names in pages.items() if names}


def load_package() -> griffe.Module:
    """Return the package with all docstrings, their names linked; nothing is imported."""
    loaded = griffe.load(
        "resnet50", search_paths=[ROOT], extensions=griffe.Extensions(LinkNames()), docstring_parser="google"
    )
    if not isinstance(loaded, griffe.Module):
        raise ValueError(f"{ROOT}: expected the package resnet50 there, got something else.")
    return loaded


class LinkNames(griffe.Extension):
    """Links the names in docstrings; a name that no page documents stays code."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Change the docstrings of a package that has been loaded."""
        links = find_links(pkg, [name for names in documented_names().values() for name in names])
        for place in (pkg, *_members(pkg)):
            if isinstance(place, griffe.Object) and place.docstring is not None:
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


def find_links(package: griffe.Module, names: Iterable[str]) -> dict[str, str]:
    """Return what to link to for each way to write a name: as documented, as defined, or by its last word alone."""
    links = {}
    for name in names:
        found = package[name.partition(".")[2]]
        path = found.target_path if found.is_alias else found.path
        defined = package[path.partition(".")[2]]
        spellings = (name, path, name.rpartition(".")[2])
        links.update(dict.fromkeys(spellings, name))
        for member in defined.members.values() if defined.is_class else ():
            target = name if member.docstring is None else f"{name}.{member.name}"  # a field has no place of its own
            links.update({f"{spelling}.{member.name}": target for spelling in spellings})
    for each in _members(package):  # a name may be imported from several places
        if isinstance(each, griffe.Alias) and each.target_path in links:
            links[each.path] = links[each.target_path]
    return links


def _members(parent: griffe.Object) -> Iterator[griffe.Object | griffe.Alias]:
    """Yield everything in a module or class, with what its modules import."""
    for member in parent.members.values():
        yield member
        if isinstance(member, griffe.Object):
            yield from _members(member)
