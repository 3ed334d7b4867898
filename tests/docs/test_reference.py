"""The pages of the Python API, the tables of their names and the links in their docstrings."""

from __future__ import annotations

import ast
import json
import re
from collections import Counter
from dataclasses import astuple
from pathlib import Path

import griffe
import pytest

from factories import TINY_STAGES, raises
from generators.defaults import ShowDefaults
from generators.links import LinkNames, documented_names, find_links, linked
from generators.name_tables import name_table, name_tables
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import DATASETS
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.recipes import RECIPES

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = ["network", "weights", "data", "training", "evaluation", "inference", "plots"]

HOUSE = {
    "__init__.py": "from house.rooms import Room\n",
    "rooms.py": '''
"""Rooms."""


class Room:
    """A room. It has a `door`, see also `Room.open` and `walls`.

    Attributes:
        door: The door.
    """

    door: int

    def open(self):
        """Open the `door` of a `Room`, as ``open`` does, or `build` one."""


def build(size):
    """Build a `Room` | a wall: of a size
    in meters, e.g. 3. `Room.door`, `house.Room.open`, `Street` and `paint`."""


def paint():
    pass
''',
}


def public_names() -> dict[str, str]:
    """Where each public name is defined, by the name with the package that it is imported from."""
    found = {}
    for package, stub in (("resnet50", "__init__.pyi"), ("resnet50.weights", "weights/__init__.pyi")):
        for node in ast.parse((ROOT / "resnet50" / stub).read_text(encoding="utf-8")).body:
            assert isinstance(node, ast.ImportFrom)
            found.update({f"{package}.{alias.name}": f"{package}.{node.module}.{alias.name}" for alias in node.names})
    return found


def drawn_in_notebooks() -> set[str]:
    """The functions of `resnet50.plots` that the notebooks import."""
    found = set()
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
        code = "\n".join("".join(cell["source"]) for cell in cells)
        for node in ast.walk(ast.parse(re.sub("(?m)^[%!].*", "", code))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("resnet50.plots"):
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def documented() -> list[str]:
    return [name for names in documented_names().values() for name in names]


def test_every_public_name_is_documented_once():
    defined = public_names()
    counts = Counter(defined.get(name, name) for name in documented())
    wanted = {*defined.values(), "resnet50.recipes.RECIPES", "resnet50.reports.report.write_report"}
    assert [name for name in sorted(wanted | drawn_in_notebooks()) if counts[name] != 1] == []
    assert [name for name, count in counts.items() if count > 1] == []


def test_the_names_of_pages_and_of_the_index_are_those_of_the_directives():
    assert sorted(documented_names()) == sorted(f"{page}.md" for page in PAGES)
    index = (REFERENCE / "index.md").read_text(encoding="utf-8")
    tables = name_tables()
    for page in PAGES:
        assert f'--8<-- "names/{page}.md"' in index
        rows = re.findall(r"^\| \[`\w+`\]\[(\S+)\] \|", tables[f"{page}.md"], re.MULTILINE)
        assert rows == re.findall(r"(?m)^::: (\S+)", (REFERENCE / f"{page}.md").read_text(encoding="utf-8"))


def test_a_table_has_a_link_the_module_and_the_first_sentence():
    with griffe.temporary_visited_package("house", HOUSE) as house:
        assert (
            name_table(["house.Room", "house.rooms.build"], house)
            == """\
| name | what it is | import from |
| --- | --- | --- |
| [`Room`][house.Room] | A room. | `house` |
| [`build`][house.rooms.build] | Build a `Room` \\| a wall: of a size in meters, e.g. 3. | `house.rooms` |
"""
        )
        with raises(ValueError, "house.rooms.paint"):
            name_table(["house.rooms.paint"], house)


def test_documented_names_in_docstrings_become_links():
    with griffe.temporary_visited_package("house", HOUSE) as house:
        links = find_links(house, ["house.Room", "house.rooms.build"])
        build, room, opening = house["rooms.build"], house["rooms.Room"], house["rooms.Room.open"]
        assert linked(build.docstring.value, build, links).splitlines() == [
            "Build a [`Room`][house.Room] | a wall: of a size",
            "in meters, e.g. 3. [`Room.door`][house.Room], [`house.Room.open`][house.Room.open], `Street` and `paint`.",
        ]
        assert "A room. It has a `door`, see also [`Room.open`][house.Room.open] and `walls`." in linked(
            room.docstring.value, room, links
        )
        assert (
            linked(opening.docstring.value, opening, links)
            == "Open the `door` of a `Room`, as ``open`` does, or [`build`][house.rooms.build] one."
        )


def test_the_package_is_read_with_links_and_defaults():
    package = griffe.load("resnet50", search_paths=[ROOT], extensions=griffe.load_extensions(LinkNames, ShowDefaults))
    assert "[`load_weights`][resnet50.load_weights]" in package["weights.TransferReport"].docstring.value
    parameters = package["training.recipe.Recipe"].parameters
    assert (str(parameters["batch_size"].default), str(parameters["weights"].default)) == ("32", "None")
    assert parameters["name"].default is None


def few_signs(path, *, image_size: int, fit=None, progress=None) -> DatasetSplits:
    return DatasetSplits(*rendered_signs(train=60, test=12, image_size=image_size))


@pytest.mark.slow
def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch):
    """On few images, and with a tiny network where one is trained."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(DATASETS, "rendered-signs", few_signs)
    task = RECIPES["rendered-signs"]
    monkeypatch.setattr(task, "RECIPE", task.RECIPE.change(stages=tuple(map(astuple, TINY_STAGES))))
    for page in ["index", *PAGES]:
        blocks = re.findall(r"```python\n(.*?)```", (REFERENCE / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL)
        assert blocks, page
        for block in blocks:
            exec(compile(block, page, "exec"), {})  # noqa: S102 - the examples of this repository
    assert (tmp_path / "runs" / "rendered" / "evaluation" / "report.html").is_file()
