"""``resnet50 predict``."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TextIO

from resnet50._io.files import check_new
from resnet50.cli import model as models
from resnet50.cli.console import step
from resnet50.cli.doubt_options import add_doubt_options, find_shares
from resnet50.cli.out import check_file, destination
from resnet50.cli.parser import examples, number
from resnet50.cli.predictions import FORMATS, STDIN, WRITERS, Writer
from resnet50.cli.ray_option import OUT_HELP, add_ray_option, predict_on_ray
from resnet50.cli.shard_option import add_shard_option, find_inputs


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Exits with 2 if an image cannot be read, after the others are classified.\n\n" + examples(
        "resnet50 predict new.jpg",
        "resnet50 predict new_photos --model runs/one --out answers.csv",
        "resnet50 predict new_photos --model model-openvino --json",
        "resnet50 predict new_photos --precision int8",
        "resnet50 predict new_photos --shard 3/64 --out answers-3.csv",
        "resnet50 predict new_photos --ray 192.168.1.10:6379 --out answers",
        "curl -s https://example.org/new.jpg | resnet50 predict -",
    )
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="Image files, folders of them, or - for standard input."
    )
    models.add_model_option(parser, what="a .keras file, the folder of a run, or an export")
    parser.add_argument(
        "--top", type=number(int, 1), default=3, metavar="INT", help="Classes to name for each image. Default: 3."
    )
    add_doubt_options(parser)
    models.add_precision_option(parser)
    models.add_calibration_option(parser)
    add_shard_option(parser)
    add_ray_option(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--format",
        choices=("text", "csv", "json"),
        default="text",
        help="Format to print; json is one object a line. Default: text.",
    )
    where.add_argument("--json", action="store_const", const="json", dest="format", help="The same as --format json.")
    where.add_argument("--out", metavar="FILE", help=OUT_HELP)


def run(options: argparse.Namespace) -> int:
    """Classify every image; 2 if one could not be read, after the others are done."""
    if options.ray:
        return predict_on_ray(options)
    name = options.format
    if options.out:
        name = FORMATS[check_file(options.out, *FORMATS)]
        check_new(options.out)
    path = models.find_model(options.model, exports=True)

    from resnet50.inference.predict import predict
    from resnet50.inference.prediction import Prediction

    images = find_inputs(options.images, options.shard)
    classifier = models.load_classifier(path, precision=options.precision, calibration=options.data)
    shares = find_shares(options, classifier)
    if name == "text" or options.out:
        models.show_model(path, classifier)
    failed, start = 0, time.perf_counter()
    with destination(options.out) as file, _progress(file) as progress:

        def counted() -> Iterator[Prediction]:
            nonlocal failed
            for done, prediction in enumerate(predict(classifier, images, top=options.top, **shares), 1):
                failed += prediction.error is not None
                progress(done, len(images))
                yield prediction

        writer = Writer(
            file,
            width=max(len(str(image)) if isinstance(image, Path) else len(STDIN) for image in images),
            top=min(options.top, len(classifier.class_names)),
            about={"model": str(path), "dataset": classifier.dataset, "precision": classifier.precision, **shares},
        )
        WRITERS[name](writer, counted())
    models.show_rate(len(images), failed, time.perf_counter() - start)
    return 2 if failed else 0


def _progress(file: TextIO) -> AbstractContextManager[Callable[[int, int | None], None]]:
    """Return a progress bar; none where the predictions go to a terminal, which it would interrupt."""
    return nullcontext(lambda done, total: None) if file.isatty() else step("classifying")
