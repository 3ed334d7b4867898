import hashlib
import re

import numpy as np
import pytest

from factories import dataset, raises
from resnet50.data.near_duplicates import near_duplicate_groups
from resnet50.data.splitting import assign_folds, cut_indices, train_validation_split
from resnet50.datasets.signs import load_signs


def made(images, labels, groups=()):
    return dataset(labels, "abc", images=images, paths=[f"file {k}" for k in range(len(labels))], groups=groups)


def noise(n, seed=0, shape=(20, 24, 3)):
    """Images far from each other: blocks of color, the same on every scale that a thumbnail could have."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(20, 236, (n, 4, 4, 3))
    return np.repeat(np.repeat(blocks, shape[0] // 4, axis=1), shape[1] // 4, axis=2).astype(np.uint8)


def near_duplicate_of(image, rng, strength=3):
    return np.clip(image.astype(int) + rng.integers(-strength, strength + 1, image.shape), 0, 255).astype(np.uint8)


def test_cuts_every_class_to_the_exact_count_and_keeps_the_order():
    labels = np.random.default_rng(1).permutation([0] * 50 + [1] * 20 + [2] * 110)
    labeled = made(noise(180), labels)
    rest, held_out = train_validation_split(labeled, 0.1, seed=4)
    assert np.bincount(held_out.labels).tolist() == [5, 2, 11]
    assert np.bincount(rest.labels).tolist() == [45, 18, 99]
    for split in (rest, held_out):
        places = [int(path.removeprefix("file ")) for path in split.paths]
        assert places == sorted(places)
        np.testing.assert_array_equal(split.images, labeled.images[places])
        np.testing.assert_array_equal(split.labels, labeled.labels[places])
    assert set(rest.paths) | set(held_out.paths) == set(labeled.paths)
    assert not set(rest.paths) & set(held_out.paths)


def test_the_seed_alone_decides():
    labeled = made(noise(90), [0, 1, 2] * 30)
    chosen = [train_validation_split(labeled, 0.2, seed=seed)[1].paths for seed in (7, 7, 8, 9)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) == 3


@pytest.mark.parametrize("seed", range(5))
def test_near_duplicates_stay_together(seed):
    rng = np.random.default_rng(seed)
    singles = noise(60, seed)
    families = noise(20, seed + 100)
    images = np.concatenate([singles, *([near_duplicate_of(image, rng) for image in families] for _ in range(3))])
    family = np.concatenate([np.arange(60), *[np.arange(60, 80)] * 3])
    order = rng.permutation(len(images))
    images, family = images[order], family[order]
    rest, held_out = train_validation_split(made(images, family % 3), 0.25, seed=seed)
    sides = [{family[int(path.removeprefix("file "))] for path in split.paths} for split in (rest, held_out)]
    assert not sides[0] & sides[1]
    assert np.bincount(held_out.labels).tolist() == [10, 10, 10]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_refuses_an_impossible_fraction(fraction):
    with raises(ValueError, "fraction", 0, 1, fraction):
        train_validation_split(made(noise(6), [0, 1] * 3), fraction, seed=0)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_refuses_where_no_class_has_two(count):
    with raises(ValueError) as caught:
        train_validation_split(made(noise(count), range(count)), 0.5, seed=0)
    # groups and near-duplicates, a reason with a number of its own, are not the cause
    assert sorted(re.findall(r"\d+(?:\.\d+)?", str(caught.value))) == sorted(["0.5", str(count)])


@pytest.mark.parametrize(
    ("images", "labels", "groups", "fraction", "smallest"),
    [
        (np.repeat(noise(1), 4, axis=0), [0] * 4, (), 0.5, 4),
        (noise(6), [0, 1] * 3, ["the only"] * 6, 0.5, 6),
        (noise(12), [0] * 12, ["p"] * 5 + ["q"] * 7, 0.1, 5),  # of one image, five are too many
        (noise(9), [0] * 4 + [1] * 5, ["p"] * 4 + ["q"] * 5, 0.4, 4),  # each is all of a class
    ],
)
def test_refuses_to_separate_images_that_belong_together(images, labels, groups, fraction, smallest):
    with raises(ValueError) as caught:
        train_validation_split(made(images, labels, groups=groups), fraction, seed=0)
    numbers = sorted(re.findall(r"\d+(?:\.\d+)?", str(caught.value)))
    assert numbers == sorted(map(str, (fraction, len(images), smallest)))
    assert "--no-near-duplicates" in str(caught.value)


@pytest.mark.parametrize(("fraction", "counts"), [(0.1, [1, 1, 0]), (0.5, [2, 1, 0]), (0.95, [3, 1, 0])])
def test_a_tiny_class_has_one_on_each_side_if_it_has_two(fraction, counts):
    labeled = made(noise(7), [0, 0, 0, 0, 1, 1, 2])
    rest, held_out = train_validation_split(labeled, fraction, seed=3)
    assert np.bincount(held_out.labels, minlength=3).tolist() == counts
    assert np.bincount(rest.labels, minlength=3).tolist() == [4 - counts[0], 2 - counts[1], 1]


@pytest.mark.parametrize("seed", range(4))
def test_images_of_a_patient_stay_together(seed):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, 40, 400)
    labeled = made(noise(400), rng.integers(0, 3, 400), groups=[f"patient {k}" for k in patient])
    rest, held_out = train_validation_split(labeled, 0.25, seed=seed)
    assert not set(rest.groups) & set(held_out.groups)
    share = np.bincount(held_out.labels) / np.bincount(labeled.labels)
    assert np.abs(share - 0.25).max() < 0.1


def test_images_without_a_group_are_not_one_group():
    groups = ["", "a"] * 30
    rest, held_out = train_validation_split(made(noise(60), [0, 1] * 30, groups=groups), 0.2, seed=0)
    assert held_out.groups == ("",) * 6  # the one group that there is, is a whole class
    assert rest.groups.count("a") == 30


def test_patients_that_share_a_near_duplicate_stay_together():
    images = noise(12)
    images[6] = near_duplicate_of(images[0], np.random.default_rng(1))  # of another patient
    patients = [f"p{k // 2}" for k in range(12)]  # 0 and 1 are of p0, 6 and 7 of p3
    sides = []
    for seed in range(30):
        _, held_out = train_validation_split(made(images, [0, 1] * 6, groups=patients), 0.4, seed=seed)
        there = {int(path.removeprefix("file ")) for path in held_out.paths}
        sides.append(len(there & {0, 1, 6, 7}))
    assert set(sides) == {0, 4}


def test_groups_too_large_for_the_exact_number_are_taken_where_they_bring_it_nearer():
    labels, groups = [0] * 30, [f"g{k // 10}" for k in range(30)]  # a share of 0.2 is 6 images, all groups have 10
    _, held_out = train_validation_split(made(noise(30), labels, groups=groups), 0.2, seed=0)
    assert len(held_out) == 10
    labels, groups = [0] * 30 + [1] * 30, [f"g{k // 3}" for k in range(60)]  # 15 % are 4 (4.5 to even): 3 or 6
    _, held_out = train_validation_split(made(noise(60), labels, groups=groups), 0.15, seed=0)
    assert np.bincount(held_out.labels).tolist() == [3, 3]  # a group more would be two too many instead of one too few


def images_that_belong_together(seed):
    """Classes of many sizes; single images, groups of one class and of several, and near-duplicates of both."""
    rng = np.random.default_rng(seed)
    count, classes = int(rng.integers(8, 120)), int(rng.integers(1, 6))
    labels = rng.permutation(np.minimum(rng.geometric(0.4, count) - 1, classes - 1))
    groups = [f"g{k}" if k < count // 6 else "" for k in rng.integers(0, count // 2, count)]
    drawn = rng.integers(0, rng.integers(2, 4 * count), count).tolist()
    near_duplicates = np.array([list(dict.fromkeys(drawn)).index(number) for number in drawn])
    labeled = dataset(labels, "abcde"[:classes], groups=groups if seed % 3 else ())
    return labeled, near_duplicates


def members_of(labeled, near_duplicates):
    """The images of each set that belongs together, by a plain search, in the order of the first of each."""
    names = near_duplicates, np.array([group or str(k) for k, group in enumerate(labeled.groups)])
    together, before = np.arange(len(labeled)), np.zeros(0)
    while before.tolist() != together.tolist():
        before = together.copy()
        for named in names:
            for name in set(named.tolist()):
                together[named == name] = together[named == name].min()
    return [np.flatnonzero(together == first) for first in sorted(set(together.tolist()))]


def cut_with_all_counts(labeled, near_duplicates, fraction, seed):
    """The cut of version 0.1.0, which has the counts of all classes for each set of images."""
    classes = len(labeled.class_names)
    total = np.bincount(labeled.labels, minlength=classes)
    wanted = np.clip(np.round(total * fraction), total > 1, np.maximum(total - 1, 0)).astype(int)
    sets = members_of(labeled, near_duplicates)
    missing, taken, others = wanted.copy(), [], []

    def cost(left):
        return np.abs(left).sum() + wanted.sum() * ((left == wanted) & (wanted > 0)).sum()

    for index in np.random.default_rng(seed).permutation(len(sets)):
        counts = np.bincount(labeled.labels[sets[index]], minlength=classes)
        if (counts <= missing).all():
            missing -= counts
            taken.extend(sets[index])
        else:
            others.append((sets[index], counts))
    for members, counts in sorted(others, key=lambda other: len(other[0])):
        if not missing.any():
            break
        if (wanted - (missing - counts) < np.maximum(total, 1)).all() and cost(missing - counts) < cost(missing):
            missing = missing - counts
            taken.extend(members)
    return sorted(taken)


@pytest.mark.parametrize("first", [0, 40])
def test_a_cut_is_the_one_that_counts_every_class_of_every_set(first):
    sizes = []
    for seed in range(first, first + 40):
        labeled, near_duplicates = images_that_belong_together(seed)
        expected = cut_with_all_counts(labeled, near_duplicates, fraction := 0.05 + seed / 100, seed)
        if not expected:
            continue
        rest, second = cut_indices(labeled, near_duplicates, fraction, seed=seed)
        assert second.tolist() == expected, seed
        assert rest.tolist() == sorted({*range(len(labeled))} - {*expected})
        sizes.append(len(expected))
    assert len(sizes) > 30


def test_folds_are_those_that_count_every_class_of_every_set():
    for seed in range(30):
        labeled, near_duplicates = images_that_belong_together(seed)
        sets, classes = members_of(labeled, near_duplicates), len(labeled.class_names)
        counts = np.stack([np.bincount(labeled.labels[members], minlength=classes) for members in sets])
        order = np.random.default_rng(seed).permutation(len(sets))
        order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
        shares, filled, expected = (
            counts / np.maximum(counts.sum(axis=0), 1),
            np.zeros((3, classes)),
            labeled.labels * 0,
        )
        for index in order:
            fold = np.lexsort((filled.sum(axis=1), (filled @ shares[index]).round(9)))[0]
            filled[fold] += counts[index]
            expected[sets[index]] = fold
        if (np.count_nonzero(filled, axis=0) != 1).all() and len(sets) >= 3:
            assert assign_folds(labeled, near_duplicates, 3, seed=seed).tolist() == expected.tolist(), seed


def test_ten_thousand_images_are_cut_without_parting_groups_or_near_duplicates():
    images = np.random.default_rng(0).integers(0, 256, (10000, 4, 4, 3), dtype=np.uint8)
    images[8000:] = images[:2000]  # near-duplicates to be joined
    labeled = made(images, np.arange(10000) % 3, groups=[f"g{k // 4}" for k in range(10000)])
    train, held_out = train_validation_split(labeled, 0.1, seed=0)
    assert len(held_out) == pytest.approx(1000, abs=8)
    assert not {*train.groups} & {*held_out.groups}
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in held_out.images}


def test_the_cut_of_signs_is_the_one_that_was_published_with(shared_data):
    if not (shared_data / "signs").is_dir():
        pytest.skip(f"no signs in {shared_data}; set RESNET50_DATA to the folder with the real data")
    train, _ = load_signs(shared_data / "signs")
    digests = []
    for seed in (0, 1, 4):
        _, held_out = train_validation_split(train, 0.1, seed=seed)
        digests.append(hashlib.sha256("\n".join(held_out.paths).encode()).hexdigest()[:16])
    assert digests == ["5fa40b0281e020b7", "aa497370a746baaf", "8481be9ac63bde7a"]


def test_no_real_sign_has_a_near_duplicate_on_the_other_side(shared_data):
    if not (shared_data / "signs").is_dir():
        pytest.skip(f"no signs in {shared_data}; set RESNET50_DATA to the folder with the real data")
    train, _ = load_signs(shared_data / "signs")
    rest, held_out = train_validation_split(train, 0.1, seed=0)
    assert np.bincount(held_out.labels).tolist() == [18] * 6

    def contrasts(labeled):
        """Each image's pixels, not averaged, as a vector of mean 0 and length 1."""
        vectors = labeled.images.astype(np.float32).reshape(len(labeled), -1)
        vectors -= vectors.mean(axis=1, keepdims=True)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def closest(a, b):
        return (contrasts(a) @ contrasts(b).T).max(axis=1)

    alike = 0.99
    assert (closest(held_out, rest) > alike).sum() == 0
    # the measure does detect near-duplicates: a blind cut would have separated some
    blind = np.random.default_rng(0).permutation(1080)
    assert (closest(train.select(blind[:108]), train.select(blind[108:])) > alike).sum() > 3


