"""Linear classifiers on the features of every block: how early a network could already tell the classes apart."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from resnet50._io.fetch import Progress
from resnet50.data.dataset import Dataset
from resnet50.data.lazy_images import LazyImages
from resnet50.data.splitting import cut_indices
from resnet50.inference.batching import forward_array
from resnet50.metrics.scores import accuracy_interval
from resnet50.training.linear_probe import LabeledFeatures, fit_linear_head
from resnet50.training.phases import LinearProbe

_log = logging.getLogger(__name__)

_BATCH = 32
_HELD_OUT = 0.2  # of the training images, to choose C by


@dataclass(frozen=True)
class ProbeScore:
    """The accuracy of a linear classifier on the features of a layer.

    Attributes:
        layer: Name of the layer.
        accuracy: Share of held-out images that are classified correctly, 0..1.
        interval: Its 95 % confidence interval (Wilson 1927), 0..1.
        images: Number of held-out images.
        c: The ``C`` that was chosen (`resnet50.LinearProbe`).
    """

    layer: str
    accuracy: float
    interval: tuple[float, float]
    images: int
    c: float


def linear_probes(
    model: keras.Model,
    train: Dataset,
    test: Dataset,
    *,
    layers: Sequence[str],
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[ProbeScore, ...]:
    """Fit a linear classifier to the pooled features of each layer, and score it on held-out images.

    Features are means over the positions of a feature map. The classifier is a logistic regression, fitted to four
    fifths of the training images; its ``C`` is chosen on the others. The network is not changed.

    Args:
        model: Functional network.
        train: Images to fit to, of its size.
        test: Images to score on, with the same classes, which neither network nor probes have learned from.
        layers: Names of layers whose output is a feature map or a vector.
        seed: Determines the images that choose ``C``.
        progress: Called with the number of images done and their total while features are computed, and then with that
            of layers.

    Returns:
        A row for each layer.

    Raises:
        ValueError: If the model has no such layer, or images to choose ``C`` by cannot be cut off: no class has two, or
            groups connect them all.

    Source: Alain and Bengio 2016, arXiv:1610.01644.
    """
    rest, held_out = cut_indices(train, np.arange(len(train)), _HELD_OUT, seed=seed)
    total = len(train) + len(test)
    fitted = pooled_features(model, train.images, layers, progress=_shifted(progress, 0, total))
    scored = pooled_features(model, test.images, layers, progress=_shifted(progress, len(train), total))
    rows = []
    _log.info("fitting a linear classifier to each block")
    for number, layer in enumerate(layers, start=1):
        features = fitted[layer]
        head = fit_linear_head(
            LinearProbe(),
            LabeledFeatures([features[rest]], train.labels[rest]),
            LabeledFeatures([features[held_out]], train.labels[held_out]),
            classes=len(train.class_names),
        )
        right = (scored[layer] @ head.kernel + head.bias).argmax(axis=1) == test.labels
        rows.append(ProbeScore(layer, float(right.mean()), accuracy_interval(right), len(right), head.c))
        if progress is not None:
            progress(number, len(layers))
    return tuple(rows)


def pooled_features(
    model: keras.Model, images: np.ndarray | LazyImages, layers: Sequence[str], *, progress: Progress | None = None
) -> Mapping[str, np.ndarray]:
    """Return the output of each layer, its mean over positions for a feature map: float32 ``(n, d)`` by its name.

    Raises:
        ValueError: If the model has no such layer.
    """
    outputs = [_pooled(model.get_layer(name).output) for name in layers]
    widths = [output.shape[-1] for output in outputs]
    together = keras.Model(model.input, ops.concatenate(outputs, axis=-1))
    rows = forward_array(together, images, batch_size=_BATCH, progress=progress)
    return dict(zip(layers, np.split(rows, np.cumsum(widths)[:-1], axis=1), strict=True))


def _pooled(output: keras.KerasTensor) -> keras.KerasTensor:
    return ops.mean(output, axis=(1, 2)) if len(output.shape) == 4 else output


def _shifted(progress: Progress | None, before: int, total: int) -> Progress | None:
    return None if progress is None else lambda done, _: progress(before + done, total)
