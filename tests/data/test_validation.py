import time

import numpy as np
import pytest

from resnet50.data.signs import load_signs
from resnet50.data.split import Split
from resnet50.data.validation import train_validation_split, twin_groups


def made(images, labels, classes=3):
    return Split(
        images=np.asarray(images, dtype=np.uint8),
        labels=np.asarray(labels, dtype=np.int64),
        class_names=tuple("abcdef"[:classes]),
        sources=tuple(f"file {k}" for k in range(len(labels))),
        dataset="some",
    )


def noise(n, seed=0, shape=(20, 24, 3)):
    """Pictures far from each other: blocks of colour, the same on every scale that a thumbnail could have."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(20, 236, (n, 4, 4, 3))
    return np.repeat(np.repeat(blocks, shape[0] // 4, axis=1), shape[1] // 4, axis=2).astype(np.uint8)


def twin_of(image, rng, strength=3):
    return np.clip(image.astype(int) + rng.integers(-strength, strength + 1, image.shape), 0, 255).astype(np.uint8)


def test_cuts_every_class_to_the_exact_count_and_keeps_the_order():
    labels = np.random.default_rng(1).permutation([0] * 50 + [1] * 20 + [2] * 110)
    split = made(noise(180), labels)
    rest, held_out = train_validation_split(split, 0.1, seed=4)
    assert np.bincount(held_out.labels).tolist() == [5, 2, 11]
    assert np.bincount(rest.labels).tolist() == [45, 18, 99]
    for part in (rest, held_out):
        places = [int(source.removeprefix("file ")) for source in part.sources]
        assert places == sorted(places)
        np.testing.assert_array_equal(part.images, split.images[places])
        np.testing.assert_array_equal(part.labels, split.labels[places])
    assert set(rest.sources) | set(held_out.sources) == set(split.sources)
    assert not set(rest.sources) & set(held_out.sources)


def test_the_seed_alone_decides():
    split = made(noise(90), [0, 1, 2] * 30)
    chosen = [train_validation_split(split, 0.2, seed=seed)[1].sources for seed in (7, 7, 8, 9)]
    assert chosen[0] == chosen[1]
    assert len(set(chosen)) == 3


@pytest.mark.parametrize("seed", range(5))
def test_twins_stay_together(seed):
    rng = np.random.default_rng(seed)
    singles = noise(60, seed)
    families = noise(20, seed + 100)
    images = np.concatenate([singles, *([twin_of(image, rng) for image in families] for _ in range(3))])
    family = np.concatenate([np.arange(60), *[np.arange(60, 80)] * 3])
    order = rng.permutation(len(images))
    images, family = images[order], family[order]
    rest, held_out = train_validation_split(made(images, family % 3), 0.25, seed=seed)
    sides = [{family[int(source.removeprefix("file "))] for source in part.sources} for part in (rest, held_out)]
    assert not sides[0] & sides[1]
    assert np.bincount(held_out.labels).tolist() == [10, 10, 10]


def test_groups_hang_together_by_chains_and_are_counted_by_first_appearance():
    grey = [10, 100, 14, 200, 19, 104, 24]  # 10-14-19-24: each within 6 of the next, the ends are not
    images = np.full((7, 16, 16, 3), 0, np.uint8) + np.array(grey, np.uint8)[:, None, None, None]
    assert twin_groups(images).tolist() == [0, 1, 0, 2, 0, 1, 0]
    joined_late = images[[0, 4, 2]]  # the third joins two groups that were apart
    assert twin_groups(joined_late).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("apart", "groups"), [(5, 1), (6, 2), (7, 2)])
def test_twins_differ_by_less_than_six_grey_levels(apart, groups):
    images = np.full((2, 16, 16, 3), 90, np.uint8)
    images[1] += apart
    assert len(set(twin_groups(images).tolist())) == groups


def test_groups_are_those_of_a_plain_loop_over_pairs():
    rng = np.random.default_rng(3)
    base = noise(40, 3, (16, 16, 3))
    images = np.stack([twin_of(base[k], rng, strength=9) for k in rng.integers(0, 40, 1300)])  # more than two blocks
    small = images.astype(np.float64).reshape(1300, -1)  # 16 x 16 already
    expected = np.full(1300, -1)
    for group in range(1300):
        if not (expected == -1).any():
            break
        front = [int(np.argmax(expected == -1))]
        while front:
            k = front.pop()
            if expected[k] == -1:
                expected[k] = group
                near = np.sqrt(((small - small[k]) ** 2).mean(axis=1)) < 6
                front += np.flatnonzero(near & (expected == -1)).tolist()
    np.testing.assert_array_equal(twin_groups(images), expected)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_refuses_a_share_that_is_none(fraction):
    with pytest.raises(ValueError, match=rf"^fraction must lie between 0 and 1, got {fraction}\.$"):
        train_validation_split(made(noise(6), [0, 1] * 3), fraction, seed=0)


@pytest.mark.parametrize(
    ("images", "fraction"),
    [(noise(4), 0.1), (noise(0), 0.5), (noise(1), 0.5), (np.repeat(noise(1), 4, axis=0), 0.5), (noise(2), 0.9)],
)
def test_refuses_to_leave_a_side_empty(images, fraction):
    text = f"^a cut of {fraction:g} of {len(images)} pictures leaves one side empty; add pictures.$"
    with pytest.raises(ValueError, match=text):
        train_validation_split(made(images, [0] * len(images)), fraction, seed=0)


def test_five_thousand_pictures_take_seconds():
    images = np.random.default_rng(0).integers(0, 256, (5000, 16, 16, 3), dtype=np.uint8)
    started = time.process_time()
    train_validation_split(made(images, np.arange(5000) % 3), 0.1, seed=0)
    assert time.process_time() - started < 20  # 2 s on two cores; a loop over pairs took 30


def test_no_real_sign_has_a_twin_on_the_other_side(shared_data):
    if not (shared_data / "signs").is_dir():
        pytest.skip(f"no signs in {shared_data}; set RESNET50_DATA to the folder with the real data")
    train, _ = load_signs(shared_data / "signs")
    rest, held_out = train_validation_split(train, 0.1, seed=0)
    assert np.bincount(held_out.labels).tolist() == [18] * 6

    def contrasts(split):
        """Each picture's pixels, not averaged, as a vector of mean 0 and length 1."""
        vectors = split.images.astype(np.float32).reshape(len(split), -1)
        vectors -= vectors.mean(axis=1, keepdims=True)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def closest(a, b):
        return (contrasts(a) @ contrasts(b).T).max(axis=1)

    alike = 0.99
    assert (closest(held_out, rest) > alike).sum() == 0
    # the measure does see the twins that there are: a blind cut would have parted some
    blind = np.random.default_rng(0).permutation(1080)
    assert (closest(train.take(blind[:108]), train.take(blind[108:])) > alike).sum() > 3
