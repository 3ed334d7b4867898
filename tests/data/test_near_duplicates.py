import subprocess
import sys

import numpy as np
import pytest

from factories import fixed_camera
from resnet50.data.lazy_images import LazyImages
from resnet50.data.near_duplicates import (
    MAX_STORED_PAIRS,
    NearDuplicates,
    Pairs,
    find_near_duplicates,
    join,
    near_duplicate_groups,
    near_duplicate_pairs,
    thumbnails,
)


def noise(n, seed=0, image_size=16):
    """Images far from each other: blocks of color, the same on every scale that a thumbnail could have."""
    blocks = np.random.default_rng(seed).integers(20, 236, (n, 4, 4, 3))
    return np.repeat(np.repeat(blocks, image_size // 4, axis=1), image_size // 4, axis=2).astype(np.uint8)


def jittered(images, copies, strength, seed=0):
    rng = np.random.default_rng(seed)
    chosen = images[rng.integers(0, len(images), copies)].astype(int)
    return np.clip(chosen + rng.integers(-strength, strength + 1, chosen.shape), 0, 255).astype(np.uint8)


def found(small, **options):
    """All pairs, as {(first, second): distance}."""
    pairs = {}
    for first, second, distance in near_duplicate_pairs(small, **options):
        assert first.dtype == second.dtype == np.int64
        for one, other, apart in zip(first.tolist(), second.tolist(), distance.tolist(), strict=True):
            assert one < other
            assert (one, other) not in pairs
            pairs[one, other] = apart
    return pairs


def by_hand(small, flip=False):
    wide = small.astype(np.float64)
    others = wide[:, :, ::-1] if flip else wide
    pairs = {}
    for one in range(len(wide)):
        apart = np.sqrt(((others[one + 1 :] - wide[one]) ** 2).mean(axis=(1, 2, 3)))
        pairs |= {(one, one + 1 + int(k)): apart[k] for k in np.flatnonzero(apart < 6)}
    return pairs


def test_thumbnails_are_means_of_cells():
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 48, 3), dtype=np.uint8)
    means = images.reshape(3, 16, 2, 16, 3, 3).mean(axis=(2, 4))
    small = thumbnails(images)
    assert (small.shape, small.dtype) == ((3, 16, 16, 3), np.uint8)
    assert np.abs(small - means).max() <= 1


@pytest.fixture
def small_blocks(monkeypatch):
    """Many blocks of comparisons, with few images."""
    monkeypatch.setattr("resnet50.data.near_duplicates._BLOCK", 64)


@pytest.mark.parametrize("strength", [2, 7])
def test_pairs_are_those_of_a_plain_loop(small_blocks, strength):
    small = jittered(noise(20), 400, strength)  # at 7, one pair in some ten is near enough
    expected = by_hand(small)
    pairs = found(small)
    assert len(expected) > 10
    assert pairs.keys() == expected.keys()
    np.testing.assert_allclose([pairs[pair] for pair in expected], list(expected.values()), rtol=1e-12)


def test_pairs_of_flat_images_whose_means_are_all_alike(small_blocks):
    rng = np.random.default_rng(5)
    small = (120 + rng.normal(0, 4.1, (300, 16, 16, 3))).round().astype(np.uint8)
    expected = by_hand(small)
    assert 100 < len(expected) < 300 * 299 / 2 - 100
    assert found(small).keys() == expected.keys()


def test_pairs_that_differ_in_brightness_alone(small_blocks):
    small = noise(1) + np.repeat(np.arange(20), 12).astype(np.uint8)[:, None, None, None]
    expected = by_hand(small)
    assert len(expected) == 20 * 66 + (19 + 18 + 17 + 16 + 15) * 144  # up to five levels apart
    assert found(small).keys() == expected.keys()


def test_a_pair_just_near_enough_is_found():
    small = np.concatenate([noise(1), noise(1) + np.uint8(6)])
    assert found(small) == {}
    small[1, :2, :2] -= 6
    assert found(small) == {(0, 1): pytest.approx(6 * (252 / 256) ** 0.5)}


