"""The images of the run that a model comes from: those that are compared, and a few to try."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from resnet50._io.fetch import Progress
from resnet50._io.text import plural
from resnet50.audit.training_images import TrainingImage, read_training_images
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import locate
from resnet50.inference.neighbors import TrainingFeatures, training_features
from resnet50.inference.runtimes import sha256
from resnet50.training.run import RunDirectory

EXAMPLES = 6
"""Most images to try."""

_SHOWN = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")  # formats that every browser shows


@dataclass(frozen=True)
class RunImages:
    """The images of a run.

    Attributes:
        training: Features of the training images; None where there are none to compare.
        examples: Test images to try, of different classes as far as there are.
        remark: What is compared, or why nothing is; a sentence.
    """

    training: TrainingFeatures | None
    examples: tuple[Path, ...]
    remark: str


def run_images(model: Path, classifier: Classifier, *, progress: Progress | None = None) -> RunImages:
    """Find the images of the run that a model belongs to.

    The features of its training images are computed once and stored in the folder of the run.

    Args:
        model: The ``.keras`` file.
        classifier: What it holds.
        progress: Called after each training image with the number done and their total.

    Returns:
        The images; where their files are not known or not there, none of them, and the reason.
    """
    try:
        directory, root, images = _find(model)
    except (OSError, ValueError) as error:
        return RunImages(None, (), _reason(error, model))
    examples = tuple(_examples(root, images))
    paths = [(root / image.path, image.class_name) for image in images if image.split == "train"]
    try:
        training = training_features(
            classifier,
            paths,
            directory.features,
            model_sha256=sha256(model),
            images_sha256=sha256(directory.images),
            progress=progress,
        )
    except (ImportError, ValueError) as error:
        return RunImages(None, examples, _reason(error, model))
    compared = plural(len(training.paths), "training image")
    left_out = "" if len(training.paths) == len(paths) else f" of {len(paths):,}"
    return RunImages(training, examples, f"Compared with {compared}{left_out}.")


def _reason(error: Exception, model: Path) -> str:
    """Say why no images are compared, without the folders of this machine: the page may be public."""
    text = str(error)
    for folder in {model.parent, model.parent.resolve()}:
        text = text.replace(f"{folder}{os.sep}", "")
    return f"No training images are compared: {text}"


def _find(model: Path) -> tuple[RunDirectory, Path, Sequence[TrainingImage]]:
    """Return the run of a model, the folder that the paths of its images start from, and the images.

    Raises:
        OSError: If a file of the run cannot be read.
        ValueError: If there is no run, or its images are not files, or not where they were.
    """
    run = locate(model).run
    if run is None:
        raise ValueError(f"{model.name} belongs to no run.")
    directory = RunDirectory(run)
    source = directory.read().source
    if source is None or source.path is None or not (Path(source.path).is_dir() or source.path.endswith(".csv")):
        raise ValueError(f"the images of {run.name} came from no folder or CSV file that is still there.")
    images = read_training_images(directory.images)
    place = Path(source.path) if Path(source.path).is_dir() else Path(source.path).parent
    first = next((image.path for image in images if image.split == "train"), "")
    # the images of some datasets are in a folder inside of that which was named
    for root in (place, *sorted(filter(Path.is_dir, place.iterdir()))):
        if (root / first).is_file():
            return directory, root, images
    raise ValueError(f"the first training image of {run.name}, {first}, is no longer in {place.name}.")


def _examples(root: Path, images: Iterable[TrainingImage]) -> list[Path]:
    """Return a few images that the network did not learn from: the first of each class, then the second ..."""
    seen: dict[str, int] = {}
    ranked = []
    for image in images:
        path = root / image.path
        if image.split == "test" and path.suffix.lower() in _SHOWN:
            rank = seen.get(image.class_name, 0)
            seen[image.class_name] = rank + 1
            ranked.append((rank, path))
    ranked.sort(key=lambda pair: pair[0])
    found: list[Path] = []
    for _, path in ranked:
        if len(found) == EXAMPLES:
            break
        if path.is_file():
            found.append(path)
    return found
