"""Tables of the performance pages, one function for each, from the contents of files in ``benchmarks/results/``.

A file of speed holds sessions: a table shows the range over them. A file of accuracy holds seeds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from math import sqrt
from statistics import mean, stdev
from typing import Any

from generators.markdown import count, percent, percents, span, table

File = Mapping[str, Any]
"""The content of a result file."""

SETTINGS = {"224": "224 x 224 pixels, batch size 16", "64": "64 x 64 pixels, batch size 32"}
"""What `training` and `step_profile` measure, by the name in their files."""

MEASURES = ("precision at n", "average precision")
"""Measures of a ranking in the files of `label_errors`."""

KERAS = "keras.applications"
PEER = f"{KERAS} float32"

FINE_TUNED = {
    "cats-dogs": "cats and dogs",
    "leukemia": "leukemia",
    "caltech101": "a part of Caltech-101",
    "rocks": "rocks",
}
"""Names of tasks that are fine-tuned, by the names of their files."""

PROBED = ("cats-dogs", "leukemia", "rocks")
"""Tasks in the table of what helps a linear probe."""

WITH_SIGNS = FINE_TUNED | {"signs": "SIGNS"}
"""These and SIGNS, whose recipe begins with random weights."""

BESIDE_OTHERS = WITH_SIGNS | {"cifar10": "a part of CIFAR-10"}
"""Tasks in the table of fine-tuning."""

CONTENDERS = {
    "ours": "`resnet50 train`",
    "folder": "`resnet50 train`, as images of your own",
    "thorough": "`resnet50 train --thorough`",
    "probe": "features and logistic regression, PyTorch",
    "fastai": "fastai, `fine_tune`",
    "timm": "timm",
    "classic": "the public project's setting",
}
"""What stands beside what in the table of fine-tuning."""

TASKS = {
    "leukemia": "leukemia",
    "cats-dogs": "cats and dogs",
    "caltech101": "a part of Caltech-101",
    "rocks": "rocks",
    "cifar10": "a part of CIFAR-10",
}
"""Names of tasks in tables, by the names of their files."""


def sessions(result: File) -> str:
    """Return a list of the sessions: day, machine, load, versions, commit, and a note where there is one."""
    lines = []
    for each in result["sessions"]:
        machine, versions = each["machine"], each["versions"]
        software = {**{name: versions[name] for name in ("keras", each["backend"])}, **each.get("peers", {})}
        software |= each.get("runtimes", {})
        commit, changed, _ = (each["commit"] or "unknown").partition("-dirty")
        words = [
            f"{machine['processor']}, {count(machine['threads'], 'thread')}",
            *([f"load {each['load']:.1f}"] if "load" in each else []),
            *(f"{name} {version}" for name, version in software.items()),
            f"commit `{commit[:7]}{changed}`",
            *([each["note"]] if "note" in each else []),
        ]
        lines.append(f"- {each['date']}: {', '.join(words)}\n")
    return f"\n{count(len(lines), 'session').capitalize()}:\n\n{''.join(lines)}"


def training(result: File) -> str:
    """Return the speed and memory of a training step, a table for each setting."""
    parts = []
    for setting, words in SETTINGS.items():
        measured = [each["settings"][setting] for each in result["sessions"] if setting in each["settings"]]
        rows = []
        for name in dict.fromkeys(name for each in measured for name in each["ours_over"]):
            having = [each for each in measured if name in each["ours_over"]]  # later sessions have more contenders
            ratios = [each["ours_over"][name] for each in having]
            fastest = [fastest_round(each["ours"]) / fastest_round(each[name]) for each in having]
            rows.append([name, *rate_and_memory(having, name), span(ratios), span(fastest)])
        rows.insert(0, ["ours", *rate_and_memory(measured, "ours"), "", ""])
        header = ["", "images/s", "memory, MiB", "ratio", "ratio of the fastest"]
        parts.append(f"**{words}**, {count(len(measured), 'session')}:\n\n{table(header, rows)}")
    return "\n".join(parts) + sessions(result)


def rate_and_memory(measured: Iterable[File], name: str) -> tuple[str, str]:
    """Return a contender's images per second and peak memory."""
    each = [session[name] for session in measured]
    return span(one["images_per_second"]["median"] for one in each), memory(one["peak_mib"] for one in each)