def test_mirrored_pairs_are_those_of_a_plain_loop(small_blocks):
    small = noise(400)
    small[200:300] = jittered(small[:60, :, ::-1], 100, 4)
    expected = by_hand(small, flip=True)
    assert len(expected) > 50
    assert found(small, mirrored=True).keys() == expected.keys()
    assert not found(small[:200], mirrored=True)


def test_an_image_does_not_pair_with_its_own_mirror_image():
    half = noise(5)
    symmetric = np.concatenate([half, half[:, :, ::-1]], axis=2)
    assert not found(thumbnails(symmetric), mirrored=True)


def test_progress_ends_with_all():
    steps = []
    found(noise(2500), progress=steps.append)
    assert steps == sorted(steps)
    assert len(steps) > 1
    assert steps[-1] == 2500


def test_no_images_have_no_near_duplicates():
    assert found(np.empty((0, 16, 16, 3), np.uint8)) == {}
    assert near_duplicate_groups(np.empty((0, 9, 9, 3), np.uint8)).tolist() == []


def test_images_may_be_a_memory_map(tmp_path):
    images = np.concatenate([noise(30, image_size=20), noise(30, image_size=20)])
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert near_duplicate_groups(mapped).tolist() == [*range(30), *range(30)]


def test_lazy_images_have_the_near_duplicates_of_an_array():
    images = np.concatenate([noise(30, image_size=20), noise(30, image_size=20)])
    order = np.random.default_rng(0).permutation(60)
    groups = near_duplicate_groups(images[order])
    assert near_duplicate_groups(LazyImages(images, order)).tolist() == groups.tolist()
    assert groups.max() == 29


def test_scipy_is_imported_only_where_there_are_near_duplicates():
    code = "import sys, resnet50.datasets; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_join_counts_by_first_appearance():
    groups = join(np.arange(6), np.array([5, 4]), np.array([1, 5]))
    assert groups.tolist() == [0, 1, 2, 3, 1, 1]
    assert join(groups, np.array([0]), np.array([2])).tolist() == [0, 1, 0, 2, 1, 1]
    assert join(groups, np.array([4]), np.array([1])).tolist() == [0, 1, 2, 3, 1, 1]


def test_chains_connect_groups_which_are_counted_by_first_appearance():
    gray = [10, 100, 14, 200, 19, 104, 24]  # 10-14-19-24: each within 6 of the next, the ends are not
    images = np.full((7, 16, 16, 3), 0, np.uint8) + np.array(gray, np.uint8)[:, None, None, None]
    assert near_duplicate_groups(images).tolist() == [0, 1, 0, 2, 0, 1, 0]
    joined_late = images[[0, 4, 2]]  # the third joins two groups that were apart
    assert near_duplicate_groups(joined_late).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("apart", "groups"), [(5, 1), (6, 2), (7, 2)])
def test_near_duplicates_differ_by_less_than_six_gray_levels(apart, groups):
    images = np.full((2, 16, 16, 3), 90, np.uint8)
    images[1] += apart
    assert len(set(near_duplicate_groups(images).tolist())) == groups


def test_groups_are_those_of_a_plain_loop_over_pairs(small_blocks):
    base = noise(40, 3)
    images = jittered(base, 400, 7, seed=3)
    small = images.astype(np.float64).reshape(400, -1)  # 16 x 16 already
    expected = np.full(400, -1)
    for group in range(400):
        if not (expected == -1).any():
            break
        front = [int(np.argmax(expected == -1))]
        while front:
            k = front.pop()
            if expected[k] == -1:
                expected[k] = group
                near = np.sqrt(((small - small[k]) ** 2).mean(axis=1)) < 6
                front += np.flatnonzero(near & (expected == -1)).tolist()
    np.testing.assert_array_equal(near_duplicate_groups(images), expected)


# one search in all splits


def pairs_of(near_duplicates):
    return {
        (int(one), int(other)): apart
        for pairs in near_duplicates.pairs()
        for one, other, apart in zip(*pairs, strict=True)
    }


def stored_pairs(near_duplicates):
    return sum(len(pairs.first) for pairs in near_duplicates.stored)


