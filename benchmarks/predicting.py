"""How fast a trained classifier predicts in each format, beside keras.applications, in interleaved rounds.

The run's model is exported to every format and precision, and each export is measured: images per second in batches of
8 and the latency of a single image (`resnet50.profiling.predicting`), the share of the run's test images on which it
agrees with the original, and the time from the shell to a printed answer for one image file, of the whole process. The
peer of the last loads keras.applications.ResNet50 and calls it once, as its documentation shows.

Run: ``pip install 'resnet50[export]'``, then ``python benchmarks/predicting.py RUN IMAGE`` on a run that recorded where
its images are; adds a session to ``benchmarks/results/predicting-SIZE.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from sessions import Session

from resnet50.inference.runtimes import FORMATS
from resnet50.profiling.predicting import applications_command, command
from resnet50.profiling.rounds import run_rounds

RESULTS = Path(__file__).parent / "results"
BATCH = 8
PEER = "keras.applications float32"
COLD = 5  # starts whose median counts, after one that fills the file cache of the system

SHELL = [str(Path(sys.executable).with_name("resnet50"))]

PEER_SCRIPT = """
import sys
import keras
import numpy as np
side, image = int(sys.argv[1]), sys.argv[2]
model = keras.applications.ResNet50(weights=None, input_shape=(side, side, 3))
image = keras.utils.img_to_array(keras.utils.load_img(image, target_size=(side, side)))
images = keras.applications.resnet50.preprocess_input(image[None])
print(np.argmax(model.predict(images, verbose=0)))
"""


def start(command: list[str], environment: Mapping[str, str] | None = None) -> tuple[float, float]:
    """Run a command to its end; return its seconds and its peak memory in MiB."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environment, **quiet) as process:
        began = time.perf_counter()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"{' '.join(command)}: failed with status {process.returncode}.")
    return seconds, used.ru_maxrss / 1024


def cold(command: list[str]) -> dict[str, float]:
    """Return the median seconds and the peak memory of several starts of a command."""
    starts = [start(command) for _ in range(COLD + 1)][1:]
    return {"seconds": median(seconds for seconds, _ in starts), "peak_mib": max(peak for _, peak in starts)}


def agreement(model: Path, export: Path) -> float:
    """Return the share of the run's test images for which both have the same most probable class."""
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from resnet50.inference.classifier import Classifier\n"
        "from resnet50.training.run import RunDirectory\n"
        "model, export = sys.argv[1:]\n"
        "original, exported = Classifier.load(model, runtime='keras'), Classifier.load(export)\n"
        "source = RunDirectory(Path(model).parent).read().source\n"
        "images = source.load(original.image_size[0])['test'].images\n"
        "same = original.probabilities(images).argmax(1) == exported.probabilities(images).argmax(1)\n"
        "print(json.dumps(float(same.mean())))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, model, export], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def export_all(run: Path, folder: Path) -> dict[str, Path]:
    """Export the model of a run to each format and precision; return the exports by name."""
    paths = {}
    for name, runtime in FORMATS.items():
        for precision in runtime.precisions if name != "web" else ():  # whose file is that of onnx
            out = folder / f"{name}-{precision}"
            options = ["--format", name, "--precision", precision]
            subprocess.run([*SHELL, "export", str(run), str(out), *options], check=True)
            paths[f"{name} {precision}"] = out
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("image")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = options.run / "model.keras"
    image_size = json.loads((options.run / "recipe.json").read_text())["image_size"]
    session = Session(
        RESULTS / f"predicting-{image_size}.json",
        what=f"{image_size} x {image_size} pixels, batch {BATCH}; latency of one image; from the shell to an answer",
        command=f"python benchmarks/predicting.py RUN IMAGE --rounds {options.rounds}",
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = {"the .keras file": model, **export_all(options.run, Path(folder))}
        commands = {PEER: applications_command(image_size, BATCH)}
        commands["Keras float32"] = command(str(model), BATCH, runtime="keras")
        commands |= {name: command(str(path), BATCH) for name, path in paths.items()}
        measured = run_rounds(commands, rounds=options.rounds)
        formats: dict[str, Any] = {name: each.summary() for name, each in measured.items()}
        for name, each in measured.items():
            formats[name]["over_keras_applications"] = each.ratio(measured[PEER], "images_per_second")
        formats[PEER]["cold_start"] = cold([sys.executable, "-c", PEER_SCRIPT, str(image_size), options.image])
        for name, path in paths.items():
            formats[name]["cold_start"] = cold([*SHELL, "predict", options.image, "--model", str(path)])
            formats[name]["agreement"] = agreement(model, path)
            formats[name]["megabytes"] = (
                sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file()) / 1e6
            )
            print(name, json.dumps(formats[name]), flush=True)
    runtimes = {name: version(name) for name in ("openvino", "onnxruntime", "ai-edge-litert", "nncf")}
    session.write({"runtimes": runtimes, "formats": formats})


if __name__ == "__main__":
    main()
