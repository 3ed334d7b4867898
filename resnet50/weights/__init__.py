"""Where a network's weights come from, what they expect pixels to be, and how they are read and written."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from resnet50.weights.fetch import fetch_weights as fetch_weights
    from resnet50.weights.normalization import NORMALIZATIONS as NORMALIZATIONS
    from resnet50.weights.normalization import normalize as normalize
    from resnet50.weights.read import WeightsFile as WeightsFile
    from resnet50.weights.read import read_weights as read_weights
    from resnet50.weights.registry import REGISTRY as REGISTRY
    from resnet50.weights.registry import find_published as find_published
    from resnet50.weights.registry import imagenet_classes as imagenet_classes
    from resnet50.weights.save import save_weights as save_weights
    from resnet50.weights.transfer import TransferReport as TransferReport
    from resnet50.weights.transfer import load_weights as load_weights

# A name is imported when it is first used: the registry and the downloads need no Keras.
_HOMES = {
    "NORMALIZATIONS": "normalization",
    "normalize": "normalization",
    "REGISTRY": "sources",
    "find_published": "sources",
    "imagenet_classes": "sources",
    "fetch_weights": "fetch",
    "WeightsFile": "read",
    "read_weights": "read",
    "TransferReport": "transfer",
    "load_weights": "transfer",
    "save_weights": "save",
}

__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'resnet50.weights' has no attribute {name!r}")
    value = getattr(import_module(f"resnet50.weights.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
