"""Paths in a CSV file that are spelled otherwise than on the disk, and labels and headers that mean something else."""

from __future__ import annotations

import os
import unicodedata

import pytest

from factories import raises, write_image
from resnet50.data.listing import list_images
from resnet50.data.table_paths import FileFinder

CAFE = "caf\u00e9"


def write_table(folder, *rows, header="path,label"):
    (folder / "list.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return folder / "list.csv"


@pytest.fixture
def photos(tmp_path):
    for name in ("cats/0.png", "cats/IMG_1.JPG", f"dogs/{CAFE}.png", "dogs/2.png"):
        write_image(tmp_path / name)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("cats/0.png", "cats/0.png"),
        ("cats\\0.png", "cats/0.png"),
        (".\\cats\\0.png", "cats/0.png"),
        ("dogs/../cats/0.png", "cats/0.png"),
        ("dogs\\..\\cats\\0", "cats/0.png"),
        ("cats/0", "cats/0.png"),
        ("Cats/img_1.jpg", "cats/IMG_1.JPG"),
        (f"dogs/{unicodedata.normalize('NFD', CAFE)}.png", f"dogs/{CAFE}.png"),
        (f"dogs\\{unicodedata.normalize('NFD', CAFE)}", f"dogs/{CAFE}.png"),
    ],
)
def test_a_file_is_found_where_its_path_is_spelled_otherwise(photos, text, name):
    assert os.path.normpath(FileFinder(photos).find(text)) == str(photos / name)
    assert os.path.normpath(FileFinder(photos / "gone").find(str(photos / text))) == str(photos / name)


@pytest.mark.parametrize("text", ["cats/9.png", "cats/9", "birds/0.png", "cats", "", "..", "a\0b", "C:\\cats\\0.png"])
def test_a_path_that_means_no_file_stays_as_it_is(photos, text):
    assert FileFinder(photos).find(text) == photos / text


def test_a_backslash_in_a_name_is_kept_where_there_is_such_a_file(photos):
    if os.sep == "\\":
        pytest.skip("a backslash separates names here")
    write_image(photos / "cats\\0.png")
    assert FileFinder(photos).find("cats\\0.png") == photos / "cats\\0.png"


def test_a_path_that_may_mean_several_files_is_refused(photos):
    write_image(photos / "cats" / "0.jpg")
    path = write_table(photos, "dogs/2,dog", "cats/0,cat")
    with raises(ValueError, path, 3, "0.jpg", "0.png"):
        list_images(path)


@pytest.mark.parametrize("header", ["path,label", "filename,class", "Image ID,category", "file-name,class_name"])
def test_usual_names_of_columns_are_known(photos, header):
    listing = list_images(write_table(photos, "cats/0,cat", "dogs/2.png,dog", header=header))
    assert [(each.path.name, listing.class_names[each.label]) for each in listing.entries] == [
        ("0.png", "cat"),
        ("2.png", "dog"),
    ]


def test_a_files_name_goes_before_an_id(photos):
    path = write_table(photos, "7,cats/0.png,cat", "8,dogs/2.png,dog", header="id,filename,label")
    assert [each.path.name for each in list_images(path).entries] == ["0.png", "2.png"]


def test_one_image_with_two_labels_is_refused_with_both(photos):
    path = write_table(photos, "cats/0.png,cat", "dogs/2.png,dog", "cats\\0.png,small")
    with raises(ValueError, path, 4, 2, "cats\\0.png", "cat", "small"):
        list_images(path)


@pytest.mark.parametrize("label", ["cat|dog", "dog;small", "cat, dog"])
def test_a_label_of_two_classes_is_refused(photos, label):
    path = write_table(photos, "cats/0.png,cat", "dogs/2.png,dog", f'cats/IMG_1.JPG,"{label}"')
    with raises(ValueError, path, repr(label), "dog"):
        list_images(path)


def test_a_label_with_a_bar_of_its_own_is_a_class(photos):
    listing = list_images(
        write_table(photos, "cats/0.png,red|round", "dogs/2.png,blue", '"cats/IMG_1.JPG","blue, big"')
    )
    assert listing.class_names == ("blue", "blue, big", "red|round")


def test_a_url_is_no_path(photos):
    path = write_table(photos, "dogs/2.png,dog", "https://a.b/c.png,cat")
    with raises(ValueError, path, 3, "https://a.b/c.png", "download"):
        list_images(path)


def test_images_that_lie_in_a_folder_beside_the_table_are_named(photos):
    path = write_table(photos, "0,cat", "IMG_1,dog")
    with raises(ValueError, path, photos, 2, "in cats"):
        list_images(path)


def test_an_unknown_header_is_refused_with_what_to_change(photos):
    path = write_table(photos, "cats/0.png,cat", header="picture,label")
    with raises(ValueError, path, "picture, label", "name the column", "path"):
        list_images(path)


@pytest.mark.skipif(os.name == "nt", reason="no colons in names on Windows")
def test_a_folder_whose_name_ends_in_a_colon_is_no_url(photos):
    (photos / "cats").rename(photos / "cat-7:")
    table = write_table(photos, "cat-7:/0.png,cat", "./cat-7:/IMG_1.JPG,cat", "dogs/2.png,dog")
    assert len(list_images(table).entries) == 3
    with raises(ValueError, "https://host/0.png"):
        list_images(write_table(photos, "https://host/0.png,cat", "dogs/2.png,dog"))
