import errno
import json
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin

from factories import noise, raises, write_image
from resnet50.data import images
from resnet50.data.fit import Fit
from resnet50.data.images import SUFFIXES, TemporaryError, crop_image, measure_value_range, read_header, read_image
from resnet50.data.resizing import fit_pixels

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
# how an image is stored that EXIF calls 2..8
STORED = ("FLIP_LEFT_RIGHT", "ROTATE_180", "FLIP_TOP_BOTTOM", "TRANSPOSE", "ROTATE_90", "TRANSVERSE", "ROTATE_270")


def quarters(height=40, width=60):
    """An image whose four quarters differ: which way up it lies shows."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = RED
    pixels[: height // 2, width // 2 :] = GREEN
    pixels[height // 2 :, : width // 2] = BLUE
    pixels[height // 2 :, width // 2 :] = WHITE
    return Image.fromarray(pixels)


def corners(pixels):
    """The colors of the four quarters, each from its middle."""
    height, width = pixels.shape[:2]
    return [
        tuple(int(round(v / 255) * 255) for v in pixels[y, x])
        for y in (height // 4, height * 3 // 4)
        for x in (width // 4, width * 3 // 4)
    ]


def read_small(path):
    return read_image(path, height=8, width=8)


def refusal(path, *values, kind=ValueError, cause=Exception, read=read_small):
    """Why a file is refused, without its path; what is no image has a cause, what is no file has none."""
    with raises(kind, path) as raised:
        read(path)
    assert raised.type is kind
    assert isinstance(raised.value.__cause__, type(None) if kind is FileNotFoundError else cause)
    text = str(raised.value).replace(str(path), "", 1)
    assert [value for value in values if str(value) not in text] == [], text
    return text


def refused_as_no_image(path, read=read_small):
    """Pillow's own words for it name the path once more."""
    return str(path) not in refusal(path, cause=UnidentifiedImageError, read=read)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".JPG", ".mpo"])
