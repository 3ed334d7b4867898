"""Accuracy and time of the recipe ``signs`` over seeds, each run by the command that a user types.

Run: ``python benchmarks/signs.py --data DIR`` (five runs); writes ``benchmarks/results/signs.json`` as runs finish.
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

RESULT = Path(__file__).parent / "results" / "signs.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="folder with train_signs.h5 and test_signs.h5")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    runs = []
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as folder:
            words = ["train", "signs", "--data", options.data, "--seed", str(seed), "--out", f"{folder}/run"]
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "resnet50", *words], check=True, stdout=subprocess.DEVNULL)
            seconds = time.perf_counter() - began
            report = json.loads(Path(folder, "run", "report.json").read_text())
            environment = json.loads(Path(folder, "run", "environment.json").read_text())
            recipe = json.loads(Path(folder, "run", "recipe.json").read_text())
        scores = {name: report[name] for name in ("accuracy", "loss")}
        runs.append({"seed": seed, **scores, "seconds": round(seconds, 1)})
        print(runs[-1], flush=True)
        write(runs, environment, recipe)


def write(runs: list[dict], environment: dict, recipe: dict) -> None:
    accuracies = [run["accuracy"] for run in runs]
    result = {
        "what": "test accuracy of the recipe signs on the 120 test photos of SIGNS, trained on all 1080",
        "command": "python benchmarks/signs.py --data DIR",
        "n": len(runs),
        "mean": statistics.mean(accuracies),
        "sd": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "worst": min(accuracies),
        "slowest_seconds": max(run["seconds"] for run in runs),
        "runs": runs,
        "recipe": recipe,
        **{name: environment[name] for name in ("backend", "versions", "machine", "commit", "precision")},
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
