from __future__ import annotations

import io
import logging
import os

import pytest
import rich.console

from resnet50._io.quiet import quiet
from resnet50.cli.console import say, show, step

WORDS = "The quick brown fox jumps over the lazy dog, and then it jumps back over the dog again and again."


@pytest.fixture
def screen(monkeypatch):
    """A terminal, or a file, in place of standard error; and what is on it."""

    def make(*, terminal):
        shown, console = io.StringIO(), rich.console.Console
        monkeypatch.setattr(
            rich.console,
            "Console",
            lambda *, stderr, file: console(file=file or shown, force_terminal=terminal and stderr, width=90),
        )
        return shown

    return make


@pytest.mark.parametrize(("in_bytes", "count"), [(False, "3000/9000"), (True, "3.0/9.0 kB")])
def test_a_terminal_sees_what_is_done_and_how_much_of_it(screen, in_bytes, count):
    shown = screen(terminal=True)
    with step("comparing images", in_bytes=in_bytes) as progress:
        assert "9" not in shown.getvalue()
        progress(3000, 9000)
    assert "comparing images" in shown.getvalue()
    assert count in shown.getvalue()


def test_a_step_is_shown_before_it_is_counted(screen):
    shown = screen(terminal=True)
    with step("loading [Keras]"):
        pass
    assert "loading [Keras]" in shown.getvalue()


def test_a_total_that_is_not_known_is_no_error(screen):
    shown = screen(terminal=True)
    with step("SIGNS", in_bytes=True) as progress:
        progress(3000, None)
    assert "SIGNS" in shown.getvalue()


def test_a_step_is_shown_while_standard_error_is_held_back(screen, capfd):
    screen(terminal=True)
    with quiet() as terminal, step("exporting", file=terminal) as progress:
        progress(3, 7)
        os.write(2, b"what a library prints")
    shown = capfd.readouterr().err
    assert "exporting" in shown
    assert "3/7" in shown
    assert "library" not in shown


def test_where_there_is_no_terminal_nothing_is_shown(screen):
    shown = screen(terminal=False)
    with step("reading images") as progress:
        progress(1, 2)
    assert shown.getvalue() == ""


def test_a_log_of_hours_of_work_has_a_line_for_each_step(screen, capsys):
    screen(terminal=False)
    with step("cross-validating", lines=True):
        logging.getLogger("resnet50.evaluation").info("seed %d, fold %d of %d", 0, 1, 5)
    assert capsys.readouterr().err == "seed 0, fold 1 of 5\n"


def test_the_package_names_the_step_it_is_at(screen):
    shown, logger = screen(terminal=True), logging.getLogger("resnet50")
    level = logger.level
    with step("evaluating") as progress:
        progress(1, 2)
        logging.getLogger("resnet50.evaluation").info("scoring %s", "7 images")
    assert "scoring 7 images" in shown.getvalue()
    assert (logger.level, logger.handlers) == (level, [])


@pytest.mark.parametrize("columns", [None, 40])
def test_prose_is_wrapped_at_words(capsys, monkeypatch, columns):
    if columns is None:
        monkeypatch.delenv("COLUMNS")
        monkeypatch.setattr("sys.__stdout__", io.StringIO())
    else:
        monkeypatch.setenv("COLUMNS", str(columns))
    say(f"  {WORDS}", "short")
    *lines, last = capsys.readouterr().out.splitlines()
    assert last == "short"
    assert len(lines) == (2 if columns is None else 3)
    assert max(map(len, lines)) <= (columns or 80)
    assert all(line.startswith("  ") for line in lines)
    assert " ".join(line.strip() for line in lines) == WORDS


def test_a_path_stays_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    path = "/a/very/long-path/to-some/file-of-weights.keras"
    say(f"the model is in {path}")
    assert path in capsys.readouterr().out.splitlines()


CLIPBOARD = "\x1b]52;c;Y3VybA==\x07"  # OSC 52: a terminal copies what it holds


def test_what_is_shown_cannot_command_the_terminal_or_look_like_another_line(capsys):
    show(f"a{CLIPBOARD}b", "two\nlines")
    say(f"c{CLIPBOARD}d", "two\nlines")
    assert capsys.readouterr().out == (
        "a\\x1b]52;c;Y3VybA==\\x07b\ntwo\\nlines\nc\\x1b]52;c;Y3VybA==\\x07d\ntwo\\nlines\n"
    )


def test_a_logged_name_cannot_command_the_terminal(screen):
    shown = screen(terminal=True)
    with step("evaluating"):
        logging.getLogger("resnet50.evaluation").info("scoring %s", f"x{CLIPBOARD}")
    assert "\x1b]52" not in shown.getvalue()
    assert "scoring x\\x1b]52" in shown.getvalue()
