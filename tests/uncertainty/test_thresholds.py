"""The thresholds of a classifier: what they say, and their file."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from factories import raises
from resnet50.uncertainty import thresholds as module
from resnet50.uncertainty.scaling import Temperature
from resnet50.uncertainty.thresholds import Thresholds, read_file, reference_features


def thresholds(count: int = 40, *, classes: int = 2, **changes) -> Thresholds:
    """Scores 1/count .. 1 of classes in turn; distances from 0.01 in steps of 0.01; features along two axes."""
    scores = (np.arange(count, dtype=np.float32) + 1) / count
    return replace(
        Thresholds(
            Temperature(),
            "lac",
            scores=scores,
            labels=np.arange(count) % classes,
            distances=np.arange(1, count + 1, dtype=np.float32) / 100,
            features=np.eye(2, dtype=np.float16),
            fitted_on="held-out",
            neighbors=1,
        ),
        **changes,
    )


def test_enough_images_of_each_class_give_each_a_threshold_of_its_own():
    found = thresholds(40)
    assert found.by_class(0.95, 2)
    np.testing.assert_allclose(found.class_thresholds(0.95, 2), [39 / 40, 40 / 40])  # the 20th of 20
    np.testing.assert_allclose(found.class_thresholds(0.5, 2), [21 / 40, 22 / 40])  # the 11th


def test_too_few_images_of_a_class_give_all_the_same_threshold():
    found = thresholds(38, labels=np.arange(38) // 19 * 0 + (np.arange(38) < 18))
    assert not found.by_class(0.95, 2)
    np.testing.assert_allclose(found.class_thresholds(0.95, 2), [38 / 38] * 2)
    assert thresholds(40).class_thresholds(0.95, 3) is not None  # a class without any image
    assert len(set(thresholds(40).class_thresholds(0.95, 3))) == 1


def test_a_class_without_calibration_images_has_no_threshold_of_its_own_at_any_coverage():
    found = thresholds(40)
    assert not found.by_class(1e-9, 3)
    np.testing.assert_allclose(found.class_thresholds(1e-9, 3), [1 / 40] * 3)
    assert found.to_dict(3)["prediction_set"]["by_class"] is False


def test_what_is_no_number_is_refused_and_features_of_another_network_are_an_error():
    found = thresholds(99)
    judged = found.judge(np.array([[0.6, 0.4]]), found.measure(np.array([[np.nan, 1.0]])))
    assert judged.refused.tolist() == [True]
    with raises(ValueError, 2, 3):
        found.measure(np.ones((1, 3)))


def test_too_few_images_give_no_sets_and_say_so():
    found = thresholds(18)
    assert found.class_thresholds(0.95, 2) is None
    assert found.judge(np.array([[0.6, 0.4]])).sets is None
    problem = found.why_none(0.95, None, classes=2)
    assert all(value in problem for value in ("19", "0.95", "18"))
    assert found.why_none(0.9, None, classes=2) == ""
    refusal = found.why_none(None, 0.05, classes=2)
    assert all(value in refusal for value in ("19", "0.05", "18"))
    both = found.why_none(0.95, 0.05, classes=2, prefix="--")
    assert both.endswith("--coverage 0.9 --refuse 0.1.")
    assert found.why_none(0.9, 0.1, classes=2) == ""
    assert "coverage 0.95" in thresholds(20).why_none(0.99, None, classes=2)
    assert thresholds(3).why_none(0.95, 0.05, classes=2).endswith("train on more images.")
    assert found.judge(np.array([[0.6, 0.4]]), np.ones(1)).refused is None


def test_an_image_that_is_further_than_one_s_own_is_refused():
    found = thresholds(99)
    assert found.farthest(0.05) == pytest.approx(0.95)
    judged = found.judge(np.array([[0.6, 0.4]] * 2), np.array([0.94, 0.96], np.float32))
    assert judged.refused.tolist() == [False, True]
    np.testing.assert_allclose(found.measure(np.array([[2.0, 0.0], [-1.0, 0.0]])), [0, 1], atol=1e-3)


def test_what_is_off_is_not_said():
    found, rows, distances = thresholds(99), np.array([[0.6, 0.4]]), np.ones(1)
    judged = found.judge(rows, distances, coverage=None, refuse=None)
    assert (judged.sets, judged.refused) == (None, None)
    assert found.judge(rows).refused is None  # no distance is known


def test_a_temperature_is_applied_before_the_sets_are_made():
    cold = thresholds(99, scores=np.full(99, 0.35, np.float32), temperature=Temperature(0.5))
    row = np.array([[0.62, 0.38]])  # squared and normalized 0.73 and 0.27
    assert cold.judge(row).sets.tolist() == [[True, False]]
    assert thresholds(99, scores=np.full(99, 0.65, np.float32)).judge(row).sets.tolist() == [[True, True]]
    divided = cold.divided(0.5)
    assert divided.temperature.value == 1
    squared = row**2 / (row**2).sum()
    assert divided.judge(squared).sets.tolist() == cold.judge(row).sets.tolist()


def test_reference_features_have_length_1_and_are_spread_over_all(monkeypatch):
    monkeypatch.setattr(module, "MOST_REFERENCES", 3)
    features = np.outer(np.arange(1, 6), [3.0, 4.0]).astype(np.float32)
    found = reference_features(features)
    assert (found.dtype, found.shape) == (np.float16, (3, 2))
    np.testing.assert_allclose(found, [[0.6, 0.8]] * 3, atol=1e-3)


def test_the_file_gives_back_the_thresholds(tmp_path):
    written = thresholds(40, temperature=Temperature(1.5, 40, 0.7, 0.6))
    (tmp_path / "thresholds.npz").write_bytes(written.to_bytes())
    found = read_file(tmp_path, classes=2)
    assert (found.temperature, found.method, found.fitted_on, found.neighbors) == (
        written.temperature,
        "lac",
        "held-out",
        1,
    )
    for name in ("scores", "labels", "distances", "features"):
        np.testing.assert_array_equal(getattr(found, name), getattr(written, name))
    assert written.to_bytes() == thresholds(40, temperature=Temperature(1.5, 40, 0.7, 0.6)).to_bytes()


def changed(**arrays) -> bytes:
    """The file with other arrays."""
    with np.load(io.BytesIO(thresholds(40).to_bytes())) as file:
        known = {name: file[name] for name in file.files}
    buffer = io.BytesIO()
    np.savez(buffer, **{**known, **arrays})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        thresholds(40).to_bytes()[:-100],
        changed(scores=np.full(40, np.nan, np.float32)),
        changed(scores=np.ones(40)),
        changed(labels=np.full(40, 2)),
        changed(labels=np.arange(3)),
        changed(features=np.full((1, 2), 2, np.float16)),
        changed(about="{"),
        changed(
            about=json.dumps({"temperature": {"value": 0}, "method": "lac", "fitted_on": "held-out", "neighbors": 1})
        ),
    ],
)
def test_a_damaged_file_is_refused(content, tmp_path):
    path = tmp_path / "thresholds.npz"
    path.write_bytes(content)
    with raises(ValueError, path):
        read_file(tmp_path, classes=2)


def test_a_compressed_file_is_refused():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, scores=np.zeros(9))
    with raises(ValueError, "compressed"):
        Thresholds.from_bytes(buffer.getvalue(), classes=2)
    with zipfile.ZipFile(io.BytesIO(buffer.getvalue())) as archive:
        assert archive.infolist()[0].compress_type == zipfile.ZIP_DEFLATED


def test_a_file_that_is_far_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_MOST_BYTES", 1 << 20)
    (tmp_path / "thresholds.npz").write_bytes(b"0" * (1 << 20 | 1))
    with raises(ValueError, "1 MiB"):
        read_file(tmp_path, classes=2)


def test_programs_without_this_package_get_plain_numbers():
    found = json.loads(json.dumps(thresholds(40).to_dict(2)))
    assert found["prediction_set"]["score"] == "lac"
    assert found["prediction_set"]["by_class"] is True
    assert found["prediction_set"]["largest_score"]["0.95"] == pytest.approx([39 / 40, 1])
    assert "0.99" not in found["prediction_set"]["largest_score"]  # 99 images are needed
    assert found["refusal"]["largest_distance"]["0.05"] == pytest.approx(0.39)
    assert (found["refusal"]["reference_images"], found["refusal"]["bytes"]) == (2, 8)


def test_without_features_nothing_is_refused():
    found = thresholds(40, features=np.zeros((0, 0), np.float16), distances=np.zeros(0, np.float32))
    assert not found.refuses
    assert found.farthest(0.05) is None
    assert found.to_dict(2)["refusal"]["largest_distance"] == {}


@pytest.mark.parametrize(
    ("name", "value"), [("temperature", Temperature(-1.0)), ("method", "raps"), ("fitted_on", "test"), ("neighbors", 0)]
)
def test_impossible_numbers_are_refused(name, value):
    with raises(ValueError, name):
        thresholds(40, **{name: value})
