from __future__ import annotations

import json

import pytest

from factories import raises
from resnet50 import compare
from resnet50.comparison.page import comparison_page


def test_runs_are_compared_image_by_image(write_run):
    first = write_run("first", [0, 1, 2, 3])
    second = write_run("second", [3, 4], learning_rate=0.5)
    comparison = compare([first, second])
    assert comparison.images == 10
    reference, other = comparison.groups
    assert reference.difference is None
    assert other.changes == {"learning_rate": 0.5}
    difference = other.difference
    assert difference.difference == pytest.approx(0.2)
    assert (difference.second_better, difference.first_better) == (3, 1)
    assert difference.p_value == pytest.approx(10 / 16)  # 3 or more, or 1 or fewer, of 4 fair coins
    assert [(each.path, each.right) for each in comparison.disagreements] == [
        ("0.jpg", (0, 1)), ("1.jpg", (0, 1)), ("2.jpg", (0, 1)), ("4.jpg", (1, 0)),
    ]  # fmt: skip
    plain = json.loads(json.dumps(comparison.to_dict()))
    assert plain["groups"][1]["difference"]["second_better"] == 3


def test_seeds_of_one_recipe_are_one_row(write_run):
    first = write_run("first", [0, 1])
    again = write_run("again", [1, 2], seed=1)
    other = write_run("other", [0, 1, 2, 3], epochs=3)
    comparison = compare([first, other, again])
    assert [len(group.runs.runs) for group in comparison.groups] == [2, 1]
    assert comparison.groups[1].difference.difference == pytest.approx(-0.2)
    assert {each.path: each.right for each in comparison.disagreements} == {
        "0.jpg": (0.5, 0), "2.jpg": (0.5, 0), "3.jpg": (1, 0),
    }  # fmt: skip
    assert comparison.disagreements[0].path == "3.jpg"  # the largest difference


def test_runs_of_other_image_sizes_are_compared_by_their_files(write_run):
    small, large = write_run("small", [0]), write_run("large", [], image_size=96, test="cc")
    assert compare([small, large]).groups[1].changes == {"image_size": 96}


@pytest.mark.parametrize(
    "changes",
    [
        {"test": "cc", "epochs": 3},
        {"test": "cc", "image_size": 96, "paths": [f"other/{k}.jpg" for k in range(10)]},
    ],
)
def test_other_test_images_are_refused(write_run, changes):
    first, second = write_run("first"), write_run("second", **changes)
    with raises(ValueError, first, second):
        compare([first, second])


def test_the_message_counts_corrected_labels(write_run):
    first, second = write_run("first"), write_run("second", test="bb", epochs=3)
    images = second / "images.csv"
    images.write_text(images.read_text().replace("3.jpg,cat", "3.jpg,dog"))
    with raises(ValueError, second, "1 with another label", "10 images"):
        compare([first, second])


def test_runs_of_one_name_keep_names_of_their_own(write_run, monkeypatch):
    first, second, third = write_run("day 1/photos"), write_run("day 2/photos", [1], epochs=3), write_run("c", epochs=4)
    monkeypatch.chdir(third)
    comparison = compare([first, second, "."])
    assert [group.name for group in comparison.groups] == [str(first), str(second), "c"]
    page = comparison_page(comparison)
    assert page.count("day 2/") == page.count("day 1/") + 1 > 3  # rows and columns; the first is not tested


def test_an_unfinished_run_is_refused(write_run):
    first, second = write_run("first"), write_run("the second", None, epochs=3)
    with raises(ValueError, second) as caught:
        compare([first, second])
    assert str(caught.value).endswith(f"--resume '{second}'")


def test_runs_of_one_setting_are_refused(write_run):
    with raises(ValueError, "2", "resnet50 runs"):
        compare([write_run("first"), write_run("second", seed=1)])


def test_one_run_is_refused(write_run):
    with raises(ValueError, "two", "1"):
        compare([write_run("first")])
    with raises(ValueError, "twice"):
        compare([write_run("second"), write_run("third").parent / "second"])


def test_a_list_of_images_that_lacks_some_is_refused(write_run):
    first, second = write_run("first"), write_run("second", epochs=3)
    (first / "images.csv").write_text("split,path,class,sha256\ntest,a.jpg,cat,0\n")
    with raises(ValueError, first / "images.csv", "10", "1"):
        compare([first, second])
    (second / "images.csv").unlink()
    with raises(FileNotFoundError, second / "images.csv", "restore"):
        compare([second, first])


def test_the_page_shows_scores_tests_numbers_and_images(write_run):
    first = write_run("first <1>", [0, 1])
    second = write_run("second", [1, 2], epochs=3)
    page = comparison_page(compare([first, second, write_run("third", [], seed=1, epochs=3)]))
    assert "first &lt;1&gt;" in page
    assert "second and 1 more" in page
    assert "epochs" in page
    assert "0.jpg" in page
    assert "<script" not in page


def test_the_page_says_what_else_differs_where_no_number_does(write_run):
    first, second = write_run("first", [0]), write_run("second", [0])
    environment = second / "environment.json"
    environment.write_text(environment.read_text().replace("float32", "bfloat16"))
    page = comparison_page(compare([first, second]))
    assert "precision" in page
    assert "seed (" not in page
    assert "the same images correctly" in page