def test_reads_every_format(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    options = {"save_all": True, "append_images": [quarters().rotate(180)]} if suffix == ".mpo" else {}
    quarters().save(path, **options)
    pixels = read_image(str(path), height=20, width=30)
    assert (pixels.shape, pixels.dtype, pixels.flags.writeable) == ((20, 30, 3), np.uint8, True)
    assert corners(pixels) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("orientation", "stored"),
    [
        (1, lambda image: image),
        (2, lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        (3, lambda image: image.transpose(Image.Transpose.ROTATE_180)),
        (4, lambda image: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)),
        (5, lambda image: image.transpose(Image.Transpose.TRANSPOSE)),
        (6, lambda image: image.transpose(Image.Transpose.ROTATE_90)),
        (7, lambda image: image.transpose(Image.Transpose.TRANSVERSE)),
        (8, lambda image: image.transpose(Image.Transpose.ROTATE_270)),
    ],
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_turns_an_image_as_its_exif_says(tmp_path, orientation, stored, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored(quarters()).save(tmp_path / f"a{suffix}", exif=exif)
    assert corners(read_image(tmp_path / f"a{suffix}", height=40, width=60)) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turning_changes_no_pixel(tmp_path, orientation):
    turns = [None, *(getattr(Image.Transpose, name) for name in STORED)]
    smooth = Image.fromarray(noise(23, 31, 3)).resize((150, 111))
    exif = Image.Exif()
    exif[0x0112] = orientation
    turn = turns[orientation - 1]
    (smooth if turn is None else smooth.transpose(turn)).save(tmp_path / "a.png", exif=exif)
    smooth.save(tmp_path / "b.png")
    turned, plain = (read_image(tmp_path / name, height=37, width=50) for name in ("a.png", "b.png"))
    np.testing.assert_array_equal(turned, plain)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0MM\0*\xff\xff\xff\xff", b"\0" * 9, b"Exif\0\0" + b"II*\0" * 40]
)
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_damaged_exif_is_passed_over(tmp_path, exif, suffix):
    quarters().save(tmp_path / f"a{suffix}", exif=exif)
    assert corners(read_image(tmp_path / f"a{suffix}", height=40, width=60)) == [RED, GREEN, BLUE, WHITE]
    assert not read_header(tmp_path / f"a{suffix}").oriented


@pytest.mark.parametrize("value", [0, 9, 77])
def test_an_orientation_that_is_none_is_passed_over(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    quarters().save(tmp_path / "a.jpg", exif=exif)
    assert corners(read_image(tmp_path / "a.jpg", height=40, width=60)) == [RED, GREEN, BLUE, WHITE]
    assert not read_header(tmp_path / "a.jpg").oriented


def test_an_image_on_its_side_keeps_its_detail(tmp_path):
    """A JPEG is decoded at a fraction of its size; which must not be chosen by the sides before it is turned."""
    exif = Image.Exif()
    exif[0x0112] = 6
    lines = np.zeros((400, 3200, 3), np.uint8)  # as stored: rows of light and dark, columns once it is turned
    lines[::2] = 255
    write_image(tmp_path / "a.jpg", lines, exif=exif, quality=95)
    turned = read_image(tmp_path / "a.jpg", height=80, width=400)
    assert turned.std() > 100  # decoded at half its size, the lines would be gray


@pytest.mark.parametrize("orientation", [3, 5, 7])
def test_turns_the_real_ones(shared_data, orientation):
    upright = read_image(shared_data / "bad_images" / "hopper.webp", height=64, width=64).astype(float)
    path = shared_data / "bad_images" / f"hopper_orientation_{orientation}.jpg"
    pixels = read_image(path, height=64, width=64)
    likeness = [
        np.corrcoef(upright.ravel(), turned.ravel())[0, 1] for turned in (pixels, pixels[::-1], pixels[:, ::-1])
    ]
    assert likeness[0] > 0.95
    assert max(likeness[1:]) < 0.9


@pytest.mark.parametrize(
    ("size", "kept"), [((400, 100), (slice(None), slice(150, 250))), ((100, 300), (slice(100, 200), slice(None)))]
)
def test_cuts_the_middle_out(tmp_path, size, kept):
    pixels = np.full((size[1], size[0], 3), (255, 0, 0), np.uint8)
    pixels[kept] = (0, 0, 255)
    write_image(tmp_path / "a.png", pixels)
    assert (read_image(tmp_path / "a.png", height=50, width=50) == (0, 0, 255)).all(axis=-1).mean() > 0.95


def test_an_image_of_the_wanted_size_is_not_touched(tmp_path):
    pixels = noise(17, 23, 3)
    write_image(tmp_path / "a.png", pixels)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", height=17, width=23), pixels)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1)])
def test_reads_the_smallest(tmp_path, size):
    write_image(tmp_path / "a.png", "#0ac81e", size=size)
    pixels = read_image(tmp_path / "a.png", height=16, width=9)
    assert pixels.shape == (16, 9, 3)
    assert (pixels == (10, 200, 30)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_lays_what_is_transparent_on_white(tmp_path, mode):
    image = Image.new("RGBA", (40, 40), (90, 90, 90, 255))
    image.paste((0, 0, 0, 0), (0, 0, 20, 40))
    image.paste((0, 0, 0, 128), (0, 20, 20, 40))
    image.convert(mode).save(tmp_path / "a.tif" if mode == "PA" else tmp_path / "a.png")
    path = next(tmp_path.iterdir())
    pixels = read_image(path, height=40, width=40)
    assert (pixels[2:18, 2:18] == 255).all()
    assert np.abs(pixels[22:38, 2:18].astype(int) - 127).max() <= 2
    assert (pixels[:, 22:] == 90).all()


def test_what_is_transparent_has_no_color_that_spreads(tmp_path):
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))  # a red that nobody sees
    image.paste((0, 0, 255, 255), (32, 0, 64, 64))
    image.save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png", height=9, width=9).astype(int)
    assert (pixels[..., 0] >= pixels[..., 1] - 1).all()
    assert (np.abs(pixels[..., 0] - pixels[..., 1]) <= 2).all()  # white and blue alone mix


@pytest.mark.parametrize("suffix", [".png", ".gif"])
def test_knows_the_transparent_color_of_a_palette(tmp_path, suffix):
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 10, 200, 30, 255, 0, 0])
    image.paste(2, (0, 0, 10, 20))
    image.save(tmp_path / f"a{suffix}", transparency=2)
    pixels = read_image(tmp_path / f"a{suffix}", height=20, width=20)
    assert (pixels[:, 1:9] == 255).all()
    assert (pixels[:, 11:] == (10, 200, 30)).all()


@pytest.mark.parametrize(("mode", "transparency"), [("L", 77), ("RGB", (77, 77, 77))])
def test_knows_a_transparent_color_without_a_palette(tmp_path, mode, transparency):
    image = Image.new(mode, (20, 20), transparency)
    image.paste(ImageOps.grayscale(quarters(20, 10)).convert(mode), (10, 0))
    image.save(tmp_path / "a.png", transparency=transparency)
    assert (read_image(tmp_path / "a.png", height=20, width=20)[:, 1:9] == 255).all()


