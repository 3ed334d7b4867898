from __future__ import annotations

import numpy as np
import pytest

from factories import raises
from resnet50.datasets import DATASETS
from resnet50.recipes import RECIPES, cifar10, find_task
from resnet50.training.network import build_network
from resnet50.training.recipe import Recipe
from resnet50.training.variants import find_variant


def test_the_tasks_of_the_field_are_there():
    assert {"signs", "leukemia", "rocks", "cats-dogs", "cifar10", "caltech101", "folder"} <= set(RECIPES)
    assert {"imagenet", "imagenet-90"} <= set(RECIPES)
    assert set(RECIPES) == set(DATASETS)  # each task has a dataset of its name
    for name, task in RECIPES.items():
        assert find_task(name) is task
        assert task.VARIANTS["scratch"] is task.RECIPE
        assert {recipe.name for recipe in task.VARIANTS.values()} == {name}
        assert set(task.VARIANTS) <= {"scratch", "fine-tuned", "all-layers", "classic"}
        assert task.RECIPE.weights is None
        assert "classic" in task.VARIANTS or name == "imagenet-90"  # which is that of imagenet
        assert f"resnet50 train {'PATH' if name == 'folder' else name}" in task.__doc__


def test_an_unknown_task_is_refused():
    with raises(ValueError, *RECIPES, "'sings'"):
        find_task("sings")


def test_an_unknown_variant_is_refused():
    with raises(ValueError, "cifar10", "scratch", "classic", "'modern'"):
        find_variant(cifar10.VARIANTS, "modern")


@pytest.mark.slow
def test_the_classic_network_of_cifar10_is_the_published_one():
    network = build_network(cifar10.VARIANTS["classic"], 10)
    assert network.count_params() == 23_608_202
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_weights) == 23_555_082
    assert network.get_layer("conv1_bn").momentum == 0.99
    small = build_network(cifar10.RECIPE, 10)
    assert small.count_params() == 23_608_202 - (7 * 7 - 3 * 3) * 3 * 64
    assert small.get_layer("conv2_block3_out").output.shape == (None, 32, 32, 256)


def test_every_variant_can_be_written_and_read_back():
    for task in RECIPES.values():
        for recipe in task.VARIANTS.values():
            assert Recipe.from_json(recipe.to_json()) == recipe


def test_fine_tuning_trains_the_head_first():
    for task in RECIPES.values():
        if "fine-tuned" in task.VARIANTS:
            recipe = task.VARIANTS["fine-tuned"]
            assert recipe.weights == "timm/tv_in1k"
            first = [] if task is RECIPES["rocks"] else ["head", "head"]  # on which a probe errs much
            assert [phase.trainable for phase in recipe.phases] == [*first, "all"]
            assert recipe.image_size == (128 if task is cifar10 else 224)  # its images are enlarged, in memory
