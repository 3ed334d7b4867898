"""The options of the benchmark of fine-tuning are those that give a folder the recipe of a task."""

import argparse

import pytest

from resnet50.cli.recipe_options import add_recipe_options, read_recipe
from resnet50.recipes import folder


@pytest.mark.parametrize("task", ["signs", "leukemia", "rocks", "cats-dogs", "cifar10", "caltech101"])
def test_a_folder_is_trained_by_the_recipe_of_the_task(script, task):
    benchmark = script("fine_tuning")
    parser = argparse.ArgumentParser()
    add_recipe_options(parser)
    given = parser.parse_args(["--weights", "imagenet", *benchmark.changed_options(benchmark.tuned(task))])
    expected = benchmark.tuned(task).change(weights="imagenet", name="folder")
    assert read_recipe(folder, given) == expected


def test_a_thorough_run_is_another_one_where_a_phase_was_left_out(script):
    trained_all = script("fine_tuning").trained_all

    def runs(*phases):
        return [{"contender": "ours", "seed": 0, "phases": list(phases)}]

    assert not trained_all("leukemia", runs(1), 0)
    assert trained_all("leukemia", runs(1, 2, 3), 0)
    assert trained_all("rocks", runs(1), 0)
    assert not trained_all("rocks", runs(1), 1)
