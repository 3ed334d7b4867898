"""Execute the notebooks from top to bottom, and store them with their outputs.

    python notebooks/execute.py               # all of them
    python notebooks/execute.py signs.ipynb   # one

Each notebook runs in an empty folder, with the parameters and the data of its row in `SETTINGS`. Data are read from the
folder ``RESNET50_DATA``, by default ``shared/data`` beside the repository. A notebook is replaced only after all of its
cells have run and its outputs have been checked; otherwise it stays as it is.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from PIL import Image

NOTEBOOKS = Path(__file__).resolve().parent
ROOT = NOTEBOOKS.parent

LIMIT = 900_000
"""Most bytes of a stored notebook."""

NOT_STORED = "Photos are not stored: their license is not stated. Run the notebook to see them."
"""Takes the place of the images of a cell with the tag ``photos``."""

TABLE_LINES = 30
"""A table of epochs with more lines is shortened."""

_TIMEOUT = 3600  # seconds for a cell

_ADDRESS = re.compile(r"^repo_url:\s*[\"']?(https://github\.com/([^/\s\"']+/[^/\s\"']+?))/?[\"']?\s*$", re.MULTILINE)

_STYLE = re.compile(r"\x1b\[[0-9;]*m")  # bold and colors of a terminal

_PRIVATE = {
    "an absolute path": re.compile(
        r"(?:file://|(?<![\w./<:*~-]))/(?:home|root|tmp|usr|var|Users)(?:/[\w.-]+)*\b|(?<![\w./<:*~-])/[A-Za-z_][\w.-]*/[\w.-]+|\b[A-Z]:\\\w+"
    ),
    "a temporary name": re.compile(r"\btmp[a-z0-9_]{6,}\b"),
    "a time of day": re.compile(r"\b\d{1,2}:\d{2}:\d{2}\b"),
    "an address in memory": re.compile(r"\b0x[0-9a-f]{6,}\b"),
}


class NotebookError(Exception):
    """A notebook that cannot be executed or stored, with the reason in one line."""


@dataclass(frozen=True)
class Setting:
    """How the stored outputs of a notebook are made.

    Attributes:
        parameters: Values of its parameter cell, where they differ from the notebook's own.
        links: Names in its working folder, each with a path below the folder of data.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


SETTINGS = {
    "signs.ipynb": Setting(),
    "own_images.ipynb": Setting(),
    "transfer.ipynb": Setting(
        parameters={
            "WEIGHTS": "resnet50_pqf_in1k.safetensors",
            "DATA": "cats_dogs",
            "IMAGE_SIZE": 160,
            "IMAGES_PER_CLASS": 30,
        },
        links={
            "resnet50_pqf_in1k.safetensors": "imagenet_weights/resnet50_pqf_in1k.safetensors",
            "cats_dogs": "cats_dogs",
        },
    ),
    "rocks.ipynb": Setting(links={"rocks": "rocks"}),
    "why_residual.ipynb": Setting(parameters={"CIFAR10": "cifar10"}, links={"cifar10": "cifar10"}),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the named notebooks; return 1 if one of them could not be stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "notebooks", nargs="*", metavar="NOTEBOOK", help=f"One of {', '.join(SETTINGS)}; all by default."
    )
    names = [Path(name).name for name in parser.parse_args(arguments).notebooks] or list(SETTINGS)
    if unknown := [name for name in names if name not in SETTINGS]:
        parser.error(f"expected notebooks of {', '.join(SETTINGS)}, got {unknown[0]}")
    data = Path(os.environ.get("RESNET50_DATA") or ROOT.parent / "shared" / "data")
    failed = []
    for name in names:
        try:
            renew(NOTEBOOKS / name, SETTINGS[name], data)
        except NotebookError as error:
            failed.append(name)
            print(f"{name}: {error} The stored notebook is unchanged.")
    print(
        f"{len(names) - len(failed)} of {len(names)} notebooks stored"
        + (f"; not {', '.join(failed)}" if failed else "")
    )
    return 1 if failed else 0


