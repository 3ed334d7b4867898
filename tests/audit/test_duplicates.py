import re
from dataclasses import replace

import numpy as np
import pytest

from factories import dataset, fixed_camera, write_image
from resnet50.audit.duplicates import duplicates
from resnet50.audit.issue import AllImages
from resnet50.data import near_duplicates
from resnet50.data.loading import load_dataset
from resnet50.data.splits import DatasetSplits


def noise(n, seed=0):
    blocks = np.random.default_rng(seed).integers(20, 236, (n, 4, 4, 3))
    return np.repeat(np.repeat(blocks, 5, axis=1), 6, axis=2).astype(np.uint8)  # 20 x 24


def labeled(images, labels):
    return dataset(labels, ("a", "b"), images=np.asarray(images, dtype=np.uint8))


def find(**splits):
    return list(duplicates(AllImages(splits), DatasetSplits.of(splits)))


def brighter(image, by):
    return image + np.uint8(by)


def places(issue):
    return [[(place.split, place.index) for place in example] for example in issue.examples]


def numbers(text):
    """The numbers in a text; a remark on equal pixels has none, another has the distance of two images."""
    return re.findall(r"\d+(?:\.\d+)?", text)


def test_images_far_from_each_other_have_no_issues():
    assert find(train=labeled(noise(20), [0, 1] * 10), test=labeled(noise(6, 1), [0, 1] * 3)) == []


def test_a_leak_names_each_image_with_its_nearest_near_duplicate_the_nearest_pair_first():
    images = noise(6)
    train = labeled([*images, brighter(images[2], 4)], [0] * 7)
    test = labeled([brighter(images[2], 3), noise(1, 5)[0], images[4]], [0] * 3)
    leak, repeat = find(train=train, test=test)
    assert (leak.kind, leak.severity) == ("leak", "error")
    assert sorted(numbers(leak.summary)) == ["1", "2", "3", "66.7"]  # 2 of 3, of which 1 has the same pixels
    assert places(leak) == [[("test", 2), ("train", 4)], [("test", 0), ("train", 6)]]
    assert [numbers(example[1].remark) for example in leak.examples] == [[], ["1.0"]]
    assert leak.examples[0][1].remark
    assert repeat.kind == "near-duplicates"


def test_the_nearest_is_named_whatever_block_it_comes_in(monkeypatch):
    monkeypatch.setattr("resnet50.data.near_duplicates._BLOCK", 2)
    image = noise(1)[0]
    for steps in ([1, 4], [4, 1], [-4, -1, 3], [3, -1, -4]):
        train = labeled([brighter(image, step) for step in np.array(steps).astype(np.uint8)], [0] * len(steps))
        leak = find(train=train, test=labeled([image], [0]))[0]
        assert numbers(leak.examples[0][1].remark) == ["1.0"]


def test_leaks_are_reported_for_each_pair_of_splits_whatever_their_order():
    images = noise(6)
    found = find(
        test=labeled(images[:1], [0]), validation=labeled(images[[0, 1]], [0, 0]), train=labeled(images[1:], [0] * 5)
    )
    assert [issue.kind for issue in found] == ["leak", "leak"]
    assert [sorted(numbers(issue.summary)) for issue in found] == [
        ["1", "1", "2", "50.0"],
        ["1", "1", "1", "100.0"],
    ]
    assert [places(issue) for issue in found] == [
        [[("validation", 1), ("train", 0)]],
        [[("test", 0), ("validation", 0)]],
    ]
    for issue, splits in zip(found, (("validation", "train"), ("test", "validation")), strict=True):
        assert all(split in issue.summary for split in splits)


def test_equal_thumbnails_are_not_equal_pixels():
    image = np.repeat(np.repeat(noise(1)[0], 4, axis=0), 4, axis=1)
    other = image.copy()
    other[0, 0] += 1  # far too little for a thumbnail
    (leak,) = find(train=labeled([image], [0]), test=labeled([other], [0]))
    assert sorted(numbers(leak.summary)) == ["1", "1", "100.0"]  # and none of the same pixels
    assert numbers(leak.examples[0][1].remark) == ["0.0"]


def test_a_conflict_is_a_near_duplicate_of_another_class():
    images = noise(4)
    (conflict,) = find(train=labeled([*images, brighter(images[1], 2)], [0, 0, 0, 1, 1]))
    assert (conflict.kind, conflict.severity) == ("label-conflict", "error")
    assert sorted(numbers(conflict.summary)) == ["2", "40.0", "5"]
    ((first, second),) = conflict.examples
    assert {(first.index, first.class_name), (second.index, second.class_name)} == {(1, "a"), (4, "b")}
    assert numbers(second.remark) == ["2.0"]


