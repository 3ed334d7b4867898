from __future__ import annotations

import signal
import sys
import threading

import pytest

from resnet50.training.interruption import exit_on_signals, signals_held_back


@pytest.fixture(autouse=True)
def signals_as_in_a_terminal():
    """A suite in the background, or under nohup, inherits ignored signals; a library may have its own handlers."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    if hasattr(signal, "SIGHUP"):
        usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not Python's


@pytest.mark.parametrize("number", [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)])
def test_a_signal_that_ends_the_process_becomes_an_exit_with_its_status(number):
    with pytest.raises(SystemExit) as caught, exit_on_signals():
        signal.raise_signal(number)
    assert caught.value.code == 128 + number
    assert signal.getsignal(number) is signal.SIG_DFL


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_signal_that_is_ignored_or_handled_already_is_left_alone():
    received = []
    previous = (
        signal.signal(signal.SIGHUP, signal.SIG_IGN),
        signal.signal(signal.SIGTERM, lambda *_: received.append(1)),
    )
    try:
        with exit_on_signals():
            signal.raise_signal(signal.SIGHUP)
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in zip((signal.SIGHUP, signal.SIGTERM), previous, strict=True):
            signal.signal(number, handler)
    assert received == [1]


def test_an_interruption_waits_until_the_block_has_ended():
    done = []
    with pytest.raises(KeyboardInterrupt), signals_held_back():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        done.append(True)
    assert done
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


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
