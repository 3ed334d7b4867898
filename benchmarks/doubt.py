"""Whether prediction sets hold what they promise, and whether strangers and near misses are refused.

The network is frozen, and its features are computed once (they are in the cache, outside of the repository); linear
heads on them are fitted as ``resnet50 train`` fits them. For each of a hundred seeds, 30 % of a task's images are cut
off to score, 15 % of the rest are held out, and the head is fitted to the others; near-duplicates stay together. ``C``
is chosen by the images that the first cut holds out. The thresholds are fitted in both ways that the package has: on
the images that the head was fitted to, out of fold; and on those that are held out.

- *Coverage*: the share of the scored images whose class is in their set, its mean and its spread over the cuts, beside
  the beta-binomial's, for the scores ``lac`` and ``aps``.
- *Strangers*: images of other tasks, noise, and images of one color. The share that is refused where 5 % of one's own
  are, and the AUROC, for distances to 1, 5 and 10 neighbors and for the largest probability of the softmax.
- *Near misses*: classes that are left out of the training. The same figures, over draws of the classes.

Run: ``python benchmarks/doubt.py cats-dogs --data DIR --weights FILE``, where DIR has a folder for each task; writes
``benchmarks/results/doubt-cats-dogs.json``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from fine_tuning import describe_weights
from scipy.special import softmax
from scipy.stats import betabinom
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits

from resnet50 import Dataset, LinearProbe
from resnet50._io.files import write_text
from resnet50.data.batches import Batches
from resnet50.data.splitting import assign_folds, cut_indices
from resnet50.datasets.source import DataSource
from resnet50.metrics.thresholds import OwnImages, fit_thresholds
from resnet50.recipes import folder
from resnet50.training.environment import describe_environment
from resnet50.training.fast_cpu.precision import resolve_precision
from resnet50.training.features import FrozenPart
from resnet50.training.linear_probe import LabeledFeatures, LinearHead, fit_linear_head
from resnet50.training.network import build_network
from resnet50.training.thresholds import FOLDS
from resnet50.uncertainty.conformal import METHODS, conformal_quantile
from resnet50.uncertainty.distance import unit

RESULTS = Path(__file__).parent / "results"
SCORED, VALIDATION = 0.3, 0.15
COVERAGES = (0.9, 0.95)
REFUSED = 0.05
NEIGHBORS = (1, 5, 10)
PLACES = {name: name.replace("-", "_") for name in ("cats-dogs", "signs", "leukemia", "caltech101", "rocks")}
LEFT_OUT = {"signs": 1, "leukemia": 1, "caltech101": 5, "rocks": 6}
"""Classes that are left out in a draw for near misses."""

STRANGERS = {
    "cats-dogs": ("rocks", "signs", "noise", "one color"),
    "signs": ("cats-dogs", "rocks", "noise", "one color"),
    "caltech101": ("rocks", "signs", "noise", "one color"),
    "leukemia": ("rocks", "signs", "noise", "one color"),
    "rocks": ("cats-dogs", "signs", "noise", "one color"),
}
SIZE = 224


@dataclass(frozen=True, eq=False)
class Task:
    """Features of all images of a task, with their labels and the groups of near-duplicates."""

    features: np.ndarray
    dataset: Dataset
    near_duplicates: np.ndarray

    def select(self, indices: np.ndarray) -> Task:
        """Return some of the images."""
        chosen = self.near_duplicates[indices]
        _, first, numbers = np.unique(chosen, return_index=True, return_inverse=True)
        in_order = np.argsort(np.argsort(first))  # counted from 0 in order of first appearance
        return Task(self.features[indices], self.dataset.select(indices), in_order[numbers])

    @property
    def labels(self) -> np.ndarray:
        """The class of each image."""
        return self.dataset.labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(PLACES))
    parser.add_argument("--data", required=True, help="folder with a folder for each task")
    parser.add_argument("--weights", required=True, help="file in torchvision's layout, safetensors")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--draws", type=int, default=10, help="draws of left out classes, at most")
    options = parser.parse_args()
    recipe = folder.FINE_TUNED.change(image_size=SIZE)
    network = build_network(recipe, 2, weights=options.weights)
    part = FrozenPart(
        network, "avg_pool", environment=describe_environment(), precision=resolve_precision(recipe.precision)
    )
    task = read(part, options.task, options.data)
    strangers = {name: others(part, name, options.data) for name in STRANGERS[options.task]}
    print("features are there", flush=True)
    with threadpool_limits(1):
        c = choose(task)
        cuts = [one_cut(task, strangers, c, seed) for seed in range(options.seeds)]
        misses = near_misses(task, c, options)
    results = {
        "task": options.task,
        "command": f"python benchmarks/doubt.py {options.task} --data DIR --weights FILE"
        + ("" if options.seeds == 100 else f" --seeds {options.seeds}")
        + ("" if options.draws == 10 else f" --draws {options.draws}"),
        "weights": describe_weights(options.weights),
        "images": len(task.labels),
        "classes": len(task.dataset.class_names),
        "seeds": options.seeds,
        "c": c,
        **describe_environment(),
        **summary(cuts),
        "near_misses": misses,
    }
    write_text(RESULTS / f"doubt-{options.task}.json", json.dumps(results, indent=2) + "\n")


def read(part: FrozenPart, name: str, place: str) -> Task:
    splits = DataSource(name, str(Path(place, PLACES[name]))).load(SIZE)
    features = [np.asarray(part.features(Batches(each, 32))) for each in splits.by_name.values()]
    parts = list(splits.by_name.values())
    whole = Dataset(
        images=np.zeros((sum(map(len, parts)), 1, 1, 3), np.uint8),  # the features stand for them
        labels=np.concatenate([each.labels for each in parts]),
        class_names=parts[0].class_names,
        paths=tuple(path for each in parts for path in each.paths),
        name=name,
        groups=tuple(group for each in parts for group in each.groups),
    )
    return Task(np.concatenate(features), whole, splits.near_duplicates.groups)


def others(part: FrozenPart, name: str, place: str) -> np.ndarray:
    """Return features of images that are none of a task's: at most 200."""
    rng = np.random.default_rng(0)
    if name == "noise":
        images = rng.integers(0, 256, (60, SIZE, SIZE, 3), dtype=np.uint8)
    elif name == "one color":
        images = np.broadcast_to(rng.integers(0, 256, (60, 1, 1, 3), dtype=np.uint8), (60, SIZE, SIZE, 3))
    else:
        found = DataSource(name, str(Path(place, PLACES.get(name, name)))).load(SIZE)["test"]
        return np.asarray(part.features(Batches(found, 32)))
    made = Dataset(np.ascontiguousarray(images), np.zeros(60, np.int64), (name,), tuple(map(str, range(60))), name)
    return np.asarray(part.features(Batches(made, 32)))


