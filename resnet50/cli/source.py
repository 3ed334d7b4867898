"""What commands share that read the images of a dataset: naming them, how they are read, and reading them."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli.bars import bar
from resnet50.data.options import ReadOptions

if TYPE_CHECKING:
    from resnet50.data.dataset import Dataset, DatasetSplits
    from resnet50.datasets.source import DataSource

OPTIONS = {field.name: field for field in fields(ReadOptions)}


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the place of the images, as a second word or by name, and how to read them."""
    parser.add_argument("source", nargs="?", metavar="PATH", help="The same as --data.")
    parser.add_argument("--data", metavar="PATH", help="Folder, CSV file or h5 file of images.")
    add_read_options(parser, *OPTIONS)


def add_read_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add some of the options of `ReadOptions`."""
    group = parser.add_argument_group("reading your own images")
    for name in names:
        field = OPTIONS[name]
        kind = str if field.default is None else float
        default = "" if field.default is None else f" Default: {field.default}."
        metavar = field.metadata.get("metavar", kind.__name__.upper())
        group.add_argument(word(name), type=kind, metavar=metavar, help=field.metadata["help"] + default)


def place(options: argparse.Namespace) -> str | None:
    """Return the absolute path of the images that was given, so that they are found again from elsewhere.

    Raises:
        ValueError: If two were given.
    """
    if options.source and options.data:
        raise ValueError(f"expected one place of images, got {options.source} and --data {options.data}.")
    named = options.source or options.data
    return str(Path(named).absolute()) if named else None


def read_options(options: argparse.Namespace) -> ReadOptions:
    """Return the options that were given."""
    return ReadOptions(**given(options))


def given(options: argparse.Namespace) -> dict[str, str | float]:
    """Return the options that were given, by name."""
    return {name: value for name in OPTIONS if (value := getattr(options, name, None)) is not None}


def load(source: DataSource, *, image_size: int) -> DatasetSplits:
    """Read a source, with a progress bar on a terminal.

    Raises:
        ValueError: If the images cannot be read.
        FileNotFoundError: If they are not there.
    """
    with bar("reading images") as show:
        return source.load(image_size, progress=show)


def load_recorded(source: DataSource, *, image_size: int) -> DatasetSplits:
    """Read a run's images from where it had them.

    Raises:
        ValueError: If they cannot be read.
        FileNotFoundError: If they are not there.
    """
    try:
        return load(source, image_size=image_size)
    except FileNotFoundError as error:
        if source.path is None:
            raise
        raise FileNotFoundError(f"{error} The run had its images there; give their new place by --data.") from error


def counts(split: str, dataset: Dataset) -> str:
    """Return a line on a split: its images, and how many there are of each class."""
    import numpy as np

    numbers = np.bincount(dataset.labels, minlength=len(dataset.class_names))
    classes = "  ".join(f"{name}: {number}" for name, number in zip(dataset.class_names, numbers, strict=True))
    return f"{split:11}{len(dataset):6} images   {classes}"


def word(name: str) -> str:
    """Return an option's name as it is typed."""
    return f"--{name.replace('_', '-')}"
