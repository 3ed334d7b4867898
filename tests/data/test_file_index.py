import hashlib
import json
import os
import time
from dataclasses import astuple

import pytest
from PIL import Image

from factories import draw_image, image_folder, write_image
from resnet50.data import file_index
from resnet50.data.file_index import inspect_files
from resnet50.data.images import read_header
from resnet50.data.listing import list_images


@pytest.fixture
def later(monkeypatch):
    """Let ten seconds pass after every change of a file."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10_000_000_000)


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that are hashed, in any order."""
    digest, names = hashlib.file_digest, []

    def file_digest(file, name):
        names.append(os.path.basename(file.name))  # noqa: PTH119
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", file_digest)
    return names


@pytest.fixture
def root(tmp_path):
    return image_folder(tmp_path / "pets")


@pytest.fixture
def index(tmp_path):
    return tmp_path / "cache" / "index.json"


def contents(root):
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(root.rglob("*.png"))]


def inspect(root, index):
    """Inspect a folder and compare all with its files."""
    files = inspect_files(list_images(root), index)
    assert [file.content for file in files] == contents(root)
    return files


@pytest.mark.usefixtures("later")
def test_only_changed_files_are_hashed_again(root, index, hashed):
    first = inspect(root, index)
    assert len(hashed) == 6
    assert [file.header for file in first] == [read_header(path) for path in sorted(root.rglob("*.png"))]
    hashed.clear()
    assert inspect(root, index) == first
    assert hashed == []
    draw_image(root / "cat" / "1.png", 99)
    draw_image(root / "dog" / "7.png", 100)
    (root / "cat" / "0.png").unlink()
    inspect(root, index)
    assert sorted(hashed) == ["1.png", "7.png"]
    hashed.clear()
    inspect(root, index)
    assert hashed == []
    assert "cat/0.png" not in index.read_text()


def test_a_file_that_changed_just_before_is_hashed_again(root, index, hashed):
    inspect(root, index)
    inspect(root, index)
    assert len(hashed) == 12


@pytest.mark.usefixtures("later")
def test_a_change_that_keeps_size_and_time_of_modification_is_seen(root, index):
    path = root / "cat" / "1.png"
    image = Image.new("RGB", (20, 20), "red")
    image.save(path, compress_level=0)
    before = path.stat()
    inspect(root, index)
    time.sleep(0.05)  # a tick of the file system's clock
    Image.new("RGB", (20, 20), "blue").save(path, compress_level=0)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    inspect(root, index)


@pytest.mark.usefixtures("later")
def test_a_file_in_place_of_another_is_seen(root, index):
    inspect(root, index)
    (root / "cat").rename(root / "other")
    (root / "dog").rename(root / "cat")
    (root / "other").rename(root / "dog")
    inspect(root, index)


@pytest.mark.usefixtures("later")
def test_a_damaged_index_is_ignored(root, index, hashed):
    first = inspect(root, index)
    whole = index.read_bytes()
    digits = whole.index(first[0].content.encode())
    other = bytearray(whole)
    other[digits] ^= 1
    rows = json.dumps([file_index._VERSION, [["cat/0.png", "no header"]]])
    nested = "[" * 100_000
    damages = [b"", whole[:-100], bytes(other), b"\xff" + whole, whole.replace(b"[1,", b"[0,", 1)]
    damages += [f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}".encode() for text in (rows, "7", nested)]
    for damage in damages:
        index.write_bytes(damage)
        hashed.clear()
        assert inspect(root, index) == first
        assert len(hashed) == 6
        assert index.read_bytes() == whole


@pytest.mark.usefixtures("later")
def test_an_index_of_another_version_is_ignored(root, index, hashed, monkeypatch):
    inspect(root, index)
    monkeypatch.setattr(file_index, "_VERSION", [1, "another Pillow"])
    inspect(root, index)
    assert len(hashed) == 12


