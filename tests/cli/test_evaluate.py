from __future__ import annotations

import json


def test_a_run_is_scored_on_its_recipes_test_pictures(command, trained):
    status, out, err = command("evaluate", trained)
    assert (status, err) == (0, "")
    assert out.startswith("rendered signs, 6 pictures: accuracy ")
    assert "precision" in out
    assert "recall" in out


def test_json_equals_the_runs_report(command, trained, files):
    status, out, _ = command("evaluate", trained / "model.keras", "--data", files, "--json")
    assert status == 0
    assert json.loads(out) == json.loads((trained / "report.json").read_text())


def test_what_cannot_be_scored_is_said_in_one_line(command, trained, files, tmp_path):
    from resnet50.data.signs import read_signs, write_signs

    status, _, err = command("evaluate", "nowhere.keras")
    assert status == 2
    assert err.startswith("resnet50 evaluate: nowhere.keras: needed a classifier (.keras), found nothing there")
    test = read_signs(files / "test_signs.h5", "test").take(range(3))
    write_signs(type(test)(test.images, test.labels, tuple("uvwxyz"), test.sources, "s"), "test_signs.h5", "test")
    status, _, err = command("evaluate", trained, "--data", ".")
    assert status == 2
    assert err == ("resnet50 evaluate: needed pictures of the classes 0, 1, 2, 3, 4, 5, got u, v, w, x, y, z.\n")