def memory(mib: Iterable[float]) -> str:
    """Return the range of peak memory in MiB, which varies less than time."""
    return span(mib, digits=3)


def fastest_round(contender: File) -> float:
    """Return the images per second of a contender's fastest round."""
    return contender["images_per_second"]["max"]


def step_profile(result: File) -> str:
    """Return the milliseconds of a training step by operation, a table for each setting."""
    parts = []
    for setting, words in SETTINGS.items():
        measured = [each["settings"][setting] for each in result["sessions"]]
        names = list(measured[0])
        operations = [name for name in measured[0][names[0]] if name != "step"]
        rows = [
            [operation, *(span(each[name][operation] for each in measured) for name in names)]
            for operation in operations
        ]
        rows.append(["**the whole step**", *(span(each[name]["step"] for each in measured) for name in names)])
        parts.append(f"**{words}**, milliseconds:\n\n{table(['', *names], rows)}\n")
    peaks = [each["billions of operations a second in bfloat16 products"] for each in result["sessions"]]
    best = ", ".join(f"{span(peak[name] for peak in peaks)} by {name}" for name in peaks[0])
    return (
        "".join(parts)
        + f"Fastest bfloat16 matrix product, billions of operations per second: {best}.\n"
        + sessions(result)
    )


def whole_run(result: File) -> str:
    """Return the time of a whole run on SIGNS."""
    rows = []
    for name in result["sessions"][0]["runs"]:
        runs = [run for each in result["sessions"] for run in each["runs"][name]]
        accuracies = [run["validation_accuracy"] for run in runs if "validation_accuracy" in run]
        rows.append(
            [
                name,
                span(run["seconds"] for run in runs),
                span(run["epoch_seconds"] for run in runs),
                span(run["images_per_second"] for run in runs),
                memory(run["peak_mib"] for run in runs),
                " and ".join(map(percent, accuracies)) or "not scored",
            ]
        )
    header = ["", "run, s", "epoch, s", "images/s", "memory, MiB", "held-out accuracy"]
    ratios = [each["ours_over_keras_applications"] for each in result["sessions"]]
    faster = span([ratio[end] for ratio in ratios for end in ("min", "max")], "times")
    rounds = sum(len(each["runs"]["ours"]) for each in result["sessions"])
    sentence = f"Ours trains on {faster} as many images per second ({count(rounds, 'round')})."
    return f"{table(header, rows)}\n{sentence}\n{sessions(result)}"


def predicting(result: File) -> str:
    """Return speed, latency and memory of every export, beside keras.applications."""
    rows = []
    for name in latest(result)["formats"]:
        measured = exports(result, name)
        rows.append(
            [
                name,
                span(each["images_per_second"]["median"] for each in measured),
                "1" if name == PEER else span(each["over_keras_applications"] for each in measured),
                *(span(each[f"latency_{quantile}_ms"]["median"] for each in measured) for quantile in ("p50", "p99")),
                memory(each["peak_mib"] for each in measured),
                span(having) if (having := [each["megabytes"] for each in measured if "megabytes" in each]) else "",
            ]
        )
    return table(["", "images/s", "ratio", "p50, ms", "p99, ms", "memory, MiB", "size, MB"], rows) + sessions(result)


def exports(result: File, name: str) -> list[File]:
    """Return what each session measured of an export, without the sessions that did not measure it."""
    return [each["formats"][name] for each in result["sessions"] if name in each["formats"]]


def latest(result: File) -> File:
    """Return the last session."""
    return result["sessions"][-1]


def cold_start(result: File) -> str:
    """Return the time and memory of a whole command that classifies one photo."""
    starts = {
        name: [each["cold_start"] for each in exports(result, name) if "cold_start" in each]
        for name in latest(result)["formats"]
    }
    rows = [
        [name, span(each["seconds"] for each in own), memory(each["peak_mib"] for each in own)]
        for name, own in starts.items()
        if own
    ]
    return table(["", "seconds", "memory, MiB"], rows) + sessions(result)


