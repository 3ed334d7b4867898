import errno
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from factories import draw_image, raises
from resnet50.data.images import SUFFIXES
from resnet50.data.labeled_file import class_name
from resnet50.data.listing import SPLITS, Entry, list_images

SPLIT_NAMES = ("train", "training", "val", "valid", "validation", "test", "testing")


def tree(root, *names):
    """Empty files: no image is opened by a listing."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def table(tmp_path, text, encoding="utf-8"):
    tree(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode(encoding))
    return path


def entries_of(listing):
    """Each image's path below the root, class name, split and group."""
    return [
        (each.path.relative_to(listing.root).as_posix(), listing.class_names[each.label], each.split, each.group)
        for each in listing.entries
    ]


def refusal(source, *values, kind=ValueError, **options):
    """Why a source is refused; all values but paths stand beside the paths, which hold the name of the test."""
    with raises(kind, *values) as raised:
        list_images(source, **options)
    assert raised.type is kind
    text = str(raised.value)
    assert text.isprintable()
    beside = text.replace(str(source), "").replace(str(source.parent), "")
    assert [value for value in values if not isinstance(value, Path) and str(value) not in beside] == [], text
    return text


WALK = os.walk


def backwards(*args, **options):
    """A disk that gives its names in another order."""
    for folder, folders, files in WALK(*args, **options):
        folders.sort(reverse=True)
        yield folder, folders, sorted(files, reverse=True)


# class folders


def test_a_folder_for_each_class(tmp_path):
    tree(tmp_path / "pets", "dogs/1.jpg", "cats/2.png", "cats/10.JPG", "birds/a/b/3.webp", "birds/4.tif")
    listing = list_images(str(tmp_path / "pets"))
    assert listing.class_names == ("birds", "cats", "dogs")
    assert listing.name == "pets"
    assert listing.root == tmp_path / "pets"
    assert entries_of(listing) == [
        ("birds/4.tif", "birds", None, ""),
        ("birds/a/b/3.webp", "birds", None, ""),
        ("cats/10.JPG", "cats", None, ""),
        ("cats/2.png", "cats", None, ""),
        ("dogs/1.jpg", "dogs", None, ""),
    ]
    assert listing.entries[0] == Entry(str(tmp_path / "pets" / "birds" / "4.tif"), label=0, split=None, group="")
    with pytest.raises(FrozenInstanceError):
        listing.name = "other"


def test_the_name_of_a_folder_given_as_a_dot(tmp_path, monkeypatch):
    tree(tmp_path / "pets", "dogs/1.jpg", "cats/2.png")
    monkeypatch.chdir(tmp_path / "pets")
    assert list_images(".").name == "pets"
    assert list_images(".").entries[0].path == Path("cats/2.png")


def test_other_files_are_ignored(tmp_path):
    tree(
        tmp_path, "cats/1.jpg", "dogs/2.jpg", "notes.txt", "cats/1.txt", "cats/Thumbs.db", "cats/desktop.ini", "cats/x"
    )
    tree(tmp_path, ".cache/3.jpg", "cats/._1.jpg", "cats/.hidden.jpg", "__MACOSX/cats/1.jpg", "cats/@eaDir/1.jpg")
    tree(tmp_path, "labels/1.xml")
    (tmp_path / "empty").mkdir()
    assert [name for name, *_ in entries_of(list_images(tmp_path))] == ["cats/1.jpg", "dogs/2.jpg"]


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff"])
def test_every_suffix_that_is_read_is_listed(tmp_path, suffix):
    tree(tmp_path, f"cats/1.{suffix}", "dogs/2.jpg")
    assert len(list_images(tmp_path).entries) == 2


@pytest.mark.parametrize("suffix", ["HEIC", "avif", "ico", "jp2", "cr2"])
def test_unsupported_images_are_listed(tmp_path, suffix):
    tree(tmp_path, f"cats/1.{suffix}", "dogs/2.jpg")
    assert entries_of(list_images(tmp_path))[0] == (f"cats/1.{suffix}", "cats", None, "")


def test_broken_files_are_listed(tmp_path):
    tree(tmp_path, "cats/1.jpg", "dogs/2.jpg")
    (tmp_path / "cats" / "0.jpg").symlink_to(tmp_path / "gone.jpg")
    assert [name for name, *_ in entries_of(list_images(tmp_path))] == ["cats/0.jpg", "cats/1.jpg", "dogs/2.jpg"]


