"""How fast a training step of `resnet50.train` is, beside keras.applications with plain ``fit``.

As a program, ``python -m resnet50.profiling.training NAME IMAGE_SIZE BATCH`` is the contender of that name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

from resnet50.profiling.rounds import Work, serve

CLASSES = 6

STEPS, SETTLED = 10, 4
"""Steps in a round, and steps before the first that counts, which use up the batches that were prepared ahead."""


def ours(image_size: int, batch: int) -> Work:
    """Prepare our network to train by the recipe of SIGNS, augmentation included."""
    import keras

    from resnet50.data.batches import Batches
    from resnet50.datasets.rendered_signs import rendered_signs
    from resnet50.recipes.signs import RECIPE
    from resnet50.training.fast_cpu.memory import keep_freed_memory
    from resnet50.training.fast_cpu.precision import build_training_model, resolve_precision
    from resnet50.training.network import build_network
    from resnet50.training.optimizer import build_optimizer

    keep_freed_memory()
    recipe = RECIPE.change(image_size=image_size, batch_size=batch)
    images, _ = rendered_signs(train=STEPS * batch, test=CLASSES, image_size=image_size)
    batches = Batches(images, batch, shuffle=True, augmentation=recipe.augmentation)
    batches.max_queue_size = 1  # otherwise all batches are made during the first step, which is not counted
    training_model = build_training_model(build_network(recipe, CLASSES), resolve_precision(recipe.precision))
    training_model.compile(
        build_optimizer(recipe, recipe.last, training_model, STEPS),
        keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
    )
    return _fit(training_model, batch, x=batches, shuffle=False)


def applications(image_size: int, batch: int, *, policy: str) -> Work:
    """Prepare keras.applications.ResNet50 to train with Adam and plain ``fit``, on arrays in memory."""
    import keras
    import numpy as np

    keras.mixed_precision.set_global_policy(policy)
    rng = np.random.default_rng(0)
    images = rng.random((STEPS * batch, image_size, image_size, 3), np.float32)
    labels = rng.integers(0, CLASSES, STEPS * batch)
    backbone = keras.applications.ResNet50(
        include_top=False, weights=None, input_shape=(image_size, image_size, 3), pooling="avg"
    )
    outputs = keras.layers.Dense(CLASSES, activation="softmax", dtype="float32")(backbone.output)
    model = keras.Model(backbone.input, outputs)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return _fit(model, batch, x=images, y=labels, batch_size=batch)


CONTENDERS: dict[str, Callable[[int, int], Work]] = {
    "ours": ours,
    "keras.applications float32": partial(applications, policy="float32"),
    "keras.applications bfloat16": partial(applications, policy="mixed_bfloat16"),
}


def command(name: str, image_size: int, batch: int) -> list[str]:
    """Return the command of the contender of that name."""
    return [sys.executable, "-m", "resnet50.profiling.training", name, str(image_size), str(batch)]


def _fit(model: Any, batch: int, **data: Any) -> Work:
    import keras

    class Clock(keras.callbacks.Callback):
        def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
            self.times: list[float] = []

        def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
            self.times.append(time.perf_counter())

    clock = Clock()

    def work() -> dict[str, float]:
        model.fit(**data, epochs=1, verbose=0, callbacks=[clock])
        steps = [after - before for before, after in zip(clock.times, clock.times[1:], strict=False)]
        return {"images_per_second": batch / median(steps[SETTLED - 1 :])}

    return work


if __name__ == "__main__":
    name, image_size, batch = sys.argv[1:]
    serve(lambda: CONTENDERS[name](int(image_size), int(batch)))
