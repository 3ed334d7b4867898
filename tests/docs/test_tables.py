"""Each table is made from a small result and compared with its text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generators import tables
from generators.fragments import TABLES, load_results, write_fragments
from generators.summary import readme_results

ROOT = Path(__file__).parents[2]
RESULTS, DOCS = ROOT / "benchmarks" / "results", ROOT / "docs"

SESSION = {
    "date": "2026-11-21",
    "load": 1.04,
    "backend": "tensorflow",
    "versions": {"python": "3.11.7", "keras": "3.15.1", "tensorflow": "2.21.0"},
    "machine": {"processor": "AMD EPYC", "threads": 2},
    "commit": "0123456789abcdef",
}

LIST = """
1 session:

- 2026-11-21: AMD EPYC, 2 threads, load 1.0, keras 3.15.1, tensorflow 2.21.0, commit `0123456`
"""

KERAS = "keras.applications float32"


def one(**measured):
    return {"what": "something", "sessions": [{**SESSION, **measured}]}


def two(first, second):
    return {"what": "something", "sessions": [{**SESSION, **first}, {**SESSION, "date": "2026-11-28", **second}]}


def contender(median, peak_mib, fastest=None):
    return {"images_per_second": {"median": median, "max": fastest or median}, "peak_mib": peak_mib}


def test_sessions_are_listed_with_what_they_recorded():
    del (old := {**SESSION})["load"]
    later = {
        **SESSION,
        "date": "2026-11-28",
        "peers": {"torch": "2.13.0"},
        "runtimes": {"onnx": "1.0"},
        "note": "noisy",
    }
    assert tables.sessions({"sessions": [old, later]}) == (
        "\n2 sessions:\n\n"
        "- 2026-11-21: AMD EPYC, 2 threads, keras 3.15.1, tensorflow 2.21.0, commit `0123456`\n"
        "- 2026-11-28: AMD EPYC, 2 threads, load 1.0, keras 3.15.1, tensorflow 2.21.0, torch 2.13.0, onnx 1.0, "
        "commit `0123456`, noisy\n"
    )


def test_a_commit_may_be_changed_or_unknown():
    listed = tables.sessions({"sessions": [{**SESSION, "commit": "0123456789-dirty"}, {**SESSION, "commit": None}]})
    assert [line.rsplit(", ", 1)[1] for line in listed.splitlines()[3:]] == [
        "commit `0123456-dirty`",
        "commit `unknown`",
    ]


def test_training_shows_the_range_of_each_setting_over_its_sessions():
    small = {"ours": contender(200, 1600), KERAS: contender(100, 2000), "ours_over": {KERAS: 2.0}}
    large = {"ours": contender(22, 2300, 24), KERAS: contender(8.7, 3700, 9), "ours_over": {KERAS: 2.37}}
    again = {"ours": contender(24, 2300, 27), KERAS: contender(9.6, 3700, 10), "ours_over": {KERAS: 2.51}}
    text = tables.training(two({"settings": {"224": large, "64": small}}, {"settings": {"224": again}}))
    assert text.startswith(
        "**224 x 224 pixels, batch size 16**, 2 sessions:\n\n"
        "| | images/s | memory, MiB | ratio | ratio of the fastest |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| ours | 22 to 24 | 2300 | | |\n"
        "| keras.applications float32 | 8.7 to 9.6 | 3700 | 2.4 to 2.5 | 2.7 |\n"
        "\n"
        "**64 x 64 pixels, batch size 32**, 1 session:\n\n"
        "| | images/s | memory, MiB | ratio | ratio of the fastest |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| ours | 200 | 1600 | | |\n"
        "| keras.applications float32 | 100 | 2000 | 2.0 | 2.0 |\n"
        "\n"
        "2 sessions:\n"
    )


def test_training_shows_a_contender_that_only_later_sessions_have():
    earlier = {"ours": contender(22, 2300), KERAS: contender(10, 3700), "ours_over": {KERAS: 2.2}}
    later = {**earlier, "PyTorch": contender(20, 3000), "ours_over": {KERAS: 2.2, "PyTorch": 1.1}}
    text = tables.training(two({"settings": {"224": earlier, "64": earlier}}, {"settings": {"224": later}}))
    assert "| keras.applications float32 | 10 | 3700 | 2.2 | 2.2 |\n| PyTorch | 20 | 3000 | 1.1 | 1.1 |\n" in text


def tuned(task, *runs):
    names = ("contender", "seed", "test_accuracy", "seconds", "memory_mb")
    return {"task": task, "runs": [dict(zip(names, run, strict=True)) for run in runs]}


def test_fine_tuning_shows_each_task_and_contender_that_was_measured():
    rocks = tuned("rocks", ("timm", 0, 0.5, 300.0, 2900), ("ours", 0, 0.52, 30.0, 1700))
    cats = tuned(
        "cats-dogs",
        *(("ours", 0, 0.98, 28.0, 1700), ("ours", 1, 1.0, 29.0, 1700)),
        *(("probe", 1, 0.96, 9.0, 900), ("probe", 0, 0.96, 9.0, 900), ("classic", 7, 0.9, 60.0, 2000)),
    )
    assert tables.fine_tuning(cats, rocks) == (
        "| | | seeds | test accuracy | ours better by | time | memory |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| cats and dogs | `resnet50 train` | 2 | 99.0 % (98.0 to 100.0, sd 1.4) | | 28 to 29 s | 1.7 GB |\n"
        # gains of 2 and 4 points: sd 1.41, sqrt(1 / 2 + 1 / 4) of it
        "| | features and logistic regression, PyTorch | 2 | 96.0 % (96.0 to 96.0, sd 0.0) | +3.0 ± 1.2 | "
        "9.0 s | 0.90 GB |\n"
        "| | the public project's setting | 1 | 90.0 % | | 60 s | 2.0 GB |\n"
        "| rocks | `resnet50 train` | 1 | 52.0 % | | 30 s | 1.7 GB |\n"
        "| | timm | 1 | 50.0 % | +2.0 | 300 s | 2.9 GB |\n"
    )


def test_the_first_classifier_is_shown_by_the_number_of_photos():
    def rounds(*seconds):
        return {"244": [{"seconds": each, "memory_mb": 1600} for each in seconds]}

    assert tables.first_classifier(two({"rounds": rounds(22.0, 25.5)}, {"rounds": rounds(19.6)})).startswith(
        "| photos | | time | memory |\n| --- | --- | --- | --- |\n| 244 | 3 runs | 20 to 26 s | 1.6 GB |\n\n2 sessions:"
    )


def test_trials_of_a_probe_are_differences_with_their_standard_error():
    accuracies = {"the image": [0.4, 0.5], "at 288 pixels": [0.41, 0.47], "its middle": [0.41, 0.51]}
    rocks = {"task": "rocks", "held_out": 0.2, "accuracies": accuracies}
    assert tables.probe_trials(rocks, {**rocks, "task": "leukemia"}) == (
        "| | rocks | leukemia |\n"
        "| --- | --- | --- |\n"
        "| the image | 45.0 % | 45.0 % |\n"
        "| at 288 pixels | \N{MINUS SIGN}1.0 ± 2.4 | \N{MINUS SIGN}1.0 ± 2.4 |\n"  # sd 2.83, sqrt(1 / 2 + 1 / 4) of it
        "| its middle | +1.0 ± 0.0 | +1.0 ± 0.0 |\n"
    )


def test_a_step_is_shown_by_operation():
    settings = {"ours": {"step": 770.2, "casts": 15.02}, KERAS: {"step": 1804.0, "casts": 0.107}}
    peak = {"TensorFlow": 852.4, "PyTorch": 867.1}
    result = one(
        **{
            "settings": {"224": settings, "64": settings},
            "billions of operations a second in bfloat16 products": peak,
        }
    )
    rows = (
        "| | ours | keras.applications float32 |\n"
        "| --- | --- | --- |\n"
        "| casts | 15 | 0.11 |\n"
        "| **the whole step** | 770 | 1800 |\n\n"
    )
    assert tables.step_profile(result) == (
        f"**224 x 224 pixels, batch size 16**, milliseconds:\n\n{rows}"
        f"**64 x 64 pixels, batch size 32**, milliseconds:\n\n{rows}"
        "Fastest bfloat16 matrix product, billions of operations per second: 850 by TensorFlow, 870 by PyTorch.\n"
        + LIST
    )


def test_a_whole_run_shows_the_range_over_its_rounds():
    def run(seconds, rate, epoch, **scored):
        return {"seconds": seconds, "images_per_second": rate, "epoch_seconds": epoch, "peak_mib": 2270, **scored}

    ours = [run(107.4, 144, 5.01, validation_accuracy=0.972), run(112.7, 137, 5.19, validation_accuracy=0.991)]
    result = one(
        ours_over_keras_applications={"median": 2.28, "min": 2.11, "max": 2.45},
        runs={"ours": ours, KERAS: [run(226.4, 68.7, 10.3), run(276.6, 56.2, 17.9)]},
    )
    assert tables.whole_run(result) == (
        "| | run, s | epoch, s | images/s | memory, MiB | held-out accuracy |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| ours | 110 | 5.0 to 5.2 | 140 | 2270 | 97.2 % and 99.1 % |\n"
        "| keras.applications float32 | 230 to 280 | 10 to 18 | 56 to 69 | 2270 | not scored |\n"
        "\n"
        "Ours trains on 2.1 to 2.5 times as many images per second (2 rounds).\n" + LIST
    )


def formats(keras=32.2, openvino=7.1):
    def each(rate, over, latency, start, **more):
        return {
            "images_per_second": {"median": rate},
            "over_keras_applications": over,
            "latency_p50_ms": {"median": latency},
            "latency_p99_ms": {"median": latency * 2},
            "peak_mib": 190.3,
            "cold_start": {"seconds": start, "peak_mib": 173.4},
            **more,
        }

    return {
        KERAS: each(36.8, 1.0, keras, 7.21),
        "openvino int8": each(191.8, 5.21, openvino, 0.74, agreement=0.975, megabytes=24.05),
        "litert int8": each(162.1, 4.41, 7.2, 0.274, agreement=0.9833, megabytes=24.25),
    }


def test_every_export_has_a_row_of_speed_latency_memory_and_size():
    assert tables.predicting(one(formats=formats())) == (
        "| | images/s | ratio | p50, ms | p99, ms | memory, MiB | size, MB |\n"
        "| --- | --- | --- | --- | --- | --- | --- |\n"
        "| keras.applications float32 | 37 | 1 | 32 | 64 | 190 | |\n"
        "| openvino int8 | 190 | 5.2 | 7.1 | 14 | 190 | 24 |\n"
        "| litert int8 | 160 | 4.4 | 7.2 | 14 | 190 | 24 |\n" + LIST
    )


def test_an_export_is_shown_over_the_sessions_that_measured_it():
    old = {name: each for name, each in formats(keras=30.0).items() if name != "litert int8"}
    result = two({"formats": old}, {"formats": formats()})
    for text, row in (
        (tables.predicting(result), "| litert int8 | 160 | 4.4 | 7.2 | 14 | 190 | 24 |"),
        (tables.predicting(result), "| keras.applications float32 | 37 | 1 | 30 to 32 | 60 to 64 | 190 | |"),
        (tables.cold_start(result), "| litert int8 | 0.27 | 173 |"),
        (tables.int8_agreement({**result, "what": "64 x 64 pixels"}), "| litert int8 | 98.3 % |"),
    ):
        assert row in text.splitlines()


def test_a_contender_without_a_file_of_its_own_has_speed_alone():
    alone = formats()
    del alone["openvino int8"]["cold_start"], alone["openvino int8"]["megabytes"]
    assert "| openvino int8 | 190 | 5.2 | 7.1 | 14 | 190 | |" in tables.predicting(one(formats=alone))
    assert "openvino" not in tables.cold_start(one(formats=alone))


def test_the_first_call_stands_beside_the_second():
    calls = {"first call": [(1.5, 451), (1.9, 480)], "second call": [(0.8, 211), (0.82, 213)]}
    rounds = {name: [{"seconds": s, "peak_mib": mib} for s, mib in each] for name, each in calls.items()}
    assert tables.first_call(one(rounds=rounds)) == (
        "| | seconds | memory, MiB |\n"
        "| --- | --- | --- |\n"
        "| first call | 1.5 to 1.9 | 450 to 480 |\n"
        "| second call | 0.80 to 0.82 | 211 to 213 |\n" + LIST
    )


def test_every_export_has_a_row_of_its_start():
    assert tables.cold_start(one(formats=formats())) == (
        "| | seconds | memory, MiB |\n"
        "| --- | --- | --- |\n"
        "| keras.applications float32 | 7.2 | 173 |\n"
        "| openvino int8 | 0.74 | 173 |\n"
        "| litert int8 | 0.27 | 173 |\n" + LIST
    )


def test_int8_exports_have_their_agreement_at_each_size():
    small = {**one(formats=formats()), "what": "64 x 64 pixels, batch 8"}
    better = formats()
    better["openvino int8"]["agreement"] = 1.0
    large = {**two({"formats": formats()}, {"formats": better}), "what": "224 x 224 pixels, batch 8"}
    assert tables.int8_agreement(small, large) == (
        "| | 64 x 64 pixels | 224 x 224 pixels |\n"
        "| --- | --- | --- |\n"
        "| openvino int8 | 97.5 % | 97.5 % to 100.0 % |\n"
        "| litert int8 | 98.3 % | 98.3 % |\n"
    )


def test_reading_is_shown_beside_prediction_and_both():
    run = {"network": 42.3, "one_after_the_other": 24.04, "both": 24.21, "both_over_keras": 1.12}
    result = one(**{"reading": 55.7, "keras.applications": 21.5, "models": {"signs224": run}})
    assert tables.reading(result) == (
        "| | images/s | ratio |\n"
        "| --- | --- | --- |\n"
        "| reading alone | 56 | |\n"
        "| signs224: prediction alone | 42 | |\n"
        "| signs224: the sum of both times | 24 | |\n"
        "| signs224: photos from files | 24 | 1.1 |\n"
        "| keras.applications: photos from files | 22 | 1 |\n" + LIST
    )


def test_servers_are_shown_with_each_number_of_clients():
    answered = {
        "requests_per_second": {"median": 24.56, "min": 20, "max": 30},
        "p50_ms": 40.4,
        "p99_ms": 52,
        "failed": 0,
    }
    many = {**answered, "p50_ms": 1234, "p99_ms": 5678, "failed": 1200}
    ours = {"start_seconds": 8.26, "memory_mib": 931.4, "others": 0.25, "clients": {"1": answered, "64": many}}
    loop = {"start_seconds": 1, "memory_mib": 206, "others": 0, "clients": {"1": answered}}
    result = two({"servers": {"old": ours}}, {"servers": {"ours": ours, "loop": loop}})
    assert tables.serving(result).partition("\n\n")[0] == (
        "| | 1 client | 64 clients | start, s | memory, MiB | others |\n"
        "| --- | --- | --- | --- | --- | --- |\n"
        "| ours | 24.6; 40, 52 ms | 24.6; 1200, 5700 ms; 1,200 failed | 8.3 | 931 | 25.0 % |\n"
        "| loop | 24.6; 40, 52 ms | | 1.0 | 206 | 0.0 % |"
    )


def test_what_became_of_faults():
    answers = {"JPEG": {"200": 10, "422": 90}, "whole request": {"0": 20, "200": 5, "400": 75}}
    text = tables.serving_faults(
        one(
            mutated={"requests": 200, "answers": answers, "longest_seconds": 0.94},
            killed={"kills": 6, "requests": 8064, "lost": 0},
            overload={"clients": 400, "requests": 1320, "failed": {"503": 364}, "p99_ms": 1234},
            slow={"connections": 300, "given_up": 300, "requests": 2998, "p99_ms": 87.2},
        )
    )
    assert "165 refused (4xx), 15 still readable, 20 closed as no HTTP, 0 errors" in text
    assert "8,064 requests answered, 0 lost" in text
    assert "1,320 answered, 364 refused (503), 0 too late (504); p99 1.2 s" in text
    assert "300 given up; 2,998 requests of the 8 answered, p99 87 ms" in text


def test_packing_is_compared_with_a_pass_and_its_epochs_with_epochs():
    names = ("pack", "keras_one_pass", "second_start", "epoch_packed", "epoch_keras_uncached", "epoch_keras_cached")
    measured = {
        name: {"median": rate} for name, rate in zip(names, (656, 1378, 5261, 56697, 1537, 143667), strict=True)
    }
    result = one(
        images_per_second=measured,
        pack_over_keras_one_pass=0.476,
        epoch_over_keras_uncached=36.9,
        epoch_over_keras_cached=0.395,
    )
    assert tables.pack(result) == (
        "| | images/s | ratio |\n"
        "| --- | --- | --- |\n"
        "| `pack`, once | 660 | |\n"
        "| `image_dataset_from_directory`, one pass | 1400 | 0.48 |\n"
        "| a later start, from the cache | 5300 | |\n"
        "| an epoch of the packed file | 57000 | |\n"
        "| an epoch of `image_dataset_from_directory` | 1500 | 37 |\n"
        "| the same, cached in memory | 140000 | 0.40 |\n" + LIST
    )


def test_packing_many_images_shows_time_and_memory():
    run = {
        "images": 100_000,
        "seconds": 112.6,
        "peak_megabytes_once_listed": 139.4,
        "peak_megabytes": 150.8,
        "file_megabytes": 1231.4,
    }
    assert tables.pack_memory(one(runs=[run])) == (
        "| images | seconds | memory once listed, MB | memory, MB | file, MB |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| 100,000 | 110 | 139 | 151 | 1230 |\n" + LIST
    )


def test_steps_of_many_images_have_a_column_for_each_number():
    def runs(*seconds):
        numbers = ((10_000, 0.2), (1_281_167, 99.4))
        pairs = zip(numbers, seconds, strict=True)
        return [{"images": images, "seconds": each, "more_mib": more} for (images, more), each in pairs]

    batch = [{**run, "first_seconds": 0.02} for run in runs(0.0001, 0.0002)]
    steps = {"cut": runs(0.03, 3.1), "folds": runs(0.1, 9), "copies": runs(2, 4), "report": runs(0.5, 0.6)}
    result = one(batch=batch, **steps, start=runs(0.05, 5.2))
    result["sessions"].append({**SESSION, "pack": [], "epoch": []})  # another kind of session
    lines = tables.many_images(result).splitlines()
    assert lines[0] == "| | 10,000 images | 1,281,167 images |"
    assert lines[2] == "| a first batch of 256, with the order of the epoch | 20 ms, 1.0 MiB | 20 ms, 99 MiB |"
    assert lines[3] == "| each further batch | 0.10 ms, 1.0 MiB | 0.20 ms, 99 MiB |"
    assert lines[4] == "| a stratified cut in 1,000 classes | 30 ms, 1.0 MiB | 3.1 s, 99 MiB |"
    assert lines[8] == "| a start on packed records | 50 ms, 1.0 MiB | 5.2 s, 99 MiB |"
    assert "\n".join(lines[9:]) + "\n" == LIST


def test_packing_and_reading_many_records():
    packed = {"images": 1_000_000, "seconds": 500, "peak_mib": 540.2}
    read = {"images": 1_000_000, "start_seconds": 6.1, "seconds": 100, "read": 950_000, "peak_mib": 560.7}
    result = one(pack=[packed], epoch=[read])
    result["sessions"].append({**SESSION, "start": []})
    without = tables.many_records(result)
    assert "index" not in without
    indexed = {"images": 200_000, "seconds": 50, "peak_mib": 210.4}
    assert "| near-duplicates of 200,000 images, by an index | 50 s | 4000 | 210 |" in tables.many_records(
        {"sessions": [*result["sessions"], {**SESSION, "indexed": [indexed]}]}
    )
    assert without == (
        "| 1,000,000 images | time | images/s | memory, MiB |\n"
        "| --- | --- | --- | --- |\n"
        "| packing, with the search for near-duplicates | 500 s | 2000 | 540 |\n"
        "| a start, up to the first batch | 6.1 s | | |\n"
        "| an epoch of random-resized crops | 100 s | 9500 | 561 |\n" + LIST
    )


def test_what_feeds_a_device_has_a_row_for_each_recipe():
    made = {"one_thread": [300, 320.4], "all_threads": [600], "lock_share": [0.031, 0.044], "mixing_ms": [0.07]}
    plain = {**made, "mixing_ms": [0.0]}
    assert tables.feeding(one(threads=2, recipes={"imagenet": made, "plain": plain})) == (
        "| recipe | 1 thread | 2 threads | lock held | mixing |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `imagenet` | 300 to 320 /s | 600 /s | 3.1 to 4.4 % | 0.070 ms |\n"
        "| `plain` | 300 to 320 /s | 600 /s | 3.1 to 4.4 % | |\n" + LIST
    )


def test_recipes_that_were_killed_and_resumed():
    def run(same):
        scored = {"same_history": True, "same_weights": same, "arrays": 102, "export_differs_by": 1.23e-7}
        return {"seconds": 143.7, "epochs_before_the_kill": 1, "epochs": 3, **scored}

    text = tables.published_on_shards(
        one(**{"images": 2000, "depth": 18, "imagenet-90": run(True), "imagenet": run(False)})
    )
    assert text == (
        "| 2,000 images, 18 layers | undisturbed | epochs stored at the kill | history and weights | "
        "ONNX differs by at most |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| `imagenet-90` | 140 s | 1 of 3 | equal, 102 arrays | 1e-07 |\n"
        "| `imagenet` | 140 s | 1 of 3 | differ | 1e-07 |\n" + LIST
    )


def test_batches_are_shown_beside_layers_and_steps():
    def session(batches, layers, steps, over_layers, over_steps):
        rates = {"batches": batches, "keras_layers": layers, "training_step": steps}
        return {
            "images_per_second": {name: {"median": rate} for name, rate in rates.items()},
            "batches_over_keras_layers": over_layers,
            "batches_over_training_step": over_steps,
        }

    text = tables.batches(two(session(5508, 2228, 201, 2.47, 27.4), session(1098, 413, 37.6, 2.66, 29.2)))
    assert text.startswith(
        "| | images/s | ratio |\n"
        "| --- | --- | --- |\n"
        "| our batches | 1000 to 6000 | |\n"
        "| Keras' preprocessing layers in tf.data | 400 to 2200 | 2.5 to 2.7 |\n"
        "| a training step, which uses them | 40 to 200 | 27 to 29 |\n"
        "\n"
        "2 sessions:\n"
    )


def test_growth_is_shown_by_size_and_batch_and_by_number_of_images():
    def point(side, batch, seconds):
        return {"side": side, "batch": batch, "seconds": seconds, "peak_mib": 1478.7}

    result = two(
        {"batch": [], "side": [], "pictures": []},
        {
            "batch": [point(64, 128, 0.597), point(64, 16, 0.127)],
            "side": [point(32, 16, 0.0912)],
            "pictures": [{"pictures": 64000, "seconds": 13.48, "peak_mib": 308.6}],
        },
    )
    assert tables.growth(result).startswith(
        "| pixels | batch size | step, s | memory, MiB |\n"
        "| --- | --- | --- | --- |\n"
        "| 32 x 32 | 16 | 0.091 | 1480 |\n"
        "| 64 x 64 | 16 | 0.13 | 1480 |\n"
        "| 64 x 64 | 128 | 0.60 | 1480 |\n"
        "\n"
        "| images | reading an epoch, s | memory, MiB |\n"
        "| --- | --- | --- |\n"
        "| 64,000 | 13 | 309 |\n"
        "\n"
        "2 sessions:\n"
    )


def test_the_same_network_is_shown_by_losses_and_statistics():
    shares = {"layers": 53, "median_share": 0.666, "greatest_share": 0.791}
    losses = {"same_seed": 0.0331, "other_seeds": 0.2384, "fast_minus_plain": 0.0032, "standard_error": 0.0024}
    result = {"losses": losses, "statistics": {"moving_mean": shares, "moving_variance": shares}}
    assert tables.same_network(result) == (
        "| compared | difference |\n"
        "| --- | --- |\n"
        "| losses, plain and fast, same seed (root mean square) | 0.033 |\n"
        "| losses, plain, two seeds | 0.24 |\n"
        "| fast minus plain, mean | 0.003 |\n"
        "| fast minus plain, standard error | 0.002 |\n"
        "| moving means of 53 layers: distance with one seed as a share of that between seeds | "
        "0.67 in the median layer, 0.79 at most |\n"
        "| moving deviations of 53 layers: distance with one seed as a share of that between seeds | "
        "0.67 in the median layer, 0.79 at most |\n"
    )


SIGNS = {
    "recipe": {"name": "signs"},
    "linear_classifier": 0.85,
    "runs": [{"accuracy": 0.975, "seconds": 117.9}, {"accuracy": 0.9917, "seconds": 129.9}],
}


def test_accuracy_is_shown_beside_a_linear_classifier():
    assert tables.accuracy(SIGNS) == (
        "| | test accuracy, 2 seeds | time |\n"
        "| --- | --- | --- |\n"
        "| `resnet50 train signs` | 98.3 % (97.5 to 99.2, sd 1.2) | 120 to 130 s |\n"
        "| ridge regression on the pixels | 85.0 % | |\n"
    )


def task(ours, classic):
    def way(test, train):
        return {"mean": test, "runs": [{"test_accuracy": test, "train_accuracy": train, "epochs": 30}]}

    return {
        "what": "accuracy on the test images of leukemia, from scratch, 64 pixels",
        "images": {"train": 581, "test": 145, "classes": 4},
        "ours": way(ours, 0.96),
        "classic": way(classic, 1.0),
    }


def test_tasks_have_a_row_each():
    rows = tables.tasks(*(task(share, 0.294) for share in (0.972, 0.738, 0.722, 0.142, 0.367)))
    lines = rows.splitlines(keepends=True)
    assert "".join(lines[:3]) == (
        "| | images: train, test | ours | classic | on training images |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| leukemia: 4 classes, 30 epochs at 64 pixels | 581, 145 | 97.2 % | 29.4 % | 96.0 %, 100.0 % |\n"
    )
    assert [line.split(":")[0] for line in lines[3:]] == [
        "| cats and dogs",
        "| a part of Caltech-101",
        "| rocks",
        "| a part of CIFAR-10",
    ]


TRANSFER = {
    "seeds": [0, 1],
    "ways": {
        "from scratch": {"accuracies": [0.75, 0.76]},
        "all layers at once": {"accuracies": [0.88, 0.90]},
        "head, then all, batch norm frozen": {"accuracies": [0.87, 0.88]},
    },
}


def test_transfer_is_shown_beside_training_from_scratch():
    assert tables.transfer(TRANSFER) == (
        "| | accuracy, 2 draws |\n"
        "| --- | --- |\n"
        "| from scratch | 75.5 % (75.0 to 76.0, sd 0.7) |\n"
        "| from rendered signs, all layers at once | 89.0 % (88.0 to 90.0, sd 1.4) |\n"
        "| from rendered signs, first the head, then all with batch norm frozen | 87.5 % (87.0 to 88.0, sd 0.7) |\n"
    )


def test_similarity_is_shown_beside_chance():
    def correlation(value):
        return {"value": value, "chance": 0.0, "band": [-0.064, 0.068], "p": 0.000999}

    result = {
        "dimension_names": ["lightness"],
        "similarity": {
            "fitted": {"images": 360, "overall": correlation(0.72), "dimensions": [correlation(0.906)]},
            "held_out": {"images": 120, "overall": correlation(0.507), "dimensions": [correlation(-0.04)]},
        },
    }
    assert tables.similarity(result) == (
        "| dimension | 120 new images | chance | p | 360 aligned images |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| **overall** | 0.51 | -0.06 to 0.07 | 0.001 | 0.72 |\n"
        "| lightness | -0.04 | -0.06 to 0.07 | 0.001 | 0.91 |\n"
    )


def test_issues_of_signs_have_a_row_each():
    assert tables.check_signs([{"severity": "error", "summary": "15 of 120."}]) == (
        "| severity | issue |\n| --- | --- |\n| error | 15 of 120. |\n"
    )


AS_TRAINED = {"latency_p50_ms": {"median": 29.9}, "cold_start": {"seconds": 0.75}}


def test_the_table_of_the_readme_has_six_rows_and_links():
    over = {KERAS: 2.51, "PyTorch bfloat16": 1.31}
    ours = [("ours", 0, 0.98, 28, 1), ("ours", 1, 0.99, 41, 1)]
    fastai, probe = [("fastai", 0, 0.9, 200, 1)], [("probe", seed, 0.97, 30, 1) for seed in (0, 1)]
    every_task = {
        "cats-dogs": tuned("cats-dogs", *ours, *fastai, *probe),
        "leukemia": tuned("leukemia", *ours, *probe),
        "caltech101": tuned("caltech101", *ours, *probe[:1]),
        "rocks": tuned("rocks", *ours[:1], *fastai, *probe),
    }
    results = {
        "transfer-signs": TRANSFER,
        "accuracy-signs": SIGNS,
        **{f"fine-tuning-{name}": each for name, each in every_task.items()},
        "training": two({"settings": {"224": {"ours_over": over}}}, {"settings": {"64": {}}}),
        "predicting-224": two(
            {"formats": formats()}, {"formats": {**formats(keras=55.0), "the .keras file": AS_TRAINED}}
        ),
    }
    assert readme_results(results, "some/") == (
        "| | this library | compared with | evidence |\n"
        "| --- | --- | --- | --- |\n"
        "| Fine-tuned, 2 seeds: cats and dogs, leukemia | 98.5 %, 98.5 %, in 28 to 41 s | "
        "linear probe in PyTorch: 97.0 %, 97.0 %, in 30 s | "
        "[fine-tuning-cats-dogs](some/fine-tuning-cats-dogs.json), "
        "[fine-tuning-leukemia](some/fine-tuning-leukemia.json) |\n"
        "| Hand signs from 60 photos, pretrained on drawn hands | 89.0 % (88.0 to 90.0, sd 1.4) | "
        "from scratch: 75.5 % (75.0 to 76.0, sd 0.7) | [transfer-signs](some/transfer-signs.json) |\n"
        "| Hand signs from 1080 photos, from scratch | 98.3 % (97.5 to 99.2, sd 1.2) | "
        "ridge regression on the pixels: 85.0 % | [accuracy-signs](some/accuracy-signs.json) |\n"
        "| Training step at 224 pixels, two cores (1 session) | 2.5 times and 1.3 times as fast | "
        "`keras.applications` in float32 and PyTorch in bfloat16 | [training](some/training.json) |\n"
        "| One image at 224 pixels, as trained (1 session) | 30 ms | `keras.applications`: 55 ms | "
        "[predicting-224](some/predicting-224.json) |\n"
        "| `resnet50 predict photo.jpg`, as trained (1 session) | 0.75 s | `keras.applications`: 7.2 s | "
        "[predicting-224](some/predicting-224.json) |\n"
    )
    assert readme_results(results).startswith(
        "| | this library | compared with |\n"
        "| --- | --- | --- |\n"
        "| Fine-tuned, 2 seeds: cats and dogs, leukemia | 98.5 %, 98.5 %, in 28 to 41 s | "
        "linear probe in PyTorch: 97.0 %, 97.0 %, in 30 s |\n"
        "| Hand signs from 60 photos, pretrained on drawn hands | 89.0 % (88.0 to 90.0, sd 1.4) | "
        "from scratch: 75.5 % (75.0 to 76.0, sd 0.7) |\n"
    )


@pytest.mark.parametrize("path", sorted(RESULTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_committed_result_is_complete_and_shown(path):
    result = json.loads(path.read_text(encoding="utf-8"))
    pages = (page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md"))
    assert any(path.stem in files for _, files in TABLES.values()) or any(path.name in page for page in pages)
    if "sessions" in result:
        assert result["what"]
        assert result["sessions"]
        for session in result["sessions"]:
            assert {"date", "backend", "versions", "machine", "commit"} <= set(session)


def test_every_table_is_written(tmp_path):
    write_fragments(RESULTS, tmp_path)
    assert {path.stem for path in tmp_path.glob("*.md")} == {*TABLES, "readme_results"}
    for path in tmp_path.iterdir():
        assert path.read_text(encoding="utf-8").count("\n| ") > 1, path
    assert len(load_results(RESULTS)) == len(list(RESULTS.glob("*.json")))


def ways(near, softmax):
    """AUROC and refused, for neighbors and for the softmax."""
    found = {f"neighbors {count}": dict(zip(("auroc", "refused"), near, strict=True)) for count in (1, 5, 10)}
    return found | {"softmax": dict(zip(("auroc", "refused"), softmax, strict=True))}


DOUBT = {
    "task": "rocks",
    "classes": 30,
    "sets": {
        "lac, out-of-fold": {
            "0.95": {
                "covered": 0.9612,
                "standard_error": 0.0021,
                "sd": 0.021,
                "expected_sd": 0.018,
                "size": 7.25,
                "lowest_class": 0.5,
                "calibration_images": 285,
            }
        },
        "aps, held-out": {},
    },
    "own_refused": {"neighbors 5": 0.049, "softmax": 0.051},
    "strangers": {"noise": ways((1.0, 1.0), (0.75, 0.123))},
    "near_misses": [ways((0.9, 0.4), (0.6, 0.1)), ways((0.8, 0.2), (0.7, 0.2))],
    "temperature": {"offered": 0.5, "lowers_loss": 0.9, "loss_before": 1.25, "loss_after": 1.125},
}


def test_the_coverage_stands_beside_what_chance_gives():
    (row,) = tables.doubt_coverage(DOUBT).splitlines()[2:]
    assert cells(row) == [
        "rocks", "out of fold, 285", "`lac`", "96.1 % ± 0.2", "2.1 (1.8)", "7.25 of 30", "50.0 %",
    ]  # fmt: skip


def test_strangers_stand_below_images_of_one_s_own():
    own, noise = tables.doubt_strangers(DOUBT).splitlines()[2:]
    assert cells(own) == ["rocks", "test images", "", "4.9 %", "", "5.1 %"]
    assert cells(noise) == ["rocks", "noise", "1.000", "100.0 %", "0.750", "12.3 %"]


def test_near_misses_are_means_over_the_draws_and_tasks_of_two_classes_have_none():
    (row,) = tables.doubt_near_misses(DOUBT, {**DOUBT, "near_misses": []}).splitlines()[2:]
    assert cells(row) == [
        "rocks", "2", *["0.850 (0.80 to 0.90)"] * 3, "0.650 (0.60 to 0.70)", "30.0 %", "15.0 %",
    ]  # fmt: skip


def test_a_temperature_that_is_never_offered_has_no_loss():
    never = {"offered": 0.0, "lowers_loss": None, "loss_before": None, "loss_after": None}
    rows = tables.doubt_temperature(DOUBT, {**DOUBT, "temperature": never}).splitlines()[2:]
    assert [cells(row) for row in rows] == [
        ["rocks", "50.0 %", "90.0 %", "1.250 and 1.125"],
        ["rocks", "0.0 %", "", ""],
    ]


def test_suggested_images_stand_beside_random_ones():
    found = {"first": 0.5, "suggested": 0.625, "random": 0.6, "difference": 0.025, "standard_error": 0.004}
    (row,) = tables.suggested({"task": "rocks", "labeled": 3, "classes": 30, "summary": {"20": found}}).splitlines()[2:]
    assert cells(row) == ["rocks", "90", "20", "50.0 %", "62.5 %", "60.0 %", "+2.5 ± 0.4"]


def cells(row):
    return [cell.strip() for cell in row.strip("|").split("|")]


def test_label_errors():
    def trial(planted, confidence, margin, marked):
        rankings = {
            name: {"precision at n": share, "average precision": share / 2}
            for name, share in (("normalized margin", margin), ("self-confidence", confidence))
        }
        return {"planted": planted, "rankings": rankings, "marked": marked, "marked and planted": 8}

    result = {
        "task": "rocks",
        "confused": ["Gneiss", "Granite"],
        "trials": {"uniform": [trial(10, 0.9, 0.7, 8), trial(10, 0.8, 0.7, 16)], "confused": [trial(20, 0.5, 0.5, 10)]},
    }
    assert tables.label_errors(result).splitlines()[2:] == [
        "| rocks | uniform | 10 | 85.0 % (80 to 90) | 70.0 % | 42.5 % | 80.0 %, 75.0 % |",
        "| rocks | Gneiss and Granite | 20 | 50.0 % (50 to 50) | 50.0 % | 25.0 % | 40.0 %, 80.0 % |",
    ]
