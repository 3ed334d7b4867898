"""Explain a call with wrong arguments by an example of a correct one."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


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
                raise TypeError(f"{function.__name__}: expected a call such as {example}; got {error}.") from None
            return function(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate
