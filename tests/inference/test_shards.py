from __future__ import annotations

from pathlib import Path

import pytest

from factories import raises
from resnet50.inference.shards import select_shard

PATHS = [Path(name) for name in ("b/2.png", "a.png", "b/1.png", "c.png", "b-1.png", "B.png", "a.png")]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shards_hold_each_path_once_and_differ_by_one_at_most(count):
    shards = [select_shard(PATHS, f"{number}/{count}") for number in range(1, count + 1)]
    assert sorted(path for shard in shards for path in shard) == sorted(PATHS)
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


def test_a_shard_is_every_nth_of_the_sorted_paths():
    assert select_shard(PATHS, "2/3") == [Path("a.png"), Path("b/1.png")]
    assert select_shard([str(path) for path in reversed(PATHS)], "2/3") == [Path("a.png"), Path("b/1.png")]


@pytest.mark.parametrize(
    "shard", ["0/3", "4/3", "3", "1/0", "-1/3", "1/3 ", "1.0/3", "", "a/b", "1/9999999999", "\u0661/\u0663"]
)
def test_another_text_is_refused(shard):
    with raises(ValueError, "K/N", repr(shard)):
        select_shard(PATHS, shard)


def test_more_shards_than_images_are_refused():
    with raises(ValueError, "7", "8"):
        select_shard(PATHS, "1/8")
