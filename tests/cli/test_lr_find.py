from __future__ import annotations

import re

import pytest

from resnet50.training.lr_finder import MIN_STEPS


@pytest.mark.slow
def test_a_rate_is_suggested_and_the_curve_drawn(command, numbers, tmp_path):
    status, out, err = command("lr-find", "tiny", "--steps", 12, "--batch-size", 4, "--seed", 1, "--out", "found/r.png")
    assert (status, err) == (0, "")
    path, line = out.splitlines()
    assert path == "found/r.png"
    assert (tmp_path / path).read_bytes().startswith(b"\x89PNG")
    assert line.startswith("rendered signs")
    assert numbers(line)[:2] == ["4", "1"]
    suggestion = float(re.findall(r"\d+(?:\.\d+)?(?:e-\d+)?", line)[-1])
    assert 1e-6 <= suggestion <= 1


@pytest.mark.slow
def test_the_curve_has_a_name_of_its_own(command, numbers, tmp_path):
    status, out, _ = command("lr-find", "tiny", "--steps", 10)
    assert status == 0
    path, line = out.splitlines()
    assert path == "lr-find.png"
    assert line.startswith("rendered signs")
    assert numbers(line)[:2] == ["8", "0"]
    assert (tmp_path / "lr-find.png").is_file()


def test_too_few_steps_are_refused_in_one_line(refused, tmp_path):
    refused(("lr-find", "missing-folder", "--steps", MIN_STEPS - 1), "steps", MIN_STEPS, MIN_STEPS - 1)  # first of all
    assert not (tmp_path / "lr-find.png").exists()


def test_impossible_numbers_and_unknown_recipes_are_refused_in_one_line(refused):
    refused(("lr-find", "tiny", "--batch-size", 0), "batch_size", 1, 0)
    refused(("lr-find", "flowers"), "resnet50 recipes", "'flowers'")
