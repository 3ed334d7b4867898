"""Class and dataset names in any script, with markup and formulas, through training, evaluation and their pages."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import pytest

from resnet50 import datasets
from resnet50.cli import main

ODD = ("猫", "50 % & <b>", r"$\foo$", "4", "5", "=1+1")
DATASET = r"$\bar% 犬"


@pytest.fixture
def odd(monkeypatch, tiny_splits):
    """The tiny task with odd names."""
    splits = tiny_splits.map(lambda dataset: replace(dataset, class_names=ODD, name=DATASET))
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda path, **options: splits)


@pytest.mark.slow
@pytest.mark.parametrize(("encoding", "errors"), [("cp1252", "strict"), ("ascii", "surrogateescape")])
def test_a_console_that_cannot_show_a_name_ends_no_work(command, odd, tmp_path, monkeypatch, encoding, errors):
    for words in (("train", "tiny", "--out", "run"), ("evaluate", "run", "--out", "scores")):
        shown = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding=encoding, errors=errors))
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        sys.stdout.flush()
        assert stop.value.code == 0
        lines = shown.getvalue().decode(encoding)
        assert r"\u732b" in lines
        assert r"$\foo$" in lines
    for page in ("run/report.html", "scores/report.html"):
        text = (tmp_path / page).read_text(encoding="utf-8")
        assert "猫" in text
        assert "50 % &amp; &lt;b&gt;" in text
        assert r"$\bar% 犬" in text
    table = (tmp_path / "run" / "images.csv").read_text(encoding="utf-8")
    assert ",猫," in table
    assert ",'=1+1," in table
