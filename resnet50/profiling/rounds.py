"""Measure contenders side by side, in interleaved rounds, so that other work on the machine affects all alike.

Where the load of the machine changes, two rates that are measured one after the other say little about their ratio.
Here each contender has a process of its own, is warmed up and waits for its turn. A ratio is the median over
the rounds.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from resnet50._io.fetch import Progress

Work = Callable[[], Mapping[str, float]]
"""What a contender does in a round; it returns its metrics by name, each a number."""


@dataclass(frozen=True)
class Measurement:
    """The metrics of a contender.

    Attributes:
        name: The contender.
        values: For each metric, such as ``images_per_second``, its value in every round.
        peak_mib: Peak memory of its process, in MiB.
    """

    name: str
    values: Mapping[str, tuple[float, ...]]
    peak_mib: float

    def median(self, metric: str) -> float:
        """Return the median of a metric over the rounds."""
        return median(self.values[metric])

    def ratio(self, other: Measurement, metric: str) -> float:
        """Return the median over the rounds of this contender's metric divided by the other's in the same round."""
        return median(a / b for a, b in zip(self.values[metric], other.values[metric], strict=True))

    def summary(self) -> dict[str, Any]:
        """Return median, minimum, maximum and number of rounds of each metric, and the peak memory, ready for JSON."""
        metrics = {
            # "turns" is the name in the stored results
            metric: {"median": median(values), "min": min(values), "max": max(values), "turns": len(values)}
            for metric, values in self.values.items()
        }
        return {**metrics, "peak_mib": self.peak_mib}


def run_rounds(
    contenders: Mapping[str, Sequence[str]], *, rounds: int, progress: Progress | None = None
) -> dict[str, Measurement]:
    """Measure contenders in interleaved rounds: in each round, one after the other works once.

    Args:
        contenders: By name, the command of a process that calls `serve`.
        rounds: Number of rounds, after one that warms up and is not counted.
        progress: Called after each contender's turn with the number of turns done and their total.

    Returns:
        The measurements by name, in the same order.

    Raises:
        ValueError: If ``rounds`` is not positive, or a process ends early; the error quotes its last line of output.
    """
    if rounds < 1:
        raise ValueError(f"expected rounds to be at least 1, got {rounds}.")
    answers: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_Worker(name, command)) for name, command in contenders.items()}
        for number in range(rounds + 1):
            for position, (name, worker) in enumerate(workers.items(), 1):
                answers[name].append(worker.ask())
                if progress is not None:
                    progress(number * len(workers) + position, (rounds + 1) * len(workers))
    measurements = {}
    for name, metrics in answers.items():
        peak = max(each.pop("peak_mib") for each in metrics)
        values = {metric: tuple(each[metric] for each in metrics[1:]) for metric in metrics[0]}
        measurements[name] = Measurement(name, values, peak)
    return measurements


def serve(prepare: Callable[[], Work]) -> None:
    """Be a contender: prepare, then work one round for every line on standard input, until it ends.

    The metrics of a round go to standard output as a line of JSON; any other output of the process goes to standard
    error.

    Args:
        prepare: Called once; builds the contender and returns its work.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    work = prepare()
    for _ in sys.stdin:
        answers.write(json.dumps({**work(), "peak_mib": _peak_mib()}) + "\n")
        answers.flush()


class _Worker:
    """The process of a contender."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self._name = name
        # quiet, and not reserving all memory of a GPU, which several processes share here
        defaults = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        # a file, since a pipe that nobody reads would fill up
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115 - closed with the worker
        self._process: Any = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            encoding="utf-8",
            env=defaults | os.environ,
        )

    def __enter__(self) -> _Worker:
        return self

    def ask(self) -> dict[str, float]:
        """Start a round, wait for it, and return its metrics."""
        answer = ""
        with suppress(OSError):  # it has ended: a broken pipe, or an invalid argument on Windows
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            self._process.wait()
            self._errors.seek(0)
            lines = [line for line in self._errors.readlines() if line.strip()]
            last = lines[-1].rstrip("\n") if lines else "nothing"
            raise ValueError(f"{self._name}: cannot be measured, since its process ended and printed {last!r}.")
        return json.loads(answer)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()


def _peak_mib() -> float:
    """Return the peak memory of this process in MiB."""
    if sys.platform == "win32":
        return _peak_on_windows()
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        import resource

        scale = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10


def _peak_on_windows() -> float:
    """Return the peak memory of this process in MiB.

    Source: GetProcessMemoryInfo and PROCESS_MEMORY_COUNTERS of the Windows API.
    """
    sizes = (
        "peak",
        "now",
        "peak_paged_pool",
        "paged_pool",
        "peak_other_pool",
        "other_pool",
        "pagefile",
        "peak_pagefile",
    )

    class Counters(ctypes.Structure):
        _fields_ = (
            ("cb", ctypes.c_uint32), ("faults", ctypes.c_uint32), *((size, ctypes.c_size_t) for size in sizes),
        )  # fmt: skip

    counters = Counters(cb=ctypes.sizeof(Counters))
    kernel: Any = ctypes.windll.kernel32  # type: ignore[attr-defined]
    kernel.GetCurrentProcess.restype = ctypes.c_void_p
    kernel.K32GetProcessMemoryInfo(ctypes.c_void_p(kernel.GetCurrentProcess()), ctypes.byref(counters), counters.cb)
    return counters.peak / 2**20
