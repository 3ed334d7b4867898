from __future__ import annotations

import zlib

import numpy as np
import pytest

from resnet50._io.seal import check_seal, seal


@pytest.mark.parametrize("size", [0, 1, 11, 12, 1 << 20, (1 << 20) + 5])
def test_a_sealed_file_is_as_it_was_written(tmp_path, size):
    path = tmp_path / "file"
    content = np.random.default_rng(size).bytes(size)
    path.write_bytes(content)
    assert check_seal(path) is False
    seal(path)
    assert path.read_bytes() == content + b"resnet50" + zlib.crc32(content).to_bytes(4, "little")
    assert check_seal(path) is True


@pytest.mark.parametrize("place", [0, 500, 999, -1, -4])
def test_a_changed_byte_is_noticed(tmp_path, place):
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    seal(path)
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(OSError, match="bytes"):
        check_seal(path)


@pytest.mark.parametrize("change", [lambda content: content[:-1], lambda content: content + b"x"])
def test_a_file_of_another_length_has_no_seal(tmp_path, change):
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    seal(path)
    path.write_bytes(change(path.read_bytes()))
    assert check_seal(path) is False


def test_bytes_that_are_lost_in_the_middle_are_noticed(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(1000))
    seal(path)
    content = path.read_bytes()
    path.write_bytes(content[:100] + content[200:])
    with pytest.raises(OSError, match="bytes"):
        check_seal(path)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        check_seal(tmp_path / "file")


def test_readers_of_arrays_do_not_mind_a_seal(tmp_path):
    path = tmp_path / "rows.npy"
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    np.save(path, rows)
    seal(path)
    np.testing.assert_array_equal(np.load(path), rows)
    np.testing.assert_array_equal(np.load(path, mmap_mode="r"), rows)
