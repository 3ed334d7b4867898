from __future__ import annotations

import math

import pytest

from factories import raises
from resnet50.training.history import columns, read_history, write_history


def test_the_history_has_a_column_for_every_name(tmp_path):
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 1.5}]
    write_history(tmp_path / "h.csv", rows)
    assert (tmp_path / "h.csv").read_text().split() == ["epoch,loss,val_loss", "1,0.5,", "2,0.25,1.5"]
    assert columns(rows)["loss"] == [0.5, 0.25]
    assert math.isnan(columns(rows)["val_loss"][0])


def test_a_history_is_read_as_it_was_written(tmp_path):
    rows = [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0, "loss": float("inf"), "val_loss": 1.5}]
    write_history(tmp_path / "h.csv", rows)
    assert read_history(tmp_path / "h.csv") == rows


def test_without_a_file_there_is_no_history(tmp_path):
    assert read_history(tmp_path / "h.csv") == []
    assert columns([]) == {}


@pytest.mark.parametrize("text", ["epoch,loss\n1,many\n", "epoch\n1,2\n", "epoch,loss\n1\n", "\xff\n1\n\udcff"])
def test_a_damaged_history_is_refused(tmp_path, text):
    (tmp_path / "h.csv").write_text(text, errors="surrogateescape")
    with raises(ValueError, tmp_path / "h.csv"):
        read_history(tmp_path / "h.csv")


def test_the_seconds_are_the_last_column_though_a_linear_probe_has_no_rate(tmp_path):
    rows = [
        {"epoch": 1, "phase": 1, "loss": 0.5, "seconds": 2.0},
        {"epoch": 2, "phase": 2, "loss": 0.4, "learning_rate": 0.1, "seconds": 3.0},
    ]
    write_history(tmp_path / "history.csv", rows)
    assert (tmp_path / "history.csv").read_text().splitlines() == [
        "epoch,phase,loss,learning_rate,seconds",
        "1,1,0.5,,2.0",
        "2,2,0.4,0.1,3.0",
    ]
    assert read_history(tmp_path / "history.csv") == rows
