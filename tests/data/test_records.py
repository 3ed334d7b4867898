from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from factories import fixed_camera, noise, raises
from resnet50.data.dataset import Unreadable
from resnet50.data.headers import Headers
from resnet50.data.images import Header
from resnet50.data.left_out import LeftOut
from resnet50.data.near_duplicates import find_near_duplicates
from resnet50.data.records import Manifest, array_record


def described(**changes):
    """A manifest of five images in two shards, without the shards; the third and the last image are identical."""
    images = noise(5, 32, 32, 3)
    images[4] = images[2]
    splits = [images[:3], images[3:3], images[3:]]
    found = find_near_duplicates(splits)
    identical = find_near_duplicates(splits, identical_only=True)
    wide, gray = Header(300, 200, "RGB", "JPEG", True), Header(20, 30, "L", "PNG", False, more_frames=True)
    manifest = Manifest(
        name="pets",
        class_names=("cat", "dög"),
        labels=np.array([0, 1, 0, 0, 1]),
        counts=(3, 0, 2),
        paths=("a.png", "b/ö.png", "\udcff.png", "c.png", "d.png"),
        groups=("p1", "", "p1", "p2", ""),
        sha256=noise(5, 32),
        shard_records=np.array([3, 2]),
        shard_bytes=np.array([70_000, 80_000]),
        headers=Headers.of([wide, gray, wide, wide, gray]),
        copies=identical.copies,
        single_color=identical.single_color,
        near_duplicates=replace(found, mirrored=()),
        value_range=(0.0, 4095.0),
        unreadable=(Unreadable("broken.png", "damaged", True),),
        left_out=(LeftOut("not-image", "cat", ".txt", 2),),
    )
    return replace(manifest, **changes)


def same_pairs(one, other):
    return [[column.tolist() for column in pairs] for pairs in one] == [
        [column.tolist() for column in pairs] for pairs in other
    ]


@pytest.mark.parametrize("changes", [{}, {"groups": (), "near_duplicates": None, "value_range": None}])
def test_a_manifest_is_read_as_it_was_written(tmp_path, changes):
    written = described(**changes)
    written.write(tmp_path / "manifest.npz")
    read = Manifest.read(tmp_path / "manifest.npz")
    for name in (
        "name",
        "class_names",
        "counts",
        "paths",
        "groups",
        "headers",
        "value_range",
        "unreadable",
        "left_out",
    ):
        assert getattr(read, name) == getattr(written, name), name
    for name in ("labels", "sha256", "shard_records", "shard_bytes", "single_color"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    np.testing.assert_array_equal(read.copies.thumbnails, written.copies.thumbnails)
    np.testing.assert_array_equal(read.copies.mirrored, written.copies.mirrored)
    assert read.headers[0] is read.headers[3]  # many images have one size
    if written.near_duplicates is None:
        assert read.near_duplicates is None
        return
    assert read.near_duplicates.groups.tolist() == written.near_duplicates.groups.tolist() == [0, 1, 2, 3, 4]
    assert same_pairs(read.near_duplicates.pairs(), written.near_duplicates.pairs())
    assert same_pairs(read.near_duplicates.mirrored_pairs(), ())


def test_look_alikes_are_known_without_their_pixels(tmp_path):
    camera = fixed_camera(40, size=32)
    found = find_near_duplicates([camera])
    written = replace(
        described(),
        labels=np.zeros(40, np.int64),
        counts=(40, 0, 0),
        paths=tuple(map(str, range(40))),
        groups=(),
        sha256=noise(40, 32),
        shard_records=np.array([40]),
        headers=Headers.of([Header(1, 1, "L", "PNG", False)] * 40),
        shard_bytes=np.array([1]),
        copies=find_near_duplicates([camera], identical_only=True).copies,
        single_color=found.single_color,
        near_duplicates=replace(found, mirrored=()),
    )
    written.write(tmp_path / "manifest.npz")
    read = Manifest.read(tmp_path / "manifest.npz").near_duplicates
    order = np.random.default_rng(0).permutation(40)
    for one, other in ((read, found), (read.reorder(order), found.reorder(order))):
        assert one.look_alikes.distance == found.look_alikes.distance
        np.testing.assert_array_equal(one.look_alikes.numbers, other.look_alikes.numbers)
        np.testing.assert_array_equal(one.groups, other.groups)


def about(**changes):
    return lambda arrays: {"about": np.array(json.dumps(json.loads(str(arrays["about"])) | changes))}


BAD = {
    "labels": lambda arrays: {"labels": arrays["labels"] + 1},
    "labels of another type": lambda arrays: {"labels": arrays["labels"].astype(np.float32)},
    "sha256": lambda arrays: {"sha256": arrays["sha256"][1:]},
    "copies": lambda arrays: {"copies": arrays["copies"] - 9},
    "single_color": lambda arrays: {"single_color": arrays["single_color"][:2]},
    "headers": lambda arrays: {"headers": arrays["headers"] + np.uint32(7)},
    "shard_records": lambda arrays: {"shard_records": arrays["shard_records"] - 1},
    "shard_bytes": lambda arrays: {"shard_bytes": -arrays["shard_bytes"]},
    "path_ends": lambda arrays: {"path_ends": arrays["path_ends"][::-1]},
    "too few paths": lambda arrays: {"path_ends": arrays["path_ends"][:-1]},
    "groups": lambda arrays: {"groups": arrays["groups"] + 5},
    "near_duplicates": lambda arrays: {"near_duplicates": arrays["near_duplicates"] + 5},
    "near_duplicates that skip numbers": lambda arrays: {"near_duplicates": arrays["near_duplicates"][::-1]},
    "pair_images": lambda arrays: {"pair_images": arrays["pair_images"][::-1]},
    "pair_distance": lambda arrays: {"pair_distance": arrays["pair_distance"] - 9},
    "pair_distance of another shape": lambda arrays: {"pair_distance": arrays["pair_distance"][:, None]},
    "objects": lambda arrays: {"labels": np.array([None, 1, 2, 3, 4], dtype=object)},
    "format": about(format=9),
    "counts": about(counts=[5, 1, -1]),
    "no class": about(class_names=[]),
    "one class twice": about(class_names=["cat", "cat"]),
    "a class that commands": about(class_names=["cat", "\x1b[2J"]),
    "no value range": about(value_range=[5, 1]),
    "no file": about(unreadable=[["a"]]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_manifest_that_does_not_fit_itself_is_refused(tmp_path, case):
    path = tmp_path / "manifest.npz"
    described().write(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez(path, **arrays | BAD[case](arrays))
    with raises(ValueError, path, "manifest") as caught:
        Manifest.read(path)
    assert str(caught.value).isprintable()


def test_what_is_no_manifest_is_refused(tmp_path):
    path = tmp_path / "manifest.npz"
    with raises(FileNotFoundError, path):
        Manifest.read(path)
    described().write(path)
    content = path.read_bytes()
    for damaged in (b"", b"text", content[:-9], content[:400] + bytes(9) + content[409:]):
        path.write_bytes(damaged)
        with raises(ValueError, path):
            Manifest.read(path)


def test_a_manifest_is_not_unpacked(tmp_path):
    path = tmp_path / "manifest.npz"
    described().write(path)
    with np.load(path) as file:
        arrays = dict(file)
    np.savez_compressed(path, **arrays)
    with raises(ValueError, path, "compressed"):
        Manifest.read(path)


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    with pytest.raises(ImportError, match=r"array_record.*resnet50\[records\]"):
        array_record()