def first_call(result: File) -> str:
    """Return the time and memory of the first command with a model and of the second, in every round."""
    rows = []
    for name in latest(result)["rounds"]:
        calls = [call for each in result["sessions"] for call in each["rounds"][name]]
        rows.append([name, span(call["seconds"] for call in calls), memory(call["peak_mib"] for call in calls)])
    return table(["", "seconds", "memory, MiB"], rows) + sessions(result)


def int8_agreement(*results: File) -> str:
    """Return how often an int8 export predicts the class that its model predicts, a column for each file."""
    header = ["", *(result["what"].split(" pixels")[0] + " pixels" for result in results)]
    names = [name for name in latest(results[0])["formats"] if name.endswith("int8")]
    rows = []
    for name in names:
        shares = [[each["agreement"] for each in exports(result, name)] for result in results]
        rows.append([name, *(" to ".join(dict.fromkeys(map(percent, (min(each), max(each))))) for each in shares)])
    return table(header, rows)


def reading(result: File) -> str:
    """Return how fast large photos are read and predicted."""
    ways = {"network": "prediction alone", "one_after_the_other": "the sum of both times", "both": "photos from files"}
    rows = [["reading alone", span(each["reading"] for each in result["sessions"]), ""]]
    for model in latest(result)["models"]:
        measured = [each["models"][model] for each in result["sessions"] if model in each["models"]]
        for way, words in ways.items():
            ratio = span(each["both_over_keras"] for each in measured) if way == "both" else ""
            rows.append([f"{model}: {words}", span(each[way] for each in measured), ratio])
    rows.append([f"{KERAS}: photos from files", span(each[KERAS] for each in result["sessions"]), "1"])
    return table(["", "images/s", "ratio"], rows) + sessions(result)


def serving(result: File) -> str:
    """Return how fast servers answer, and what they take: the latest session."""
    last = latest(result)
    numbers = list(dict.fromkeys(number for server in last["servers"].values() for number in server["clients"]))
    rows = [
        [
            name,
            *(
                _rate_and_latency(server["clients"][number]) if number in server["clients"] else ""
                for number in numbers
            ),
            span([server["start_seconds"]]),
            memory([server["memory_mib"]]),
            percent(server["others"]),
        ]
        for name, server in last["servers"].items()
    ]
    header = ["", *(count(int(number), "client") for number in numbers), "start, s", "memory, MiB", "others"]
    return table(header, rows) + sessions({"sessions": [last]})


def _rate_and_latency(measured: File | None) -> str:
    if measured is None:
        return ""
    failed = f"; {measured['failed']:,} failed" if measured["failed"] else ""
    return (
        f"{span([measured['requests_per_second']['median']], digits=3)}; "
        f"{span([measured['p50_ms']])}, {span([measured['p99_ms']])} ms{failed}"
    )


def serving_faults(result: File) -> str:
    """Return what became of requests under faults: the latest session."""
    last = latest(result)
    damaged, killed, overload, slow = (last[name] for name in ("mutated", "killed", "overload", "slow"))
    statuses: Counter[str] = Counter()
    for answers in damaged["answers"].values():
        statuses.update(answers)
    refused = sum(number for status, number in statuses.items() if "400" <= status < "500")
    wrong = sum(number for status, number in statuses.items() if status >= "500")
    other = overload.get("failed", {})
    rows = [
        [
            f"{damaged['requests']:,} damaged requests",
            f"{refused:,} refused (4xx), {statuses['200']:,} still readable, {statuses['0']:,} closed as no HTTP, "
            f"{wrong:,} errors of the server; the longest took {damaged['longest_seconds']:.1f} s",
        ],
        [
            f"{killed['kills']} replicas killed, one after the other, under 16 clients",
            f"{killed['requests']:,} requests answered, {killed['lost']:,} lost",
        ],
        [
            f"{overload['clients']:,} clients at a time",
            f"{overload['requests']:,} answered, {other.get('503', 0):,} refused (503), {other.get('504', 0):,} too "
            f"late (504); p99 {overload['p99_ms'] / 1000:.1f} s",
        ],
        [
            f"{slow['connections']:,} connections that send a byte each half second, beside 8 clients",
            f"{slow['given_up']:,} given up; {slow['requests']:,} requests of the 8 answered, "
            f"p99 {slow['p99_ms']:.0f} ms",
        ],
    ]
    return table(["fault", "what became of it"], rows) + sessions({"sessions": [last]})


