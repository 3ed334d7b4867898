"""How fast `Batches` makes images, beside the rate of a training step and that of Keras' preprocessing layers.

Run ``python benchmarks/batches.py``; it takes under a minute and adds a session to ``benchmarks/results/batches.json``.
The three are measured in interleaved rounds, so that other work on the machine affects all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import tensorflow as tf
from in_process import images_per_second
from keras import layers
from sessions import Session

from resnet50.build import build_resnet50
from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.recipes.signs import RECIPE
from resnet50.training.fast_cpu.memory import keep_freed_memory
from resnet50.training.fast_cpu.precision import build_training_model, resolve_precision
from resnet50.training.optimizer import build_optimizer

RESULTS = Path(__file__).parent / "results" / "batches.json"
BATCH, ROUNDS, STEPS = RECIPE.batch_size, 5, 15  # steps in all rounds together
IMAGES = 256  # 4 batches


def make_batches(batches: Batches) -> Callable[[], int]:
    """Return a function that makes one epoch of our batches, a new one each time."""

    def epoch() -> int:
        batches.epoch += 1
        return sum(len(images) for images, _ in batches)

    return epoch


def make_keras_layers(dataset: Dataset) -> Callable[[], int]:
    """Return a function that makes one epoch with the same augmentation by Keras' layers in a tf.data map."""
    limits = RECIPE.augmentation
    augmentation = [
        layers.RandomRotation(limits.rotation / 360, fill_mode="nearest"),
        layers.RandomZoom(limits.zoom, limits.zoom, fill_mode="nearest"),
        layers.RandomTranslation(limits.shift, limits.shift, fill_mode="nearest"),
        layers.RandomBrightness(limits.brightness),
    ]

    def augment(images: tf.Tensor, classes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for layer in augmentation:
            images = layer(images, training=True)
        return images, classes

    data = tf.data.Dataset.from_tensor_slices((dataset.images, dataset.labels)).shuffle(len(dataset))
    data = data.batch(BATCH).map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
    return lambda: sum(len(images) for images, _ in data)


def make_training(batches: Batches, classes: int) -> Callable[[], int]:
    """Return a function that runs training steps of the recipe's network on one batch in memory."""
    model = build_resnet50(classes, input_shape=(RECIPE.image_size, RECIPE.image_size, 3))
    keep_freed_memory()
    training_model = build_training_model(model, resolve_precision(RECIPE.precision))
    training_model.compile(
        build_optimizer(RECIPE, RECIPE.last, training_model, len(batches)), keras.losses.CategoricalCrossentropy()
    )
    images, targets = batches[0]

    def steps() -> int:
        for _ in range(STEPS // ROUNDS):
            training_model.train_on_batch(images, targets)
        return BATCH * (STEPS // ROUNDS)

    return steps


def main() -> None:
    """Measure, print and write."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    session = Session(
        RESULTS,
        what=f"images per second, {RECIPE.image_size} x {RECIPE.image_size}, batch {BATCH}, augmentation of the recipe "
        "signs",
        command="python benchmarks/batches.py",
    )
    dataset, _ = rendered_signs(train=IMAGES, test=6, image_size=RECIPE.image_size)
    batches = Batches(dataset, BATCH, shuffle=True, augmentation=RECIPE.augmentation, seed=RECIPE.seed)
    contenders = {
        "batches": make_batches(batches),
        "keras_layers": make_keras_layers(dataset),
        "training_step": make_training(batches, len(dataset.class_names)),
    }
    rates = images_per_second(contenders, rounds=ROUNDS)
    median = {name: values["median"] for name, values in rates.items()}
    results = {
        "precision": resolve_precision(RECIPE.precision),
        "images_per_second": rates,
        "batches_over_training_step": median["batches"] / median["training_step"],
        "batches_over_keras_layers": median["batches"] / median["keras_layers"],
    }
    session.write(results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