@dataclass(frozen=True, eq=False)
class Fit:
    """A head, and its probabilities for the images that it was fitted to, out of fold."""

    head: LinearHead
    train: Task
    out_of_fold: np.ndarray

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """Return those of the head."""
        return of_head(self.head, features)


def of_head(head: LinearHead, features: np.ndarray) -> np.ndarray:
    return np.asarray(softmax(features @ head.kernel + head.bias, axis=1), np.float32)


def choose(task: Task) -> float:
    """Return the ``C`` that validates best where the first cut is made."""
    train, held_out, _ = divide(task, 0)
    train_features = LabeledFeatures([train.features], train.labels)
    validation = LabeledFeatures([held_out.features], held_out.labels)
    return fit_linear_head(LinearProbe(), train_features, validation, classes=len(task.dataset.class_names)).c


def divide(task: Task, seed: int) -> tuple[Task, Task, Task]:
    """Return images to train on, to hold out, and to score."""
    rest, scored = (task.select(each) for each in cut_indices(task.dataset, task.near_duplicates, SCORED, seed=seed))
    train, held_out = (
        rest.select(each) for each in cut_indices(rest.dataset, rest.near_duplicates, VALIDATION, seed=seed)
    )
    return train, held_out, scored


def fit(train: Task, c: float, seed: int) -> Fit:
    classes, probe = len(train.dataset.class_names), LinearProbe(c_values=(c,))
    head = fit_linear_head(probe, LabeledFeatures([train.features], train.labels), None, classes=classes)
    folds = assign_folds(train.dataset, train.near_duplicates, FOLDS, seed=seed)
    found = np.empty((len(folds), classes), np.float32)
    for fold in range(FOLDS):
        rest = folds != fold
        known = LabeledFeatures([train.features[rest]], train.labels[rest])
        without = fit_linear_head(probe, known, None, classes=classes)
        found[~rest] = of_head(without, train.features[~rest])
    return Fit(head, train, found)


