"""A recipe is data: every number of a training run, frozen, checked and written with the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from resnet50.data.augmentation import Augmentation

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number of a training run; the network's own are those of `build_resnet50`.

    Two runs of one recipe on one machine and data give the same weights.

    The optimiser is AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101); its rate rises linearly to ``learning_rate``
    and falls along half a cosine to zero. Weight decay spares biases and batch norm.

    Attributes:
        name: What the run is called.
        epochs: Passes over the training pictures.
        batch_size: Pictures in a step.
        learning_rate: Highest rate of the schedule.
        warmup_epochs: Epochs in which the rate rises; may be a fraction.
        weight_decay: Share of a weight, times the rate, that a step takes away.
        beta_2: Momentum of the squared gradients, 0..1.
        label_smoothing: Share of the target that is spread over all classes, 0..1.
        augmentation: Random changes to training pictures.
        validation: Share of the training pictures held out and scored after every epoch; 0 trains on all of them.
        keep: Which weights become the trained model: the ``"last"`` or the ones that validated ``"best"``.
        side: Height and width of the pictures in pixels.
        head: Row of `resnet50.heads.HEADS`.
        stem: Row of `resnet50.model.STEMS`.
        stages: The table of stages as rows of `resnet50.model.Stage`'s fields; None for the paper's.
        average_epochs: Number of last epochs whose weights are averaged into the trained model; 1 for none.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"`` for what the machine computes fastest.
        checkpoint_epochs: Epochs between checkpoints, from which a run can be resumed.
        seed: Decides the first weights, the order of pictures, their changes and the held-out share.

    Raises:
        ValueError: If a number is impossible.
    """

    name: str
    epochs: int
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_epochs: float = 3.0
    weight_decay: float = 0.01
    beta_2: float = 0.999
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)
    validation: float = 0.0
    keep: str = "last"
    side: int = 64
    head: str = "linear"
    stem: str = "imagenet"
    stages: tuple[tuple[str, int, tuple[int, int, int], int], ...] | None = None
    average_epochs: int = 1
    precision: str = "auto"
    checkpoint_epochs: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        checks = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "learning_rate": (0 < self.learning_rate < float("inf"), "above 0"),
            "warmup_epochs": (0 <= self.warmup_epochs < self.epochs, f"0 or more and less than {self.epochs} epochs"),
            "weight_decay": (0 <= self.weight_decay < float("inf"), "0 or more"),
            "beta_2": (0 <= self.beta_2 < 1, "0 or more and less than 1"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "0 or more and less than 1"),
            "validation": (0 <= self.validation < 1, "0 or more and less than 1"),
            "keep": (
                self.keep == "last" or (self.keep == "best" and self.validation > 0),
                "'last', or 'best' where validation is above 0",
            ),
            "side": (self.side >= 32, "at least 32 pixels"),
            "average_epochs": (
                self.average_epochs == 1 or (1 < self.average_epochs <= self.epochs and self.keep == "last"),
                f"1, or up to {self.epochs} epochs where keep is 'last'",
            ),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            "checkpoint_epochs": (self.checkpoint_epochs >= 1, "at least 1"),
            "seed": (0 <= self.seed < 2**32, "0 or more and less than 2**32"),
        }
        for name, (holds, needed) in checks.items():
            if not holds:
                raise ValueError(f"{name} must be {needed}, got {getattr(self, name)!r}.")

    def lasting(self, epochs: int) -> Recipe:
        """Return the recipe stretched or shrunk to so many epochs, its warm-up and averaging in proportion."""
        share = epochs / self.epochs
        averaged = 1 if self.average_epochs == 1 else max(1, round(self.average_epochs * share))
        return replace(self, epochs=epochs, warmup_epochs=self.warmup_epochs * share, average_epochs=averaged)

    def to_json(self) -> str:
        """Return the recipe as JSON text, every number in it."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Return the recipe that `to_json` wrote.

        Raises:
            ValueError: If the text is not JSON, or not that of a recipe.
        """
        try:
            values: Any = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"needed a recipe in JSON, found broken JSON ({error}).") from error
        names = {field.name for field in fields(cls)}
        if not isinstance(values, Mapping) or set(values) != names:
            raise ValueError(f"needed a recipe with {', '.join(sorted(names))}, found {sorted(values)}.")
        try:
            stages = values["stages"] and tuple((n, b, tuple(f), s) for n, b, f, s in values["stages"])
            return cls(**{**values, "augmentation": Augmentation(**values["augmentation"]), "stages": stages})
        except TypeError as error:  # a text where a number should be, say
            raise ValueError(f"needed a recipe with numbers of the right type, found others ({error}).") from error
