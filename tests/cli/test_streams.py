from __future__ import annotations

import io
import sys
import warnings

import pytest

from resnet50.cli import main
from resnet50.cli.console import show
from resnet50.cli.streams import one_line_warnings


def test_a_warning_is_one_line_without_commands_for_the_terminal():
    before = warnings.formatwarning
    with one_line_warnings():
        shown = warnings.formatwarning("two\nlines\x1b]52;c;Y3VybA==\x07", UserWarning, "transfer.py", 1)
    assert warnings.formatwarning is before
    assert shown == "warning: two lines\\x1b]52;c;Y3VybA==\\x07\n"


@pytest.mark.parametrize(("encoding", "errors"), [("cp1252", "strict"), ("ascii", "surrogateescape")])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_console_that_cannot_encode_a_name_shows_it_escaped(monkeypatch, stream, encoding, errors):
    shown = io.BytesIO()
    monkeypatch.setattr(sys, stream, io.TextIOWrapper(shown, encoding=encoding, errors=errors))
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    show("\u732b", file=getattr(sys, stream))
    getattr(sys, stream).flush()
    assert b"\\u732b" in shown.getvalue()


def test_what_is_meant_for_a_closed_standard_error_is_not_printed_on_standard_output(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    with pytest.raises(SystemExit):
        main(["--version"])
    capsys.readouterr()
    show("model: runs/one", file=sys.stderr)
    assert capsys.readouterr().out == ""
    sys.stderr.close()
