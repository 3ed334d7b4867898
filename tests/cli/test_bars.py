from __future__ import annotations

import io

import pytest
import rich.console

from resnet50.cli.bars import bar


@pytest.fixture
def screen(monkeypatch):
    """A terminal, or what is none, in place of standard error; and what is on it."""

    def make(*, terminal):
        shown, console = io.StringIO(), rich.console.Console
        monkeypatch.setattr(
            rich.console, "Console", lambda *, stderr: console(file=shown, force_terminal=terminal and stderr, width=90)
        )
        return shown

    return make


@pytest.mark.parametrize(("in_bytes", "count"), [(False, "3000/9000"), (True, "3.0/9.0 kB")])
def test_a_terminal_sees_what_is_done_and_how_much_of_it(screen, in_bytes, count):
    shown = screen(terminal=True)
    with bar("comparing images", in_bytes=in_bytes) as show:
        assert "comparing" not in shown.getvalue()
        show(3000, 9000)
    assert "comparing images" in shown.getvalue()
    assert count in shown.getvalue()


def test_a_whole_that_is_not_known_is_no_error(screen):
    shown = screen(terminal=True)
    with bar("SIGNS", in_bytes=True) as show:
        show(3000, None)
    assert "SIGNS" in shown.getvalue()


def test_where_there_is_no_terminal_nothing_is_shown(screen):
    shown = screen(terminal=False)
    with bar("reading images") as show:
        show(1, 2)
    assert shown.getvalue() == ""
