"""Our recipe beside the classic setting on tasks with real images, from scratch, seed by seed.

For each seed, both get the same training, validation and test images, image size and number of epochs. Ours is the
recipe that ``resnet50 train TASK --variant scratch`` runs. The classic setting is ``keras.applications.ResNet50`` with
random weights and plain ``fit``: pixels divided by 255, Adam at 1e-3, float32, and the additions of the task's public
project (see ``CLASSIC``). ImageNet weights were not available, so that nothing is frozen. The test images are scored
once, at the end.

Run: ``python benchmarks/tasks.py leukemia --data DIR``; writes ``benchmarks/results/tasks-leukemia.json`` anew after
every seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
from keras import layers

from resnet50 import DatasetSplits, Recipe, train
from resnet50.datasets.source import DataSource
from resnet50.recipes import find_task
from resnet50.training.environment import describe_environment


@dataclass(frozen=True)
class Classic:
    """The additions of a public project to ``fit``: a head, augmentation, callbacks."""

    head: Callable[[keras.KerasTensor], keras.KerasTensor]
    batch_size: int = 32
    schedule: Callable[[], float | keras.optimizers.schedules.LearningRateSchedule] = lambda: 1e-3
    augmentation: Callable[[], list[layers.Layer]] = list
    callbacks: Callable[[], list[keras.callbacks.Callback]] = list


def pooled(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.GlobalAveragePooling2D()(x)


def dense_512_128(x: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Dropout(0.5)(layers.Dense(512, activation="relu")(pooled(x)))
    return layers.Dropout(0.5)(layers.Dense(128, activation="relu")(x))


def dense_384(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Dense(384, activation="relu")(layers.Flatten()(x))


def normalized(x: keras.KerasTensor) -> keras.KerasTensor:
    return layers.BatchNormalization()(pooled(x))


CLASSIC = {
    "leukemia": Classic(normalized, schedule=lambda: keras.optimizers.schedules.ExponentialDecay(1e-4, 40, 0.96)),
    "rocks": Classic(
        dense_512_128,
        augmentation=lambda: [
            layers.RandomRotation(20 / 360),
            layers.RandomShear(0.18, 0.0),  # 10 degrees
            layers.RandomZoom(0.2),
            layers.RandomFlip("horizontal"),
        ],
        callbacks=lambda: [
            keras.callbacks.ReduceLROnPlateau(patience=10),
            keras.callbacks.EarlyStopping(patience=20, restore_best_weights=True),
        ],
    ),
    "cats-dogs": Classic(dense_384),
    "cifar10": Classic(
        pooled,
        callbacks=lambda: [
            keras.callbacks.ReduceLROnPlateau(patience=2),
            keras.callbacks.EarlyStopping(patience=10),
        ],
    ),
    "caltech101": Classic(pooled),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(CLASSIC))
    parser.add_argument("--data", required=True, help="folder of the dataset")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, help="epochs of both; by default those of the recipe")
    options = parser.parse_args()
    recipe = find_task(options.task).RECIPE
    recipe = recipe.lasting(options.epochs or recipe.epochs)
    splits = DataSource(options.task, options.data).load(recipe.image_size)
    runs: dict[str, list[dict[str, float]]] = {"ours": [], "classic": []}
    for seed in options.seeds:
        for name, train_once in (("ours", train_ours), ("classic", train_classic)):
            began = time.perf_counter()
            run = train_once(replace(recipe, seed=seed), splits)
            runs[name].append({"seed": seed, **run, "seconds": round(time.perf_counter() - began, 1)})
            print(name, runs[name][-1], flush=True)
            keras.utils.clear_session()
        write(options, recipe, splits, runs)


def train_ours(recipe: Recipe, splits: DatasetSplits) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        run = train(recipe, splits, out=Path(folder, "run"), progress=False)
    return {"test_accuracy": run.report.accuracy, **last_epochs(run.history)}


def train_classic(recipe: Recipe, splits: DatasetSplits) -> dict[str, float]:
    keras.utils.set_random_seed(recipe.seed)
    setting = CLASSIC[recipe.name]
    cut = splits.hold_out(recipe.validation_split, seed=recipe.seed)
    learning, held_out = cut["train"], cut["validation"]
    x = inputs = keras.Input((recipe.image_size, recipe.image_size, 3))
    for layer in setting.augmentation():
        x = layer(x)
    x = layers.Rescaling(1 / 255)(x)
    x = keras.applications.ResNet50(include_top=False, weights=None, input_shape=x.shape[1:])(x)
    outputs = layers.Dense(len(learning.class_names), activation="softmax")(setting.head(x))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(setting.schedule()), "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        np.asarray(learning.images),
        learning.labels,
        batch_size=setting.batch_size,
        epochs=recipe.epochs,
        validation_data=(np.asarray(held_out.images), held_out.labels),
        callbacks=setting.callbacks(),
        verbose=0,
    ).history
    test = splits["test"]
    _, accuracy = model.evaluate(np.asarray(test.images), test.labels, verbose=0)
    rows = [dict(zip(history, values, strict=True)) for values in zip(*history.values(), strict=True)]
    return {"test_accuracy": accuracy, **last_epochs(rows)}


def last_epochs(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return the training and validation accuracy of the last epoch, and the range of the last ten validations."""
    validation = [row["val_accuracy"] for row in rows[-10:]]
    return {
        "epochs": len(rows),
        "train_accuracy": rows[-1]["accuracy"],
        "validation_accuracy": rows[-1]["val_accuracy"],
        "validation_lowest_of_last_ten": min(validation),
        "validation_highest_of_last_ten": max(validation),
    }


def write(
    options: argparse.Namespace, recipe: Recipe, splits: DatasetSplits, runs: dict[str, list[dict[str, float]]]
) -> None:
    def summary(name: str) -> dict[str, object]:
        accuracies = [run["test_accuracy"] for run in runs[name]]
        sd = statistics.stdev(accuracies) if len(accuracies) > 1 else None
        return {"mean": statistics.mean(accuracies), "sd": sd, "worst": min(accuracies), "runs": runs[name]}

    counts = {name: len(dataset) for name, dataset in splits.by_name.items()}
    result = {
        "what": f"accuracy on the test images of {splits['test'].name}, from scratch, {recipe.image_size} pixels",
        "command": f"python benchmarks/tasks.py {options.task} --data DIR"
        + ("" if options.seeds == [0, 1, 2] else f" --seeds {' '.join(map(str, options.seeds))}")
        + (f" --epochs {options.epochs}" if options.epochs else ""),
        "images": {**counts, "classes": len(splits["test"].class_names)},
        "ours": summary("ours"),
        "classic": summary("classic"),
        "recipe": asdict(recipe),
        "fingerprints": {name: dataset.fingerprint for name, dataset in splits.by_name.items()},
        **describe_environment(),
    }
    path = Path(__file__).parent / "results" / f"tasks-{options.task}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
