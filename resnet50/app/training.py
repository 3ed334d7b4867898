"""The features of the images that a run was trained on."""

from __future__ import annotations

import csv
import logging
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import locate
from resnet50.inference.neighbors import TrainingFeatures, training_features
from resnet50.inference.runtimes import sha256
from resnet50.training.run import RunDirectory

FEATURES = "features.npz"
"""Name of the file in the folder of a run that stores the features of its training images."""

_log = logging.getLogger(__name__)


def features_of_run(
    model: Path, classifier: Classifier, *, progress: Progress | None = None
) -> TrainingFeatures | None:
    """Return the features of the training images of a model's run; None where its files are not known or not there.

    They are computed once, and stored in the folder of the run.
    """
    run = locate(model).run
    if run is None:
        return None
    directory = RunDirectory(run)
    source = directory.read().source
    if source is None or source.path is None or not directory.images.is_file():
        return None
    with directory.images.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    root = Path(source.path)
    images = [(path, row["class"]) for row in rows if (path := root / row["path"]).is_file()]
    if not images:
        _log.info("no training images below %s", root)
        return None
    return training_features(classifier, images, run / FEATURES, sha256=sha256(model), progress=progress)
