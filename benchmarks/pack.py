"""How fast a folder of images is packed and then read, beside `keras.utils.image_dataset_from_directory`.

Run ``python benchmarks/pack.py DIR``, where DIR holds a folder of image files for each class; it takes a few minutes
and adds a session to ``benchmarks/results/pack.json``. Keras reads the same files at the same size, with the same crop
to a square, in its fastest way: bilinear, files in their order, two batches ahead (``uncached``), or from memory
(``cached``, filled before). All are measured in interleaved rounds, so that other work on the machine affects all
alike.

``python benchmarks/pack.py DIR --images 100000`` packs as many links to the files of DIR, and adds time and memory to
``benchmarks/results/pack-memory.json``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from in_process import images_per_second
from sessions import Session

from resnet50.data.hdf5 import read_split
from resnet50.data.listing import list_images
from resnet50.data.pack import pack

RESULTS = Path(__file__).parent / "results"
BATCH, ROUNDS = 32, 5

ORDER = ("pack", "keras_one_pass", "second_start", "epoch_packed", "epoch_keras_uncached", "epoch_keras_cached")
"""The order of the contenders in a round."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder for each class")
    parser.add_argument("--image-size", type=int, default=224, help="height and width in pixels")
    parser.add_argument("--images", type=int, help="measure memory, with this number of images")
    parser.add_argument("--measured", type=Path, help=argparse.SUPPRESS)  # starts the measured process
    options = parser.parse_args()
    if options.measured:
        print(json.dumps(measured_pack(options.folder, options.measured, options.image_size)))
        return
    if options.images is None:
        measure_speed(options.folder, options.image_size)
    else:
        measure_memory(options.folder, options.image_size, options.images)


def measure_speed(folder: Path, image_size: int) -> None:
    """Measure the images per second of each way to read, as medians over the rounds."""
    with tempfile.TemporaryDirectory() as place:
        os.environ["RESNET50_CACHE"] = place
        out = Path(place, "packed.h5")
        pack(list_images(folder), out, image_size=image_size)
        dataset = read_split(out, "train")
        session = Session(
            RESULTS / "pack.json",
            what=f"images per second, {len(dataset)} files of {dataset.name} to {image_size} x {image_size}, batch "
            f"{BATCH}",
            command=f"python benchmarks/pack.py DIR --image-size {image_size}",
        )
        contenders = {**our_ways(folder, out, image_size), **ways_of_keras(folder, image_size)}
        rates = images_per_second({name: contenders[name] for name in ORDER}, rounds=ROUNDS)
    median = {name: values["median"] for name, values in rates.items()}
    results = {
        "images_per_second": rates,
        "pack_over_keras_one_pass": median["pack"] / median["keras_one_pass"],
        "epoch_over_keras_uncached": median["epoch_packed"] / median["epoch_keras_uncached"],
        "epoch_over_keras_cached": median["epoch_packed"] / median["epoch_keras_cached"],
    }
    session.write(results)
    print(json.dumps(results, indent=2))


def our_ways(folder: Path, packed: Path, image_size: int) -> dict[str, Callable[[], int]]:
    """Return functions that pack the folder, read it from the cache, and read an epoch of the packed file."""
    from resnet50.data.batches import Batches
    from resnet50.data.loading import read_splits

    dataset = read_split(packed, "train")
    batches = Batches(dataset, BATCH, shuffle=True)

    def packing() -> int:
        pack(list_images(folder), packed, image_size=image_size)
        return len(dataset)

    def second_start() -> int:
        return len(read_splits(folder, image_size=image_size)["train"])

    def epoch() -> int:
        batches.epoch += 1
        return count(batches)

    second_start()  # fills the cache
    return {"pack": packing, "second_start": second_start, "epoch_packed": epoch}


def ways_of_keras(folder: Path, image_size: int) -> dict[str, Callable[[], int]]:
    """Return functions that read the folder with Keras: in the order of the files, shuffled, and from memory."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    def from_directory(*, shuffle: bool) -> tf.data.Dataset:
        return keras.utils.image_dataset_from_directory(
            folder,
            image_size=(image_size, image_size),
            crop_to_aspect_ratio=True,
            batch_size=BATCH,
            shuffle=shuffle,
            verbose=False,
        )

    cached = from_directory(shuffle=False).cache()
    return {
        "keras_one_pass": lambda: count(from_directory(shuffle=False)),
        "epoch_keras_uncached": lambda: count(from_directory(shuffle=True)),
        "epoch_keras_cached": lambda: count(cached),
    }


def count(batches: Iterable[Any]) -> int:
    """Read every batch; return the number of images."""
    return sum(len(batch[0]) for batch in batches)


def measure_memory(folder: Path, image_size: int, total: int) -> None:
    """Measure time and memory of packing a hundredth of the images, and all of them."""
    files = [(path, path.parent.name) for path in sorted(folder.resolve().glob("*/*")) if path.is_file()]
    session = Session(
        RESULTS / "pack-memory.json",
        what=f"packing hard links to the {len(files)} files of {folder.name}, {image_size} x {image_size} pixels",
        command=f"python benchmarks/pack.py DIR --images {total} --image-size {image_size}",
    )
    order = np.random.default_rng(0).permutation(len(files))
    files = [files[index] for index in order]  # so that the first few are of all classes
    runs = []
    for images in (total // 100, total):
        with tempfile.TemporaryDirectory() as place:
            write_names(Path(place), files, images)
            command = [sys.executable, __file__, place, "--image-size", str(image_size)]
            command += ["--measured", f"{place}/packed.h5"]
            runs.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    session.write({"runs": runs})
    print(json.dumps(runs, indent=2))


def write_names(place: Path, files: list[tuple[Path, str]], images: int) -> None:
    """Write this number of hard links to the files, and list them in a CSV file."""
    (place / "names").mkdir()
    copies = [shutil.copy(path, place / f"{index}{path.suffix}") for index, (path, _) in enumerate(files)]
    with (place / "list.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label"))
        for index in range(images):
            path, label = files[index % len(files)]
            name = f"names/{index:08}{path.suffix}"
            os.link(copies[index % len(files)], place / name)
            rows.writerow((name, label))


def measured_pack(place: Path, out: Path, image_size: int) -> dict[str, float]:
    """Pack in this process, which has done nothing else; return time and memory."""
    listing = list_images(place / "list.csv")
    listed = peak_megabytes()
    began = time.perf_counter()
    pack(listing, out, image_size=image_size)
    seconds = time.perf_counter() - began
    return {
        "images": len(listing.entries),
        "seconds": seconds,
        "images_per_second": len(listing.entries) / seconds,
        "file_megabytes": out.stat().st_size / 1e6,
        "peak_megabytes_once_listed": listed,
        "peak_megabytes": peak_megabytes(),
    }


def peak_megabytes() -> float:
    """Return the peak memory of this process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6


if __name__ == "__main__":
    main()