def pack(result: File) -> str:
    """Return how fast a folder is packed and then read."""
    ways = {
        "pack": ("`pack`, once", ""),
        "keras_one_pass": ("`image_dataset_from_directory`, one pass", "pack_over_keras_one_pass"),
        "second_start": ("a later start, from the cache", ""),
        "epoch_packed": ("an epoch of the packed file", ""),
        "epoch_keras_uncached": ("an epoch of `image_dataset_from_directory`", "epoch_over_keras_uncached"),
        "epoch_keras_cached": ("the same, cached in memory", "epoch_over_keras_cached"),
    }
    return rates(result, ways) + sessions(result)


def pack_memory(result: File) -> str:
    """Return time and memory of packing many images."""
    rows = []
    for index, run in enumerate(latest(result)["runs"]):
        runs = [each["runs"][index] for each in result["sessions"]]
        rows.append(
            [
                f"{run['images']:,}",
                span(each["seconds"] for each in runs),
                *(
                    span((each[key] for each in runs), digits=3)
                    for key in ("peak_megabytes_once_listed", "peak_megabytes", "file_megabytes")
                ),
            ]
        )
    return table(["images", "seconds", "memory once listed, MB", "memory, MB", "file, MB"], rows) + sessions(result)


STEPS = {
    "a first batch of 256, with the order of the epoch": ("batch", "first_seconds"),
    "each further batch": ("batch", "seconds"),
    "a stratified cut in 1,000 classes": ("cut", "seconds"),
    "five folds": ("folds", "seconds"),
    "near-duplicates; of more than 200,000 images, identical ones": ("copies", "seconds"),
    "`report.json`, of 20,000 images at most": ("report", "seconds"),
    "a start on packed records": ("start", "seconds"),
}
"""What is measured by the number of images, and where the file has its time."""


def many_images(result: File) -> str:
    """Return time and memory of steps that depend on the number of images, not on their pixels."""
    measured = [each for each in result["sessions"] if "start" in each]
    counts = [run["images"] for run in measured[0]["start"]]
    measured = [each for each in measured if [run["images"] for run in each["start"]] == counts]
    rows = []
    for words, (step, seconds) in STEPS.items():
        cells = []
        for index in range(len(counts)):
            runs = [each[step][index] for each in measured]
            more = span(max(run["more_mib"], 1) for run in runs)
            cells.append(f"{_duration([run[seconds] for run in runs])}, {more} MiB")
        rows.append([words, *cells])
    return table(["", *(f"{number:,} images" for number in counts)], rows) + sessions({"sessions": measured})


def _duration(seconds: list[float]) -> str:
    """Return the range of times, in milliseconds where all are below a second."""
    return span(seconds, "s") if max(seconds) >= 1 else span((1000 * each for each in seconds), "ms")


def many_records(result: File) -> str:
    """Return time and memory of packing tiny images and reading them as a training does."""
    measured = [each for each in result["sessions"] if "pack" in each]
    packed, read = ([each[step][0] for each in measured] for step in ("pack", "epoch"))
    searched = [each for each in result["sessions"] if "indexed" in each]
    found = [run for each in searched for run in each["indexed"]]
    rows = [
        [
            "packing, with the search for near-duplicates",
            *_time_and_rate(packed, "images"),
            memory(run["peak_mib"] for run in packed),
        ],
        ["a start, up to the first batch", span((run["start_seconds"] for run in read), "s"), "", ""],
        ["an epoch of random-resized crops", *_time_and_rate(read, "read"), memory(run["peak_mib"] for run in read)],
    ]
    for images in sorted({run["images"] for run in found}):
        runs = [run for run in found if run["images"] == images]
        name = f"near-duplicates of {images:,} images, by an index"
        rows.append([name, *_time_and_rate(runs, "images"), memory(run["peak_mib"] for run in runs)])
    title = f"{packed[0]['images']:,} images"
    return table([title, "time", "images/s", "memory, MiB"], rows) + sessions({"sessions": measured + searched})