def test_numbers_are_sorted_as_numbers(tmp_path):
    tree(tmp_path, *(f"{name}/1.jpg" for name in ("10", "9", "0", "-1", "007", "7")))
    assert list_images(tmp_path).class_names == ("-1", "0", "007", "7", "9", "10")


def test_text_is_sorted_as_text(tmp_path):
    tree(tmp_path, *(f"{name}/1.jpg" for name in ("b", "a", "Z", "10", "9b")))
    assert list_images(tmp_path).class_names == ("10", "9b", "Z", "a", "b")


def test_the_order_does_not_depend_on_the_disk(tmp_path, monkeypatch):
    tree(tmp_path, "a/2.jpg", "a/1.jpg", "a b/1.jpg", "a-b/x/1.jpg", "b/3.jpg")
    expected = entries_of(list_images(tmp_path))
    assert [name for name, *_ in expected] == ["a/1.jpg", "a/2.jpg", "a b/1.jpg", "a-b/x/1.jpg", "b/3.jpg"]
    monkeypatch.setattr(os, "walk", backwards)
    assert entries_of(list_images(tmp_path)) == expected


def test_names_that_look_alike_are_one_class(tmp_path):
    tree(tmp_path, "train/caf\u00e9/1.jpg", "test/cafe\u0301/2.jpg", "train/bar/3.jpg", "test/bar /4.jpg")
    assert list_images(tmp_path).class_names == ("bar", "caf\u00e9")


# splits


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train", "val", "test"), ("train", "validation", "test")),
        (("Training", "VALID", "Testing"), ("train", "validation", "test")),
        (("TRAIN", "validation"), ("train", "validation")),
        (("train", "test"), ("train", "test")),
        (("train",), ("train",)),
    ],
)
def test_folders_of_splits(tmp_path, names, splits):
    assert set(splits) <= set(SPLITS)
    for name in names:
        tree(tmp_path, f"{name}/cats/1.jpg", f"{name}/dogs/more/2.jpg")
    listing = list_images(tmp_path)
    assert listing.class_names == ("cats", "dogs")
    expected = []
    for name, split in sorted(zip(names, splits, strict=True)):
        expected += [(f"{name}/cats/1.jpg", "cats", split, ""), (f"{name}/dogs/more/2.jpg", "dogs", split, "")]
    assert entries_of(listing) == expected


def test_a_class_may_lack_test_images(tmp_path):
    tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "test/b/1.jpg")
    listing = list_images(tmp_path)
    assert listing.class_names == ("a", "b", "c")
    assert entries_of(listing)[0] == ("test/b/1.jpg", "b", "test", "")


def test_train_may_be_a_class(tmp_path):
    tree(tmp_path, "train/1.jpg", "bus/2.jpg", "car/3.jpg")
    listing = list_images(tmp_path)
    assert listing.class_names == ("bus", "car", "train")
    assert {split for *_, split, _ in entries_of(listing)} == {None}


def test_test_may_be_a_class(tmp_path):
    tree(tmp_path, "control/1.jpg", "test/2.jpg")
    assert list_images(tmp_path).class_names == ("control", "test")


@pytest.mark.parametrize("split", ["test", "val"])
def test_refuses_a_class_without_training_images(tmp_path, split):
    tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg", f"{split}/a/1.jpg", f"{split}/B/1.jpg")
    refusal(tmp_path, tmp_path, " B", "test" if split == "test" else "validation")


def test_refuses_two_folders_of_one_split(tmp_path):
    tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "valid/a/1.jpg")
    refusal(tmp_path, tmp_path, "validation", "val", "valid")


def test_refuses_splits_without_training(tmp_path):
    tree(tmp_path, "val/a/1.jpg", "test/b/1.jpg")
    refusal(tmp_path, tmp_path, "train", "test", "val")


def test_refuses_images_beside_the_splits(tmp_path):
    tree(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "extra/c/1.jpg")
    refusal(tmp_path, tmp_path, "train", "extra/c/1.jpg")
    (tmp_path / "extra" / "c" / "1.jpg").rename(tmp_path / "loose.jpg")
    refusal(tmp_path, tmp_path, "train", "loose.jpg")


# natural mistakes


