"""Interruption: signals that end a command let it clean up, and a training write its state, first."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Raise SystemExit in the block where a signal would end the process at once, so that the block can clean up.

    These are SIGTERM (``kill``, job schedulers, shutdown), SIGHUP (a closed terminal) and Windows' SIGBREAK. A signal
    that is ignored, as under nohup, or has a handler already is left alone. Ctrl-C raises KeyboardInterrupt by itself.
    The status of the process is 128 plus the number of the signal, as of one that the signal ended.
    """
    changed = [number for number in _ENDING if _is_main_thread() and signal.getsignal(number) is signal.SIG_DFL]
    for number in changed:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in changed:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def signals_held_back() -> Iterator[None]:
    """Hold back Ctrl-C and the signals of `exit_on_signals` in the block; the first that came takes effect after it."""
    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in [signal.SIGINT, *_ENDING] if _is_main_thread()}
    held = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in held:
        signal.signal(number, lambda number, frame: received.append(number))
    try:
        yield
    finally:
        for number, handler in held.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])


@contextmanager
def handlers_kept() -> Iterator[None]:
    """Keep the handlers of the signals of `exit_on_signals` in the block, where a library would set its own.

    `signal.signal` ignores these signals in the block. Handlers set from C++, which it does not see, are replaced at
    the end.
    """
    if not _is_main_thread():  # only the main thread can set handlers
        yield
        return
    set_handler = signal.signal
    kept = {number: signal.getsignal(number) for number in _ENDING}

    def set_unless_kept(number: int, handler: Any) -> Any:
        return kept[number] if number in kept else set_handler(number, handler)

    signal.signal = set_unless_kept  # type: ignore[assignment]
    try:
        yield
    finally:
        signal.signal = set_handler
        for number, handler in kept.items():
            if handler is not None:  # None: set by C code; Python cannot set it again
                set_handler(number, handler)


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
