"""How fast training is beside keras.applications with plain ``fit`` and beside PyTorch, in interleaved rounds.

Each contender trains ResNet-50 with Adam on images in memory, read in the way that is best for it, in a process of its
own (`resnet50.profiling.rounds`); PyTorch's network is that of transformers, channels last, bfloat16 autocast, fused
Adam, as it is and by ``torch.compile``, whose compilation is not counted. A rate is the median over the rounds, a ratio
the median of the ratios in the rounds.

Run: ``pip install torch transformers``, then ``python benchmarks/training.py``; adds a session to
``benchmarks/results/training.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from sessions import Session

from resnet50._io.workers import usable_cores
from resnet50.profiling.rounds import Work, run_rounds, serve
from resnet50.profiling.training import CLASSES, CONTENDERS, SETTLED, STEPS, command

RESULTS = Path(__file__).parent / "results" / "training.json"

WHAT = "images per second in full training steps; image size 224 or 64 pixels, batch size 16 or 32"

SETTINGS = {"224": (224, 16), "64": (64, 32)}
"""Image size in pixels and batch size, by name."""

PYTORCH, COMPILED = "PyTorch bfloat16", "PyTorch bfloat16, torch.compile"


def pytorch(name: str, image_size: int, batch: int) -> Work:
    """Prepare PyTorch's ResNet-50 to train."""
    import torch
    from transformers import ResNetConfig, ResNetForImageClassification

    torch.set_num_threads(usable_cores())
    config = ResNetConfig(num_labels=CLASSES, downsample_in_bottleneck=True)  # strides as in the paper, and in ours
    model = ResNetForImageClassification(config).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    images = torch.rand(STEPS * batch, 3, image_size, image_size).to(memory_format=torch.channels_last)
    labels = torch.randint(CLASSES, (STEPS * batch,))
    model.train()
    run = torch.compile(model) if name == COMPILED else model

    def work() -> dict[str, float]:
        steps = []
        for start in range(0, STEPS * batch, batch):
            began = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16):
                logits = run(images[start : start + batch]).logits
            loss = torch.nn.functional.cross_entropy(logits.float(), labels[start : start + batch])
            loss.backward()
            optimizer.step()
            loss.item()
            steps.append(time.perf_counter() - began)
        return {"images_per_second": batch / median(steps[SETTLED:])}

    return work


def measure(image_size: int, batch: int, rounds: int) -> dict[str, Any]:
    """Measure all contenders in one setting."""
    commands = {name: command(name, image_size, batch) for name in CONTENDERS}
    for name in (PYTORCH, COMPILED):
        commands[name] = [sys.executable, __file__, "--worker", name, str(image_size), str(batch)]
    measured = run_rounds(commands, rounds=rounds)
    ours = measured["ours"]
    return {
        **{name: each.summary() for name, each in measured.items()},
        "ours_over": {
            name: ours.ratio(each, "images_per_second") for name, each in measured.items() if each is not ours
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--worker", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        name, image_size, batch = options.worker
        serve(lambda: pytorch(name, int(image_size), int(batch)))
        return
    session = Session(RESULTS, what=WHAT, command=" ".join(["python", "benchmarks/training.py", *sys.argv[1:]]))
    results = {setting: measure(*SETTINGS[setting], options.rounds) for setting in options.settings}
    peers = {name: version(name) for name in ("torch", "transformers")}
    session.write({"peers": peers, "settings": results})
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
