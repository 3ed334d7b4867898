"""Accuracy and time of a recipe over seeds, each run by the command that a user types, beside a linear classifier.

Run: ``python benchmarks/accuracy.py signs --data DIR`` or ``python benchmarks/accuracy.py rendered-signs``; writes
``benchmarks/results/accuracy-RECIPE.json`` anew after every run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from resnet50 import Dataset
from resnet50.datasets.source import DataSource
from resnet50.recipes import find_task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe")
    parser.add_argument("--data", help="folder with train_signs.h5 and test_signs.h5")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    image_size = find_task(options.recipe).RECIPE.image_size
    splits = DataSource(options.recipe, options.data).load(image_size)
    training, test = splits["train"], splits["test"]
    linear = linear_accuracy(training, test)
    runs: list[dict[str, float]] = []
    for seed in options.seeds:
        run, record = run_once(options.recipe, options.data, seed)
        runs.append(run)
        print(run, flush=True)
        accuracies = [run["accuracy"] for run in runs]
        result = {
            "what": f"accuracy on the {len(test)} test images of {test.name}, trained on {len(training)}",
            "command": f"python benchmarks/accuracy.py {options.recipe}"
            + (" --data DIR" if options.data else "")
            + ("" if options.seeds == [0, 1, 2, 3, 4] else f" --seeds {' '.join(map(str, options.seeds))}"),
            "n": len(runs),
            "mean": statistics.mean(accuracies),
            "sd": statistics.stdev(accuracies) if len(runs) > 1 else None,
            "worst": min(accuracies),
            "slowest_seconds": max(run["seconds"] for run in runs),
            "linear_classifier": linear,
            "runs": runs,
            "fingerprint": {"training": training.fingerprint, "test": test.fingerprint},
            **record,
        }
        path = Path(__file__).parent / "results" / f"accuracy-{options.recipe}.json"
        path.write_text(json.dumps(result, indent=2) + "\n")


def run_once(recipe: str, data: str | None, seed: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Train by the command line; return the scores of the run, and its recipe and environment."""
    words = ["train", recipe, "--variant", "scratch", *(["--data", data] if data else []), "--seed", str(seed)]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        command = [sys.executable, "-m", "resnet50", *words, "--out", f"{folder}/run"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = round(time.perf_counter() - began, 1)  # from the command to the last file
        report, environment, numbers = (
            json.loads(Path(folder, "run", f"{name}.json").read_text()) for name in ("report", "environment", "recipe")
        )
    run = {"seed": seed, "accuracy": report["accuracy"], "loss": report["loss"], "seconds": seconds}
    names = ("backend", "versions", "machine", "commit", "precision")
    return run, {"recipe": numbers, **{name: environment[name] for name in names}}


def linear_accuracy(training: Dataset, test: Dataset) -> float:
    """Return the test accuracy of ridge regression on pixels, its strength chosen on a fifth of the training images."""
    x, probe = (np.asarray(dataset.images).reshape(len(dataset), -1) / 127.5 - 1 for dataset in (training, test))
    y = np.eye(len(training.class_names))[training.labels]
    held_out = np.random.default_rng(0).permutation(len(x)) < len(x) // 5
    best = max(
        (10.0**power for power in range(7)),
        key=lambda strength: ridge_accuracy(
            x[~held_out], y[~held_out], x[held_out], y[held_out].argmax(axis=1), strength
        ),
    )
    return ridge_accuracy(x, y, probe, test.labels, best)


def ridge_accuracy(x: np.ndarray, y: np.ndarray, probe: np.ndarray, labels: np.ndarray, strength: float) -> float:
    mean = x.mean(axis=0)
    x, probe = x - mean, probe - mean
    dual = np.linalg.solve(x @ x.T + strength * np.eye(len(x)), y - y.mean(axis=0))
    return float(((probe @ x.T @ dual + y.mean(axis=0)).argmax(axis=1) == labels).mean())


if __name__ == "__main__":
    main()