def _time_and_rate(runs: list[File], number: str) -> tuple[str, str]:
    """Return the seconds of runs, and their images per second."""
    return span((run["seconds"] for run in runs), "s"), span(run[number] / run["seconds"] for run in runs)


FED = ("one_thread", "all_threads", "lock_share", "mixing_ms")


def feeding(result: File) -> str:
    """Return how fast threads make batches of records, and how many of them the interpreter lock lets work at once."""
    most = max(each["threads"] for each in result["sessions"])
    rows = []
    for recipe in result["sessions"][0]["recipes"]:
        runs = [each["recipes"][recipe] for each in result["sessions"]]
        one, all_threads, shares, mixing = ([value for run in runs for value in run[key]] for key in FED)
        held = span([100 * share for share in shares], "%")
        took = span(mixing, "ms") if any(mixing) else ""
        rows.append([f"`{recipe}`", span(one, "/s"), span(all_threads, "/s"), held, took])
    return table(["recipe", "1 thread", f"{most} threads", "lock held", "mixing"], rows) + sessions(result)


def batches(result: File) -> str:
    """Return how fast augmented batches are made."""
    ways = {
        "batches": ("our batches", ""),
        "keras_layers": ("Keras' preprocessing layers in tf.data", "batches_over_keras_layers"),
        "training_step": ("a training step, which uses them", "batches_over_training_step"),
    }
    return rates(result, ways) + sessions(result)


def rates(result: File, ways: Mapping[str, tuple[str, str]]) -> str:
    """Return a table of ways to read: each with its words and, where there is one, the key of our ratio over it."""
    rows = []
    for name, (words, ratio) in ways.items():
        rate = span(each["images_per_second"][name]["median"] for each in result["sessions"])
        rows.append([words, rate, span(each[ratio] for each in result["sessions"]) if ratio else ""])
    return table(["", "images/s", "ratio"], rows)


def growth(result: File) -> str:
    """Return the points of the figure of growth, from the last session."""
    measured = latest(result)
    steps = [*measured["batch"], *measured["side"]]
    rows = [
        [f"{point['side']} x {point['side']}", str(point["batch"]), *cost(point)]
        for point in sorted(steps, key=lambda point: (point["side"], point["batch"]))
    ]
    read = [[f"{point['pictures']:,}", *cost(point)] for point in measured["pictures"]]
    return (
        table(["pixels", "batch size", "step, s", "memory, MiB"], rows)
        + "\n"
        + table(["images", "reading an epoch, s", "memory, MiB"], read)
        + sessions(result)
    )


def cost(point: File) -> tuple[str, str]:
    """Return time and memory of a point."""
    return span([point["seconds"]]), memory([point["peak_mib"]])


def same_network(result: File) -> str:
    """Return how far the training model is from the plain one, in losses and moving statistics."""
    losses = result["losses"]
    rows = [
        ["losses, plain and fast, same seed (root mean square)", f"{losses['same_seed']:.3f}"],
        ["losses, plain, two seeds", f"{losses['other_seeds']:.2f}"],
        ["fast minus plain, mean", f"{losses['fast_minus_plain']:.3f}"],
        ["fast minus plain, standard error", f"{losses['standard_error']:.3f}"],
    ]
    for name, words in (("moving_mean", "moving means"), ("moving_variance", "moving deviations")):
        shares = result["statistics"][name]
        rows.append(
            [
                f"{words} of {shares['layers']} layers: distance with one seed as a share of that between seeds",
                f"{shares['median_share']:.2f} in the median layer, {shares['greatest_share']:.2f} at most",
            ]
        )
    return table(["compared", "difference"], rows)


def accuracy(result: File) -> str:
    """Return the accuracy of a recipe over seeds, beside a linear classifier."""
    runs = result["runs"]
    seconds = span((run["seconds"] for run in runs), "s")
    rows = [
        [f"`resnet50 train {result['recipe']['name']}`", percents([run["accuracy"] for run in runs]), seconds],
        ["ridge regression on the pixels", percent(result["linear_classifier"]), ""],
    ]
    return table(["", f"test accuracy, {count(len(runs), 'seed')}", "time"], rows)


