"""Damage that somebody did to packed records on purpose."""

from __future__ import annotations

import pytest
from PIL import Image

from factories import noise
from resnet50.audit.check import check
from resnet50.data.pack_records import pack_records
from resnet50.evaluation.check_labels import check_labels
from resnet50.recipes.folder import RECIPE
from resnet50.reports.audit import audit_page

pytest.importorskip("array_record", reason="records are written by array_record")


@pytest.fixture
def packed(tmp_path):
    for k, pixels in enumerate(noise(8, 8, 8, 3)):
        path = tmp_path / "photos" / "train" / ("cats", "dogs")[k % 2] / f"{k}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    pack_records(tmp_path / "photos", tmp_path / "packed", shards=2)
    return tmp_path / "packed"


def test_a_damaged_record_is_an_error_that_names_image_and_shard(packed):
    steps = []
    assert "damaged" not in {
        issue.kind for issue in check(packed, image_size=8, progress=lambda *s: steps.append(s)).issues
    }
    assert steps[:8] == [(k, 8) for k in range(1, 9)]
    shard = packed / "images-00001-of-00002.array_record"
    content = shard.read_bytes()
    start = content.rindex(b"\x89PNG")  # that of the last record
    shard.write_bytes(content[:start] + b"GNP\x89" + content[start + 4 :])
    audit = check(packed, image_size=8)
    (issue,) = audit.issues
    assert audit.has_errors
    assert (issue.kind, issue.severity) == ("damaged", "error")
    assert "1 of 8" in issue.summary
    ((place,),) = issue.examples
    assert place.path == "train/dogs/7.png"
    assert (place.split, place.index) == ("", None)
    assert str(shard) in place.remark
    assert shard.name in issue.summary
    assert "1 of 8" in audit_page(audit)  # without samples, among which the record may be


def test_labels_of_damaged_records_are_not_checked(packed, monkeypatch):
    shard = packed / "images-00000-of-00002.array_record"
    shard.write_bytes(shard.read_bytes().replace(b"\x89PNG", b"GNP\x89"))
    monkeypatch.setattr("resnet50.evaluation.check_labels.cross_validate", None)
    kinds = [issue.kind for issue in check_labels(packed, RECIPE.change(image_size=32)).issues]
    assert kinds[0] == "damaged"
