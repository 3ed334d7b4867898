"""The parts of pages that are made from ``benchmarks/results/``, a file for each table."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from generators import tables
from generators.markdown import unbroken
from generators.summary import readme_results

DOUBT = [f"doubt-{task}" for task in tables.DOUBT]

TABLES: dict[str, tuple[Callable[..., str], list[str]]] = {
    "accuracy-rendered-signs": (tables.accuracy, ["accuracy-rendered-signs"]),
    "accuracy-signs": (tables.accuracy, ["accuracy-signs"]),
    "batches": (tables.batches, ["batches"]),
    "check-signs": (tables.check_signs, ["check-signs"]),
    "cold-start": (tables.cold_start, ["predicting-224"]),
    "doubt-coverage": (tables.doubt_coverage, DOUBT),
    "doubt-near-misses": (tables.doubt_near_misses, DOUBT),
    "doubt-strangers": (tables.doubt_strangers, DOUBT),
    "doubt-temperature": (tables.doubt_temperature, DOUBT),
    "feeding": (tables.feeding, ["feeding"]),
    "first-call": (tables.first_call, ["first-call"]),
    "first-classifier": (tables.first_classifier, ["first-classifier"]),
    "fine-tuning": (tables.fine_tuning, [f"fine-tuning-{task}" for task in tables.BESIDE_OTHERS]),
    "growth": (tables.growth, ["growth"]),
    "int8-agreement": (tables.int8_agreement, ["predicting-64", "predicting-224"]),
    "label-errors": (tables.label_errors, [f"label-errors-{task}" for task in tables.FINE_TUNED]),
    "many-images": (tables.many_images, ["large-sets"]),
    "many-records": (tables.many_records, ["large-sets"]),
    "pack": (tables.pack, ["pack"]),
    "pack-memory": (tables.pack_memory, ["pack-memory"]),
    "predicting-224": (tables.predicting, ["predicting-224"]),
    "predicting-64": (tables.predicting, ["predicting-64"]),
    "probe-trials": (tables.probe_trials, [f"probe-trials-{task}" for task in tables.PROBED]),
    "published-on-shards": (tables.published_on_shards, ["published-on-shards"]),
    "reading": (tables.reading, ["reading"]),
    "same-network": (tables.same_network, ["same-network"]),
    "serving": (tables.serving, ["serving"]),
    "serving-faults": (tables.serving_faults, ["serving-faults"]),
    "similarity-rocks": (tables.similarity, ["similarity-rocks"]),
    "similarity-rocks-tuned": (tables.similarity, ["similarity-rocks-tuned"]),
    "step-profile": (tables.step_profile, ["step-profile"]),
    "suggest": (tables.suggested, [f"suggest-{task}" for task in tables.SUGGESTED]),
    "tasks": (tables.tasks, [f"tasks-{task}" for task in tables.TASKS]),
    "training": (tables.training, ["training"]),
    "transfer-signs": (tables.transfer, ["transfer-signs"]),
    "whole-run": (tables.whole_run, ["whole-run"]),
}
"""For each fragment, its table and the files that the table is made from."""


def load_results(folder: Path) -> dict[str, Any]:
    """Return the contents of all result files of a folder, by their names without ``.json``."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))}


def write_fragments(results: Path, folder: Path) -> None:
    """Write every table into a file of its own, for pages to include.

    Args:
        results: Folder of the result files.
        folder: Folder to write to.
    """
    contents = load_results(results)
    parts = {name: function(*(contents[file] for file in files)) for name, (function, files) in TABLES.items()}
    for name, text in {**parts, "readme_results": readme_results(contents)}.items():
        folder.joinpath(f"{name}.md").write_text(unbroken(text), encoding="utf-8")