def tasks(*results: File) -> str:
    """Return the accuracy of tasks from scratch beside the classic setting, a row for each file."""
    rows = []
    for title, result in zip(TASKS.values(), results, strict=True):
        images, epochs = result["images"], result["ours"]["runs"][0]["epochs"]
        pixels = result["what"].split()[-2]
        ways = [result[way]["runs"] for way in ("ours", "classic")]
        rows.append(
            [
                f"{title}: {images['classes']} classes, {epochs} epochs at {pixels} pixels",
                f"{images['train']}, {images['test']}",
                *(percents([run["test_accuracy"] for run in runs]) for runs in ways),
                ", ".join(percent(mean(run["train_accuracy"] for run in runs)) for runs in ways),
            ]
        )
    return table(["", "images: train, test", "ours", "classic", "on training images"], rows)


TEST_SHARE = 0.2
"""Share of the images that are cut off for the test in `fine_tuning`."""

QUIET = 0.1
"""Largest share of the processors that other processes used in a run whose time is shown, where there is such a run."""


def fine_tuning(*results: File) -> str:
    """Return the accuracy of fine-tuning beside the others, and what it took: a row for each task and contender."""
    rows = []
    for result in results:
        title, runs_of = BESIDE_OTHERS[result["task"]], by_contender(result)
        for contender, words in CONTENDERS.items():
            if not (runs := runs_of.get(contender)):
                continue
            accuracies = percents([run["test_accuracy"] for run in runs])
            quiet = [run for run in runs if (run.get("others") or 0) <= QUIET]
            took = span((run["seconds"] for run in quiet or runs), "s") + ("" if quiet else " \N{DAGGER}")
            gain = _gain(runs_of["ours"], runs) if contender != "ours" and "ours" in runs_of else ""
            rows.append([title, words, str(len(runs)), accuracies, gain, took, peak(runs)])
            title = ""  # once for each task
    return table(["", "", "seeds", "test accuracy", "ours better by", "time", "memory"], rows)


def _gain(ours: list[File], others: list[File]) -> str:
    """Return by how many points ours is better over the seeds of both: the mean and, of several, its error."""
    accuracies = {run["seed"]: run["test_accuracy"] for run in ours}
    gains = [100 * (accuracies[run["seed"]] - run["test_accuracy"]) for run in others if run["seed"] in accuracies]
    return difference(gains, share=TEST_SHARE) if gains else ""


def difference(gains: list[float], *, share: float) -> str:
    """Return the mean of paired differences and its standard error, for cuts that share images.

    Nadeau and Bengio 2003, Machine Learning 52, equation 9; ``share`` is that of the images that are scored.
    """
    error = f" ± {stdev(gains) * sqrt(1 / len(gains) + share / (1 - share)):.1f}" if len(gains) > 1 else ""
    return f"{mean(gains):+.1f}{error}".replace("-", "\N{MINUS SIGN}")


def by_contender(result: File) -> dict[str, list[File]]:
    """Return the runs of each contender in a file of fine-tuning."""
    runs: dict[str, list[File]] = {}
    for run in result["runs"]:
        runs.setdefault(run["contender"], []).append(run)
    return runs


def first_classifier(result: File) -> str:
    """Return how long it takes from a folder of photos to the report."""
    rows = []
    for images in latest(result)["rounds"]:
        runs = [run for each in result["sessions"] for run in each["rounds"][images]]
        rows.append([images, count(len(runs), "run"), span((run["seconds"] for run in runs), "s"), peak(runs)])
    return table(["photos", "", "time", "memory"], rows) + sessions(result)


def probe_trials(*results: File) -> str:
    """Return what each trial of a linear probe gains or loses on held-out images: a column for each task."""
    first, *others = results[0]["accuracies"]
    rows = [[first, *(percent(mean(result["accuracies"][first])) for result in results)]]
    for trial in others:
        cells = []
        for result in results:
            pairs = zip(result["accuracies"][trial], result["accuracies"][first], strict=True)
            gains = [100 * (changed - plain) for changed, plain in pairs]
            cells.append(difference(gains, share=result["held_out"]))
        rows.append([trial, *cells])
    return table(["", *(FINE_TUNED[result["task"]] for result in results)], rows)


