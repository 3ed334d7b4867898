"""Fuzz a reader: start workers, and count what became of each damaged file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
GOOD = ("same", "other", "refused")
"""What may become of a damaged file: read as before, read with other values where nothing can tell, or refused."""

SECONDS = 60.0
"""Most seconds for a file; a reader that takes longer is ended and counted as a hang."""

MEMORY_MB = 1500
"""Most memory that reading one file may take on top of the process's own."""


@dataclass
class Outcome:
    """What became of the damaged files of a reader.

    Attributes:
        counts: Number of files by outcome: `GOOD`, "wrong", "other error", "bad message", "hang or crash", "memory".
        faults: The reports of all that are not good.
        seconds: Longest time for a file.
        peak_mb: Most memory of the process while it read a file, above that of the intact one.
    """

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[dict[str, object]] = field(default_factory=list)
    seconds: float = 0.0
    peak_mb: int = 0


def fuzz(name: str, *, cases: int, seed: int, first: int = 0) -> Outcome:
    """Damage the files of one reader ``cases`` times and read each; a worker that dies is replaced."""
    outcome, done = Outcome(), first
    while done < first + cases:
        reports, status = _work(name, seed, done, first + cases - done)
        usual = min((int(report["peak_mb"]) for report in reports), default=0)
        for report in reports:
            _count(outcome, report, usual)
        done += len(reports)
        if done < first + cases:
            fault = {"case": done, "outcome": "hang or crash", "message": f"the process ended with {status}"}
            outcome.counts["hang or crash"] += 1
            outcome.faults.append(fault)
            done += 1
    return outcome


def _count(outcome: Outcome, report: dict[str, object], usual: int) -> None:
    above = int(report["peak_mb"]) - usual
    kind = str(report["outcome"]) if above <= MEMORY_MB else "memory"
    outcome.counts[kind] += 1
    outcome.seconds = max(outcome.seconds, float(report["seconds"]))
    outcome.peak_mb = max(outcome.peak_mb, above)
    if kind not in GOOD:
        outcome.faults.append(report)


def _work(name: str, seed: int, first: int, count: int) -> tuple[list[dict[str, object]], int]:
    with tempfile.TemporaryDirectory() as folder:
        paths = os.pathsep.join([str(TESTS), str(TESTS.parent), os.environ.get("PYTHONPATH", "")])
        worker = subprocess.run(
            [sys.executable, "-m", "fuzz.worker", name, str(seed), str(first), str(count), folder, str(SECONDS)],
            env={**os.environ, "PYTHONPATH": paths, "RESNET50_CACHE": f"{folder}/cache", "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [json.loads(line) for line in worker.stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"the worker did not begin: {worker.stderr[-2000:]}")
    return lines[1:], worker.returncode
