from __future__ import annotations

import csv
import io
from pathlib import Path

from resnet50.inference.prediction import Prediction
from resnet50.inference.prediction_table import write_table


def table(predictions, top=2):
    file = io.StringIO(newline="")
    write_table(file, predictions, top=top)
    return list(csv.reader(io.StringIO(file.getvalue(), newline="")))


def test_a_row_for_each_image():
    rows = table(
        [
            Prediction(0, Path("a, b.png"), (("cat", 0.75), ("dog", 0.25)), None, ("cat", "dog"), False, 0.2),
            Prediction(1, None, (("dog", 1.0), ("cat", 0.0))),
            Prediction(2, Path("c.png"), (), "c.png: no image"),
        ]
    )
    assert rows == [
        ["path", "class", "probability", "class_2", "probability_2", "error", "set", "refused"],
        ["a, b.png", "cat", "0.750000", "dog", "0.250000", "", "cat|dog", "no"],
        ["-", "dog", "1.000000", "cat", "0.000000", "", "", ""],
        ["c.png", "", "", "", "", "c.png: no image", "", ""],
    ]


def test_no_cell_is_a_formula_or_commands_a_terminal():
    name = "=HYPERLINK(1)\r\n\x1b[2J.png"
    prediction = Prediction(0, Path(name), (("@SUM(1)", 0.5),), None, ("@SUM(1)",), True)
    _, (path, class_name, _, *rest) = table([prediction], top=1)
    assert (path, class_name, *rest) == ("'=HYPERLINK(1)\\r\\n\\x1b[2J.png", "'@SUM(1)", "", "'@SUM(1)", "yes")
    _, (*_, error, _, _) = table([Prediction(0, Path(name), (), f"{name}: no image\n")], top=1)
    assert error.startswith("'=")
    assert error.isprintable()
