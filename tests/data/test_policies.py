"""The operations of RandAugment and TrivialAugment against NumPy, and the published ways to draw them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from factories import noise
from resnet50.data.policies import RAND_AUGMENT, TRIVIAL_AUGMENT, rand_augment, trivial_augment

NEAREST = Image.Resampling.NEAREST
IMAGE = (noise(33, 41, 3) // 2 + 20).astype(np.uint8)  # 20..147, so that there is contrast to gain
MEAN = (124, 116, 104)


def changed(table, name, level, sign=1.0, image=IMAGE):
    return np.asarray(table[name](Image.fromarray(image), level, sign, NEAREST)).astype(int)


def gray(image):
    return (image * (19595, 38470, 7471)).sum(-1) + 0x8000 >> 16  # Pillow's ITU-R 601-2 luma


def blended(other, image, factor):
    """Pillow's enhancement: the distance from another image, times a factor."""
    return np.clip(other + factor * (image.astype(float) - other), 0, 255)


def test_the_operations_are_those_of_the_publications():
    timm = "autocontrast equalize invert rotate posterize solarize solarize_add color contrast brightness sharpness"
    assert list(RAND_AUGMENT) == [*timm.split(), "shear_x", "shear_y", "translate_x", "translate_y"]
    wide = "identity autocontrast equalize rotate solarize color posterize contrast brightness sharpness"
    assert set(TRIVIAL_AUGMENT) == {*wide.split(), "shear_x", "shear_y", "translate_x", "translate_y"}


@pytest.mark.parametrize(("level", "bits"), [(0.0, 4), (0.6, 2), (0.99, 1), (1.0, 0)])
def test_posterize_keeps_fewer_bits_at_a_larger_magnitude(level, bits):
    np.testing.assert_array_equal(changed(RAND_AUGMENT, "posterize", level), IMAGE >> (8 - bits) << (8 - bits))


@pytest.mark.parametrize(("step", "bits"), [(0, 8), (2, 8), (3, 7), (15, 5), (30, 2)])
def test_posterize_of_trivial_augment_keeps_two_to_eight_bits(step, bits):
    expected = IMAGE >> (8 - bits) << (8 - bits)
    np.testing.assert_array_equal(changed(TRIVIAL_AUGMENT, "posterize", step / 30), expected)


@pytest.mark.parametrize(
    ("table", "level", "threshold"),
    [(RAND_AUGMENT, 0.0, 256), (RAND_AUGMENT, 0.6, 103), (TRIVIAL_AUGMENT, 15 / 30, 127.5), (TRIVIAL_AUGMENT, 1, 0)],
)
def test_solarize_inverts_what_is_bright(table, level, threshold):
    expected = np.where(threshold <= IMAGE, 255 - IMAGE, IMAGE)
    np.testing.assert_array_equal(changed(table, "solarize", level), expected)


def test_solarize_add_brightens_what_is_dark():
    expected = np.where(IMAGE < 128, np.minimum(IMAGE.astype(int) + 66, 255), IMAGE)
    np.testing.assert_array_equal(changed(RAND_AUGMENT, "solarize_add", 0.6), expected)


def test_invert_and_identity():
    np.testing.assert_array_equal(changed(RAND_AUGMENT, "invert", 0.6), 255 - IMAGE)
    np.testing.assert_array_equal(changed(TRIVIAL_AUGMENT, "identity", 0.6), IMAGE)


@pytest.mark.parametrize("table", [RAND_AUGMENT, TRIVIAL_AUGMENT])
def test_autocontrast_stretches_each_channel(table):
    low, high = IMAGE.min((0, 1)), IMAGE.max((0, 1))
    expected = (IMAGE - low) * (255 / (high - low))
    np.testing.assert_allclose(changed(table, "autocontrast", 0.5), expected, atol=1)


@pytest.mark.parametrize("table", [RAND_AUGMENT, TRIVIAL_AUGMENT])
def test_equalize_makes_the_histogram_flat(table):
    found = changed(table, "equalize", 0.5)
    for channel in range(3):
        shares = np.array([(found[..., channel] <= level).mean() for level in (63, 127, 191)])
        np.testing.assert_allclose(shares, [0.25, 0.5, 0.75], atol=0.05)
        order = np.argsort(IMAGE[..., channel].ravel(), kind="stable")
        assert (np.diff(found[..., channel].ravel()[order]) >= 0).all()


@pytest.mark.parametrize(
    ("table", "level", "sign", "factor"),
    [
        (RAND_AUGMENT, 0.6, 1.0, 1.54),
        (RAND_AUGMENT, 0.6, -1.0, 0.46),
        (RAND_AUGMENT, 1.0, -1.0, 0.1),
        (TRIVIAL_AUGMENT, 1.0, 1.0, 1.99),
        (TRIVIAL_AUGMENT, 1.0, -1.0, 0.01),
    ],
)
def test_brightness_contrast_and_color_are_factors(table, level, sign, factor):
    luma = gray(IMAGE.astype(int))
    others = {
        "brightness": np.zeros(3),
        "contrast": np.full(3, int(luma.mean() + 0.5)),
        "color": luma[..., None].repeat(3, -1),
    }
    for name, other in others.items():
        expected = blended(other, IMAGE, factor)
        np.testing.assert_allclose(changed(table, name, level, sign), expected, atol=1)