def test_one_search_finds_the_pairs_of_all_splits(small_blocks):
    images = jittered(noise(30), 300, 4)
    steps = []
    result = find_near_duplicates(
        [images[:200], images[200:290], images[290:]], progress=lambda *step: steps.append(step)
    )
    assert pairs_of(result) == pytest.approx(by_hand(images))
    np.testing.assert_array_equal(result.thumbnails, images)  # 16 x 16 already
    assert not result.single_color.any()
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == (600, 600)
    assert {total for _, total in steps} == {600}


def test_groups_connect_images_of_one_split_alone():
    gray = np.array([10, 14, 90, 19, 14, 90], np.uint8)  # 10 and 19 are near-duplicates of 14 alone
    images = noise(1)[0] // 2 + gray[:, None, None, None]
    assert find_near_duplicates([images[:4], images[4:]]).groups.tolist() == [0, 0, 1, 0, 2, 3]
    assert find_near_duplicates([images[[0, 3]], images[[1]]]).groups.tolist() == [0, 1, 2]


def test_images_of_one_color_are_in_groups_and_not_in_pairs():
    images = noise(5)
    images[[1, 3]] = 7
    images[4] = images[0]
    result = find_near_duplicates([images])
    assert result.single_color.tolist() == [False, True, False, True, False]
    assert result.groups.tolist() == [0, 1, 2, 1, 0]
    assert pairs_of(result) == {(0, 4): 0}


def test_many_images_of_one_color_store_no_pairs():
    result = find_near_duplicates([np.zeros((2500, 16, 16, 3), np.uint8)])  # three million pairs
    assert stored_pairs(result) == 0
    assert not result.groups.any()


def test_many_copies_of_an_image_store_no_pairs():
    count = 2100
    assert count * (count - 1) / 2 > MAX_STORED_PAIRS
    result = find_near_duplicates([np.repeat(noise(1), count, axis=0)])
    assert result.stored is None
    assert not result.groups.any()
    assert sum(len(pairs.first) for pairs in result.pairs()) == count * (count - 1) / 2


def test_pairs_that_were_too_many_are_found_again(small_blocks, monkeypatch):
    images = jittered(noise(30), 300, 4)
    images[7] = 3
    stored = find_near_duplicates([images])
    count = stored_pairs(stored)
    order = np.random.default_rng(0).permutation(300)
    for most in (count, count - 1, 0):
        monkeypatch.setattr("resnet50.data.near_duplicates.MAX_STORED_PAIRS", most)
        result = find_near_duplicates([images])
        assert (result.stored is None) == (most < count)
        assert pairs_of(result) == pairs_of(stored)
        assert pairs_of(result.reorder(order)) == pairs_of(stored.reorder(order))
        np.testing.assert_array_equal(result.groups, stored.groups)


def test_another_order_needs_no_search(monkeypatch):
    images = jittered(noise(30), 300, 4)
    images[[5, 250]] = 40
    order = np.random.default_rng(0).permutation(300)
    before, expected = find_near_duplicates([images]), find_near_duplicates([images[order]])
    monkeypatch.setattr("resnet50.data.near_duplicates.near_duplicate_pairs", None)
    after = before.reorder(order)
    assert pairs_of(after) == pairs_of(expected)
    for name in ("thumbnails", "single_color", "groups"):
        np.testing.assert_array_equal(getattr(after, name), getattr(expected, name))


# images that look alike


def test_images_of_a_fixed_camera_are_compared_more_finely():
    images = fixed_camera(60)
    images[[40, 51]] = images[[10, 21]]
    images[40, ::3] += 1  # a copy that was encoded again
    result = find_near_duplicates([images[:50], images[50:]])
    assert result.look_alikes.numbers.tolist() == list(range(60))
    assert set(pairs_of(result)) == {(10, 40), (21, 51)}
    assert len(set(result.groups.tolist())) == 59  # the second pair is in two splits
    assert found(thumbnails(images), distance=6)  # the coarse comparison takes them for near-duplicates


