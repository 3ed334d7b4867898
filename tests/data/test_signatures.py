from __future__ import annotations

import pytest

from factories import raises
from resnet50.data.images import fit_image, read_image
from resnet50.data.signatures import describe_start

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
FILES = {
    "HEIC": HEIC,
    "ICO": b"\0\0\1\0\1\0\x10\x10",
    "raw image": b"MM\0*" + b"\0" * 100,
    "DICOM": b"\0" * 128 + b"DICM",
    "NumPy": b"\x93NUMPY\x01\0",
    "PDF": b"%PDF-1.7\n",
    "SVG": b'\xef\xbb\xbf <svg xmlns="http://www.w3.org/2000/svg"/>',
    "HTML page": b"<!DOCTYPE html><html></html>",
    "Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "video": b"\0\0\0\x18ftypmp42\0\0\0\0",
    "zip": b"PK\x03\x04" + b"\0" * 30,
    "empty": b"",
    "supported": b"some text\n",
}


@pytest.mark.parametrize("words", FILES)
def test_a_file_that_is_no_image_is_named(tmp_path, words):
    assert words in describe_start(FILES[words])
    path = tmp_path / "a.jpg"
    path.write_bytes(FILES[words])
    with raises(ValueError, path, words):
        read_image(path, height=8, width=8)
    with raises(ValueError, "upload", words):
        fit_image(FILES[words], height=8, width=8, name="upload")


def test_a_heic_image_says_what_to_do():
    assert "convert" in describe_start(HEIC)
