"""Refuse arguments of the wrong type, and explain a call with wrong arguments by an example of a correct one."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from resnet50._io.text import short

F = TypeVar("F", bound=Callable[..., Any])

_TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "int | None": ((int, type(None)), "a whole number or None"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "True or False"),
    "bool | None": ((bool, type(None)), "True, False or None"),
    "str": ((str,), "a string"),
    "str | None": ((str, type(None)), "a string or None"),
}


def check_types(owner: Any) -> None:
    """Refuse a dataclass with a value of the wrong type, where a field is a number or a string.

    Args:
        owner: An instance of a dataclass of a module that postpones the evaluation of annotations.

    Raises:
        ValueError: For the first field, by its name, that is not as annotated.
    """
    for field in fields(owner):
        types, expected = _TYPES.get(field.type, ((object,), ""))
        value = getattr(owner, field.name)
        # True and False are whole numbers to Python
        if not isinstance(value, types) or (isinstance(value, bool) and int in types):
            raise ValueError(f"expected {field.name} to be {expected}, got {short(value)}.")


def check_values(owner: Any, checks: Mapping[str, tuple[bool, str]]) -> None:
    """Raise ValueError for the first field, by its name, that is not as expected.

    Args:
        owner: An instance of a dataclass.
        checks: For each field whether its value is as expected, and what is expected.
    """
    for name, (holds, expected) in checks.items():
        if not holds:
            raise ValueError(f"expected {name} to be {expected}, got {short(getattr(owner, name))}.")


def number(
    help: str,  # noqa: A002 - argparse's word
    default: Any,
    *,
    common: bool = False,
    choices: tuple[Any, ...] = (),
) -> Any:
    """Return a field of a dataclass with its help on the command line, where common options come first."""
    return dataclasses.field(default=default, metadata={"help": help, "common": common, "choices": choices})


def explain_arguments(example: str) -> Callable[[F], F]:
    """Decorate a function so that a call that does not fit its signature raises a TypeError with an example.

    Python raises its own TypeError before any check in the function's body runs.

    Args:
        example: A correct call, and a note on what callers often confuse.

    Returns:
        Decorator that preserves the function's name, signature and docstring.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                signature.bind(*args, **kwargs)
            except TypeError as error:
                raise TypeError(f"{function.__name__}: expected a call such as {example}; {error}.") from None
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate
