from __future__ import annotations

import pytest

from resnet50.cli.parser import Parser, examples, number


def refusal(parser: Parser, capsys, *words: str) -> str:
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    assert stop.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line


@pytest.fixture
def parser() -> Parser:
    parser = Parser(prog="paint", description="Paint.", epilog=examples("paint red"))
    parser.add_argument("color", nargs="?", choices=["red", "green"])
    parser.add_argument("--width", type=number(int, 1))
    parser.add_argument("--share", type=number(float))
    return parser


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (("--widht", "3"), ("--widht", "did you mean --width?")),
        (("--widht=3",), ("--widht=3", "did you mean --width?")),
        (("red", "--xyz"), ("--xyz",)),
        (("rad",), ("'rad'", "red, green", "did you mean red?")),
        (("red", "blue"), ("'blue'",)),
        (("--width", "x"), ("--width", "'x'")),
        (("--width", "0"), ("--width", "1", "0")),
        (("--share", "x"), ("--share", "'x'")),
        (("--share", "-x"), ("-x", "./-x")),
        (("-x",), ("-x", "./-x")),
        (("--share", ""), ("--share", "empty")),
        (("",), ("color", "empty")),
    ],
)
def test_a_refusal_is_one_line_that_names_the_help(parser, capsys, words, values):
    line = refusal(parser, capsys, *words)
    assert line.startswith("paint: ")
    assert line.endswith("See 'paint --help'.\n")
    assert [value for value in values if value not in line] == []


def test_nothing_is_suggested_where_nothing_is_near(parser, capsys):
    assert "?" not in refusal(parser, capsys, "--xyz")


def test_values_are_read(parser):
    options = parser.parse_args(["green", "--width", "2", "--share", "-0.5"])
    assert (options.color, options.width, options.share) == ("green", 2, -0.5)
    assert parser.parse_args(["--share", "-1e-3"]).share == -0.001


def test_the_help_ends_with_examples(parser):
    assert parser.format_help().endswith("examples:\n  paint red\n")
