"""Wrong labels that are planted, and how many of them are found.

For each seed, wrong labels are planted into all images of a task: 5 % of them, each with another class drawn at random;
or 5 % of the images of the two classes that are most often confused, each with the other one's label. Images are
predicted out of fold, by a linear head on frozen features (``resnet50 crossval``), and ranked. Precision at n is the
share of planted errors among the n most suspicious images, n being the number planted: it is the recall too. Labels
that are wrong in the task itself count against it. Near-duplicates and groups are found with the task's own labels.

Run: ``python benchmarks/label_errors.py cats-dogs --data DIR --weights FILE``; writes
``benchmarks/results/label-errors-cats-dogs.json``. The features take about a minute, each seed seconds.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from fine_tuning import describe_weights
from sklearn.metrics import average_precision_score

from resnet50 import Dataset
from resnet50._io.files import write_text
from resnet50.audit.label_errors import find_label_errors, normalized_margin, self_confidence
from resnet50.data.splitting import assign_folds
from resnet50.datasets.source import DataSource
from resnet50.evaluation.frozen_features import frozen_features
from resnet50.recipes import folder
from resnet50.training.environment import describe_environment
from resnet50.training.linear_probe import LabeledFeatures
from resnet50.training.out_of_fold import predict_out_of_fold
from resnet50.training.phases import LinearProbe
from resnet50.weights.read import read_weights

RESULTS = Path(__file__).parent / "results"
TASKS = ("cats-dogs", "leukemia", "caltech101", "rocks")
SHARE = 0.05
FOLDS = 5
C_VALUES = (0.001, 0.003, *LinearProbe().c_values)  # of cross_validate
RANKINGS = {"self-confidence": self_confidence, "normalized margin": normalized_margin}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--data", required=True, help="folder of the dataset")
    parser.add_argument("--weights", required=True, help="file in torchvision's layout, safetensors")
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    recipe = folder.FINE_TUNED.change(weights=options.weights)
    splits = DataSource(options.task, options.data).load(recipe.image_size)
    dataset, near_duplicates = splits.pooled, splits.near_duplicates.groups
    features = np.asarray(frozen_features(recipe, read_weights(options.weights), dataset))
    clean = predict(features, dataset, near_duplicates, 0)
    pair = most_confused(clean.probabilities, dataset.labels)
    trials = {
        kind: [trial(features, dataset, near_duplicates, kind, pair, seed) for seed in range(options.seeds)]
        for kind in ("uniform", "confused")
    }
    results = {
        "task": options.task,
        "weights": describe_weights(options.weights),
        "images": len(dataset),
        "classes": len(dataset.class_names),
        "share": SHARE,
        "folds": FOLDS,
        "accuracy": float(np.mean(clean.probabilities.argmax(axis=1) == dataset.labels)),
        "confused": [dataset.class_names[label] for label in pair],
        **describe_environment(),
        "trials": trials,
    }
    write_text(RESULTS / f"label-errors-{options.task}.json", json.dumps(results, indent=2))


def predict(features: np.ndarray, dataset: Dataset, near_duplicates: np.ndarray, seed: int):
    """Return the out-of-fold predictions of the images by their labels."""
    folds = assign_folds(dataset, near_duplicates, FOLDS, seed=seed)
    images = LabeledFeatures([features], dataset.labels)
    return predict_out_of_fold(LinearProbe(c_values=C_VALUES), images, folds, classes=len(dataset.class_names))


def most_confused(probabilities: np.ndarray, labels: np.ndarray) -> tuple[int, int]:
    """Return the two classes with the most images predicted as the other; of equal ones, those of the highest mean."""
    classes, predicted = probabilities.shape[1], probabilities.argmax(axis=1)
    confusion = np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes).astype(float)
    means = np.stack([probabilities[labels == label].mean(axis=0) for label in range(classes)])
    both = np.triu(confusion + confusion.T + (means + means.T) / 4, 1)
    first, second = np.unravel_index(both.argmax(), both.shape)
    return int(first), int(second)


def plant(labels: np.ndarray, kind: str, pair: tuple[int, int], classes: int, seed: int) -> np.ndarray:
    """Return the labels with wrong ones among them."""
    rng, planted = np.random.default_rng(seed), labels.copy()
    among = np.arange(len(labels)) if kind == "uniform" else np.flatnonzero(np.isin(labels, pair))
    chosen = rng.choice(among, max(1, round(SHARE * len(among))), replace=False)
    if kind == "uniform":
        planted[chosen] = (labels[chosen] + rng.integers(1, classes, len(chosen))) % classes
    else:
        planted[chosen] = np.where(labels[chosen] == pair[0], pair[1], pair[0])
    return planted


def trial(
    features: np.ndarray, dataset: Dataset, near_duplicates: np.ndarray, kind: str, pair: tuple[int, int], seed: int
) -> dict[str, object]:
    """Plant errors, rank the images, and return what was found."""
    labels = plant(dataset.labels, kind, pair, len(dataset.class_names), seed)
    wrong = labels != dataset.labels
    predicted = predict(features, replace(dataset, labels=labels), near_duplicates, seed)
    rankings = {}
    for name, score in RANKINGS.items():
        scores = score(predicted.probabilities, labels)
        first = np.argsort(scores, kind="stable")[: wrong.sum()]
        rankings[name] = {
            "precision at n": float(wrong[first].mean()),
            "average precision": float(average_precision_score(wrong, -scores)),
        }
    errors = find_label_errors(predicted.probabilities, labels)
    found = {
        "seed": seed,
        "planted": int(wrong.sum()),
        "c": predicted.c_values,
        "rankings": rankings,
        "marked": int(errors.marked.sum()),
        "marked and planted": int((errors.marked & wrong).sum()),
        "expected": float(errors.expected.sum()),
    }
    print(kind, found, flush=True)
    return found


if __name__ == "__main__":
    main()