def folds_of(labeled, count, *, seed=0):
    return assign_folds(labeled, near_duplicate_groups(labeled.images, labeled.labels), count, seed=seed)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_folds_have_the_classes_in_proportion(count):
    labels = np.random.default_rng(1).permutation([0] * 31 + [1] * 12 + [2] * 40)
    folds = folds_of(made(noise(83), labels), count)
    assert set(folds) == set(range(count))
    sizes = np.array([np.bincount(labels[folds == fold], minlength=3) for fold in range(count)])
    assert (sizes.max(axis=0) - sizes.min(axis=0) <= 1).all()
    assert np.ptp(sizes.sum(axis=1)) <= 2


def test_the_seed_alone_decides_the_folds():
    labeled = made(noise(40), [0, 1] * 20)
    one, again, other = (folds_of(labeled, 4, seed=seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


def test_groups_and_near_duplicates_are_in_one_fold():
    rng = np.random.default_rng(0)
    images, labels = noise(60), np.arange(60) % 3
    images[31::6] = [near_duplicate_of(image, rng) for image in images[34::6]]  # of one class
    groups = [f"patient {k // 10}" if k < 30 else "" for k in range(60)]
    folds = folds_of(made(images, labels, groups), 4)
    assert all(len(set(folds[k : k + 10])) == 1 for k in (0, 10, 20))
    np.testing.assert_array_equal(folds[31::6], folds[34::6])
    assert np.bincount(folds).max() - np.bincount(folds).min() <= 4


def test_folds_that_cannot_be_trained_on_are_refused():
    with raises(ValueError, "2 folds", 1):
        folds_of(made(noise(4), [0, 0, 1, 1]), 1)
    with raises(ValueError, 5, 3):
        folds_of(made(noise(6), [0, 1] * 3, ["x", "x", "y", "y", "z", "z"]), 5)
    with raises(ValueError, "b"):  # a model that is trained without its fold knows no b
        folds_of(made(noise(7), [0, 0, 0, 0, 1, 1, 1], ["", "", "", "", "p", "p", "p"]), 2)
