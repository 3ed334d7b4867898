import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from factories import dataset, raises
from resnet50.audit.issue import Place
from resnet50.audit.training_images import TrainingImage, copies, read_training_images, write_training_images
from resnet50.data.lazy_images import LazyImages


def labeled(n, seed=0, name="file"):
    return dataset(np.arange(n) % 2, ("a", "b, c"), size=(6, 8), paths=[f"{name} {k}" for k in range(n)], seed=seed)


def test_a_row_for_each_image_with_the_hash_of_its_pixels(tmp_path):
    training = replace(labeled(3), paths=("one,\n1.png", "\udcff.png", "3"))
    test = labeled(2, seed=1)
    write_training_images(tmp_path / "new" / "images.csv", {"train": training, "test": test})
    assert (tmp_path / "new" / "images.csv").read_bytes().startswith(b'split,path,class,sha256\r\ntrain,"one,\n1')
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in (*training.images, *test.images)]
    assert read_training_images(tmp_path / "new" / "images.csv") == (
        TrainingImage("train", "one,\n1.png", "a", digests[0]),
        TrainingImage("train", "\udcff.png", "b, c", digests[1]),
        TrainingImage("train", "3", "a", digests[2]),
        TrainingImage("test", "file 0", "a", digests[3]),
        TrainingImage("test", "file 1", "b, c", digests[4]),
    )


def test_images_in_a_file_have_the_same_hashes(tmp_path):
    whole = labeled(5)
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=whole.images.shape)
    mapped[:] = whole.images
    write_training_images(tmp_path / "a.csv", {"train": whole.select([4, 1])})
    write_training_images(
        tmp_path / "b.csv", {"train": replace(whole, images=LazyImages(mapped, np.arange(5))).select([4, 1])}
    )
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(("text", "found"), [("", ""), ("a,b\n", "a, b"), ("split,path,class,sha256\ntest,x\n", "")])
def test_another_table_is_refused(tmp_path, text, found):
    path = tmp_path / "images.csv"
    path.write_text(text)
    with raises(ValueError, path, "split, path, class, sha256", found):
        read_training_images(path)


def numbers(text):
    return sorted(re.findall(r"\d+(?:\.\d+)?", text))


def recorded(splits, folder):
    write_training_images(folder / "images.csv", splits)
    return read_training_images(folder / "images.csv")


def test_copies_of_training_and_validation_images_are_an_error(tmp_path):
    training, validation, scored = labeled(4), labeled(3, seed=1, name="held"), labeled(6, seed=2, name="new")
    known = recorded({"train": training, "validation": validation, "test": scored}, tmp_path)
    assert list(copies(scored, known)) == []  # the run's own test images are no copies
    mixed = replace(scored, images=np.concatenate([validation.images[2:], scored.images[:4], training.images[1:2]]))
    (issue,) = copies(mixed, known)
    assert (issue.kind, issue.severity) == ("in-training", "error")
    assert numbers(issue.summary) == ["2", "33.3", "6"]
    held, learned = (copy for _, copy in issue.examples)
    assert "validation" in held.remark
    assert "train" in learned.remark
    assert issue.examples == (
        (Place("new 0", "test", 0, "a"), Place("held 2", "", None, "a", held.remark)),
        (Place("new 5", "test", 5, "b, c"), Place("file 1", "", None, "b, c", learned.remark)),
    )
    (one,) = copies(mixed.select([0, 1, 2]), known)
    assert numbers(one.summary) == ["1", "3", "33.3"]
    nearly = training.images.copy()
    nearly[:, 0, 0, 0] ^= 1
    assert list(copies(replace(training, images=nearly), known)) == []


def test_what_a_spreadsheet_would_run_is_text_and_comes_back(tmp_path):
    images = replace(labeled(2), paths=("=HYPERLINK(1).png", "-1"), class_names=("@a", "'=b", "c"))
    write_training_images(tmp_path / "images.csv", {"train": images})
    first, second = read_training_images(tmp_path / "images.csv")
    assert (first.path, second.path) == ("=HYPERLINK(1).png", "-1")
    assert {first.class_name, second.class_name} <= {"@a", "'=b", "c"}
    lines = (tmp_path / "images.csv").read_text(encoding="utf-8").splitlines()
    assert lines[1].startswith("train,'=HYPERLINK(1).png,")
    assert lines[2].startswith("train,-1,")
