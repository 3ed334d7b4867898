from __future__ import annotations

import math

from resnet50.training.history import columns, write_history


def test_the_history_has_a_column_for_every_name(tmp_path):
    rows = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_loss": 1.5}]
    write_history(tmp_path / "h.csv", rows)
    assert (tmp_path / "h.csv").read_text().split() == ["epoch,loss,val_loss", "1,0.5,", "2,0.25,1.5"]
    assert columns(rows)["loss"] == [0.5, 0.25]
    assert math.isnan(columns(rows)["val_loss"][0])
