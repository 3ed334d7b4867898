"""The published recipes from end to end: packed records, two processes on JAX, both killed, resumed and exported.

For each of ``imagenet-90`` and ``imagenet`` (procedure A3), with drawn JPEG files of a hundred classes:

1. ``resnet50 pack FOLDER RECORDS --records`` writes shards.
2. Two processes train by ``resnet50 train RECIPE --data RECORDS --hosts ...``, undisturbed.
3. Two others train the same, and are both killed with SIGKILL once the first epoch is stored, in the midst of the
   second. ``resnet50 train --resume`` in two new processes ends the run.
4. History and weights of both runs must be equal bit by bit.
5. ``resnet50 export --format onnx`` must answer like the trained model.

Only size, number of epochs, batch and network differ from the recipe, so that processors can do it; the options below
set them. Accuracy means nothing here. Run: ``python benchmarks/published_on_shards.py``; adds a session to
``benchmarks/results/published-on-shards.json``, and exits with 1 where something is not as it must be.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from sessions import Session

RESULTS = Path(__file__).parent / "results" / "published-on-shards.json"
RECIPES = {"imagenet-90": 64, "imagenet": 48}  # and the size that is trained at; tests are at 64
SIZE, SHARDS, CLASSES = 64, 8, 100


def draw(folder: Path, train: int, val: int) -> None:
    """Draw JPEG files: stripes, whose direction and color are their class, in images of many shapes."""
    generator = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for index in range(count):
            label = index % CLASSES
            height, width = generator.integers(64, 160, 2)
            y, x = np.mgrid[:height, :width] / 12
            angle, color = label // 10 * np.pi / 10, label % 10 * 2 * np.pi / 10
            wave = np.sin(x * np.cos(angle) + y * np.sin(angle) + generator.uniform(0, 2 * np.pi))
            hue = np.cos(color - np.arange(3) * 2 * np.pi / 3)
            pixels = 128 + 60 * wave[..., None] + 50 * hue + generator.normal(0, 12, (height, width, 3))
            path = folder / split / f"{label:03}" / f"{index:05}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path, quality=90)


class Ranks:
    """Two processes that run one command together; those that still run at the end of a ``with`` block are killed."""

    def __init__(self, folder: Path, *words: str) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self._logs = [folder / f"rank{rank}.log" for rank in range(2)]
        environment = {
            **os.environ,
            "KERAS_BACKEND": "jax",
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": str(folder / "jax"),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "RESNET50_CACHE": str(folder / "cache"),
        }
        self._processes = []
        for rank, log in enumerate(self._logs):
            command = [sys.executable, "-m", "resnet50", *words, "--hosts", f"localhost:{port},2,{rank}"]
            with log.open("w") as out:
                self._processes.append(subprocess.Popen(command, env=environment, stdout=out, stderr=out))

    def __enter__(self) -> Ranks:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def wait(self) -> None:
        """Wait for both, and raise an error with the end of their output if one fails."""
        while None in (codes := [process.poll() for process in self._processes]):
            if any(codes):
                break
            time.sleep(0.5)
        if any(codes):
            raise RuntimeError(f"exits with {codes}:\n" + "\n".join(log.read_text()[-2000:] for log in self._logs))

    def kill(self) -> None:
        """Kill both with SIGKILL."""
        for process in self._processes:
            process.send_signal(signal.SIGKILL)
        for process in self._processes:
            process.wait()

    @property
    def run(self) -> bool:
        """Whether both still run."""
        return all(process.poll() is None for process in self._processes)


def history(run: Path) -> list[dict[str, str]]:
    """Return the rows of a run's history, without the seconds."""
    path = run / "history.csv"
    if not path.exists():
        return []
    with path.open() as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def train_killed(folder: Path, run: Path, words: list[str], seconds: float) -> int:
    """Train, kill both ranks in the midst of the second epoch and resume; return how many epochs were stored then."""
    with Ranks(folder, *words, "--out", str(run)) as ranks:
        while ranks.run and len(history(run)) < 1:
            time.sleep(0.1)
        time.sleep(0.4 * seconds)
        if not ranks.run:
            ranks.wait()
            raise RuntimeError("the training had ended before it could be killed")
        ranks.kill()
    stored = len(history(run))
    with Ranks(folder, "train", "--resume", str(run)) as ranks:
        ranks.wait()
    return stored


