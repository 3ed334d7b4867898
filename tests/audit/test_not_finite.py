"""Images of floats with pixels that are no numbers."""

from __future__ import annotations

import numpy as np

from factories import dataset, write_image
from resnet50.audit.file_properties import read_headers
from resnet50.audit.issue import AllImages
from resnet50.audit.not_finite import not_finite_pixels
from resnet50.data.splits import DatasetSplits


def find(root, *paths):
    splits = DatasetSplits(dataset([0] * len(paths), ("a", "b"), paths=paths), root=root)
    return list(not_finite_pixels(AllImages(splits.by_name), read_headers(splits), splits.root))


def test_images_with_pixels_that_are_no_numbers_are_named_the_worst_first(tmp_path):
    values = np.full((8, 8), 0.5, np.float32)
    write_image(tmp_path / "whole.tif", values)
    values[0, 0] = np.inf
    write_image(tmp_path / "one.tif", values)
    values[1] = np.nan
    write_image(tmp_path / "nine.tif", values)
    write_image(tmp_path / "color.png")
    (issue,) = find(tmp_path, "whole.tif", "one.tif", "color.png", "nine.tif")
    assert (issue.kind, issue.severity) == ("not-finite", "warning")
    assert issue.summary.startswith("2 of 4 images (50.0%)")
    assert [(place.path, place.remark[:5]) for (place,) in issue.examples] == [
        ("nine.tif", "14.1%"),
        ("one.tif", "1.6% "),
    ]


def test_other_images_have_no_issue(tmp_path):
    write_image(tmp_path / "color.png")
    write_image(tmp_path / "float.tif", np.zeros((8, 8), np.float32))
    assert find(tmp_path, "color.png", "float.tif", "some.h5#3") == []
    assert find(None, "float.tif") == []
