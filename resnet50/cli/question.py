"""A question on the terminal."""

from __future__ import annotations

import sys

from resnet50.cli.console import say

_ANSWERS = {"": True, "y": True, "yes": True, "n": False, "no": False}


def can_ask() -> bool:
    """Return whether there is a terminal to ask in."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def confirm(question: str, *, otherwise: str) -> bool:
    """Return whether the answer is yes; Enter is a yes, and what is neither yes nor no is asked again.

    Args:
        question: The question.
        otherwise: How to answer without a terminal, as the end of an error message.

    Raises:
        ValueError: If the input ends without an answer.
    """
    while True:
        try:
            answer = input(f"{question} [Y/n] ").strip().lower()
        except EOFError as error:
            say("")  # leave the question's line
            raise ValueError(f"expected an answer, y or n, got the end of the input; {otherwise}.") from error
        if answer in _ANSWERS:
            return _ANSWERS[answer]
