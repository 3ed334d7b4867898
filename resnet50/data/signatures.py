"""What a file is that the decoder does not know, by its first bytes, and what to do about it."""

from __future__ import annotations

_CONVERT = "convert it to JPEG or PNG"
_FRAMES = "take frames from it as JPEG or PNG"
_BRANDS = {  # in a file's first box, where HEIC, AVIF and videos have it
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1"), f"a HEIC image; {_CONVERT}"),
    **dict.fromkeys((b"avif", b"avis"), f"an AVIF image, which this Pillow cannot read; update it, or {_CONVERT}"),
    b"crx ": f"a camera's raw image; {_CONVERT}",
    **dict.fromkeys((b"qt  ", b"isom", b"iso2", b"mp41", b"mp42"), f"a video; {_FRAMES}"),
}
_STARTS = {
    b"\x93NUMPY": f"a NumPy array; {_CONVERT}",
    b"\x89HDF\r\n\x1a\n": "an HDF5 file; give it by itself as the source",
    b"\0\0\1\0": f"an ICO image; {_CONVERT}",
    **dict.fromkeys((b"II*\0", b"MM\0*"), f"a camera's raw image or a damaged TIFF; {_CONVERT}"),
    b"8BPS": f"a Photoshop file; {_CONVERT}",
    b"\0\0\0\x0cjP  ": f"a JPEG 2000 image; {_CONVERT}",
    b"\0\0\0\x0cJXL ": f"a JPEG XL image; {_CONVERT}",
    b"%PDF": f"a PDF document; {_CONVERT}",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"version https://git-lfs": "a Git LFS pointer; run 'git lfs pull' in its repository",
}
_TEXTS = {
    b"<svg": f"an SVG drawing; {_CONVERT}",
    b"<!doctype html": "an HTML page; download the image itself",
    b"<html": "an HTML page; download the image itself",
}


def describe_start(start: bytes) -> str:
    """Return what a file is and what to do with it, such as ``a HEIC image; convert it to JPEG or PNG``.

    Args:
        start: The first bytes of the file, 512 or more if it has them.

    Returns:
        The description; "not an image in a supported format" for an unknown file.
    """
    if not start:
        return "an empty file"
    if start[4:8] == b"ftyp" and start[8:12] in _BRANDS:
        return _BRANDS[start[8:12]]
    if start[128:132] == b"DICM":
        return f"a DICOM file; {_CONVERT}"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    found = [words for begin, words in _STARTS.items() if start.startswith(begin)]
    found += [words for begin, words in _TEXTS.items() if text.startswith(begin)]
    return found[0] if found else "not an image in a supported format"
