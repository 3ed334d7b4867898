import errno
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest

from factories import posix, raises
from resnet50._io.hdf5 import create_h5, open_h5

needs_reserving = pytest.mark.skipif(
    not hasattr(os, "posix_fallocate"), reason="this system cannot reserve room on a disk"
)


def refuses(path, *values, kind=ValueError):
    """Expect an error of just this kind; return what it says beside the path, and its cause."""
    with raises(kind, path, "a file of fists") as caught, open_h5(path, expected="a file of fists"):
        pass
    assert caught.type is kind
    text = str(caught.value).replace(str(path), "")
    assert [value for value in values if value not in text] == [], text
    return text, caught.value.__cause__


@pytest.fixture
def good(tmp_path):
    with h5py.File(tmp_path / "good.h5", "w") as file:
        file["x"] = list(range(1000))
    return tmp_path / "good.h5"


def test_opens_for_reading_and_closes(good):
    with open_h5(str(good), expected="a file of fists") as file:
        assert file["x"][999] == 999
        assert file.mode == "r"
    assert not file


def test_closes_after_an_error(good):
    with pytest.raises(KeyError), open_h5(good, expected="a file of fists") as file:
        file["y"]
    assert not file


def test_no_such_file(tmp_path):
    refuses(tmp_path / "none.h5", kind=FileNotFoundError)
    refuses(tmp_path, "folder", kind=FileNotFoundError)


@pytest.mark.parametrize(
    ("content", "values"),
    [
        (b"", ["empty"]),
        (b"  \n<!doctype HTML>", ["HTML"]),
        (b"<HTML>", ["HTML"]),
        (b"version https://git-lfs.github.com/spec/v1\n", ["Git LFS", "git lfs pull"]),
        (b"\x89PNG\r\n\x1a\n0000", [r"b'\x89PNG\r\n\x1a\n'", "HDF5"]),
        (b"\x89HDF\r\n", [r"b'\x89HDF\r\n'", "HDF5"]),
    ],
)
def test_not_hdf5(tmp_path, content, values):
    (tmp_path / "a.h5").write_bytes(content)
    refuses(tmp_path / "a.h5", *values)


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
def test_cut_off(good, share):
    content = good.read_bytes()
    good.write_bytes(content[: int(len(content) * share)])
    text, cause = refuses(good, "HDF5")
    assert isinstance(cause, OSError | RuntimeError)
    assert " ".join(str(cause).split()).replace(str(good), "") in text


def test_no_right_to_read(good, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    refuses(good, "Permission denied")


def test_another_program_writes_to_it(good):
    fcntl = pytest.importorskip("fcntl")
    with good.open("rb+") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # as HDF5 does in another process
        _, cause = refuses(good)
    assert isinstance(cause, BlockingIOError)


def with_heaps(path):
    """Write a file with names in a global heap and, after a deletion, a free block in a local one."""
    with h5py.File(path, "w") as file:
        for number in range(5):
            file.create_group(f"layer{number}").attrs["name"] = f"layer {number}"
        del file["layer3"]
    return path


def zero_rest(content):
    """As one zeroed sector does: the free rest of the global heap has size 0."""
    place = content.index(b"GCOL") + 16
    while (head := struct.unpack_from("<HHIQ", content, place))[0]:
        place += 16 + -(-head[3] // 8) * 8
    struct.pack_into("<QQ", content, place, 0, 0)


def huge_object(content):
    """The size of an object that wraps around to nothing."""
    struct.pack_into("<Q", content, content.index(b"GCOL") + 24, 2**64 - 16)


def free_list_in_a_circle(content):
    heap = content.index(b"HEAP")
    _, free, data = struct.unpack_from("<QQQ", content, heap + 8)
    struct.pack_into("<Q", content, data + free, free)


@pytest.mark.parametrize("damage", [zero_rest, huge_object, free_list_in_a_circle])
def test_a_heap_over_which_hdf5_would_loop_forever_is_an_error(tmp_path, damage):
    path = with_heaps(tmp_path / "a.h5")
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    with pytest.raises((OSError, ValueError), match="heap"), open_h5(path, expected="a file") as file:
        for name in file:
            dict(file[name].attrs)


def test_sound_heaps_are_read(tmp_path):
    with open_h5(with_heaps(tmp_path / "a.h5"), expected="a file") as file:
        assert [file[name].attrs["name"] for name in file] == ["layer 0", "layer 1", "layer 2", "layer 4"]


def test_no_heap_is_looked_for_where_pixels_look_like_one(tmp_path):
    pixels = np.frombuffer(b"GCOL\x01\0\0\0" + bytes(4088), np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = pixels
    with open_h5(tmp_path / "a.h5", expected="a file") as file:
        np.testing.assert_array_equal(file["x"][()], pixels)


def test_a_network_share_that_locks_nothing_is_read_and_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", refuse)
    with create_h5(tmp_path / "a.h5", room=10_000) as file:
        file["x"] = [1, 2, 3]
    with open_h5(tmp_path / "a.h5", expected="a file") as file:
        assert file["x"][()].tolist() == [1, 2, 3]
    assert (tmp_path / "a.h5").stat().st_size < 10_000


@posix
def test_a_file_that_is_being_written_is_locked(tmp_path):
    with create_h5(tmp_path / "a.h5", room=0) as file:
        file["x"] = 1
        file.flush()
        refuses(tmp_path / "a.h5")


@needs_reserving
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_an_error_before_hdf5_writes(tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, "full")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with pytest.raises(OSError, match="full") as caught, create_h5(tmp_path / "a.h5", room=1000):
        pytest.fail("the work was begun")
    assert caught.value.errno == number


@needs_reserving
def test_where_no_disk_can_be_reserved_its_room_is_asked_for(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EOPNOTSUPP, "no")

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with create_h5(tmp_path / "a.h5", room=1000) as file:
        file["x"] = 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999))
    with pytest.raises(OSError) as caught, create_h5(tmp_path / "a.h5", room=1000):
        pytest.fail("the work was begun")
    assert caught.value.errno == errno.ENOSPC


# HDF5 kills a process whose disk is full while it writes; a limit on the size of files stands for the disk
FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from resnet50._io.hdf5 import create_h5
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    with create_h5(Path(sys.argv[1]), room=1_000_000) as file:
        for number in range(100):
            file[str(number)] = np.arange(10_000)
except OSError as error:
    print("one line:", error)
"""


@needs_reserving
@pytest.mark.slow
def test_a_full_disk_does_not_kill_the_process(tmp_path):
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path / "a.h5"], capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("one line:")