FULL = Fit(value_range=(0, 65535))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_reads_sixteen_bits_of_gray_in_the_given_range(tmp_path, suffix):
    deep = np.linspace(0, 40000, 32 * 48).reshape(32, 48).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / f"a{suffix}")
    pixels = read_image(tmp_path / f"a{suffix}", height=32, width=48, fit=FULL)
    assert np.abs(pixels - (deep / 65535 * 255)[..., None]).max() <= 1
    pixels = read_image(tmp_path / f"a{suffix}", height=32, width=48, fit=Fit(value_range=(10000, 20000)))
    assert np.abs(pixels - ((deep - 10000.0) / 10000 * 255).clip(0, 255)[..., None]).max() <= 1


def test_reads_sixteen_bits_of_color(shared_data):
    path = shared_data / "bad_images" / "tiff_16bit_RGB.tiff"
    pixels = read_image(path, height=128, width=128, fit=FULL)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.fit(image.convert("RGB"), (128, 128)), dtype=float)
    assert np.abs(pixels - expected).mean() < 3
    assert pixels.std() > 5


def chunk(kind, content):
    """Return a chunk of a PNG."""
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def sixteen_bit_png(values, color_type):
    """Return a PNG of 16 bits a channel, which Pillow does not write in color."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, color_type, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PNG = b"\x89PNG\r\n\x1a\n"


def test_colors_of_twelve_bits_in_sixteen_are_not_black(tmp_path):
    values = np.random.default_rng(0).integers(0, 4096, (16, 24, 3))
    (tmp_path / "a.png").write_bytes(sixteen_bit_png(values, color_type=2))
    assert measure_value_range([tmp_path / "a.png"]) == (0, 4095)
    pixels = read_image(tmp_path / "a.png", height=16, width=24, fit=Fit(value_range=(0, 4095)))
    np.testing.assert_array_equal(pixels, np.rint(values / 4095 * 255))


def test_opacity_of_sixteen_bits_has_a_range_of_its_own(tmp_path):
    values = np.full((8, 8, 4), 4095)
    values[..., 3] = np.where(np.arange(8) < 4, 65535, 0)  # opaque at the left; white shines through at the right
    values[:, :4, :3] = 0
    (tmp_path / "a.png").write_bytes(sixteen_bit_png(values, color_type=6))
    pixels = read_image(tmp_path / "a.png", height=8, width=8, fit=Fit(value_range=(0, 4095)))
    assert (pixels[:, 0] == 0).all()
    assert (pixels[:, 7] == 255).all()


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.full((8, 8), 900, np.uint16), id="16 bits"),
        pytest.param(np.full((8, 8), 900, np.int32), id="32 bits"),
        pytest.param(np.full((8, 8), 0.5, np.float32), id="floats"),
    ],
)
def test_more_than_eight_bits_without_a_range_are_refused(tmp_path, values):
    Image.fromarray(values).save(tmp_path / "a.tif")
    refusal(tmp_path / "a.tif", "8 bits", "value range")


def test_colors_of_sixteen_bits_without_a_range_or_of_another_layout_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(sixteen_bit_png(np.zeros((8, 8, 3), int), color_type=2))
    refusal(tmp_path / "a.png", "16 bits", "value range")
    (tmp_path / "b.png").write_bytes(sixteen_bit_png(np.zeros((8, 8, 2), int), color_type=4))
    refusal(tmp_path / "b.png", "LA;16B", "8 bits")


def test_one_range_is_measured_for_all_files(tmp_path):
    base = np.random.default_rng(0).integers(500, 4000, (64, 64)).astype(np.uint16)
    hot = base.copy()
    hot[0, 0] = 65535
    for name, values in (("base", base), ("hot", hot)):
        Image.fromarray(values).save(tmp_path / f"{name}.tif")
    quarters().save(tmp_path / "shallow.png")
    (tmp_path / "damaged.tif").write_bytes(b"II*\0 not an image")
    value_range = measure_value_range(sorted(tmp_path.iterdir()))
    assert value_range == (0, 4095)
    means = [
        read_image(tmp_path / f"{name}.tif", height=64, width=64, fit=Fit(value_range=value_range)).mean()
        for name in ("base", "hot")
    ]
    assert means == pytest.approx([base.mean() / 4095 * 255] * 2, abs=0.5)
    assert measure_value_range([tmp_path / "shallow.png"]) is None


@pytest.mark.parametrize(("number", "becomes"), [(np.nan, 0), (np.inf, 255), (-np.inf, 0)])
def test_pixels_that_are_not_finite_do_not_spread(tmp_path, number, becomes):
    values = np.full((8, 8), 0.5, np.float32)
    values[2, 3] = number
    Image.fromarray(values).save(tmp_path / "a.tif")
    pixels = read_image(tmp_path / "a.tif", height=8, width=8, fit=Fit(value_range=(0, 1)))
    assert (pixels[2, 3] == becomes).all()
    assert (np.delete(pixels.reshape(-1, 3), 2 * 8 + 3, axis=0) == 128).all()


def test_an_image_with_hardly_a_finite_pixel_is_refused(tmp_path):
    values = np.full((8, 8), np.nan, np.float32)
    values[0] = 1
    Image.fromarray(values).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="88%"):
        read_image(tmp_path / "a.tif", height=8, width=8, fit=Fit(value_range=(0, 1)))


@pytest.mark.parametrize(("mode", "suffix"), [("CMYK", ".jpg"), ("CMYK", ".tif"), ("YCbCr", ".jpg")])
def test_reads_print_and_video_colors(tmp_path, mode, suffix):
    quarters().convert(mode).save(tmp_path / f"a{suffix}")
    assert corners(read_image(tmp_path / f"a{suffix}", height=40, width=60)) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", ".jpg"), ("L", ".png"), ("1", ".png"), ("P", ".gif"), ("P", ".bmp")]
)
def test_reads_gray_black_and_white_and_palettes(tmp_path, mode, suffix):
    Image.fromarray(np.repeat([[0, 255]], 20, axis=0).repeat(20, axis=1).astype(np.uint8)).convert(mode).save(
        tmp_path / f"a{suffix}"
    )
    pixels = read_image(tmp_path / f"a{suffix}", height=20, width=40)
    assert (pixels[:, :17] < 5).all()
    assert (pixels[:, 23:] > 250).all()


def test_black_and_white_is_shrunk_to_grays(tmp_path):
    board = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    board.convert("1").save(tmp_path / "a.png")
    assert np.abs(read_image(tmp_path / "a.png", height=8, width=8).astype(int) - 127).max() < 10


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_takes_the_first_frame(tmp_path, suffix):
    first, second = Image.new("RGB", (20, 20), BLUE), Image.new("RGB", (20, 20), RED)
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=[second])
    assert np.abs(read_image(tmp_path / f"a{suffix}", height=20, width=20).astype(int) - BLUE).max() < 5


@pytest.mark.parametrize(
    "content", [b"", b"some text\n", b"<html><body>not found</body></html>", b"\xff\xd8", b"GIF89a"]
)
def test_refuses_what_is_no_image(tmp_path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert refused_as_no_image(path)


@pytest.mark.parametrize("name", ["a.ico", "a.tga", "a.eps", "a.jp2"])
def test_refuses_formats_that_are_not_named(tmp_path, name):
    quarters().save(tmp_path / name)
    assert refused_as_no_image(tmp_path / name)


def portable(kind, values, top):
    """A PGM (P5) or PPM (P6) file of values from 0 to a stated top."""
    head = f"{kind}\n# a comment\n{values.shape[1]} {values.shape[0]}\n{top}\n"
    return head.encode() + values.astype(">u2" if top > 255 else np.uint8).tobytes()


def test_reads_portable_gray_of_any_stated_depth(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (16, 24))
    for top, scale in ((255, 1), (4095, 4095 / 255), (65535, 65535 / 255)):
        (tmp_path / "a.pgm").write_bytes(portable("P5", np.rint(values * scale), top))
        pixels = read_image(tmp_path / "a.pgm", height=16, width=24, fit=FULL)
        assert np.abs(pixels - values[..., None]).max() <= 1


@pytest.mark.parametrize("top", [4095, 65535])
def test_refuses_portable_colors_of_more_than_8_bits(tmp_path, top):
    """Pillow reads 8 bits of the stated depth: values of 12 bits in 16 would be black."""
    values = np.random.default_rng(0).integers(0, 4096, (16, 24, 3))
    (tmp_path / "a.ppm").write_bytes(portable("P6", values, top))
    refusal(tmp_path / "a.ppm", "8 bits", "PNG")
    (tmp_path / "a.ppm").write_bytes(portable("P6", values % 100, 99))
    assert read_image(tmp_path / "a.ppm", height=16, width=24).max() == 255


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".gif", ".tif", ".ppm", ".avif"])
def test_refuses_a_file_cut_off(tmp_path, suffix):
    whole = write_image(tmp_path / f"whole{suffix}", noise(80, 80, 3))
    content = whole.read_bytes()
    path = tmp_path / f"cut{suffix}"
    for share in (0.1, 0.5, 0.9):
        path.write_bytes(content[: int(len(content) * share)])
        refusal(path)


def test_random_damage_gives_no_other_error(tmp_path):
    rng = np.random.default_rng(1)
    for suffix in (".jpg", ".png", ".bmp", ".gif", ".webp"):
        path = tmp_path / f"a{suffix}"
        quarters().save(path)
        content = path.read_bytes()
        for _ in range(40):
            damaged = bytearray(content)
            for at in rng.integers(0, min(len(content), 400), 6):
                damaged[at] = rng.integers(256)
            path.write_bytes(damaged)
            try:
                assert read_image(path, height=8, width=8).shape == (8, 8, 3)
            except ValueError as error:
                assert error.__cause__ is not None
                assert str(path) in str(error)
                assert "\n" not in str(error)


def test_refuses_what_is_no_file(tmp_path):
    nothing = refusal(tmp_path / "a.jpg", kind=FileNotFoundError)
    assert refusal(tmp_path, "folder", kind=FileNotFoundError) != nothing
    (tmp_path / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    assert str(tmp_path / "gone.jpg") in refusal(tmp_path / "b.jpg", kind=FileNotFoundError)
    refusal(tmp_path / ("a" * 300), os.strerror(errno.ENAMETOOLONG))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_does_not_wait_for_a_pipe_or_a_device(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    pipe = refusal(tmp_path / "a.jpg", kind=FileNotFoundError)
    assert refusal("/dev/zero", kind=FileNotFoundError) == pipe
    nothing, folder = (refusal(path, kind=FileNotFoundError) for path in (tmp_path / "b.jpg", tmp_path))
    assert pipe not in (nothing, folder)


def test_refuses_more_pixels_than_memory_should_hold(tmp_path, monkeypatch):
    quarters().save(tmp_path / "a.png")
    monkeypatch.setattr(images, "_MAX_PIXELS", 2000)
    refusal(tmp_path / "a.png", 60, 40, "2,000", cause=ValueError)


def declared(path, width, height):
    """A PNG whose header alone is sound."""
    content = bytearray(write_image(path, size=(1, 1)).read_bytes())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    path.write_bytes(content)


def test_a_png_may_have_sixty_million_pixels(tmp_path):
    declared(tmp_path / "a.png", 10_000, 6000)
    refusal(tmp_path / "a.png", "truncated", cause=OSError)  # so it went on to the pixels, Pillow says
    declared(tmp_path / "a.png", 10_001, 6000)
    for read in (read_header, read_small):
        refusal(tmp_path / "a.png", 10_001, 6000, "60,000,000", cause=ValueError, read=read)
    declared(tmp_path / "a.png", 60_000, 60_000)
    refusal(tmp_path / "a.png", "120,000,000", cause=Image.DecompressionBombError)


def test_a_jpeg_may_have_the_pixels_of_a_large_phone(tmp_path):
    quarters().save(tmp_path / "a.jpg")
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    at = content.index(b"\xff\xc0") + 5
    for width, height in ((12_000, 9000), (12_000, 10_000), (12_000, 10_001)):
        content[at : at + 4] = struct.pack(">HH", height, width)
        (tmp_path / "a.jpg").write_bytes(content)
        if height <= 10_000:
            assert read_header(tmp_path / "a.jpg").width == width
        else:
            refusal(tmp_path / "a.jpg", 12_000, 10_001, "120,000,000", cause=ValueError, read=read_header)


@pytest.mark.parametrize(("more", "refused"), [(0, False), (40, False), (41, True), (2000, True)])
def test_refuses_a_jpeg_of_many_scans(tmp_path, more, refused):
    """A scan goes over all pixels and may take a hundred bytes: half a megabyte could be decoded for an hour."""
    Image.new("RGB", (64, 64), (200, 30, 60)).save(tmp_path / "a.jpg", progressive=True)  # ten scans
    content = (tmp_path / "a.jpg").read_bytes()
    last = content.rindex(b"\xff\xda")
    thumbnail = b"\xff\xe1\x00\x42" + b"\xff\xda" * 32  # what stands in metadata is no scan
    content = content[:2] + thumbnail + content[2:last] + content[last:-2] * (1 + more) + b"\xff\xd9"
    (tmp_path / "a.jpg").write_bytes(content)
    if refused:
        refusal(tmp_path / "a.jpg", 10 + more, 50, cause=ValueError)
    else:
        assert np.abs(read_image(tmp_path / "a.jpg", height=64, width=64).astype(int) - (200, 30, 60)).max() < 3


def tiled(path, width, height, tile, data):
    """A TIFF, RGB, deflated, of one tile."""
    start = 8 + len(data)
    tags = [(256, width), (257, height), (258, None), (259, 8), (262, 2), (277, 3)]
    tags += [(322, tile[0]), (323, tile[1]), (324, 8), (325, len(data))]
    bits = start + 2 + 12 * len(tags) + 4
    content = struct.pack("<2sHI", b"II", 42, start) + data + struct.pack("<H", len(tags))
    for tag, value in tags:
        content += struct.pack("<HHII", tag, 3, 3, bits) if value is None else struct.pack("<HHII", tag, 4, 1, value)
    path.write_bytes(content + struct.pack("<IHHH", 0, 8, 8, 8))


def test_refuses_a_small_image_of_a_huge_tile(tmp_path):
    """Libtiff decodes a tile as a whole: two megabytes of file, or none, become two gigabytes."""
    tiled(tmp_path / "a.tif", 16, 16, (16, 16), zlib.compress(bytes([9, 99, 199]) * 256))
    assert (read_image(tmp_path / "a.tif", height=16, width=16) == (9, 99, 199)).all()
    tiled(tmp_path / "a.tif", 16, 16, (32768, 21824), zlib.compress(bytes(768)))
    refusal(tmp_path / "a.tif", 32768, 21824, "60,000,000", cause=ValueError)


def test_names_an_error_without_words(tmp_path, monkeypatch):
    quarters().save(tmp_path / "a.png")

    def no_memory(*_, **__):
        raise MemoryError

    monkeypatch.setattr(images, "fit_pixels", no_memory)
    refusal(tmp_path / "a.png", "MemoryError", kind=TemporaryError, cause=MemoryError)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_an_error_of_the_machine_is_told_from_damage(tmp_path, monkeypatch, number):
    quarters().save(tmp_path / "a.png")
    (tmp_path / "damaged.png").write_bytes((tmp_path / "a.png").read_bytes()[:-20])
    refusal(tmp_path / "damaged.png", kind=ValueError)

    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(images.Image, "open", fail)
    refusal(tmp_path / "a.png", os.strerror(number), kind=TemporaryError)


PROBE = """
import json, resource, sys, warnings
import numpy
from resnet50.data.images import read_image
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
warnings.simplefilter("error")
for path in sys.argv[1:]:
    try:
        pixels = read_image(path, height=48, width=64)
        found = [list(pixels.shape), str(pixels.dtype)]
    except (ValueError, FileNotFoundError) as error:
        found = {"message": str(error), "kind": type(error).__name__, "cause": type(error.__cause__).__name__}
    with open("/proc/self/status") as status:  # what getrusage gives begins with the parent's
        used = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    print(json.dumps([path, found, used]))
