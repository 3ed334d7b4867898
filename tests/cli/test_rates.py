from __future__ import annotations

import re


def test_a_rate_is_suggested_and_the_curve_drawn(command, tmp_path):
    status, out, err = command("rates", "tiny", "--steps", 12, "--batch-size", 4, "--seed", 1, "--out", "found/r.png")
    assert (status, err) == (0, "")
    path, line = out.splitlines()
    assert path == "found/r.png"
    assert (tmp_path / path).read_bytes().startswith(b"\x89PNG")
    start = r"rendered signs, batches of 4, seed 1: the loss falls up to a learning rate of "
    suggestion = float(re.fullmatch(start + r"(\S+)", line)[1])
    assert 1e-6 <= suggestion <= 1


def test_the_curve_has_a_name_of_its_own(command, tmp_path):
    status, out, _ = command("rates", "tiny", "--steps", 10)
    assert status == 0
    assert out.startswith("rates.png\nrendered signs, batches of 8, seed 0: ")
    assert (tmp_path / "rates.png").is_file()


def test_too_few_steps_are_refused_in_one_line(command, tmp_path):
    assert command("rates", "tiny", "--steps", 3) == (2, "", "resnet50 rates: steps must be at least 10, got 3.\n")
    assert not (tmp_path / "rates.png").exists()


def test_impossible_numbers_and_unknown_recipes_are_refused_in_one_line(command):
    status, out, err = command("rates", "tiny", "--batch-size", 0)
    assert (status, out, err) == (2, "", "resnet50 rates: batch_size must be at least 1, got 0.\n")
    status, out, err = command("rates", "flowers")
    assert (status, out) == (2, "")
    assert err.startswith("resnet50 rates: needed a recipe's name, one of signs, ")
    assert err.count("\n") == 1
