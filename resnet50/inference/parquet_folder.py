"""A folder of Parquet files with a row for each image, to which many processes add files. This module needs PyArrow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resnet50._io.files import atomic_path
from resnet50._io.locks import LockedError, locked
from resnet50._io.paths import describe_path
from resnet50._io.text import printable, short
from resnet50.inference.result_rows import Rows

_TYPES = {
    "string": pa.string(),
    "float": pa.float32(),
    "bool": pa.bool_(),
    "strings": pa.list_(pa.string()),
    "floats": pa.list_(pa.float32()),
}

_MOST_ROWS = 100_000_000  # seven times ImageNet-21k

_LOCK = ".lock"  # readers of Parquet folders leave out names that begin with a dot


def write_rows(path: Path, rows: Rows, about: Mapping[str, str]) -> None:
    """Write rows into a Parquet file, atomically.

    Args:
        path: The file; one that is there is replaced.
        rows: The rows.
        about: What they were computed with, which becomes the file's metadata.
    """
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in rows.types.items()], metadata=dict(about))
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows.rows, schema), temporary)


def read_done(folder: Path, about: Mapping[str, str]) -> dict[str, bool]:
    """Return which images have a row in the files of a folder, and whether each could be read.

    Args:
        folder: The folder.
        about: What the rows must have been computed with.

    Raises:
        ValueError: If a file is damaged, is something else, was computed with something else, or has an image that
            another one has.
    """
    done: dict[str, bool] = {}
    for file in sorted(folder.glob("*.parquet")):
        table = _read(file, ("path", "error"), about)
        for path, error in zip(*(table[name].to_pylist() for name in ("path", "error")), strict=True):
            if path in done:
                raise ValueError(
                    f"{file}: expected each image once in the folder, got {short(path)} again; remove this file, and "
                    "start again."
                )
            done[path] = error is None
    return done


def read_manifest(path: str | os.PathLike[str]) -> list[Path]:
    """Return the images that a Parquet file lists in its column ``path``, relative to its folder.

    Raises:
        ValueError: If it is damaged or something else, or a row has no path.
    """
    path = Path(path)
    listed = _read(path, ("path",), {})["path"].to_pylist()
    if not all(listed):
        raise ValueError(f"{path}: expected a path in each row, got none in row {[*map(bool, listed)].index(False)}.")
    return [path.parent / each for each in listed]


@contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Create a folder for results if there is none, and keep others from adding to it in the block.

    What a killed process has half written is removed.

    Raises:
        ValueError: If another process adds to it, or the path is that of a file.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder for results, got {describe_path(folder)}; choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / _LOCK
    lock.touch()
    try:
        with locked(lock):
            for leftover in folder.glob(".partial-*.parquet"):
                leftover.unlink(missing_ok=True)
            yield
    except LockedError as error:
        raise ValueError(
            f"{folder}: expected results that no other process adds to, got some that one does; wait until it ends."
        ) from error


def _read(path: Path, columns: Sequence[str], about: Mapping[str, str]) -> pa.Table:
    """Return columns of text of a Parquet file, whose metadata must have these values."""
    try:
        with pq.ParquetFile(path) as file:
            schema, count = file.schema_arrow, file.metadata.num_rows
            if count > _MOST_ROWS:
                raise ValueError(f"it declares {count:,} rows")
            # a name that two columns have has the index -1 as well
            missing = [
                name
                for name in columns
                if (index := schema.get_field_index(name)) < 0 or schema.field(index).type not in _TEXT
            ]
            table = None if missing else file.read(columns=list(columns))
            if table is not None:
                table.validate(full=True)  # text may be no UTF-8
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = printable(" ".join(str(error).split())[:200])
        raise ValueError(
            f"{path}: expected a Parquet file, got one that is damaged or another ({reason}); remove or replace it."
        ) from error
    if table is None:
        raise ValueError(f"{path}: expected one column {missing[0]!r} of text, got {short(schema.names)}.")
    for name, value in about.items():
        stored = (schema.metadata or {}).get(name.encode(), b"nothing").decode(errors="replace")
        if stored != value:
            raise ValueError(
                f"{path}: expected results with the {name} {value}, got {short(stored)}; choose another folder, or the "
                "same model and options."
            )
    return table


_TEXT = (pa.string(), pa.large_string())