"""


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")


def probe(paths):
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *map(str, paths)], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stderr == ""  # neither Pillow's warnings and log nor what libtiff prints
    return [json.loads(line) for line in done.stdout.splitlines()]


@linux
def test_every_bad_file_is_read_or_refused_in_a_line(shared_data):
    """In a process of its own, which leans on nothing loaded before, with little memory and a minute to compute."""
    results = probe(sorted((shared_data / "bad_images").iterdir()))
    assert len(results) == 35
    refused = set()
    for path, found, kilobytes in results:
        assert kilobytes < 1_000_000, path
        if isinstance(found, dict):
            assert found["kind"] == "ValueError"
            assert found["cause"] != "NoneType"
            assert path in found["message"]
            assert "\n" not in found["message"]
            refused.add(os.path.basename(path))  # noqa: PTH119
        else:
            assert found == [[48, 64, 3], "uint8"], path
    assert refused == {
        "badwidth.bmp",
        "broken_data_stream.png",
        "crash-2020-10-test.tif",
        "decompression_bomb.ico",
        "empty_zero_bytes.jpg",
        "html_named.png",
        "oom-225817ca0f8c663be7ab4b9e717b02c661e66834.tif",
        "reallybig.bmp",
        "shortfile.bmp",
        "tiff_16bit_RGB.tiff",
        "truncated_jpeg.jpg",
        "zero_width.gif",
    }


@linux
def test_a_fresh_process_gives_the_true_reason(tmp_path):
    """Pillow loads its readers one by one, and a reader not yet there must not become the reason."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"text")
    found = probe([path])[0][1]
    assert (found["kind"], found["cause"]) == ("ValueError", "UnidentifiedImageError")
    assert found["message"].count(str(path)) == 1  # and not what Pillow says, which names it too