def renew(path: Path, setting: Setting, data: Path) -> None:
    """Execute a notebook, and replace its file by one with the new outputs.

    Args:
        path: The notebook.
        setting: Its parameters and data.
        data: Folder that the setting's links point into.

    Raises:
        NotebookError: If data are missing, a cell fails, or the outputs cannot be published; the file is unchanged.
    """
    print(f"{path.name}: started", flush=True)
    began = time.monotonic()
    notebook = nbformat.read(path, as_version=4)
    show_badge(notebook, colab_badge(path.name, ROOT / "mkdocs.yml"))
    with TemporaryDirectory() as folder, parameters(notebook, setting.parameters):
        link(Path(folder), setting.links, data)
        execute(notebook, Path(folder), name=path.name)
    for line in clean(notebook):
        print(f"{path.name}: not stored: {line}")
    check(notebook)
    text = nbformat.writes(notebook) + "\n"
    if len(text.encode()) > LIMIT:
        raise NotebookError(
            f"expected at most {LIMIT:,} bytes, got {len(text.encode()):,}; show fewer or smaller figures."
        )
    write(path, text)
    print(
        f"{path.name}: stored, {len(text.encode()) / 1000:.0f} kB, after {time.monotonic() - began:.0f} s", flush=True
    )


@contextmanager
def parameters(notebook: NotebookNode, values: Mapping[str, Any]) -> Iterator[None]:
    """Give the cell with the tag ``parameters`` other values, as papermill does, and restore its text afterwards.

    Args:
        notebook: A notebook with one such cell, of lines ``NAME = value``.
        values: New values by name; the other lines stay.

    Raises:
        NotebookError: If the cell has no parameter of a name.
    """
    (cell,) = (cell for cell in notebook.cells if "parameters" in tags(cell))
    own = cell.source
    lines = {line.partition(" = ")[0]: line for line in own.splitlines()}
    for name, value in values.items():
        if name not in lines:
            raise NotebookError(f"expected one of the parameters {', '.join(lines)}, got {name}; correct SETTINGS.")
        lines[name] = f"{name} = {value!r}"
    cell.source = "\n".join(lines.values())
    try:
        yield
    finally:
        cell.source = own


def link(folder: Path, links: Mapping[str, str], data: Path) -> None:
    """Make data available under short names in a notebook's working folder.

    Raises:
        NotebookError: If they are missing.
    """
    for name, place in links.items():
        if not (data / place).exists():
            raise NotebookError(
                f"expected {place} in {data}, got nothing there; set RESNET50_DATA to the folder of data."
            )
        (folder / name).symlink_to((data / place).resolve())


def execute(notebook: NotebookNode, folder: Path, *, name: str) -> None:
    """Run all cells in a folder, with an empty cache and the package of this repository; store their outputs in place.

    Raises:
        NotebookError: If a cell fails; it names the cell and the error.
    """
    current = 0

    def begin(cell: NotebookNode, cell_index: int) -> None:
        nonlocal current
        current = cell_index
        if sys.stdout.isatty():
            print(f"\r{name}: cell {cell_index + 1} of {len(notebook.cells)} ", end="", flush=True)

    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    client = NotebookClient(
        notebook, timeout=_TIMEOUT, resources={"metadata": {"path": str(folder)}}, record_timing=False,
        coalesce_streams=True, on_cell_start=begin, extra_arguments=["--log-level=40"],
    )  # fmt: skip
    try:
        client.execute(env={**os.environ, "PYTHONPATH": search, "RESNET50_CACHE": str(folder / "cache")})
    except (CellControlSignal, CellTimeoutError, DeadKernelError) as error:
        reason = f"{getattr(error, 'ename', type(error).__name__)}: {getattr(error, 'evalue', error)}"
        first = notebook.cells[current].source.partition("\n")[0]
        raise NotebookError(f"cell {current + 1}, which begins with {first!r}, failed ({reason}).") from error
    finally:
        if sys.stdout.isatty():
            print()


def clean(notebook: NotebookNode) -> list[str]:
    """Remove from executed cells what must not or need not be stored, and make their images smaller.

    Returns:
        The lines on standard error, which are not stored.
    """
    dropped = []
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            errors = [output for output in cell.outputs if output.get("name") == "stderr"]
            dropped += [line for output in errors for line in output.text.splitlines()]
            outputs = [output for output in cell.outputs if output not in errors]
            cell.outputs = without_photos(outputs) if "photos" in tags(cell) else outputs
            for output in cell.outputs:
                shrink(output.get("data", {}))
    return dropped


