"""How fast a classifier predicts, in any format, beside keras.applications.

As a program, ``python -m resnet50.benchmark.predicting MODEL BATCH`` is the contender that the file is, and with
``applications SIDE BATCH`` keras.applications.ResNet50 with random weights.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from resnet50.benchmark.turns import Turn, serve

SECONDS, CALLS = 1.0, 100
"""How long a turn sends full batches, and how many single pictures it sends then."""


def model(path: str, batch: int) -> Turn:
    """Get a classifier ready to predict: a ``.keras`` file or an export."""
    from resnet50.classifier import Classifier

    classifier = Classifier.load(path)
    return _predict(classifier.model.predict_on_batch, classifier.side, batch)


def applications(side: int, batch: int) -> Turn:
    """Get keras.applications.ResNet50 ready, which is called with ``predict_on_batch``."""
    import keras

    network = keras.applications.ResNet50(weights=None, input_shape=(side, side, 3))
    return _predict(network.predict_on_batch, (side, side), batch)


def command(path: str, batch: int) -> list[str]:
    """Return the words of the command that is the contender for a classifier."""
    return [sys.executable, "-m", "resnet50.benchmark.predicting", path, str(batch)]


def applications_command(side: int, batch: int) -> list[str]:
    """Return the words of the command that is keras.applications."""
    return [sys.executable, "-m", "resnet50.benchmark.predicting", "applications", str(side), str(batch)]


def _predict(predict: Callable[[np.ndarray], Any], side: tuple[int, int], batch: int) -> Turn:
    pictures = np.random.default_rng(0).integers(0, 256, (batch, *side, 3)).astype(np.float32)

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
        full, single = calls(pictures, seconds=SECONDS), calls(pictures[:1], count=CALLS)
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
