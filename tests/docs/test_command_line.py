from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator

import pytest

from generators.command_line import command_line_page, command_section
from resnet50.cli import COMMANDS, build_parser
from resnet50.cli.parser import Parser, examples

PAINT = """\
## paint { #paint }

Paint a wall. See `resnet50 weights list`.

```text
house paint [--coats N | --no-coats] --color {red,green} [--wet | --no-wet] [W]
```

**Arguments**

| argument | meaning | default |
| --- | --- | --- |
| `W` | Wall to paint, 100 % of it. | the next one |

**Options**

| option | meaning | default |
| --- | --- | --- |
| `--coats N` | Number of coats, as in `--wet-time`. | 2 |
| `--no-coats` | No coat. | |

**How it looks**

It is seen from afar.

| option | meaning | default |
| --- | --- | --- |
| `--color COLOR` | Color a\\|b. One of `red`, `green`. | required |
| `--wet`, `--no-wet` | Let it \\*dry\\*. | yes |

Exits with 1 if it rains.

```sh
house paint north
house paint --color red   the others
```
"""


def paint_parser() -> Parser:
    parser = Parser(
        prog="house paint",
        description="Paint a wall. See 'resnet50 weights list'.",
        epilog="Exits with 1 if it rains.\n\n" + examples("house paint north", "house paint --color red   the others"),
    )
    parser.add_argument("wall", nargs="?", metavar="W", help="Wall to paint, 100 %% of it. Default: the next one.")
    coats = parser.add_mutually_exclusive_group()
    coats.add_argument("--coats", type=int, metavar="N", help="Number of coats, as in --wet-time. Default: 2.")
    coats.add_argument("--no-coats", action="store_true", help="No coat.")
    look = parser.add_argument_group("how it looks", "It is seen\nfrom afar.")
    look.add_argument("--color", choices=["red", "green"], required=True, help="Color a|b.")
    look.add_argument("--wet", action=argparse.BooleanOptionalAction, help="Let it *dry*. Default: yes.")
    return parser


def test_a_command_is_its_description_usage_tables_and_examples():
    assert command_section(paint_parser(), level=2) == PAINT


def test_actions_are_listed_and_follow_in_sections_of_their_own():
    parser = Parser(prog="house door", description="Doors.", epilog=examples("house door open"))
    actions = parser.add_subparsers(metavar="ACTION", title="actions")
    opening = actions.add_parser("open", help="Open it.", description="Open it wide.")
    opening.add_argument("rooms", nargs="+", metavar="ROOM", help="Rooms.")
    assert (
        command_section(parser, level=2)
        == """\
## door { #door }

Doors.

```text
house door ACTION ...
```

**Actions**

| action | meaning |
| --- | --- |
| [open](#door-open) | Open it. |

```sh
house door open
```

### door open { #door-open }

Open it wide.

```text
house door open ROOM [ROOM ...]
```

**Arguments**

| argument | meaning | default |
| --- | --- | --- |
| `ROOM` | Rooms. | required |
"""
    )


def every_parser(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from every_parser(child)


def section(page: str, name: str) -> str:
    """The part of the page below a heading, up to the next."""
    _, found, after = page.partition(f" {name} {{ #{name.replace(' ', '-')} }}\n")
    assert found, name
    return after.partition("\n##")[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_argument_of_every_command_is_on_the_page(command):
    (program,) = [action for action in build_parser([command])._actions if hasattr(action.choices, "items")]
    page = command_line_page()
    for parser in every_parser(program.choices[command]):
        text = section(page, parser.prog.removeprefix("resnet50 "))
        help_lines = [line.split() for line in parser.format_help().splitlines()]
        words = {word.strip(",") for line in help_lines for word in line[:3] if line and line[0].startswith("--")}
        options = {word for word in words if word.startswith("--")}
        assert options <= set(parser._option_string_actions)
        assert [option for option in options if f"`{option}" not in text] == []
        for action in parser._actions:
            if not action.option_strings and not hasattr(action.choices, "items"):
                assert f"| `{action.metavar or action.dest.upper()}` |" in text


def test_the_commands_and_the_exit_statuses_come_first():
    start = command_line_page().partition("\n## check")[0]
    assert [name for name in COMMANDS if f"| [{name}](#{name}) |" not in start] == []
    assert [status for status in (0, 1, 2, 130) if f"| {status} |" not in start] == []
    assert "| `--version` |" in start


@pytest.mark.slow
def test_the_page_loads_no_keras():
    script = """
import sys
sys.path.insert(0, "docs")
from generators.command_line import command_line_page
command_line_page()
loaded = [name for name in ("keras", "tensorflow", "jax", "torch", "matplotlib") if name in sys.modules]
sys.exit(f"loaded {loaded}" if loaded else 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
