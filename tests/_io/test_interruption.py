"""Each in a process of its own: a signal that is not caught would end the suite."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from factories import AS_IN_A_TERMINAL, posix
from resnet50._io.interruption import exit_on_signals, handlers_kept, signals_held_back

IMPORT = "from resnet50._io.interruption import exit_on_signals, handlers_kept, signals_held_back\n"

ENDED = """
try:
    with exit_on_signals():
        signal.raise_signal({number})
except SystemExit as error:
    print(error.code, signal.getsignal({number}) is signal.SIG_DFL)
"""

LEFT_ALONE = """
received = []
signal.signal(signal.SIGHUP, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: received.append("handled"))
with exit_on_signals():
    signal.raise_signal(signal.SIGHUP)
    signal.raise_signal(signal.SIGTERM)
print(*received)
"""

HELD_BACK = """
try:
    with signals_held_back():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        print("done")
except KeyboardInterrupt:
    print("interrupted")
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("again")
"""


KEPT = """
def ours(number, frame): print("ours")
signal.signal(signal.SIGTERM, ours)
with handlers_kept():
    print(signal.signal(signal.SIGTERM, lambda *_: print("theirs")) is ours)
    print(signal.signal(signal.SIGINT, signal.SIG_IGN) is signal.default_int_handler)
    signal.raise_signal(signal.SIGTERM)
signal.raise_signal(signal.SIGTERM)
print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.raise_signal(signal.SIGTERM)
"""

FROM_C = """
import ctypes
signal.signal(signal.SIGTERM, lambda *_: print("ours"))
with handlers_kept():
    library = ctypes.CDLL(None)
    library.signal.argtypes = [ctypes.c_int, ctypes.c_void_p]
    library.signal(int(signal.SIGTERM), 0)  # what the system does by default
signal.raise_signal(signal.SIGTERM)
"""


def printed(script: str) -> str:
    command = [sys.executable, "-c", AS_IN_A_TERMINAL + IMPORT + script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_that_ends_the_process_becomes_an_exit_with_its_status(number):
    assert printed(ENDED.format(number=int(number))) == f"{128 + number} True\n"


@posix
def test_a_signal_that_is_ignored_or_handled_already_is_left_alone():
    assert printed(LEFT_ALONE) == "handled\n"


def test_an_interruption_waits_until_the_block_has_ended():
    assert printed(HELD_BACK).split() == ["done", "interrupted", "again"]


def test_another_thread_changes_no_handlers():
    failed = []

    def enter():
        try:
            with exit_on_signals(), signals_held_back():
                pass
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert not failed


def test_a_library_sets_no_handler_where_they_are_kept():
    assert printed(KEPT).split() == ["True", "True", "ours", "ours", "True"]


@posix
def test_a_handler_that_a_library_sets_without_python_is_replaced_afterwards():
    assert printed(FROM_C).split() == ["ours"]


def test_another_thread_keeps_no_handlers():
    """It cannot set any."""
    before, done = signal.signal, []

    def use() -> None:
        with handlers_kept():
            done.append(signal.signal is before)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert done == [True]