def test_refuses_a_folder_one_level_too_high(tmp_path):
    tree(tmp_path / "up", "pets/cats/1.jpg", "pets/dogs/2.jpg", "readme.txt")
    pets = tmp_path / "up" / "pets"
    refusal(tmp_path / "up", tmp_path / "up", " pets", "cats", "dogs", pets)
    refusal(tmp_path, tmp_path, " up/pets", "cats", "dogs", pets)


def test_refuses_a_folder_above_splits(tmp_path):
    tree(tmp_path, "pets/train/cats/1.jpg", "pets/train/dogs/1.jpg", "pets/test/cats/1.jpg")
    refusal(tmp_path, " pets", "test", "train", tmp_path / "pets")


def test_refuses_images_without_folders(tmp_path):
    tree(tmp_path, "1.jpg", "2.jpg", "3.jpg")
    refusal(tmp_path, tmp_path, 3, "pattern")


def test_refuses_images_beside_the_folders(tmp_path):
    tree(tmp_path, "cats/1.jpg", "dogs/2.jpg", "sample.jpg", "other.jpg")
    refusal(tmp_path, tmp_path, 2, "other.jpg")


@pytest.mark.parametrize("others", [(), ("train/cats/3.jpg", "train/dogs/4.jpg")])
def test_refuses_a_split_without_folders(tmp_path, others):
    tree(tmp_path, "train/cat.1.jpg", "train/dog.1.jpg") if not others else tree(tmp_path, *others, "test/1.jpg")
    folder, count = (tmp_path / "test", 1) if others else (tmp_path / "train", 2)
    refusal(tmp_path, folder, count, "pattern")


def test_advice_for_a_split_without_folders_is_its_own(tmp_path):
    tree(tmp_path, "root/1.jpg", "splits/train/1.jpg")
    root, split = refusal(tmp_path / "root", 1), refusal(tmp_path / "splits", 1)
    assert root.replace(str(tmp_path / "root"), "") != split.replace(str(tmp_path / "splits" / "train"), "")


@pytest.mark.parametrize("names", [("cats/1.jpg", "cats/2.jpg"), ("train/cats/1.jpg", "test/cats/2.jpg")])
def test_refuses_one_class(tmp_path, names):
    tree(tmp_path, *names)
    refusal(tmp_path, tmp_path, 2, "cats")


def test_refuses_a_folder_without_images(tmp_path):
    tree(tmp_path, "a/1.txt", "b/2.h5", ".git/1.jpg")
    refusal(tmp_path, tmp_path, *SUFFIXES, 2)


def test_refuses_neither_a_folder_nor_a_table(tmp_path):
    refusal(tmp_path / "gone", tmp_path / "gone", "CSV", kind=FileNotFoundError)
    for url in ("https://a.b/photos", "abfs://box/photos"):
        for path in (Path(url), Path(url).absolute()):
            refusal(path, f"{url}:", "URL", "--records", kind=FileNotFoundError)
    tree(tmp_path, "a.jpg")
    refusal(tmp_path / "a.jpg", tmp_path / "a.jpg", "CSV")


@pytest.mark.parametrize("name", ["tab\tname", "line\nbreak", "bell\x07", os.fsdecode(b"latin-\xe9")])
def test_refuses_class_names_that_cannot_be_printed(tmp_path, name):
    tree(tmp_path, f"{name}/1.jpg", "b/1.jpg")
    refusal(tmp_path, tmp_path, repr(name))


def test_names_of_any_script_are_taken(tmp_path):
    names = ("\u062e\u0627\u0646\u0647\u200c\u0647\u0627", "\U0001f469\u200d\U0001f680")  # with joiners
    tree(tmp_path, *(f"{name}/1.jpg" for name in names))
    assert set(list_images(tmp_path).class_names) == set(names)


@pytest.mark.parametrize("name", ["cat\u200b", "\u200d"])
def test_refuses_class_names_that_cannot_be_seen(tmp_path, name):
    tree(tmp_path, f"{name}/1.jpg", "b/1.jpg")
    refusal(tmp_path, tmp_path, repr(name))


def test_an_error_is_one_line_whatever_the_names(tmp_path):
    tree(tmp_path, "a/1.jpg", "b/1.jpg", "loose\n.jpg")
    refusal(tmp_path, r"loose\n.jpg")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every folder")
def test_refuses_a_folder_that_cannot_be_read(tmp_path):
    tree(tmp_path, "a/1.jpg", "b/1.jpg")
    (tmp_path / "b").chmod(0)
    try:
        refusal(tmp_path, tmp_path / "b", os.strerror(errno.EACCES))
    finally:
        (tmp_path / "b").chmod(0o700)


