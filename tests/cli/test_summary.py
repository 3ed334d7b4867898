from __future__ import annotations

import pytest


def test_the_fresh_network_is_shown_stage_by_stage(command):
    status, out, err = command("summary", "--image-size", 96, "--classes", 10)
    assert (status, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["conv4", "62", "6", "x", "6", "x", "1024", "7,129,088", "254,803,968"] in rows
    assert rows[-1][1:3] == ["177", "23,608,202"]


def test_a_trained_classifier_is_shown_and_drawn(command, trained, tmp_path):
    status, out, err = command("summary", trained, "--draw", "drawn")
    assert (status, err) == (0, "")
    assert "conv3" in out
    for name in ("resnet11", "resnet11-narrow", "convolutional_block", "identity_block"):
        for path in (f"drawn/{name}.svg", f"drawn/{name}-dark.svg"):
            assert "<svg" in (tmp_path / path).read_text(encoding="utf-8")
            assert path in out.splitlines()


@pytest.mark.slow
def test_another_column_and_form_are_shown(command):
    status, out, err = command("summary", "--depth", 18, "--form", "preactivation", "--classes", 1000)
    assert (status, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert [row[0] for row in rows[-4:]] == ["post", "avg_pool", "predictions", "total"]
    assert ["post", "2", "2", "x", "2", "x", "512", "2,048", "0"] in rows


def test_a_depth_that_the_paper_does_not_have_is_refused(refused):
    refused(("summary", "--depth", 20), "--depth", 18, 34, 50, 101, 152)


def test_a_model_has_its_own_size_and_classes(refused, trained):
    refused(("summary", trained, "--image-size", 96, "--depth", 18), "--image-size", "--depth")


def test_an_impossible_network_is_refused_in_one_line(refused):
    refused(("summary", "--image-size", 31), "input_shape", 32, "(31, 31, 3)")
