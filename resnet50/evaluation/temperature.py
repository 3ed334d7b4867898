"""Calibration: write a classifier with the temperature that its report recommends."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from resnet50._io.files import check_new
from resnet50.evaluation.scored_images import ScoredImages
from resnet50.inference.classifier import Classifier
from resnet50.metrics.calibration import calibrate
from resnet50.metrics.scores import Report


def check_calibrated_name(out: str | os.PathLike[str]) -> None:
    """Refuse the name of a calibrated classifier that cannot be written.

    Raises:
        PermissionError: If its folder cannot be written to.
        ValueError: If it does not end in ``.keras``, or something is there.
    """
    if Path(out).suffix != ".keras":
        raise ValueError(f"{out}: expected the name of a classifier, which ends in .keras; choose another.")
    check_new(out)


def check_validation_images(images: ScoredImages, model: object) -> None:
    """Refuse images that no temperature can be fitted on.

    Raises:
        ValueError: If they are not those of the training, or none were held out for validation.
    """
    if images.train is None:
        raise ValueError(f"{model}: expected the images that the run was trained on for --calibrate, got others.")
    if images.validation is None:
        raise ValueError(
            f"{model}: expected validation images to fit a temperature on, got none; train with --validation-split 0.2."
        )


def write_calibrated(
    classifier: Classifier, report: Report, out: str | os.PathLike[str], *, model: object, folder: Path
) -> Classifier:
    """Write a classifier with the temperature of its report.

    Args:
        classifier: The classifier; it stays as it is.
        report: Its scores.
        out: New file, ending in ``.keras``.
        model: Name of the classifier, for messages.
        folder: Folder of the report, for messages.

    Returns:
        The calibrated classifier.

    Raises:
        ValueError: If the report recommends no temperature.
    """
    scaling = report.temperature_scaling
    if scaling is None:
        raise ValueError(
            f"{model}: no temperature is recommended: {report.temperature_reason} The report is in {folder}."
        )
    calibrated = calibrate(classifier, scaling.temperature)
    calibrated = replace(calibrated, metrics={**calibrated.metrics, "loss": scaling.loss})
    calibrated.save(out)
    return calibrated
