"""Whether reading holds up predicting: a folder of large JPEGs, read alone, predicted alone, and both at once.

For each model the figures are, in images a second: the files decoded and brought to the model's size and nothing else
(`resnet50.inference.batching` reads so); the network on as many images that are in memory; the folder through
`resnet50.inference.predict`, which does both at once; and what the first two would give one after the other. Beside it
`keras.utils.image_dataset_from_directory` with keras.applications.ResNet50 and ``predict``. All take turns.

The photos are drawn hands at 12 megapixels with a camera's noise, written as JPEG of quality 90.

Run: ``python benchmarks/reading.py MODEL ...`` with a ``.keras`` file, a run or exports of one size; writes
``benchmarks/results/reading.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from resnet50.profiling.turns import Turn, serve, take_turns

RESULTS = Path(__file__).parent / "results" / "reading.json"

PHOTOS, WIDTH, HEIGHT = 64, 4000, 3000
BATCH, TURNS = 8, 3  # many batches, so that the first, before which all must wait, counts little


def write_photos(folder: Path) -> float:
    """Write the photos; return their mean size in megabytes."""
    from resnet50.datasets.rendered_signs import rendered_signs

    rng = np.random.default_rng(0)
    hands, _ = rendered_signs(train=PHOTOS, test=6)
    for number, hand in enumerate(np.asarray(hands.images)):
        large = np.asarray(Image.fromarray(hand).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
        noise = rng.normal(0, 6, (HEIGHT, WIDTH, 1)).astype(np.int16)
        Image.fromarray(np.clip(large + noise, 0, 255).astype(np.uint8)).save(folder / f"{number}.jpg", quality=90)
    return sum(file.stat().st_size for file in folder.iterdir()) / PHOTOS / 1e6


def timed(work: Callable[[], object]) -> Turn:
    """Return a turn that tells the images a second of one go at all photos."""

    def turn() -> dict[str, float]:
        began = time.perf_counter()
        work()
        return {"images_per_second": PHOTOS / (time.perf_counter() - began)}

    return turn


def reading(folder: str, image_size: str) -> Turn:
    from resnet50._io.workers import in_order
    from resnet50.data.images import read_image

    paths = sorted(Path(folder).iterdir())
    return timed(
        lambda: list(in_order(lambda path: read_image(path, height=int(image_size), width=int(image_size)), paths))
    )


def network(model: str) -> Turn:
    from resnet50.inference.classifier import Classifier

    classifier = Classifier.load(model)
    images = np.random.default_rng(0).integers(0, 256, (BATCH, *classifier.image_size, 3), np.uint8)
    return timed(lambda: [classifier.model.predict_on_batch(images) for _ in range(PHOTOS // BATCH)])


def both(folder: str, model: str) -> Turn:
    from resnet50.inference.classifier import Classifier
    from resnet50.inference.predict import find_images, predict

    classifier = Classifier.load(model)
    paths = find_images([folder])
    return timed(lambda: list(predict(classifier, paths, batch_size=BATCH)))


def applications(folder: str, image_size: str) -> Turn:
    import keras

    size = (int(image_size), int(image_size))
    images = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=size, batch_size=BATCH, crop_to_aspect_ratio=True, shuffle=False, verbose=False
    )
    model = keras.applications.ResNet50(weights=None, input_shape=(*size, 3))
    return timed(lambda: model.predict(images.map(keras.applications.resnet50.preprocess_input), verbose=0))


WORKERS = {work.__name__: work for work in (reading, network, both, applications)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--worker", choices=list(WORKERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(lambda: WORKERS[options.worker](*options.models))
        return
    from resnet50.cli.bench import common_side
    from resnet50.cli.model import find_model
    from resnet50.training.run import describe_environment

    load = os.getloadavg()[0]
    models = {model: str(find_model(model)) for model in options.models}
    image_size = common_side(options.models)

    def command(name: str, *words: str) -> list[str]:
        return [sys.executable, __file__, *words, "--worker", name]

    with tempfile.TemporaryDirectory() as folder:
        megabytes = write_photos(Path(folder))
        commands = {"reading": command("reading", folder, str(image_size))}
        commands |= {f"{name}: network": command("network", path) for name, path in models.items()}
        commands |= {f"{name}: both": command("both", folder, path) for name, path in models.items()}
        commands["keras.applications"] = command("applications", folder, str(image_size))
        measured = take_turns(commands, turns=TURNS)
    rates = {name: one.median("images_per_second") for name, one in measured.items()}
    told: dict[str, Any] = {}
    for name in models:
        alone, together = rates[f"{name}: network"], rates[f"{name}: both"]
        told[name] = {
            "network": alone,
            "one_after_the_other": 1 / (1 / alone + 1 / rates["reading"]),
            "both": together,
            "both_over_keras": measured[f"{name}: both"].over(measured["keras.applications"], "images_per_second"),
        }
    results = {
        "what": f"images a second, {PHOTOS} JPEGs of {WIDTH} x {HEIGHT} pixels and {megabytes:.1f} MB each, "
        f"predicted at {image_size} x {image_size}",
        "command": " ".join(["python", "benchmarks/reading.py", *options.models]),
        "load": load,
        **describe_environment(),
        "reading": rates["reading"],
        "keras.applications": rates["keras.applications"],
        "models": told,
        "turns": {name: one.summary() for name, one in measured.items()},
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
