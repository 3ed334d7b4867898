"""``resnet50 evaluate``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50.cli import source
from resnet50.cli.bars import bar
from resnet50.cli.out import check_new
from resnet50.cli.quiet import import_keras

if TYPE_CHECKING:
    from resnet50.classifier import Classifier
    from resnet50.data.finding import Finding
    from resnet50.data.pictures import Splits
    from resnet50.data.split import Parts
    from resnet50.training.run import RunFolder

_NAMED = 10  # classes that an error names


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("model", metavar="MODEL_OR_RUN", help="a .keras file, or the folder of a run")
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder, CSV or h5 with the pictures: its test part is scored, or all of it if it has no parts; of those "
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
        help="also write the run's classifier with its probabilities scaled by a temperature, fitted on the pictures "
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
    from resnet50.classifier import Classifier
    from resnet50.cli.progress import show_report
    from resnet50.data.check import check
    from resnet50.data.seen import copies, read_seen
    from resnet50.evaluation.calibration import calibrate
    from resnet50.report import write_report
    from resnet50.training.fit import hold_out

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
    own, how = _own_pictures(classifier, path, noted, options.data, given)
    if options.calibrate and own is None:
        raise ValueError(f"{options.model}: --calibrate needs the pictures that the run was trained on, found others.")
    training = validation = None
    told: list[Finding] = []
    if own is not None:
        test, unreadable = own.test, own.unreadable
        training, validation = hold_out(recipe, own) if recipe else (own.training, own.validation)
        if begun is not None and test.fingerprint != noted["fingerprints"].get("test"):
            told = [_changed_test(len(test), begun)]
    elif "test" in given:
        raise ValueError(
            f"{options.data}: needed the share that the training kept for the test, got --test {given['test']:g}, "
            "which leaves other pictures than it was trained on; leave it out to score them all."
        )
    else:
        splits = _splits(options.data, how, classifier)
        test, unreadable = splits.splits[_scored(splits)], splits.unreadable
        if begun is not None and begun.pictures.is_file():
            told = list(copies(test, read_seen(begun.pictures)))
        elif _scored(splits) != "test":
            told = [_unknown_training(len(test), options.data)]
    if options.calibrate and validation is None:
        raise ValueError(
            f"{options.model}: needed validation pictures to fit a temperature on, but the run held none out; train "
            "with --validation 0.2."
        )
    for finding in told:
        print(f"{finding.severity}: {finding.summary} {finding.advice}", file=sys.stderr)
    with bar("comparing pictures") as show:
        told += check(own.splits if own else {"test": test}, unreadable, progress=show)
    report = write_report(out, classifier, test, training=training, validation=validation, findings=told)
    if options.calibrate:
        if report.scaled is None or report.no_temperature:
            raise ValueError(
                f"{options.model}: no temperature is offered: {report.no_temperature} The report is in {out}."
            )
        calibrated = calibrate(classifier, report.scaled.temperature)
        calibrated = replace(calibrated, metrics={**calibrated.metrics, "loss": report.scaled.loss})
        calibrated.save(options.calibrate)
    if options.json:
        print(report.to_json())
        return 0
    show_report(report)
    print(out / "report.html")
    if options.calibrate:
        print(options.calibrate)
    return 0


def _run_of(path: Path) -> RunFolder | None:
    """Return the run that was named by its folder, or by a classifier in it."""
    from resnet50.runtimes import is_export
    from resnet50.training.run import RunFolder

    if path.is_dir() and not is_export(path):
        return RunFolder(path)
    real = path.resolve()
    for run in (RunFolder(real.parent), RunFolder(real.parent.parent)):
        if real in (run.model, run.best) and run.recipe.is_file():
            return run
    return None


def _check_calibrate(out: str, model: Path, run: RunFolder | None) -> None:
    """Refuse, before any work, what `--calibrate` cannot do."""
    if run is None:
        raise ValueError(f"{model}: --calibrate needs the folder of a run, which says what was held out.")
    if Path(out).suffix != ".keras":
        raise ValueError(f"{out}: the name of a classifier must end in .keras.")
    check_new(out)


def _own_pictures(
    classifier: Classifier, path: Path, noted: Mapping[str, Any], data: str | None, given: Mapping[str, Any]
) -> tuple[Parts | None, Mapping[str, Any]]:
    """Load the pictures that a classifier was trained on, from ``data`` if that is named.

    Returns:
        The pictures, None if those in ``data`` are others; and how these are read.

    Raises:
        ValueError: If none were named, and it is not known where its own are, or they are others by now.
        FileNotFoundError: If none were named, and its own are not there.
    """
    from resnet50.recipes import RECIPES

    name = str(noted.get("task", classifier.recipe.get("name")))
    how = {**noted.get("how", {}), **given}
    if data is not None:
        with suppress(ValueError, FileNotFoundError, KeyError):  # KeyError: a recipe that is not known here
            parts = source.load(RECIPES[name], data, side=classifier.side[0], how=how)
            return (parts if parts.training.fingerprint == classifier.fingerprint else None), how
        return None, given
    if name not in RECIPES:
        raise ValueError(f"{path}: its recipe {name!r} is not known here; name the --data.")
    parts = source.load_noted(RECIPES[name], noted, side=classifier.side[0], how=how)
    if parts.training.fingerprint != classifier.fingerprint:
        raise ValueError(
            f"{path}: the pictures that it was trained on are others by now, so that some of them may be in the test "
            "part; name what to score by --data."
        )
    return parts, how


def _splits(place: str, how: Mapping[str, Any], classifier: Classifier) -> Splits:
    """Load the parts of a source, with the classes in the model's order.

    Raises:
        ValueError: If it has a class that the model does not know.
    """
    import numpy as np

    from resnet50.data.pictures import load_splits

    how = {name: how[name] for name in ("pattern", "most_unreadable") if name in how}
    with bar("reading pictures") as show:
        loaded = load_splits(place, side=classifier.side[0], progress=show, **how)
    known = {name: index for index, name in enumerate(classifier.class_names)}
    found = loaded.splits[_scored(loaded)].class_names
    unknown = [name for name in found if name not in known]
    if unknown:
        raise ValueError(
            f"{place}: needed pictures of the classes {_listed(classifier.class_names)}, found others: "
            f"{_listed(unknown)}."
        )
    places = np.array([known[name] for name in found], dtype=np.int64)
    parts = {
        part: replace(split, labels=places[split.labels], class_names=classifier.class_names)
        for part, split in loaded.splits.items()
    }
    return replace(loaded, splits=parts)


def _scored(splits: Splits) -> str:
    """Return the part that is scored: the test part, or what comes nearest to one."""
    return next(name for name in ("test", "validation", "training") if name in splits.splits)


def _changed_test(count: int, run: RunFolder) -> Finding:
    """Say that the test part is no longer what the run was scored on."""
    from resnet50.data.finding import Finding, so_many
    from resnet50.data.seen import read_seen

    counts = f"{so_many(count, 'picture')} now"
    if run.pictures.is_file():
        then = sum(one.part == "test" for one in read_seen(run.pictures))
        counts = f"{so_many(then, 'picture')} then, {count:,} now"
    return Finding(
        "changed-test",
        "warning",
        f"The test part is another than the one that was scored at the end of training: {counts}.",
        f"These figures are not comparable with those in {run.report}.",
    )


def _unknown_training(count: int, place: str) -> Finding:
    """Say that pictures without a test part may be what the classifier was trained on.

    The classifier tells its training pictures only as a whole; single ones are known again by the folder of its run.
    """
    from resnet50.data.finding import Finding, so_many

    return Finding(
        "unknown-training",
        "warning",
        f"{place} has no test part that is known: all of it is scored ({so_many(count, 'picture')}), and the "
        "classifier may have been trained on some.",
        "If it was, the figures are worth nothing. Name the folder of its run, which knows its pictures again, or "
        "pictures that it has never seen.",
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