def test_names_a_folder_that_the_system_refuses(tmp_path, monkeypatch):
    tree(tmp_path, "a/1.jpg", "b/1.jpg")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    refusal(tmp_path, tmp_path / "b", "Permission denied")


# links


def test_folders_that_are_links_are_followed(tmp_path):
    tree(tmp_path, "store/1/1.jpg", "store/2/2.jpg", "set/readme")
    (tmp_path / "set" / "cats").symlink_to(tmp_path / "store" / "1")
    (tmp_path / "set" / "dogs").symlink_to(tmp_path / "store" / "2")
    listing = list_images(tmp_path / "set")
    assert [name for name, *_ in entries_of(listing)] == ["cats/1.jpg", "dogs/2.jpg"]


def test_links_that_lead_back_do_not_hang(tmp_path):
    tree(tmp_path, "cats/1.jpg", "dogs/2.jpg", "dogs/deep/3.jpg")
    (tmp_path / "cats" / "up").symlink_to(tmp_path)
    (tmp_path / "dogs" / "deep" / "here").symlink_to(tmp_path / "dogs" / "deep")
    (tmp_path / "dogs" / "self").symlink_to(tmp_path / "dogs" / "self")
    assert [name for name, *_ in entries_of(list_images(tmp_path))] == ["cats/1.jpg", "dogs/2.jpg", "dogs/deep/3.jpg"]


@pytest.mark.parametrize("walk", [WALK, backwards])
def test_refuses_a_folder_that_is_there_twice(tmp_path, monkeypatch, walk):
    monkeypatch.setattr(os, "walk", walk)
    tree(tmp_path, "cats/1.jpg", "dogs/2.jpg")
    (tmp_path / "wolves").symlink_to(tmp_path / "dogs")
    refusal(tmp_path, tmp_path / "wolves", tmp_path / "dogs")


def test_a_web_of_links_is_refused_at_once(tmp_path):
    """Each of twelve folders links to all: as many ways as there are orders of twelve."""
    names = [f"c{index:02}" for index in range(12)]
    tree(tmp_path, *(f"{name}/1.jpg" for name in names))
    for name in names:
        for other in names:
            if other != name:
                (tmp_path / name / other).symlink_to(tmp_path / other)
    code = "import sys; from resnet50.data.listing import list_images; list_images(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=300, check=False
    )
    error = done.stderr.splitlines()[-1]
    assert error.startswith("ValueError: ")
    assert error.count(str(tmp_path / "c")) == 2  # the link and where it leads


# patterns


def test_a_pattern_finds_the_class(tmp_path):
    tree(tmp_path, "I_Andesite_1_120.jpg", "M_Marble_3_1201.jpg", "S_Rock Gypsum_2_120.jpg")
    listing = list_images(tmp_path, pattern=r"^[IMS]_(?P<class>[^_]+)_")
    assert listing.class_names == ("Andesite", "Marble", "Rock Gypsum")
    assert [label for _, label, *_ in entries_of(listing)] == ["Andesite", "Marble", "Rock Gypsum"]


def test_a_pattern_finds_split_and_group_too(tmp_path):
    tree(tmp_path, "Train/p1-cat.jpg", "Train/p2-dog.jpg", "test/p3-dog.jpg", "test/dog.jpg")
    pattern = r"(?P<split>\w+)/(?:(?P<group>p\d)-)?(?P<class>\w+)\."
    assert entries_of(list_images(tmp_path, pattern=pattern)) == [
        ("Train/p1-cat.jpg", "cat", "train", "p1"),
        ("Train/p2-dog.jpg", "dog", "train", "p2"),
        ("test/dog.jpg", "dog", "test", ""),
        ("test/p3-dog.jpg", "dog", "test", "p3"),
    ]


def test_a_pattern_finds_classes_in_a_flat_split(tmp_path):
    """Dogs vs Cats as published."""
    tree(tmp_path, "train/cat.0.jpg", "train/dog.0.jpg")
    assert list_images(tmp_path, pattern="(?P<class>cat|dog)").class_names == ("cat", "dog")


