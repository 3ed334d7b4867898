from __future__ import annotations

import ctypes
import sys
import textwrap
from types import SimpleNamespace

import pytest

from factories import raises
from resnet50.profiling import rounds
from resnet50.profiling.rounds import Measurement, run_rounds


@pytest.fixture
def contender(tmp_path):
    """Make the command of a contender whose rounds return these numbers, and which writes their order to a file."""

    def make(name: str, *values: float, before: str = "") -> list[str]:
        script = tmp_path / f"{name}.py"
        script.write_text(
            textwrap.dedent(
                f"""
                from pathlib import Path
                from resnet50.profiling.rounds import serve

                values = iter({values})

                def work():
                    {before or "pass"}
                    print("chatter")
                    with Path({str(tmp_path / "order")!r}).open("a") as file:
                        file.write({name!r})
                    return {{"rate": next(values)}}

                serve(lambda: work)
                """
            )
        )
        return [sys.executable, str(script)]

    return make


def test_rounds_are_interleaved_and_the_first_warms_up(contender, tmp_path):
    seen = []
    measured = run_rounds(
        {"a": contender("a", 1, 2, 8, 3), "b": contender("b", 99, 4, 2, 6)},
        rounds=3,
        progress=lambda *step: seen.append(step),
    )
    assert (tmp_path / "order").read_text() == "abababab"
    assert seen == [(done, 8) for done in range(1, 9)]
    a, b = measured["a"], measured["b"]
    assert (a.values, b.values) == ({"rate": (2, 8, 3)}, {"rate": (4, 2, 6)})
    assert (a.median("rate"), b.median("rate")) == (3, 4)
    assert a.ratio(b, "rate") == 0.5  # of 2/4, 8/2 and 3/6, not 3/4
    assert a.summary()["rate"] == {"median": 3, "min": 2, "max": 8, "turns": 3}


def test_memory_is_that_of_the_process(contender):
    large = contender("large", 1, 1, before="held = bytearray(400 << 20); held[::4096] = bytes(len(held[::4096]))")
    measured = run_rounds({"small": contender("small", 1, 1), "large": large}, rounds=1)
    small, large = measured["small"].peak_mib, measured["large"].peak_mib
    assert 5 < small < 300
    assert 390 < large - small < 450


def test_a_contender_that_ends_is_named_with_its_last_line(contender):
    ends = contender("second", 1, before="import sys; sys.exit('SystemExit: no room')")
    with raises(ValueError, "second", "'SystemExit: no room'"):
        run_rounds({"first": contender("first", 1, 1), "second": ends}, rounds=1)


def test_a_contender_may_print_much(contender):
    loud = contender("loud", 1, 2, before="import sys; print('x' * 300_000); sys.stderr.write('y' * 300_000)")
    assert run_rounds({"loud": loud}, rounds=1)["loud"].values == {"rate": (2,)}


def test_no_rounds_are_refused():
    with raises(ValueError, "rounds", 1, 0):
        run_rounds({}, rounds=0)


def test_a_ratio_is_that_of_the_same_round():
    assert Measurement("a", {"s": (10.0, 1.0)}, 0).ratio(Measurement("b", {"s": (5.0, 0.5)}, 0), "s") == 2


def test_peak_memory_on_windows_is_asked_of_its_kernel(monkeypatch):
    def fill(handle, counters, size):
        assert (handle.value, size) == (2**64 - 1, 72)  # this process; 2 numbers of 4 bytes and 8 of 8
        counters._obj.peak = 300 * 2**20

    kernel = SimpleNamespace(GetCurrentProcess=Callable(lambda: -1), K32GetProcessMemoryInfo=fill)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert rounds._peak_mib() == 300


class Callable:
    """A function that takes attributes, as those of ctypes do."""

    def __init__(self, function):
        self.function = function

    def __call__(self):
        return self.function()
