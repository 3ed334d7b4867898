"""``resnet50 export``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.quiet import quiet
from resnet50.cli import source
from resnet50.cli.bars import bar
from resnet50.cli.model import find_model, load_classifier
from resnet50.cli.out import check_new

if TYPE_CHECKING:
    from resnet50.data.dataset import Dataset
    from resnet50.inference.classifier import Classifier

_CALIBRATED = 300  # images; the quantizers' own defaults are a few hundred
_CHECKED = 120


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    from resnet50.inference.runtimes import FORMATS

    precisions = dict.fromkeys(precision for runtime in FORMATS.values() for precision in runtime.precisions)
    parser.add_argument("model", metavar="MODEL_OR_RUN", help="a .keras file, or the folder of a run")
    parser.add_argument("out", metavar="OUT", help="new folder to write")
    parser.add_argument("--format", choices=tuple(FORMATS), required=True, help="the runtime that is to open it")
    parser.add_argument(
        "--precision",
        choices=tuple(precisions),
        default="fp32",
        help="what it computes in (fp32); not each format has each",
    )
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder, CSV or h5 with the images to calibrate int8 on and to compare on; else those of the training",
    )
    source.add_how_arguments(parser, "pattern")


def run(options: argparse.Namespace) -> int:
    """Write the export, and say how far it is from the original."""
    from resnet50.inference.runtimes import check_format

    check_format(options.format, options.precision)
    path = find_model(options.model)
    check_new(options.out)
    if options.pattern and not options.data:
        raise ValueError("--pattern says how --data is read: name that too.")
    classifier = load_classifier(path)

    from resnet50.exporters.export import export

    calibration, check = _images(path, classifier, options)
    with quiet():
        found = export(
            classifier,
            options.out,
            format=options.format,
            precision=options.precision,
            calibration=calibration.images,
            check=check.images,
        )
    size = sum(file.stat().st_size for file in Path(options.out).rglob("*") if file.is_file())
    on = f", calibrated on {len(calibration)} images" if options.precision == "int8" else ""
    print(f"{options.out}: {options.format}, {options.precision}, {size / 1e6:.1f} MB{on}")
    print(
        f"against {path}, on {found.images} images: probabilities differ by {found.mean:.2g} on average, "
        f"{found.largest:.2g} at most; the most probable class is the same on {found.agreement:.1%}"
    )
    return 0


def _images(path: Path, classifier: Classifier, options: argparse.Namespace) -> tuple[Dataset, Dataset]:
    """Return images to calibrate on, of the training part, and others to compare on.

    Raises:
        ValueError: If none were named, and it is not known where those of the training are, or they are others by now;
            or if the model's images are not square.
        FileNotFoundError: If they are not there.
    """
    import numpy as np

    from resnet50.data.loading import read_splits
    from resnet50.recipes import RECIPES
    from resnet50.training.run import RunDirectory

    height, image_size = classifier.image_size
    if height != image_size:
        raise ValueError(
            f"{path}: expected a model of square images to find some for, got one of {image_size} x {height} pixels; in "
            "Python, resnet50.export takes it and any images of its size."
        )
    if options.data:
        with bar("reading images") as show:
            splits = read_splits(
                options.data, image_size=image_size, progress=show, **source.how_to_read(options)
            ).splits
    else:
        run = RunDirectory(path.parent)
        noted = run.read()[1]["data"] if run.recipe.is_file() else {}
        name = str(noted.get("task", classifier.recipe.get("name")))
        if name not in RECIPES:
            raise ValueError(f"{path}: its recipe {name!r} is not known here; name the --data.")
        splits = source.load_noted(RECIPES[name], noted, image_size=image_size, how=noted.get("how", {})).splits
        if splits["train"].fingerprint != classifier.fingerprint:
            raise ValueError(
                f"{path}: the images that it was trained on are others by now; name some like them by --data."
            )
    splits = list(splits.values())  # the training part first, the test part last
    if len(splits) > 1:
        return _sample(splits[0], _CALIBRATED), _sample(splits[-1], _CHECKED)
    some = _sample(splits[0], _CALIBRATED + _CHECKED)
    places = np.arange(len(some))
    to_check = places % ((_CALIBRATED + _CHECKED) // _CHECKED) == 0
    return some.select(places[~to_check]), some.select(places[to_check])


def _sample(dataset: Dataset, count: int) -> Dataset:
    """Return so many images, or all if there are fewer: of each class its share, always the same ones."""
    import numpy as np

    order = np.random.default_rng(0).permutation(len(dataset))
    order = order[np.argsort(dataset.labels[order], kind="stable")]
    return dataset.select(order[np.linspace(0, len(dataset) - 1, min(count, len(dataset))).astype(int)])
