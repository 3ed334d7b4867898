"""Whether reading files slows prediction down: a folder of large JPEGs, read alone, predicted alone, and both at once.

For each model the rates are, in images per second: the files decoded and fitted to the model's size, and nothing else
(as `resnet50.inference.batching` reads them); the network on as many images in memory; the folder through
`resnet50.inference.predict`, which does both at once; and what the first two would give one after the other. The peer
is `keras.utils.image_dataset_from_directory` with keras.applications.ResNet50 and ``predict``. All are measured in
interleaved rounds.

The photos are rendered hands of 12 megapixels with the noise of a camera, written as JPEG of quality 90.

Run: ``python benchmarks/reading.py MODEL ...`` with a ``.keras`` file, a run or exports of one size; adds a session to
``benchmarks/results/reading.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from sessions import Session

from resnet50.profiling.rounds import Measurement, Work, run_rounds, serve

RESULTS = Path(__file__).parent / "results" / "reading.json"

PHOTOS, WIDTH, HEIGHT = 64, 4000, 3000
BATCH, ROUNDS = 8, 3  # many batches, so that waiting for the first counts little
PEER = "keras.applications"


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


def timed(classify: Callable[[], object]) -> Work:
    """Return a function that measures the images per second of one pass over all photos."""

    def work() -> dict[str, float]:
        began = time.perf_counter()
        classify()
        return {"images_per_second": PHOTOS / (time.perf_counter() - began)}

    return work


def reading(folder: str, image_size: str) -> Work:
    """Prepare to read the photos and fit them to the image size."""
    from resnet50._io.workers import in_order
    from resnet50.data.images import read_image

    paths = sorted(Path(folder).iterdir())
    return timed(
        lambda: list(in_order(lambda path: read_image(path, height=int(image_size), width=int(image_size)), paths))
    )


def network(model: str) -> Work:
    """Prepare to predict as many images from memory."""
    from resnet50.inference.classifier import Classifier

    classifier = Classifier.load(model)
    images = np.random.default_rng(0).integers(0, 256, (BATCH, *classifier.image_size, 3), np.uint8)
    return timed(lambda: [classifier.network.predict_on_batch(images) for _ in range(PHOTOS // BATCH)])


def both(folder: str, model: str) -> Work:
    """Prepare to predict the photos of the folder."""
    from resnet50.inference.classifier import Classifier
    from resnet50.inference.predict import find_images, predict

    classifier = Classifier.load(model)
    paths = find_images([folder])
    return timed(lambda: list(predict(classifier, paths, batch_size=BATCH)))


def applications(folder: str, image_size: str) -> Work:
    """Prepare to predict the photos of the folder with keras.applications."""
    import keras

    size = (int(image_size), int(image_size))
    images = keras.utils.image_dataset_from_directory(
        folder, labels=None, image_size=size, batch_size=BATCH, crop_to_aspect_ratio=True, shuffle=False, verbose=False
    )
    model = keras.applications.ResNet50(weights=None, input_shape=(*size, 3))
    return timed(lambda: model.predict(images.map(keras.applications.resnet50.preprocess_input), verbose=0))


WORKERS = {prepare.__name__: prepare for prepare in (reading, network, both, applications)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--worker", choices=list(WORKERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        serve(lambda: WORKERS[options.worker](*options.models))
        return
    from resnet50.inference.classifier import Classifier
    from resnet50.inference.locate import locate

    models = {model: str(locate(model).model) for model in options.models}
    sizes = {size for path in models.values() for size in Classifier.load(path).image_size}
    if len(sizes) > 1:
        parser.error(f"expected models of square images of one size, got sizes {sorted(sizes)}.")
    (image_size,) = sizes
    with tempfile.TemporaryDirectory() as folder:
        megabytes = write_photos(Path(folder))
        session = Session(
            RESULTS,
            what=f"images per second, {PHOTOS} JPEGs of {WIDTH} x {HEIGHT} pixels and {megabytes:.1f} MB each, "
            f"predicted at {image_size} x {image_size}",
            command=" ".join(["python", "benchmarks/reading.py", *options.models]),
        )
        measured = run_rounds(commands(folder, models, image_size), rounds=ROUNDS)
    by_model = {name: compare(name, measured) for name in models}
    session.write(
        {
            "reading": measured["reading"].median("images_per_second"),
            PEER: measured[PEER].median("images_per_second"),
            "models": by_model,
            "rounds": {name: each.summary() for name, each in measured.items()},
        }
    )
    print(json.dumps(by_model, indent=2))


def commands(folder: str, models: Mapping[str, str], image_size: int) -> dict[str, list[str]]:
    """Return the command of each contender, by its name."""

    def command(name: str, *arguments: str) -> list[str]:
        return [sys.executable, __file__, *arguments, "--worker", name]

    return {
        "reading": command("reading", folder, str(image_size)),
        **{f"{name}: network": command("network", path) for name, path in models.items()},
        **{f"{name}: both": command("both", folder, path) for name, path in models.items()},
        PEER: command("applications", folder, str(image_size)),
    }


def compare(model: str, measured: Mapping[str, Measurement]) -> dict[str, float]:
    """Return images per second of a model alone, after reading, and during it."""
    names = ("reading", f"{model}: network", f"{model}: both")
    reading, alone, together = (measured[name].median("images_per_second") for name in names)
    return {
        "network": alone,
        "one_after_the_other": 1 / (1 / alone + 1 / reading),
        "both": together,
        "both_over_keras": measured[f"{model}: both"].ratio(measured[PEER], "images_per_second"),
    }


if __name__ == "__main__":
    main()