@linux
@pytest.mark.parametrize(
    ("name", "mode", "color", "most"),
    [
        ("a.png", "L", 90, 75_000),
        ("a.png", "RGB", (1, 2, 3), 135_000),
        ("a.png", "LA", (90, 255), 215_000),
        ("a.jpg", "RGB", (1, 2, 3), 55_000),  # decoded at a fraction of its size
    ],
)
def test_a_large_image_takes_little_more_than_its_pixels(tmp_path, name, mode, color, most):
    size = (5000, 4000)  # 20 million pixels: 80 MB with three or four channels, twice where it is transparent
    Image.new(mode, size, color).save(tmp_path / name, compress_level=1)
    ((_, found, kilobytes),) = probe([tmp_path / name])
    assert found == [[48, 64, 3], "uint8"]
    assert kilobytes < most


def test_reads_a_photo_right_way_up(shared_data):
    path = shared_data / "photos" / "my_image_coursera.jpg"
    pixels = read_image(path, height=64, width=64)
    with warnings.catch_warnings(), Image.open(path) as image:
        warnings.simplefilter("ignore")
        plain = image.convert("RGB").reduce(8)  # every pixel has a say
        turn = {1: 0, 3: 180, 6: 270, 8: 90}[image.getexif().get(0x0112, 1)]
    expected = np.asarray(plain.rotate(turn, expand=True).resize((64, 64), Image.Resampling.BOX), dtype=float)
    assert np.abs(pixels - expected).mean() < 3


