"""Mixtures, identified by targets in which every image is a class of its own."""

from itertools import pairwise

import numpy as np
import pytest

from factories import noise, raises
from resnet50.data.mixing import Mixing

HEIGHT, WIDTH = 12, 20


def mixed(mixing, seed, n=6):
    """A batch, its mixture, and for each image its partner and its own share (1 if it is its own partner)."""
    images = noise(n, HEIGHT, WIDTH, 3, seed=100)
    images[:, :, :, 0] = np.arange(n)[:, None, None] * 40 + 7
    after, targets = mixing.apply(images, np.eye(n, dtype=np.float32), np.random.default_rng(seed))
    others = [next((j for j in range(n) if row[j] and j != i), i) for i, row in enumerate(targets)]
    return images, after, targets, others, np.diag(targets)


def drawn_shares(mixing, seeds=1500):
    """The share of each of so many batches."""
    found = []
    for seed in range(seeds):
        targets = mixing.apply(np.zeros((6, 1, 1, 3), np.uint8), np.eye(6), np.random.default_rng(seed))[1]
        found += [row[i] for i, row in enumerate(targets) if row[i] < 1][:1]
    return np.array(found)


@pytest.mark.parametrize("seed", range(8))
def test_mixup_blends_each_image_with_its_partner_by_one_share(seed):
    images, after, targets, others, shares = mixed(Mixing(mixup=1.0), seed)
    assert (after.dtype, after.shape) == (np.uint8, images.shape)
    assert sorted(others) == list(range(6))  # a permutation of the batch
    moved = [i for i in range(6) if others[i] != i]
    share = shares[moved[0]]
    assert 0 < share < 1
    assert shares[moved] == pytest.approx(share)
    for i in range(6):
        exact = share * images[i].astype(float) + (1 - share) * images[others[i]].astype(float)
        assert np.abs(after[i] - exact).max() <= 0.501  # rounded to the nearest, not cut off
    for i in moved:
        assert targets[i, others[i]] == pytest.approx(1 - share, abs=1e-6)


@pytest.mark.parametrize("mixing", [Mixing(mixup=0.4), Mixing(cutmix=0.4), Mixing(mixup=0.4, cutmix=0.4)])
def test_targets_are_float32_and_sum_to_one(mixing):
    random = np.random.default_rng(0).uniform(0, 1, (6, 9))
    for seed in range(50):
        images = np.zeros((6, HEIGHT, WIDTH, 3), np.uint8)
        targets = random / random.sum(axis=1, keepdims=True)
        _, after = mixing.apply(images, targets, np.random.default_rng(seed))
        assert (after.dtype, after.shape) == (np.float32, (6, 9))
        np.testing.assert_allclose(after.sum(axis=1), 1, atol=1e-6)
        assert (after >= 0).all()


@pytest.mark.parametrize(
    ("alpha", "variance"),
    [(0.2, 0.178571), (1.0, 0.083333), (4.0, 0.027778)],  # of the symmetric Beta: 1 / (4 (2 alpha + 1))
)
def test_shares_follow_the_symmetric_beta(alpha, variance):
    shares = drawn_shares(Mixing(mixup=alpha))
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert shares.var() == pytest.approx(variance, rel=0.08)


def test_the_ends_of_alpha_hardly_mix_and_halve():
    tiny = drawn_shares(Mixing(mixup=1e-3), 200)
    assert ((tiny < 1e-3) | (tiny > 1 - 1e-3)).mean() > 0.95
    assert drawn_shares(Mixing(mixup=1e7), 50) == pytest.approx(0.5, abs=1e-3)
    for alpha in (5e-324, 1e308):
        targets = mixed(Mixing(mixup=alpha, cutmix=alpha), 0)[2]
        assert np.isfinite(targets).all()


def test_cutmix_pastes_one_rectangle_and_counts_its_true_area():
    clipped = whole = 0
    for seed in range(120):
        images, after, targets, others, shares = mixed(Mixing(cutmix=1.0), seed)
        pasted = np.array([(after[i] != images[i]).any(axis=-1) for i in range(6) if others[i] != i])
        # images differ in the first channel everywhere, so that a pasted pixel always differs
        if not len(pasted) or not pasted[0].any():
            continue
        assert (pasted == pasted[0]).all()
        rows, columns = np.flatnonzero(pasted[0].any(axis=1)), np.flatnonzero(pasted[0].any(axis=0))
        assert pasted[0].sum() == len(rows) * len(columns)
        assert (np.diff(rows) == 1).all()
        assert (np.diff(columns) == 1).all()
        for i in range(6):
            np.testing.assert_array_equal(after[i][pasted[0]], images[others[i]][pasted[0]])
            np.testing.assert_array_equal(after[i][~pasted[0]], images[i][~pasted[0]])
            if others[i] != i:
                assert shares[i] == pytest.approx(1 - len(rows) * len(columns) / 240)  # pixels of an image
                assert targets[i, others[i]] == pytest.approx(len(rows) * len(columns) / 240)
        if rows[0] and columns[0] and rows[-1] < HEIGHT - 1 and columns[-1] < WIDTH - 1:
            whole += 1
            assert abs(len(rows) / HEIGHT - len(columns) / WIDTH) <= 1 / HEIGHT + 1 / WIDTH  # an image's proportions
        else:
            clipped += 1
    assert min(whole, clipped) > 10


