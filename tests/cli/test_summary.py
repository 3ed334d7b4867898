from __future__ import annotations


def test_the_fresh_network_is_shown_stage_by_stage(command):
    status, out, err = command("summary", "--side", 96, "--classes", 10)
    assert (status, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["conv4", "62", "6", "x", "6", "x", "1024", "7,129,088", "254,803,968"] in rows
    assert rows[-1][1:3] == ["177", "23,608,202"]


def test_a_trained_classifier_is_shown_and_drawn(command, trained, tmp_path):
    status, out, err = command("summary", trained, "--draw", "drawn")
    assert (status, err) == (0, "")
    assert "conv3" in out
    for name in ("resnet50", "convolutional_block", "identity_block"):
        assert (tmp_path / "drawn" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert f"drawn/{name}.png" in out


def test_an_impossible_network_is_refused_in_one_line(refused):
    refused(("summary", "--side", 31), "input_shape", 32, "(31, 31, 3)")
