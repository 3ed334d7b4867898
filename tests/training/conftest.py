"""A recipe and images small enough that a whole training takes seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import factories
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.training.recipe import Recipe


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of the module's own, since phases store features."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET50_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="module", autouse=True)
def _plain_figures() -> Iterator[None]:
    with factories.plain_figures():
        yield


@pytest.fixture
def tiny_recipe() -> Recipe:
    return factories.tiny_recipe()


@pytest.fixture(scope="session")
def images() -> DatasetSplits:
    return DatasetSplits(*rendered_signs(train=48, test=12, image_size=32))
