"""Shell commands on a page, with the real paths of a run and its images."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from resnet50._io.text import printable
from resnet50.audit.check import IMAGE_SIZE
from resnet50.data.fit import DEFAULT_FIT
from resnet50.datasets import DATASETS
from resnet50.datasets.source import DataSource
from resnet50.reports.training_summary import TrainingSummary
from resnet50.weights.registry import REGISTRY

_USUAL_SIZE = 224  # pixels, of fine-tuning
_FOLDER = "folder"  # the task of your own images, which a command names by their path alone


def check_command(source: DataSource, training: TrainingSummary | None = None) -> str:
    """Return the command that audits a source as it was read.

    Args:
        source: Where the images are.
        training: A training whose image size and fit are repeated, since images are compared as they are fitted.
    """
    options = _changed(source)
    if training is not None:
        size = training.recipe.get("image_size", IMAGE_SIZE)
        options |= ({"image_size": size} if size != IMAGE_SIZE else {}) | _fit(training)
    return _command("check", *_words(source), *_options(options))


def train_command(training: TrainingSummary, **changes: Any) -> str:
    """Return the command of a training with other numbers; "" where the place of its images is not known.

    Args:
        training: The training, whose network, weights, image size, fit, epochs and layers are repeated.
        changes: The other numbers by their names in a recipe.
    """
    if training.source is None:
        return ""
    numbers = {
        "weights": training.recipe.get("weights") or "none",
        "image_size": training.recipe.get("image_size"),
        **_phases(training),
        **_variant(training),
        **_network(training),
        **_fit(training),
    }
    known = {name: value for name, value in (numbers | changes).items() if value is not None}
    return _command(*_train_words(training.source), *_options(known))


def fine_tune_command(training: TrainingSummary, weights: str, *, variant: str | None = None) -> str:
    """Return the command that fine-tunes weights, fetched if necessary, by a recipe of the task.

    Args:
        training: A training, whose network and fit are repeated.
        weights: Name or file of the weights.
        variant: The recipe; None for the usual one. With another one, mirroring, class weights and the image size are
            repeated too.

    Returns:
        The command; "" where the place of the images is not known.
    """
    if training.source is None:
        return ""
    recipe = {"weights": weights} | ({"variant": variant, **_chosen(training)} if variant else {})
    return _command(*_train_words(training.source), *_options(recipe | _network(training) | _fit(training)))


def cross_validate_command(training: TrainingSummary) -> str:
    """Return the command that cross-validates a training's images, in full where it trained in epochs.

    Args:
        training: The training, whose network, weights, image size and fit are repeated; with ``--full``, the epochs and
            layers of its phases too.

    Returns:
        The command; "" where the place of the images is not known.
    """
    if training.source is None:
        return ""
    weights, size = training.recipe.get("weights"), training.recipe.get("image_size")
    full = training.has_epochs or not weights
    numbers = {"weights": weights or "none"} | ({"image_size": size} if size is not None else {})
    network = {name: value for name, value in _network(training).items() if name != "head" or full}
    phases = _variant(training) | _phases(training) if full else {}
    options = _options(_changed(training.source) | numbers | phases | network | _fit(training))
    return _command("crossval", *_words(training.source), *options, *(("--full",) if full else ()))


def calibrate_command(training: TrainingSummary, source: DataSource | None) -> str:
    """Return the command that writes the calibrated classifier beside its model; "" where the model has no place.

    Args:
        training: The training, with its model.
        source: Where its images are; None for the place that the run recorded.
    """
    if training.model is None:
        return ""
    path = Path(training.model)
    out = path.with_name(f"{path.stem}-calibrated.keras") if path.suffix == ".keras" else path / "calibrated.keras"
    data: tuple[str, ...] = ()
    if source is not None and source != training.source and source.path is not None:
        data = _options({"data": _from_here(source.path), **_other_options(source, training)})
    return _command("evaluate", _from_here(training.model), *data, "--calibrate", _from_here(out))


def explain_command(training: TrainingSummary, image: Path) -> str:
    """Return the command that draws Grad-CAM for an image; "" where the model has no place or the image is no file."""
    if training.model is None or not image.is_file():
        return ""
    return _command("explain", _from_here(image), "--model", _from_here(training.model))


def _phases(training: TrainingSummary) -> dict[str, Any]:
    """Return the epochs and layers of the last phase, the epochs of the head before it, and whether any is left out."""
    first, last = (training.phases or ({},))[0], training.last_phase
    if last.get("min_error") == 1:  # it is never trained
        return {"min_error": 1}
    numbers = {"epochs": last["epochs"]} if last.get("epochs") else {}
    if last.get("trainable", "all") != "all":
        numbers["trainable"] = last["trainable"]
    if len(training.phases) > 1 and first.get("trainable") == "head" and first.get("epochs"):
        numbers["head_epochs"] = first["epochs"]
    if "c_values" in first and not any(phase.get("min_error") for phase in training.phases):
        numbers["thorough"] = True
    return numbers


def _variant(training: TrainingSummary) -> dict[str, Any]:
    """Return the variant of a folder's training, where it is that of all layers; others are the usual ones."""
    recipe = training.recipe
    of_folder = training.source is not None and training.source.task == _FOLDER
    on_parts = recipe.get("train_image_size") and (recipe.get("augmentation") or {}).get("crop_area", 1) < 1
    return {"variant": "all-layers"} if of_folder and recipe.get("weights") and on_parts else {}


