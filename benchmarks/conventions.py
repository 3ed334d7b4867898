"""What a network answers whose variant or normalization is not that of its weights, beside the right one.

The weights are random numbers of a v1.5 network, and the images are rendered signs. Each wrong network has one
difference, loads all weights and raises no error. Its features, the 2048 numbers before the classifier, are compared
with the right ones as deviations from their mean over the images: the relative difference is the root mean square of
the difference divided by that of the right deviations.

Run: ``python benchmarks/conventions.py``; takes about a minute and writes ``benchmarks/results/conventions.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from resnet50 import build_resnet50, rendered_signs
from resnet50._io.files import write_text
from resnet50.conventions import V1_5, Conventions
from resnet50.training.environment import describe_environment

RESULTS = Path(__file__).parent / "results" / "conventions.json"
IMAGES, IMAGE_SIZE, SEED = 60, 128, 0

WRONG: Mapping[str, tuple[Conventions, str]] = {
    "stride on the first 1x1": (replace(V1_5, stride_on_kernel=False), "torch"),
    "epsilon 1.001e-5": (replace(V1_5, epsilon=1.001e-5), "torch"),
    "normalization caffe": (V1_5, "caffe"),
    "normalization symmetric": (V1_5, "symmetric"),
    "normalization unit": (V1_5, "unit"),
}
"""Networks with one difference from a v1.5 network that expects the normalization of torchvision."""


def features(conventions: Conventions, normalization: str, weights: list[np.ndarray], images: np.ndarray) -> np.ndarray:
    """Return the features of images, ``(n, 2048)``, by a network with these weights."""
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    model = build_resnet50(6, input_shape=shape, conventions=conventions, normalization=normalization)
    model.set_weights(weights)
    pooled = keras.Model(model.input, model.get_layer("avg_pool").output)
    return keras.ops.convert_to_numpy(pooled(images, training=False))


def random_weights(images: np.ndarray) -> list[np.ndarray]:
    """Return random weights whose moving statistics are those of the images, as after a training."""
    keras.utils.set_random_seed(SEED)
    conventions = replace(V1_5, momentum=0.5)
    shape = (IMAGE_SIZE, IMAGE_SIZE, 3)
    model = build_resnet50(6, input_shape=shape, conventions=conventions, normalization="torch")
    for _ in range(8):
        model(images, training=True)
    return model.get_weights()


def relative_difference(right: np.ndarray, wrong: np.ndarray) -> float:
    """Return the root mean square of the difference, divided by that of the right deviations from their mean."""
    right, wrong = right - right.mean(axis=0), wrong - wrong.mean(axis=0)
    return float(np.sqrt(np.square(wrong - right).mean() / np.square(right).mean()))


def main() -> None:
    """Measure and write the results."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    images = rendered_signs(train=IMAGES, test=6, image_size=IMAGE_SIZE)[0].images
    weights = random_weights(images)
    right = features(V1_5, "torch", weights, images)
    differences = {}
    for name, (conventions, normalization) in WRONG.items():
        differences[name] = relative_difference(right, features(conventions, normalization, weights, images))
        print(f"{name}: {differences[name]:.4f}")
    results = {
        "what": f"relative difference of the features of {IMAGES} images, random weights of a v1.5 network",
        "command": "python benchmarks/conventions.py",
        **describe_environment(),
        "seed": SEED,
        "image_size": IMAGE_SIZE,
        "relative_difference": differences,
    }
    write_text(RESULTS, json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
