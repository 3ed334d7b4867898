import math

import numpy as np
import pytest

from factories import noise, raises
from resnet50.data.augmentation import Augmentation
from resnet50.data.random_crop import Resize

HEIGHT, WIDTH = 41, 60  # not square; the true center lies on a pixel along one axis, between two along the other
CENTER = np.array([29.5, 20.0])  # x, y, where 0 is the middle of the first pixel
ROTATION, SHEAR, ZOOM, FLIP, SHIFT_X, SHIFT_Y, CONTRAST, BRIGHTNESS = range(8)
NOISE = noise(HEIGHT, WIDTH, 3)


class Drawing:
    """Replaces a generator: draws the given numbers, by place, and 0 elsewhere."""

    def __init__(self, draws):
        self.draws = draws

    def uniform(self, low, high, size):
        assert (low, high, size) == (-1, 1, 8)
        return np.array([self.draws.get(place, 0.0) for place in range(8)])


def generators(n, seed=0):
    return [np.random.default_rng((seed, k)) for k in range(n)]


def changed(image, draws, **limits):
    return Augmentation(**limits).apply(image[None], [Drawing(draws)])[0]


def dot_at(x, y):
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    image[y - 1 : y + 2, x - 1 : x + 2] = 120
    image[y, x] = 220
    return image


def where(image):
    """Center of what is brighter than the ground, x and y in pixels."""
    light = image[..., 0].astype(float) - 20
    y, x = np.indices(light.shape)
    return np.array([(light * x).sum(), (light * y).sum()]) / light.sum()


def test_nothing_to_do_changes_nothing():
    images = NOISE[None]
    np.testing.assert_array_equal(Augmentation().apply(images, generators(1)), images)


@pytest.mark.parametrize("name", ["shift", "rotation", "zoom", "shear", "brightness", "contrast"])
def test_a_draw_of_zero_changes_not_one_pixel(name):
    for image in (NOISE, NOISE[:-1, :-1], NOISE[:, :33], NOISE[:1, :1]):
        np.testing.assert_array_equal(changed(image, {}, **{name: 0.3}), image)


@pytest.mark.parametrize(("x_draw", "y_draw"), [(1, 0), (-1, 0), (0, 1), (0, -1), (0.5, -1)])
def test_shift_moves_by_a_share_of_each_side(x_draw, y_draw):
    moved = changed(dot_at(30, 20), {SHIFT_X: x_draw, SHIFT_Y: y_draw}, shift=0.2)
    np.testing.assert_allclose(where(moved), [30 + 0.2 * 60 * x_draw, 20 + 0.2 * 41 * y_draw], atol=0.1)


def test_a_shift_by_whole_pixels_copies_them():
    moved = changed(NOISE, {SHIFT_X: 1}, shift=0.25)  # 15 pixels to the right
    np.testing.assert_array_equal(moved[:, 15:], NOISE[:, :-15])
    np.testing.assert_array_equal(moved[:, :15], np.repeat(NOISE[:, :1], 15, axis=1))  # the border goes on


@pytest.mark.parametrize("draw", [1, -1, 0.3])
def test_rotation_turns_about_the_center(draw):
    angle = math.radians(40) * draw  # counterclockwise to the eye, while y points down
    for x, y in ((45, 20), (29, 8), (20, 28)):
        arm = np.array([x, y]) - CENTER
        expected = (
            CENTER[0] + math.cos(angle) * arm[0] + math.sin(angle) * arm[1],
            CENTER[1] - math.sin(angle) * arm[0] + math.cos(angle) * arm[1],
        )
        np.testing.assert_allclose(where(changed(dot_at(x, y), {ROTATION: draw}, rotation=40)), expected, atol=0.1)


def test_a_half_turn_meets_every_pixel():
    turned = changed(NOISE, {ROTATION: 1}, rotation=180).astype(int)
    assert np.abs(turned - NOISE[::-1, ::-1]).max() <= 1  # Pillow rounds down, and sin(pi) is not quite 0


