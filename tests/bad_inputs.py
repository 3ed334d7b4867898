"""Bad data: for each row of docs/guides/bad_data.md with the columns check and train, what builds its input.

A builder gets a folder of two classes with 24 sound images each, in which `check` finds nothing. It changes it, or
writes something else beside it.
"""

from __future__ import annotations

import shutil
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image, ImageOps, features

from factories import fixed_camera, write_image
from resnet50.plots.save import save_figure

CLASSES, EACH = ("cats", "dogs"), 24
SOUND = len(CLASSES) * EACH

Builder = Callable[[Path], Path | Sequence[Path | str] | None]


@dataclass(frozen=True)
class BadData:
    """One row.

    Attributes:
        build: Builds the input from a folder of sound images; returns what the commands get, or several such things;
            None for that folder.
        kind: Kind of the issue that reports it; "" if it is the worst of all issues, or there is none.
        images: Number of images that training uses; None if it is not compared.
    """

    build: Builder
    kind: str = ""
    images: int | None = None


BAD_DATA: dict[str, BadData] = {}
"""What a row's first cell describes."""


def row(text: str, *, kind: str = "", images: int | None = None) -> Callable[[Builder], Builder]:
    def add(build: Builder) -> Builder:
        assert text not in BAD_DATA, text
        BAD_DATA[text] = BadData(build, kind, images)
        return build

    return add


def only_on(*systems: str) -> None:
    """Skip a row on systems that cannot store its names."""
    if sys.platform not in systems:
        pytest.skip(f"names that {sys.platform} cannot store")


def picture(seed: int | Sequence[int]) -> np.ndarray:
    """Return an image of 52 x 52 pixels that resembles no other."""
    blocks = np.random.default_rng(seed).integers(20, 236, (4, 4, 3))
    return np.repeat(np.repeat(blocks, 13, axis=0), 13, axis=1).astype(np.uint8)


def sound_images(root: Path, *, each: int = EACH, classes: Sequence[str] = CLASSES, seed: int = 0) -> Path:
    for label, name in enumerate(classes):
        for index in range(each):
            write_image(root / name / f"{index:02}.png", picture((seed, label, index)))
    return root


def table(pets: Path, rows: Sequence[str], header: str = "path,label") -> Path:
    """Write a CSV file beside the class folders."""
    path = pets / "list.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def rows_of(pets: Path, more: Callable[[int], str] = lambda index: "") -> list[str]:
    return [f"{name}/{index:02}.png,{name}{more(index)}" for name in CLASSES for index in range(EACH)]


def into_splits(pets: Path, *, test: int = 6) -> Path:
    """Move the images into folders train and test."""
    for name in CLASSES:
        for index in range(EACH):
            target = pets / ("test" if index < test else "train") / name
            target.mkdir(parents=True, exist_ok=True)
            shutil.move(pets / name / f"{index:02}.png", target)
        (pets / name).rmdir()
    return pets


def chunk(kind: bytes, content: bytes) -> bytes:
    checked = kind + content
    return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))