def compare(one: Path, other: Path) -> dict[str, Any]:
    """Compare the histories and weights of two runs."""
    from resnet50 import Classifier

    weights = [Classifier.load(run, runtime="keras").model.get_weights() for run in (one, other)]
    return {
        "epochs": len(history(one)),
        "same_history": history(one) == history(other),
        "same_weights": all(np.array_equal(*pair) for pair in zip(*weights, strict=True)),
        "arrays": len(weights[0]),
        "last": history(one)[-1],
    }


def export(folder: Path, run: Path, records: Path) -> float:
    """Export a run and return the largest difference of its probabilities from those of the run."""
    from resnet50 import Classifier, DataSource

    out = folder / f"onnx-{run.name}"
    command = [sys.executable, "-m", "resnet50", "export", str(run), str(out), "--format", "onnx"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    trained, exported = Classifier.load(run, runtime="keras"), Classifier.load(out)
    images = DataSource("imagenet", str(records)).load(SIZE, fit=trained.fit)["test"].images[:]
    return float(np.abs(trained.probabilities(images) - exported.probabilities(images)).max())


def go_through(name: str, folder: Path, records: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Train, kill, resume and export by one recipe."""
    words = ["train", name, "--data", str(records), "--image-size", str(SIZE), "--depth", str(options.depth)]
    words += ["--epochs", "3", "--warmup-epochs", "1", "--batch-size", str(options.batch_size)]
    words += ["--gradient-accumulation-steps", "2", "--precision", "float32"]
    if RECIPES[name] != SIZE:
        words += ["--train-image-size", str(RECIPES[name])]
    whole, killed = folder / f"{name}-whole", folder / f"{name}-killed"
    began = time.perf_counter()
    with Ranks(folder, *words, "--out", str(whole)) as ranks:
        ranks.wait()
    seconds = time.perf_counter() - began
    with (whole / "history.csv").open() as file:
        epoch = float(list(csv.DictReader(file))[1]["seconds"])
    stored = train_killed(folder, killed, words, epoch)
    result = {"seconds": seconds, "epochs_before_the_kill": stored, **compare(whole, killed)}
    return {**result, "export_differs_by": export(folder, killed, records)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--images", type=int, default=2_000, help="training images")
    parser.add_argument("--depth", type=int, default=50, help="layers of the network; fewer are faster")
    parser.add_argument("--batch-size", type=int, default=64, help="images in a batch; a step has two")
    options = parser.parse_args()
    session = Session(
        RESULTS,
        what="published recipes on records, two processes on JAX, killed in epoch 2 and resumed",
        command=" ".join(["python", "benchmarks/published_on_shards.py", *sys.argv[1:]]),
    )
    results: dict[str, Any] = {"images": options.images, "classes": CLASSES, "image_size": SIZE, "depth": options.depth}
    good = True
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw(folder / "images", options.images, CLASSES)
        records = folder / "records"
        command = [sys.executable, "-m", "resnet50", "pack", str(folder / "images"), str(records), "--records"]
        subprocess.run([*command, "--shards", str(SHARDS)], check=True, stdout=subprocess.DEVNULL)
        for name in options.recipes:
            results[name] = go_through(name, folder, records, options)
            print(name, json.dumps(results[name]), flush=True)
            same = results[name]["same_history"] and results[name]["same_weights"]
            good &= same and results[name]["epochs_before_the_kill"] == 1 and results[name]["export_differs_by"] < 1e-4
    session.write(results)
    sys.exit(not good)


if __name__ == "__main__":
    main()
