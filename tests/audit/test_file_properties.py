import re
from dataclasses import replace

from PIL import Image

from factories import dataset, write_image
from resnet50.audit.file_properties import CROPPED, odd_files, read_headers
from resnet50.audit.issue import AllImages, Place
from resnet50.data.fit import Fit
from resnet50.data.headers import Headers
from resnet50.data.images import Header
from resnet50.data.splits import DatasetSplits


def labeled(labels, paths=()):
    return dataset(labels, ("ants", "bees", "wasps"), size=(32, 32), paths=paths)


def header(width=64, height=64, mode="RGB", file_format="JPEG", oriented=False):
    return Header(width, height, mode, file_format, oriented)


def find(labels, headers, **options):
    return list(odd_files(AllImages({"train": labeled(labels)}), {"train": Headers.of(headers)}, **options))


def holds(text, *values):
    """Whether a text of one line holds these values, each as a word of its own."""
    words = re.findall(r"[\w;.,]*\w%?", text)
    return "\n" not in text and {str(value) for value in values} <= set(words)


def remarks(issue):
    return [example[0].remark for example in issue.examples]


def test_headers_are_read_where_there_are_files(tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "gray.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    write_image(tmp_path / "deep" / "turned.jpg", exif=turned)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    steps = []
    splits = DatasetSplits(
        train=labeled([0, 1], ["gray.png", "some.h5#3"]),
        test=labeled([0, 1], ["deep/turned.jpg", "broken.jpg"]),
        root=tmp_path,
    )
    read = read_headers(splits, progress=lambda *step: steps.append(step))
    assert read == {
        "train": [Header(30, 20, "L", "PNG", False), None],
        "test": [Header(20, 30, "RGB", "JPEG", True), None],
    }
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert read_headers(replace(splits, root=None)) == {}


def test_known_headers_are_not_read_again(tmp_path):
    known = Header(30, 20, "L", "PNG", False)
    splits = DatasetSplits(train=labeled([0, 1], ["gray.png", "none.png"]), root=tmp_path, headers={"gray.png": known})
    assert read_headers(splits) == {"train": [known, None]}


def test_files_that_are_alike_raise_no_issue():
    assert find([0, 1] * 20, [header(60 + k // 2, 64) for k in range(40)]) == []
    assert find([0, 1], [None, None]) == []
    assert list(odd_files(AllImages({"train": labeled([0, 1])}), {})) == []


def test_small_files_are_listed_smallest_first():
    (small,) = find([0, 1, 0, 1], [header(16, 16), header(20, 15), header(18, 14), None])
    assert (small.kind, small.severity) == ("low-resolution", "note")
    assert holds(small.summary, 2, 3, "66.7%", 32)
    assert [tuple(replace(place, remark="") for place in example) for example in small.examples] == [
        (Place("2.png", "train", 2, "ants"),),
        (Place("1.png", "train", 1, "bees"),),
    ]
    first, second = remarks(small)
    assert holds(first, 18, 14)
    assert holds(second, 20, 15)


def test_long_files_are_listed_longest_first_and_three_to_two_is_not_long():
    headers = [header(300, 200), header(500, 333), header(300, 190), header(100, 400)]
    (long,) = find([0] * 4, headers)
    assert (long.kind, long.severity) == ("odd-aspect-ratio", "warning")
    assert holds(long.summary, 2, 4, "50.0%", f"{CROPPED:.0%}")
    first, second = remarks(long)
    assert holds(first, 100, 400)
    assert holds(second, 300, 190)


def test_a_few_long_files_are_a_note_and_padded_ones_lose_nothing():
    headers = [header(300, 200)] * 19 + [header(400, 100)]
    (long,) = find([0] * 20, headers)
    assert long.severity == "note"
    assert find([0] * 20, headers, fit=Fit(mode="pad")) == []
    (cropped,) = find([0] * 20, [header(100, 100)] * 20, fit=Fit(crop_ratio=0.5))
    assert holds(cropped.summary, 20)


def test_color_modes_other_than_the_usual_one_are_listed():
    modes = ["L", "L", "L", "RGB", "CMYK", "I;16", "CMYK"]
    (mixed,) = find([0, 1] * 3 + [0], [header(mode=mode) for mode in modes])
    assert (mixed.kind, mixed.severity) == ("mixed-modes", "note")
    first, second, deep, last = remarks(mixed)
    assert [first, second, last] == ["RGB", "CMYK", "CMYK"]
    assert holds(deep, 16)
    (other,) = find([0, 1, 0], [header(), header(), header(mode="L")])
    (gray,) = remarks(other)
    assert gray not in ("RGB", deep)
    assert holds(mixed.summary, 4, 7, "57.1%", 2, "CMYK", 1, "RGB")
    assert gray in mixed.summary.replace(deep, "", 1)  # what is usual


def test_files_with_an_exif_orientation_are_listed():
    (turned,) = find([0, 1], [header(), header(oriented=True)])
    assert (turned.kind, turned.severity) == ("exif-orientation", "note")
    assert holds(turned.summary, 1, 2, "50.0%", "EXIF")
    assert turned.examples == ((Place("1.png", "train", 1, "bees"),),)


def test_a_file_size_that_predicts_a_class():
    labels = [0] * 20 + [1] * 20 + [2] * 20
    sizes = [(64, 48), (48, 64)] * 10 + [(60 + k, 80) for k in range(40)]
    (spurious,) = find(labels, [header(*size) for size in sizes])
    assert (spurious.kind, spurious.severity) == ("spurious-property", "warning")
    assert holds(spurious.summary, 1, 3, "ants", 64, 48)
    assert [place.index for place in spurious.examples[0]] == [0, 1, 2, 3]
    sizes[20:23] = [(64, 48)] * 3  # now others have it too: 20 of 23 are of the class
    assert find(labels, [header(*size) for size in sizes]) == []
    sizes = [(64, 48)] * 17 + [(60 + k, 80) for k in range(43)]  # 17 of the class's 20
    assert find(labels, [header(*size) for size in sizes]) == []


def test_a_format_or_mode_that_predicts_a_class():
    formats = ["PNG"] * 12 + ["JPEG"] * 30
    (spurious,) = find([0] * 12 + [1] * 30, [header(file_format=file_format) for file_format in formats])
    assert holds(spurious.summary, 2, 3, "ants", "PNG", "bees", "JPEG")
    assert [(places[0].class_name, places[0].remark) for places in spurious.examples] == [
        ("ants", "PNG"),
        ("bees", "JPEG"),
    ]
    modes = ["L"] * 12 + ["RGB"] * 30
    kinds = [issue.kind for issue in find([0] * 12 + [1, 2] * 15, [header(mode=mode) for mode in modes])]
    assert kinds == ["spurious-property", "mixed-modes"]
    few = find([0] * 9 + [1, 2] * 15, [header(file_format=file_format) for file_format in formats[3:]])
    assert few == []


def test_a_property_predicts_nothing_if_hardly_any_image_is_of_another_class():
    formats = ["JPEG"] * 30 + ["PNG"] * 9
    assert find([0] * 30 + [1] + [2] * 8, [header(file_format=file_format) for file_format in formats]) == []
    assert find([0] * 30, [header() for _ in range(30)]) == []  # the one class that there is
    (spurious,) = find(
        [0] * 30 + [1] * 5 + [2] * 5, [header(file_format=file_format) for file_format in [*formats, "PNG"]]
    )
    assert holds(spurious.summary, 1, 3, "ants", "JPEG")
    assert not holds(spurious.summary, "PNG")