def png(width: int, height: int, bits: int, color_type: int, pixels: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


# Files


@row(
    "a truncated JPEG, a PNG with a wrong checksum, an empty file, an HTML page named `.png`",
    kind="unreadable",
    images=SOUND,
)
def damaged(pets: Path) -> None:
    whole = write_image(pets / "cats" / "cut.jpg", picture(1000)).read_bytes()
    (pets / "cats" / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    changed = bytearray(write_image(pets / "cats" / "changed.png", picture(1001)).read_bytes())
    changed[60] ^= 1
    (pets / "cats" / "changed.png").write_bytes(changed)
    (pets / "dogs" / "empty.png").write_bytes(b"")
    (pets / "dogs" / "page.png").write_bytes(b"<!DOCTYPE html><html></html>")


@row("HEIC, camera raw, ICO, JPEG 2000", kind="unreadable", images=SOUND)
def other_formats(pets: Path) -> None:
    (pets / "cats" / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(100))
    (pets / "cats" / "old.jp2").write_bytes(b"\0\0\0\x0cjP  " + bytes(100))
    (pets / "dogs" / "raw.nef").write_bytes(b"MM\0*" + bytes(100))
    write_image(pets / "dogs" / "icon.ico", picture(1000))


@row("more than a tenth of all files, or of those of a class, unreadable", kind="unreadable")
def many_damaged(pets: Path) -> list[Path]:
    of_a_class = Path(shutil.copytree(pets, pets.with_name("class")))
    for index in range(6):
        (pets / CLASSES[index % 2] / f"broken{index}.png").write_bytes(b"no image")
    for index in range(4):
        (of_a_class / "cats" / f"broken{index}.png").write_bytes(b"no image")
    return [pets, of_a_class]


@row("a file that declares billions of pixels", kind="unreadable", images=SOUND)
def huge(pets: Path) -> None:
    (pets / "cats" / "huge.png").write_bytes(png(100_000, 100_000, 8, 2, b"\0"))


@row("gray, palette, CMYK, transparency", kind="mixed-modes", images=SOUND + 4)
def modes(pets: Path) -> None:
    for index, (mode, suffix) in enumerate((("L", "png"), ("P", "png"), ("CMYK", "jpg"), ("RGBA", "png"))):
        Image.fromarray(picture(1000 + index)).convert(mode).save(pets / CLASSES[index % 2] / f"{mode}.{suffix}")


@row("more than 8 bits: gray of 16 or 32 bits, colors of 16 bits, floats", images=SOUND)
def deep(pets: Path) -> list[Path]:
    sources = []
    for name, dtype in (("short", np.uint16), ("long", np.int32), ("float", np.float32)):
        sources.append(pets.with_name(name))
        for index in range(SOUND):
            values = (picture(index).mean(axis=2) * 16).astype(dtype)
            write_image(sources[-1] / CLASSES[index % 2] / f"{index}.tif", values)
    return sources


@row("floats with NaN or infinite pixels, at most half of an image", kind="left-out", images=SOUND)
def not_finite(pets: Path) -> None:
    for index in range(SOUND):
        values = picture(index).mean(axis=2).astype(np.float32)
        values[0], values[1] = np.nan, np.inf
        write_image(pets / CLASSES[index % 2] / f"{index // 2:02}.tif", values)
    for path in pets.rglob("*.png"):
        path.unlink()


@row("an image with more of them than that", kind="unreadable", images=SOUND)
def hardly_finite(pets: Path) -> None:
    values = np.full((52, 52), np.nan, np.float32)
    values[:10] = 1
    write_image(pets / "cats" / "nan.tif", values)


@row("EXIF orientation", kind="exif-orientation", images=SOUND + 1)
def turned(pets: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    write_image(pets / "cats" / "turned.png", picture(1000), exif=exif)


@row("a panorama, or a very small image", images=SOUND + 2)
def odd_sizes(pets: Path) -> None:
    write_image(pets / "cats" / "wide.png", np.tile(picture(1000), (1, 4, 1)))
    write_image(pets / "cats" / "small.png", picture(1001)[::4, ::4])


@row("more than a tenth of the images very wide or high", kind="odd-aspect-ratio", images=SOUND)
def wide(pets: Path) -> None:
    for index in range(5):
        write_image(pets / "cats" / f"{index:02}.png", np.tile(picture((1, index)), (1, 3, 1)))


@row("an animation, a TIFF of several pages", kind="left-out", images=SOUND + 2)
def frames(pets: Path) -> None:
    more = [Image.fromarray(picture(index)) for index in (1001, 1002)]
    for name in ("cats/moving.webp", "dogs/pages.tif"):
        write_image(pets / name, picture((1000, len(name))), save_all=True, append_images=more)


@row("a suffix that does not fit, such as a PNG named `.jpg`", images=SOUND + 1)
def other_suffix(pets: Path) -> None:
    write_image(pets / "cats" / "x.png", picture(1000)).rename(pets / "cats" / "x.jpg")


@row("a JPEG with damaged bytes in the middle", images=SOUND + 1)
def changed_jpeg(pets: Path) -> None:
    path = write_image(pets / "cats" / "changed.jpg", picture(1000), quality=95)
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 8):
        content[place] = (content[place] ^ 5) % 255
    path.write_bytes(content)


@row("PPM, PGM, PBM; AVIF where Pillow has it", images=SOUND)
def portable(pets: Path) -> None:
    suffixes = ["ppm", "avif"] if features.check("avif") else ["ppm"]
    for index, path in enumerate(sorted(pets.rglob("*.png"))):
        with Image.open(path) as image:
            image.save(path.with_suffix(f".{suffixes[index % len(suffixes)]}"))
        path.unlink()


@row("PPM with more than 8 bits a channel", kind="unreadable", images=SOUND)
def deep_portable(pets: Path) -> None:
    (pets / "cats" / "deep.ppm").write_bytes(b"P6 52 52 4095\n" + picture(1000).astype(">u2").tobytes())


def add_files(folder: Path) -> None:
    for name in ("scan.dcm", "array.npy", "notes.txt", "IMG_0001"):
        (folder / name).write_bytes(b"x")


@row("`.dcm`, `.npy`, `.txt`, no suffix; hidden images", kind="left-out", images=SOUND)
def no_images(pets: Path) -> None:
    add_files(pets / "cats")
    write_image(pets / "dogs" / ".hidden.png", picture(1000))


@row("the same beside the class folders", kind="left-out", images=SOUND)
def no_images_above(pets: Path) -> None:
    add_files(pets)


@row("figures, runs, reports and exports of this library", kind="left-out", images=SOUND)
def own_files(pets: Path) -> None:
    save_figure(Figure(), pets / "cats" / "00-explained.png")
    for name in ("run/recipe.json", "run/environment.json", "export/resnet50.json", "export/model.onnx"):
        (pets / name).parent.mkdir(exist_ok=True)
        (pets / name).write_text("{}", encoding="utf-8")
    write_image(pets / "run" / "curves.png", picture(1000))


@row("other hidden files, hidden folders, `__MACOSX`, `@eaDir`", images=SOUND)
def of_systems(pets: Path) -> None:
    (pets / "cats" / ".DS_Store").write_bytes(b"x")
    for folder in (".git", "__MACOSX", "@eaDir"):
        write_image(pets / folder / "cats" / "0.png", picture(1000))


# Folders and tables


@row("images beside the class folders")
def loose(pets: Path) -> None:
    write_image(pets / "loose.png", picture(1000))


@row("one class only")
def one_class(pets: Path) -> None:
    shutil.rmtree(pets / "dogs")


@row("one folder around the class folders")
def one_around(pets: Path) -> Path:
    outer = pets.with_name("outer")
    outer.mkdir()
    pets.rename(outer / "pets")
    return outer


@row("a class that only the test split has")
def only_tested(pets: Path) -> None:
    write_image(into_splits(pets) / "test" / "birds" / "0.png", picture(1000))


@row("control characters in the name of a class")
def commanding_class(pets: Path) -> None:
    only_on("linux", "darwin")
    (pets / "cats").rename(pets / "c\x1bats")


@row("a class without test images", kind="missing-class", images=SOUND - 6)
def never_tested(pets: Path) -> None:
    shutil.rmtree(into_splits(pets) / "test" / "dogs")


@row("a class whose images all cannot be read", kind="missing-class")
def unreadable_class(pets: Path) -> None:
    (pets / "birds").mkdir()
    for index in range(3):
        (pets / "birds" / f"{index}.png").write_bytes(b"no image")


@row("a class folder, `val` or `test` without images; a link to nothing", kind="left-out", images=SOUND)
def empty_folders(pets: Path) -> list[Path]:
    split = into_splits(Path(shutil.copytree(pets, pets.with_name("split"))), test=0)
    (split / "test" / "cats").mkdir(parents=True)
    (split / "val").mkdir()
    (pets / "birds").mkdir()
    (pets / "cats" / "more").symlink_to(pets / "gone")
    return [pets, split]


@row("CSV: a file that does not exist", kind="unreadable", images=SOUND)
def missing_file(pets: Path) -> Path:
    return table(pets, [*rows_of(pets), "cats/gone.png,cats"])


def tables_with(pets: Path, *rows: str) -> list[Path]:
    """Write a table for each of these rows, in place of the first sound one."""
    return [table(pets, [bad, *rows_of(pets)[1:]]).rename(pets / f"{number}.csv") for number, bad in enumerate(rows)]


@row("CSV: an empty label, or an image twice, with one label or two")
def bad_rows(pets: Path) -> list[Path]:
    return tables_with(pets, "cats/00.png,", "cats/01.png,cats", "cats/01.png,dogs")


@row("CSV: `cats\\1.png`, no suffix, another case, accents composed differently", images=SOUND)
def other_spelling(pets: Path) -> list[Path]:
    (pets / "cats" / "00.png").rename(pets / "cats" / "caf\u00e9.png")
    return tables_with(
        pets, *(f"{path},cats" for path in ("cats\\caf\u00e9.png", "Cats/CAF\u00c9", "cats/cafe\u0301.png"))
    )


@row("CSV: `1` where there are `1.jpg` and `1.png`")
def two_files(pets: Path) -> list[Path]:
    write_image(pets / "cats" / "00.jpg", picture(1000))
    return tables_with(pets, "cats/00,cats")


@row("CSV: `filename,class`, `image_id,label` and other usual headers", images=SOUND)
def other_headers(pets: Path) -> list[Path]:
    headers = ("filename,class", "image_id,label")
    return [table(pets, rows_of(pets), header).rename(pets / f"{header}.csv") for header in headers]


@row("CSV: `cats;dogs` where `cats` is a class; a URL as the path")
def no_label_or_path(pets: Path) -> list[Path]:
    return tables_with(pets, "cats/00.png,cats;dogs", "https://example.org/00.png,cats")


@row("a URL, `-` or a link to nothing as the source")
def describe_missing_source(pets: Path) -> list[str]:
    link = pets.with_name("link")
    link.symlink_to(pets.with_name("gone"))
    return ["https://example.org/pets.zip", "-", str(link)]


@row("one or two images of each class", kind="unusable")
def few(pets: Path) -> list[Path]:
    return [sound_images(pets.with_name(f"few{each}"), each=each) for each in (1, 2)]


@row("test images alone", kind="unusable")
def test_alone(pets: Path) -> None:
    shutil.rmtree(into_splits(pets) / "train")


@row("CSV: a column such as `Patient_ID` whose values repeat, no column `group`", kind="other-columns", images=SOUND)
def patients(pets: Path) -> Path:
    return table(pets, rows_of(pets, lambda index: f",p{index // 4}"), "path,label,Patient_ID")


@row("CSV: other columns", kind="other-columns", images=SOUND)
def more_columns(pets: Path) -> Path:
    return table(pets, rows_of(pets, lambda index: f",note {index}"), "path,label,remark")


# Labels and splits


@row("a test image that has a near-duplicate in training", kind="leak", images=SOUND + 1)
def leak(pets: Path) -> None:
    shutil.copy(into_splits(pets) / "train" / "cats" / "20.png", pets / "test" / "cats" / "copy.png")


@row("one image in two classes", kind="label-conflict", images=SOUND + 1)
def two_labels(pets: Path) -> None:
    shutil.copy(pets / "cats" / "00.png", pets / "dogs" / "copy.png")


@row("near-duplicates in one class, no test split", kind="near-duplicates", images=SOUND + 1)
def twin(pets: Path) -> None:
    write_image(pets / "cats" / "again.jpg", picture((0, 0, 0)), quality=95, subsampling=0)


@row("near-equal images of a fixed camera", kind="look-alike", images=SOUND)
def one_scene(pets: Path) -> None:
    for index, pixels in enumerate(fixed_camera(SOUND)):
        write_image(pets / CLASSES[index % 2] / f"{index // 2:02}.png", pixels)


@row("fewer than 20 images, all near-duplicates", kind="unusable")
def few_of_one_scene(pets: Path) -> Path:
    folder = pets.with_name("few")
    for index, pixels in enumerate(fixed_camera(16)):
        write_image(folder / CLASSES[index % 2] / f"{index // 2:02}.png", pixels)
    return folder


@row("mirror images in two classes, such as left and right", kind="mirrored-classes")
def mirrored(pets: Path) -> None:
    for name, new in zip(CLASSES, ("left", "right"), strict=True):
        (pets / name).rename(pets / new)
    for path in (pets / "left").iterdir():
        with Image.open(path) as image:
            ImageOps.mirror(image).save(pets / "right" / path.name)


def into_subfolders(pets: Path, name: Callable[[int], str]) -> None:
    for path in sorted(pets.rglob("*.png")):
        folder = path.parent / name(int(path.stem))
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)


@row(
    "`benign/patient07/...`: five or more subfolders a class, with numbers in their names",
    kind="folder-groups",
    images=SOUND,
)
def patient_folders(pets: Path) -> None:
    into_subfolders(pets, lambda index: f"patient{index % 8:02}")


@row("other subfolders of class folders", images=SOUND)
def other_subfolders(pets: Path) -> None:
    into_subfolders(pets, lambda index: ("day", "night")[index % 2])


@row("a group (patient, specimen) in two splits of a CSV file", kind="group-leak", images=SOUND)
def shared_group(pets: Path) -> Path:
    def split(index: int) -> str:
        return f",{'test' if index < 6 else 'train'},p{index % 10}"

    return table(pets, rows_of(pets, split), "path,label,split,group")


@row("a subfolder of one name in the folders of two splits", kind="subfolders", images=SOUND)
def shared_subfolder(pets: Path) -> None:
    for split in (into_splits(pets) / "train", pets / "test"):
        into_subfolders(split, lambda index: f"scan{index % 3}")


@row("fewer than 10 images of a class; one class 5 times as large", images=SOUND - 20)
def unequal(pets: Path) -> None:
    for index in range(4, EACH):
        (pets / "cats" / f"{index:02}.png").unlink()


@row("classes `Cat` and `cat`, `1` and `01`, `dog` and `dog_`", kind="similar-classes", images=6 * EACH)
def similar_names(pets: Path) -> Path:
    only_on("linux")
    return sound_images(pets.with_name("similar"), classes=("Cat", "cat", "1", "01", "dog", "dog_"))


@row("an image of a single color", kind="single-color", images=SOUND + 1)
def one_color(pets: Path) -> None:
    write_image(pets / "cats" / "red.png", "red", size=(52, 52))


@row("one class in another file format, size or color mode", kind="spurious-property", images=SOUND)
def other_class_format(pets: Path) -> None:
    for path in sorted((pets / "dogs").iterdir()):
        with Image.open(path) as image:
            image.save(path.with_suffix(".jpg"))
        path.unlink()


@row("images in the wrong class", images=SOUND)
def wrong_class(pets: Path) -> None:
    (pets / "cats" / "00.png").rename(pets / "dogs" / "new.png")
