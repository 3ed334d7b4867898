"""``resnet50 predict``."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from resnet50.cli.bars import bar
from resnet50.cli.model import add_model_argument, find_model, load_classifier, say_rate
from resnet50.cli.out import check_new

if TYPE_CHECKING:
    from resnet50.inference.predict import Prediction

KINDS = {".csv": "csv", ".json": "list", ".jsonl": "json"}
"""What is written into a file of which name: a table, one JSON list, one JSON object a line."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="image files, or folders of them")
    add_model_argument(parser, what="a .keras file, a run or an export")
    parser.add_argument("--top", type=int, default=3, metavar="INT", help="classes to name for each image (3)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--format", choices=("text", "csv", "json"), default="text", help="what to print; json is one object a line"
    )
    where.add_argument("--json", action="store_const", const="json", dest="format", help="the same as --format json")
    where.add_argument("--out", metavar="FILE", help="write a new .csv, .json or .jsonl file, and print nothing")


def run(options: argparse.Namespace) -> int:
    """Classify every image; 2 if one could not be read, after the others are done."""
    kind = kind_of(options.out) if options.out else options.format
    path = find_model(options.model)
    if options.out:
        check_new(options.out)

    from resnet50.inference.predict import find_images, predict

    images = find_images(options.images)
    classifier = load_classifier(path)
    if kind == "text" or options.out:
        print(f"model: {path}, trained on {classifier.dataset}", file=sys.stderr)
    failed, began = 0, time.perf_counter()
    with _destination(options.out) as file, _progress(file) as show:

        def counted() -> Iterator[Prediction]:
            nonlocal failed
            for done, prediction in enumerate(predict(classifier, images, top=options.top), 1):
                failed += prediction.error is not None
                show(done, len(images))
                yield prediction

        if kind == "text":
            _write_text(counted(), file, width=max(len(str(image)) for image in images))
        elif kind == "csv":
            _write_csv(counted(), file, top=min(options.top, len(classifier.class_names)))
        else:
            told = {"model": str(path), "dataset": classifier.dataset}
            _write_json(counted(), file, told, as_list=kind == "list")
    say_rate(len(images), failed, time.perf_counter() - began)
    return 2 if failed else 0


def kind_of(out: str) -> str:
    """Return what a file of this name is to hold.

    Raises:
        ValueError: If its name does not tell.
    """
    suffix = Path(out).suffix.lower()
    if suffix not in KINDS:
        raise ValueError(f"{out}: expected a name that ends in {', '.join(KINDS)}, got {suffix or 'no ending'}.")
    return KINDS[suffix]


@contextmanager
def _destination(out: str | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
    else:
        from resnet50._io.files import atomic_path

        with atomic_path(out) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
            yield file


def _progress(file: TextIO) -> AbstractContextManager[Callable[[int, int | None], None]]:
    """Give a bar, but none between the answers that a person reads on a terminal."""
    return nullcontext(lambda done, total: None) if file.isatty() else bar("classifying")


def _write_text(predictions: Iterator[Prediction], file: TextIO, *, width: int) -> None:
    for one in predictions:
        if one.error is not None:
            print(one.error, file=sys.stderr)
        else:
            shares = (f"{name} {share:6.1%}" for name, share in one.top)
            print(f"{_plain(one.path):{width}}", *shares, sep="  ", file=file)


def _write_csv(predictions: Iterator[Prediction], file: TextIO, *, top: int) -> None:
    table = csv.writer(file, lineterminator="\n")
    places = ["", *(f"_{place}" for place in range(2, top + 1))]
    table.writerow(["path", *(f"{word}{place}" for place in places for word in ("class", "probability")), "error"])
    for one in predictions:
        answers = [value for name, share in one.top for value in (name, f"{share:.6f}")] or [""] * 2 * top
        table.writerow([_plain(one.path), *answers, _plain(one.error or "")])


def _write_json(predictions: Iterator[Prediction], file: TextIO, told: dict[str, str], *, as_list: bool) -> None:
    start, between, end = ("[\n", ",\n", "\n]\n") if as_list else ("", "\n", "\n")
    for k, one in enumerate(predictions):
        about = {"path": str(one.path), "top": dict(one.top), "error": one.error, **told}
        file.write((between if k else start) + json.dumps(about))
    file.write(end)


def _plain(text: object) -> str:
    """Return a text that any file and terminal takes: a file's name may hold bytes that are no UTF-8."""
    return str(text).encode(errors="backslashreplace").decode()
