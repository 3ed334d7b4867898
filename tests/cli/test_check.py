from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from factories import write_image


def image(seed):
    blocks = np.random.default_rng(seed).integers(20, 236, (4, 4, 3))
    return np.repeat(np.repeat(blocks, 13, axis=0), 13, axis=1).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Class folders with twelve sound images each."""
    for label, name in enumerate(("cats", "dogs")):
        for k in range(12):
            write_image(tmp_path / "pets" / name / f"{k:02}.png", image(20 * label + k))
    return tmp_path / "pets"


def test_sound_images_end_with_0_and_a_page(command, numbers, folder, tmp_path):
    status, out, err = command("check", folder)
    assert (status, err) == (0, "")
    first, looked, path = out.splitlines()
    assert first.startswith("pets")
    assert numbers(first) == []
    assert numbers(looked)[:4] == ["24", "2", "96", "96"]
    assert "test" in looked
    assert path == "check.html"
    page = (tmp_path / "check.html").read_text()
    assert first in page
    assert looked in page


def test_warnings_end_with_0_and_errors_with_1_the_worst_first(command, numbers, folder, tmp_path):
    (folder / "cats" / "broken.jpg").write_bytes(b"no image")
    write_image(folder / "cats" / "red.png", "red", size=(20, 80))
    status, out, _ = command("check", folder, "--out", "pages/one.html")
    assert status == 0
    first, looked, *issue_lines, path = out.splitlines()
    examples = [f"        cats/{name}" for name in ("broken.jpg", "red.png", "red.png", "red.png")]
    assert issue_lines[2::3] == examples
    del issue_lines[2::3]
    assert first.startswith("pets")
    assert numbers(first) == ["2", "2"]
    assert numbers(looked)[:2] == ["25", "2"]
    assert [line.split()[0] for line in issue_lines[::2]] == ["warning", "warning", "note", "note"]
    assert [numbers(line)[:2] for line in issue_lines[::2]] == [["1", "26"]] + [["1", "25"]] * 3
    assert all("4.0%" in numbers(line) for line in issue_lines[2::2])
    assert "96" in numbers(issue_lines[4])
    assert all(line.startswith("        ") for line in issue_lines[1::2])
    assert path == "pages/one.html"
    assert "broken.jpg" in (tmp_path / "pages" / "one.html").read_text()
    write_image(folder / "dogs" / "cat.png", image(3))
    status, out, _ = command("check", folder)
    assert status == 1
    first, _, worst, *_ = out.splitlines()
    assert numbers(first) == ["1", "2", "2"]
    assert worst.split()[0] == "error"
    assert numbers(worst) == ["2", "26", "7.7%", "2"]


def test_more_unreadable_files_than_training_takes_are_an_error_in_its_words(command, refused, numbers, folder):
    for k in range(3):
        (folder / "cats" / f"broken{k}.jpg").write_bytes(b"no image")
    words = ("train", "folder", folder, "--image-size", 96, "--out", "run", "--offline")
    message = refused(words, 15, 0.1, "cats", "cats/broken0.jpg", begun=True).removeprefix("resnet50 train: ")
    status, out, err = command("check", folder)
    assert (status, err) == (1, "")
    first, looked, issue_lines, *_ = out.splitlines()
    assert first.startswith("pets")
    assert numbers(first) == ["1"]
    assert numbers(looked)[:2] == ["24", "2"]
    assert issue_lines.split(maxsplit=1) == ["error", message.strip()]
    (issue,) = json.loads(command("check", folder, "--json")[1])
    assert [example[0]["path"] for example in issue["examples"]] == [f"cats/broken{k}.jpg" for k in range(3)]


def test_the_first_examples_are_named_short_and_without_control_characters(command, folder):
    for k in range(3):
        write_image(folder / "dogs" / f"{'long' * 20}-{k}.png", image(k))
    write_image(folder / "dogs" / "odd\x1b[31m.png", image(3))
    lines = [line for line in command("check", folder)[1].splitlines() if ".png" in line]
    assert [len(line.split(", ")) for line in lines] == [2, 2, 2]
    assert lines[0].startswith("        cats/00.png, ...")
    assert all(len(path) <= 60 for line in lines for path in line.strip().split(", "))
    assert "\x1b" not in "".join(lines)
    (folder / "dogs" / "broken\x1b[31m.jpg").write_bytes(b"no image")
    assert "        dogs/broken\\x1b[31m.jpg" in command("check", folder)[1].splitlines()


def test_a_recipes_images_are_read_as_the_recipe_does(command, numbers, tmp_path):
    for k, kind in enumerate(("Benign", "Early", "Pre", "Pro")):
        (tmp_path / "smears" / "Original" / kind).mkdir(parents=True)
        for n in range(15):
            path = tmp_path / "smears" / "Original" / kind / f"{n}.png"
            Image.fromarray(image(20 * k + n)).convert("RGB" if k else "L").save(path)
    status, out, err = command("check", "leukemia", "--data", "smears")
    assert (status, err) == (0, "")
    assert numbers(out.splitlines()[1]) == ["48", "12", "4", "96", "96"]
    (issue_lines,) = (
        line for line in out.splitlines() if "Benign" in line and line[0] != " "
    )  # gray, in the files of Original
    assert numbers(issue_lines) == ["1", "4"]


def test_an_unknown_task_and_options_of_a_task_are_refused(command, refused, folder):
    refused(("check", "pets", "--data", folder), "signs", "'pets'")
    refused(("check", "rocks"), "360 Rocks", "120 Rocks", "--data")
    refused(("check", "rocks", "--data", folder, "--pattern", "(?P<class>x)"), "rocks", "pattern")
    assert command("check", "folder", "--data", folder, "--pattern", "(?P<class>cats|dogs)/")[0] == 0
    folder.rename(folder.with_name("rocks"))  # a folder that is called as a recipe is
    status, out, _ = command("check", "rocks")
    assert status == 0
    assert out.startswith("rocks")
    assert len(out.splitlines()) == 3  # nothing was found


def test_files_below_half_of_the_image_size_are_reported(command, numbers, folder):
    assert len(command("check", folder, "--image-size", 104)[1].splitlines()) == 3  # nothing was found
    assert numbers(command("check", folder, "--image-size", 105)[1].splitlines()[2]) == ["24", "24", "100.0%", "105"]


def test_findings_as_json(command, folder, tmp_path):
    write_image(folder / "dogs" / "cat.png", image(3))
    status, out, _ = command("check", folder, "--json")
    assert status == 1
    (issue,) = json.loads(out)
    assert issue["kind"] == "label-conflict"
    assert [(place["path"], place["class_name"]) for place in issue["examples"][0]] == [
        ("cats/03.png", "cats"),
        ("dogs/cat.png", "dogs"),
    ]
    assert (tmp_path / "check.html").exists()


def test_a_pattern_and_a_csv_file(command, numbers, folder, tmp_path):
    (tmp_path / "flat").mkdir()
    rows = ["path,label,split,group"]
    for k, path in enumerate(sorted(folder.rglob("*.png"))):
        target = tmp_path / "flat" / f"{path.parent.name}-{path.name}"
        path.rename(target)
        rows.append(f"flat/{target.name},{path.parent.name},{'test' if k % 12 == 0 else 'train'},p{k % 12 % 11}")
    (tmp_path / "list.csv").write_text("\n".join(rows))
    status, out, _ = command("check", "flat", "--pattern", "(?P<class>cats|dogs)-")
    assert (status, len(out.splitlines())) == (0, 3)  # nothing was found
    assert out.startswith("flat")
    status, out, _ = command("check", "list.csv")
    assert status == 1
    issue_lines = [(line.split()[0], numbers(line)[:3]) for line in out.splitlines()]
    assert ("error", ["1", "1", "100.0%"]) in issue_lines
    assert "p0" in out
    assert ("warning", ["2", "90%", "42"]) in issue_lines


def test_an_h5_file(command, numbers, files):
    status, out, err = command("check", files)
    assert (status, err) == (0, "")
    assert out.startswith("rendered signs")
    assert ["6", "90%"] in [numbers(line)[:2] for line in out.splitlines()]


def test_labels_that_training_would_refuse_are_an_error_of_the_data(command, folder, tmp_path):
    (tmp_path / "list.csv").write_text(
        "path,label,split\npets/cats/00.png,cats,train\npets/dogs/00.png,dogs,train\npets/dogs/01.png,bird,test\n"
    )
    status, out, err = command("check", "list.csv", "--json")
    assert (status, err) == (1, "")
    issue = json.loads(out)[0]
    assert (issue["kind"], issue["severity"]) == ("unusable", "error")
    assert "bird" in issue["summary"]
    assert "bird" in (tmp_path / "check.html").read_text()


def test_impossible_arguments_are_refused_in_one_line(refused, folder, tmp_path):
    refused(("check", "nowhere"), "nowhere")
    refused(("check", folder, "--out", "page.txt"), "page.txt", ".html")
    refused(("check", folder, "--image-size", 0), "--image-size", 1, 0)
    assert not list(tmp_path.glob("*.html"))


@pytest.mark.parametrize(
    ("source", "pattern", "values"),
    [
        ("pets", "(", ("pattern", "'('")),
        ("pets", "cats|dogs", ("pattern", "class", "'cats|dogs'")),
        ("list.csv", "(?P<class>x)", ("list.csv", "pattern")),
    ],
)
def test_wrong_words_are_not_the_datas_fault_and_leave_an_earlier_page(
    refused, folder, tmp_path, source, pattern, values
):
    (tmp_path / "list.csv").write_text("path,label\npets/cats/00.png,cats\npets/dogs/00.png,dogs\n")
    (tmp_path / "check.html").write_text("earlier")
    refused(("check", source, "--pattern", pattern), *values)
    assert (tmp_path / "check.html").read_text() == "earlier"


def test_folders_of_patients_are_groups_and_can_be_images_one_by_one(command, tmp_path):
    for k in range(60):
        write_image(tmp_path / "scans" / "ab"[k % 2] / f"patient {k // 6}" / f"{k}.png", image(k))
    status, out, _ = command("check", "scans")
    assert status == 0
    assert "10 subfolders" in out
    assert "--no-groups" in " ".join(out.split())
    status, out, _ = command("check", "scans", "--no-groups")
    assert status == 0
    assert "--groups" in " ".join(out.split())


def test_a_column_with_patients_is_asked_about(command, tmp_path):
    rows = []
    for k in range(24):
        write_image(tmp_path / f"{k}.png", image(k))
        rows.append(f"{k}.png,{k % 2},{k // 4}\n")
    (tmp_path / "scans.csv").write_text("path,label,Patient_ID\n" + "".join(rows))
    status, out, _ = command("check", "scans.csv")
    assert status == 0
    assert "warning" in out
    assert "'patient_id' (6 different values)" in " ".join(out.split())