def test_sharpness_is_a_factor_on_the_distance_to_a_smooth_image():
    inner = np.s_[1:-1, 1:-1]
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    windows = np.lib.stride_tricks.sliding_window_view(IMAGE, (3, 3), (0, 1))
    smooth = (windows * kernel).sum((-1, -2))
    found = changed(RAND_AUGMENT, "sharpness", 0.6, -1.0)[inner]
    np.testing.assert_allclose(found, blended(smooth, IMAGE[inner], 0.46), atol=1.5)


@pytest.mark.parametrize(
    ("table", "moved", "fill"), [(RAND_AUGMENT, 0.45 * 40, MEAN), (TRIVIAL_AUGMENT, 32, (0, 0, 0))]
)
@pytest.mark.parametrize("sign", [-1, 1])
def test_translations_move_by_a_share_or_by_pixels(table, moved, fill, sign):
    image = noise(40, 40, 3)
    distance = int(moved)
    for name, axis in (("translate_x", 1), ("translate_y", 0)):
        found = np.moveaxis(changed(table, name, 1.0, sign, image), axis, 0)
        source = np.moveaxis(image, axis, 0)
        kept, new = (found[:-distance], found[-distance:]) if sign > 0 else (found[distance:], found[:distance])
        np.testing.assert_array_equal(kept, source[distance:] if sign > 0 else source[:-distance])
        assert (new == fill).all()


@pytest.mark.parametrize(("table", "most"), [(RAND_AUGMENT, 0.3), (TRIVIAL_AUGMENT, 0.99)])
def test_shears_move_each_row_by_its_height(table, most):
    image = np.zeros((41, 41, 3), np.uint8)
    image[:, 20] = 255
    for found in (
        changed(table, "shear_x", 1.0, 1.0, image),
        changed(table, "shear_y", 1.0, 1.0, image.swapaxes(0, 1)),
    ):
        lines = found if (found[0, :, 0] == 255).sum() == 1 else found.swapaxes(0, 1)
        for row in (0, 7, 15):
            assert lines[row, :, 0].argmax() == pytest.approx(20 - most * (row + 0.5), abs=0.6)


@pytest.mark.parametrize(("table", "most"), [(RAND_AUGMENT, 30), (TRIVIAL_AUGMENT, 135)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_rotation_is_counterclockwise_in_degrees(table, most, sign):
    image = np.zeros((61, 61, 3), np.uint8)
    image[29:32, 49:52] = 255  # to the right of the center
    y, x = np.argwhere(changed(table, "rotate", 1.0, sign, image)[..., 0] > 128).mean(0) - 30
    assert np.degrees(np.arctan2(-y, x)) == pytest.approx(sign * most, abs=2)


def test_rand_augment_leaves_each_of_two_operations_out_half_of_the_time(monkeypatch):
    levels = []

    def record(image, level, sign, how):
        levels.append((level, sign, how))
        return image

    monkeypatch.setattr("resnet50.data.policies.RAND_AUGMENT", {"one": record, "other": record})
    for seed in range(400):
        rand_augment(IMAGE, 6, np.random.default_rng(seed))
    assert len(levels) == pytest.approx(400, abs=50)
    strengths, signs, ways = zip(*levels, strict=True)
    assert np.mean(strengths) == pytest.approx(0.6, abs=0.01)
    assert np.std(strengths) == pytest.approx(0.05, abs=0.01)
    assert np.mean(signs) == pytest.approx(0, abs=0.15)
    assert set(ways) == {Image.Resampling.BILINEAR, Image.Resampling.BICUBIC}


def test_the_magnitude_stays_in_its_range(monkeypatch):
    levels = []
    monkeypatch.setattr(
        "resnet50.data.policies.RAND_AUGMENT", {"one": lambda image, level, sign, how: levels.append(level) or image}
    )
    for seed in range(60):
        rand_augment(IMAGE, 10, np.random.default_rng(seed))
        rand_augment(IMAGE, 0.01, np.random.default_rng(seed))
    assert (min(levels), max(levels)) == (0, 1)


def test_trivial_augment_draws_one_operation_of_31_strengths(monkeypatch):
    drawn = []
    table = {
        name: lambda image, level, sign, how, name=name: drawn.append((name, level, sign)) or image for name in "ab"
    }
    monkeypatch.setattr("resnet50.data.policies.TRIVIAL_AUGMENT", table)
    for seed in range(500):
        trivial_augment(IMAGE, np.random.default_rng(seed))
    names, levels, signs = zip(*drawn, strict=True)
    assert len(drawn) == 500
    assert names.count("a") == pytest.approx(250, abs=40)
    assert {round(level * 30, 6) for level in levels} == set(range(31))
    assert sorted(set(signs)) == [-1, 1]


@pytest.mark.parametrize("policy", [lambda image, g: rand_augment(image, 9, g), trivial_augment])
def test_a_policy_depends_on_its_generator_alone(policy):
    before = IMAGE.copy()
    one, again, other = (policy(IMAGE, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert (one.dtype, one.shape) == (np.uint8, IMAGE.shape)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    np.testing.assert_array_equal(IMAGE, before)
