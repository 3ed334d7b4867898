"""Fine-tuning beside what people use instead: the same weights, the same images, each in the way that it wants.

For each seed the images are cut once: the task's own test images (or a fifth), and 15 % of the rest for validation. All
contenders read that folder, start from the same weights, choose everything on the validation images, and score the
test images once. A run is a process of its own, from the command to its end, with its seconds and its peak of memory;
``others`` is the share of all processors that other processes used meanwhile.

- ``ours``: ``resnet50 train FOLDER`` with the numbers of the task's recipe, which decides by validation which phases it
  trains; for SIGNS that recipe, which begins with random weights, at 64 pixels.
- ``folder``: for SIGNS, ``resnet50 train FOLDER`` from the weights, as with images of your own.
- ``thorough``: the run from the weights with ``--thorough``, where that is another one: where a phase was left out.
- ``classic``: the setting of the task's public project (``--variant classic``), with these weights.
- ``probe``: features of the frozen network and scikit-learn's logistic regression, in PyTorch.
- ``fastai``: ``vision_learner`` and ``fine_tune``.
- ``timm``: the parts of its ``train.py``.

Run: ``python benchmarks/fine_tuning.py rocks --data DIR --weights FILE --peers PYTHON``, where PYTHON has torch,
torchvision, timm, fastai and scikit-learn; adds the missing runs to ``benchmarks/results/fine-tuning-rocks.json``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resnet50 import DatasetSplits, Recipe, train
from resnet50._io.files import write_text
from resnet50._io.processor import processor
from resnet50.datasets.source import DataSource
from resnet50.recipes import find_task, folder

RESULTS = Path(__file__).parent / "results"
VALIDATION = 0.15
IMAGE_SIZE = 224
OURS, PEERS = ("ours", "folder", "thorough", "classic"), ("probe", "fastai", "timm")

PACKAGES = ("torch", "torchvision", "timm", "fastai", "scikit-learn")

NATIVE = {"signs": 64, "cifar10": 32}
"""Height and width in pixels of tasks whose images are not in files of their own."""

EPOCHS = {
    "fastai": {"rocks": 20, "cifar10": 3},
    "timm": {"rocks": 30, "caltech101": 12, "signs": 12, "cifar10": 4},
}
"""Epochs of the others by task; `USUAL_EPOCHS` for the rest."""

USUAL_EPOCHS = {"fastai": 5, "timm": 20, "probe": 0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=["signs", "leukemia", "rocks", "cats-dogs", "cifar10", "caltech101"])
    parser.add_argument("--data", required=True, help="folder of the dataset")
    parser.add_argument("--weights", required=True, help="file in torchvision's layout, safetensors")
    parser.add_argument("--peers", help="Python with the packages of the others; without it they are left out")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--contenders", nargs="+", choices=[*OURS, *PEERS], default=[*OURS, *PEERS])
    options = parser.parse_args()
    path = RESULTS / f"fine-tuning-{options.task}.json"
    results = json.loads(path.read_text()) if path.exists() else describe(options)
    for seed in options.seeds:
        wanted = [name for name in options.contenders if name in OURS or options.peers]
        done = {run["contender"] for run in results["runs"] if run["seed"] == seed}
        missing = [name for name in wanted if name not in done]
        if not missing:
            continue
        with tempfile.TemporaryDirectory() as temporary:
            images = Path(temporary, "images")
            write_images(cut(options, seed), images)
            for name in missing:
                if name == "folder" and is_fine_tuned(options.task):
                    continue  # that is ours
                if name == "thorough" and trained_all(options.task, results["runs"], seed):
                    continue
                results["runs"].append(run(name, options, seed, images, Path(temporary, name)))
                print(results["runs"][-1], flush=True)
                write_text(path, json.dumps(results, indent=2))


def describe(options: argparse.Namespace) -> dict[str, Any]:
    from resnet50.training.environment import describe_environment

    versions = {}
    if options.peers:
        code = "import sys; from importlib.metadata import version as v; print(*map(v, sys.argv[1:]))"
        asked = subprocess.run([options.peers, "-c", code, *PACKAGES], capture_output=True, text=True, check=True)
        versions = dict(zip(PACKAGES, asked.stdout.split(), strict=True))
    return {
        "task": options.task,
        "weights": describe_weights(options.weights),
        "image_size": IMAGE_SIZE,
        "validation_split": VALIDATION,
        "peers": versions,
        **describe_environment(),
        "runs": [],
    }


def describe_weights(path: str) -> dict[str, str]:
    """Return which weights a file holds, their source and their license."""
    return {
        "file": Path(path).name,
        "sha256": hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        "about": "Uber's PQF-compressed ResNet-50 (github.com/uber-research/permute-quantize-finetune, commit "
        "53a30bad, Uber Non-Commercial License), 72.2 % top-1",
    }


def trained_all(task: str, runs: list[dict[str, Any]], seed: int) -> bool:
    """Return whether our run of a seed has left no phase out, so that ``--thorough`` changes nothing."""
    phases = len(tuned(task).phases)
    return any(
        run["contender"] in ("ours", "folder") and run["seed"] == seed and len(run["phases"]) == phases for run in runs
    )


def tuned(task: str) -> Recipe:
    """Return the recipe that begins with the weights: the task's or, where it has none, that of your own images."""
    variants = find_task(task).VARIANTS
    return variants.get("fine-tuned", folder.FINE_TUNED.change(augmentation=variants["scratch"].augmentation))


def is_fine_tuned(task: str) -> bool:
    """Return whether the recipe of a task can begin with the weights."""
    return "fine-tuned" in find_task(task).VARIANTS