@pytest.mark.parametrize("pattern", ["(?P<class>[^_]+)_", "(?P<class>[A-Z]*)"])
def test_refuses_a_pattern_that_misses_an_image(tmp_path, pattern):
    tree(tmp_path, "A_1.jpg", "B_1.jpg", "sub/c.jpg", "sub/d.jpg")
    (tmp_path / "sub" / "d.jpg").unlink()
    refusal(tmp_path, tmp_path, 1, 3, "sub/c.jpg", repr(pattern), pattern=pattern)


def test_refuses_a_pattern_that_matches_nothing(tmp_path):
    tree(tmp_path, "a.jpg", "b.jpg")
    text = refusal(tmp_path, 2, "a.jpg", pattern="(?P<class>X+)")
    assert text.replace(str(tmp_path), "").count("2") == 2  # of 2


@pytest.mark.parametrize("pattern", ["(?P<label>.+)_", "x", ""])
def test_refuses_a_pattern_without_a_class(tmp_path, pattern):
    tree(tmp_path, "a.jpg")
    refusal(tmp_path, "pattern", "class", "'(?P<class>[^_]+)_'", repr(pattern), pattern=pattern)


@pytest.mark.parametrize("name", ["part", "label", "Class"])
def test_refuses_a_named_group_that_means_nothing(tmp_path, name):
    pattern = rf"(?P<{name}>train)?(?P<class>\w)"
    refusal(tmp_path, "class", "split", "group", f"got {name}", repr(pattern), pattern=pattern)


@pytest.mark.parametrize("pattern", ["(", "(?P<class>", "a{99999999999}", "(?P<class>a)(?P<class>b)"])
def test_refuses_an_invalid_pattern(tmp_path, pattern):
    tree(tmp_path, "a.jpg")
    with pytest.raises((re.error, OverflowError)) as reason:
        re.compile(pattern)
    refusal(tmp_path, "pattern", repr(pattern), reason.value, pattern=pattern)


def test_refuses_a_pattern_of_unknown_or_missing_splits(tmp_path):
    tree(tmp_path, "dev/a.jpg", "train/b.jpg")
    refusal(tmp_path, tmp_path / "dev" / "a.jpg", *SPLIT_NAMES, "'dev'", pattern=r"(?P<split>\w+)/(?P<class>\w)")
    refusal(tmp_path, tmp_path / "dev" / "a.jpg", 1, 2, pattern=r"(?P<split>train)?/(?P<class>\w)")


def test_refuses_a_pattern_for_a_table(tmp_path):
    path = table(tmp_path, "path,label\na.jpg,x\n")
    refusal(path, path, "pattern", "CSV", pattern="(?P<class>a)")


# tables


@pytest.mark.parametrize(
    "text",
    [
        "path,label\nb.jpg,dog\na.jpg,cat\n",
        "path,label\r\nb.jpg,dog\r\n\r\na.jpg,cat",
        "\ufeffpath,label\nb.jpg,dog\na.jpg,cat\n",
        '"path","label"\n"b.jpg","dog"\n"a.jpg","cat"\n',
        "Label, PATH \n dog , b.jpg\ncat,a.jpg\n",
        "path;label\nb.jpg;dog\na.jpg;cat\n",
        "path\tlabel\nb.jpg\tdog\na.jpg\tcat\n",
        ",path,label,width\n0,b.jpg,dog,80\n1,a.jpg,cat,90\n",
        "path,label\n./b.jpg,dog\n../{}/a.jpg,cat\n",
    ],
)
def test_a_table_of_paths_and_labels(tmp_path, text):
    listing = list_images(table(tmp_path, text.replace("{}", tmp_path.name)))
    assert listing.class_names == ("cat", "dog")
    assert (listing.root, listing.name) == (tmp_path, "table")
    entries = [(each.path.resolve(), each.label, each.split, each.group) for each in listing.entries]
    assert sorted(entries) == [(tmp_path / "a.jpg", 0, None, ""), (tmp_path / "b.jpg", 1, None, "")]


def test_a_table_of_all_columns(tmp_path):
    text = "group,path,split,label\np 1,b.jpg,Train,1\np 1,a.jpg,training,10\n,c.jpg,VAL,1\np2,d.jpg,test,10\n"
    listing = list_images(table(tmp_path, text))
    assert listing.class_names == ("1", "10")
    assert entries_of(listing) == [
        ("a.jpg", "10", "train", "p 1"),
        ("b.jpg", "1", "train", "p 1"),
        ("c.jpg", "1", "validation", ""),
        ("d.jpg", "10", "test", "p2"),
    ]