def peak(runs: Iterable[File]) -> str:
    """Return the peak of memory of runs."""
    return span((run["memory_mb"] / 1000 for run in runs), "GB")


def published_on_shards(result: File) -> str:
    """Return what became of the published recipes, which were killed in their second epoch and resumed."""
    each = latest(result)
    rows = []
    for recipe in ("imagenet-90", "imagenet"):
        run = each[recipe]
        equal = run["same_history"] and run["same_weights"]
        rows.append(
            [
                f"`{recipe}`",
                span([run["seconds"]], "s"),
                f"{run['epochs_before_the_kill']} of {run['epochs']}",
                f"equal, {count(run['arrays'], 'array')}" if equal else "differ",
                f"{run['export_differs_by']:.0e}",
            ]
        )
    title = f"{each['images']:,} images, {each['depth']} layers"
    header = [title, "undisturbed", "epochs stored at the kill", "history and weights", "ONNX differs by at most"]
    return table(header, rows) + sessions({"sessions": [each]})


def transfer(result: File) -> str:
    """Return the accuracy on SIGNS from ten photos per class, with and without pretraining."""
    words = {
        "from scratch": "from scratch",
        "all layers at once": "from rendered signs, all layers at once",
        "head, then all, batch norm frozen": "from rendered signs, first the head, then all with batch norm frozen",
    }
    rows = [[words[name], percents(way["accuracies"])] for name, way in result["ways"].items()]
    return table(["", f"accuracy, {count(len(result['seeds']), 'draw')}"], rows)


def similarity(result: File) -> str:
    """Return the correlation of a network of rocks with human judgment, on new images and on those of the alignment."""
    held_out, fitted = (result["similarity"][name] for name in ("held_out", "fitted"))
    header = [
        "dimension",
        f"{held_out['images']} new images",
        "chance",
        "p",
        f"{fitted['images']} aligned images",
    ]
    names = ["**overall**", *result["dimension_names"]]
    pairs = zip(*([part["overall"], *part["dimensions"]] for part in (held_out, fitted)), strict=True)
    rows = []
    for name, (new, old) in zip(names, pairs, strict=True):
        low, high = new["band"]
        chance = f"{low:.2f} to {high:.2f}"
        rows.append([name, f"{new['value']:.2f}", chance, f"{new['p']:.3f}", f"{old['value']:.2f}"])
    return table(header, rows)


def check_signs(issues: list[File]) -> str:
    """Return the issues that the audit finds in SIGNS."""
    return table(["severity", "issue"], [[issue["severity"], issue["summary"]] for issue in issues])


DOUBT = ("cats-dogs", "leukemia", "caltech101", "signs", "rocks")
"""Tasks in the tables of prediction sets and refusal, which have result files."""

SCORES = {"lac": "`lac`", "aps": "`aps`"}
FITTED_ON = {"out-of-fold": "out of fold", "held-out": "held-out"}


def doubt_coverage(*results: File) -> str:
    """Return a table of the coverage and size of prediction sets at 95 %, a row for each task and way."""
    rows = []
    for result in results:
        for name, levels in result["sets"].items():
            score, fitted_on = name.split(", ")
            found = levels.get("0.95")
            if found is None:
                continue
            rows.append(
                (
                    WITH_SIGNS[result["task"]],
                    f"{FITTED_ON[fitted_on]}, {found['calibration_images']}",
                    SCORES[score],
                    f"{percent(found['covered'])} ± {100 * found['standard_error']:.1f}",
                    f"{100 * found['sd']:.1f} ({100 * found['expected_sd']:.1f})",
                    f"{found['size']:.2f} of {result['classes']}",
                    percent(found["lowest_class"]),
                )
            )
    header = (
        "task",
        "calibration images",
        "score",
        "mean coverage",
        "spread, in points (by chance)",
        "classes in a set",
        "lowest class",
    )
    return table(header, rows)


