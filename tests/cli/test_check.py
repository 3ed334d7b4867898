from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image


def picture(seed):
    blocks = np.random.default_rng(seed).integers(20, 236, (4, 4, 3))
    return np.repeat(np.repeat(blocks, 13, axis=0), 13, axis=1).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Class folders with twelve sound pictures each."""
    for label, name in enumerate(("cats", "dogs")):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for k in range(12):
            Image.fromarray(picture(20 * label + k)).save(tmp_path / "pets" / name / f"{k:02}.png")
    return tmp_path / "pets"


def test_sound_pictures_end_with_0_and_a_page(command, folder, tmp_path):
    status, out, err = command("check", folder)
    assert (status, err) == (0, "")
    looked = (
        "24 training pictures of 2 classes, looked at with 96 x 96 pixels. There is no test part: training keeps a "
    )
    assert out == f"pets: nothing found\n{looked}fifth of them for it.\ncheck.html\n"
    page = (tmp_path / "check.html").read_text()
    assert "<h1>pets: nothing found</h1>" in page
    assert looked in page


def test_warnings_end_with_0_and_errors_with_1_the_worst_first(command, folder, tmp_path):
    (folder / "cats" / "broken.jpg").write_bytes(b"no picture")
    Image.new("RGB", (20, 80), "red").save(folder / "cats" / "red.png")
    status, out, _ = command("check", folder, "--out", "pages/one.html")
    assert status == 0
    lines = out.splitlines()
    assert lines[0] == "pets: 2 warnings, 2 notes"
    assert lines[1].startswith("25 training pictures of 2 classes, ")
    assert lines[2] == "warning 1 of 26 files cannot be read."
    assert lines[3] == "        They are left out of everything; mend or remove them."
    assert lines[4].startswith("warning 1 of 25 pictures (4.0%) is of a single colour.")
    assert lines[6].startswith("note    1 of 25 files (4.0%) is smaller than half of 96 pixels.")
    assert lines[8].startswith("note    1 of 25 files (4.0%) is so long that")
    assert lines[10:] == ["pages/one.html"]
    assert "broken.jpg" in (tmp_path / "pages" / "one.html").read_text()
    Image.fromarray(picture(3)).save(folder / "dogs" / "cat.png")
    status, out, _ = command("check", folder)
    assert status == 1
    assert out.splitlines()[:3:2] == [
        "pets: 1 error, 2 warnings, 2 notes",
        "error   2 of 26 pictures (7.7%) have a near-duplicate of another class, 2 pixel by pixel.",
    ]


def test_more_unreadable_files_than_training_takes_are_an_error_in_its_words(command, folder):
    for k in range(3):
        (folder / "cats" / f"broken{k}.jpg").write_bytes(b"no picture")
    _, _, refused = command("train", "folder", folder, "--side", 96, "--out", "run")
    words = refused.removeprefix("resnet50 train: ")
    assert " of 27 files cannot be read, more than the share of 0.1 that may be left out: cats/broken0.jpg: " in words
    status, out, err = command("check", folder)
    assert (status, err) == (1, "")
    lines = out.splitlines()
    assert lines[0] == "pets: 1 error"
    assert lines[1].startswith("24 training pictures of 2 classes, ")
    assert lines[2] == f"error   {words.strip()}"
    (finding,) = json.loads(command("check", folder, "--json")[1])
    assert [example[0]["source"] for example in finding["examples"]] == [f"cats/broken{k}.jpg" for k in range(3)]


def test_a_recipes_pictures_are_read_as_the_recipe_does(command, tmp_path):
    for k, kind in enumerate(("Benign", "Early", "Pre", "Pro")):
        (tmp_path / "smears" / "Original" / kind).mkdir(parents=True)
        for n in range(15):
            path = tmp_path / "smears" / "Original" / kind / f"{n}.png"
            Image.fromarray(picture(20 * k + n)).convert("RGB" if k else "L").save(path)
    status, out, err = command("check", "leukemia", "--data", "smears")
    assert (status, err) == (0, "")
    assert "48 training, 12 test pictures of 4 classes, looked at with 96 x 96 pixels." in out.splitlines()
    assert "1 of 4 classes can be told by the form of their files: Benign (grey)." in out  # of the files in Original


def test_what_is_no_recipe_or_reads_its_pictures_itself_is_said(command, folder):
    for words, text in [
        (("pets", "--data", folder), "needed a recipe's name, one of signs, "),
        (("rocks",), "needed the folder that holds 360 Rocks and 120 Rocks, got none; name it with --data.\n"),
        (
            ("rocks", "--data", folder, "--pattern", "(?P<class>x)"),
            "the recipe rocks knows how its pictures are read: leave out --pattern.\n",
        ),
    ]:
        status, out, err = command("check", *words)
        assert (status, out) == (2, "")
        assert err.startswith(f"resnet50 check: {text}")
    folder.rename(folder.with_name("rocks"))  # a folder that is called as a recipe is
    assert command("check", "rocks")[1].startswith("rocks: nothing found\n")


def test_the_size_is_what_small_files_are_told_by(command, folder):
    assert "smaller" not in command("check", folder, "--size", 104)[1]
    assert "24 of 24 files (100.0%) are smaller than half of 105 pixels." in command("check", folder, "--size", 105)[1]


def test_findings_as_json(command, folder, tmp_path):
    Image.fromarray(picture(3)).save(folder / "dogs" / "cat.png")
    status, out, _ = command("check", folder, "--json")
    assert status == 1
    (finding,) = json.loads(out)
    assert finding["kind"] == "conflict"
    assert [(place["source"], place["class_name"]) for place in finding["examples"][0]] == [
        ("cats/03.png", "cats"),
        ("dogs/cat.png", "dogs"),
    ]
    assert (tmp_path / "check.html").exists()


def test_a_pattern_and_a_csv_file(command, folder, tmp_path):
    (tmp_path / "flat").mkdir()
    rows = ["path,label,split,group"]
    for k, path in enumerate(sorted(folder.rglob("*.png"))):
        target = tmp_path / "flat" / f"{path.parent.name}-{path.name}"
        path.rename(target)
        rows.append(f"flat/{target.name},{path.parent.name},{'test' if k % 12 == 0 else 'train'},p{k % 12 % 11}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    status, out, _ = command("check", "flat", "--pattern", "(?P<class>cats|dogs)-")
    assert (status, out.splitlines()[0]) == (0, "flat: nothing found")
    status, out, _ = command("check", "list.csv")
    assert status == 1
    assert "1 of 1 groups of the test part (100.0%) has pictures in the training part too: p0." in out
    assert "warning 2 test pictures tell an accuracy of 90% to within about 42 points." in out


def test_an_h5_file(command, files):
    status, out, err = command("check", files)
    assert (status, err) == (0, "")
    assert out.startswith("rendered signs: ")
    assert "test pictures tell an accuracy" in out


def test_labels_that_training_would_refuse_are_an_error_of_the_data(command, folder, tmp_path):
    (tmp_path / "list.csv").write_text(
        "path,label,split\npets/cats/00.png,cats,train\npets/dogs/00.png,dogs,train\npets/dogs/01.png,bird,test\n"
    )
    status, out, err = command("check", "list.csv", "--json")
    assert (status, err) == (1, "")
    (finding,) = json.loads(out)
    assert (finding["kind"], finding["severity"]) == ("unusable", "error")
    assert "needed training pictures of every class, found none of bird" in finding["summary"]
    assert "found none of bird" in (tmp_path / "check.html").read_text()


def test_what_cannot_be_done_is_said_in_one_line(command, folder, tmp_path):
    status, out, err = command("check", "nowhere")
    assert (status, out) == (2, "")
    assert err.startswith("resnet50 check: nowhere: needed ")
    assert command("check", folder, "--out", "page.txt")[::2] == (
        2,
        "resnet50 check: page.txt: the name of the page must end in .html.\n",
    )
    assert command("check", folder, "--size", 0)[::2] == (
        2,
        "resnet50 check: --size must be at least 1 pixel, got 0.\n",
    )
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    ("source", "pattern", "message"),
    [
        ("pets", "(", "needed a pattern that is a regular expression, got '(' ("),
        ("pets", "cats|dogs", "needed a pattern with a group named class, such as "),
        ("list.csv", "(?P<class>x)", "list.csv: needed a folder to search with a pattern, found none.\n"),
    ],
)
def test_wrong_words_are_not_the_datas_fault_and_leave_an_earlier_page(
    command, folder, tmp_path, source, pattern, message
):
    (tmp_path / "list.csv").write_text("path,label\npets/cats/00.png,cats\npets/dogs/00.png,dogs\n")
    (tmp_path / "check.html").write_text("earlier")
    status, out, err = command("check", source, "--pattern", pattern)
    assert (status, out) == (2, "")
    assert err.startswith(f"resnet50 check: {message}")
    assert err.count("\n") == 1
    assert (tmp_path / "check.html").read_text() == "earlier"