def test_duplicates_within_a_class_come_in_groups():
    images = noise(5)
    chain = [brighter(images[0], 5), brighter(images[0], 10)]  # the ends are not near-duplicates
    (repeat,) = find(train=labeled([*images, *chain, images[3]], [0] * 8))
    assert (repeat.kind, repeat.severity) == ("near-duplicates", "note")
    assert sorted(numbers(repeat.summary)) == ["2", "2", "5", "62.5", "8"]  # 2 groups, 2 of the same pixels
    assert places(repeat) == [
        [("train", 3), ("train", 7)],
        [("train", 0), ("train", 5), ("train", 6)],
    ]


def test_a_mirror_image_is_a_note_even_across_splits():
    images = noise(4)
    train, test = labeled(images, [0] * 4), labeled(images[[2]][:, :, ::-1], [0])
    (mirrored,) = find(train=train, test=test)
    assert (mirrored.kind, mirrored.severity) == ("mirrored", "note")
    assert sorted(numbers(mirrored.summary)) == ["1", "1", "20.0", "5"]  # 1 across two splits
    assert places(mirrored) == [[("test", 0), ("train", 2)]]
    (within,) = find(train=labeled(np.concatenate([images, images[[2]][:, :, ::-1]]), [0] * 5))
    assert sorted(numbers(within.summary)) == ["1", "20.0", "5"]


def test_mirror_images_in_another_class_are_a_warning_that_names_both_classes():
    images = noise(30)
    mirrored = [image[:, ::-1] for image in images[:12]]
    (issue,) = find(train=labeled([*images, *mirrored], [0] * 30 + [1] * 12))
    assert (issue.kind, issue.severity) == ("mirrored-classes", "warning")
    assert all(name in issue.summary for name in ("'a'", "'b'"))
    assert sorted(numbers(issue.summary)) == ["100.0", "12", "12", "12", "30", "40.0"]
    assert "--no-flip" in issue.advice
    assert len(issue.examples) == 12
    assert {place.class_name for place in issue.examples[0]} == {"a", "b"}


def test_a_single_mirror_image_in_another_class_is_a_note():
    images = noise(60)
    images[59] = images[0][:, ::-1]
    (issue,) = find(train=labeled(images, [0] * 30 + [1] * 30))
    assert (issue.kind, issue.severity) == ("mirrored-classes", "note")


def test_the_two_classes_with_most_mirror_images_are_named():
    images = noise(40)
    train = [*images, *images[:6, :, ::-1], images[10][:, ::-1]]
    labels = [0] * 10 + [1] * 30 + [2] * 6 + [0]
    (issue,) = find(train=dataset(labels, "xyz", images=np.array(train)))
    assert "'x'" in issue.summary
    assert "'z'" in issue.summary
    assert "2 images in other pairs" in issue.summary


def test_near_duplicates_of_a_symmetric_image_are_not_mirrored():
    half = noise(3)
    symmetric = np.concatenate([half, half[:, :, ::-1]], axis=2)
    assert [issue.kind for issue in find(train=labeled(symmetric[[0, 1, 2, 0]], [0] * 4))] == ["near-duplicates"]


def test_images_of_one_color_are_not_duplicates():
    images = noise(6)
    images[1] = 0
    images[4] = (200, 10, 10)
    images[5] = 0
    images[5, ::2, ::2] += 2  # a JPEG's noise
    splits = {"train": labeled(images[:5], [0] * 5), "test": labeled(images[5:], [1])}
    (plain,) = find(**splits)
    assert (plain.kind, plain.severity) == ("single-color", "warning")
    assert sorted(numbers(plain.summary)) == ["3", "50.0", "6"]
    assert places(plain) == [[("train", 1)], [("train", 4)], [("test", 0)]]


def test_a_fine_pattern_is_not_one_color():
    checks = np.indices((32, 32)).sum(axis=0) % 2 * 255
    images = np.stack([np.stack([checks] * 3, axis=2), np.zeros((32, 32, 3))])
    (plain,) = find(train=labeled(images, [0, 1]))
    assert places(plain) == [[("train", 1)]]