def one_cut(task: Task, strangers: Mapping[str, np.ndarray], c: float, seed: int) -> dict[str, Any]:
    """Return the figures of a cut."""
    train, held_out, scored = divide(task, seed)
    whole = fit(train, c, seed)
    sets = {}
    for method in METHODS:
        for fitted_on, own in (
            ("out-of-fold", OwnImages(whole.out_of_fold, train.labels)),
            ("held-out", OwnImages(whole.probabilities(held_out.features), held_out.labels)),
        ):
            sets[f"{method}, {fitted_on}"] = coverage(own, whole.head, scored, method, fitted_on)
    temperature = fit_thresholds(OwnImages(whole.out_of_fold, train.labels), fitted_on="out-of-fold").temperature
    probabilities = whole.probabilities(scored.features)
    right = probabilities.argmax(axis=1) == scored.labels
    losses = [loss(probabilities, scored.labels), loss(scaled(probabilities, temperature.value), scored.labels)]
    result = {
        "accuracy": float(right.mean()),
        "sets": sets,
        "temperature": temperature.value,
        "offered": not temperature.reason,
        "losses": losses,
        "strangers": refusal(whole, scored, strangers),
    }
    print(seed, result["accuracy"], {name: each["0.95"]["covered"] for name, each in sets.items()}, flush=True)
    return result


def coverage(own: OwnImages, head: LinearHead, scored: Task, method: str, fitted_on: str) -> dict[str, Any]:
    """Return coverage and size of the sets of the scored images, at each coverage."""
    thresholds = fit_thresholds(own, fitted_on=fitted_on, method=method)
    found = {}
    probabilities = of_head(head, scored.features)
    for level in COVERAGES:
        sets = thresholds.judge(probabilities, coverage=level).sets
        if sets is None:
            found[f"{level:g}"] = {"covered": None, "size": None, "classes": None}
            continue
        inside = sets[np.arange(len(scored.labels)), scored.labels]
        of_class = [float(inside[scored.labels == label].mean()) for label in np.unique(scored.labels)]
        found[f"{level:g}"] = {
            "covered": float(inside.mean()),
            "size": float(sets.sum(axis=1).mean()),
            "lowest_class": min(of_class),
            "calibration": len(own.labels),
            "scored": len(scored.labels),
            "by_class": thresholds.by_class(level, probabilities.shape[1]),
        }
    return found


def refusal(whole: Fit, own: Task, others: Mapping[str, np.ndarray]) -> dict[str, dict[str, Any]]:
    """Return AUROC, and shares refused where `REFUSED` of one's own are: by distances, and by the softmax."""
    reference = unit(whole.train.features)
    groups = whole.train.near_duplicates
    left_out = nearest(reference, reference, groups[:, None] == groups)
    near = nearest(own.features, reference)
    doubt = 1 - whole.out_of_fold.max(axis=1)
    own_doubt = 1 - whole.probabilities(own.features).max(axis=1)
    found: dict[str, dict[str, Any]] = {}
    for name, features in others.items():
        far = nearest(features, reference)
        found[name] = {
            f"neighbors {count}": detection(left_out[count], near[count], far[count]) for count in NEIGHBORS
        } | {"softmax": detection(doubt, own_doubt, 1 - whole.probabilities(features).max(axis=1))}
    return found


