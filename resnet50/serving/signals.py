"""Signals that stop the service: each is noted, and takes effect where everything can be cleaned up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class StopSignals:
    """SIGTERM, Ctrl-C and a closed terminal, each noted, since it may come while Ray starts.

    An exception in the middle of that leaves processes behind.

    Attributes:
        received: Number of the first signal that came; None before one has.
    """

    received: int | None = None

    def take(self) -> None:
        """Take the signals, or take them again from a library that has."""
        if threading.current_thread() is threading.main_thread():
            for number in _NUMBERS:
                signal.signal(number, self._note)

    def raise_received(self) -> None:
        """Raise what a signal that has come is for Python, if one has.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SystemExit: After another one, with the status of a process that it ended.
        """
        if self.received is not None:
            _end(self.received)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.received is not None:  # who asks twice does not want to wait
            _end(number)
        self.received = number


@contextmanager
def stop_signals() -> Iterator[StopSignals]:
    """Note signals in the block instead of being ended by them; a second one takes effect at once.

    If the block fails after a signal, the end that the signal asks for is raised, not the error.
    """
    signals = StopSignals()
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    signals.take()
    try:
        yield signals
    except Exception:
        signals.raise_received()
        raise
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not Python's


def _end(number: int) -> None:
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)