def test_columns_of_a_table_that_are_not_used_are_counted(tmp_path):
    text = "path,Patient_ID,label,group,date\na.jpg,7,x,,1\nb.jpg,7,y,,2\nc.jpg,8,y,,3\n"
    assert list_images(table(tmp_path, text)).other_columns == {"patient_id": 2, "date": 3}


def test_empty_columns_of_a_table_mean_nothing(tmp_path):
    listing = list_images(table(tmp_path, "path,label,split,group\na.jpg,x,,\nb.jpg,y,,\n"))
    assert {(split, group) for *_, split, group in entries_of(listing)} == {(None, "")}


def test_a_table_may_name_files_of_any_name_and_missing_ones(tmp_path):
    text = 'path,label\na.jpg,x\n"comma, quote "" and é.image",y\n'
    listing = list_images(table(tmp_path, text))
    assert listing.entries[1].path == tmp_path / 'comma, quote " and é.image'


def test_a_table_of_full_paths(tmp_path):
    listing = list_images(table(tmp_path, f"path,label\n{tmp_path / 'a.jpg'},x\nb.jpg,y\n"))
    assert listing.entries[0].path == tmp_path / "a.jpg"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("picture,label\na.jpg,x\n", ("path", "picture, label")),
        ("file,image,label\na.jpg,b.jpg,x\n", ("path", "file, image, label")),
        ("path,kind\na.jpg,x\n", ("label", "path, kind")),
        ("path,class,category\na.jpg,x,y\n", ("label", "path, class, category")),
        ("a.jpg,x\nb.jpg,y\n", ("path", "a.jpg, x")),
        ("path,label,path\na.jpg,x,b.jpg\n", ("path", "path, label, path")),
        ("path,label,split,Split\n", ("split", "path, label, split, split")),
        ("", ("path", "empty")),
        ("path,label\n", ("header",)),
        ("path,label\na.jpg,x\nb.jpg\n", (3, 2, 1)),
        ("path,label\na.jpg,x,y\n", (2, 3)),
        ("path,label\na.jpg,x\n,y\n", (3, "path")),
        ("path,label\na.jpg,x\nb.jpg, \n", (3, "label")),
        ("path,label\na.jpg,x\nb.jpg,y\nc.jpg,y\nx/../a.jpg,y\n", (5, "x/../a.jpg", 2)),
        ("path,label,split\na.jpg,x,train\nb.jpg,y,dev\n", (3, *SPLIT_NAMES, "'dev'")),
        ("path,label\na.jpg,fox\nb.jpg,fox\n", (2, "fox")),
        ("path,label,split\na.jpg,x,train\nb.jpg,y,train\nc.jpg,fox,test\n", ("fox", "test")),
        ("path,label\na.jpg,x\nb.jpg,\x07\n", (r"'\x07'",)),
        ('path,label\n"a.jpg,x\n', ("unexpected end of data",)),
    ],
)
def test_refuses_a_malformed_table(tmp_path, text, values):
    path = table(tmp_path, text)
    refusal(path, path, *values)


def test_refuses_a_table_with_splits_for_some_images(tmp_path):
    path = table(tmp_path, "path,label,split\na.jpg,x,train\nb.jpg,y,\nc.jpg,y,\n")
    refusal(path, path, 2, 3, tmp_path / "b.jpg")


def test_refuses_a_table_whose_paths_lead_nowhere(tmp_path):
    path = table(tmp_path, "path,label\nimages/a.jpg,x\nimages/b.jpg,y\n")
    image = tmp_path / "images" / "a.jpg"
    text = refusal(path, path, 2, image)
    assert str(tmp_path) in text.replace(str(path), "").replace(str(image), "")  # what they are relative to


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_refuses_a_table_of_another_encoding(tmp_path, encoding):
    path = table(tmp_path, "path,label\na.jpg,caf\u00e9\nb.jpg,y\n", encoding)
    refusal(path, path, "CSV", "UTF-8")


def test_refuses_a_field_without_end(tmp_path):
    path = table(tmp_path, "path,label\na.jpg," + "x" * 200_000 + "\n")
    refusal(path, path, "field larger than field limit")  # Python's words


# real data


