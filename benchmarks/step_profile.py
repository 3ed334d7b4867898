"""Where the time of a training step goes, by TensorFlow's profiler: ours beside keras.applications.

One operation runs at a time here (with both cores), so that times add up to a step; a usual step runs two at once, and
nothing looks on, so that it takes less, by the more the smaller its operations are. What is left of a step when all
operations are counted is starting them, and waiting. What the processor can do at most is judged by products of square
bfloat16 matrices, the best of TensorFlow's and PyTorch's.

Run: ``python benchmarks/step_profile.py``; writes ``benchmarks/results/step-profile.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from resnet50.profiling.training import CONTENDERS, STEPS
from training import SETTINGS

RESULTS = Path(__file__).parent / "results" / "step-profile.json"


def kind(name: str, operation: str) -> str:
    """Tell what an operation is for, by its name in the graph and its type."""
    if operation == "Cast":
        return "casts"
    back = "gradient_tape" in name
    if "_bn" in name or "FusedBatchNorm" in operation:
        return "batch norm, gradients" if back else "batch norm"
    if "Conv2D" in operation or "MatMul" in operation or "Gather" in operation:
        # gradients of our own carry no layer's name
        return "convolutions, gradients" if back or "_conv" not in name else "convolutions"
    if "adam" in name.lower() or operation.startswith("ResourceApply"):
        return "optimizer"
    return "ReLU, sums, biases, pooling and the rest"


def profile(name: str, image_size: int, batch: int) -> dict[str, float]:
    """Return the milliseconds of a contender's step by kind of operation, and those of the whole step."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    tf.config.threading.set_inter_op_parallelism_threads(1)
    turn = CONTENDERS[name](image_size, batch)
    turn()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        rate = turn()["images_per_second"]
        tf.profiler.experimental.stop()
        (path,) = Path(folder).rglob("*.xplane.pb")
        planes = xplane_pb2.XSpace.FromString(path.read_bytes()).planes
    took: Counter[str] = Counter()
    for plane in planes:
        for event in (event for line in plane.lines for event in line.events):
            told, _, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if told.startswith("StatefulPartitionedCall/"):
                took[kind(told, operation)] += event.duration_ps / 1e9 / STEPS
    return {"step": 1e3 * batch / rate, **dict(sorted(took.items()))}


def products() -> dict[str, float]:
    """Return the most operations a second, in billions, of bfloat16 matrix products (2 n^3 in one of n x n)."""
    import tensorflow as tf
    import torch

    best: dict[str, float] = {}
    for image_size in (512, 1024, 2048, 4096):
        ours, theirs = (
            tf.ones((image_size, image_size), tf.bfloat16),
            torch.ones((image_size, image_size), dtype=torch.bfloat16),
        )
        for name, multiply in (("TensorFlow", lambda a=ours: tf.matmul(a, a)), ("PyTorch", lambda a=theirs: a @ a)):
            times = []
            for _ in range(20):
                began = time.perf_counter()
                multiply()
                times.append(time.perf_counter() - began)
            best[name] = max(best.get(name, 0), 2 * image_size**3 / min(times) / 1e9)
    return best


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    from resnet50.training.run import describe_environment

    most = products()
    print(json.dumps(most), flush=True)
    settings: dict[str, Any] = {}
    for setting, (image_size, batch) in SETTINGS.items():
        for name in CONTENDERS:
            command = [sys.executable, __file__, name, str(image_size), str(batch)]
            quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
            done = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, check=True)
            settings.setdefault(setting, {})[name] = json.loads(done.stdout.splitlines()[-1])
            print(setting, name, json.dumps(settings[setting][name], indent=2), flush=True)
    told = {
        "what": "milliseconds of a training step by kind of operation, one at a time; side: 224 or 64 pixels, 16 or 32 "
        "images in a step",
        "command": "python benchmarks/step_profile.py",
        **describe_environment(),
        "billions of operations a second in bfloat16 products": most,
        "settings": settings,
    }
    RESULTS.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(profile(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
