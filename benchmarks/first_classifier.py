"""How long it takes from ``resnet50 train FOLDER`` to ``report.html``, with pretrained weights in a file.

The folders hold 244 and 500 photos of cats and dogs. A run is the whole command, imports included, with an empty cache;
it ends with the linear probe, since that is right on almost all validation images.

Run: ``python benchmarks/first_classifier.py --data DIR --weights FILE``, where DIR has a folder for each class; adds a
session to ``benchmarks/results/first-classifier.json``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sessions import Session

RESULTS = Path(__file__).parent / "results" / "first-classifier.json"
WHAT = "seconds and peak of memory in MB of 'resnet50 train FOLDER', from the command to its end, by number of images"
IMAGES = (244, 500)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of photos with a folder for each class")
    parser.add_argument("--weights", required=True, help="file of pretrained weights")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    words = ["python", "benchmarks/first_classifier.py", "--data", "DIR", "--weights", Path(options.weights).name]
    session = Session(RESULTS, what=WHAT, command=" ".join(words))
    rounds: dict[int, list[dict[str, Any]]] = {images: [] for images in IMAGES}
    for _ in range(options.rounds):
        for images in IMAGES:
            rounds[images].append(run(options.data, images, options.weights))
            print(images, rounds[images][-1], flush=True)
    session.write({"rounds": {str(images): each for images, each in rounds.items()}})


def run(data: Path, images: int, weights: str) -> dict[str, Any]:
    """Train on the first images of each class."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "photos")
        classes = sorted(place for place in data.iterdir() if place.is_dir())
        for place in classes:
            (folder / place.name).mkdir(parents=True)
            for file in sorted(place.iterdir())[: images // len(classes)]:
                (folder / place.name / file.name).symlink_to(file.absolute())
        command = [sys.executable, "-m", "resnet50", "train", str(folder), "--weights", weights]
        environment = os.environ | {"RESNET50_CACHE": str(Path(temporary, "cache"))}
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, "--out", str(Path(temporary, "run"))], stdout=subprocess.DEVNULL, env=environment
        ) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - began
        if process.returncode or not Path(temporary, "run", "report.html").is_file():
            raise RuntimeError(f"{' '.join(command)}: expected a report, got exit code {process.returncode}.")
        return {"seconds": round(seconds, 1), "memory_mb": round(usage.ru_maxrss / 1000)}


if __name__ == "__main__":
    main()
