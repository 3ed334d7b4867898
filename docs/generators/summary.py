"""The table of results in ``README.md``: a row for each thing that practitioners and students care about."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean

from generators.markdown import count, percent, percents, span, table
from generators.tables import FINE_TUNED, PEER, File, by_contender


def readme_results(results: Mapping[str, File], folder: str = "") -> str:
    """Return the table of results of the README: what practitioners and students care about.

    Args:
        results: Contents of the result files, by their names.
        folder: Where links find the files, such as ``"benchmarks/results/"``; without it, there are no links.

    Returns:
        The table, of at most six rows.
    """
    rows = [
        fine_tuning_row(results),
        *accuracy_rows(results),
        training_row(results["training"]),
        *prediction_rows(results["predicting-224"]),
    ]
    header = ["", "this library", "compared with"]
    if not folder:
        return table(header, [row for *row, _ in rows])
    links = [", ".join(f"[{file}]({folder}{file}.json)" for file in files) for *_, files in rows]
    return table([*header, "evidence"], [[*row, link] for (*row, _), link in zip(rows, links, strict=True)])


def accuracy_rows(results: Mapping[str, File]) -> list[tuple[str, str, str, list[str]]]:
    """Return the rows of accuracy: what, ours, the other, and the files."""
    few, signs = results["transfer-signs"], results["accuracy-signs"]
    best, scratch = (percents(few["ways"][way]["accuracies"]) for way in ("all layers at once", "from scratch"))
    return [
        ("Hand signs from 60 photos, pretrained on drawn hands", best, f"from scratch: {scratch}", ["transfer-signs"]),
        (
            "Hand signs from 1080 photos, from scratch",
            percents([run["accuracy"] for run in signs["runs"]]),
            f"ridge regression on the pixels: {percent(signs['linear_classifier'])}",
            ["accuracy-signs"],
        ),
    ]


def fine_tuning_row(results: Mapping[str, File]) -> tuple[str, str, str, list[str]]:
    """Return the row of fine-tuning: mean accuracies of the tasks, and the time of the shortest and the longest run.

    The tasks are those of which a linear probe has as many seeds as ours; others take too long for as many.
    """
    runs = {task: by_contender(results[f"fine-tuning-{task}"]) for task in FINE_TUNED}
    most = max(len(each["ours"]) for each in runs.values())
    tasks = [task for task, each in runs.items() if most == len(each["ours"]) == len(each.get("probe", ()))]

    def reached(contender: str) -> str:
        accuracies = ", ".join(percent(mean(run["test_accuracy"] for run in runs[task][contender])) for task in tasks)
        return f"{accuracies}, in {span((run['seconds'] for task in tasks for run in runs[task][contender]), 's')}"

    return (
        f"Fine-tuned, {count(most, 'seed')}: {', '.join(FINE_TUNED[task] for task in tasks)}",
        reached("ours"),
        f"linear probe in PyTorch: {reached('probe')}",
        [f"fine-tuning-{task}" for task in tasks],
    )


def training_row(result: File) -> tuple[str, str, str, list[str]]:
    """Return the row of training speed."""
    measured = [each["settings"]["224"]["ours_over"] for each in result["sessions"] if "224" in each["settings"]]
    keras, torch = (span(each[name] for each in measured) for name in (PEER, "PyTorch bfloat16"))
    return (
        f"Training step at 224 pixels, two cores ({count(len(measured), 'session')})",
        f"{keras} times and {torch} times as fast",
        "`keras.applications` in float32 and PyTorch in bfloat16",
        ["training"],
    )


def prediction_rows(result: File) -> list[tuple[str, str, str, list[str]]]:
    """Return the rows of prediction, of the model as it was trained: latency of an image, and the whole command."""
    ours = "the .keras file"
    formats = [each["formats"] for each in result["sessions"] if ours in each["formats"]]
    number = count(len(formats), "session")

    def latency(name: str) -> str:
        return span((each[name]["latency_p50_ms"]["median"] for each in formats), "ms")

    def start(name: str) -> str:
        return span((each[name]["cold_start"]["seconds"] for each in formats), "s")

    return [
        (f"{words} ({number})", measured(ours), f"`keras.applications`: {measured(PEER)}", ["predicting-224"])
        for words, measured in (
            ("One image at 224 pixels, as trained", latency),
            ("`resnet50 predict photo.jpg`, as trained", start),
        )
    ]