def doubt_strangers(*results: File) -> str:
    """Return a table of what is refused, a row for each task and kind of strangers."""
    rows = []
    for result in results:
        own = result["own_refused"]
        name = WITH_SIGNS[result["task"]]
        rows.append((name, "test images", "", percent(own["neighbors 5"]), "", percent(own["softmax"])))
        for kind, found in result["strangers"].items():
            near, softmax = found["neighbors 5"], found["softmax"]
            rows.append(
                (
                    name,
                    kind,
                    f"{near['auroc']:.3f}",
                    percent(near["refused"]),
                    f"{softmax['auroc']:.3f}",
                    percent(softmax["refused"]),
                )
            )
    return table(("task", "images", "AUROC", "refused", "AUROC, softmax", "refused, softmax"), rows)


def doubt_near_misses(*results: File) -> str:
    """Return a table of what is refused of left out classes, a row for each task with more than two classes."""
    rows = []
    for result in results:
        draws = result["near_misses"]
        if not draws:
            continue
        cells = [WITH_SIGNS[result["task"]], str(len(draws))]
        for way in ("neighbors 1", "neighbors 5", "neighbors 10", "softmax"):
            values = [draw[way]["auroc"] for draw in draws]
            cells.append(f"{mean(values):.3f} ({min(values):.2f} to {max(values):.2f})")
        cells += [percent(mean(draw[way]["refused"] for draw in draws)) for way in ("neighbors 5", "softmax")]
        rows.append(tuple(cells))
    header = (
        "task",
        "draws",
        "AUROC, nearest neighbor",
        "5 neighbors",
        "10 neighbors",
        "softmax",
        "refused, 5 neighbors",
        "refused, softmax",
    )
    return table(header, rows)


def doubt_temperature(*results: File) -> str:
    """Return a table of what offered temperatures do to the loss of the scored images, a row for each task."""
    rows = []
    for result in results:
        found = result["temperature"]
        lowered = found["lowers_loss"]
        losses = "" if lowered is None else f"{found['loss_before']:.3f} and {found['loss_after']:.3f}"
        rows.append(
            (
                WITH_SIGNS[result["task"]],
                percent(found["offered"]),
                "" if lowered is None else percent(lowered),
                losses,
            )
        )
    return table(("task", "cuts with an offer", "of these, loss lowered", "mean loss without and with it"), rows)


SUGGESTED = ("caltech101", "rocks")
"""Tasks in the table of images that are suggested to be labeled, which have result files."""


def suggested(*results: File) -> str:
    """Return a table of accuracies after labeling suggested and random images, a row for each task and number."""
    rows = [
        (
            FINE_TUNED[result["task"]],
            str(result["labeled"] * result["classes"]),
            added,
            percent(found["first"]),
            percent(found["suggested"]),
            percent(found["random"]),
            f"{100 * found['difference']:+.1f} ± {100 * found['standard_error']:.1f}",
        )
        for result in results
        for added, found in result["summary"].items()
    ]
    header = ("task", "labeled at first", "then", "accuracy before", "suggested", "random", "difference, in points")
    return table(header, rows)


def label_errors(*results: File) -> str:
    """Return how many planted label errors are found, a row for each task and way to plant them."""
    rows = []
    for result in results:
        for kind, trials in result["trials"].items():
            way = "uniform" if kind == "uniform" else " and ".join(result["confused"])
            confidence, margin = (
                {measure: [trial["rankings"][ranking][measure] for trial in trials] for measure in MEASURES}
                for ranking in ("self-confidence", "normalized margin")
            )
            precision, average = (confidence[measure] for measure in MEASURES)
            found = mean(trial["marked and planted"] / trial["planted"] for trial in trials)
            right = mean(trial["marked and planted"] / max(trial["marked"], 1) for trial in trials)
            rows.append(
                [
                    FINE_TUNED[result["task"]],
                    way,
                    str(trials[0]["planted"]),
                    f"{percent(mean(precision))} ({100 * min(precision):.0f} to {100 * max(precision):.0f})",
                    percent(mean(margin[MEASURES[0]])),
                    percent(mean(average)),
                    f"{percent(found)}, {percent(right)}",
                ]
            )
    header = [
        "",
        "planted",
        "number",
        "precision at n",
        "by normalized margin",
        "average precision",
        "marks: found, right",
    ]
    return table(header, rows)
