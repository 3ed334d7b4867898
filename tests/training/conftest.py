"""A recipe and images small enough that a whole training takes seconds."""

from __future__ import annotations

import pytest

import factories
from resnet50.data.splits import DatasetSplits
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.training.recipe import Recipe


@pytest.fixture
def tiny_recipe() -> Recipe:
    return factories.tiny_recipe()


@pytest.fixture(scope="session")
def images() -> DatasetSplits:
    return DatasetSplits(*rendered_signs(train=48, test=12, image_size=32))