@pytest.mark.parametrize(("image_size", "mean", "worst"), [(64, 1.5, 5), (224, 0.01, 0.1)])
def test_decoding_at_a_fraction_loses_little(shared_data, image_size, mean, worst):
    """Against decoding all of it and resizing exactly, in gray levels."""
    differences = []
    for path in sorted((shared_data / "cats_dogs" / "test").rglob("*.jpg"))[::5]:
        with Image.open(path) as image:
            exact = ImageOps.fit(image, (image_size, image_size), Image.Resampling.BICUBIC)
        pixels = read_image(path, height=image_size, width=image_size)
        differences.append(np.abs(pixels.astype(int) - np.asarray(exact)).mean())
    assert len(differences) == 40
    assert np.mean(differences) < mean
    assert max(differences) < worst


def test_readers_that_overlap_are_quiet_to_the_last():
    before = list(warnings.filters)
    first, second = images._quiet, images._quiet
    first.__enter__()
    second.__enter__()
    first.__exit__()
    warnings.warn("of the second", UserWarning, stacklevel=1)  # an error, were it not ignored
    second.__exit__()
    assert warnings.filters == before
    with pytest.raises(UserWarning):
        warnings.warn("of neither", UserWarning, stacklevel=1)


def test_threads_leave_the_warnings_as_they_were(tmp_path):
    """Python's own way to ignore warnings in a block is not made for threads that leave it in another order."""
    Image.new("P", (300, 300)).save(tmp_path / "a.png", transparency=b"\0\1\2")  # Pillow warns of it
    before = list(warnings.filters)
    failed = []

    def read():
        try:
            for _ in range(20):
                read_image(tmp_path / "a.png", height=8, width=8)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert warnings.filters == before