def cut(options: argparse.Namespace, seed: int) -> DatasetSplits:
    """Cut the images of a seed; groups and near-duplicates stay together."""
    size = NATIVE.get(options.task, IMAGE_SIZE)
    return DataSource(options.task, options.data).load(size).hold_out(VALIDATION, seed=seed)


def write_images(splits: DatasetSplits, folder: Path) -> None:
    """Write a folder with train, validation and test: links to the images' files, or PNG files of their pixels."""
    for split, dataset in splits.by_name.items():
        for k, (source, label) in enumerate(zip(dataset.paths, dataset.labels, strict=True)):
            place = folder / split / dataset.class_names[label]
            place.mkdir(parents=True, exist_ok=True)
            file = (splits.root or Path()) / source
            if file.is_file() and file.suffix.lower() in (".jpg", ".jpeg", ".png"):
                (place / f"{k:05}{file.suffix.lower()}").symlink_to(file.absolute())
            else:
                Image.fromarray(np.asarray(dataset.images[k])).save(place / f"{k:05}.png")


def run(name: str, options: argparse.Namespace, seed: int, images: Path, out: Path) -> dict[str, Any]:
    """Run a contender as a process, and return its scores, seconds and peak of memory."""
    command = ours(name, options, seed, images, out) if name in OURS else peer(name, options, seed, images)
    cache = out.with_name(f"{name}-cache")  # nothing is reused
    busy, began = busy_seconds(), time.perf_counter()
    environment = os.environ | {"RESNET50_CACHE": str(cache)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parent
    ) as process:
        output = process.stdout.read() if process.stdout else ""
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    others = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: expected exit code 0, got {process.returncode}.")
    scores = read_run(out) if name in OURS else json.loads(output.strip().splitlines()[-1])
    shutil.rmtree(cache, ignore_errors=True)
    shutil.rmtree(out, ignore_errors=True)
    return {
        "contender": name,
        "seed": seed,
        **({} if name in OURS else {"epochs": epochs_of(name, options.task)}),
        **scores,
        "seconds": round(seconds, 1),
        "memory_mb": round(usage.ru_maxrss / 1000),
        "others": round(max(others, 0) / seconds / (os.cpu_count() or 1), 3),
        "processor": processor(),
    }


def busy_seconds() -> float:
    """Return the seconds that all processors have worked since the system began, for this and other processes."""
    user, nice, system = map(int, Path("/proc/stat").read_text().split()[1:4])
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def ours(name: str, options: argparse.Namespace, seed: int, images: Path, out: Path) -> list[str]:
    """Return our command: the task's recipe, on the folder of the cut."""
    weights = ["--weights", options.weights]
    if name == "classic" or (name == "ours" and not is_fine_tuned(options.task)):
        words = [options.task, "scratch" if name == "ours" else name, str(images), options.weights, str(seed), str(out)]
        return [sys.executable, "-c", "import sys, fine_tuning; fine_tuning.train_variant(*sys.argv[1:])", *words]
    extra = ["--thorough"] if name == "thorough" else []
    return [
        *(sys.executable, "-m", "resnet50", "train", str(images), *weights, "--seed", str(seed), "--out", str(out)),
        *(*changed_options(tuned(options.task)), *extra),
    ]


def train_variant(task: str, variant: str, images: str, weights: str, seed: str, out: str) -> None:
    """Train by the setting of a task's public project, from these weights, or by its recipe from random ones."""
    recipe = find_task(task).VARIANTS[variant].change(seed=int(seed))
    if variant == "classic":
        recipe = recipe.change(weights=weights, conventions=None, normalization=None)
    train(recipe, DataSource("folder", images).load(recipe.image_size), out=out, progress=False)


def changed_options(recipe: Recipe) -> list[str]:
    """Return the options of the numbers of a recipe that are not those of your own images."""
    is_usual = len(recipe.phases) > 1
    usual, options = (folder.FINE_TUNED, []) if is_usual else (folder.ALL_LAYERS, ["--variant", "all-layers"])
    for own, other in ((recipe.last, usual.last), (recipe, usual), (recipe.augmentation, usual.augmentation)):
        for field in fields(own):
            value, name = getattr(own, field.name), field.name.replace("_", "-")
            if "help" in field.metadata and value != getattr(other, field.name):
                is_flag = isinstance(value, bool)
                options += [f"--{'' if value else 'no-'}{name}"] if is_flag else [f"--{name}", str(value)]
    return options


def epochs_of(name: str, task: str) -> int:
    """Return how many epochs one of the others trains for."""
    return EPOCHS.get(name, {}).get(task, USUAL_EPOCHS[name])


def peer(name: str, options: argparse.Namespace, seed: int, images: Path) -> list[str]:
    script = str(Path(__file__).with_name("fine_tuning_peers.py"))
    words = [options.peers, script, name, str(images), "--weights", options.weights, "--seed", str(seed)]
    return [*words, "--epochs", str(epochs_of(name, options.task))]


def read_run(out: Path) -> dict[str, Any]:
    """Return the scores of one of our runs, of validation that of the best epoch, and the phases that it trained."""
    from resnet50.training.history import read_history

    rows = read_history(out / "history.csv")
    report = json.loads((out / "report.json").read_text())
    return {
        "validation_accuracy": max(row["val_accuracy"] for row in rows),
        "test_accuracy": report["accuracy"],
        "phases": sorted({int(row.get("phase", 1)) for row in rows}),
        "best_phase": int(max(rows, key=lambda row: (row["val_accuracy"], -row["val_loss"])).get("phase", 1)),
    }


if __name__ == "__main__":
    main()
