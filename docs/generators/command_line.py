"""The page of the command line, from the parsers. Nothing here imports Keras or TensorFlow."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence

from generators.markdown import table
from resnet50.cli import COMMANDS, build_parser

_INTRODUCTION = """\
# Command line

Each command parses its words, calls one public function of the [Python API](index.md) and prints. This page is made
from the parsers; `resnet50 COMMAND --help` shows the same text. Every command has `-h` and `--help`.
"""
_EXIT_STATUS = """\
## Exit status

| status | meaning |
| --- | --- |
| 0 | The command did what it was asked to do. |
| 1 | `check` or `evaluate` found an issue that is an error: scores on these data do not hold. |
| 2 | The command failed, and one line on standard error says why. `predict`, `embed` and `suggest` also exit with 2 \
if an image cannot be read, after the others are done; `weights show` and `weights verify` if a file differs from its \
published hash. |
| 130 | The command was interrupted by Ctrl-C. `resnet50 train --resume RUN` resumes an interrupted training. |
| 143, 129 | The same by SIGTERM, or because the terminal closed. `serve` ends with 0 then. |
"""
_EXAMPLES = "examples:\n"
_DEFAULT = re.compile(r"\s*Default: (?P<value>.*)\.$", re.DOTALL)
_TYPED = re.compile(r"'(resnet50 [^']+)'|(?<![\w-])(--[a-z][a-z-]*[a-z])")  # a command or an option within a sentence
_USAGE_WIDTH = 80  # characters that fit beside the navigation


def command_line_page() -> str:
    """Return the page: a table of the commands, the exit statuses, and a section for each command."""
    parsers = [_actions(build_parser([name]))[name] for name in COMMANDS]
    sections = (command_section(parser, level=2) for parser in parsers)
    return "\n".join([_INTRODUCTION, *reversed([*_groups(build_parser([]))]), _EXIT_STATUS, *sections])


def command_section(parser: argparse.ArgumentParser, *, level: int) -> str:
    """Return the section of a command: description, usage, arguments, options and examples, then those of its actions.

    Args:
        parser: The command's parser; the words of ``prog`` after the first are the command's name.
        level: Level of the heading.
    """
    words = parser.prog.split()[1:]
    remarks, _, examples = (parser.epilog or "").partition(_EXAMPLES)
    parts = [
        f"{'#' * level} {' '.join(words)} {{ #{'-'.join(words)} }}\n",
        *_paragraphs(parser.description),
        _fenced("text", [_usage(parser)]),
        *_groups(parser),
        *_paragraphs(remarks),
        *([_fenced("sh", map(str.strip, examples.splitlines()))] if examples else []),
        *(command_section(action, level=level + 1) for action in _actions(parser).values()),
    ]
    return "\n".join(parts)


def _actions(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each word that may follow: a command of the program, or an action of a command."""
    found = [action.choices for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found[0]) if found else {}


def _usage(parser: argparse.ArgumentParser) -> str:
    formatter = argparse.HelpFormatter(parser.prog, width=_USAGE_WIDTH)
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    formatter.add_usage(parser.usage, actions, parser._mutually_exclusive_groups, prefix="")
    return formatter.format_help().strip()


def _groups(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield each group of arguments, in the order of the help: its title, its description and a table."""
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if not isinstance(action, argparse._HelpAction)]
        if not actions:
            continue
        title = (group.title or "").removeprefix("positional ").capitalize()
        rows = _rows(actions, parser.prog.split()[1:])
        yield "\n".join([f"**{title}**\n", *_paragraphs(group.description), rows])


def _rows(actions: Sequence[argparse.Action], words: Sequence[str]) -> str:
    """Return the table of a group."""
    if isinstance(actions[0], argparse._SubParsersAction):
        return _choice_table(actions[0], words)
    heading = "option" if actions[0].option_strings else "argument"
    return table((heading, "meaning", "default"), (_argument_row(action) for action in actions))


def _choice_table(action: argparse._SubParsersAction[argparse.ArgumentParser], words: Sequence[str]) -> str:
    """Return a row for each word that may follow, linked to its section."""
    rows = (
        (f"[{choice.dest}](#{'-'.join([*words, choice.dest])})", _prose(choice.help))
        for choice in action._choices_actions
    )
    return table((str(action.metavar).lower(), "meaning"), rows)


def _argument_row(action: argparse.Action) -> tuple[str, str, str]:
    """Return the cells of an argument or an option: how it is typed, its meaning and its default."""
    text = (action.help or "") % vars(action)
    default = _DEFAULT.search(text)
    meaning = _prose(_DEFAULT.sub("", text))
    if action.choices is not None:
        meaning += f" One of {', '.join(f'`{choice}`' for choice in action.choices)}."
    return _typed(action), meaning, _prose(default["value"]) if default else "required" if action.required else ""


def _typed(action: argparse.Action) -> str:
    """Return an argument as it is typed, in code."""
    value = "" if action.nargs == 0 else action.metavar or action.dest.upper()
    return ", ".join(f"`{option} {value}`".replace(" `", "`") for option in action.option_strings) or f"`{value}`"


def _paragraphs(text: str | None) -> list[str]:
    """Return the paragraphs of a text, each on one line, followed by an empty one."""
    return [f"{_prose(paragraph)}\n" for paragraph in (text or "").split("\n\n") if paragraph.strip()]


def _prose(text: str | None) -> str:
    """Return a text of the help as Markdown in one line: commands and options within it become code."""
    escaped = re.sub(r"([*<\[])", r"\\\1", " ".join((text or "").split()))
    return _TYPED.sub(lambda match: f"`{match[1] or match[2]}`", escaped)


def _fenced(language: str, lines: Iterable[str]) -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])