def test_cutmix_takes_the_share_of_the_beta_where_nothing_is_cut_off():
    # Beta(1e7, 1e7) is a half: a rectangle of half the area has sides of 0.7071, 71 by 141 pixels here
    heights, widths = [], []
    for seed in range(300):
        images = np.zeros((2, 100, 200, 3), np.uint8)
        images[1] = 255
        after, _ = Mixing(cutmix=1e7).apply(images, np.eye(2), np.random.default_rng(seed))
        pasted = after[0, :, :, 0] == 255
        heights.append(pasted.any(axis=1).sum())
        widths.append(pasted.any(axis=0).sum())
    assert max(heights) in (70, 71, 72)
    assert max(widths) in (141, 142)
    assert 35 <= min(height for height in heights if height) < 45  # its center may lie on the border


def test_of_two_ways_each_batch_takes_one_and_either_as_often():
    blended = 0
    for seed in range(400):
        images, after, _, others, _ = mixed(Mixing(mixup=1.0, cutmix=1.0), seed)
        first = next((i for i in range(6) if others[i] != i), None)
        if first is None:
            blended += 0.5
            continue
        either = (after[first] == images[first]) | (after[first] == images[others[first]])
        blended += not either.all()
    assert 0.4 < blended / 400 < 0.6


@pytest.mark.parametrize(("n", "sizes"), [(32, [32]), (33, [17, 16]), (70, [24, 23, 23])])
def test_images_are_mixed_within_groups_that_each_draw_their_own(n, sizes):
    ends = np.cumsum([0, *sizes])
    shares = set()
    for seed in range(4):
        targets = Mixing(mixup=1.0, cutmix=1.0).apply(
            np.zeros((n, 8, 8, 3), np.uint8), np.eye(n, dtype=np.float32), np.random.default_rng(seed)
        )[1]
        for start, end in pairwise(ends):
            assert targets[start:end, start:end].sum() == pytest.approx(end - start)
            moved = [targets[i, i] for i in range(start, end) if targets[i, i] < 1]
            assert moved == pytest.approx(moved[:1] * len(moved))
            shares.update(round(float(share), 6) for share in moved[:1])
    assert len(shares) > 2 * len(sizes)


def test_nothing_is_mixed_where_both_are_off():
    images = noise(6, HEIGHT, WIDTH, 3)
    after, targets = Mixing().apply(images, np.eye(6), np.random.default_rng(0))
    np.testing.assert_array_equal(after, images)
    assert targets.tolist() == np.eye(6).tolist()
    assert targets.dtype == np.float32


@pytest.mark.parametrize("mixing", [Mixing(mixup=1.0), Mixing(cutmix=1.0)])
def test_the_batch_that_was_given_is_not_changed_and_the_same_state_gives_the_same(mixing):
    images = noise(5, HEIGHT, WIDTH, 3, seed=1)
    targets = np.eye(5, dtype=np.float32)
    images.flags.writeable = targets.flags.writeable = False
    first, second = (mixing.apply(images, targets, np.random.default_rng(7)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    results = {mixing.apply(images, targets, np.random.default_rng(seed))[0].tobytes() for seed in range(20)}
    assert len(results) > 15


@pytest.mark.parametrize("mixing", [Mixing(mixup=1.0), Mixing(cutmix=1.0)])
def test_a_image_alone_stays_itself(mixing):
    image = np.full((1, HEIGHT, WIDTH, 3), 255, np.uint8)
    after, targets = mixing.apply(image, np.array([[0, 1]], np.float32), np.random.default_rng(0))
    np.testing.assert_array_equal(after, image)
    np.testing.assert_allclose(targets, [[0, 1]], atol=1e-6)


@pytest.mark.parametrize("name", ["mixup", "cutmix"])
@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf")])
def test_impossible_alphas_are_refused(name, value):
    with raises(ValueError, name, 0, value):
        Mixing(**{name: value})


@pytest.mark.parametrize(
    ("images", "targets"),
    [
        (np.zeros((2, 4, 4, 3), np.float32), np.eye(2)),
        (np.zeros((4, 4, 3), np.uint8), np.eye(4)),
        (np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1])),
        (np.zeros((2, 4, 4, 3), np.uint8), np.eye(3)),
    ],
)
def test_batches_of_another_form_are_refused(images, targets):
    needed = ("uint8", "(n, height, width, 3)", "targets", "(n, classes)")
    with raises(ValueError, *needed, images.dtype, images.shape, targets.shape):
        Mixing(mixup=1.0).apply(images, targets, np.random.default_rng(0))
