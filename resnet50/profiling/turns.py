"""Side by side: contenders in processes of their own take turns, so that what else a machine does falls on all alike.

Two rates that are measured one after the other say little of their ratio where other work comes and goes. Here each
contender is warm and waits for its turn, and a ratio is the median of those of the single turns.
"""

from __future__ import annotations

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

Turn = Callable[[], Mapping[str, float]]
"""Works for a while and returns what was measured, each a number of which more or less is better."""


@dataclass(frozen=True)
class Measured:
    """What a contender's turns gave.

    Attributes:
        name: The contender.
        values: For each figure, such as ``images_per_second``, its value in every turn.
        peak_mib: Most memory that its process held, in MiB.
    """

    name: str
    values: Mapping[str, tuple[float, ...]]
    peak_mib: float

    def median(self, figure: str) -> float:
        """Return the median of a figure over the turns."""
        return median(self.values[figure])

    def over(self, other: Measured, figure: str) -> float:
        """Return the median ratio of a figure to the other's in the same turn."""
        return median(a / b for a, b in zip(self.values[figure], other.values[figure], strict=True))

    def summary(self) -> dict[str, Any]:
        """Return it as plain values: median, least, greatest and number of turns of each figure, and the memory."""
        told = {
            figure: {"median": median(values), "min": min(values), "max": max(values), "turns": len(values)}
            for figure, values in self.values.items()
        }
        return {**told, "peak_mib": self.peak_mib}


def take_turns(
    contenders: Mapping[str, Sequence[str]], *, turns: int, progress: Progress | None = None
) -> dict[str, Measured]:
    """Let contenders work in turn.

    Args:
        contenders: By name, the words of a command whose process calls `serve`.
        turns: How often each works, after a turn that warms it up and is not counted.
        progress: Called with the turns that are over and their number.

    Returns:
        What was measured, by name, in the same order.

    Raises:
        ValueError: If there is no turn, or a contender's process ends before it should; its last words are told.
    """
    if turns < 1:
        raise ValueError(f"turns must be at least 1, got {turns}.")
    told: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_Worker(name, words)) for name, words in contenders.items()}
        for turn in range(turns + 1):
            for place, (name, worker) in enumerate(workers.items(), 1):
                told[name].append(worker.ask())
                if progress is not None:
                    progress(turn * len(workers) + place, (turns + 1) * len(workers))
    measured = {}
    for name, answers in told.items():
        peak = max(answer.pop("peak_mib") for answer in answers)
        figures = {figure: tuple(answer[figure] for answer in answers[1:]) for figure in answers[0]}
        measured[name] = Measured(name, figures, peak)
    return measured


def serve(prepare: Callable[[], Turn]) -> None:
    """Be a contender: get ready, and work a turn for every line that comes in, until there are no more.

    What is measured goes to standard output, a line of JSON a turn; whatever else prints there goes to standard error.

    Args:
        prepare: Called once; builds what is measured and returns the turn.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    turn = prepare()
    for _ in sys.stdin:
        answers.write(json.dumps({**turn(), "peak_mib": _peak_mib()}) + "\n")
        answers.flush()


class _Worker:
    """A contender's process."""

    def __init__(self, name: str, words: Sequence[str]) -> None:
        self._name = name
        # quiet, and on a GPU not each with all of its memory
        usual = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        }
        # a pipe that nobody reads would fill up
        self._said = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - closed with the worker
        self._process: Any = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True, env=usual | os.environ
        )

    def __enter__(self) -> _Worker:
        return self

    def ask(self) -> dict[str, float]:
        """Have it work a turn."""
        told = ""
        with suppress(BrokenPipeError):  # it has ended
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            told = self._process.stdout.readline()
        if not told:
            self._process.wait()
            self._said.seek(0)
            last = next((line for line in reversed(self._said.readlines()) if line.strip()), "nothing").rstrip("\n")
            raise ValueError(f"{self._name} cannot be measured: its process ended and said {last!r}.")
        return json.loads(told)

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()


def _peak_mib() -> float:
    """Return the most memory that this process has held."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:  # not Linux
        import resource

        scale = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**10
