from __future__ import annotations

import json


def test_runs_are_compared_with_a_page(command, write_run, tmp_path):
    first, second = write_run("first", [0, 1, 2]), write_run("second", [3], epochs=3)
    status, out, _ = command("compare", first, second, "--out", tmp_path / "page.html")
    assert status == 0
    assert "first: accuracy 70.0%" in out
    assert "+20.0 points" in out
    assert "3 images better, 1 worse" in out
    assert "1 image better, 3 worse" in command("compare", second, first, "--out", tmp_path / "page.html")[1]
    assert "p 0.625" in out
    assert "second" in (tmp_path / "page.html").read_text()
    assert out.splitlines()[-1] == str(tmp_path / "page.html")


def test_a_comparison_is_printed_as_json(command, write_run, tmp_path):
    first, second = write_run("first", [0, 1, 2]), write_run("second", [3], epochs=3)
    out = command("compare", first, second, "--out", tmp_path / "page.html", "--json")[1]
    assert json.loads(out)["groups"][1]["difference"]["second_better"] == 3


def test_one_run_and_a_page_of_another_kind_are_refused(refused, write_run, tmp_path):
    refused(("compare", write_run("first"), "--out", tmp_path / "page.html"), "two")
    refused(("compare", "a", "b", "--out", "page.pdf"), "page.pdf", ".html")


def test_runs_that_are_right_about_the_same_images_may_still_differ(command, write_run, tmp_path):
    first, second = write_run("first", [0]), write_run("second", [0], epochs=3, seed=7)
    out = command("compare", first, second, "--out", tmp_path / "page.html")[1]
    page = (tmp_path / "page.html").read_text()
    assert "25.9%" in out  # 0.741 ** 10 is 0.05
    assert "+0.0" not in out
    assert "-25.9 to +25.9" in page
    assert "<td>seed</td>" in page
