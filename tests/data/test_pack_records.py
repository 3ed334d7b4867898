from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factories import draw_image, noise, raises, write_image
from resnet50.audit.check import find_issues
from resnet50.audit.training_images import copies, read_training_images, write_training_images
from resnet50.data.augmentation import Augmentation
from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.data.fit import Fit
from resnet50.data.headers import Headers
from resnet50.data.loading import load_dataset, read_splits
from resnet50.data.options import ReadOptions
from resnet50.data.pack_records import pack_records
from resnet50.data.random_crop import Resize
from resnet50.data.records import MANIFEST, EncodedImages, Manifest, Records, shard_name
from resnet50.data.share import Share

pytest.importorskip("array_record", reason="shards are read and written by array_record")


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Images of two classes in three splits, in files of several kinds and sizes; some cannot be used."""
    root = tmp_path_factory.mktemp("source") / "photos"
    for split, count in (("train", 6), ("val", 2), ("test", 3)):
        for label, name in enumerate(("cat", "dog")):
            for index in range(count):
                pixels = noise(40 + 9 * index, 30, 3, seed=(count, label, index))
                suffix = (".jpg", ".png", ".webp")[index % 3]
                write_image(root / split / name / f"{index}{suffix}", pixels)
    (root / "train" / "cat" / "6.png").write_bytes((root / "train" / "cat" / "1.png").read_bytes())
    (root / "test" / "dog" / "9.png").write_bytes((root / "train" / "dog" / "1.png").read_bytes())
    mirrored = noise(49, 30, 3, seed=(6, 1, 1))[:, ::-1]
    write_image(root / "train" / "dog" / "7.png", mirrored)
    (root / "train" / "dog" / "8.jpg").write_bytes(b"broken")
    (root / "train" / "dog" / "notes.txt").touch()
    return root


@pytest.fixture(scope="module")
def packed(photos, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("packed") / "records"
    (unreadable,) = pack_records(photos, out, shards=3, options=ReadOptions(max_unreadable=0.3))
    assert unreadable.path == "train/dog/8.jpg"
    return out


@pytest.fixture
def cache(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))


LENIENT = ReadOptions(max_unreadable=0.3)


@pytest.mark.parametrize("fit", [None, Fit(mode="pad")])
def test_records_are_read_like_the_folder_that_was_packed(photos, packed, cache, fit):
    expected = read_splits(photos, image_size=24, fit=fit, options=LENIENT)
    splits = read_splits(packed, image_size=24, fit=fit)
    assert list(splits.by_name) == ["train", "validation", "test"]
    for name, dataset in expected.by_name.items():
        assert (splits[name].paths, splits[name].class_names) == (dataset.paths, dataset.class_names)
        np.testing.assert_array_equal(splits[name].labels, dataset.labels)
        np.testing.assert_array_equal(np.asarray(splits[name].images), np.asarray(dataset.images))
        np.testing.assert_array_equal(splits[name].images[3], dataset.images[3])
        chosen = splits[name].select([3, 0])
        np.testing.assert_array_equal(chosen.images[:], np.asarray(dataset.images)[[3, 0]])
        assert splits[name].name == "photos"
    for each in splits.by_name.values():
        assert each.images.file_headers == [expected.headers.get(path) for path in each.paths]
    assert splits.unreadable == expected.unreadable
    assert splits.left_out == expected.left_out
    assert splits.fit == expected.fit


def test_files_are_stored_as_they_are_in_shards_of_equal_numbers(photos, packed):
    manifest = Manifest.read(packed / MANIFEST)
    records = Records(packed, manifest)
    assert len(records) == 25
    for index, path in enumerate(manifest.paths):
        content = (photos / path).read_bytes()
        assert records[index] == content
        assert manifest.sha256[index].tobytes() == hashlib.sha256(content).digest()
    names = [f"images-0000{number}-of-00003.array_record" for number in range(3)]
    assert sorted(file.name for file in packed.iterdir()) == [*names, MANIFEST]
    assert manifest.shard_records.tolist() == [9, 8, 8]  # of 26 files, one of which is broken
    for index in (-1, 25):
        with raises(IndexError, 24, index):
            records[index]


def test_more_shards_than_files_may_be_open_are_read(packed, monkeypatch):
    manifest = Manifest.read(packed / MANIFEST)
    expected = [Records(packed, manifest)[index] for index in range(25)]
    monkeypatch.setattr("resnet50.data.records._MOST_OPEN", 1)
    records, before = Records(packed, manifest), len(list(Path("/dev/fd").iterdir()))
    for index in (0, 24, 12, 1, 23):
        assert records[index] == expected[index]
        assert len(list(Path("/dev/fd").iterdir())) <= before + 1


def test_an_image_whose_header_could_not_be_read_has_none(packed, tmp_path):
    manifest = Manifest.read(packed / MANIFEST)
    for file in packed.glob("*.array_record"):
        os.link(file, tmp_path / file.name)
    replace(manifest, headers=Headers.of([None, *manifest.headers[1:]])).write(tmp_path / MANIFEST)
    splits = read_splits(tmp_path, image_size=8)
    read = [header for dataset in splits.by_name.values() for header in dataset.images.file_headers]
    assert read == [None, *manifest.headers[1:]]


def test_the_audit_decodes_no_copy_of_an_image_file(packed, monkeypatch):
    splits = read_splits(packed, image_size=16)
    expected = find_issues(splits)
    assert any("pixel by pixel" in issue.summary for issue in expected)
    decoded, decode = set(), EncodedImages._decode
    monkeypatch.setattr(EncodedImages, "_decode", lambda self, index: decoded.add(index) or decode(self, index))
    assert find_issues(splits) == expected
    paths = Manifest.read(packed / MANIFEST).paths
    mirrored = {"train/dog/1.png", "train/dog/7.png", "test/dog/9.png"}
    assert {paths[index] for index in decoded} == mirrored


def test_the_same_files_give_the_same_folder(photos, packed, tmp_path):
    pack_records(photos, tmp_path / "again", shards=3, options=LENIENT)
    for file in packed.iterdir():
        assert (tmp_path / "again" / file.name).read_bytes() == file.read_bytes() or file.name == MANIFEST
    one, other = (read_splits(folder, image_size=8)["train"] for folder in (packed, tmp_path / "again"))
    assert one.fingerprint == other.fingerprint
    assert one.fingerprint != read_splits(packed, image_size=9)["train"].fingerprint
    assert one.fingerprint != read_splits(packed, image_size=8, fit=Fit(mode="pad"))["train"].fingerprint
    assert one.fingerprint != one.select([1, 0, *range(2, len(one))]).fingerprint


def test_a_training_starts_with_the_manifest_alone(packed, tmp_path, monkeypatch):
    decoded = []
    monkeypatch.setattr(EncodedImages, "_decode", lambda self, index: decoded.append(index) or np.zeros((8, 8, 3)))
    splits = load_dataset(packed, image_size=8)
    held_out = splits.hold_out(0.3, seed=0)
    assert {name: len(dataset) for name, dataset in held_out.by_name.items()} == {
        "train": 14,
        "validation": 4,
        "test": 7,
    }
    assert len({dataset.fingerprint for dataset in held_out.by_name.values()}) == 3
    write_training_images(tmp_path / "images.csv", held_out.by_name)
    assert decoded == []
    kinds = {issue.kind for issue in find_issues(splits)}
    assert {"leak", "near-duplicates", "mirrored", "odd-aspect-ratio", "unreadable", "left-out"} <= kinds
    assert len(decoded) <= 16  # the examples of identical images, which are compared pixel by pixel


def test_near_duplicates_are_those_of_the_images(photos, packed, cache):
    expected = read_splits(photos, image_size=32, options=LENIENT).near_duplicates
    found = read_splits(packed, image_size=99).near_duplicates
    for name in ("groups", "single_color"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for one, other in ((found.pairs(), expected.pairs()), (found.mirrored_pairs(), expected.mirrored_pairs())):
        pairs, others = (
            {(*map(int, pair[:2]),) for block in blocks for pair in zip(*block, strict=True)} for blocks in (one, other)
        )
        assert pairs == others != set()


def count_as_very_many(monkeypatch):
    pytest.importorskip("faiss", reason="near-duplicates of very many images are found by an index of faiss")
    for module in ("data.pack_records", "audit.duplicates"):
        monkeypatch.setattr(f"resnet50.{module}.MOST_COMPARED", 24)


def test_near_duplicates_of_very_many_images_are_those_of_a_few(photos, packed, tmp_path, monkeypatch):
    count_as_very_many(monkeypatch)
    steps = []
    pack_records(photos, tmp_path / "records", options=LENIENT, shards=3, progress=lambda *step: steps.append(step))
    assert steps[-1] == (50, 50)
    found, expected = (Manifest.read(each / MANIFEST).near_duplicates for each in (tmp_path / "records", packed))
    np.testing.assert_array_equal(found.groups, expected.groups)
    for name in ("stored", "mirrored"):
        columns, others = (
            np.concatenate([np.stack(pairs) for pairs in getattr(each, name)], axis=1) for each in (found, expected)
        )
        np.testing.assert_array_equal(columns, others[:, np.lexsort((others[1], others[0]))])
    kinds = {issue.kind for issue in find_issues(read_splits(tmp_path / "records", image_size=8))}
    assert {"leak", "near-duplicates", "mirrored"} <= kinds
    assert "copies-only" not in kinds
    pack_records(photos, tmp_path / "again", options=LENIENT, shards=3)
    assert (tmp_path / "again" / MANIFEST).read_bytes() == (tmp_path / "records" / MANIFEST).read_bytes()


def test_without_faiss_nothing_is_copied_or_written_of_very_many_images(photos, tmp_path, monkeypatch):
    monkeypatch.setattr("resnet50.data.pack_records.MOST_COMPARED", 25)
    monkeypatch.setitem(sys.modules, "faiss", None)
    steps = []
    for source in (photos, photos.as_uri()):
        with raises(ImportError, "faiss", "'resnet50[records]'"):
            pack_records(source, tmp_path / "records", options=LENIENT, progress=lambda *step: steps.append(step))
    assert list(tmp_path.iterdir()) == []
    assert steps == []


@pytest.mark.parametrize("many", [False, True])
def test_copies_alone_are_known_where_near_duplicates_are_too_many(photos, packed, tmp_path, monkeypatch, many):
    if many:
        count_as_very_many(monkeypatch)
    for module in ("near_duplicates", "pack_records", "near_duplicate_index"):
        monkeypatch.setattr(f"resnet50.data.{module}.MAX_STORED_PAIRS", 0)
    pack_records(photos, tmp_path / "records", options=LENIENT)
    assert Manifest.read(tmp_path / "records" / MANIFEST).near_duplicates is None
    identical = read_splits(packed, image_size=8, options=ReadOptions(near_duplicates=False)).near_duplicates
    found = read_splits(tmp_path / "records", image_size=8).near_duplicates
    assert found.copies is not None
    np.testing.assert_array_equal(found.groups, identical.groups)
    issues = find_issues(read_splits(tmp_path / "records", image_size=8))
    (note,) = [issue for issue in issues if issue.kind == "copies-only"]
    assert "2,000,000" in note.summary  # why, whether they are many images or few
    assert "--records" not in note.advice


def test_groups_are_packed(tmp_path):
    for index in range(8):
        draw_image(tmp_path / f"{index}.png", index)
    rows = [f"{index}.png,{'ab'[index % 2]},{'' if index > 5 else f'p{index // 2}'}" for index in range(8)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,group", *rows]))
    pack_records(tmp_path / "list.csv", tmp_path / "records")
    (dataset,) = read_splits(tmp_path / "records", image_size=8).by_name.values()
    assert dataset.groups == ("p0", "p0", "p1", "p1", "p2", "p2", "", "")
    assert [file.name for file in (tmp_path / "records").glob("*.array_record")] == [shard_name(0, 1)]


def test_deep_images_keep_the_range_that_was_measured(tmp_path):
    for index in range(4):
        path = tmp_path / "deep" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(20, 20, seed=index).astype(np.uint16) * 16).save(path)
    pack_records(tmp_path / "deep", tmp_path / "records")
    splits = read_splits(tmp_path / "records", image_size=8)
    low, high = splits.fit.value_range
    assert 0 <= low < high <= 4095
    assert read_splits(tmp_path / "records", image_size=8, fit=Fit(value_range=(0, 99))).fit.value_range == (0, 99)
    assert 90 < np.asarray(splits.train.images).mean() < 165


def flip(shard, content):
    content[100] ^= 1
    shard.write_bytes(content)


def damaged(packed, out, change):
    out.mkdir()
    for file in packed.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    shard = out / shard_name(1, 3)
    content = bytearray(shard.read_bytes())
    change(shard, content)
    return shard


def test_a_damaged_shard_is_named(packed, tmp_path):
    def cut(shard, content):
        shard.write_bytes(content[:-100])

    def swap(shard, content):  # for one of as many bytes, made of others
        start = bytes(content).index(b"\x89PNG")
        content[start : start + 4] = b"GNP\x89"
        shard.write_bytes(content)

    shard = damaged(packed, tmp_path / "missing", lambda shard, _: shard.unlink())
    with raises(ValueError, shard):
        read_splits(tmp_path / "missing", image_size=8)
    shard = damaged(packed, tmp_path / "cut", cut)
    with raises(ValueError, shard, "bytes"):
        read_splits(tmp_path / "cut", image_size=8)
    for name, change in (("flip", flip), ("swap", swap)):
        shard = damaged(packed, tmp_path / name, change)
        images = read_splits(tmp_path / name, image_size=8)["train"].images
        with raises(ValueError, shard, "record"):
            images[:]
        assert images[:5].shape == (5, 8, 8, 3)  # the other shards are read


def test_another_record_than_was_written_is_refused(packed, tmp_path):
    manifest = Manifest.read(packed / MANIFEST)
    manifest.sha256[4] ^= 1
    records = Records(packed, manifest)
    assert records[3]
    with raises(ValueError, packed / shard_name(0, 3), "record 4", "SHA-256"):
        records[4]


def test_images_of_a_run_are_known_by_their_files(packed, tmp_path, cache, photos):
    splits = read_splits(packed, image_size=8)
    path = tmp_path / "images.csv"
    write_training_images(path, {"train": splits["train"], "test": splits["test"]})
    assert path.read_text().startswith("split,path,class,file_sha256\n")
    images = read_training_images(path)
    assert {image.of_file for image in images} == {True}
    assert images[0].sha256 == hashlib.sha256((photos / images[0].path).read_bytes()).hexdigest()
    (issue,) = copies(splits["test"], images)
    assert issue.kind == "in-training"
    assert [[place.path for place in example] for example in issue.examples] == [["test/dog/9.png", "train/dog/1.png"]]
    pixels = np.asarray(splits["test"].images)
    stored = Dataset(pixels, splits["test"].labels, ("cat", "dog"), splits["test"].paths, "photos")
    assert [issue.kind for issue in copies(stored, images)] == ["unknown-training"]
    write_training_images(path, {"train": splits["train"], "test": stored})  # of pixels, since not all are records
    assert {image.of_file for image in read_training_images(path)} == {False}
    assert [issue.kind for issue in copies(splits["test"], read_training_images(path))] == ["in-training"]


def test_crops_are_cut_from_the_whole_file_and_what_follows_is_that_of_arrays(photos, packed):
    train = read_splits(packed, image_size=24, fit=Fit(resampling="bilinear"))["train"]
    augmentation = Augmentation(crop_area=0.3, flip=True, brightness=0.2, rand_augment=5)
    resize, chosen = Resize(20, 16, "bilinear"), np.array([5, 0, 9, 2])
    batches = Batches(train, 4, augmentation=augmentation, resize=resize, seed=3)
    batches.epoch = 2
    for index, image in zip(chosen.tolist(), batches.versions(chosen), strict=True):
        with Image.open(photos / train.paths[index]) as whole:  # too small for a part of its size to be enough
            pixels = np.asarray(whole.convert("RGB"))[None]
        (expected,) = augmentation.apply(pixels, [np.random.default_rng((3, 2, index))], resize=resize)
        np.testing.assert_array_equal(image, expected)


def test_validation_images_are_fitted_to_the_training_size_from_their_files(packed):
    validation = read_splits(packed, image_size=24)["validation"]
    small = read_splits(packed, image_size=16)["validation"]
    batches = Batches(validation, 9, resize=Resize(16, 16))
    np.testing.assert_array_equal(batches[0][0], small.images[:])


@pytest.mark.parametrize("mode", ["pad", "stretch"])
def test_crops_of_a_fit_that_shows_the_whole_image_are_cut_from_what_it_shows(packed, mode):
    train = read_splits(packed, image_size=24, fit=Fit(mode=mode))["train"]
    augmentation, resize = Augmentation(crop_area=0.3), Resize(20, 20)
    stored = replace(train, images=np.asarray(train.images))
    ways = [Batches(each, 5, augmentation=augmentation, resize=resize) for each in (train, stored)]
    np.testing.assert_array_equal(*(batches[1][0] for batches in ways))


def test_ranks_share_the_images_and_their_changes_whatever_their_number(packed):
    train = read_splits(packed, image_size=24)["train"].select(np.arange(8))
    augmentation, resize = Augmentation(crop_area=0.3, flip=True), Resize(16, 16)
    of_one = Batches(train, 8, shuffle=True, augmentation=augmentation, resize=resize, share=Share(0, 1, 8))[0]
    for count in (2, 4, 8):
        ranks = [
            Batches(train, 8, shuffle=True, augmentation=augmentation, resize=resize, share=Share(rank, count, 8))[0]
            for rank in range(count)
        ]
        for expected, *parts in zip(of_one, *ranks, strict=True):
            np.testing.assert_array_equal(np.concatenate(parts), expected)


def test_a_damaged_shard_is_named_in_the_midst_of_a_training(packed, tmp_path):
    shard = damaged(packed, tmp_path / "flip", flip)
    train = read_splits(tmp_path / "flip", image_size=8)["train"]
    with raises(ValueError, shard, "record"):
        list(Batches(train, 4, augmentation=Augmentation(crop_area=0.5), resize=Resize(8, 8)))


def test_grain_takes_records_as_a_source(packed):
    grain = pytest.importorskip("grain")
    records = Records(packed, Manifest.read(packed / MANIFEST))
    order = grain.MapDataset.source(records).shuffle(seed=3)
    seen = [content for rank in range(2) for content in order[rank::2]]
    assert sorted(seen) == sorted(records[index] for index in range(len(records)))
    assert seen != sorted(seen)


@pytest.mark.parametrize(
    ("options", "values"),
    [({"shards": 0}, (1, 0)), ({"options": ReadOptions(max_unreadable=0)}, ("8.jpg", "--max-unreadable"))],
)
def test_nothing_is_left_of_a_packing_that_is_refused(photos, tmp_path, options, values):
    with raises(ValueError, *values):
        pack_records(photos, tmp_path / "records", **options)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_taken_is_refused(photos, tmp_path):
    with raises(ValueError, tmp_path):
        pack_records(photos, tmp_path, options=LENIENT)
    for index in range(2):
        (tmp_path / "bad" / "ab"[index]).mkdir(parents=True)
        (tmp_path / "bad" / "ab"[index] / "0.png").write_bytes(b"broken")
    with raises(ValueError, tmp_path / "bad", 2):
        pack_records(tmp_path / "bad", tmp_path / "records", options=ReadOptions(max_unreadable=1.0))


def test_progress_is_of_headers_files_and_comparisons(photos, tmp_path):
    steps = []
    pack_records(photos, tmp_path / "records", options=LENIENT, progress=lambda *step: steps.append(step))
    assert steps[0] == (1, 26)
    assert steps.count((26, 26)) == 2
    assert steps[-1] == (50, 50)
