"""A recipe and pictures small enough that a whole training takes seconds."""

from __future__ import annotations

import pytest

import factories
from resnet50.data.rendered_signs import rendered_signs
from resnet50.data.split import Parts
from resnet50.training.recipe import Recipe


@pytest.fixture
def tiny_recipe() -> Recipe:
    return factories.tiny_recipe()


@pytest.fixture(scope="session")
def pictures() -> Parts:
    return Parts(*rendered_signs(train=48, test=12, side=32))
