from __future__ import annotations

import io
import re

import keras
import numpy as np
import pytest
from rich.console import Console

from resnet50.cli import progress
from resnet50.training.recipe import Phase
from resnet50.weights.transfer import TransferReport


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_every_epoch_and_a_file_nothing(monkeypatch, terminal):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=terminal, width=100))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((4, 2), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    table = progress.EpochTable([Phase(epochs=3)])
    table.begin_run(None, [])
    table.begin_phase(0, 0)
    model.fit(x, y, epochs=3, initial_epoch=1, validation_data=(x, y), verbose=0, callbacks=[table])
    table.close()
    shown = screen.getvalue()
    if terminal:
        assert re.search(r" 2 +loss +0\.693 .*\baccuracy\b.*\bval\b.* 0\.693 ", shown)
        assert re.search(r" 3 +loss\b", shown)
        assert "3/3" in shown
        assert "all" not in shown  # a single phase is not named
    else:
        assert shown == ""


def test_phases_are_named_and_what_is_left_is_counted_from_where_they_began(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=True, width=100))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((4, 2), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    table = progress.EpochTable([Phase(epochs=9, trains="head"), Phase(epochs=2)])
    table.begin_phase(0, 0)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[table])  # as if it had ended early
    table.begin_phase(1, 1)
    model.fit(x, y, initial_epoch=1, epochs=3, verbose=0, callbacks=[table])
    table.close()
    shown = screen.getvalue()
    for words in ("head", "1/11", "all", "3/3"):
        assert words in shown
    assert re.search(r"\b1\b.*\b2\b.*\bhead\b", shown)
    assert re.search(r"\b2\b.*\b2\b.*\ball\b", shown)


@pytest.mark.parametrize("terminal", [True, False])
def test_what_pretrained_weights_gave_is_said_everywhere(monkeypatch, terminal):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=terminal, width=40))
    report = TransferReport("some/weights", "keras", ("conv1_conv",), {"predictions": "9 [classes]"}, {})
    progress.EpochTable([Phase(epochs=1)]).begin_run(report, [])
    assert str(report) in screen.getvalue()