@pytest.mark.usefixtures("later")
def test_a_large_index_is_not_written(root, index, hashed, monkeypatch):
    monkeypatch.setattr(file_index, "_MOST_BYTES", 500)
    inspect(root, index)
    inspect(root, index)
    assert len(hashed) == 12
    assert not index.exists()


@pytest.mark.usefixtures("later")
def test_an_index_that_cannot_be_written_is_done_without(root, tmp_path, hashed):
    (tmp_path / "file").write_text("no folder")
    inspect(root, tmp_path / "file" / "index.json")
    assert len(hashed) == 6


@pytest.mark.usefixtures("later")
def test_a_file_without_a_header_is_read_every_time(root, index, hashed):
    (root / "cat" / "1.png").write_bytes(b"broken")
    assert [file.header is None for file in inspect(root, index)] == [False, True, False, False, False, False]
    hashed.clear()
    inspect(root, index)
    assert hashed == ["1.png"]


@pytest.mark.usefixtures("later")
def test_an_interrupted_reading_goes_on(tmp_path, index, hashed):
    root = image_folder(tmp_path / "pets", each=50)

    def stop(done, total):
        if (done, total) == (60, 100):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        inspect_files(list_images(root), index, progress=stop)
    hashed.clear()
    inspect(root, index)
    assert len(hashed) == 40


@pytest.mark.usefixtures("later")
def test_paths_may_be_anywhere_and_have_any_name(tmp_path, index, hashed, monkeypatch):
    names = ["cat/é \U0001f408.png", 'cat/"quoted" \\.png', "dog/a\nb.png", "dog/\udcff.png"]
    try:
        for number, name in enumerate(names):
            draw_image(tmp_path / "pets" / name, number)
    except (OSError, ValueError):
        pytest.skip("this file system does not have such names")
    outside = write_image(tmp_path / "elsewhere" / "dog.png")
    (tmp_path / "pets" / "list.csv").write_text(f"path,label\ncat/é \U0001f408.png,cat\n{outside},dog\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    for source in ("pets", "pets/list.csv"):
        first = inspect_files(list_images(source), index)
        hashed.clear()
        assert inspect_files(list_images(source), index) == first
        assert hashed == []


def test_progress_counts_from_the_first_file(root, index):
    steps = []
    inspect_files(list_images(root), index, progress=lambda *step: steps.append(step))
    assert steps == [(done, 6) for done in range(1, 7)]


def test_what_is_no_file_has_no_hash(tmp_path, index):
    write_image(tmp_path / "dog.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "list.csv").write_text("path,label\ndog.png,dog\nfolder.png,cat\nmissing.png,cat\n")
    files = inspect_files(list_images(tmp_path / "list.csv"), index)
    assert [len(file.content) == 64 for file in files] == [True, False, False]
    assert [file.stamp == () for file in files] == [False, True, True]
    assert not files[1].has_changed(tmp_path / "folder.png")


def test_every_property_of_a_header_is_remembered(tmp_path, index, monkeypatch):
    frames = [Image.new("L", (9, 9), shade) for shade in (0, 255)]
    (tmp_path / "a").mkdir()
    frames[0].save(tmp_path / "a" / "moving.gif", save_all=True, append_images=frames[1:])
    turned = Image.Exif()
    turned[0x0112] = 6
    write_image(tmp_path / "b" / "turned.jpg", exif=turned)
    Image.new("I;16", (8, 4)).save(tmp_path / "b" / "deep.png")
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 10_000_000_000)
    first = inspect_files(list_images(tmp_path), index)
    monkeypatch.setattr(file_index, "read_header", lambda _: pytest.fail("it is remembered"))
    again = inspect_files(list_images(tmp_path), index)
    assert [astuple(file.header) for file in again] == [astuple(file.header) for file in first]
    by_format = {file.header.format: file.header for file in again}
    assert by_format["GIF"].more_frames
    assert by_format["JPEG"].oriented
    assert by_format["PNG"].deep
    assert not by_format["JPEG"].deep
    assert not by_format["JPEG"].more_frames
