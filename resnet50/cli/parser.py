"""The parser of every command: one-line errors that suggest what was meant, and help with examples at its end."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from resnet50._io.text import did_you_mean
from resnet50.cli.console import printable

N = TypeVar("N", int, float)

_MAX_LISTED = 6  # names that an error lists where it suggests one


class Parser(argparse.ArgumentParser):
    """A parser of the program or of one command.

    Args:
        description: A sentence or two; wrapped.
        options: As for `argparse.ArgumentParser`.
    """

    def __init__(self, *, description: str = "", **options: Any) -> None:
        formatter = argparse.RawDescriptionHelpFormatter
        super().__init__(
            description=textwrap.fill(description, 78),
            allow_abbrev=False,
            add_help=False,
            formatter_class=formatter,
            **options,
        )
        self.add_argument("-h", "--help", action="help", help="Show this help.")

    def error(self, message: str) -> NoReturn:
        """Print one line that names the right help page, and exit with 2."""
        end = "" if message.endswith((".", "?")) else "."
        self.exit(2, f"{self.prog}: {printable(' '.join(message.split()))}{end} See '{self.prog} --help'.\n")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse all words; a word too many is refused here, by the command that it was meant for."""
        words = list(sys.argv[1:] if args is None else args)
        if self._subparsers is None:
            self._refuse_unknown_options(words)
        options, rest = super().parse_known_args(words, namespace)
        if rest:
            self._refuse_unknown_options(rest)
            self.error(f"unexpected argument {rest[0]!r}")
        return options, []

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        known = self._option_string_actions
        for word in words[: words.index("--")] if "--" in words else words:
            option = word.partition("=")[0]
            if word.startswith("--") and " " not in option and option not in known:
                self.error(f"unknown option {word}{did_you_mean(option, known)}")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            near = did_you_mean(str(value), names)
            if isinstance(action, argparse._SubParsersAction):
                end = f"; expected one of {', '.join(names)}." if near == "." else near
                self.error(f"unknown {str(action.metavar).lower()} {value!r}{end}")
            expected = "a known name" if near != "." and len(names) > _MAX_LISTED else f"one of {', '.join(names)}"
            raise argparse.ArgumentError(action, f"expected {expected}, got {value!r}{near}")


def examples(*commands: str) -> str:
    """Return the end of a help page: commands as they are typed, each perhaps with a comment."""
    return "\n".join(["examples:", *(f"  {command}" for command in commands)])


def number(kind: type[N], minimum: N | None = None) -> Callable[[str], N]:
    """Return what reads an option's number.

    Args:
        kind: ``int`` or ``float``.
        minimum: Least number that is taken.

    Returns:
        A ``type`` for `argparse.ArgumentParser.add_argument`.
    """

    def read(text: str) -> N:
        try:
            value = kind(text)
        except ValueError:
            expected = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None
        if minimum is not None and not value >= minimum:
            raise argparse.ArgumentTypeError(f"expected at least {minimum}, got {value}")
        return value

    return read
