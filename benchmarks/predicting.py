"""How fast a trained classifier predicts in each format, beside keras.applications, in turn in one run.

For every format and precision the run's model is exported and measured: images a second in batches of 8 and how long
a single image takes (`resnet50.profiling.predicting`), how often its most probable class is that of the original on
the run's test part, and what it takes from the shell to a printed answer for one image file, whole process. The peer
of the last loads keras.applications.ResNet50 and calls it once, as its documentation shows.

Run: ``pip install 'resnet50[export]'``, then ``python benchmarks/predicting.py RUN PICTURE`` on a run that knows where
its images are; writes ``benchmarks/results/predicting-SIDE.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from resnet50.inference.runtimes import FORMATS
from resnet50.profiling.predicting import applications_command, command
from resnet50.profiling.turns import take_turns

RESULTS = Path(__file__).parent / "results"
BATCH = 8
PEER = "keras.applications float32"
COLD = 5  # starts, of which the median counts, after one that fills the disk's cache

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


def start(words: list[str]) -> tuple[float, float]:
    """Run a command to its end; return its seconds and the most memory that it held, in MiB."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        began = time.perf_counter()
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ValueError(f"{' '.join(words)} failed.")
    return seconds, used.ru_maxrss / 1024


def cold(words: list[str]) -> dict[str, float]:
    starts = [start(words) for _ in range(COLD + 1)][1:]
    return {"seconds": median(seconds for seconds, _ in starts), "peak_mib": max(peak for _, peak in starts)}


def agreement(model: Path, export: Path) -> float:
    """Return the share of the run's test images that both give the same most probable class."""
    script = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from resnet50.inference.classifier import Classifier\n"
        "from resnet50.recipes import find_task\n"
        "from resnet50.training.run import RunDirectory\n"
        "model, export = sys.argv[1:]\n"
        "noted = RunDirectory(Path(model).parent).read()[1]['data']\n"
        "one, other = Classifier.load(model), Classifier.load(export)\n"
        "images = find_task(noted['task']).load(noted['path'], side=one.side[0], **noted['how']).test.images\n"
        "same = one.probabilities(images).argmax(1) == other.probabilities(images).argmax(1)\n"
        "print(json.dumps(float(same.mean())))\n"
    )
    done = subprocess.run([sys.executable, "-c", script, model, export], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("image")
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    model = options.run / "model.keras"
    load = os.getloadavg()[0]
    shell = [str(Path(sys.executable).with_name("resnet50"))]
    image_size = json.loads((options.run / "recipe.json").read_text())["image_size"]
    with tempfile.TemporaryDirectory() as folder:
        paths = {"Keras float32": model}
        for name, runtime in FORMATS.items():
            for precision in runtime.precisions:
                out = Path(folder, f"{name}-{precision}")
                words = [*shell, "export", str(options.run), str(out), "--format", name, "--precision", precision]
                subprocess.run(words, check=True)
                paths[f"{name} {precision}"] = out
        commands = {PEER: applications_command(image_size, BATCH)}
        commands |= {name: command(str(path), BATCH) for name, path in paths.items()}
        measured = take_turns(commands, turns=options.turns)
        told: dict[str, Any] = {name: one.summary() for name, one in measured.items()}
        for name, one in measured.items():
            told[name]["over_keras_applications"] = one.over(measured[PEER], "images_per_second")
        told[PEER]["cold_start"] = cold([sys.executable, "-c", PEER_SCRIPT, str(image_size), options.picture])
        for name, path in paths.items():
            told[name]["cold_start"] = cold([*shell, "predict", options.picture, "--model", str(path)])
            told[name]["agreement"] = agreement(model, path)
            told[name]["megabytes"] = (
                sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file()) / 1e6
            )
            print(name, json.dumps(told[name]), flush=True)
    from resnet50.training.run import describe_environment

    results = {
        "command": f"python benchmarks/predicting.py RUN PICTURE --turns {options.turns}",
        "what": f"{image_size} x {image_size} pixels, {BATCH} in a batch; latency of one image; from the shell to an answer",
        "load": load,
        **describe_environment(),
        "runtimes": {name: version(name) for name in ("openvino", "onnxruntime", "ai-edge-litert", "nncf")},
        "formats": told,
    }
    (RESULTS / f"predicting-{image_size}.json").write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