@pytest.mark.parametrize("many", [110])
def test_examples_are_limited_and_the_count_is_not(many):
    images = noise(many)
    leak = find(train=labeled(images, [0] * many), test=labeled(images, [0] * many))[0]
    assert sorted(numbers(leak.summary)) == ["100.0", "110", "110", "110"]  # all of them have the same pixels
    assert len(leak.examples) == 100
    same = find(train=replace(labeled(noise(30), [0] * 30), images=np.repeat(noise(1), 30, axis=0)))[0]
    assert same.kind == "near-duplicates"
    assert numbers(same.summary).count("30") >= 2
    assert "100.0" in numbers(same.summary)
    assert len(same.examples[0]) == 8


def test_a_run_searches_once(tmp_path, monkeypatch):
    """The test cut, the validation cut and the audit share one search."""
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    images = np.concatenate([noise(30), noise(30)[:, :, ::-1]])
    images[7:10] = images[5]
    for index, image in enumerate(images):
        write_image(tmp_path / "pets" / "ab"[index // 5 % 2] / f"{index:02}.png", image)
    searches, shrunk = [], []
    search, shrink = near_duplicates.near_duplicate_pairs, near_duplicates.thumbnails
    monkeypatch.setattr(
        near_duplicates,
        "near_duplicate_pairs",
        lambda *args, **options: searches.append(args) or search(*args, **options),
    )
    monkeypatch.setattr(near_duplicates, "thumbnails", lambda images: shrunk.append(len(images)) or shrink(images))
    splits = load_dataset(tmp_path / "pets", image_size=20).cut(0.25, into="validation", seed=1)
    issues = list(duplicates(AllImages(splits.by_name), splits))
    assert len(searches) == 2  # one for near-duplicates and one for mirror images
    assert sum(shrunk) == 60
    assert [issue.kind for issue in issues] == ["near-duplicates", "mirrored"]
    monkeypatch.undo()
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    assert issues == find(**splits.by_name)  # as a search of its own would report them


def test_ties_are_reported_alike_in_any_order():
    images = noise(3)
    train = labeled(images[[0, 1, 0, 2, 0]], [0] * 5)
    leak = find(train=train, test=labeled(images[[0]], [0]))[0]
    assert places(leak) == [[("test", 0), ("train", 0)]]


def test_progress_ends_with_all_steps():
    images = noise(30)
    images[4] = 0
    splits = {"train": labeled(images[:20], [0] * 20), "test": labeled(images[20:], [1] * 10)}
    steps = []
    list(duplicates(AllImages(splits), DatasetSplits.of(splits), progress=lambda *step: steps.append(step)))
    assert steps == sorted(steps)
    assert steps[-1] == (90, 90)


def test_images_of_a_fixed_camera_are_one_warning_and_no_conflicts():
    (issue,) = find(train=labeled(fixed_camera(50), [0, 1] * 25), test=labeled(fixed_camera(10, seed=1), [0, 1] * 5))
    assert (issue.kind, issue.severity) == ("look-alike", "warning")
    assert {"60", "100.0"} <= set(numbers(issue.summary))
    assert issue.examples


def test_a_copy_among_look_alikes_is_still_a_leak():
    images = fixed_camera(50)
    found = find(train=labeled(images, [0, 1] * 25), test=labeled(images[:2], [0, 1]))
    assert {issue.kind for issue in found} == {"look-alike", "leak"}
    (leak,) = [issue for issue in found if issue.kind == "leak"]
    assert places(leak) == [[("test", 0), ("train", 0)], [("test", 1), ("train", 1)]]


def test_identical_images_alone_are_reported_where_that_is_asked_for():
    images = noise(6)
    splits = DatasetSplits(
        labeled([*images, brighter(images[0], 2)], [0] * 6 + [1]),
        labeled([brighter(images[1], 1), images[2]], [0, 0]),
        identical_only=True,
    )
    (leak,) = duplicates(AllImages(splits.by_name), splits)
    assert places(leak) == [[("test", 1), ("train", 2)]]


def test_the_audit_says_where_images_are_too_many_for_near_duplicates(monkeypatch):
    images = noise(8)
    splits = {
        "train": labeled([*images, brighter(images[0], 2)], [0] * 9),
        "test": labeled([brighter(images[1], 1), images[2]], [0, 0]),
    }
    for module in ("data.near_duplicates", "audit.duplicates"):
        monkeypatch.setattr(f"resnet50.{module}.MOST_COMPARED", 10)
    note, leak = find(**splits)
    assert (note.kind, note.severity) == ("copies-only", "note")
    assert numbers(note.summary)[0] == "11"
    assert "--records" in note.advice
    assert places(leak) == [[("test", 1), ("train", 2)]]
    asked_for = replace(DatasetSplits.of(splits), identical_only=True)
    assert [issue.kind for issue in duplicates(AllImages(splits), asked_for)] == ["leak"]
