from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import save_file

from factories import raises, tiny_recipe
from resnet50.training.variants import check_weights_file, choose_recipe, resolve_weights, usual_weights


@pytest.fixture
def own():
    """A task in three variants."""
    recipe = tiny_recipe(name="own")
    variants = {
        "scratch": recipe,
        "fine-tuned": recipe.change(weights="imagenet"),
        "classic": recipe.change(weights="torchvision/imagenet1k_v1"),
    }
    return SimpleNamespace(__doc__="Own.", RECIPE=recipe, VARIANTS=variants)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache for Keras' files."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def test_without_weights_a_network_is_trained_from_scratch(own):
    assert choose_recipe(own.VARIANTS) is own.VARIANTS["scratch"]
    assert choose_recipe(own.VARIANTS, weights="none") is own.VARIANTS["scratch"]


def test_cached_or_named_weights_are_fine_tuned(own, cache):
    assert choose_recipe(own.VARIANTS, weights="a/file.h5") is own.VARIANTS["fine-tuned"]
    (cache / "resnet50_weights_tf_dim_ordering_tf_kernels.h5").touch()
    assert choose_recipe(own.VARIANTS) is own.VARIANTS["fine-tuned"]
    assert choose_recipe(own.VARIANTS, weights="none") is own.VARIANTS["scratch"]


def test_a_named_variant_is_taken_if_its_weights_are_cached(own):
    assert choose_recipe(own.VARIANTS, variant="classic", weights="none") is own.VARIANTS["classic"]
    assert choose_recipe(own.VARIANTS, variant="scratch") is own.VARIANTS["scratch"]
    command = "resnet50 weights fetch torchvision/imagenet1k_v1"
    with raises(FileNotFoundError, "own", "classic", command, "--weights"):
        choose_recipe(own.VARIANTS, variant="classic")
    with raises(ValueError, "own", "scratch, fine-tuned, classic", "'new'"):
        choose_recipe(own.VARIANTS, variant="new")
    with raises(ValueError, "'fine-tune'", "did you mean fine-tuned?"):
        choose_recipe(own.VARIANTS, variant="fine-tune")


def test_a_task_that_is_not_fine_tuned_has_no_usual_weights(own):
    assert usual_weights(own.VARIANTS) == "imagenet"
    del own.VARIANTS["fine-tuned"]
    assert usual_weights(own.VARIANTS) is None
    assert choose_recipe(own.VARIANTS, weights="a/file.h5") is own.RECIPE


def test_another_depth_has_its_own_weights(own, cache):
    command = "resnet50 weights fetch torchvision/resnet101.imagenet1k_v1"
    with raises(FileNotFoundError, "own", "classic", command):
        choose_recipe(of_the_paper(own), variant="classic", depth=101)
    (cache.parent / "weights" / "torchvision").mkdir(parents=True)
    (cache.parent / "weights" / "torchvision" / "resnet101-63fe2227.pth").touch()
    chosen = choose_recipe(of_the_paper(own), variant="classic", depth=101)
    assert (chosen.depth, chosen.weights) == (101, "torchvision/resnet101.imagenet1k_v1")
    assert usual_weights(own.VARIANTS, 152) == "keras/resnet152.imagenet"
    scratch = choose_recipe(of_the_paper(own), depth=34)
    assert (scratch.depth, scratch.weights) == (34, None)
    named = choose_recipe(of_the_paper(own), weights="a/file.h5", depth=34)
    assert (named.depth, named.weights, named.phases) == (34, None, own.VARIANTS["fine-tuned"].phases)


def of_the_paper(task):
    return {name: recipe.change(stages=None) for name, recipe in task.VARIANTS.items()}


def test_a_file_of_another_depth_is_refused_before_images_are_read(tmp_path):
    path = tmp_path / "w.safetensors"
    save_file(
        {f"layer1.{block}.conv{n}.weight": np.zeros((2, 2, 3, 3), "f4") for block in (0, 1) for n in (1, 2)}, path
    )
    recipe = tiny_recipe(weights=str(path))
    with raises(ValueError, path, "ResNet-6", "ResNet-11"):
        check_weights_file(recipe)
    check_weights_file(recipe.change(stages=(("conv2", 2, (2, 2), 1),)))
    check_weights_file(recipe.change(weights=None))


def test_weights_are_checked_before_any_work(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.pth").touch()
    assert resolve_weights(None) is resolve_weights("none") is None
    assert resolve_weights("imagenet") == "imagenet"
    assert resolve_weights("mine.pth") == str(tmp_path / "mine.pth")
    with raises(ValueError, "imagenet", "'imagent'"):
        resolve_weights("imagent")
    with raises(FileNotFoundError, "other.pth"):
        resolve_weights("other.pth")
