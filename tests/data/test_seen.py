import hashlib
import re
from dataclasses import replace

import numpy as np
import pytest

from factories import dataset, raises
from resnet50.data.finding import Place
from resnet50.data.rows import Rows
from resnet50.data.seen import Seen, copies, read_seen, write_seen


def split(n, seed=0, name="file"):
    return dataset(np.arange(n) % 2, ("a", "b, c"), size=(6, 8), paths=[f"{name} {k}" for k in range(n)], seed=seed)


def test_a_row_for_each_picture_with_the_hash_of_its_pixels(tmp_path):
    training = replace(split(3), sources=("one,\n1.png", "\udcff.png", "3"))
    test = split(2, seed=1)
    write_seen(tmp_path / "new" / "pictures.csv", {"training": training, "test": test})
    assert (tmp_path / "new" / "pictures.csv").read_bytes().startswith(b'part,source,class,sha256\r\ntraining,"one,\n1')
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in (*training.images, *test.images)]
    assert read_seen(tmp_path / "new" / "pictures.csv") == (
        Seen("training", "one,\n1.png", "a", digests[0]),
        Seen("training", "\udcff.png", "b, c", digests[1]),
        Seen("training", "3", "a", digests[2]),
        Seen("test", "file 0", "a", digests[3]),
        Seen("test", "file 1", "b, c", digests[4]),
    )


def test_pictures_in_a_file_have_the_same_hashes(tmp_path):
    whole = split(5)
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "w+", shape=whole.images.shape)
    mapped[:] = whole.images
    write_seen(tmp_path / "a.csv", {"training": whole.take([4, 1])})
    write_seen(tmp_path / "b.csv", {"training": replace(whole, images=Rows(mapped, np.arange(5))).take([4, 1])})
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.mark.parametrize(("text", "found"), [("", ""), ("a,b\n", "a, b"), ("part,source,class,sha256\ntest,x\n", "")])
def test_another_table_is_refused(tmp_path, text, found):
    path = tmp_path / "pictures.csv"
    path.write_text(text)
    with raises(ValueError, path, "part, source, class, sha256", found):
        read_seen(path)


def numbers(text):
    return sorted(re.findall(r"\d+(?:\.\d+)?", text))


def seen(parts, folder):
    write_seen(folder / "seen.csv", parts)
    return read_seen(folder / "seen.csv")


def test_copies_of_what_was_learned_from_or_validated_on_are_an_error(tmp_path):
    training, validation, scored = split(4), split(3, seed=1, name="held"), split(6, seed=2, name="new")
    known = seen({"training": training, "validation": validation, "test": scored}, tmp_path)
    assert list(copies(scored, known)) == []  # the run's own test pictures are no copies
    mixed = replace(scored, images=np.concatenate([validation.images[2:], scored.images[:4], training.images[1:2]]))
    (finding,) = copies(mixed, known)
    assert (finding.kind, finding.severity) == ("seen", "error")
    assert numbers(finding.summary) == ["2", "33.3", "6"]
    held, learned = (copy for _, copy in finding.examples)
    assert "validation" in held.remark
    assert "training" in learned.remark
    assert finding.examples == (
        (Place("new 0", "test", 0, "a"), Place("held 2", "", None, "a", held.remark)),
        (Place("new 5", "test", 5, "b, c"), Place("file 1", "", None, "b, c", learned.remark)),
    )
    (one,) = copies(mixed.take([0, 1, 2]), known)
    assert numbers(one.summary) == ["1", "3", "33.3"]
    nearly = training.images.copy()
    nearly[:, 0, 0, 0] ^= 1
    assert list(copies(replace(training, images=nearly), known)) == []