def test_at_least_half_of_the_look_alikes_are_near_duplicates_of_none():
    images = fixed_camera(80)
    images[20:50] = images[0]
    images[50:60] = images[1] + np.uint8(1)
    singles = np.bincount(np.bincount(find_near_duplicates([images]).groups))[1]
    assert singles >= 40 - 2  # two of them were copied
    assert len({*find_near_duplicates([images]).groups[20:50].tolist()}) == 1


def test_classes_that_are_all_of_one_scene_are_look_alikes():
    images = fixed_camera(60, size=48)
    images[1::2, :16] = 250  # far from the others
    labels = np.arange(60) % 2
    assert find_near_duplicates([images]).look_alikes is None
    assert find_near_duplicates([images], labels=labels * 0).look_alikes is None  # two bursts of a class can be parted
    result = find_near_duplicates([images], labels=labels)
    assert len(set(result.groups.tolist())) == 60
    assert result.look_alikes.numbers.tolist() == list(range(60))


@pytest.mark.parametrize(("alike", "others"), [(30, 30), (30, 200), (19, 0), (2, 1)])
def test_a_burst_among_other_images_remains_one_of_near_duplicates(alike, others):
    images = np.concatenate([fixed_camera(alike, size=32), noise(others, image_size=32)])
    result = find_near_duplicates([images])
    assert result.look_alikes is None
    assert result.groups.tolist() == [0] * alike + list(range(1, others + 1))


def test_copies_are_not_look_alikes():
    assert find_near_duplicates([np.repeat(noise(1), 40, axis=0)]).look_alikes is None
    black = np.zeros((40, 16, 16, 3), np.uint8)
    assert find_near_duplicates([black]).look_alikes is None


def test_images_beside_look_alikes_are_compared_as_ever():
    others = noise(9, image_size=32)
    images = np.concatenate([others, others[:4] + np.uint8(5), np.zeros((2, 32, 32, 3), np.uint8)])
    images = np.concatenate([images, fixed_camera(30, size=32)])
    result = find_near_duplicates([images])
    assert result.look_alikes.numbers.tolist() == list(range(15, 45))
    assert set(pairs_of(result)) == {(k, k + 9) for k in range(4)}
    assert result.groups.tolist() == [*range(9), 0, 1, 2, 3, 9, 9, *range(10, 40)]


def test_look_alikes_survive_another_order_and_a_second_search(monkeypatch):
    images = np.concatenate([fixed_camera(40, size=32), noise(9, 0, 32), noise(3, 0, 32) + np.uint8(4)])
    images[30:35] = images[:5]
    order = np.random.default_rng(0).permutation(len(images))
    before, expected = find_near_duplicates([images]), find_near_duplicates([images[order]])
    assert set(pairs_of(before)) == {(0, 30), (1, 31), (2, 32), (3, 33), (4, 34), (40, 49), (41, 50), (42, 51)}
    after = before.reorder(order)
    assert pairs_of(after) == pairs_of(expected)
    np.testing.assert_array_equal(after.look_alikes.numbers, expected.look_alikes.numbers)
    np.testing.assert_array_equal(after.look_alikes.thumbnails, expected.look_alikes.thumbnails)
    np.testing.assert_array_equal(after.groups, expected.groups)
    monkeypatch.setattr("resnet50.data.near_duplicates.MAX_STORED_PAIRS", 2)
    again = find_near_duplicates([images])
    assert again.stored is None
    assert pairs_of(again) == pairs_of(before)


def test_identical_images_alone_count_where_that_is_asked_for():
    images = np.concatenate([noise(6), noise(4), noise(3) + np.uint8(1), np.zeros((2, 16, 16, 3), np.uint8)])
    result = find_near_duplicates([images], identical_only=True)
    assert set(pairs_of(result)) == {(k, k + 6) for k in range(4)}
    assert result.groups.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 6, 7, 8, 9, 9]
    steps = []
    find_near_duplicates([images], identical_only=True, progress=lambda *step: steps.append(step))
    assert steps[-1] == (30, 30)


