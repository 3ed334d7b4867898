import numpy as np
from PIL import Image

from resnet50.data.finding import Pictures, Place
from resnet50.data.headers import odd_files, read_headers
from resnet50.data.images import Header
from resnet50.data.split import Split


def split(labels, sources=None, side=32):
    return Split(
        images=np.zeros((len(labels), side, side, 3), np.uint8),
        labels=np.asarray(labels, dtype=np.int64),
        class_names=("a", "b", "c"),
        sources=tuple(sources or (f"file {k}" for k in range(len(labels)))),
        dataset="some",
    )


def header(width=64, height=64, mode="RGB", form="JPEG", oriented=False):
    return Header(width, height, mode, form, oriented)


def find(labels, headers):
    return list(odd_files(Pictures({"training": split(labels)}), {"training": headers}))


def test_headers_are_read_where_there_are_files(tmp_path):
    Image.new("L", (30, 20)).save(tmp_path / "grey.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    (tmp_path / "deep").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "deep" / "turned.jpg", exif=turned)
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
    assert small.summary == "2 of 3 files (66.7%) are smaller than half of 32 pixels."
    assert small.examples == (
        (Place("file 2", "training", 2, "a", "18 x 14 pixels"),),
        (Place("file 1", "training", 1, "b", "20 x 15 pixels"),),
    )


def test_long_files_are_told_the_longest_first_and_three_to_two_is_not_long():
    headers = [header(300, 200), header(500, 333), header(300, 190), header(100, 400)]
    (long,) = find([0] * 4, headers)
    assert (long.kind, long.severity) == ("long", "note")
    assert long.summary == ("2 of 4 files (50.0%) are so long that cutting the middle to a square loses more than 35%.")
    assert [example[0].remark for example in long.examples] == ["100 x 400 pixels", "300 x 190 pixels"]


def test_mixed_forms_are_told_by_what_is_usual():
    modes = ["L", "L", "L", "RGB", "CMYK", "I;16", "CMYK"]
    (mixed,) = find([0, 1] * 3 + [0], [header(mode=mode) for mode in modes])
    assert (mixed.kind, mixed.severity) == ("modes", "note")
    assert mixed.summary == (
        "4 of 7 files (57.1%) are of another form than the others, which are grey: 2 CMYK, 1 RGB, 1 grey of 16 bits."
    )
    assert [example[0].remark for example in mixed.examples] == ["RGB", "CMYK", "grey of 16 bits", "CMYK"]


def test_turned_files_are_told():
    (turned,) = find([0, 1], [header(), header(oriented=True)])
    assert (turned.kind, turned.severity) == ("turned", "note")
    assert turned.summary == "1 of 2 files (50.0%) is stored turned or mirrored, as their EXIF says."
    assert turned.examples == ((Place("file 1", "training", 1, "b"),),)


def test_a_class_whose_files_have_a_size_of_their_own_is_told():
    labels = [0] * 20 + [1] * 20 + [2] * 20
    sizes = [(64, 48), (48, 64)] * 10 + [(60 + k, 80) for k in range(40)]
    (told,) = find(labels, [header(*size) for size in sizes])
    assert (told.kind, told.severity) == ("telltale", "warning")
    assert told.summary == "1 of 3 classes can be told by the form of their files: a (64 x 48 pixels)."
    assert [place.index for place in told.examples[0]] == [0, 1, 2, 3]
    sizes[20:23] = [(64, 48)] * 3  # now others have it too: 20 of 23 are of the class
    assert find(labels, [header(*size) for size in sizes]) == []
    sizes = [(64, 48)] * 17 + [(60 + k, 80) for k in range(43)]  # 17 of the class's 20
    assert find(labels, [header(*size) for size in sizes]) == []


def test_a_class_of_another_format_or_mode_is_told():
    formats = ["PNG"] * 12 + ["JPEG"] * 30
    (told,) = find([0] * 12 + [1] * 30, [header(form=form) for form in formats])
    assert told.summary == "2 of 3 classes can be told by the form of their files: a (PNG), b (JPEG)."
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
    assert told.summary == "1 of 3 classes can be told by the form of their files: a (JPEG)."