@pytest.mark.parametrize(
    ("suffix", "mode", "name", "shown"),
    [
        (".jpg", "RGB", "JPEG", "RGB"),
        (".jpg", "L", "JPEG", "L"),
        (".jpg", "CMYK", "JPEG", "CMYK"),
        (".png", "RGBA", "PNG", "RGBA"),
        (".png", "I;16", "PNG", "I;16"),
        (".webp", "RGB", "WEBP", "RGB"),
        (".bmp", "RGB", "BMP", "RGB"),
        (".gif", "P", "GIF", "P"),
        (".tif", "1", "TIFF", "1"),
    ],
)
def test_the_header_says_what_the_file_is(tmp_path, suffix, mode, name, shown):
    Image.new(mode, (61, 43)).save(tmp_path / f"a{suffix}")
    header = read_header(str(tmp_path / f"a{suffix}"))
    assert (header.width, header.height, header.mode, header.format, header.oriented) == (61, 43, shown, name, False)


@pytest.mark.parametrize(("orientation", "size"), [(1, (60, 40)), (2, (60, 40)), (3, (60, 40)), (6, (40, 60))])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_the_header_gives_the_size_the_right_way_up(tmp_path, orientation, size, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    quarters().save(tmp_path / f"a{suffix}", exif=exif)
    header = read_header(tmp_path / f"a{suffix}")
    assert (header.width, header.height, header.oriented) == (*size, orientation != 1)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".bmp", ".gif", ".tif"])