@pytest.mark.parametrize(
    ("folder", "classes", "splits"),
    [
        ("leukemia", 4, {None: 726}),
        ("cats_dogs", 2, {"train": 500, "test": 200}),
        ("caltech101/101_ObjectCategories", 20, {None: 1394}),
    ],
)
def test_lists_the_real_folders(shared_data, folder, classes, splits):
    listing = list_images(shared_data / folder)
    assert len(listing.class_names) == classes
    assert Counter(each.split for each in listing.entries) == splits


def test_lists_the_rocks_in_the_order_of_their_judgments(shared_data):
    """Row k of the human judgments belongs to the k-th file name in sorted order."""
    folder = shared_data / "rocks" / "120 Rocks"
    listing = list_images(folder, pattern=r"^[IMS]_(?P<class>[^_]+)_\d+_\d+\.jpg$")
    assert len(listing.class_names) == 30
    assert [each.path.name for each in listing.entries] == sorted(os.listdir(folder))  # noqa: PTH208
    marble = [each.path.name for each in listing.entries if listing.class_names[each.label] == "Marble"]
    assert marble == ["M_Marble_1_120.jpg", "M_Marble_2_120.jpg", "M_Marble_3_1201.jpg", "M_Marble_4_120.jpg"]


def test_every_bad_file_is_listed(shared_data, tmp_path):
    tree(tmp_path, "good/a.jpg")
    (tmp_path / "bad").symlink_to(shared_data / "bad_images")
    assert len(list_images(tmp_path).entries) == 1 + 35


def test_cells_that_were_made_harmless_for_a_spreadsheet_are_restored(tmp_path):
    for name in ("=a.png", "-b.png"):
        draw_image(tmp_path / name, seed=len(name))
    path = table(tmp_path, "path,label\n'=a.png,'@one\n'-b.png,-1\n")
    listing = list_images(path)
    assert listing.class_names == ("-1", "@one")
    assert {entry.path.name for entry in listing.entries} == {"=a.png", "-b.png"}


def test_a_class_keeps_its_name_where_the_locale_is_not_utf8(tmp_path):
    """With ``LC_ALL=C`` Python may read the bytes of a folder's name as ASCII, and escapes the others."""
    as_ascii = "\u732b".encode().decode("ascii", "surrogateescape")
    assert class_name(as_ascii) == "\u732b"
    assert class_name("\u732b") == "\u732b"
    assert class_name("\udcff") == "\udcff"


def test_rows_that_differ_in_case_alone_are_one_image_where_the_system_has_one_file(tmp_path, monkeypatch):
    """As on Windows, whose ``os.path.normcase`` makes small letters."""
    path = table(tmp_path, "path,label\na.png,cat\nA.PNG,dog\n")
    monkeypatch.setattr(os.path, "normcase", lambda name: os.fspath(name).lower())
    with raises(ValueError, path, "line 3", "A.PNG", "line 2"):
        list_images(path)


# images that are only to be scored


def test_images_to_be_scored_may_be_of_one_class(tmp_path):
    folder = tree(tmp_path / "one", "cats/1.jpg", "cats/2.jpg")
    listing = list_images(folder, for_training=False)
    assert (listing.class_names, len(listing.entries)) == (("cats",), 2)
    with raises(ValueError, folder, "cats"):
        list_images(folder)
    folder = tree(tmp_path / "nested", "cats/a/1.jpg", "cats/b/2.jpg")
    assert list_images(folder, for_training=False).class_names == ("cats",)


def test_images_to_be_scored_may_be_in_a_test_split_alone(tmp_path):
    folder = tree(tmp_path / "parts", "test/cats/1.jpg", "test/dogs/2.jpg")
    listing = list_images(folder, for_training=False)
    assert listing.class_names == ("cats", "dogs")
    assert {entry.split for entry in listing.entries} == {"test"}
    with raises(ValueError, folder, "train", "test"):
        list_images(folder)
    path = table(folder, "path,label,split\ntest/cats/1.jpg,cats,test\ntest/dogs/2.jpg,dogs,test\n")
    assert list_images(path, for_training=False).class_names == ("cats", "dogs")
    with raises(ValueError, path, "cats", "test"):
        list_images(path)


def test_a_huge_cell_makes_no_huge_message(tmp_path):
    path = table(tmp_path, f"path,label,split\na.png,cat,{'[' * 100_000}\n")
    with raises(ValueError, path, "line 2", "[[[") as refused:
        list_images(path)
    assert len(str(refused.value)) < 2000
