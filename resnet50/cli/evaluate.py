"""``resnet50 evaluate``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50._io.quiet import import_keras
from resnet50.cli import source
from resnet50.cli.bars import bar
from resnet50.cli.out import check_new

if TYPE_CHECKING:
    from resnet50.audit.issue import Issue
    from resnet50.data.dataset import DatasetSplits
    from resnet50.data.loading import Splits
    from resnet50.inference.classifier import Classifier
    from resnet50.training.run import RunDirectory

_NAMED = 10  # classes that an error names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL_OR_RUN", help="a .keras file, or the folder of a run")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder, CSV or h5 with the images: its test part is scored, or all of it if it has no parts; of those "
        "that the classifier was trained on, which are taken where none are named, what was kept for the test",
    )
    source.add_how_arguments(parser, *source.OPTIONS)
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for report.html, report.json and the figures; else RUN/evaluation, or MODEL-report beside a file "
        "MODEL.keras; an earlier report there is replaced",
    )
    parser.add_argument(
        "--calibrate",
        metavar="OUT.keras",
        help="also write the run's classifier with its probabilities scaled by a temperature, fitted on the images "
        "that the run held out for validation; an existing file is not replaced",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Score a classifier, write the report and print what is in it."""
    path, given = Path(options.model), source.how_to_read(options)
    if given and not options.data:
        words = ", ".join(map(source.word, given))
        raise ValueError(f"{words} {'says' if len(given) == 1 else 'say'} how --data is read: name that too.")
    begun = _run_of(path)
    if options.calibrate:
        _check_calibrate(options.calibrate, path, begun)

    import_keras()
    from resnet50.audit.check import check
    from resnet50.audit.training_images import copies, read_training_images
    from resnet50.cli.progress import show_report
    from resnet50.inference.classifier import Classifier
    from resnet50.metrics.calibration import calibrate
    from resnet50.reports.report import write_report
    from resnet50.training.train import hold_out

    recipe, noted = None, {}
    out = path.with_name(f"{path.stem}-report")
    if begun is not None:
        recipe, environment = begun.read()
        noted = environment["data"]
        if path.is_dir():
            path, out = begun.model, path / "evaluation"
        elif path.name == begun.model.name:
            out = path.with_name("evaluation")
    out = Path(options.out or out)
    classifier = Classifier.load(path)
    own, how = _own_images(classifier, path, noted, options.data, given)
    if options.calibrate and own is None:
        raise ValueError(f"{options.model}: --calibrate needs the images that the run was trained on, found others.")
    training = validation = None
    told: list[Issue] = []
    if own is not None:
        test, unreadable = own.test, own.unreadable
        training, validation = hold_out(recipe, own) if recipe else (own.train, own.validation)
        if begun is not None and test.fingerprint != noted["fingerprints"].get("test"):
            told = [_changed_test(len(test), begun)]
    elif "test" in given:
        raise ValueError(
            f"{options.data}: expected the share that the training kept for the test, got --test {given['test']:g}, "
            "which leaves other images than it was trained on; leave it out to score them all."
        )
    else:
        splits = _splits(options.data, how, classifier)
        test, unreadable = splits.splits[_scored(splits)], splits.unreadable
        if begun is not None and begun.images.is_file():
            told = list(copies(test, read_training_images(begun.images)))
        elif _scored(splits) != "test":
            told = [_unknown_training(len(test), options.data)]
    if options.calibrate and validation is None:
        raise ValueError(
            f"{options.model}: expected validation images to fit a temperature on, but the run held none out; train "
            "with --validation 0.2."
        )
    for issue in told:
        print(f"{issue.severity}: {issue.summary} {issue.advice}", file=sys.stderr)
    with bar("comparing images") as show:
        told += check(own.splits if own else {"test": test}, unreadable, progress=show)
    report = write_report(out, classifier, test, training=training, validation=validation, issues=told)
    if options.calibrate:
        if report.temperature_scaling is None or report.temperature_reason:
            raise ValueError(
                f"{options.model}: no temperature is offered: {report.temperature_reason} The report is in {out}."
            )
        calibrated = calibrate(classifier, report.temperature_scaling.temperature)
        calibrated = replace(calibrated, metrics={**calibrated.metrics, "loss": report.temperature_scaling.loss})
        calibrated.save(options.calibrate)
    if options.json:
        print(report.to_json())
        return 0
    show_report(report)
    print(out / "report.html")
    if options.calibrate:
        print(options.calibrate)
    return 0


