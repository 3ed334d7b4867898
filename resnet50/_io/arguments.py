"""Calls whose arguments do not fit, explained by an example."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def explain_arguments(example: str) -> Callable[[F], F]:
    """Make a function answer a call that does not fit its signature with an example of one that does.

    Python raises its own TypeError before a check in the function's body could run.

    Args:
        example: A correct call, and what a caller is likely to confuse.

    Returns:
        A decorator that keeps the function's name, signature and docstring.
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
