"""Where the time of a training step goes, by TensorFlow's profiler: ours beside keras.applications.

One operation runs at a time here (on both cores), so that times add up to a step. A usual step runs two at once and is
not profiled, so that it takes less time, and the less the smaller its operations are. The rest of a step, when all
operations are counted, is starting them and waiting. The peak of the processor is estimated by products of square
bfloat16 matrices, the best of TensorFlow and PyTorch.

Run: ``python benchmarks/step_profile.py``; adds a session to ``benchmarks/results/step-profile.json``.
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

from sessions import Session

from resnet50.profiling.training import CONTENDERS, STEPS
from training import SETTINGS

RESULTS = Path(__file__).parent / "results" / "step-profile.json"
WHAT = (
    "milliseconds of a training step by category of operation, one at a time; image size 224 or 64, batch size 16 or 32"
)


def category(name: str, operation: str) -> str:
    """Return the purpose of an operation, by its name in the graph and its type."""
    if operation == "Cast":
        return "casts"
    is_gradient = "gradient_tape" in name
    if "_bn" in name or "FusedBatchNorm" in operation:
        return "batch norm, gradients" if is_gradient else "batch norm"
    if "Conv2D" in operation or "MatMul" in operation or "Gather" in operation:
        # our own gradients have no name of a layer
        return "convolutions, gradients" if is_gradient or "_conv" not in name else "convolutions"
    if "adam" in name.lower() or operation.startswith("ResourceApply"):
        return "optimizer"
    return "ReLU, sums, biases, pooling and the rest"


def profile(name: str, image_size: int, batch: int) -> dict[str, float]:
    """Return the milliseconds of a contender's step by category of operation, and those of the whole step."""
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    tf.config.threading.set_inter_op_parallelism_threads(1)
    work = CONTENDERS[name](image_size, batch)
    work()
    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        rate = work()["images_per_second"]
        tf.profiler.experimental.stop()
        (path,) = Path(folder).rglob("*.xplane.pb")
        planes = xplane_pb2.XSpace.FromString(path.read_bytes()).planes
    milliseconds: Counter[str] = Counter()
    for plane in planes:
        for event in (event for line in plane.lines for event in line.events):
            operation_name, _, operation = plane.event_metadata[event.metadata_id].name.rpartition(":")
            if operation_name.startswith("StatefulPartitionedCall/"):
                milliseconds[category(operation_name, operation)] += event.duration_ps / 1e9 / STEPS
    return {"step": 1e3 * batch / rate, **dict(sorted(milliseconds.items()))}


def products() -> dict[str, float]:
    """Return the peak rate of bfloat16 matrix products in billions of operations per second (2 n^3 for n x n)."""
    import tensorflow as tf
    import torch

    best: dict[str, float] = {}
    for n in (512, 1024, 2048, 4096):
        in_tensorflow, in_pytorch = tf.ones((n, n), tf.bfloat16), torch.ones((n, n), dtype=torch.bfloat16)
        for name, multiply in (
            ("TensorFlow", lambda a=in_tensorflow: tf.matmul(a, a)),
            ("PyTorch", lambda a=in_pytorch: a @ a),
        ):
            times = []
            for _ in range(20):
                began = time.perf_counter()
                multiply()
                times.append(time.perf_counter() - began)
            best[name] = max(best.get(name, 0), 2 * n**3 / min(times) / 1e9)
    return best


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    session = Session(RESULTS, what=WHAT, command="python benchmarks/step_profile.py")
    peak = products()
    print(json.dumps(peak), flush=True)
    settings: dict[str, Any] = {}
    for setting, (image_size, batch) in SETTINGS.items():
        for name in CONTENDERS:
            command = [sys.executable, __file__, name, str(image_size), str(batch)]
            quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
            done = subprocess.run(command, env=quiet, stdout=subprocess.PIPE, check=True)
            settings.setdefault(setting, {})[name] = json.loads(done.stdout.splitlines()[-1])
            print(setting, name, json.dumps(settings[setting][name], indent=2), flush=True)
    session.write({"billions of operations a second in bfloat16 products": peak, "settings": settings})


if __name__ == "__main__":
    if len(sys.argv) == 4:
        print(json.dumps(profile(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
    else:
        main()
