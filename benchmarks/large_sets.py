"""What must be done for a set of very many images besides reading their pixels: its time and its memory.

The images are 8 x 8 pixels of noise, so that nothing but their number counts; a hundredth are copies of others. Each
step has a process of its own at each number of images, since its peak of memory is that of the step: the order of an
epoch with its first batch, and each further batch (``batch``); a stratified cut of 1000 classes (``cut``) and folds
(``folds``) by the near-duplicates; the search for those (``copies``); ``report.json`` of as many classes (``report``),
whose images are 20,000 at most; and what a training with packed records does before it reads an image (``start``), but
for the audit and ``images.csv``.

The search for near-duplicates and mirror images by an index (``indexed``; the package ``faiss-cpu``) is measured where
``--steps`` asks for it: among smooth images of 32 x 32 pixels, a twentieth of which are others encoded again, brighter
or mirrored. Among up to 200,000, its pairs are counted beside those of the comparison of each with each, whose time is
``exact_seconds``. The images are in a file: 4 GB of disk for 1,281,167.

A million tiny records have steps of their own, with ``--records``: files of 8 x 8 pixels are written, which is not
measured; packed (``pack``); and read as a training does, in the order of an epoch, with a random-resized crop of each,
after a whole start, with the audit and ``images.csv``, which is measured by itself (``epoch``). The peak of memory is
that of the whole process, whose Keras is on its NumPy backend.

Run: ``python benchmarks/large_sets.py``; adds a session to ``benchmarks/results/large-sets.json``.
``--images 10000 100000`` takes other numbers of images, and ``--steps indexed --images 200000 1281167`` measures the
index alone. ``python benchmarks/large_sets.py --records 1000000`` measures
the records alone: a quarter of an hour on two cores, 4 GB of disk for the files and 3 GB for their thumbnails.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sessions import Session

from resnet50.data.dataset import Dataset

RESULTS = Path(__file__).parent / "results" / "large-sets.json"

COUNTS = (10_000, 100_000, 1_281_167)  # the last is ImageNet's
CLASSES, BATCH, BATCHES, SCORED = 1_000, 256, 20, 20_000
SIZE = 8  # height and width in pixels
PHOTOS, FINE = 1_024, 32  # smooth images that are drawn at a time, and their height and width in pixels

Step = Callable[[], dict[str, float]]


def noise(count: int) -> np.ndarray:
    """Return images of which a hundredth are copies."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)
    copies = count // 100
    images[-copies:] = images[:copies]
    return images


def labeled(count: int) -> Dataset:
    """Return a dataset of black images of one pixel."""
    labels = np.random.default_rng(1).integers(0, CLASSES, count)
    paths = tuple(f"{index:07}.jpg" for index in range(count))
    return Dataset(np.zeros((count, 1, 1, 3), np.uint8), labels, tuple(map(str, range(CLASSES))), paths, "black")


def groups(count: int) -> np.ndarray:
    """Return the groups of near-duplicates that `noise` has, int64."""
    numbers = np.arange(count)
    copies = count // 100
    numbers[-copies:] = numbers[:copies]
    return numbers


def batch(count: int) -> Step:
    from resnet50.data.batches import Batches

    batches = Batches(labeled(count), BATCH, shuffle=True)

    def work() -> dict[str, float]:
        began = time.perf_counter()
        batches[0]
        first = time.perf_counter()
        for index in range(1, BATCHES + 1):
            batches[index]
        return {"first_seconds": first - began, "seconds": (time.perf_counter() - first) / BATCHES}

    return work


def cut(count: int) -> Step:
    from resnet50.data.splitting import cut_indices

    dataset, near_duplicates = labeled(count), groups(count)
    return timed(lambda: cut_indices(dataset, near_duplicates, 0.1, seed=0))


def folds(count: int) -> Step:
    from resnet50.data.splitting import assign_folds

    dataset, near_duplicates = labeled(count), groups(count)
    return timed(lambda: assign_folds(dataset, near_duplicates, 5, seed=0))


def copies(count: int) -> Step:
    from resnet50.data.near_duplicates import find_near_duplicates

    images = noise(count)
    return timed(lambda: find_near_duplicates([images]))


def photos(batch: int) -> np.ndarray:
    """Return the images of a batch: sums of waves that are lower as they are shorter, as in photos."""
    rng = np.random.default_rng(batch)
    waves = np.cos(np.pi * np.outer(np.arange(FINE) + 0.5, np.arange(6)) / FINE)
    heights = 60 / (1 + np.hypot(*np.indices((6, 6))))[..., None]
    gray, color = rng.normal(size=(PHOTOS, 6, 6, 1)), rng.normal(size=(PHOTOS, 6, 6, 3))
    fields = np.einsum("yj,njkc,xk->nyxc", waves, (gray + 0.3 * color) * heights, waves, optimize=True)
    return np.clip(fields + 120, 0, 255).astype(np.uint8, order="C")


