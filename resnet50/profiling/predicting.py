"""How fast a classifier predicts, in any format, beside keras.applications.

As a program, ``python -m resnet50.profiling.predicting MODEL BATCH`` is the contender that the file is, and with
``applications SIDE BATCH`` keras.applications.ResNet50 with random weights.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from resnet50.profiling.turns import Turn, serve

SECONDS, CALLS = 1.0, 100
"""How long a turn sends full batches, and how many single images it sends then."""


def model(path: str, batch: int) -> Turn:
    """Get a classifier ready to predict: a ``.keras`` file or an export."""
    from resnet50.inference.classifier import Classifier

    classifier = Classifier.load(path)
    return _predict(classifier.model.predict_on_batch, classifier.image_size, batch)


def applications(image_size: int, batch: int) -> Turn:
    """Get keras.applications.ResNet50 ready, which is called with ``predict_on_batch``."""
    import keras

    network = keras.applications.ResNet50(weights=None, input_shape=(image_size, image_size, 3))
    return _predict(network.predict_on_batch, (image_size, image_size), batch)


def command(path: str, batch: int) -> list[str]:
    """Return the words of the command that is the contender for a classifier."""
    return [sys.executable, "-m", "resnet50.profiling.predicting", path, str(batch)]


def applications_command(image_size: int, batch: int) -> list[str]:
    """Return the words of the command that is keras.applications."""
    return [sys.executable, "-m", "resnet50.profiling.predicting", "applications", str(image_size), str(batch)]


def _predict(predict: Callable[[np.ndarray], Any], image_size: tuple[int, int], batch: int) -> Turn:
    images = np.random.default_rng(0).integers(0, 256, (batch, *image_size, 3)).astype(np.float32)

    def calls(images: np.ndarray, *, seconds: float = 0.0, count: int = 1) -> np.ndarray:
        """Return the seconds of each call, the first left out: another shape may be made ready in it."""
        np.asarray(predict(images))
        found: list[float] = []
        end = time.perf_counter() + seconds
        while len(found) < count or time.perf_counter() < end:
            began = time.perf_counter()
            np.asarray(predict(images))
            found.append(time.perf_counter() - began)
        return np.array(found)

    def turn() -> dict[str, float]:
        full, single = calls(images, seconds=SECONDS), calls(images[:1], count=CALLS)
        return {
            "images_per_second": batch / float(np.median(full)),
            "latency_p50_ms": 1e3 * float(np.quantile(single, 0.5)),
            "latency_p99_ms": 1e3 * float(np.quantile(single, 0.99)),
        }

    return turn


if __name__ == "__main__":
    *named, batch = sys.argv[1:]
    if named[0] == "applications" and len(named) > 1:
        serve(lambda: applications(int(named[1]), int(batch)))
    else:
        serve(lambda: model(named[0], int(batch)))
