import re
from dataclasses import replace

from PIL import Image

from factories import dataset, write_image
from resnet50.data.finding import Pictures, Place
from resnet50.data.headers import LOST, odd_files, read_headers
from resnet50.data.images import Header


def split(labels, sources=()):
    return dataset(labels, ("ants", "bees", "wasps"), size=(32, 32), paths=sources)


def header(width=64, height=64, mode="RGB", form="JPEG", oriented=False):
    return Header(width, height, mode, form, oriented)


def find(labels, headers):
    return list(odd_files(Pictures({"training": split(labels)}), {"training": headers}))


def holds(text, *values):
    """Whether a text of one line holds these values, each as a word of its own."""
    words = re.findall(r"[\w;.,]*\w%?", text)
    return "\n" not in text and {str(value) for value in values} <= set(words)


def remarks(finding):
    return [example[0].remark for example in finding.examples]


def test_headers_are_read_where_there_are_files(tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    write_image(tmp_path / "deep" / "turned.jpg", exif=turned)
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    told = []
    parts = {
        "training": split([0, 1], ["grey.png", "some.h5#3"]),
        "test": split([0, 1], ["deep/turned.jpg", "broken.jpg"]),
    }
    read = read_headers(parts, tmp_path, progress=lambda *step: told.append(step))
    assert read == {
        "training": [Header(30, 20, "L", "PNG", False), None],
        "test": [Header(20, 30, "RGB", "JPEG", True), None],
    }
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_like_files_are_not_told():
    assert find([0, 1] * 20, [header(60 + k // 2, 64) for k in range(40)]) == []
    assert find([0, 1], [None, None]) == []
    assert list(odd_files(Pictures({"training": split([0, 1])}), {})) == []


def test_small_files_are_told_the_smallest_first():
    (small,) = find([0, 1, 0, 1], [header(16, 16), header(20, 15), header(18, 14), None])
    assert (small.kind, small.severity) == ("small", "note")
    assert holds(small.summary, 2, 3, "66.7%", 32)
    assert [tuple(replace(place, remark="") for place in example) for example in small.examples] == [
        (Place("2.png", "training", 2, "ants"),),
        (Place("1.png", "training", 1, "bees"),),
    ]
    first, second = remarks(small)
    assert holds(first, 18, 14)
    assert holds(second, 20, 15)


def test_long_files_are_told_the_longest_first_and_three_to_two_is_not_long():
    headers = [header(300, 200), header(500, 333), header(300, 190), header(100, 400)]
    (long,) = find([0] * 4, headers)
    assert (long.kind, long.severity) == ("long", "note")
    assert holds(long.summary, 2, 4, "50.0%", f"{LOST:.0%}")
    first, second = remarks(long)
    assert holds(first, 100, 400)
    assert holds(second, 300, 190)


def test_mixed_forms_are_told_by_what_is_usual():
    modes = ["L", "L", "L", "RGB", "CMYK", "I;16", "CMYK"]
    (mixed,) = find([0, 1] * 3 + [0], [header(mode=mode) for mode in modes])
    assert (mixed.kind, mixed.severity) == ("modes", "note")
    first, second, deep, last = remarks(mixed)
    assert [first, second, last] == ["RGB", "CMYK", "CMYK"]
    assert holds(deep, 16)
    (other,) = find([0, 1, 0], [header(), header(), header(mode="L")])
    (grey,) = remarks(other)
    assert grey not in ("RGB", deep)
    assert holds(mixed.summary, 4, 7, "57.1%", 2, "CMYK", 1, "RGB")
    assert grey in mixed.summary.replace(deep, "", 1)  # what is usual


def test_turned_files_are_told():
    (turned,) = find([0, 1], [header(), header(oriented=True)])
    assert (turned.kind, turned.severity) == ("turned", "note")
    assert holds(turned.summary, 1, 2, "50.0%", "EXIF")
    assert turned.examples == ((Place("1.png", "training", 1, "bees"),),)


def test_a_class_whose_files_have_a_size_of_their_own_is_told():
    labels = [0] * 20 + [1] * 20 + [2] * 20
    sizes = [(64, 48), (48, 64)] * 10 + [(60 + k, 80) for k in range(40)]
    (told,) = find(labels, [header(*size) for size in sizes])
    assert (told.kind, told.severity) == ("telltale", "warning")
    assert holds(told.summary, 1, 3, "ants", 64, 48)
    assert [place.index for place in told.examples[0]] == [0, 1, 2, 3]
    sizes[20:23] = [(64, 48)] * 3  # now others have it too: 20 of 23 are of the class
    assert find(labels, [header(*size) for size in sizes]) == []
    sizes = [(64, 48)] * 17 + [(60 + k, 80) for k in range(43)]  # 17 of the class's 20
    assert find(labels, [header(*size) for size in sizes]) == []


def test_a_class_of_another_format_or_mode_is_told():
    formats = ["PNG"] * 12 + ["JPEG"] * 30
    (told,) = find([0] * 12 + [1] * 30, [header(form=form) for form in formats])
    assert holds(told.summary, 2, 3, "ants", "PNG", "bees", "JPEG")
    assert [(places[0].class_name, places[0].remark) for places in told.examples] == [("ants", "PNG"), ("bees", "JPEG")]
    modes = ["L"] * 12 + ["RGB"] * 30
    kinds = [finding.kind for finding in find([0] * 12 + [1, 2] * 15, [header(mode=mode) for mode in modes])]
    assert kinds == ["telltale", "modes"]
    few = find([0] * 9 + [1, 2] * 15, [header(form=form) for form in formats[3:]])
    assert few == []


def test_a_form_tells_nothing_where_hardly_any_picture_is_of_another_class():
    formats = ["JPEG"] * 30 + ["PNG"] * 9
    assert find([0] * 30 + [1] + [2] * 8, [header(form=form) for form in formats]) == []
    assert find([0] * 30, [header() for _ in range(30)]) == []  # the one class that there is
    (told,) = find([0] * 30 + [1] * 5 + [2] * 5, [header(form=form) for form in [*formats, "PNG"]])
    assert holds(told.summary, 1, 3, "ants", "JPEG")
    assert not holds(told.summary, "PNG")
