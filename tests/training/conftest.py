"""A recipe and pictures small enough that a whole training takes seconds."""

from __future__ import annotations

import pytest

from resnet50.data.augmentation import Augmentation
from resnet50.data.rendered_signs import rendered_signs
from resnet50.data.split import Parts
from resnet50.training.recipe import Recipe


@pytest.fixture
def tiny_recipe() -> Recipe:
    return Recipe(
        name="tiny",
        epochs=4,
        batch_size=8,
        warmup_epochs=1,
        augmentation=Augmentation(shift=0.1, rotation=10, flip=True),
        side=32,
        stages=(("conv2", 1, (4, 6, 16), 1), ("conv3", 2, (5, 7, 24), 2)),
        precision="float32",
        checkpoint_epochs=1,
        seed=3,
    )


@pytest.fixture(scope="session")
def pictures() -> Parts:
    return Parts(*rendered_signs(train=48, test=12, side=32))