def _run_of(path: Path) -> RunDirectory | None:
    """Return the run that was named by its folder, or by a classifier in it."""
    from resnet50.inference.locate import is_export
    from resnet50.training.run import RunDirectory

    if path.is_dir() and not is_export(path):
        return RunDirectory(path)
    real = path.resolve()
    for run in (RunDirectory(real.parent), RunDirectory(real.parent.parent)):
        if real in (run.model, run.best) and run.recipe.is_file():
            return run
    return None


def _check_calibrate(out: str, model: Path, run: RunDirectory | None) -> None:
    """Refuse, before any work, what `--calibrate` cannot do."""
    if run is None:
        raise ValueError(f"{model}: --calibrate needs the folder of a run, which says what was held out.")
    if Path(out).suffix != ".keras":
        raise ValueError(f"{out}: the name of a classifier must end in .keras.")
    check_new(out)


def _own_images(
    classifier: Classifier, path: Path, noted: Mapping[str, Any], data: str | None, given: Mapping[str, Any]
) -> tuple[DatasetSplits | None, Mapping[str, Any]]:
    """Load the images that a classifier was trained on, from ``data`` if that is named.

    Returns:
        The images, None if those in ``data`` are others; and how these are read.

    Raises:
        ValueError: If none were named, and it is not known where its own are, or they are others by now.
        FileNotFoundError: If none were named, and its own are not there.
    """
    from resnet50.recipes import RECIPES

    name = str(noted.get("task", classifier.recipe.get("name")))
    how = {**noted.get("how", {}), **given}
    if data is not None:
        with suppress(ValueError, FileNotFoundError, KeyError):  # KeyError: a recipe that is not known here
            splits = source.load(RECIPES[name], data, image_size=classifier.image_size[0], how=how)
            return (splits if splits.train.fingerprint == classifier.fingerprint else None), how
        return None, given
    if name not in RECIPES:
        raise ValueError(f"{path}: its recipe {name!r} is not known here; name the --data.")
    splits = source.load_noted(RECIPES[name], noted, image_size=classifier.image_size[0], how=how)
    if splits.train.fingerprint != classifier.fingerprint:
        raise ValueError(
            f"{path}: the images that it was trained on are others by now, so that some of them may be in the test "
            "part; name what to score by --data."
        )
    return splits, how


def _splits(place: str, how: Mapping[str, Any], classifier: Classifier) -> Splits:
    """Load the parts of a source, with the classes in the model's order.

    Raises:
        ValueError: If it has a class that the model does not know.
    """
    import numpy as np

    from resnet50.data.loading import read_splits

    how = {name: how[name] for name in ("pattern", "max_unreadable") if name in how}
    with bar("reading images") as show:
        loaded = read_splits(place, image_size=classifier.image_size[0], progress=show, **how)
    known = {name: index for index, name in enumerate(classifier.class_names)}
    found = loaded.splits[_scored(loaded)].class_names
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ValueError(
            f"{place}: expected images of the classes {_listed(classifier.class_names)}, found others: "
            f"{_listed(unknown)}."
        )
    places = np.array([known[name] for name in found], dtype=np.int64)
    splits = {
        split: replace(dataset, labels=places[dataset.labels], class_names=classifier.class_names)
        for split, dataset in loaded.splits.items()
    }
    return replace(loaded, splits=splits)


def _scored(splits: Splits) -> str:
    """Return the part that is scored: the test part, or what comes nearest to one."""
    return next(name for name in ("test", "validation", "train") if name in splits.splits)


def _changed_test(count: int, run: RunDirectory) -> Issue:
    """Say that the test part is no longer what the run was scored on."""
    from resnet50._io.text import plural
    from resnet50.audit.issue import Issue
    from resnet50.audit.training_images import read_training_images

    counts = f"{plural(count, 'image')} now"
    if run.images.is_file():
        then = sum(one.split == "test" for one in read_training_images(run.images))
        counts = f"{plural(then, 'image')} then, {count:,} now"
    return Issue(
        "changed-test",
        "warning",
        f"The test part is another than the one that was scored at the end of training: {counts}.",
        f"These figures are not comparable with those in {run.report}.",
    )


def _unknown_training(count: int, place: str) -> Issue:
    """Say that images without a test part may be what the classifier was trained on.

    The classifier tells its training images only as a whole; single ones are known again by the folder of its run.
    """
    from resnet50._io.text import plural
    from resnet50.audit.issue import Issue

    return Issue(
        "unknown-training",
        "warning",
        f"{place} has no test part that is known: all of it is scored ({plural(count, 'image')}), and the "
        "classifier may have been trained on some.",
        "If it was, the figures are worth nothing. Name the folder of its run, which knows its images again, or "
        "images that it has never seen.",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
