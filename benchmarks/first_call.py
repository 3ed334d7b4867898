"""From the shell to the printed answer for one photo, the first time and the second, beside keras.applications.

The first call finds an empty cache, and converts the ``.keras`` file; the second opens what the first has stored.
keras.applications is a script that builds its ResNet-50 with random weights, reads the photo and calls ``predict``
once. They take turns, and each is a whole process: imports, loading, decoding, prediction.

Run: ``python benchmarks/first_call.py MODEL.keras IMAGE``; adds a session to ``benchmarks/results/first-call.json``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from predicting import PEER, PEER_SCRIPT, SHELL, start
from sessions import Session

RESULTS = Path(__file__).parent / "results" / "first-call.json"

ASK = """
import sys
from resnet50.inference.classifier import Classifier
classifier = Classifier.load(sys.argv[1])
print(classifier.image_size[0], len(classifier.class_names))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("image")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with Image.open(options.image) as image:
        width, height = image.size
    # in a process of its own, since the peak of a child is at least the memory of its parent
    asked = subprocess.run([sys.executable, "-c", ASK, options.model], capture_output=True, text=True, check=True)
    side, classes = map(int, asked.stdout.split())
    session = Session(
        RESULTS,
        what=f"seconds and peak memory in MiB, from the shell to the answer for a photo of {width} x {height} pixels",
        command=f"python benchmarks/first_call.py MODEL.keras IMAGE --rounds {options.rounds}",
    )
    predict = [*SHELL, "predict", options.image, "--model", options.model]
    peer = [sys.executable, "-c", PEER_SCRIPT, str(side), options.image]
    start(peer)  # fills the file cache of the system
    rounds: dict[str, list[dict[str, float]]] = {"first call": [], "second call": [], PEER: []}
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as cache:
            environment = os.environ | {"RESNET50_CACHE": cache}
            for name, command in zip(rounds, (predict, predict, peer), strict=True):
                seconds, mib = start(command, environment)
                rounds[name].append({"seconds": round(seconds, 2), "peak_mib": round(mib)})
                print(name, rounds[name][-1], flush=True)
    session.write({"image_size": side, "classes": classes, "rounds": rounds})


if __name__ == "__main__":
    main()
