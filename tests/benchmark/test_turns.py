from __future__ import annotations

import sys
import textwrap

import pytest

from factories import raises
from resnet50.benchmark.turns import Measured, take_turns


@pytest.fixture
def contender(tmp_path):
    """Make the command of a contender whose turns give the numbers it is told, and note their order in a file."""

    def make(name: str, *values: float, before: str = "") -> list[str]:
        script = tmp_path / f"{name}.py"
        script.write_text(
            textwrap.dedent(
                f"""
                from pathlib import Path
                from resnet50.benchmark.turns import serve

                values = iter({values})

                def turn():
                    {before or "pass"}
                    print("chatter")
                    with Path({str(tmp_path / "order")!r}).open("a") as file:
                        file.write({name!r})
                    return {{"rate": next(values)}}

                serve(lambda: turn)
                """
            )
        )
        return [sys.executable, str(script)]

    return make


def test_contenders_take_turns_of_which_the_first_warms_up(contender, tmp_path):
    seen = []
    measured = take_turns(
        {"a": contender("a", 1, 2, 8, 3), "b": contender("b", 99, 4, 2, 6)},
        turns=3,
        progress=lambda *told: seen.append(told),
    )
    assert (tmp_path / "order").read_text() == "abababab"
    assert seen == [(done, 8) for done in range(1, 9)]
    a, b = measured["a"], measured["b"]
    assert (a.values, b.values) == ({"rate": (2, 8, 3)}, {"rate": (4, 2, 6)})
    assert (a.median("rate"), b.median("rate")) == (3, 4)
    assert a.over(b, "rate") == 0.5  # of 2/4, 8/2 and 3/6, not 3/4
    assert a.summary()["rate"] == {"median": 3, "min": 2, "max": 8, "turns": 3}


def test_memory_is_that_of_the_process(contender):
    large = contender("large", 1, 1, before="kept = bytearray(400 << 20); kept[::4096] = bytes(len(kept[::4096]))")
    measured = take_turns({"small": contender("small", 1, 1), "large": large}, turns=1)
    small, large = measured["small"].peak_mib, measured["large"].peak_mib
    assert 5 < small < 300
    assert 390 < large - small < 450


def test_a_contender_that_ends_is_told_with_its_last_words(contender):
    ends = contender("second", 1, before="import sys; sys.exit('SystemExit: no room')")
    with raises(ValueError, "second", "'SystemExit: no room'"):
        take_turns({"first": contender("first", 1, 1), "second": ends}, turns=1)


def test_a_contender_may_say_much(contender):
    loud = contender("loud", 1, 2, before="import sys; print('x' * 300_000); sys.stderr.write('y' * 300_000)")
    assert take_turns({"loud": loud}, turns=1)["loud"].values == {"rate": (2,)}


def test_no_turns_are_refused():
    with raises(ValueError, "turns", 1, 0):
        take_turns({}, turns=0)


def test_a_ratio_is_that_of_the_same_turn():
    assert Measured("a", {"s": (10.0, 1.0)}, 0).over(Measured("b", {"s": (5.0, 0.5)}, 0), "s") == 2
