"""Fuzz every reader at length, and write what came of it.

Usage, in the root of the repository: PYTHONPATH=tests python -m fuzz --cases 2000
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from fuzz.campaign import GOOD, fuzz
from fuzz.subjects import SUBJECTS

OUT = Path("benchmarks/results/fuzz.json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description="Fuzz the readers of files.")
    parser.add_argument("names", nargs="*", metavar="READER", help=f"Default: all of {', '.join(SUBJECTS)}.")
    parser.add_argument("--cases", type=int, default=2000, help="Damaged files for each reader. Default: 2000.")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the damage. Default: 0.")
    parser.add_argument("--out", type=Path, default=OUT, help=f"Result file. Default: {OUT}.")
    options = parser.parse_args()
    result: dict[str, object] = {"command": f"python -m fuzz --cases {options.cases} --seed {options.seed}"}
    readers: dict[str, dict[str, object]] = {}
    faults = 0
    for name in options.names or SUBJECTS:
        outcome = fuzz(name, cases=options.cases, seed=options.seed)
        faults += len(outcome.faults)
        readers[name] = {
            **{kind: outcome.counts[kind] for kind in GOOD},
            "faults": len(outcome.faults),
            "longest_seconds": outcome.seconds,
            "most_memory_mb": outcome.peak_mb,
        }
        print(f"{name:20} {readers[name]}", flush=True)
        for fault in outcome.faults[:10]:
            print(f"    {fault}", flush=True)
        options.out.write_text(json.dumps({**result, "readers": readers}, indent=2) + "\n", encoding="utf-8")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
