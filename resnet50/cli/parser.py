"""The parser of every command: one-line errors with suggestions, and help that ends with examples."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Any, NoReturn, TypeVar

from resnet50._io.text import did_you_mean, printable

N = TypeVar("N", int, float)

_NEGATIVE_NUMBER = re.compile(r"-(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$", re.IGNORECASE)
_MAX_LISTED = 6  # an error with a suggestion lists no more names than this


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
        self._negative_number_matcher = _NEGATIVE_NUMBER  # argparse's own takes -1e-3 for an option
        self.add_argument("-h", "--help", action="help", help="Show this help.")

    def error(self, message: str) -> NoReturn:
        """Print one line that names the right help page, and exit with 2."""
        end = "" if message.endswith((".", "?")) else "."
        self.exit(2, f"{self.prog}: {printable(' '.join(message.split()))}{end} See '{self.prog} --help'.\n")

    def parse_known_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse all words; refuse a word too many here, so that the error names the right command."""
        words = list(sys.argv[1:] if args is None else args)
        own = words if self._subparsers is None else list(takewhile(lambda word: word.startswith("-"), words))
        self._refuse_unknown_options(own)
        options, rest = super().parse_known_args(words, namespace)
        if rest:
            self._refuse_unknown_options(rest)
            self.error(f"unexpected argument {rest[0]!r}")
        return options, []

    def _refuse_unknown_options(self, words: Sequence[str]) -> None:
        known = self._option_string_actions
        for word in words[: words.index("--")] if "--" in words else words:
            option = word.partition("=")[0]
            if word[:1] != "-" or word == "-" or " " in option or option in known or _NEGATIVE_NUMBER.match(word):
                continue
            near = did_you_mean(option, known)
            path = f"; a path that begins with a dash is written ./{word}." if near == "." else near
            self.error(f"unknown option {word}{near if word.startswith('--') else path}")

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        # Path("") would be the current folder; the words of a command are checked by its own parser
        if not arg_string and not isinstance(action, argparse._SubParsersAction):
            raise argparse.ArgumentError(action, "expected a value, got an empty string")
        return super()._get_value(action, arg_string)

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


def number(number_type: type[N], minimum: N | None = None) -> Callable[[str], N]:
    """Return a function that reads an option's number.

    Args:
        number_type: ``int`` or ``float``.
        minimum: Lowest number allowed; None for no limit.

    Returns:
        A ``type`` for `argparse.ArgumentParser.add_argument`.
    """

    def read(text: str) -> N:
        try:
            value = number_type(text)
        except ValueError:
            expected = "a whole number" if number_type is int else "a number"
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from None
        if minimum is not None and not value >= minimum:
            raise argparse.ArgumentTypeError(f"expected at least {minimum}, got {value}")
        return value

    return read