def version(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return an image encoded again or brighter; half of them mirrored."""
    if rng.random() < 0.5:
        image = image[:, ::-1]
    if rng.random() < 0.5:
        return np.clip(image + rng.uniform(-9, 9), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(rng.integers(30, 95)))
    return np.asarray(Image.open(file))


def photos_and_versions(count: int) -> Iterator[np.ndarray]:
    """Yield images, a twentieth of which are versions of others far before them."""
    rng = np.random.default_rng(0)
    for batch, start in enumerate(range(0, count, PHOTOS)):
        images, others = photos(batch), photos(batch // 2)
        for place in rng.permutation(PHOTOS)[: PHOTOS // 20]:
            images[place] = version(others[rng.integers(PHOTOS)], rng)
        yield from images[: count - start]


def indexed(count: int) -> Step:
    from resnet50.data.near_duplicate_index import indexed_pairs
    from resnet50.data.near_duplicates import MOST_COMPARED, near_duplicate_pairs, thumbnails
    from resnet50.data.pack_records import ThumbnailFile

    folder = Path(tempfile.mkdtemp())
    images = ThumbnailFile(folder / "thumbnails")
    for image in photos_and_versions(count):
        images.append(image)
    exact: list[set[tuple[int, int]]] = []
    began = time.perf_counter()
    if count <= MOST_COMPARED:
        small = np.concatenate([thumbnails(images[block]) for block in np.array_split(np.arange(count), 100)])
        for mirrored in (False, True):
            found = near_duplicate_pairs(small, mirrored=mirrored)
            exact.append({pair for pairs in found for pair in zip(*map(np.ndarray.tolist, pairs[:2]), strict=True)})
        del small
    exact_seconds = time.perf_counter() - began

    def work() -> dict[str, float]:
        began = time.perf_counter()
        found = indexed_pairs(images, np.zeros(count, dtype=bool))
        result = {"seconds": time.perf_counter() - began}
        shutil.rmtree(folder)
        if found is None:
            raise RuntimeError("expected pairs that can be stored, got too many.")
        result |= {"pairs": len(found[0].first), "mirrored_pairs": len(found[1].first)}
        if exact:
            pairs = [set(zip(each.first.tolist(), each.second.tolist(), strict=True)) for each in found]
            result |= {
                "exact_seconds": exact_seconds,
                "exact_pairs": sum(map(len, exact)),
                "exact_pairs_found": sum(len(one & other) for one, other in zip(pairs, exact, strict=True)),
                "other_pairs_found": sum(len(one - other) for one, other in zip(pairs, exact, strict=True)),
            }
        return result

    return work


def report(count: int) -> Step:
    from resnet50.metrics.scores import score

    dataset = labeled(min(count, SCORED))
    scores = np.random.default_rng(0).dirichlet(np.ones(CLASSES), len(dataset)).astype(np.float32)
    scored = score(scores, dataset)

    def work() -> dict[str, float]:
        began = time.perf_counter()
        text = scored.to_json()
        return {"seconds": time.perf_counter() - began, "megabytes": len(text) / 1e6, "lines": text.count("\n")}

    return work


def start(count: int) -> Step:
    from resnet50.data.headers import Headers
    from resnet50.data.images import Header
    from resnet50.data.near_duplicates import Copies
    from resnet50.data.records import MANIFEST, Manifest, read_records, shard_name

    dataset, numbers = labeled(count), groups(count)
    folder = Path(tempfile.mkdtemp())
    (folder / shard_name(0, 1)).write_bytes(b"not read")
    Manifest(
        name="black",
        class_names=dataset.class_names,
        labels=dataset.labels,
        counts=(count, 0, 0),
        paths=dataset.paths,
        groups=(),
        sha256=np.random.default_rng(0).integers(0, 256, (count, 32), np.uint8),
        shard_records=np.array([count]),
        shard_bytes=np.array([8]),
        headers=Headers((Header(SIZE, SIZE, "RGB", "JPEG", oriented=False),), np.zeros(count, np.int32)),
        copies=Copies(numbers, numbers + count),  # the mirror images are other ones
        single_color=np.zeros(count, dtype=bool),
    ).write(folder / MANIFEST)
    del dataset

    def work() -> None:
        splits = read_records(folder, image_size=224).cut(0.1, into="test", seed=0).hold_out(0.1, seed=0)
        [each.fingerprint for each in splits.by_name.values()]
        shutil.rmtree(folder)

    return timed(work)


def write_files(folder: Path, count: int) -> None:
    """Write so many BMP files of noise, in the folders of splits and of a thousand classes."""
    head = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 246, 0, 0, 54, 40, SIZE, SIZE, 1, 24, 0, 192, 0, 0, 0, 0)
    rng = np.random.default_rng(0)
    for split, first, last in (("train", 0, count - count // 20), ("val", count - count // 20, count)):
        folders = [folder / split / f"{label:03}" for label in range(CLASSES)]
        for each in folders:
            each.mkdir(parents=True)
        for index in range(first, last):
            (folders[index % CLASSES] / f"{index:07}.bmp").write_bytes(head + rng.bytes(192))


def pack(folder: Path) -> dict[str, float]:
    """Pack the files of a folder."""
    from resnet50.data.pack_records import pack_records

    began = time.perf_counter()
    pack_records(folder / "files", folder / "records", shards=8)
    return {"seconds": time.perf_counter() - began}


def epoch(folder: Path) -> dict[str, float]:
    """Start on packed records as a training does, up to its first batch, and read an epoch of crops."""
    from resnet50.audit.check import find_issues
    from resnet50.audit.training_images import write_training_images
    from resnet50.data.augmentation import Augmentation
    from resnet50.data.batches import Batches
    from resnet50.data.random_crop import Resize
    from resnet50.datasets.imagenet import load

    began = time.perf_counter()
    splits = load(folder / "records", image_size=SIZE)
    [each.fingerprint for each in splits.by_name.values()]
    find_issues(splits)
    write_training_images(folder / "images.csv", splits.by_name)
    augmentation, resize = Augmentation(crop_area=0.08, flip=True), Resize(SIZE, SIZE)
    batches = Batches(splits["train"], BATCH, shuffle=True, augmentation=augmentation, resize=resize)
    batches[0]
    started = time.perf_counter()
    images = sum(len(images) for images, _ in batches)
    return {"start_seconds": started - began, "seconds": time.perf_counter() - started, "read": images}


RECORD_STEPS = {step.__name__: step for step in (pack, epoch)}


def measure_records(step: str, folder: Path) -> dict[str, float]:
    """Measure a step with records in this process, which has done nothing else."""
    return {**RECORD_STEPS[step](folder), "peak_mib": memory("VmHWM")}


def timed(step: Callable[[], object]) -> Step:
    """Return a step that measures its time."""

    def work() -> dict[str, float]:
        began = time.perf_counter()
        step()
        return {"seconds": time.perf_counter() - began}

    return work


STEPS = {prepare.__name__: prepare for prepare in (batch, cut, folds, copies, report, start, indexed)}


def memory(key: str) -> float:
    """Return a number of this process in MiB: ``"VmRSS"``, what it has, or ``"VmHWM"``, the most that it had."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 2**10


def measure(step: str, count: int) -> dict[str, float]:
    """Measure a step in this process, which has done nothing else."""
    work = STEPS[step](count)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = memory("VmRSS")
    return {"images": count, **work(), "peak_mib": memory("VmHWM"), "more_mib": memory("VmHWM") - before}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=list(COUNTS), help="numbers of images")
    parser.add_argument("--steps", nargs="+", choices=list(STEPS), default=list(STEPS)[:-1], help="what is measured")
    parser.add_argument("--records", type=int, metavar="N", help="measure so many records alone")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)  # of the records that a process measures
    parser.add_argument("--measured", help=argparse.SUPPRESS)  # the step that this process measures
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(measure_records(options.measured, options.folder)))
        return
    if options.measured:
        print(json.dumps(measure(options.measured, options.images[0])))
        return
    session = Session(
        RESULTS,
        what="seconds and memory of steps before and beside the training, by the number of images",
        command=" ".join(["python", "benchmarks/large_sets.py", *sys.argv[1:]]),
    )
    results: dict[str, list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        if options.records:
            write_files(Path(folder) / "files", options.records)
            for step in RECORD_STEPS:
                measured = in_a_process(step, "--folder", folder)
                results[step] = [{"images": options.records, **measured}]
                print(step, measured, flush=True)
        else:
            for step in options.steps:
                for count in options.images:
                    results.setdefault(step, []).append(in_a_process(step, "--images", str(count)))
                    print(step, results[step][-1], flush=True)
        session.write(results)  # before the files are removed, which takes minutes


def in_a_process(step: str, *words: str) -> dict[str, float]:
    """Measure a step in a process of its own."""
    command = [sys.executable, __file__, "--measured", step, *words]
    environment = {**os.environ, "KERAS_BACKEND": "numpy"}
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment).stdout.splitlines()[-1]
    return dict(json.loads(answer))


if __name__ == "__main__":
    main()
