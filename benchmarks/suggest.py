"""Images that ``resnet50 suggest`` chooses to be labeled, beside as many that are drawn at random.

The network is frozen, and its features are computed once. For each seed, 30 % of a task's images are cut off to score;
of the others, some of each class are labeled, and a linear head is fitted to them. Then further images are labeled:
those that ``suggest`` chooses by that head, or drawn at random. The head is fitted anew, and both are scored on the
same images. ``C`` is that of ``benchmarks/doubt.py``, chosen by images of the first cut.

Run: ``python benchmarks/suggest.py caltech101 --data DIR --weights FILE``, where DIR has a folder for each task; writes
``benchmarks/results/suggest-caltech101.json``. The features take a minute or two, each seed a second or two.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np
from doubt import PLACES, RESULTS, SCORED, SIZE, Task, choose, of_head, read
from fine_tuning import describe_weights
from threadpoolctl import threadpool_limits

from resnet50 import LinearProbe
from resnet50._io.files import write_text
from resnet50.data.splitting import cut_indices
from resnet50.inference import suggest
from resnet50.recipes import folder
from resnet50.training.environment import describe_environment
from resnet50.training.fast_cpu.precision import resolve_precision
from resnet50.training.features import FrozenPart
from resnet50.training.linear_probe import LabeledFeatures, LinearHead, fit_linear_head
from resnet50.training.network import build_network

LABELED = 3
"""Images of each class that are labeled at first."""

ADDED = (20, 50)
"""Images that are labeled then."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(PLACES))
    parser.add_argument("--data", required=True, help="folder with a folder for each task")
    parser.add_argument("--weights", required=True, help="file in torchvision's layout, safetensors")
    parser.add_argument("--seeds", type=int, default=30)
    options = parser.parse_args()
    recipe = folder.FINE_TUNED.change(image_size=SIZE)
    network = build_network(recipe, 2, weights=options.weights)
    part = FrozenPart(
        network, "avg_pool", environment=describe_environment(), precision=resolve_precision(recipe.precision)
    )
    task = read(part, options.task, options.data)
    with threadpool_limits(1):
        c = choose(task)
        trials = [trial(task, c, seed) for seed in range(options.seeds)]
    results = {
        "task": options.task,
        "command": f"python benchmarks/suggest.py {options.task} --data DIR --weights FILE",
        "weights": describe_weights(options.weights),
        "images": len(task.labels),
        "classes": len(task.dataset.class_names),
        "labeled": LABELED,
        "seeds": options.seeds,
        "c": c,
        **describe_environment(),
        "summary": {str(number): summary(trials, number) for number in ADDED},
        "trials": trials,
    }
    write_text(RESULTS / f"suggest-{options.task}.json", json.dumps(results, indent=2) + "\n")


def trial(task: Task, c: float, seed: int) -> dict[str, Any]:
    """Return the accuracies of a seed: with the first labels, with suggested ones and with random ones."""
    rng = np.random.default_rng(seed)
    pool, scored = (task.select(each) for each in cut_indices(task.dataset, task.near_duplicates, SCORED, seed=seed))
    classes = len(task.dataset.class_names)
    of_class = [rng.permutation(np.flatnonzero(pool.labels == label))[:LABELED] for label in range(classes)]
    first = np.concatenate(of_class)
    others = np.setdiff1d(np.arange(len(pool.labels)), first)
    head = fit(pool, first, c)
    top = -np.sort(-of_head(head, pool.features[others]), axis=1)
    chosen = suggest.choose(1 - (top[:, 0] - top[:, 1]), pool.features[others], max(ADDED))
    drawn = rng.permutation(len(others))[: max(ADDED)]
    result: dict[str, Any] = {"seed": seed, "first": accuracy(head, scored)}
    for number in ADDED:
        for name, order in (("suggested", chosen), ("random", drawn)):
            labeled = np.concatenate([first, others[order[:number]]])
            result[f"{name} {number}"] = accuracy(fit(pool, labeled, c), scored)
    print(result, flush=True)
    return result


def fit(pool: Task, labeled: np.ndarray, c: float) -> LinearHead:
    images = LabeledFeatures([pool.features[labeled]], pool.labels[labeled])
    return fit_linear_head(LinearProbe(c_values=(c,)), images, None, classes=len(pool.dataset.class_names))


def accuracy(head: LinearHead, scored: Task) -> float:
    return float((of_head(head, scored.features).argmax(axis=1) == scored.labels).mean())


def summary(trials: list[dict[str, Any]], number: int) -> dict[str, float]:
    """Return mean accuracies, and the mean of the paired difference with its standard error."""
    suggested, drawn = (np.array([each[f"{name} {number}"] for each in trials]) for name in ("suggested", "random"))
    difference = suggested - drawn
    return {
        "first": float(np.mean([each["first"] for each in trials])),
        "suggested": float(suggested.mean()),
        "random": float(drawn.mean()),
        "difference": float(difference.mean()),
        "standard_error": float(difference.std(ddof=1) / np.sqrt(len(trials))),
    }


if __name__ == "__main__":
    main()
