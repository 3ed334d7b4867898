"""Find out what a path to a trained model names: the folder of a run, a ``.keras`` file, or the folder of an export."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from resnet50._io.limits import read_text
from resnet50._io.paths import as_given, describe_path, is_url
from resnet50._io.shell import command
from resnet50._io.text import listed

MODEL = "model.keras"
"""Name of the trained classifier in the folder of a run."""

BEST = Path("checkpoints", "best.keras")
"""Path, in the folder of a run, of the classifier of the epoch that validated best."""

RECIPE = "recipe.json"
"""Name of the recipe in the folder of a run; a folder that has it is a run."""

ENVIRONMENT = "environment.json"
"""Name of the file in the folder of a run that records, among others, when the run was started."""

MANIFEST = "resnet50.json"
"""Name of the file that describes an export; its other files are those of its runtime."""

CROSS_VALIDATION = "crossval.json"
"""Name of the scores in the folder of a cross-validation."""

FOLDS = "seed-*-fold-*"
"""Names of the runs in the folder of a cross-validation that trained the whole recipe, as a pattern."""

RUNS = Path("runs")
"""Folder below which runs are stored, in the current folder."""

PRECISIONS = ("fp32", "bf16", "int8")
"""Precisions in which a ``.keras`` file can answer; here, since help pages name them and load nothing heavy."""

_SHOWN = 3  # runs that a message names

_EXPECTED = "the folder of a run, a .keras file or the folder of an export"


@dataclass(frozen=True)
class Located:
    """A trained model on disk.

    Attributes:
        kind: ``"run"``, ``"model"`` or ``"export"``: what the path names.
        model: The ``.keras`` file, or the folder of the export: what `resnet50.Classifier.load` opens.
        run: The folder of the run that the model belongs to; None where there is none. A run's ``model.keras`` and
            ``checkpoints/best.keras`` belong to it.
    """

    kind: str
    model: Path
    run: Path | None


def locate(path: str | os.PathLike[str], *, expected: str = _EXPECTED) -> Located:
    """Find out what a path to a model names, by its name.

    Args:
        path: Folder of a run, ``.keras`` file, or folder of an export.
        expected: What errors say that was expected.

    Returns:
        The model and its run.

    Raises:
        FileNotFoundError: If nothing is there, or a folder holds no trained model.
        ValueError: If the path is a file of another type.
    """
    path = Path(path)
    if is_export(path):
        return Located("export", path, None)
    if path.is_dir():
        return _locate_in_folder(path, expected)
    if not path.exists():
        raise FileNotFoundError(f"{as_given(path)}: expected {expected}, got {describe_no_run(path)}.")
    if path.suffix != ".keras":
        export = f"; name the folder {path.parent} for the export" if is_export(path.parent) else ""
        raise ValueError(
            f"{path}: expected {expected}, got a file with the suffix {path.suffix!r}{export or _hint(path)}."
        )
    return Located("model", path, _run_of(path))


def latest_run(folder: str | os.PathLike[str] = RUNS) -> Path:
    """Return the trained run below a folder that was started last.

    Raises:
        FileNotFoundError: If there is none.
    """
    runs = _runs(Path(folder), MODEL)
    if not runs:
        raise FileNotFoundError(f"{folder}: expected a trained run in it, got none; train one, or name a model.")
    return runs[0]


def describe_no_run(path: Path, lacks: str = f"{MODEL} and {MANIFEST}", *, having: str = MODEL) -> str:
    """Return what is at a path where a run was expected, and what to do, as the end of a sentence.

    Args:
        path: The path.
        lacks: What a folder there lacks to be one.
        having: Name of a file that the runs have that are named instead.
    """
    folds = is_cross_validation(path)
    got = f"a folder without {lacks}" if path.is_dir() else describe_path(path)
    if folds:
        got = "a cross-validation, which has no model"
    elif os.fspath(path) == "-" or is_url(os.fspath(path)):  # the description says what to do
        return got
    for folder in (path.parent, RUNS) if folds else (path, path.parent, RUNS):
        if runs := [run for run in _runs(folder, having) if run != path]:
            lists = f" ({command('resnet50', 'runs', str(folder))} lists them)" if len(runs) > _SHOWN else ""
            return f"{got}; name a run, such as {listed([str(run) for run in runs], most=_SHOWN)}{lists}"
    return f"{got}; train a model first by 'resnet50 train'"


def is_cross_validation(folder: Path) -> bool:
    """Return whether a folder is that of a cross-validation, also of one that is not finished."""
    return (folder / CROSS_VALIDATION).is_file() or any(folder.glob(f"{FOLDS}/{RECIPE}"))


def _runs(folder: Path, having: str) -> list[Path]:
    """Return the runs in a folder that have a file, the one that was started last first."""
    return sorted((file.parent for file in sorted(folder.glob(f"*/{having}"))), key=_started, reverse=True)


def _started(run: Path) -> float:
    """Return when a run was started, in seconds since 1970, or when it last changed if it did not record that."""
    try:
        recorded = json.loads(read_text(run / ENVIRONMENT))["started"]
        return datetime.fromisoformat(recorded).timestamp()
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # of an earlier version, or damaged
        return max((file.stat().st_mtime for file in (run / MODEL, run / RECIPE) if file.exists()), default=0.0)


def resume_command(run: Path) -> str:
    """Return the command that resumes a run."""
    return command("resnet50", "train", "--resume", str(run))


def is_export(path: Path) -> bool:
    """Return whether the path is the folder of an export."""
    return (path / MANIFEST).is_file()


def _hint(path: Path) -> str:
    """Return what a file of another suffix is by its content, and what to do with it, as the end of a sentence."""
    with path.open("rb") as file:
        start = file.read(8)
    if start.startswith(b"PK\x03\x04"):
        return f", which may be a .keras file under another name; rename it to {path.with_suffix('.keras')}"
    if start == b"\x89HDF\r\n\x1a\n":
        return "; a file of weights is an input of training (train --weights)"
    return ""


def _locate_in_folder(folder: Path, expected: str) -> Located:
    model, has_recipe = folder / MODEL, (folder / RECIPE).is_file()
    if not model.is_file():
        reason = (
            f"an unfinished run (no {MODEL}); resume it: {resume_command(folder)}"
            if has_recipe
            else f"{describe_no_run(folder)}."
        )
        raise FileNotFoundError(f"{folder}: expected {expected}, got {reason}")
    return Located("run", model, folder) if has_recipe else Located("model", model, None)


def _run_of(model: Path) -> Path | None:
    """Return the folder of the run that a file belongs to, also where the path is a link to it."""
    real = model.resolve()
    for folder in (real.parent, real.parent.parent):
        if real in (folder / MODEL, folder / BEST) and (folder / RECIPE).is_file():
            return folder
    return None
