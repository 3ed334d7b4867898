"""``resnet50 evaluate``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resnet50.cli import source
from resnet50.cli.quiet import import_keras
from resnet50.recipes import RECIPES

if TYPE_CHECKING:
    from resnet50.classifier import Classifier
    from resnet50.data.split import Parts, Split, Unreadable

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
    parser.add_argument(
        "--pattern", metavar="RE", help="regular expression whose group 'class' finds the class in a file's path"
    )
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
        "that the run held out for validation",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def run(options: argparse.Namespace) -> int:
    """Score a classifier, write the report and print what is in it."""
    path, recipe = Path(options.model), None
    noted: Mapping[str, Any] = {}
    if options.calibrate:
        _check_calibrate(Path(options.calibrate), path)
    if options.pattern and not options.data:
        raise ValueError("--pattern says how --data is read: name that too.")

    import_keras()
    from resnet50.classifier import Classifier
    from resnet50.cli.progress import show_report
    from resnet50.data.check import check
    from resnet50.evaluation.calibration import calibrate
    from resnet50.report import write_report
    from resnet50.training.fit import hold_out
    from resnet50.training.run import RunFolder

    out = path.with_name(f"{path.stem}-report")
    if path.is_dir():
        recipe, environment = RunFolder(path).read()
        path, noted, out = RunFolder(path).model, environment["data"], path / "evaluation"
    out = Path(options.out or out)
    classifier = Classifier.load(path)
    own = _own_pictures(classifier, path, noted, options)
    if options.calibrate and own is None:
        raise ValueError(f"{options.model}: --calibrate needs the pictures that the run was trained on, found others.")
    training = validation = None
    if own is not None:
        test, unreadable = own.test, own.unreadable
        training, validation = hold_out(recipe, own) if recipe else (own.training, own.validation)
    else:
        test, unreadable = _pictures(options.data, options.pattern, classifier)
    if options.calibrate and validation is None:
        raise ValueError(
            f"{options.model}: needed validation pictures to fit a temperature on, but the run held none out; train "
            "with --validation 0.2."
        )
    with source.reading() as show:
        found = check(own.splits if own else {"test": test}, unreadable, progress=show)
    report = write_report(out, classifier, test, training=training, validation=validation, findings=found)
    if options.calibrate:
        if report.scaled is None:
            raise ValueError(
                f"{options.model}: no temperature can be fitted, since every validation picture is right; the report "
                f"is in {out}."
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


def _check_calibrate(out: Path, run: Path) -> None:
    """Refuse, before any work, what `--calibrate` cannot do."""
    if not run.is_dir():
        raise ValueError(f"{run}: --calibrate needs the folder of a run, which says what was held out.")
    if out.suffix != ".keras":
        raise ValueError(f"{out}: the name of a classifier must end in .keras.")
    if out.exists():
        raise ValueError(f"{out}: there is such a file already; name another for the calibrated classifier.")


def _own_pictures(
    classifier: Classifier, path: Path, noted: Mapping[str, Any], options: argparse.Namespace
) -> Parts | None:
    """Load the pictures that a classifier was trained on; None if others were named by ``--data``.

    Raises:
        ValueError: If none were named, and it is not known where its own are, or they are others by now.
        FileNotFoundError: If none were named, and its own are not there.
    """
    name = str(noted.get("task", classifier.recipe.get("name")))
    how = {"pattern": options.pattern} if options.pattern else noted.get("how", {})
    parts = None
    if name in RECIPES:
        with suppress(*((ValueError, FileNotFoundError) if options.data else ())):
            place = options.data or noted.get("path")
            parts = source.load(RECIPES[name], place, side=classifier.side[0], how=how)
    elif not options.data:
        raise ValueError(f"{path}: its recipe {name!r} is not known here; name the --data.")
    if parts is not None and parts.training.fingerprint == classifier.fingerprint:
        return parts
    if options.data:
        return None
    raise ValueError(
        f"{path}: the pictures that it was trained on are others by now, so that some of them may be in the test part; "
        "name what to score by --data."
    )


def _pictures(place: str, pattern: str | None, classifier: Classifier) -> tuple[Split, tuple[Unreadable, ...]]:
    """Load the test part of a source, or all of it, with the classes in the model's order, and what cannot be read.

    Raises:
        ValueError: If it has a class that the model does not know.
    """
    import numpy as np

    from resnet50.data.pictures import load_splits

    with source.reading() as show:
        loaded = load_splits(place, side=classifier.side[0], pattern=pattern, progress=show)
    split = next(loaded.parts[name] for name in ("test", "validation", "training") if name in loaded.parts)
    known = {name: index for index, name in enumerate(classifier.class_names)}
    unknown = [name for name in split.class_names if name not in known]
    if unknown:
        raise ValueError(
            f"{place}: needed pictures of the classes {_listed(classifier.class_names)}, found others: "
            f"{_listed(unknown)}."
        )
    places = np.array([known[name] for name in split.class_names], dtype=np.int64)
    return replace(split, labels=places[split.labels], class_names=classifier.class_names), loaded.unreadable


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
