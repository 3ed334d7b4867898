"""The audit as a whole: which issues it raises for images in memory, in files and in sources that training refuses."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import asdict, replace

import numpy as np
import pytest
from PIL import Image

from factories import dataset, raises, write_image
from resnet50 import recipes
from resnet50.audit import file_properties
from resnet50.audit.check import Audit, check, find_issues
from resnet50.audit.issue import Place
from resnet50.data import file_index
from resnet50.data.dataset import Unreadable
from resnet50.data.fit import Fit
from resnet50.data.images import read_header
from resnet50.data.left_out import LeftOut
from resnet50.data.loading import load_dataset, read_splits
from resnet50.data.options import ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource

NAMES = ("ant", "bee", "cow")


def blocks(n, seed=0):
    """Images of 20 x 24 pixels that are no near-duplicates."""
    coarse = np.random.default_rng(seed).integers(20, 236, (n, 4, 4, 3))
    return np.repeat(np.repeat(coarse, 5, axis=1), 6, axis=2).astype(np.uint8)


def labeled(counts, seed=0, name="file"):
    labels = np.repeat(np.arange(len(counts)), counts)
    return dataset(
        labels,
        NAMES[: len(counts)],
        images=blocks(len(labels), seed),
        name="some",
        paths=[f"{name} {k}" for k in range(len(labels))],
    )


def splits(unreadable=(), **by_name):
    return DatasetSplits.of(by_name, tuple(unreadable))


def only(issues, kind):
    (issue,) = (issue for issue in issues if issue.kind == kind)
    return issue


def numbers(text):
    return set(re.findall(r"\d+(?:\.\d+)?", text))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """Class folders of twelve sound image files each."""
    for label, name in enumerate(("cats", "dogs")):
        for k, image in enumerate(blocks(12, seed=label).repeat(5, 1).repeat(4, 2)):
            write_image(tmp_path / "pets" / name / f"{k:02}.png", image)  # 100 x 96
    return tmp_path / "pets"


def test_sound_data_have_no_issues():
    sound = splits(train=labeled([40, 40], 1), validation=labeled([20, 20], 2), test=labeled([80, 80], 3))
    assert find_issues(sound) == ()
    audit = check(sound)
    assert (audit.name, audit.splits, audit.issues, audit.has_errors) == ("some", sound, (), False)


def test_issues_are_sorted_by_severity_and_can_be_json():
    train = labeled([4, 30, 0], 1)
    test = replace(labeled([70, 70, 1], 2), images=np.concatenate([blocks(140, 2), train.images[:1]]))
    issues = find_issues(splits([Unreadable("x.jpg", "is cut off")], train=train, test=test))
    assert [issue.severity for issue in issues] == ["error"] * 3 + ["warning"] * 3
    assert [issue.kind for issue in issues] == [
        "leak", "label-conflict", "missing-class", "unreadable", "small-class", "class-imbalance",
    ]  # fmt: skip
    for issue in issues:
        assert "\n" not in issue.summary + issue.advice
    text = json.loads(json.dumps([asdict(issue) for issue in issues]))
    assert text[0]["examples"][0][0] == {
        "path": "file 140",
        "split": "test",
        "index": 140,
        "class_name": "cow",
        "remark": "",
        "suggestion": "",
    }


def test_unreadable_files_are_listed():
    lost = [Unreadable("a/x.jpg", "is cut off"), Unreadable("y", "is empty")]
    issue = only(find_issues(splits(lost, train=labeled([20, 20]))), "unreadable")
    assert issue.severity == "warning"
    assert numbers(issue.summary) == {"2", "42"}
    assert issue.examples == ((Place("a/x.jpg", remark="is cut off"),), (Place("y", remark="is empty"),))


def test_unreadable_files_that_training_refuses_are_an_error_with_its_message():
    lost = splits([Unreadable("a/x.jpg", "is cut off")], train=labeled([20, 20]))
    issue = only(find_issues(lost, refused="x: 1 of 41 is more."), "unreadable")
    assert (issue.severity, issue.summary) == ("error", "x: 1 of 41 is more.")
    assert issue.examples == ((Place("a/x.jpg", remark="is cut off"),),)


def test_what_is_not_a_dataset_is_refused():
    with raises(ValueError):
        find_issues(DatasetSplits())
    with raises(ValueError, "some", "test", "ant, bee", "x, y"):
        find_issues(splits(train=labeled([3, 3]), test=replace(labeled([3, 3]), class_names=("x", "y"))))


@pytest.mark.parametrize("files", [False, True])
def test_progress_counts_up_to_the_end(files, tmp_path):
    steps = []
    images = splits(train=labeled([300, 300]), test=labeled([70, 70], 1))
    if files:
        images = replace(images, root=tmp_path)
    find_issues(images, progress=lambda *step: steps.append(step))
    assert steps == sorted(steps)
    assert len(steps) > 4
    total = (4 if files else 3) * 740
    assert steps[-1] == (total, total)


def test_a_single_dataset_is_checked_as_the_training_split():
    train = labeled([40, 9])
    audit = check(train)
    assert audit.splits.by_name == {"train": train}
    assert [issue.kind for issue in audit.issues] == [issue.kind for issue in find_issues(splits(train=train))]
    assert "small-class" in {issue.kind for issue in audit.issues}


def test_options_of_images_in_memory_are_refused_by_the_type_that_was_passed():
    train = labeled([2, 2])
    options = ReadOptions(max_unreadable=0.5)
    with raises(ValueError, "with a Dataset;"):
        check(train, options=options)
    with raises(ValueError, "with a DatasetSplits;"):
        check(splits(train=train), options=options)


def test_a_folder_is_read_at_the_image_size(folder):
    audit = check(folder)
    assert isinstance(audit, Audit)
    assert (audit.name, audit.issues) == ("pets", ())
    assert audit.splits.train.images.shape == (24, 96, 96, 3)
    small = check(str(folder), image_size=201)
    assert small.splits.train.images.shape == (24, 201, 201, 3)
    assert {"24", "100.0", "201"} <= numbers(only(small.issues, "low-resolution").summary)
    assert not small.has_errors


def test_each_header_is_read_once(folder, monkeypatch):
    opened = []

    def read(path):
        opened.append(path)
        return read_header(path)

    for module in (file_index, file_properties):
        monkeypatch.setattr(module, "read_header", read)
    audit = check(folder, image_size=16)
    files = sorted(folder / path for dataset in audit.splits.by_name.values() for path in dataset.paths)
    assert files
    assert sorted(opened) == files


def test_a_folder_within_what_training_tolerates_has_a_warning(folder):
    (folder / "cats" / "broken.jpg").write_bytes(b"no image")
    issue = only(check(folder).issues, "unreadable")
    assert issue.severity == "warning"
    assert {"1", "25"} <= numbers(issue.summary)


def test_more_unreadable_files_than_training_tolerates_are_an_error_and_the_rest_is_checked(folder):
    for k in range(3):
        (folder / "cats" / f"broken{k}.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match="broken0") as refused:
        read_splits(folder, image_size=96)
    audit = check(folder)
    assert audit.has_errors
    assert len(audit.splits.train) == 24
    (issue,) = audit.issues
    assert (issue.kind, issue.severity, issue.summary) == ("unreadable", "error", str(refused.value))
    assert [example[0].path for example in issue.examples] == [f"cats/broken{k}.jpg" for k in range(3)]
    lenient = check(folder, options=ReadOptions(max_unreadable=0.5))
    assert [issue.severity for issue in lenient.issues] == ["warning"]


def test_labels_that_training_refuses_are_an_error(folder):
    table = folder.parent / "list.csv"
    table.write_text(
        "path,label,split\npets/cats/00.png,cats,train\npets/dogs/00.png,dogs,train\npets/dogs/01.png,bird,test\n"
    )
    audit = check(table)
    assert audit.has_errors
    issue = audit.issues[0]
    assert issue.kind == "unusable"
    assert "bird" in issue.summary
    assert len(audit.splits["train"]) == 2  # what is there is audited
    table.write_text("path,kind\npets/cats/00.png,cats\n")
    audit = check(table)
    assert audit.splits.by_name == {}
    assert [issue.kind for issue in audit.issues] == ["unusable"]
    assert audit.name == "list.csv"


def test_a_file_property_that_predicts_the_class_is_found_in_loaded_splits(folder):
    for k, image in enumerate(blocks(12, seed=9)):
        write_image(folder / "cows" / f"{k:02}.jpg", image.repeat(5, 0).repeat(4, 1))
    source = DataSource("folder", str(folder))
    loaded = source.load(96)
    assert "spurious-property" in {issue.kind for issue in find_issues(loaded)}
    assert "spurious-property" not in {issue.kind for issue in find_issues(replace(loaded, root=None, headers={}))}


def test_a_data_source_is_split_as_in_training_and_lists_unreadable_files(folder):
    for k in range(3):
        (folder / "cats" / f"broken{k}.jpg").write_bytes(b"no image")
    source = DataSource("folder", str(folder))
    audit = check(source)
    assert {name: len(each) for name, each in audit.splits.by_name.items()} == {"train": 20, "test": 4}
    assert only(audit.issues, "unreadable").severity == "error"
    with raises(ValueError, "DataSource"):
        check(source, options=ReadOptions(max_unreadable=0.5))
    lenient = DataSource("folder", str(folder), ReadOptions(max_unreadable=0.5))
    assert only(check(lenient, options=lenient.options).issues, "unreadable").severity == "warning"
    strange = check(DataSource("cats-dogs", str(folder)))
    assert (strange.name, [issue.kind for issue in strange.issues]) == ("pets", ["unusable"])


def test_arguments_that_are_wrong_are_raised_and_not_the_fault_of_the_data(folder):
    with raises(FileNotFoundError, "nowhere"):
        check(folder / "nowhere")
    with raises(ValueError, "image_size", 0):
        check(folder, image_size=0)
    with raises(ValueError, "pattern", "'('"):
        check(folder, options=ReadOptions(pattern="("))
    with raises(ValueError, "pattern", "class", "'cats|dogs'"):
        check(folder, options=ReadOptions(pattern="cats|dogs"))
    with raises(ValueError, folder / "cats" / "00.png", "pattern"):
        check(folder / "cats" / "00.png", options=ReadOptions(pattern="(?P<class>x)"))


def test_a_pattern_finds_the_classes(folder):
    audit = check(folder.parent, options=ReadOptions(pattern="pets/(?P<class>cats|dogs)/"))
    assert audit.splits.train.class_names == ("cats", "dogs")


def test_a_tenth_of_the_real_test_signs_have_near_duplicates_in_training(shared_data):
    if not (shared_data / "signs").is_dir():
        pytest.skip(f"no signs in {shared_data}; set RESNET50_DATA to the folder with the real data")
    issues = find_issues(read_splits(shared_data / "signs", image_size=64))
    (error,) = (issue for issue in issues if issue.severity == "error")
    assert error.kind == "leak"
    assert {"15", "120", "12.5"} <= numbers(error.summary)
    assert [place.split for place in error.examples[0]] == ["test", "train"]
    distances = [float(*numbers(pair[1].remark)) for pair in error.examples]
    assert distances == sorted(distances)
    assert sum(distance < 3 for distance in distances) == 12  # known ones; the other three show the same hand
    assert not [issue for issue in issues if issue.severity == "warning"]


def refused_by_training(path, share=0.15):
    """Why training cannot start with these images."""
    with pytest.raises(ValueError) as refused:
        load_dataset(path, image_size=96).hold_out(share, seed=0)
    return str(refused.value)


@pytest.mark.parametrize("each", [1, 2])
def test_classes_too_small_for_a_cut_are_an_error_as_training_reports_it(tmp_path, each):
    for k, image in enumerate(blocks(2 * each)):
        write_image(tmp_path / "pets" / "ab"[k % 2] / f"{k}.png", image)
    audit = check(tmp_path / "pets")
    assert audit.has_errors
    assert only(audit.issues, "unusable").summary == refused_by_training(tmp_path / "pets")
    source = DataSource("folder", str(tmp_path / "pets"))
    assert only(check(source).issues, "unusable").summary == refused_by_training(tmp_path / "pets")


def test_images_of_one_scene_that_no_cut_separates_are_an_error(tmp_path):
    image = np.repeat(blocks(1), 12, axis=0)
    for k in range(12):
        write_image(tmp_path / "pets" / "ab"[k % 2] / f"{k}.png", image[k] + np.uint8(k))
    assert "--no-near-duplicates" in only(check(tmp_path / "pets").issues, "unusable").summary
    alone = check(tmp_path / "pets", options=ReadOptions(near_duplicates=False))
    assert not alone.has_errors


def test_images_that_can_only_be_scored_are_audited_and_training_refuses_them(tmp_path):
    images = blocks(24)
    images[5] = images[4]
    for k, image in enumerate(images):
        write_image(tmp_path / "parts" / "test" / "ab"[k % 2] / f"{k}.png", image)
        write_image(tmp_path / "one" / "cats" / f"{k}.png", image)
    audit = check(tmp_path / "parts")
    assert list(audit.splits.by_name) == ["test"]
    assert {"unusable", "label-conflict"} <= {issue.kind for issue in audit.issues}
    assert "train" in audit.issues[0].summary
    audit = check(tmp_path / "one")
    assert audit.splits["train"].class_names == ("cats",)
    assert [issue.kind for issue in audit.issues] == ["unusable", "near-duplicates", "low-resolution"]


def test_the_share_of_a_cut_is_that_of_the_options(tmp_path):
    for k, image in enumerate(blocks(24)):
        write_image(tmp_path / "pets" / "ab"[k % 2] / f"{k}.png", image)
    assert [issue.kind for issue in check(tmp_path / "pets").issues] == ["low-resolution"]
    audit = check(tmp_path / "pets", options=ReadOptions(test_split=0.5))
    assert audit.test_split == 0.5
    assert "50%" in only(audit.issues, "no-test").summary


def test_as_much_is_held_out_as_by_the_recipe_of_your_own_images():
    default = inspect.signature(check).parameters["validation_split"].default
    assert default == recipes.folder.RECIPE.validation_split == recipes.folder.FINE_TUNED.validation_split


@pytest.mark.parametrize(("fit", "named"), [(None, True), (Fit(mode="stretch"), False)])
def test_an_image_that_the_crop_makes_one_color_is_not_simply_to_be_removed(tmp_path, fit, named):
    pixels = np.full((20, 160, 3), 90, np.uint8)
    pixels[:, :20] = 255
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(pixels if named else pixels[:, 40:]).save(tmp_path / name / "0.png")
    issue = only(check(tmp_path, fit=fit).issues, "single-color")
    assert ("--fit pad" in issue.advice) == named


def test_the_advice_on_what_is_left_out_is_on_that():
    left_out = (LeftOut("not-finite", "a", ".tif", 1),)
    issue = only(find_issues(replace(splits(train=labeled([20, 20])), left_out=left_out)), "left-out")
    assert "NaN" in issue.advice
    assert "JPEG" not in issue.advice
