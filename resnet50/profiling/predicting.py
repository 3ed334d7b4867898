"""How fast a classifier predicts, in any format, beside keras.applications.

As a program, ``python -m resnet50.profiling.predicting MODEL BATCH`` is a contender that predicts with this model, and
``python -m resnet50.profiling.predicting applications IMAGE_SIZE BATCH`` is keras.applications.ResNet50 with random
weights; ``keras`` before a model opens a ``.keras`` file by Keras.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from resnet50.profiling.rounds import Work, serve

SECONDS, CALLS = 1.0, 100
"""Seconds of full batches in a round, and number of single images after them."""


def model(path: str, batch: int, *, runtime: str | None = None) -> Work:
    """Prepare a classifier to predict: a ``.keras`` file or an export, in the runtime of `Classifier.load`."""
    from resnet50.inference.classifier import Classifier

    classifier = Classifier.load(path, runtime=runtime)
    return _predict(classifier.network.predict_on_batch, classifier.image_size, batch)


def applications(image_size: int, batch: int) -> Work:
    """Prepare keras.applications.ResNet50 to predict, by ``predict_on_batch``."""
    import keras

    network = keras.applications.ResNet50(weights=None, input_shape=(image_size, image_size, 3))
    return _predict(network.predict_on_batch, (image_size, image_size), batch)


def command(path: str, batch: int, *, runtime: str | None = None) -> list[str]:
    """Return the command of the contender for a classifier."""
    words = [runtime] if runtime else []
    return [sys.executable, "-m", "resnet50.profiling.predicting", *words, path, str(batch)]


def applications_command(image_size: int, batch: int) -> list[str]:
    """Return the command of the contender keras.applications."""
    return [sys.executable, "-m", "resnet50.profiling.predicting", "applications", str(image_size), str(batch)]


def _predict(predict: Callable[[np.ndarray], Any], image_size: tuple[int, int], batch: int) -> Work:
    images = np.random.default_rng(0).integers(0, 256, (batch, *image_size, 3)).astype(np.float32)

    def calls(images: np.ndarray, *, seconds: float = 0.0, count: int = 1) -> np.ndarray:
        """Return the seconds of each call, without the first, which may compile the network for this shape."""
        np.asarray(predict(images))
        latencies: list[float] = []
        end = time.perf_counter() + seconds
        while len(latencies) < count or time.perf_counter() < end:
            began = time.perf_counter()
            np.asarray(predict(images))
            latencies.append(time.perf_counter() - began)
        return np.array(latencies)

    def work() -> dict[str, float]:
        full, single = calls(images, seconds=SECONDS), calls(images[:1], count=CALLS)
        return {
            "images_per_second": batch / float(np.median(full)),
            "latency_p50_ms": 1e3 * float(np.quantile(single, 0.5)),
            "latency_p99_ms": 1e3 * float(np.quantile(single, 0.99)),
        }

    return work


if __name__ == "__main__":
    *contender, batch = sys.argv[1:]
    if contender[0] == "applications" and len(contender) > 1:
        serve(lambda: applications(int(contender[1]), int(batch)))
    else:
        runtime = contender[0] if len(contender) > 1 else None
        serve(lambda: model(contender[-1], int(batch), runtime=runtime))
