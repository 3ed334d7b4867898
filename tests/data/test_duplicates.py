import re
from dataclasses import replace

import numpy as np
import pytest

from factories import dataset
from resnet50.data.duplicates import duplicates
from resnet50.data.finding import Pictures


def noise(n, seed=0):
    blocks = np.random.default_rng(seed).integers(20, 236, (n, 4, 4, 3))
    return np.repeat(np.repeat(blocks, 5, axis=1), 6, axis=2).astype(np.uint8)  # 20 x 24


def split(images, labels):
    return dataset(labels, ("a", "b"), images=np.asarray(images, dtype=np.uint8))


def find(**parts):
    return list(duplicates(Pictures(parts)))


def brighter(image, by):
    return image + np.uint8(by)


def places(finding):
    return [[(place.part, place.index) for place in example] for example in finding.examples]


def numbers(text):
    """The numbers in a text; a remark on equal pixels has none, another tells how far apart two pictures are."""
    return re.findall(r"\d+(?:\.\d+)?", text)


def test_pictures_far_from_each_other_are_none():
    assert find(training=split(noise(20), [0, 1] * 10), test=split(noise(6, 1), [0, 1] * 3)) == []


def test_a_leak_is_told_once_for_each_picture_with_its_nearest_twin_the_nearest_pair_first():
    images = noise(6)
    training = split([*images, brighter(images[2], 4)], [0] * 7)
    test = split([brighter(images[2], 3), noise(1, 5)[0], images[4]], [0] * 3)
    leak, repeat = find(training=training, test=test)
    assert (leak.kind, leak.severity) == ("leak", "error")
    assert sorted(numbers(leak.summary)) == ["1", "2", "3", "66.7"]  # 2 of 3, of which 1 has the same pixels
    assert places(leak) == [[("test", 2), ("training", 4)], [("test", 0), ("training", 6)]]
    assert [numbers(example[1].remark) for example in leak.examples] == [[], ["1.0"]]
    assert leak.examples[0][1].remark
    assert repeat.kind == "duplicates"


def test_the_nearest_twin_is_kept_whatever_block_it_comes_in(monkeypatch):
    monkeypatch.setattr("resnet50.data.twins._BLOCK", 2)
    image = noise(1)[0]
    for steps in ([1, 4], [4, 1], [-4, -1, 3], [3, -1, -4]):
        training = split([brighter(image, step) for step in np.array(steps).astype(np.uint8)], [0] * len(steps))
        leak = find(training=training, test=split([image], [0]))[0]
        assert numbers(leak.examples[0][1].remark) == ["1.0"]


def test_leaks_are_told_for_each_pair_of_parts_whatever_their_order():
    images = noise(6)
    found = find(
        test=split(images[:1], [0]), validation=split(images[[0, 1]], [0, 0]), training=split(images[1:], [0] * 5)
    )
    assert [finding.kind for finding in found] == ["leak", "leak"]
    assert [sorted(numbers(finding.summary)) for finding in found] == [
        ["1", "1", "2", "50.0"],
        ["1", "1", "1", "100.0"],
    ]
    assert [places(finding) for finding in found] == [
        [[("validation", 1), ("training", 0)]],
        [[("test", 0), ("validation", 0)]],
    ]
    for finding, parts in zip(found, (("validation", "training"), ("test", "validation")), strict=True):
        assert all(part in finding.summary for part in parts)


def test_equal_thumbnails_are_not_equal_pixels():
    image = np.repeat(np.repeat(noise(1)[0], 4, axis=0), 4, axis=1)
    other = image.copy()
    other[0, 0] += 1  # far too little for a thumbnail
    (leak,) = find(training=split([image], [0]), test=split([other], [0]))
    assert sorted(numbers(leak.summary)) == ["1", "1", "100.0"]  # and none of the same pixels
    assert numbers(leak.examples[0][1].remark) == ["0.0"]


def test_a_conflict_is_a_twin_of_another_class():
    images = noise(4)
    (conflict,) = find(training=split([*images, brighter(images[1], 2)], [0, 0, 0, 1, 1]))
    assert (conflict.kind, conflict.severity) == ("conflict", "error")
    assert sorted(numbers(conflict.summary)) == ["2", "40.0", "5"]
    ((first, second),) = conflict.examples
    assert {(first.index, first.class_name), (second.index, second.class_name)} == {(1, "a"), (4, "b")}
    assert numbers(second.remark) == ["2.0"]


def test_duplicates_within_a_class_come_in_groups():
    images = noise(5)
    chain = [brighter(images[0], 5), brighter(images[0], 10)]  # the ends are no twins
    (repeat,) = find(training=split([*images, *chain, images[3]], [0] * 8))
    assert (repeat.kind, repeat.severity) == ("duplicates", "note")
    assert sorted(numbers(repeat.summary)) == ["2", "2", "5", "62.5", "8"]  # 2 groups, 2 of the same pixels
    assert places(repeat) == [
        [("training", 3), ("training", 7)],
        [("training", 0), ("training", 5), ("training", 6)],
    ]


def test_a_mirror_image_is_a_note_even_across_parts_and_no_twin():
    images = noise(4)
    training, test = split(images, [0] * 4), split(images[[2]][:, :, ::-1], [0])
    (mirrored,) = find(training=training, test=test)
    assert (mirrored.kind, mirrored.severity) == ("mirrored", "note")
    assert sorted(numbers(mirrored.summary)) == ["1", "1", "20.0", "5"]  # 1 across two parts
    assert places(mirrored) == [[("test", 0), ("training", 2)]]
    (within,) = find(training=split(np.concatenate([images, images[[2]][:, :, ::-1]]), [0] * 5))
    assert sorted(numbers(within.summary)) == ["1", "20.0", "5"]


def test_twins_of_a_symmetric_picture_are_no_mirror_images():
    half = noise(3)
    symmetric = np.concatenate([half, half[:, :, ::-1]], axis=2)
    assert [finding.kind for finding in find(training=split(symmetric[[0, 1, 2, 0]], [0] * 4))] == ["duplicates"]


def test_pictures_of_one_colour_are_not_taken_for_duplicates():
    images = noise(6)
    images[1] = 0
    images[4] = (200, 10, 10)
    images[5] = 0
    images[5, ::2, ::2] += 2  # a JPEG's noise
    parts = {"training": split(images[:5], [0] * 5), "test": split(images[5:], [1])}
    (plain,) = find(**parts)
    assert (plain.kind, plain.severity) == ("plain", "warning")
    assert sorted(numbers(plain.summary)) == ["3", "50.0", "6"]
    assert places(plain) == [[("training", 1)], [("training", 4)], [("test", 0)]]


def test_a_fine_pattern_is_not_one_colour():
    checks = np.indices((32, 32)).sum(axis=0) % 2 * 255
    images = np.stack([np.stack([checks] * 3, axis=2), np.zeros((32, 32, 3))])
    (plain,) = find(training=split(images, [0, 1]))
    assert places(plain) == [[("training", 1)]]


@pytest.mark.parametrize("many", [110])
def test_examples_are_limited_and_the_count_is_not(many):
    images = noise(many)
    leak = find(training=split(images, [0] * many), test=split(images, [0] * many))[0]
    assert sorted(numbers(leak.summary)) == ["100.0", "110", "110", "110"]  # all of them have the same pixels
    assert len(leak.examples) == 100
    same = find(training=replace(split(noise(30), [0] * 30), images=np.repeat(noise(1), 30, axis=0)))[0]
    assert same.kind == "duplicates"
    assert numbers(same.summary).count("30") >= 2
    assert "100.0" in numbers(same.summary)
    assert len(same.examples[0]) == 8
