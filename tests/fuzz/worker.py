"""Read damaged files in a process of its own, whose end, whatever it is, says something about the reader.

Usage: python -m fuzz.worker SUBJECT SEED FIRST COUNT FOLDER LIMIT, with tests/ in PYTHONPATH. It prints a line of JSON
for each case.
"""

from __future__ import annotations

import faulthandler
import json
import shutil
import sys
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np

from fuzz.mutations import mutate
from fuzz.subjects import SUBJECTS, Subject

LONGEST = 2000  # characters of a message


def main() -> None:
    name, folder, limit = sys.argv[1], Path(sys.argv[5]), float(sys.argv[6])
    seed, first, count = map(int, sys.argv[2:5])
    warnings.simplefilter("ignore")
    subject, intact = SUBJECTS[name], folder / "intact"
    intact.mkdir(parents=True)
    path = subject.write(intact).relative_to(intact)
    expected = subject.read(intact / path)
    _report(case=-1)
    for case in range(first, first + count):
        damaged = folder / "damaged"
        shutil.copytree(intact, damaged)
        about = _damage(damaged, path, np.random.default_rng((seed, case)))
        faulthandler.dump_traceback_later(limit, exit=True)  # a reader that loops in C cannot be interrupted otherwise
        _restart_peak()
        began = time.monotonic()
        outcome, message = _outcome(subject, damaged / path, expected)
        seconds = round(time.monotonic() - began, 3)
        faulthandler.cancel_dump_traceback_later()
        _report(case=case, **about, outcome=outcome, message=message, seconds=seconds, peak_mb=_peak())
        shutil.rmtree(damaged)


def _damage(folder: Path, path: Path, rng: np.random.Generator) -> dict[str, str]:
    """Damage the file at the path, or one in the folder there; return which and how."""
    files = [folder / path]
    if files[0].is_dir():
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file.stat().st_size)
    file = files[int(rng.integers(len(files)))]
    content, how = mutate(file.read_bytes(), rng)
    file.write_bytes(content)
    return {"file": file.name, "how": how}


def _outcome(subject: Subject, path: Path, expected: object) -> tuple[str, str]:
    try:
        found = subject.read(path)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
        if not message or len(message) > LONGEST or not message.isprintable():
            return "bad message", repr(message[:LONGEST])
        return "refused", message
    except Exception as error:
        return "other error", f"{type(error).__name__}: {error}"[:LONGEST]
    if found == expected:
        return "same", ""
    return ("wrong" if subject.checked else "other"), ""


def _restart_peak() -> None:
    """Begin to measure the most memory anew, where the system can."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak() -> int:
    """Return the most memory since then in MB, or 0 where it cannot be measured."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _report(**values: object) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
