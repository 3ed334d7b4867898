"""Planted likeness is found, chance is told from it, and the figures are those of a plain calculation."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from scipy.spatial import procrustes

from factories import raises
from resnet50.evaluation.similarity import similarity

DIMENSIONS = 3


def rotation(rng: np.random.Generator, size: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((size, size)))[0]


def planted(noise: float, *, seed: int = 0, n: int = 60, m: int = 40, d: int = 7) -> list[np.ndarray]:
    """Features that are the human places, turned, scaled, moved and in noise; and the same of other pictures."""
    rng = np.random.default_rng(seed)
    turn, away = rotation(rng, d)[:DIMENSIONS], rng.normal(0, 20, d)
    arrays = []
    for count in (n, m):
        human = rng.normal(5, (3.0, 2.0, 2.5), (count, DIMENSIONS))
        features = 40 * human @ turn + away + 40 * noise * rng.standard_normal((count, d))
        arrays += [features.astype("float32"), human]
    return arrays


def reduced(features: np.ndarray, others: np.ndarray) -> list[np.ndarray]:
    """Both sets along the principal axes of the first, from its covariance."""
    mean = features.mean(axis=0)
    axes = np.linalg.eigh(np.cov((features - mean).T))[1][:, ::-1][:, :DIMENSIONS]
    return [(each - mean) @ axes for each in (features, others)]


def best_turn(points: np.ndarray, human: np.ndarray) -> np.ndarray:
    """The polar factor of the cross-covariance, by eigenvectors."""
    product = (points - points.mean(axis=0)).T @ (human - human.mean(axis=0))
    values, vectors = np.linalg.eigh(product.T @ product)
    return product @ vectors @ np.diag(values**-0.5) @ vectors.T


def by_hand(points: np.ndarray, human: np.ndarray) -> list[float]:
    """Overall, then each dimension."""
    flat = [(each - each.mean(axis=0)).ravel() for each in (points, human)]
    return [np.corrcoef(*flat)[0, 1], *(np.corrcoef(points[:, k], human[:, k])[0, 1] for k in range(human.shape[1]))]


def values(agreement) -> list[float]:
    return [agreement.overall.value, *(each.value for each in agreement.dimensions)]


@pytest.mark.parametrize("noise", [0.5, 3.0])
def test_agrees_with_a_plain_calculation(noise):
    features, human, others, other_human = (each.astype("float64") for each in planted(noise))
    found = similarity(features, human, others, other_human, permutations=1)
    points, other_points = reduced(features, others)
    turn = best_turn(points, human)
    assert values(found.fitted) == pytest.approx(by_hand(points @ turn, human), abs=1e-9)
    assert values(found.held_out) == pytest.approx(by_hand(other_points @ turn, other_human), abs=1e-9)
    own = other_points @ best_turn(other_points, other_human)
    assert values(found.realigned) == pytest.approx(by_hand(own, other_human), abs=1e-9)
    assert (found.fitted.pictures, found.held_out.pictures, found.realigned.pictures) == (60, 40, 40)
    centred = features - features.mean(axis=0)
    assert found.variance == pytest.approx((points**2).sum() / (centred**2).sum())


def test_the_overall_figure_is_the_procrustes_correlation():
    features, human, others, other_human = planted(1.0)
    found = similarity(features, human, others, other_human, permutations=1)
    points, other_points = reduced(features, others)
    assert found.fitted.overall.value == pytest.approx(np.sqrt(1 - procrustes(human, points)[2]), abs=1e-5)
    assert found.realigned.overall.value == pytest.approx(
        np.sqrt(1 - procrustes(other_human, other_points)[2]), abs=1e-5
    )


def test_likeness_that_was_planted_is_found():
    found = similarity(*planted(0.05), permutations=199)
    for agreement in (found.fitted, found.held_out, found.realigned):
        for correlation in (agreement.overall, *agreement.dimensions):
            assert correlation.value > 0.98
            assert correlation.p == 1 / 200
            assert correlation.value > correlation.band[1] > correlation.chance > correlation.band[0]


def test_chance_is_what_shuffled_rows_give_when_aligned_anew():
    features, human, others, other_human = planted(12.0)
    found = similarity(features, human, others, other_human, permutations=50, seed=4).fitted
    points, _ = reduced(features, others)
    rng = np.random.default_rng(4)
    shuffles = [human[rng.permutation(60)] for _ in range(50)]
    rows = np.array([by_hand(points @ best_turn(points, shuffle), shuffle) for shuffle in shuffles])
    each = [found.overall, *found.dimensions]
    assert [one.chance for one in each] == pytest.approx(rows.mean(axis=0), abs=1e-6)
    assert [one.band[1] for one in each] == pytest.approx(np.quantile(rows, 0.975, axis=0), abs=1e-6)
    assert [one.p for one in each] == pytest.approx((1 + (rows >= values(found)).sum(axis=0)) / 51)


def test_a_mirror_image_is_the_same_space():
    features, human, others, other_human = planted(0.05)
    mirrored = np.array([-1, 1, 1])
    found = similarity(features, human * mirrored, others, other_human * mirrored, permutations=1)
    assert min(values(found.held_out)) > 0.98


def test_chance_alone_lifts_what_is_aligned_on_itself_and_not_what_is_held_out():
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(shape) for shape in ((60, 30), (60, 8), (40, 30), (40, 8))]
    found = similarity(*arrays, permutations=200)
    for agreement in (found.fitted, found.realigned):
        assert agreement.overall.chance > 0.2
        assert agreement.overall.band[0] < agreement.overall.value < agreement.overall.band[1]
    assert abs(found.held_out.overall.chance) < 0.02
    assert min(found.fitted.overall.p, found.held_out.overall.p, found.realigned.overall.p) > 0.05


def test_p_is_spread_evenly_where_there_is_nothing():
    """Of 60 draws of noise, 5 % or so have a p below 0.05, and about half one below 0.5."""
    ps = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        arrays = [rng.standard_normal(shape) for shape in ((20, 5), (20, 3), (15, 5), (15, 3))]
        found = similarity(*arrays, permutations=19, seed=seed)
        ps.append([found.fitted.overall.p, found.held_out.overall.p, found.realigned.overall.p])
    shares = [(np.array(ps) <= level).mean(axis=0) for level in (0.05, 0.5)]
    assert (shares[0] < 0.15).all()
    assert (abs(shares[1] - 0.5) < 0.2).all()


def test_rows_in_another_order_agree_no_more_than_chance():
    features, human, others, other_human = planted(0.05)
    shuffled = np.random.default_rng(1).permutation(len(human))
    found = similarity(features, human[shuffled], others, other_human, permutations=99)
    assert found.fitted.overall.p > 0.05
    assert found.held_out.overall.value < 0.9 < found.realigned.overall.value


def test_a_shuffle_that_changes_nothing_counts():
    """With two pictures more than dimensions many shuffles are as good: p may not be below their share."""
    rng = np.random.default_rng(0)
    human = np.array([[0.0], [1.0]])
    features = np.array([[0.0, 0.0], [2.0, 1.0]])
    found = similarity(features, human, features, human, permutations=int(rng.integers(20, 30)))
    assert found.fitted.overall.p == 1.0  # each of two orders is aligned perfectly


def test_the_seed_decides_the_shuffles():
    arrays = planted(2.0)
    first = similarity(*arrays, permutations=20)
    assert similarity(*arrays, permutations=20, seed=0) == first
    other = similarity(*arrays, permutations=20, seed=1)
    assert values(other.fitted) == values(first.fitted)
    assert other.fitted.overall.chance != first.fitted.overall.chance
    assert (other.permutations, other.seed) == (20, 1)


def test_its_fields_are_strict_json_that_says_it_all():
    found = similarity(*planted(1.0), permutations=5)
    told = json.loads(json.dumps(asdict(found)), parse_constant=pytest.fail)
    assert list(told) == ["fitted", "held_out", "realigned", "variance", "permutations", "seed"]
    assert list(told["held_out"]) == ["pictures", "overall", "dimensions"]
    overall = found.held_out.overall
    assert told["held_out"]["overall"] == {
        "value": overall.value,
        "chance": overall.chance,
        "band": list(overall.band),
        "p": overall.p,
    }
    assert [each["value"] for each in told["fitted"]["dimensions"]] == values(found.fitted)[1:]


def test_leaves_what_it_is_given_as_it_was():
    arrays = planted(1.0)
    copies = [each.copy() for each in arrays]
    similarity(*arrays, permutations=2)
    assert all((one == other).all() for one, other in zip(arrays, copies, strict=True))


def changed(index: int, change) -> list[np.ndarray]:
    arrays = planted(1.0)
    arrays[index] = change(arrays[index].copy())
    return arrays


def with_nan(array: np.ndarray) -> np.ndarray:
    array[2, 1] = np.nan
    return array


def collapsed(array: np.ndarray) -> np.ndarray:
    """What a network gives that tells no pictures apart: the same, but for rounding."""
    return 0.1 + 1e-14 * array.astype("float64")


@pytest.mark.parametrize(
    ("index", "change", "values"),
    [
        (0, lambda a: a[:50], ("fitted", "(n, 7)", "(n, 3)", "(50, 7)", "(60, 3)")),
        (0, lambda a: a[None], ("fitted", "(n, 7)", "(n, 3)", "(1, 60, 7)", "(60, 3)")),
        (1, lambda a: a[:, 0], ("fitted", "(n, 7)", "(60, 7)", "(60,)")),
        (2, lambda a: a[:, :6], ("held-out", "(n, 7)", "(n, 3)", "(40, 6)", "(40, 3)")),
        (3, lambda a: a[:, :2], ("held-out", "(n, 7)", "(n, 3)", "(40, 7)", "(40, 2)")),
        (0, with_nan, ("fitted", "finite")),
        (3, with_nan, ("held-out", "finite")),
        (1, lambda a: a * [1, 0, 1], ("fitted", "dimension")),
        (3, lambda a: a * [1, 0, 1], ("held-out", "dimension")),
        (2, collapsed, ("held-out", "directions", 3, 0)),
        (0, collapsed, ("fitted", "directions", 3, 0)),
        (0, lambda a: a * [1, 1, 0, 0, 0, 0, 0], ("fitted", "directions", 3, 2)),
    ],
)
def test_refuses_what_cannot_be_compared(index, change, values):
    with raises(ValueError, *values):
        similarity(*changed(index, change), permutations=1)


def test_refuses_fewer_features_or_pictures_than_dimensions():
    features, human, others, other_human = planted(1.0)
    with raises(ValueError, "fitted", "directions", 3, 2):
        similarity(features[:, :2], human, others[:, :2], other_human)
    with raises(ValueError, "held-out", "directions", 3, 2):
        similarity(features, human, others[:3], other_human[:3])


def test_refuses_no_permutation():
    with raises(ValueError, "permutations", 1, 0):
        similarity(*planted(1.0), permutations=0)
