from __future__ import annotations

import io

import keras
import numpy as np
import pytest
from rich.console import Console

from resnet50.cli import progress


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_every_epoch_and_a_file_nothing(monkeypatch, terminal):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=terminal, width=100))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((4, 2), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    table = progress.EpochTable(3)
    model.fit(x, y, epochs=3, initial_epoch=1, validation_data=(x, y), verbose=0, callbacks=[table])
    table.close()
    shown = screen.getvalue()
    if terminal:
        assert "   2  loss  0.693  accuracy" in shown
        assert "   3  loss" in shown
        assert "│ val loss" in shown
        assert "epoch 3/3" in shown
    else:
        assert shown == ""