@pytest.mark.parametrize(("draw", "factor"), [(1, 1.4), (-1, 0.6), (0.5, 1.2)])
def test_zoom_scales_about_the_center(draw, factor):
    for x, y in ((42, 20), (29, 28)):
        expected = CENTER + factor * (np.array([x, y]) - CENTER)
        np.testing.assert_allclose(where(changed(dot_at(x, y), {ZOOM: draw}, zoom=0.4)), expected, atol=0.15)


@pytest.mark.parametrize("draw", [1, -1])
def test_shear_slides_rows(draw):
    slope = math.tan(math.radians(30)) * draw
    for x, y in ((30, 32), (25, 10), (40, 20)):
        expected = (x - slope * (y - CENTER[1]), y)
        np.testing.assert_allclose(where(changed(dot_at(x, y), {SHEAR: draw}, shear=30)), expected, atol=0.1)


@pytest.mark.parametrize("flip", [True, None])
def test_flip_mirrors_exactly_about_half_of_the_images(flip):
    n = 1000
    out = Augmentation(flip=flip).apply(np.repeat(NOISE[None], n, axis=0), generators(n))
    same = (out == NOISE).all(axis=(1, 2, 3))
    mirrored = (out == NOISE[:, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 437 <= mirrored.sum() <= 563  # four standard deviations


@pytest.mark.parametrize(("draw", "offset"), [(1, 51), (-1, -51), (0.5, 26)])
def test_brightness_adds_to_every_pixel(draw, offset):
    expected = np.clip(NOISE.astype(int) + offset, 0, 255)
    out = changed(NOISE, {BRIGHTNESS: draw}, brightness=0.2)
    assert np.abs(out - expected).max() <= 1  # half a level rounds either way


@pytest.mark.parametrize(("draw", "factor"), [(1, 1.5), (-1, 0.5), (0.4, 1.2)])
def test_contrast_scales_about_the_mean_and_keeps_it(draw, factor):
    image = np.random.default_rng(1).integers(80, 160, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    out = changed(image, {CONTRAST: draw}, contrast=0.5).astype(float)
    mean = image.mean()
    assert abs(out.mean() - mean) < 0.3
    np.testing.assert_allclose(out, mean + factor * (image - mean), atol=0.51)


def test_light_is_clipped_to_what_a_pixel_holds():
    assert (changed(NOISE, {BRIGHTNESS: 1}, brightness=1) == 255).all()
    assert (changed(NOISE, {BRIGHTNESS: -1}, brightness=1) == 0).all()
    assert np.ptp(changed(NOISE, {CONTRAST: -1}, contrast=1)) == 0


def test_everything_at_once_is_each_in_turn():
    draws = {ROTATION: 0.7, SHEAR: -0.6, ZOOM: 0.5, FLIP: -0.1, SHIFT_X: 0.4, SHIFT_Y: -0.8}
    limits = {"rotation": 30, "shear": 20, "zoom": 0.2, "shift": 0.1, "flip": True}
    for x, y in ((32, 20), (25, 24), (30, 16)):
        arm = (np.array([x, y]) - CENTER) * [-1, 1]  # mirrored
        turn = math.radians(21)
        arm = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]) @ arm * 1.1
        arm[0] += math.tan(math.radians(12)) * arm[1]  # sheared by -12 degrees
        expected = CENTER + arm + [0.04 * 60, -0.08 * 41]
        np.testing.assert_allclose(where(changed(dot_at(x, y), draws, **limits)), expected, atol=0.15)


def test_pixels_are_those_of_a_plain_loop():
    image = NOISE[:9, :12]
    angle, slope, scale = math.radians(25), math.tan(math.radians(-20)), 1 / 1.3
    out = changed(image, {ROTATION: 1, SHEAR: -1, ZOOM: 1, SHIFT_X: -1}, rotation=25, shear=20, zoom=0.3, shift=0.5)
    for row in range(9):
        for column in range(12):
            x, y = column - 5.5 + 6, row - 4.0  # undo the shift of half the width to the left
            x += slope * y
            x, y = (
                scale * (math.cos(angle) * x - math.sin(angle) * y),
                scale * (math.sin(angle) * x + math.cos(angle) * y),
            )
            x, y = x + 5.5, y + 4.0
            left, top = math.floor(x), math.floor(y)
            value = np.zeros(3)
            for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
                weight = (1 - abs(x - left - i)) * (1 - abs(y - top - j))
                value += weight * image[min(max(top + j, 0), 8), min(max(left + i, 0), 11)]
            assert np.abs(out[row, column] - value).max() <= 1.01


@pytest.mark.parametrize(
    ("limits", "low", "high", "measure"),
    [
        ({"rotation": 30}, -30, 30, lambda at: math.degrees(math.atan2(*(at - CENTER)[::-1] * [1, 1]))),
        ({"zoom": 0.3}, 0.7, 1.3, lambda at: (at - CENTER)[0] / 15.5),
        ({"shift": 0.2}, -12, 12, lambda at: at[0] - 45),
        ({"shift": 0.2}, -8.2, 8.2, lambda at: at[1] - 20),
    ],
)
def test_draws_fill_the_range_and_stay_in_it(limits, low, high, measure):
    if "shift" in limits:
        limits = limits | {"rotation": 1e-9}  # another change beside it leaves the range as it is
    n = 300
    images = np.repeat(dot_at(45, 20)[None], n, axis=0)
    values = np.array([measure(where(image)) for image in Augmentation(**limits).apply(images, generators(n))])
    slack = 0.02 * (high - low)
    assert low - slack <= values.min() < low + 2 * slack
    assert high - 2 * slack < values.max() <= high + slack
    assert abs(values.mean() - (low + high) / 2) < 0.25 * (high - low) / 2


def test_a_shift_stays_in_its_range_under_zoom_and_rotation():
    n = 400
    images = np.repeat(dot_at(30, 20)[None], n, axis=0)
    out = Augmentation(shift=0.15, zoom=0.4, rotation=90, shear=20, flip=True).apply(images, generators(n))
    moved = np.array([where(image) for image in out]) - CENTER
    assert (np.abs(moved) <= [0.15 * 60 + 0.9, 0.15 * 41 + 0.9]).all()  # the dot is half a pixel off the center


@pytest.mark.parametrize(
    "limits",
    [
        {"shift": 0.5, "rotation": 180},
        {"zoom": 0.9},
        {"shear": 60},
        {"shift": 0.5, "zoom": 0.9, "shear": 60, "rotation": 180, "flip": True},
    ],
)
def test_the_border_goes_on_however_far_a_warp_looks(limits):
    n = 60
    images = np.full((n, 12, 20, 3), 200, np.uint8)
    assert (Augmentation(**limits).apply(images, generators(n)) == 200).all()


def test_what_comes_in_is_the_nearest_border():
    image = np.zeros((20, 20, 3), np.uint8)
    image[:, 0], image[:, -1] = (200, 0, 0), (0, 0, 200)
    out = changed(image, {ZOOM: -1}, zoom=0.5)  # half the size, in the middle
    assert (out[:, :5] == (200, 0, 0)).all()
    assert (out[:, 15:] == (0, 0, 200)).all()


def test_input_stays_as_it_is_and_may_be_read_only():
    images = np.repeat(NOISE[None], 3, axis=0)
    images.flags.writeable = False
    everything = Augmentation(0.1, 20, 0.1, 10, 0.2, 0.2, True)
    out = everything.apply(images, generators(3))
    assert (images == NOISE).all()
    assert (out.shape, out.dtype) == (images.shape, np.uint8)
    assert not np.array_equal(out[0], out[1])


def test_a_change_hangs_on_its_generator_alone():
    everything = Augmentation(0.1, 20, 0.1, 10, 0.2, 0.2, True)
    images = noise(5, 16, 24, 3, seed=2)
    together = everything.apply(images, generators(5))
    for k in (4, 0, 2):
        alone = everything.apply(images[k : k + 1], [np.random.default_rng((0, k))])
        np.testing.assert_array_equal(alone[0], together[k])


def test_takes_no_images():
    assert Augmentation(shift=0.1).apply(NOISE[None][:0], []).shape == (0, 41, 60, 3)


@pytest.mark.parametrize(
    ("name", "limit"),
    [("shift", "0.5"), ("rotation", "180"), ("zoom", "0.9"), ("shear", "60"), ("brightness", "1"), ("contrast", "1")],
)
def test_refuses_figures_out_of_range(name, limit):
    Augmentation(**{name: float(limit)})
    for value in (-0.1, float(limit) + 0.1, float("nan")):
        with raises(ValueError, name, f"0..{limit}", repr(value)):
            Augmentation(**{name: value})


@pytest.mark.parametrize(
    ("images", "n", "values"),
    [
        (NOISE[None], 2, ("uint8", (1, 41, 60, 3), 2)),
        (NOISE[None], 0, ("uint8", (1, 41, 60, 3), 0)),
        (NOISE, 41, ("uint8", (41, 60, 3), 41)),
        (NOISE[None] / 255, 1, ("uint8", "float64", (1, 41, 60, 3), 1)),
    ],
)
def test_refuses_images_of_another_form(images, n, values):
    with raises(ValueError, "(n, height, width, 3)", *values):
        Augmentation(shift=0.1).apply(images, generators(n))


def test_a_crop_has_the_size_that_is_asked_for():
    images = np.stack([NOISE, NOISE[::-1]])
    crops = Augmentation(crop_area=0.2).apply(images, generators(2), resize=Resize(24, 32, "bilinear"))
    assert crops.shape == (2, 24, 32, 3)
    assert Augmentation(crop_area=0.2).apply(images, generators(2)).shape == images.shape
    again = Augmentation(crop_area=0.2).apply(images[:1], generators(1), resize=Resize(24, 32, "bilinear"))
    np.testing.assert_array_equal(crops[0], again[0])  # whatever the other images are
    assert Augmentation().apply(images, generators(2), resize=Resize(24, 32)).shape == (2, 24, 32, 3)


@pytest.mark.parametrize("changes", [{"rand_augment": 9.0}, {"trivial_augment": True}, {"crop_area": 0.5}])
def test_policies_and_crops_change_images_and_ask_for_changes(changes):
    augmentation = Augmentation(**changes)
    assert augmentation.changes
    images = np.stack([NOISE] * 6)
    assert (augmentation.apply(images, generators(6)) != images).any()


def test_erasing_makes_a_rectangle_noise_and_leaves_the_rest_as_it_was():
    images = np.full((300, HEIGHT, WIDTH, 3), 77, np.uint8)
    for share in (1.0, 0.25):
        erased = (Augmentation(erasing=share).apply(images, generators(300)) != images).any(-1)
        found = [np.argwhere(each) for each in erased if each.any()]
        assert len(found) == pytest.approx(300 * share, abs=30)
        for places in found:
            (top, left), (bottom, right) = places.min(0), places.max(0) + 1
            area = (bottom - top) * (right - left)
            assert 0.015 < area / (HEIGHT * WIDTH) < 0.42
            assert len(places) > 0.9 * area  # nearly every pixel of it differs


def test_later_changes_leave_the_draws_of_earlier_ones_alone():
    images, seeds = np.stack([NOISE] * 20), generators(20)
    plain = Augmentation(shift=0.1, flip=True, contrast=0.3).apply(images, seeds)
    erased = Augmentation(shift=0.1, flip=True, contrast=0.3, erasing=0.5).apply(images, generators(20))
    assert 0 < sum((one != other).any() for one, other in zip(plain, erased, strict=True)) < 20


@pytest.mark.parametrize(
    ("numbers", "values"),
    [
        ({"crop_area": 0.0}, ("crop_area", 0, 1)),
        ({"crop_area": 1.5}, ("crop_area", 0, 1)),
        ({"rand_augment": 11}, ("rand_augment", 10)),
        ({"erasing": -0.1}, ("erasing", 0, 1)),
        ({"trivial_augment": True, "rand_augment": 1.0}, ("trivial_augment", "rand_augment", "False")),
        ({"trivial_augment": 1}, ("trivial_augment", "True or False")),
    ],
)
def test_impossible_policies_are_refused(numbers, values):
    with raises(ValueError, *values):
        Augmentation(**numbers)
