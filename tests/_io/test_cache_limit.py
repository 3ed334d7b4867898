"""What stays in a folder of the cache."""

from __future__ import annotations

import os
import time

from resnet50._io.cache_limit import limit_cache


def write(folder, name, *, size, age):
    path = folder / name
    path.write_bytes(bytes(size))
    os.utime(path, (time.time() - age,) * 2)
    return path


def names(folder):
    return {path.name for path in folder.iterdir()}


def test_what_was_used_longest_ago_makes_room(tmp_path):
    for age, name in enumerate(("new.npy", "older.npy", "oldest.npy")):
        write(tmp_path, name, size=10, age=100 * age)
    write(tmp_path, "other.txt", size=1000, age=10_000)
    limit_cache(tmp_path, "*.npy", max_bytes=20)
    assert names(tmp_path) == {"new.npy", "older.npy", "other.txt"}
    limit_cache(tmp_path, "*.npy", max_bytes=19)
    assert names(tmp_path) == {"new.npy", "other.txt"}
    limit_cache(tmp_path, "*.npy", max_bytes=-1)
    assert names(tmp_path) == {"other.txt"}


def test_what_a_killed_process_left_is_removed_and_what_another_writes_is_not(tmp_path):
    write(tmp_path, ".partial-1.npy", size=10, age=2 * 24 * 3600)
    write(tmp_path, ".partial-2.npy", size=10, age=60)
    limit_cache(tmp_path, "*.npy", max_bytes=0)
    assert names(tmp_path) == {".partial-2.npy"}


def test_a_folder_that_is_not_there_is_no_error(tmp_path):
    limit_cache(tmp_path / "gone", "*", max_bytes=0)
