from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from factories import raises
from resnet50.inference.result_rows import Rows

pytestmark = pytest.mark.skipif(
    find_spec("pyarrow") is None, reason="PyArrow is not installed: pip install 'resnet50[ray]'"
)

ABOUT = {"model_sha256": "a" * 64, "top": "3"}
TYPES = {
    "path": "string",
    "probability": "float",
    "error": "string",
    "set": "strings",
    "refused": "bool",
    "features": "floats",
}


def rows(*names: str) -> Rows:
    good = {"probability": float(np.float32(0.1)), "set": ("a", "b"), "refused": True, "features": np.ones(2, "f4")}
    return Rows(TYPES, [{"path": name} | ({"error": "no image"} if "bad" in name else good) for name in names])


def test_rows_come_back_as_they_were_with_their_types(tmp_path):
    import pyarrow.parquet as pq

    from resnet50.inference.parquet_folder import write_rows

    write_rows(tmp_path / "a.parquet", rows("1.png", "bad.png"), ABOUT)
    table = pq.read_table(tmp_path / "a.parquet")
    types = ["string", "float", "string", "list<element: string>", "bool", "list<element: float>"]
    assert [str(field.type) for field in table.schema] == types
    good, bad = table.to_pylist()
    assert good == {
        "path": "1.png",
        "probability": float(np.float32(0.1)),
        "error": None,
        "set": ["a", "b"],
        "refused": True,
        "features": [1.0, 1.0],
    }
    assert bad == dict.fromkeys(TYPES) | {"path": "bad.png", "error": "no image"}
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_what_is_done_is_read_from_all_files(tmp_path):
    from resnet50.inference.parquet_folder import read_done, write_rows

    assert read_done(tmp_path, ABOUT) == {}
    write_rows(tmp_path / "a.parquet", rows("1.png", "bad.png"), ABOUT)
    write_rows(tmp_path / "b.parquet", rows("2.png"), ABOUT)
    (tmp_path / "notes.txt").write_text("mine")
    assert read_done(tmp_path, ABOUT) == {"1.png": True, "bad.png": False, "2.png": True}


def test_other_results_are_refused(tmp_path):
    from resnet50.inference.parquet_folder import read_done, write_rows

    write_rows(tmp_path / "a.parquet", rows("1.png"), ABOUT)
    with raises(ValueError, tmp_path / "a.parquet", "top", "5", "'3'"):
        read_done(tmp_path, ABOUT | {"top": "5"})
    with raises(ValueError, tmp_path / "a.parquet", "at", "'nothing'"):
        read_done(tmp_path, {"at": "conv5"})


def test_an_image_with_two_rows_is_refused(tmp_path):
    from resnet50.inference.parquet_folder import read_done, write_rows

    write_rows(tmp_path / "a.parquet", rows("1.png"), ABOUT)
    write_rows(tmp_path / "b.parquet", rows("2.png", "1.png"), ABOUT)
    with raises(ValueError, tmp_path / "b.parquet", "'1.png'"):
        read_done(tmp_path, ABOUT)


def test_a_damaged_file_is_named(tmp_path):
    from resnet50.inference.parquet_folder import read_done, read_manifest, write_rows

    file = tmp_path / "a.parquet"
    write_rows(file, rows("1.png"), ABOUT)
    file.write_bytes(file.read_bytes()[:-9])
    for read in (lambda: read_done(tmp_path, ABOUT), lambda: read_manifest(file)):
        with raises(ValueError, file, "damaged"):
            read()


def test_a_manifest_lists_images_relative_to_its_folder(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from resnet50.inference.parquet_folder import read_manifest

    pq.write_table(pa.table({"path": ["a.png", "/b.png"], "label": [1, 2]}), tmp_path / "list.parquet")
    assert [str(path) for path in read_manifest(tmp_path / "list.parquet")] == [f"{tmp_path}/a.png", "/b.png"]
    pq.write_table(pa.table({"path": ["a.png", None]}), tmp_path / "none.parquet")
    with raises(ValueError, tmp_path / "none.parquet", 1):
        read_manifest(tmp_path / "none.parquet")
    for column in ({"image": ["a.png"]}, {"path": [1]}):
        pq.write_table(pa.table(column), tmp_path / "other.parquet")
        with raises(ValueError, tmp_path / "other.parquet", "'path'"):
            read_manifest(tmp_path / "other.parquet")
    pq.write_table(pa.table([pa.array(["a.png"])] * 2, names=["path", "path"]), tmp_path / "twice.parquet")
    with raises(ValueError, tmp_path / "twice.parquet", "one column 'path'"):
        read_manifest(tmp_path / "twice.parquet")
    ends = pa.array([0, 1], pa.int32()).buffers()[1]
    bytes_only = pa.Array.from_buffers(pa.string(), 1, [None, ends, pa.py_buffer(b"\xff")])
    pq.write_table(pa.table({"path": bytes_only}), tmp_path / "bytes.parquet")
    with raises(ValueError, tmp_path / "bytes.parquet", "damaged"):
        read_manifest(tmp_path / "bytes.parquet")
    with raises(FileNotFoundError):
        read_manifest(tmp_path / "nothing.parquet")


def test_a_folder_is_for_one_process_and_is_cleaned(tmp_path):
    from resnet50.inference.parquet_folder import opened

    folder = tmp_path / "results"
    with opened(folder):
        (folder / ".partial-1.parquet").write_bytes(b"PAR1")
    with opened(folder):
        assert [path.name for path in folder.iterdir()] == [".lock"]
        with raises(ValueError, folder), opened(folder):
            pass
    (tmp_path / "file").touch()
    with raises(ValueError, tmp_path / "file", "a file"), opened(tmp_path / "file"):
        pass
