"""A run of a tiny classifier on image files, as training would leave it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from factories import classifier, noise, tiny_model, tiny_recipe, write_image
from resnet50.audit.training_images import write_training_images
from resnet50.data.dataset import Dataset
from resnet50.data.fit import Fit
from resnet50.datasets.source import DataSource
from resnet50.inference.classifier import Classifier
from resnet50.training.record import RunRecord
from resnet50.training.run import RunDirectory

COUNTS = {"train": 12, "test": 4}
CLASSES = ("cat", "<b>dög</b>", "=1+1")


@dataclass(frozen=True)
class TinyRun:
    """The folder of a run, its source, and the paths of its images below that by split."""

    folder: Path
    source: Path
    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def model(self) -> Path:
        return self.folder / "model.keras"

    def keras(self) -> Classifier:
        """The classifier in Keras, without the compiled graph."""
        return Classifier.load(self.folder, runtime="keras")


def make_run(root: Path) -> TinyRun:
    """Write images of three classes, and the run of a classifier that was trained on them."""
    paths = {split: tuple(f"{split}/{k % 3}/{k}, é.png" for k in range(count)) for split, count in COUNTS.items()}
    splits = {}
    for number, (split, names) in enumerate(paths.items()):
        for k, name in enumerate(names):
            write_image(root / "photos" / name, noise(50 + k, 60, 3, seed=(number, k)))
        labels = np.arange(len(names)) % 3
        images = np.zeros((len(names), 32, 40, 3), np.uint8)
        splits[split] = Dataset(images, labels, CLASSES, names, "pets")
    directory = RunDirectory(root / "run")
    source = DataSource("folder", str(root / "photos"))
    record = RunRecord(
        recipe=tiny_recipe(),
        source=source,
        fingerprints={},
        environment={"backend": "b", "versions": {}, "machine": {}, "commit": None},
        dataset="pets & <i>more</i>",
        precision="float32",
    )
    directory.create(record)
    write_training_images(directory.images, splits)
    made = classifier(tiny_model(3, size=(32, 40), seed=1), CLASSES, name=record.dataset, metrics={"accuracy": 0.75})
    replace(made, fit=Fit(crop_ratio=0.875)).save(directory.model)
    return TinyRun(directory.path, root / "photos", paths["train"], paths["test"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that no test changes."""
    return make_run(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def fresh(tmp_path):
    """A run of its own."""
    return make_run(tmp_path)
