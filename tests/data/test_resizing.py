import numpy as np
import pytest
from PIL import Image

from resnet50.data.fit import Fit
from resnet50.data.resizing import decoded_size, fit_pixels


def wide(size=(640, 80), marked=0):
    """A gray image with a white square at its left end."""
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    pixels[:, marked : marked + size[1]] = 255
    return Image.fromarray(pixels)


def test_a_crop_shows_the_middle_alone():
    assert (fit_pixels(wide(), (64, 64), Fit()) == 90).all()


def test_a_crop_ratio_is_the_middle_of_a_larger_image():
    """224 pixels of an image whose shorter side is resized to 256, as publishers test."""
    noise = np.random.default_rng(0).integers(0, 256, (30, 40, 3)).astype(np.uint8)
    image = Image.fromarray(noise).resize((1536, 768), Image.Resampling.BICUBIC)  # smooth: resampling hardly matters
    whole = image.resize((512, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(whole.crop((144, 16, 144 + 224, 16 + 224)), float)
    pixels = fit_pixels(image, (224, 224), Fit(crop_ratio=0.875))
    assert np.abs(pixels - expected).mean() < 3
    assert np.abs(fit_pixels(image, (224, 224), Fit()) - expected).mean() > 10


def test_stretching_shows_all_in_another_shape():
    pixels = fit_pixels(wide(), (64, 64), Fit(mode="stretch"))
    assert (pixels[:, :7] == 255).all()
    assert (pixels[:, 12:] == 90).all()


@pytest.mark.parametrize(("size", "turned"), [((640, 80), False), ((80, 640), True)])
def test_padding_shows_all_in_its_shape(size, turned):
    image = wide().transpose(Image.Transpose.ROTATE_270) if turned else wide()
    assert image.size == size
    pixels = fit_pixels(image, (64, 64), Fit(mode="pad", pad_color="#ff0010"))
    pixels = pixels.transpose(1, 0, 2) if turned else pixels
    assert (pixels[:28] == (255, 0, 16)).all()
    assert (pixels[36:] == (255, 0, 16)).all()
    assert (pixels[28:36, :6] == 255).all()
    assert (pixels[28:36, 12:] == 90).all()


def test_padding_by_the_border_has_its_mean_color():
    pixels = np.full((20, 40, 3), 200, np.uint8)
    pixels[1:-1, 1:-1] = 10
    padded = fit_pixels(Image.fromarray(pixels), (40, 40), Fit(mode="pad"))
    assert (padded[:10] == 200).all()
    assert (padded[30:] == 200).all()
    np.testing.assert_array_equal(padded[10:30], pixels)


@pytest.mark.parametrize("fit", [Fit(), Fit(crop_ratio=0.5), Fit(mode="pad"), Fit(mode="stretch")], ids=str)
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
@pytest.mark.parametrize("size", [(1, 1), (3, 200), (47, 33)])
def test_every_shape_and_mode_becomes_rgb_of_the_size(fit, mode, size):
    pixels = fit_pixels(Image.new("RGB", size, "white").convert(mode), (32, 48), fit)
    assert pixels.shape == (48, 32, 3)
    assert pixels.dtype == np.uint8
    assert pixels.flags.writeable
    assert (pixels == 255).all()


def test_resampling_differs():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3)).astype(np.uint8))
    bicubic, bilinear = (fit_pixels(noise, (64, 64), Fit(resampling=name)) for name in ("bicubic", "bilinear"))
    assert (bicubic != bilinear).any()


def test_a_smaller_crop_needs_a_larger_image():
    assert decoded_size((64, 96), Fit()) == 192
    assert decoded_size((64, 96), Fit(crop_ratio=0.5)) == 384
