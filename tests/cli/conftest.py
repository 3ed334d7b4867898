"""The command in this process, on a task of seconds."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from factories import plain_figures
from resnet50 import datasets, recipes
from resnet50.cli import main
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import folder
from resnet50.datasets.rendered_signs import rendered_signs, write_rendered_signs
from resnet50.datasets.source import DataSource
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe


@pytest.fixture(scope="module", autouse=True)
def _plain_figures():
    with plain_figures():
        yield


@pytest.fixture(autouse=True)
def _wide(monkeypatch):
    """Lines that are not wrapped, but where a test is about that."""
    monkeypatch.setenv("COLUMNS", "1000")


@pytest.fixture(scope="session")
def tiny_task():
    recipe = Recipe(
        name="tiny",
        phases=(Phase(epochs=2),),
        batch_size=8,
        image_size=32,
        stages=(("conv2", 2, (4, 6, 16), 1), ("conv3", 1, (5, 7, 24), 2)),
        precision="float32",
        checkpoint_epochs=1,
    )
    return types.SimpleNamespace(__doc__="Tiny: a network of seconds.", RECIPE=recipe, VARIANTS={"scratch": recipe})


@pytest.fixture
def own_task(tiny_task, monkeypatch):
    """Register ``own``, a task of seconds on images of one's own: its variants are changes of ``scratch``."""

    def register(**changes):
        recipe = tiny_task.RECIPE.change(name="own", validation_split=0.25)
        variants = {
            "scratch": recipe,
            **{name.replace("_", "-"): recipe.change(**row) for name, row in changes.items()},
        }
        task = types.SimpleNamespace(__doc__="Own: images.", RECIPE=recipe, VARIANTS=variants)
        monkeypatch.setitem(recipes.RECIPES, "own", task)
        monkeypatch.setitem(datasets.DATASETS, "own", folder.load)
        return task

    return register


@pytest.fixture(scope="session")
def tiny_splits() -> DatasetSplits:
    return DatasetSplits(*rendered_signs(train=24, test=6, image_size=32))


@pytest.fixture(scope="session")
def tiny_loader(tiny_splits):
    """What reads the tiny task's images."""
    return lambda path, *, image_size, fit=None, progress=None: tiny_splits


@pytest.fixture
def command(tiny_task, tiny_loader, tmp_path, monkeypatch, capsys):
    """Run ``resnet50`` with these words in an empty folder; give back status, output and errors."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny_task)
    monkeypatch.setitem(datasets.DATASETS, "tiny", tiny_loader)
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))  # without the weights of the machine
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        return stop.value.code, printed.out, printed.err

    return run


@pytest.fixture
def refused(command) -> Callable[..., str]:
    """Run ``resnet50`` with words that it refuses in one line; the line names the command and holds these values.

    A value is held as a whole word: a 1 is not found in 10. The line is given back. Only what has ``begun`` may have
    printed something by then.
    """

    def run(words: Sequence[object], *values: object, begun: bool = False) -> str:
        status, out, err = command(*words)
        assert status == 2
        assert begun or out == ""
        assert err.startswith(f"resnet50 {words[0]}")
        assert err.count("\n") == 1
        missing = [str(value) for value in values if not re.search(rf"(?<!\w){re.escape(str(value))}(?!\w)", err)]
        assert not missing, f"{missing} not in the message: {err}"
        return err

    return run


@pytest.fixture(scope="session")
def numbers() -> Callable[[str], list[str]]:
    """Return the numbers in a text, a percent sign included, but not those in a word or the name of a file."""
    return re.compile(r"(?<![\w/.-])\d+(?:[.,]\d+)*%?(?!\w)").findall


@pytest.fixture(scope="session")
def train_tiny(tiny_splits, tiny_loader, tmp_path_factory):
    """Train by a recipe on the tiny task's images, which the run records, and return the folder of the run."""

    def run(recipe: Recipe) -> Path:
        from resnet50.training.train import train

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(datasets.DATASETS, "tiny", tiny_loader)
            out = tmp_path_factory.mktemp("trained") / "run"
            return train(recipe, tiny_splits, out=out, source=DataSource("tiny"), progress=False).folder.path

    return run


@pytest.fixture(scope="session")
def trained(tiny_task, train_tiny):
    """The folder of a finished run of the tiny recipe."""
    return train_tiny(tiny_task.RECIPE)


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """A folder with the tiny task's images in two h5 files."""
    folder = tmp_path_factory.mktemp("files")
    write_rendered_signs(folder, train=24, test=6, image_size=32)
    return folder
