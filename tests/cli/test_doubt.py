"""``resnet50 predict`` of a model with thresholds: what it prints, and its two options."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from factories import classifier as classifier_of
from factories import noise, with_thresholds, write_image
from resnet50.inference.classifier import Classifier


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Files of a classifier: that answers, that refuses all, that has few calibration images, without thresholds."""
    folder = tmp_path_factory.mktemp("models")
    plain = classifier_of()
    plain.save(folder / "plain.keras")
    with_thresholds(plain).save(folder / "near.keras")
    with_thresholds(plain, near=False).save(folder / "far.keras")
    with_thresholds(plain, calibration=12).save(folder / "few.keras")
    return folder


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "a.png", noise(40, 50, 3))


def test_the_set_stands_behind_the_probabilities(command, models, image):
    status, out, _ = command("predict", image, "--model", models / "near.keras")
    assert status == 0
    assert out.rstrip().endswith("]")
    assert "[none of these]" not in out
    _, plain, _ = command("predict", image, "--model", models / "plain.keras")
    assert out.startswith(plain.rstrip())
    assert "[" not in plain


def test_a_refusal_takes_the_place_of_the_set(command, models, image):
    _, out, _ = command("predict", image, "--model", models / "far.keras")
    assert out.rstrip().endswith("[none of these]")
    _, out, _ = command("predict", image, "--model", models / "far.keras", "--refuse", "off")
    assert "[none of these]" not in out


def test_tables_and_json_have_fields_for_it(command, models, image):
    _, out, _ = command("predict", image, "--model", models / "near.keras", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(out))
    assert set(row["set"].split("|")) <= {"a", "b", "c"}
    assert row["refused"] == "no"
    _, out, _ = command("predict", image, "--model", models / "near.keras", "--json", "--coverage", "off")
    answer = json.loads(out)
    assert (answer["set"], answer["refused"], answer["coverage"], answer["refuse"]) == (None, False, None, 0.05)
    assert 0 <= answer["distance"] <= 2


@pytest.mark.parametrize("words", [("--coverage", "0.9"), ("--refuse", "0.1")])
def test_a_model_without_thresholds_refuses_what_is_asked_for(refused, models, image, words):
    refused(("predict", image, "--model", models / "plain.keras", *words), words[0])


def test_too_few_images_are_said_and_refused_where_a_coverage_is_asked_for(command, refused, models, image):
    status, out, err = command("predict", image, "--model", models / "few.keras")
    assert status == 0
    assert "[" not in out
    assert "19" in err
    refused(("predict", image, "--model", models / "few.keras", "--coverage", 0.95), "19", "0.95", "12")
    advice = re.search(r"--coverage [.\d]+ --refuse [.\d]+", err)[0].removesuffix(".")
    status, out, err = command("predict", image, "--model", models / "few.keras", *advice.split())
    assert (status, "[" in out, "expected" in err) == (0, True, False)


@pytest.mark.parametrize(("words", "missing"), [(("--coverage", "0.9"), "0.05"), (("--refuse", "0.1"), "0.95")])
def test_a_default_that_cannot_be_given_is_a_warning_beside_what_was_asked_for(command, models, image, words, missing):
    status, out, err = command("predict", image, "--model", models / "few.keras", *words)
    assert (status, "[" in out) == (0, words[0] == "--coverage")
    assert missing in err
    assert words[1] not in err


def test_int8_says_that_it_gives_no_sets(command, refused, models, image):
    Classifier.load(models / "near.keras", precision="int8", calibration=noise(4, 32, 40, 3))  # kept in the cache
    words = ("predict", image, "--model", models / "near.keras", "--precision", "int8")
    status, out, err = command(*words)
    assert (status, "[" in out) == (0, False)
    assert "got int8" in err
    refused((*words, "--coverage", 0.9), "--coverage", "int8")
    assert "got int8" not in command(*words, "--coverage", "off", "--refuse", "off")[2]


@pytest.mark.parametrize("share", ["0", "1", "95", "none", "nan"])
def test_a_share_that_is_none_is_refused(refused, models, image, share):
    refused(("predict", image, "--model", models / "near.keras", "--coverage", share), "--coverage", "off")
