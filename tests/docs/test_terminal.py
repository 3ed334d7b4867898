from __future__ import annotations

import pytest

from factories import raises
from generators.terminal import draw_terminal, screen, shortened

pytestmark = pytest.mark.slow


def test_a_terminal_shows_what_a_command_leaves_there():
    assert screen(r"printf 'first\nold\rnew\n'; tput cols") == ["first", "new", "84"]


def test_an_image_shows_commands_and_their_output(tmp_path):
    draw_terminal(["echo one two", "echo three"], tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text("utf-8").replace("&#160;", " ")
    for line in ("$ echo one two", "one two", "three"):
        assert f">{line}<" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_a_command_that_fails_is_named(tmp_path):
    with raises(RuntimeError, "exit 3", 3):
        draw_terminal(["exit 3"], tmp_path / "a.svg")
    assert not list(tmp_path.iterdir())


def test_a_long_output_is_cut_in_its_middle():
    lines = [str(number) for number in range(100)]
    assert shortened(lines[:26]) == lines[:26]
    assert shortened(lines) == [*lines[:7], "   \u22ee", *lines[81:]]
