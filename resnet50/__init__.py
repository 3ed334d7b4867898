"""ResNet-50, written layer by layer in Keras: learn it, train it, ship it."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet50.audit.check import check as check
    from resnet50.blocks import convolutional_block as convolutional_block
    from resnet50.blocks import identity_block as identity_block
    from resnet50.build import build_resnet50 as build_resnet50
    from resnet50.conventions import V1 as V1
    from resnet50.conventions import V1_5 as V1_5
    from resnet50.data.augmentation import Augmentation as Augmentation
    from resnet50.data.batches import Batches as Batches
    from resnet50.data.dataset import Dataset as Dataset
    from resnet50.data.dataset import DatasetSplits as DatasetSplits
    from resnet50.data.loading import load_dataset as load_dataset
    from resnet50.data.splitting import train_validation_split as train_validation_split
    from resnet50.datasets.rendered_signs import rendered_signs as rendered_signs
    from resnet50.datasets.signs import load_signs as load_signs
    from resnet50.exporters.export import export as export
    from resnet50.graph.fold import fold_batch_norm as fold_batch_norm
    from resnet50.inference.classifier import Classifier as Classifier
    from resnet50.inference.embed import embed as embed
    from resnet50.inference.features import feature_model as feature_model
    from resnet50.inference.predict import predict as predict
    from resnet50.metrics.grad_cam import grad_cam as grad_cam
    from resnet50.metrics.scores import score as score
    from resnet50.model import ResNet50 as ResNet50
    from resnet50.training.lr_finder import find_learning_rate as find_learning_rate
    from resnet50.training.recipe import Phase as Phase
    from resnet50.training.recipe import Recipe as Recipe
    from resnet50.training.train import resume as resume
    from resnet50.training.train import train as train
    from resnet50.weights.read import read_weights as read_weights
    from resnet50.weights.save import save_weights as save_weights
    from resnet50.weights.transfer import load_weights as load_weights

# A name is imported when it is first used, so that the command line starts without loading Keras.
_HOMES = {
    "V1": "blocks",
    "V1_5": "blocks",
    "identity_block": "blocks",
    "convolutional_block": "blocks",
    "ResNet50": "model",
    "build_resnet50": "model",
    "Classifier": "classifier",
    "Split": "data.split",
    "Parts": "data.split",
    "load_signs": "data.signs",
    "rendered_signs": "data.rendered_signs",
    "train_validation_split": "data.validation",
    "load_dataset": "data.images",
    "check": "data.check",
    "Augmentation": "data.augmentation",
    "Batches": "data.batches",
    "Phase": "training.recipe",
    "Recipe": "training.recipe",
    "train": "training.fit",
    "resume": "training.fit",
    "find_learning_rate": "training.rate_finder",
    "score": "evaluation.report",
    "grad_cam": "evaluation.grad_cam",
    "feature_model": "evaluation.features",
    "predict": "inference.predict",
    "embed": "inference.embed",
    "fold_batch_norm": "inference.fold",
    "export": "inference.export",
    "read_weights": "weights.read",
    "load_weights": "weights.transfer",
    "save_weights": "weights.save",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resnet50' has no attribute {name!r}")
    value = getattr(import_module(f"resnet50.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