def _chosen(training: TrainingSummary) -> dict[str, Any]:
    """Return what a user may have chosen for these images, but for the usual choices."""
    recipe = training.recipe
    numbers = {
        "image_size": recipe.get("image_size"),
        "class_weight": recipe.get("class_weight"),
        "flip": (recipe.get("augmentation") or {}).get("flip"),
    }
    return {name: value for name, value in numbers.items() if value is not None and value != _USUAL_SIZE}


def _network(training: TrainingSummary) -> dict[str, Any]:
    """Return the numbers of a network other than the usual one."""
    usual = {"depth": 50, "form": "residual", "stem": "imagenet", "head": "linear"}
    return {name: value for name in usual if (value := training.recipe.get(name, usual[name])) != usual[name]}


def _fit(training: TrainingSummary) -> dict[str, Any]:
    """Return the options of a fit other than the usual one with these weights, but for a range that is measured."""
    published = REGISTRY.get(training.recipe.get("weights") or "")
    usual = asdict(DEFAULT_FIT) | (published.fit_values if published else {})
    fit = training.recipe.get("fit") or {}
    if fit.get("mode", "crop") != "crop":
        usual["crop_ratio"] = DEFAULT_FIT.crop_ratio  # the only one without a crop
    changed = {name: fit[name] for name in usual if name in fit and fit[name] != usual[name]}
    changed.pop("value_range", None)
    return {"fit" if name == "mode" else name: value for name, value in changed.items()}


def _command(*words: str) -> str:
    """Return a command for a POSIX shell; "" if a word has characters that a page cannot show."""
    return shlex.join(("resnet50", *words)) if all(printable(word) == word for word in words) else ""


def _words(source: DataSource) -> tuple[str, ...]:
    """Return the words that name a source."""
    if source.task != _FOLDER:
        return (source.task, *_options({"data": _from_here(source.path)} if source.path else {}))
    path = _from_here(str(source.path))
    return (f"./{path}" if path in DATASETS else path,)


def _from_here(path: str | os.PathLike[str]) -> str:
    """Return a path as it is typed in the current folder, where commands name runs in the same way."""
    absolute, here = Path(path).absolute(), Path.cwd()
    typed = str(absolute.relative_to(here)) if absolute.is_relative_to(here) else str(path)
    return f"./{typed}" if typed.startswith("-") else typed


def _train_words(source: DataSource) -> tuple[str, ...]:
    return ("train", *_words(source), *_options(_changed(source)))


def _changed(source: DataSource) -> dict[str, Any]:
    """Return the options of reading that differ from the defaults, a file by its name from here."""
    options = source.changed_options
    return options | {name: _from_here(options[name]) for name in ("corrections",) if name in options}


def _other_options(source: DataSource, training: TrainingSummary) -> dict[str, Any]:
    """Return the options of reading that differ from those of the training."""
    recorded = training.source.changed_options if training.source else {}
    return {name: value for name, value in source.changed_options.items() if recorded.get(name) != value}


def _options(values: dict[str, Any]) -> tuple[str, ...]:
    """Return options as they are typed, with their values."""
    words: list[str] = []
    for name, value in values.items():
        option = f"{'--no-' if value is False else '--'}{name.replace('_', '-')}"
        if isinstance(value, bool):
            words.append(option)
        else:
            words += [f"{option}={value}"] if str(value).startswith("-") else [option, str(value)]
    return tuple(words)
