"""Why the recipe ``signs`` is what it is: one change at a time, scored on pictures held out of the training photos.

Near-duplicates of a held-out photo are held out with it; the test photos play no part. Run:
``python benchmarks/choose_signs.py --data DIR``; writes ``benchmarks/results/choose-signs.json`` anew after every run.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from resnet50 import train, train_validation_split
from resnet50.recipes import signs

AUGMENTATION = signs.RECIPE.augmentation
ROWS = {
    "the recipe": {},
    "a third of the learning rate": {"learning_rate": signs.RECIPE.learning_rate / 3},
    "also mirrored": {"augmentation": replace(AUGMENTATION, flip=True)},
    "no augmentation": {"augmentation": type(AUGMENTATION)()},
    "the last epoch's weights, not averaged": {"average_epochs": 1},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with train_signs.h5 and test_signs.h5")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    training, _ = signs.load(options.data)
    rows: list[dict] = []
    for seed in options.seeds:
        learning, held_out = train_validation_split(training, 0.2, seed=seed)
        for name, change in ROWS.items():
            recipe = replace(signs.RECIPE, seed=seed, checkpoint_epochs=signs.RECIPE.epochs, **change)
            began = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                run = train(recipe, learning, held_out, out=Path(folder, "run"))
            scores = {"accuracy": run.report.accuracy, "loss": run.report.loss}
            rows.append({"change": name, "seed": seed, **scores, "seconds": round(time.perf_counter() - began, 1)})
            print(rows[-1], flush=True)
            result = {
                "what": f"accuracy on {len(held_out)} photos held out of the {len(training)} training photos of SIGNS",
                "command": "python benchmarks/choose_signs.py --data DIR",
                "rows": rows,
                "recipe": json.loads(signs.RECIPE.to_json()),
            }
            path = Path(__file__).parent / "results" / "choose-signs.json"
            path.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