def mirrored_pairs_of(near_duplicates):
    return {
        (int(one), int(other))
        for pairs in near_duplicates.mirrored_pairs()
        for one, other in zip(pairs.first, pairs.second, strict=True)
    }


def test_among_very_many_images_the_identical_ones_are_found(small_blocks, monkeypatch):
    images = noise(300)
    images[200:240] = noise(40)
    images[240:250] = noise(10) + np.uint8(1)  # near-duplicates
    images[250:260] = noise(10)[:, :, ::-1]
    images[260:300] = images[0]
    images[[7, 150]] = 3  # of one color
    splits = [images[:230], images[230:]]
    same = {(i, j) for i in range(300) for j in range(i + 1, 300) if (images[i] == images[j]).all()} - {(7, 150)}
    monkeypatch.setattr("resnet50.data.near_duplicates.MOST_COMPARED", 300)
    assert find_near_duplicates(splits).copies is None
    monkeypatch.setattr("resnet50.data.near_duplicates.MOST_COMPARED", 299)
    result = find_near_duplicates(splits)
    assert pairs_of(result) == dict.fromkeys(same, 0)
    assert {(i, i + 250) for i in range(10) if i != 7} <= mirrored_pairs_of(result)
    assert result.groups[[7, 150, 200]].tolist() == [7, 7, 0]
    assert result.groups[260] != result.groups[0]  # of another split
    assert len({*result.groups[260:].tolist()}) == 1
    order = np.random.default_rng(0).permutation(300)
    expected = {tuple(sorted((order.tolist().index(i), order.tolist().index(j)))) for i, j in same}
    assert pairs_of(result.reorder(order)) == dict.fromkeys(expected, 0)
    monkeypatch.setattr("resnet50.data.near_duplicates.MAX_STORED_PAIRS", len(same) - 1)
    again = find_near_duplicates(splits)
    assert again.stored is None
    assert pairs_of(again) == pairs_of(result)
    assert pairs_of(again.reorder(order)) == dict.fromkeys(expected, 0)


def test_pairs_that_were_found_elsewhere_are_near_duplicates():
    images = noise(12)
    images[6:9] = noise(3) + np.uint8(2)
    images[[9, 10, 11]] = 7  # of one color
    split, labels = np.arange(12) // 8, np.zeros(12, np.int64)  # the third copy is in another split
    identical = find_near_duplicates([images[:8], images[8:]], identical_only=True)
    pairs = Pairs(np.array([0, 1, 2]), np.array([6, 7, 8]), np.full(3, 2.0))
    mirrored = Pairs(np.array([3]), np.array([4]), np.array([5.0]))
    result = NearDuplicates.of_pairs(pairs, mirrored, identical=identical, split=split, labels=labels)
    assert pairs_of(result) == {(0, 6): 2, (1, 7): 2, (2, 8): 2}
    assert mirrored_pairs_of(result) == {(3, 4)}
    assert result.groups.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 6, 7, 7, 7]
    assert result.copies is None
    chain = Pairs(np.arange(29), np.arange(1, 30), np.ones(29))
    alike = find_near_duplicates([noise(40)], identical_only=True)
    split, labels = np.zeros((2, 40), np.int64)
    assert NearDuplicates.of_pairs(chain, mirrored, identical=alike, split=split, labels=labels) is None


def test_no_images_have_no_copies():
    result = find_near_duplicates([np.zeros((0, 16, 16, 3), np.uint8)], identical_only=True)
    assert not len(result.groups)
    assert not pairs_of(result)
    assert not mirrored_pairs_of(result)


def test_mirror_images_of_look_alikes_are_compared_more_finely():
    noisy = np.random.default_rng(0).normal(100, 6, (40, 32, 32, 3)).astype(np.uint8)
    noisy[:, 10:20, 10:22] += 90  # a symmetric scene
    noisy[39] = noisy[0][:, ::-1]
    result = find_near_duplicates([noisy])
    assert result.look_alikes is not None
    mirrored = {
        (int(one), int(other))
        for pairs in result.mirrored_pairs()
        for one, other in zip(pairs.first, pairs.second, strict=True)
    }
    assert mirrored == {(0, 39)}
