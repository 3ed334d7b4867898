"""What to try next: steps that follow from the results by the rules below, each with its command.

In this order, at most one of each:

- *Data*: the audit found errors or warnings, other than a small test split.
- *Pretrained weights*: the network of the paper started from random weights, at `LARGE` pixels or more, and learned
  from fewer than `SCARCE` images; not on SIGNS or rendered signs, which are classified better so.
- *Cross-validation*: there are fewer than `SMALL_TEST` test images, and at least twice as many in all.
- *Hard images*: a folder was fine-tuned from a linear probe, and less than `HARD` of its test images are right. The
  next two are left out then.
- *Overfitting*: after the last epoch, accuracy is higher on training images than on held-out ones by `GAP` or more.
- *Underfitting*: it is below `FITTED` on training images that are whole and not blended, and the gap is smaller.
- *Calibration*: a temperature is recommended; or none could be fitted for want of validation images, and the
  calibration error is above `MISCALIBRATED` and twice what chance gives.
- *Confusion*: at least `OFTEN` test images, and `CONFUSED` of their class, are predicted as the same other class, and
  the classifier is not near the baseline: its `Results.skill` is `SKILL` or more.
- *Few images*: classes with an F1 below `FITTED`, and below the average by more than `F1_MARGIN`, have fewer than `FEW`
  training images, and the skill is as high.

Held-out images are those of the validation split, or else the test images of the training's dataset.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from resnet50._io.text import listed, plural
from resnet50.data.splits import DatasetSplits
from resnet50.metrics.calibration import MIN_IMAGES
from resnet50.reports.audit import summarize
from resnet50.reports.commands import (
    calibrate_command,
    check_command,
    cross_validate_command,
    explain_command,
    fine_tune_command,
    train_command,
)
from resnet50.reports.figures import confused_pairs
from resnet50.reports.results import Results
from resnet50.weights.registry import at_depth

SCARCE = 10_000
LARGE = 64
HARD = 0.7
GAP = 0.15
FITTED = 0.9
FEW, F1_MARGIN = 100, 0.01
OFTEN, CONFUSED = 3, 0.1
SKILL = 0.25
SMALL_TEST = 100
MISCALIBRATED = 0.05

PRETRAINED = "timm/tv_in1k"
"""Published weights that the step on pretrained weights names."""

_FROM_SCRATCH = ("signs", "rendered-signs")  # more accurate than fine-tuned: fine-tuning-signs.json
_LONGEST = 4  # most names of classes in a step


@dataclass(frozen=True)
class Step:
    """Something to try.

    Attributes:
        title: The step, as an imperative without a full stop.
        reason: The results that it follows from, in sentences.
        section: Id of the section of the page that shows them.
        commands: How to do it; none where a place that it needs is not known.
    """

    title: str
    reason: str
    section: str
    commands: tuple[str, ...] = ()


def next_steps(results: Results) -> tuple[Step, ...]:
    """Return what to try next, the most important step first."""
    rules = (_data, _pretrained, _small_test, _hard, _fit, _calibration, _confusion, _few_images)
    return tuple(step for rule in rules for step in rule(results))


def _data(results: Results) -> Iterator[Step]:
    # an issue of the cut is not one of the source, whose audit the command shows
    serious = [issue for issue in results.report.issues if issue.severity != "note" and issue.kind != "small-test"]
    if serious:
        has_errors = any(issue.severity == "error" for issue in serious)
        yield Step(
            "Fix the data first" if has_errors else "Check the data",
            f"The audit found {summarize(serious)}. Its page shows the images.",
            "data-issues",
            _without_empty(check_command(results.source, results.training) if results.source else ""),
        )


def _small_test(results: Results) -> Iterator[Step]:
    test = len(results.splits["test"])
    images = sum(map(len, results.splits.by_name.values()))
    if test < SMALL_TEST and results.splits.train is not None and images >= 2 * test:
        low, high = results.report.interval
        full = results.training.has_epochs and results.training.recipe.get("weights")
        longer = (
            " The command trains a network for each fold, with the weights, layers and epochs of this run, each for as "
            "long as this run. 'resnet50 crossval' without --full and the numbers of a training fits a linear head "
            "instead, in seconds."
        )
        yield Step(
            "Cross-validate, since there are few test images",
            f"With {plural(test, 'test image')} the accuracy may be {low:.0%} to {high:.0%}. Cross-validation "
            f"predicts each of all {images:,} images by a model that has not seen it.{longer if full else ''}",
            "classes",
            _without_empty(cross_validate_command(results.training)),
        )


def _pretrained(results: Results) -> Iterator[Step]:
    recipe, train = results.training.recipe, results.splits.train
    from_scratch = "weights" in recipe and not recipe["weights"]
    of_paper = not recipe.get("stages") and recipe.get("form", "residual") == "residual"
    task = results.training.source.task if results.training.source else ""
    from_scratch = from_scratch and task not in _FROM_SCRATCH
    fits = recipe.get("stem") == "imagenet" and of_paper and recipe.get("image_size", 0) >= LARGE
    if from_scratch and fits and train is not None and len(train) < SCARCE:
        yield Step(
            "Start from pretrained weights",
            f"The network started from random weights and learned from {plural(len(train), 'image')}. Pretraining "
            "helps most when labels are scarce.",
            "training",
            _without_empty(fine_tune_command(results.training, at_depth(PRETRAINED, recipe.get("depth", 50)))),
        )


def _hard(results: Results) -> Iterator[Step]:
    training = results.training
    if _is_hard(results):
        yield Step(
            "Train all layers, on random parts of the images",
            f"{results.report.accuracy:.1%} of the test images are right. The usual recipe changes the network little. "
            "This one trains all layers from the first epoch, for longer; it helped on photos of rocks.",
            "training",
            _without_empty(fine_tune_command(training, training.recipe["weights"], variant="all-layers")),
        )


def _is_hard(results: Results) -> bool:
    training = results.training
    of_folder = training.source is not None and training.source.task == "folder"
    from_probe = bool(training.recipe.get("weights")) and any("c_values" in phase for phase in training.phases)
    return of_folder and from_probe and results.splits.train is not None and results.report.accuracy < HARD


def _fit(results: Results) -> Iterator[Step]:
    """Find overfitting or underfitting."""
    training, recipe = results.training, results.training.recipe
    learned, held_out, name = training.last("accuracy"), training.last("val_accuracy"), "validation"
    if held_out is None:
        held_out, name = results.report.accuracy, "test"
    # a linear probe fits all its training images where there are more features than images
    if learned is None or results.splits.train is None or not training.has_epochs or _is_hard(results):
        return
    blended = bool(recipe.get("mixup") or recipe.get("cutmix"))
    accuracies = (
        f"Accuracy is {learned:.1%} on training images and {held_out:.1%} on {name} images after "
        f"{plural(training.epochs, 'epoch')}"
    )
    if learned - held_out >= GAP:
        decay = 2 * (recipe.get("weight_decay") or 0.01)
        change = {"weight_decay": decay} if blended else {"mixup": 0.2}
        effect = "Stronger weight decay keeps weights small." if blended else "Mixup trains on blends of two images."
        yield Step(
            "Reduce overfitting",
            f"{accuracies}. {effect}",
            "training",
            _without_empty(train_command(training, **change)),
        )
    elif learned < FITTED and not (blended or (recipe.get("augmentation") or {}).get("crop_area", 1) < 1):
        epochs = max(20, 2 * training.last_phase.get("epochs", 0))
        yield Step(
            "Train longer",
            f"{accuracies}: the network has not fitted the training images yet.",
            "training",
            _without_empty(train_command(training, epochs=epochs)),
        )


def _calibration(results: Results) -> Iterator[Step]:
    report, scaling = results.report, results.report.temperature_scaling
    if scaling is not None:
        yield Step(
            "Write the calibrated classifier",
            f"A temperature of {scaling.temperature:.2f} lowers the loss of held-out images from "
            f"{scaling.validation_loss:.3f} to {scaling.cross_validated_loss:.3f}. On the test images, which it was "
            f"not fitted on, the loss is {report.loss:.3f} without and {scaling.loss:.3f} with it. Predicted classes "
            "stay the same.",
            "calibration",
            _without_empty(calibrate_command(results.training, results.source)),
        )
    elif _has_few_validation_images(results) and report.calibration_error > max(MISCALIBRATED, 2 * report.chance_error):
        yield Step(
            f"Hold out {MIN_IMAGES} images or more for validation",
            f"The calibration error is {report.calibration_error:.1%}, where chance gives {report.chance_error:.1%}. A "
            "temperature can be fitted on validation images.",
            "calibration",
            _without_empty(train_command(results.training, validation_split=_share(results.splits))),
        )


def _confusion(results: Results) -> Iterator[Step]:
    report = results.report
    for pair in confused_pairs(report)[:1]:
        if results.skill < SKILL or pair.count < OFTEN or pair.share < CONFUSED:
            return
        first = next(each for each in report.mistakes if (each.true, each.predicted) == (pair.true, pair.predicted))
        root = results.splits.root
        explain = explain_command(results.training, root / first.path) if root is not None else ""
        drawn = " The command draws the evidence for the most confident one." if explain else ""
        yield Step(
            f"Look at images of {pair.true} that are predicted as {pair.predicted}",
            f"These are {pair.count:,} of {report.classes[pair.true].support:,} ({pair.share:.1%}), the most frequent "
            f"confusion. Wrong labels and classes that overlap show here.{drawn}",
            "confusion",
            _without_empty(explain),
        )


def _few_images(results: Results) -> Iterator[Step]:
    report, train = results.report, results.splits.train
    if train is None or results.skill < SKILL:
        return
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    low = [
        (scores.f1, name, int(count))
        for (name, scores), count in zip(report.classes.items(), counts, strict=True)
        if scores.support and scores.f1 < min(FITTED, report.macro_f1 - F1_MARGIN) and count < FEW
    ]
    if low:
        names = [f"{name} ({plural(count, 'training image')}, F1 {f1:.1%})" for f1, name, count in sorted(low)]
        yield Step(
            "Add training images of the weakest classes",
            f"F1 is {report.macro_f1:.1%} on average, and lower for {listed(names, most=_LONGEST)}.",
            "classes",
            _without_empty(train_command(results.training)),
        )


def _has_few_validation_images(results: Results) -> bool:
    """Return whether the training could have held out enough images to fit a temperature on, and did not."""
    validation, held_out = results.splits.validation, results.training.recipe.get("validation_split")
    few = validation is None or (
        held_out and len(validation) < MIN_IMAGES
    )  # a split of the dataset's own stays as it is
    return bool(few) and results.splits.train is not None and _held_out_and_rest(results.splits) >= 2 * MIN_IMAGES


def _share(splits: DatasetSplits) -> float:
    """Return the share of the training images, a multiple of 0.05, that gives `MIN_IMAGES` validation images."""
    return min(0.5, max(0.15, float(np.ceil(20 * MIN_IMAGES / _held_out_and_rest(splits)) / 20)))


def _held_out_and_rest(splits: DatasetSplits) -> int:
    return sum(len(dataset) for dataset in (splits.train, splits.validation) if dataset is not None)


def _without_empty(command: str) -> tuple[str, ...]:
    return (command,) if command else ()
