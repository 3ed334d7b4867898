"""How fast threads make batches of packed records, and whether Python's interpreter lock limits how many can.

Drawn JPEG files of 500 x 375 pixels are packed. Batches of 64 are made of them as the recipes ``imagenet-90`` and
``imagenet`` make theirs: decoded, cropped, mirrored, changed by RandAugment and mixed. A process with one thread and
one with a thread for each core take turns. In the first, a second thread asks for the lock every two milliseconds, and
the lock is never taken from a thread that has it: so the share of its requests that wait for more than 0.15 ms is about
the share of the time in which Python itself works. Of threads that each hold the lock for a share ``s`` of their time,
about ``1 / s`` can work at once.

Run: ``python benchmarks/feeding.py``; two minutes. Adds a session to ``benchmarks/results/feeding.json``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sessions import Session

RESULTS = Path(__file__).parent / "results" / "feeding.json"
NAMES = ("imagenet-90", "imagenet")
IMAGES, BATCH, CLASSES = 128, 64, 10
TURNS, SECONDS, MIXED = 3, 6.0, 50
WAKES, WAITED = 0.002, 0.00015  # seconds between two requests for the lock, and from which on one has waited


def write_files(folder: Path) -> None:
    """Write drawn JPEG files of about 65 KB, in a folder for each class."""
    rng = np.random.default_rng(0)
    for index in range(IMAGES):
        pixels = rng.integers(0, 256, (47, 63, 3), np.uint8)
        image = Image.fromarray(pixels).resize((500, 375), Image.Resampling.BICUBIC)
        path = folder / "train" / f"{index % CLASSES}" / f"{index}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = io.BytesIO()
        image.save(content, "JPEG", quality=92)
        path.write_bytes(content.getvalue())


def feed(folder: Path, name: str, *, watched: bool) -> dict[str, float]:
    """Make batches of a recipe for some seconds; return images per second and, if watched, the share of the lock."""
    from resnet50.data.records import read_records
    from resnet50.recipes import RECIPES
    from resnet50.training.fitting import training_batches

    recipe = RECIPES[name].RECIPE.change(batch_size=BATCH)
    splits = read_records(folder, image_size=recipe.image_size, fit=recipe.fit)
    batches = training_batches(recipe, splits["train"])
    batches[0]
    if watched:
        sys.setswitchinterval(SECONDS)
    over, waits = threading.Event(), list[float]()

    def watch() -> None:
        while not over.is_set():
            began = time.perf_counter()
            time.sleep(WAKES)
            waits.append(time.perf_counter() - began - WAKES)

    watcher = threading.Thread(target=watch)
    if watched:
        watcher.start()
    images, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        for index in range(len(batches)):
            images += len(batches[index][0])
        batches.epoch += 1
    seconds = time.perf_counter() - began
    over.set()
    if not watched:
        return {"images_per_second": images / seconds}
    watcher.join()
    usual = np.percentile(waits, 5)  # of the system's clock
    return {"images_per_second": images / seconds, "lock_share": float(np.mean(np.array(waits) > usual + WAITED))}


def mix(name: str) -> float:
    """Return the milliseconds that a recipe's mixup and cutmix take for each image; 0 where it has none."""
    from resnet50.data.mixing import Mixing
    from resnet50.recipes import RECIPES

    recipe = RECIPES[name].RECIPE
    if not recipe.mixup and not recipe.cutmix:
        return 0.0
    size = recipe.train_image_size or recipe.image_size
    images = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), np.uint8)
    mixing, targets = Mixing(recipe.mixup, recipe.cutmix), np.eye(CLASSES)[np.arange(BATCH) % CLASSES]
    began = time.perf_counter()
    for seed in range(MIXED):
        mixing.apply(images, targets, np.random.default_rng(seed))
    return 1000 * (time.perf_counter() - began) / MIXED / BATCH


def in_a_process(folder: Path, name: str, threads: int) -> dict[str, float]:
    """Measure in a process of its own with so many threads."""
    command = [sys.executable, __file__, "--folder", str(folder), "--recipe", name, "--threads", str(threads)]
    environment = {**os.environ, "KERAS_BACKEND": "numpy", "OMP_NUM_THREADS": str(threads)}
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout.splitlines()[-1]
    return dict(json.loads(answer))


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of the records that a process reads
    parser.add_argument("--recipe", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(feed(options.folder, options.recipe, watched=options.threads == 1)))
        return
    from resnet50._io.workers import THREADS
    from resnet50.data.pack_records import pack_records

    session = Session(
        RESULTS,
        what=f"images per second of batches from records, JPEG files of 500 x 375 pixels, batch {BATCH}",
        command="python benchmarks/feeding.py",
    )
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder, "files"))
        records = Path(folder, "records")
        pack_records(Path(folder, "files"), records)
        results: dict[str, dict[str, list[float]]] = {}
        for name in NAMES * TURNS:
            one, all_threads = (in_a_process(records, name, threads) for threads in (1, THREADS))
            rates = results.setdefault(name, {"one_thread": [], "all_threads": [], "lock_share": [], "mixing_ms": []})
            rates["one_thread"].append(one["images_per_second"])
            rates["all_threads"].append(all_threads["images_per_second"])
            rates["lock_share"].append(one["lock_share"])
            rates["mixing_ms"].append(mix(name))
            print(name, rates, flush=True)
    session.write({"threads": THREADS, "recipes": results})


if __name__ == "__main__":
    main()