def test_the_header_decodes_nothing(tmp_path, monkeypatch, suffix):
    quarters().save(tmp_path / f"a{suffix}")
    decoded = []
    for kind in (ImageFile.ImageFile, WebPImagePlugin.WebPImageFile, TiffImagePlugin.TiffImageFile):
        monkeypatch.setattr(kind, "load", lambda *_: decoded.append("pixels"))
    assert read_header(tmp_path / f"a{suffix}").width == 60
    assert not decoded


def test_the_header_is_read_without_the_pixels(tmp_path):
    path = write_image(tmp_path / "a.png", noise(400, 600, 3))
    path.write_bytes(path.read_bytes()[:200])
    assert read_header(path).width == 600
    refusal(path)


def test_refuses_a_header_that_is_none(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"<html>")
    assert refused_as_no_image(tmp_path / "a.jpg", read_header)
    refusal(tmp_path / "b.jpg", kind=FileNotFoundError, read=read_header)


@pytest.mark.parametrize("place", [40, 200, -30, -5])
def test_a_png_whose_bytes_have_changed_is_refused(tmp_path, place):
    """Pillow compares no checksum of the pixels, so that a changed byte may give another image."""
    path = write_image(tmp_path / "a.png", noise(20, 20, 3))
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    refusal(path)


def test_a_png_in_memory_is_compared_too(tmp_path):
    content = bytearray(write_image(tmp_path / "a.png", noise(20, 20, 3)).read_bytes())
    content[300] ^= 1
    with raises(ValueError, "image", "IDAT"):
        images.fit_image(bytes(content), height=8, width=8)


def test_a_system_that_loads_pillows_library_once_reads_images(tmp_path, monkeypatch):
    """As Windows may."""

    def refuse(name):
        raise OSError("a second time")

    monkeypatch.setattr(images.ctypes, "CDLL", refuse)
    images._silence_libtiff.__wrapped__()
    write_image(tmp_path / "a.tif", noise(8, 8, 3))
    assert read_image(tmp_path / "a.tif", height=8, width=8).shape == (8, 8, 3)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_a_piece_is_cut_out_of_the_whole_upright_image(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = write_image(tmp_path / "a.jpg", noise(50, 90, 3), exif=exif, quality=95)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    asked = []

    def draw(height, width):
        asked.append((height, width))
        return 5, 10, 37, 40

    piece = crop_image(path.read_bytes(), draw, height=20, width=24, fit=Fit(crop_ratio=0.5, resampling="bilinear"))
    assert asked == [upright.shape[:2]]
    expected = Image.fromarray(upright[10:40, 5:37]).resize((24, 20), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(piece, np.asarray(expected))


def test_a_piece_of_a_png_that_is_turned_after_its_pixels_is_cut_out_of_the_upright_image(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = noise(20, 40, 3)
    content = write_image(tmp_path / "a.png", pixels).read_bytes()
    end = chunk(b"IEND", b"")
    turned = content.removesuffix(end) + chunk(b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")) + end
    piece = crop_image(turned, lambda height, width: (0, 0, width, height), height=40, width=20)
    np.testing.assert_array_equal(piece, np.rot90(pixels, -1))


def test_a_piece_of_a_large_jpeg_is_decoded_at_a_fraction_of_its_size(tmp_path, monkeypatch):
    smooth = np.asarray(Image.fromarray(noise(8, 12, 3)).resize((1201, 803), Image.Resampling.BICUBIC))
    content = write_image(tmp_path / "a.jpg", smooth, quality=95).read_bytes()
    decoded = []
    monkeypatch.setattr(
        images, "fit_pixels", lambda image, *rest: decoded.append(image.size) or fit_pixels(image, *rest)
    )
    for box, size in (
        ((0, 0, 1201, 803), (150, 100)),  # an eighth
        ((600, 3, 1201, 404), (150, 100)),  # a quarter
        ((10, 10, 60, 50), (50, 40)),
    ):
        piece = crop_image(content, lambda height, width, box=box: box, height=40, width=60)
        assert decoded.pop() == size
        left, top, right, bottom = box
        expected = Image.fromarray(smooth[top:bottom, left:right]).resize((60, 40), Image.Resampling.BICUBIC)
        assert np.abs(piece.astype(int) - np.asarray(expected)).mean() < 3


def test_a_piece_of_what_is_no_image_is_refused():
    with raises(ValueError, "shard 3"):
        crop_image(b"broken", lambda height, width: (0, 0, 1, 1), height=8, width=8, name="shard 3")
