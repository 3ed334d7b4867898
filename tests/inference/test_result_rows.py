from __future__ import annotations

import numpy as np
import pytest

from factories import raises, write_image
from resnet50.data.fit import Fit
from resnet50.inference.prediction import Doubt
from resnet50.inference.result_rows import block_name, cut_blocks, feature_rows, prediction_rows, unique_paths


class ByColor:
    """Stands in for a classifier and its networks: the mean of each channel is its answer."""

    input_shape, output_shape = (None, 16, 24, 3), (None, 3)
    class_names = ("red", "green", "blue")
    precision, fit = "fp32", Fit()

    def __init__(self, doubt: Doubt = Doubt()):  # noqa: B008 - it is frozen
        self.network = self.answering = self.features = self
        self.doubt = doubt

    def doubts(self, rows, **shares):
        assert shares == {"coverage": 0.9, "refuse": None}
        return [self.doubt] * len(rows)

    def predict_on_batch(self, images):
        return (images.mean(axis=(1, 2)) / 255).astype(np.float32)


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "b.png").write_text("no image")
    good = [write_image(tmp_path / name, color) for name, color in (("a.png", "lime"), ("c.png", "blue"))]
    return [str(path) for path in (good[0], tmp_path / "b.png", good[1])]


def test_rows_of_predictions_have_the_columns_of_the_table_and_a_reason(paths):
    doubt = Doubt(("green", "blue"), False, 0.25)
    types, rows = prediction_rows(ByColor(doubt), paths, top=2, coverage=0.9, refuse=None)
    assert types == {
        "path": "string",
        "class": "string",
        "probability": "float",
        "class_2": "string",
        "probability_2": "float",
        "error": "string",
        "set": "strings",
        "refused": "bool",
        "distance": "float",
    }
    doubted = {"set": ("green", "blue"), "refused": False, "distance": 0.25}
    assert rows[0] == {
        "path": paths[0],
        "class": "green",
        "probability": 1.0,
        "class_2": "red",
        "probability_2": 0.0,
        "error": None,
        **doubted,
    }
    assert paths[1] in rows[1].pop("error")
    assert rows[1] == {"path": paths[1], "set": None, "refused": None, "distance": None}
    assert (rows[2]["path"], rows[2]["class"]) == (paths[2], "blue")


def test_there_are_no_more_columns_than_classes(paths):
    types, rows = prediction_rows(ByColor(), paths, top=9, coverage=0.9, refuse=None)
    assert [name for name in types if name.startswith("class")] == ["class", "class_2", "class_3"]
    assert rows[0].keys() == types.keys()


def test_rows_of_features_are_in_order_and_have_a_reason(paths):
    types, rows = feature_rows(ByColor(), paths, at=None)
    assert types == {"path": "string", "features": "floats", "error": "string"}
    assert [row["path"] for row in rows] == paths
    assert [None if row["features"] is None else row["features"].tolist() for row in rows] == [
        [0, 1, 0],
        None,
        [0, 0, 1],
    ]
    assert [row["error"] is None for row in rows] == [True, False, True]
    assert paths[1] in rows[1]["error"]


def test_paths_are_taken_once_and_as_they_are_written_to_a_table():
    assert unique_paths(["b", "./a", "b/", "a", "é"]) == ["b", "a", "é"]
    with raises(ValueError, "\\udcff.png", "UTF-8"):
        unique_paths(["a.png", "\udcff.png"])
    with raises(ValueError, "images"):
        unique_paths([])


@pytest.mark.parametrize(
    ("images", "processes", "sizes"),
    [
        (1, 4, [1]),
        (200, 4, [32] * 6 + [8]),
        (1000, 4, [64] * 15 + [40]),
        (9000, 2, [1024] * 8 + [808]),
    ],
)
def test_blocks_hold_each_image_once_and_are_full_batches(images, processes, sizes):
    paths = [str(k) for k in range(images)]
    blocks = cut_blocks(paths, processes=processes)
    assert [len(block) for block in blocks] == sizes
    assert [path for block in blocks for path in block] == paths


def test_the_file_of_a_block_is_named_by_its_images():
    names = {block_name(paths) for paths in (["a", "b"], ["b", "a"], ["ab"], ["a"])}
    assert len(names) == 4
    assert block_name(["a", "b"]) == block_name(["a", "b"])
    assert all(name.endswith(".parquet") for name in names)
