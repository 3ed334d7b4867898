"""Preparation of a run: held-out images, the network with its initial weights, the audit, and the record of it all."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

import keras

from resnet50._io.files import check_room
from resnet50.audit.check import find_issues
from resnet50.audit.issue import Issue
from resnet50.data.share import Share
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.source import DataSource
from resnet50.training.checkpoint import finished_epochs
from resnet50.training.checks import check_flip, check_steps, fingerprints
from resnet50.training.devices import check_alike
from resnet50.training.environment import describe_environment
from resnet50.training.fast_cpu.precision import resolve_precision
from resnet50.training.network import build_network
from resnet50.training.recipe import Recipe
from resnet50.training.record import PretrainedWeights, RunRecord
from resnet50.training.run import RunDirectory, write_left_out, write_unreadable
from resnet50.weights.normalization import NORMALIZATIONS
from resnet50.weights.read import WeightsFile, read_fitting, read_weights
from resnet50.weights.transfer import TransferReport, load_weights

_REST = 16 << 20  # bytes for figures, pages and tables


@dataclass(frozen=True)
class PreparedRun:
    """A run that is ready to train, new or resumed.

    Attributes:
        directory: The run directory.
        record: Recipe, precision and data that the run was started with.
        splits: Train and test split, and the validation split, if any, its images held out of the train split.
        model: The network with its initial weights.
        transfer: The report on pretrained weights; None from scratch, or where a checkpoint has all weights.
        issues: The audit's issues in the images, the worst first.
        share: The part of this process, where several devices train.
    """

    directory: RunDirectory
    record: RunRecord
    splits: DatasetSplits
    model: keras.Model
    transfer: TransferReport | None
    issues: tuple[Issue, ...]
    share: Share


def prepare_new(
    directory: RunDirectory, recipe: Recipe, splits: DatasetSplits, source: DataSource | None, share: Share
) -> PreparedRun:
    """Prepare a new run, and create its directory last, so that nothing is written if anything fails.

    Raises:
        ValueError: If no images can be held out, mirror images cross classes and the recipe leaves ``flip`` open, the
            pretrained weights do not fit, the devices do not divide the batches, the processes have different data, or
            there is a run already.
        FileNotFoundError: If there is no file of the pretrained weights.
        OSError: If the disk has no room for the run.
    """
    weights = read_fitting(recipe.weights, recipe.layers) if recipe.weights else None
    held_out = splits.hold_out(recipe.validation_split, seed=recipe.seed)
    issues = find_issues(splits)
    check_flip(recipe, splits["train"], issues)
    check_steps(recipe, len(held_out["train"]), share)
    pretrained = describe_weights(weights, recipe) if weights else None
    model = _build(recipe, splits, pretrained)
    transfer = load_weights(model, weights, class_names=splits["train"].class_names) if weights else None
    record = RunRecord(
        recipe=recipe,
        source=source,
        fingerprints=fingerprints(splits),
        environment=describe_environment(share.devices),
        dataset=splits["train"].name,
        precision=resolve_precision(recipe.precision),
        weights=pretrained,
        started=datetime.now(UTC).isoformat(),
        corrections=splits.corrections.sha256 if splits.corrections is not None else None,
    )
    check_room(directory.path, _most_bytes(model, recipe), "the model and the checkpoints of the run")
    check_alike(share, **_shared(record))
    directory.create(record)
    if splits.unreadable:
        write_unreadable(directory.unreadable, splits.unreadable)
    if splits.left_out:
        write_left_out(directory.left_out, splits.left_out)
    return PreparedRun(directory, record, held_out, model, transfer, issues, share)


def prepare_resumed(directory: RunDirectory, record: RunRecord, splits: DatasetSplits, share: Share) -> PreparedRun:
    """Prepare a run that was interrupted; before its first checkpoint it needs the pretrained weights again.

    Raises:
        ValueError: If the pretrained weights are not those of the run, the devices do not divide its batches, or the
            processes have different data or checkpoints.
        FileNotFoundError: If there is no file of the pretrained weights.
    """
    recipe, transfer = record.recipe, None
    directory.remove_leftovers()
    held_out = splits.hold_out(recipe.validation_split, seed=recipe.seed)
    share.check(recipe.batch_size, len(held_out["train"]))
    check_alike(share, **_shared(record), checkpoint=str(finished_epochs(directory.checkpoint)))
    model = _build(recipe, splits, record.weights)
    if recipe.weights and not directory.checkpoint.exists():
        weights = read_weights(recipe.weights)
        if describe_weights(weights, recipe) != record.weights:
            raise ValueError(
                f"{recipe.weights}: expected the pretrained weights that the run was started with, got others (their "
                "SHA-256 differs); restore that file, or start a new run."
            )
        transfer = load_weights(model, weights, class_names=splits["train"].class_names)
    return PreparedRun(directory, record, held_out, model, transfer, find_issues(splits), share)


def _shared(record: RunRecord) -> dict[str, str]:
    """Return what must be the same in all processes of a run, each by its name."""
    return {"recipe": record.recipe.to_json(), "images": str(record.fingerprints)}


def describe_weights(weights: WeightsFile, recipe: Recipe) -> PretrainedWeights:
    """Return the record of pretrained weights that a run stores.

    Raises:
        ValueError: If neither the file nor the recipe has an input normalization.
    """
    normalization = recipe.normalization or weights.normalization
    if not recipe.normalization and normalization not in NORMALIZATIONS:
        raise ValueError(
            f"{weights.origin}: expected the input normalization of its network, got none; set normalization to one of "
            f"{', '.join(NORMALIZATIONS)}."
        )
    sha256 = hashlib.sha256()
    for name in sorted(weights.arrays):
        for array in weights.arrays[name]:
            sha256.update(f"{name} {array.shape} {array.dtype}".encode())
            sha256.update(array.tobytes())
    return PretrainedWeights(weights.origin, weights.conventions, normalization, sha256.hexdigest())


def _most_bytes(model: keras.Model, recipe: Recipe) -> int:
    """Return the most bytes of disk that a run takes: models and checkpoints, each beside the one that it replaces."""
    models, in_checkpoint = 4, 5  # a checkpoint has the weights, two moments and one or two averages
    in_checkpoint += recipe.gradient_accumulation_steps > 1  # and the gradients of batches before
    return (models + 2 * in_checkpoint) * 4 * model.count_params() + _REST


def _build(recipe: Recipe, splits: DatasetSplits, pretrained: PretrainedWeights | None) -> keras.Model:
    """Build the network, in the block variant and with the normalization of pretrained weights, if any."""
    classes = len(splits["train"].class_names)
    if pretrained is None:
        return build_network(recipe, classes)
    return build_network(recipe, classes, conventions=pretrained.conventions, normalization=pretrained.normalization)
