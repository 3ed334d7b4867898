"""Ten photos per class: a network that was pretrained on rendered signs against one from scratch.

For each seed, draws sixty of the 1080 training photos of SIGNS, trains on them in three ways for the same number of
steps, and scores on the other training photos without the near-duplicates of the sixty. The test photos of SIGNS are
not used. Both datasets have the same six classes, so that the head is transferred too. The learning rates were chosen
on the draw of seed 100.

Run: ``resnet50 train rendered-signs --out runs/drawn``, then
``python benchmarks/transfer.py --data DIR --pretrained runs/drawn/model.keras``; writes
``benchmarks/results/transfer-signs.json`` anew after every seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from resnet50 import Dataset, DatasetSplits, Phase, Recipe, load_signs, train
from resnet50.data.near_duplicates import near_duplicate_groups
from resnet50.recipes import signs
from resnet50.training.environment import describe_environment

PER_CLASS = 10
EPOCHS = 60
"""Each has four steps of 15 photos."""

SCRATCH = signs.RECIPE.change(
    name="from scratch",
    batch_size=15,
    epochs=EPOCHS,
    learning_rate=3e-3,
    warmup_epochs=6,
    checkpoint_epochs=EPOCHS,
)


def recipes(pretrained: str) -> list[Recipe]:
    """Return the three ways to train, each for `EPOCHS` epochs."""
    tuned = SCRATCH.change(weights=pretrained, learning_rate=1e-3)
    head = Phase(epochs=10, learning_rate=1e-3, trainable="head")
    every_layer = replace(tuned.last, epochs=EPOCHS - 10, freeze_batch_norm=True)
    return [
        SCRATCH,
        tuned.change(name="all layers at once"),
        tuned.change(name="head, then all, batch norm frozen", phases=(head, every_layer)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with train_signs.h5 and test_signs.h5")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--pretrained", required=True, help="model of a run on rendered signs")
    options = parser.parse_args()
    photos, _ = load_signs(options.data)
    ways = recipes(options.pretrained)
    accuracies: dict[str, list[float]] = {way.name: [] for way in ways}
    for seed in options.seeds:
        few, others = draw(photos, seed)
        for way in ways:
            with tempfile.TemporaryDirectory() as folder:
                splits = DatasetSplits(train=few, test=others)
                run = train(way.change(seed=seed), splits, out=Path(folder, "run"), progress=False)
            accuracies[way.name].append(run.report.accuracy)
            print(f"seed {seed}, {way.name}: {run.report.accuracy:.1%} of {len(others)}", flush=True)
        write(options, ways, accuracies)


def draw(photos: Dataset, seed: int) -> tuple[Dataset, Dataset]:
    """Return `PER_CLASS` photos of each class, and all others that have no near-duplicate among them."""
    rng = np.random.default_rng(seed)
    of_class = [np.flatnonzero(photos.labels == label) for label in range(len(photos.class_names))]
    few = np.concatenate([rng.choice(indices, PER_CLASS, replace=False) for indices in of_class])
    groups = near_duplicate_groups(photos.images)
    return photos.select(few), photos.select(np.flatnonzero(~np.isin(groups, groups[few])))


def write(options: argparse.Namespace, ways: list[Recipe], accuracies: dict[str, list[float]]) -> None:
    result = {
        "what": f"accuracy on the other training photos of SIGNS, trained on {PER_CLASS} per class; no test photos",
        "command": "python benchmarks/transfer.py --data DIR --pretrained runs/drawn/model.keras"
        + ("" if options.seeds == [0, 1, 2, 3, 4] else f" --seeds {' '.join(map(str, options.seeds))}"),
        "seeds": options.seeds[: len(next(iter(accuracies.values())))],
        "ways": {
            way.name: {
                "mean": statistics.mean(accuracies[way.name]),
                "sd": statistics.stdev(accuracies[way.name]) if len(accuracies[way.name]) > 1 else None,
                "worst": min(accuracies[way.name]),
                "accuracies": accuracies[way.name],
                "recipe": {**asdict(way), "weights": way.weights and "a run of rendered-signs"},
            }
            for way in ways
        },
        **describe_environment(),
    }
    path = Path(__file__).parent / "results" / "transfer-signs.json"
    path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