def nearest(features: np.ndarray, reference: np.ndarray, left_out: np.ndarray | None = None) -> dict[int, np.ndarray]:
    """Return the mean cosine distance to the nearest reference images, for each number of neighbors."""
    table = 1 - unit(features) @ reference.T
    if left_out is not None:
        table[left_out] = np.inf
    table = np.sort(np.partition(table, max(NEIGHBORS), axis=1)[:, : max(NEIGHBORS)], axis=1)
    return {count: table[:, :count].mean(axis=1) for count in NEIGHBORS}


def detection(calibration: np.ndarray, own: np.ndarray, others: np.ndarray) -> dict[str, float]:
    limit = conformal_quantile(calibration[np.isfinite(calibration)], 1 - REFUSED)
    truth = np.repeat([0, 1], [len(own), len(others)])
    return {
        "auroc": float(roc_auc_score(truth, np.concatenate([own, others]))),
        "refused": float((others > limit).mean()),
        "own_refused": float((own > limit).mean()),
    }


def near_misses(task: Task, c: float, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the figures for classes that were left out of the training, a row for each draw of them."""
    rows: list[dict[str, Any]] = []
    names, count = task.dataset.class_names, LEFT_OUT.get(options.task)
    if count is None:
        return rows  # of two classes none can be left out
    for draw in range(len(names) if count == 1 else options.draws):
        rng = np.random.default_rng(draw)
        out = np.array([draw]) if count == 1 else rng.choice(len(names), count, replace=False)
        is_out = np.isin(task.labels, out)
        known, others = task.select(np.flatnonzero(~is_out)), task.features[is_out]
        train, _, scored = divide(known, draw)
        found = refusal(fit(train, c, draw), scored, {"left out": others})["left out"]
        rows.append({"left_out": [names[label] for label in sorted(out)], "images": len(others), **found})
        print(rows[-1], flush=True)
    return rows


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    return np.asarray(softmax(np.log(np.maximum(probabilities, 1e-38)) / temperature, axis=1))


def loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())


def summary(cuts: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means over the cuts, and the spread of the coverage beside the beta-binomial's."""
    sets: dict[str, dict[str, Any]] = {}
    for name in cuts[0]["sets"]:
        for level in map("{:g}".format, COVERAGES):
            rows = [cut["sets"][name][level] for cut in cuts]
            rows = [row for row in rows if row["covered"] is not None]
            if not rows:
                continue
            covered = np.array([row["covered"] for row in rows])
            n, m = round(np.mean([row["calibration"] for row in rows])), round(np.mean([row["scored"] for row in rows]))
            rank = int(np.ceil(round((n + 1) * float(level), 6)))
            sets.setdefault(name, {})[level] = {
                "covered": float(covered.mean()),
                "standard_error": float(covered.std(ddof=1) / np.sqrt(len(covered))),
                "sd": float(covered.std(ddof=1)),
                "expected_sd": float(betabinom(m, rank, n + 1 - rank).std() / m),
                "size": float(np.mean([row["size"] for row in rows])),
                "lowest_class": float(np.mean([row["lowest_class"] for row in rows])),
                "calibration_images": n,
                "by_class": float(np.mean([row["by_class"] for row in rows])),
                "cuts": len(rows),
            }
    names = cuts[0]["strangers"]
    strangers = {
        name: {
            way: {
                key: float(np.mean([cut["strangers"][name][way][key] for cut in cuts])) for key in ("auroc", "refused")
            }
            for way in names[name]
        }
        for name in names
    }
    own = {
        way: float(np.mean([cut["strangers"][next(iter(names))][way]["own_refused"] for cut in cuts]))
        for way in next(iter(names.values()))
    }
    before, after = np.array([cut["losses"] for cut in cuts]).T
    offered = np.array([cut["offered"] for cut in cuts])
    return {
        "accuracy": float(np.mean([cut["accuracy"] for cut in cuts])),
        "sets": sets,
        "own_refused": own,
        "strangers": strangers,
        "temperature": {
            "offered": float(offered.mean()),
            "lowers_loss": float((after < before)[offered].mean()) if offered.any() else None,
            "loss_before": float(before[offered].mean()) if offered.any() else None,
            "loss_after": float(after[offered].mean()) if offered.any() else None,
        },
    }


if __name__ == "__main__":
    main()
