"""A whole run on SIGNS beside keras.applications with plain ``fit``, from the command to the saved model.

Both train in a process of their own on the same files for the same epochs, and validate after each epoch on a share of
the photos that they do not train on. Ours is ``resnet50 train signs`` with everything that it writes: checkpoints, the
report and its figures. The peer reads the files with h5py, divides by 255, trains keras.applications.ResNet50 from
random weights with Adam in float32, scores the test photos and saves the model. They run in interleaved rounds.

A rate is the number of photos trained on, divided by the seconds of the whole process: imports, data, building of the
graph, training, validation, scoring and saving. The result also has the seconds of a single epoch with its validation.

Run: ``python benchmarks/whole_run.py --data DIR``; adds a session to ``benchmarks/results/whole-run.json``, anew after
every round.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from sessions import Session

from resnet50 import DatasetSplits
from resnet50.recipes.signs import RECIPE

RESULTS = Path(__file__).parent / "results" / "whole-run.json"

VALIDATION_SPLIT = 0.1
PEER = "keras.applications float32"

PEER_SCRIPT = """
import csv, sys, time
import h5py, keras, numpy as np

data, out = sys.argv[1:3]
epochs, batch, held, seed = map(int, sys.argv[3:])
keras.utils.set_random_seed(seed)


def read(name, split):
    with h5py.File(f"{data}/{name}") as file:
        return file[f"{split}_set_x"][:].astype("float32") / 255, file[f"{split}_set_y"][:].ravel()


class Clock(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        rows.append({"epoch": epoch + 1, "seconds": time.perf_counter() - self.began, **logs})


rows = []
images, labels = read("train_signs.h5", "train")
order = np.random.default_rng(seed).permutation(len(images))
held_out, training = np.split(order, [held])
backbone = keras.applications.ResNet50(include_top=False, weights=None, input_shape=images.shape[1:], pooling="avg")
model = keras.Model(backbone.input, keras.layers.Dense(6, activation="softmax")(backbone.output))
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(
    images[training], labels[training], batch_size=batch, epochs=epochs, verbose=0, callbacks=[Clock()],
    validation_data=(images[held_out], labels[held_out]),
)
model.evaluate(*read("test_signs.h5", "test"), verbose=0)
model.save(f"{out}/model.keras")
with open(f"{out}/history.csv", "w") as file:
    writer = csv.DictWriter(file, rows[0])
    writer.writeheader()
    writer.writerows(rows)
"""


def run(command: list[str], out: Path, images: int) -> dict[str, Any]:
    """Run a command that writes ``history.csv`` and ``model.keras`` into a folder; return times and peak memory."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    with tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors, env=quiet) as process:
            _, status, used = os.wait4(process.pid, 0)
            seconds = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        errors.seek(0)
        if process.returncode:
            raise ValueError(f"a run failed and printed: {errors.read()[-2000:]}")
    with (out / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {
        "seconds": round(seconds, 1),
        "images_per_second": images * len(rows) / seconds,
        "epoch_seconds": median(float(row["seconds"]) for row in rows[1:]),
        "peak_mib": used.ru_maxrss / 1024,
    }


def accuracy(model: Path, seed: int, splits: DatasetSplits) -> float:
    """Return the accuracy of the saved model on the held-out photos."""
    from resnet50 import Classifier

    held_out = cut(splits, seed)["validation"]
    return float((Classifier.load(model).probabilities(held_out.images).argmax(axis=1) == held_out.labels).mean())


def cut(splits: DatasetSplits, seed: int) -> DatasetSplits:
    """Hold photos out for validation, as our run does."""
    return splits.hold_out(VALIDATION_SPLIT, seed=seed)


def run_ours(data: str, epochs: int, seed: int, splits: DatasetSplits) -> dict[str, Any]:
    """Train by our command line."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        command = [sys.executable, "-m", "resnet50", "train", "signs", "--data", data, "--out", str(out)]
        command += ["--epochs", str(epochs), "--validation-split", str(VALIDATION_SPLIT), "--seed", str(seed)]
        measured = run(command, out, len(cut(splits, RECIPE.seed)["train"]))
        return {**measured, "validation_accuracy": accuracy(out / "model.keras", seed, splits)}


def run_peer(data: str, epochs: int, seed: int, splits: DatasetSplits) -> dict[str, Any]:
    """Train keras.applications, which holds out as many photos, but others: it does not look at near-duplicates."""
    first = cut(splits, RECIPE.seed)
    with tempfile.TemporaryDirectory() as folder:
        numbers = map(str, (epochs, RECIPE.batch_size, len(first["validation"]), seed))
        return run([sys.executable, "-c", PEER_SCRIPT, data, folder, *numbers], Path(folder), len(first["train"]))


def compare(runs: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Return our rate over that of the peer, and the same of an epoch alone."""
    pairs = list(zip(runs["ours"], runs[PEER], strict=True))
    ratios = [ours["images_per_second"] / peer["images_per_second"] for ours, peer in pairs]
    return {
        "median": median(ratios),
        "min": min(ratios),
        "max": max(ratios),
        "epochs_alone": median(peer["epoch_seconds"] / ours["epoch_seconds"] for ours, peer in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with train_signs.h5 and test_signs.h5")
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.epochs < 2:
        parser.error(f"--epochs must be at least 2, got {options.epochs}: the first is slower than the others.")
    from resnet50.datasets import signs

    splits = signs.load(options.data, image_size=RECIPE.image_size)
    first = cut(splits, RECIPE.seed)
    session = Session(
        RESULTS,
        what=f"a whole run on {splits['train'].name}: {options.epochs} epochs of {len(first['train'])} photos, "
        f"{len(first['validation'])} held out",
        command=f"python benchmarks/whole_run.py --data DIR --epochs {options.epochs} --rounds {options.rounds}",
    )
    runs: dict[str, list[dict[str, Any]]] = {"ours": [], PEER: []}
    for seed in range(options.rounds):
        for name, run_once in (("ours", run_ours), (PEER, run_peer)):
            runs[name].append({"seed": seed, **run_once(options.data, options.epochs, seed, splits)})
            print(name, runs[name][-1], flush=True)
        session.write({"ours_over_keras_applications": compare(runs), "runs": runs})


if __name__ == "__main__":
    main()