def without_photos(outputs: Sequence[NotebookNode]) -> list[NotebookNode]:
    """Return the outputs with a sentence in place of the images."""
    others = [output for output in outputs if not is_image(output)]
    if len(others) == len(outputs):
        return others
    return [*others, nbformat.v4.new_output("stream", name="stdout", text=f"{NOT_STORED}\n")]


def shrink(data: dict[str, Any]) -> None:
    """Make the content of an output smaller: images by a palette, a long table of epochs by leaving out its middle."""
    if "image/png" in data:
        data["image/png"] = base64.b64encode(smaller(base64.b64decode(data["image/png"]))).decode()
    for kind in ("text/html", "text/plain"):
        if kind in data:
            data[kind] = shortened(_STYLE.sub("", data[kind]))


def smaller(png: bytes) -> bytes:
    """Return a PNG with at most 256 colors, or the same if that is not smaller."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    # this method bounds the largest error, to about 10 of 255 in the notebooks' figures, so that no bands are visible
    palette = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    file = io.BytesIO()
    palette.save(file, "PNG", optimize=True)
    return min(png, file.getvalue(), key=len)


def shortened(text: str) -> str:
    """Return a table with a line in place of its middle, if it is longer than `TABLE_LINES`."""
    lines = text.splitlines(keepends=True)
    if len(lines) <= TABLE_LINES:
        return text
    ends = TABLE_LINES // 4
    return "".join([*lines[:ends], f"   ... {len(lines) - 2 * ends} lines ...\n", *lines[-ends:]])


def check(notebook: NotebookNode) -> None:
    """Refuse outputs that show something about the machine.

    Raises:
        NotebookError: If a text holds an absolute path, a temporary name, a time of day or the name of this machine.
    """
    for number, cell in enumerate(notebook.cells, start=1):
        for text in texts(cell):
            for what, found in private(text):
                raise NotebookError(
                    f"expected outputs that hold for every machine, got {what} in cell {number}: {found}."
                )


def private(text: str) -> Iterator[tuple[str, str]]:
    """Yield what a text shows about a machine: a description and the part of the text."""
    for what, pattern in _PRIVATE.items():
        yield from ((what, match[0]) for match in pattern.finditer(text))
    if re.search(rf"\b{re.escape(socket.gethostname())}\b", text):
        yield "the name of this machine", socket.gethostname()


def texts(cell: NotebookNode) -> Iterator[str]:
    """Yield each text among the outputs of a cell."""
    for output in cell.get("outputs", ()):
        yield output.get("text", "")
        yield from (output.get(name, "") for name in ("ename", "evalue"))
        yield from output.get("traceback", ())
        for kind, content in output.get("data", {}).items():
            if kind not in ("image/png", "image/jpeg"):  # pixels
                yield content if isinstance(content, str) else json.dumps(content)


def is_image(output: NotebookNode) -> bool:
    """Return whether an output shows an image."""
    data = output.get("data", {})
    return any(kind.startswith("image/") for kind in data) or "data:image/" in data.get("text/html", "")


def tags(cell: NotebookNode) -> Sequence[str]:
    """Return the tags of a cell."""
    return cell.metadata.get("tags", ())


def colab_badge(name: str, configuration: Path) -> str | None:
    """Return the Markdown of an "Open in Colab" badge.

    Args:
        name: Name of the notebook.
        configuration: ``mkdocs.yml``, whose ``repo_url`` is the public address of the repository.

    Returns:
        The badge; None where the configuration has no address on GitHub, from which Colab reads notebooks.
    """
    address = _ADDRESS.search(configuration.read_text(encoding="utf-8"))
    if not address:
        return None
    colab = f"https://colab.research.google.com/github/{address[2]}/blob/main/notebooks/{name}"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n\n"
        f"In Colab, run `%pip install git+{address[1]}` first."
    )


def show_badge(notebook: NotebookNode, badge: str | None) -> None:
    """Put the badge into a cell of its own below the title, in place of an earlier one; None removes it."""
    notebook.cells = [cell for cell in notebook.cells if cell.id != "colab"]
    if badge:
        cell = nbformat.v4.new_markdown_cell(badge)
        cell.id = "colab"
        notebook.cells.insert(1, cell)


def write(path: Path, text: str) -> None:
    """Replace a file at once, so that an interruption leaves either the old or the new one."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


if __name__ == "__main__":
    sys.exit(main())
