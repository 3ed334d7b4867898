"""A recipe is data: every number of a training run, frozen, checked and written with the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from resnet50.data.augmentation import Augmentation

PRECISIONS = ("auto", "float32", "bfloat16")

SCHEDULES = ("cosine", "constant", "exponential", "one-cycle", "plateau")

_CONVENTIONS = ("v1", "v1.5", "keras")  # of `resnet50.blocks`, which needs Keras

_STAGES = ("conv2", "conv3", "conv4", "conv5")  # of the paper's table


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of a training: what learns in it, how fast, and for how long. Each has an optimiser of its own.

    The optimiser is AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101). What its rate does is the schedule:

    - ``"cosine"`` rises linearly for `warmup_epochs` and falls along half a cosine to zero.
    - ``"constant"`` stays, so that a callback may set it.
    - ``"exponential"`` is multiplied by `rate_factor` in the course of every epoch.
    - ``"one-cycle"`` rises along half a cosine from a 25th for `warmup_epochs`, and falls along another to nothing
      (Smith and Topin 2017, arXiv:1708.07120; the rate alone, the momentum stays).
    - ``"plateau"`` is multiplied by `rate_factor` when the validation loss has not fallen for `rate_patience` epochs.

    Attributes:
        epochs: Passes over the training pictures.
        learning_rate: Highest rate of the schedule.
        warmup_epochs: Epochs in which the rate rises; may be a fraction.
        schedule: What the rate does: "cosine", "constant", "exponential", "one-cycle" or "plateau".
        rate_factor: What an exponential or plateau schedule multiplies the rate with, 0..1; 1 with the others.
        rate_patience: Epochs without a lower validation loss on which a plateau's rate falls; 0 with the others.
        trains: What learns: "head", a stage such as "conv5" with all that is above it, or "all".
        freeze_statistics: Whether batch norm below the head stays as it is: statistics, gamma and beta.
        body_rate: Factor on the rate of everything below the head, 0..1.
        layer_decay: Further factor from each stage to the one below it, 0..1: conv5 once, conv4 twice, the stem last.
        patience: Epochs without a lower validation loss after which the phase ends early; 0 for never.

    Raises:
        ValueError: If a number is impossible.
    """

    epochs: int
    learning_rate: float = 1e-3
    warmup_epochs: float = 0.0
    schedule: str = "cosine"
    rate_factor: float = 1.0
    rate_patience: int = 0
    trains: str = "all"
    freeze_statistics: bool = False
    body_rate: float = 1.0
    layer_decay: float = 1.0
    patience: int = 0

    def __post_init__(self) -> None:
        falls = self.schedule in ("exponential", "plateau")
        warm = {
            "cosine": (0 <= self.warmup_epochs < self.epochs, f"0 or more and less than {self.epochs} epochs"),
            "one-cycle": (0 < self.warmup_epochs < self.epochs, f"above 0 and less than {self.epochs} epochs"),
        }
        _check(
            self,
            {
                "epochs": (self.epochs >= 1, "at least 1"),
                "learning_rate": (0 < self.learning_rate < float("inf"), "above 0"),
                "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
                "warmup_epochs": warm.get(
                    self.schedule, (self.warmup_epochs == 0, f"0 with the schedule {self.schedule!r}")
                ),
                "rate_factor": (
                    0 < self.rate_factor < 1 if falls else self.rate_factor == 1,
                    f"{'above 0 and less than 1' if falls else '1'} with the schedule {self.schedule!r}",
                ),
                "rate_patience": (
                    self.rate_patience >= 1 if self.schedule == "plateau" else self.rate_patience == 0,
                    f"{'at least 1' if self.schedule == 'plateau' else '0'} with the schedule {self.schedule!r}",
                ),
                **{
                    name: (
                        0 < getattr(self, name) <= 1 and (self.trains != "head" or getattr(self, name) == 1),
                        "above 0 and at most 1, and 1 where the head alone trains",
                    )
                    for name in ("body_rate", "layer_decay")
                },
                "patience": (self.patience >= 0, "0 or more"),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Recipe(Phase):
    """Every number of a training run; the network's own are those of `build_resnet50`.

    Two runs of one recipe on one machine and data give the same weights. A recipe is itself the last phase of its
    training; the phases before it, if any, stand in `before`.

    Weight decay spares biases and batch norm. The running average of `ema` is Keras' own: it takes in what is trained,
    while batch norm's statistics stay those of the network that is being trained, means over its last steps. A
    momentum whose memory, ``1 / (1 - ema)`` steps, is much longer than theirs sets the two apart until the rate is low.

    Attributes:
        name: What the run is called.
        before: Phases that come first, each with its own epochs; the epochs of the run count on over all of them.
        weights: Name of pretrained weights or their file; None to train from scratch.
        normalization: Row of `resnet50.weights.NORMALIZATIONS`; None for what the weights say, or from scratch.
        batch_size: Pictures in a step.
        weight_decay: Share of a weight, times the rate, that a step takes away.
        beta_2: Momentum of the squared gradients, 0..1.
        label_smoothing: Share of the target that is spread over all classes, 0..1.
        augmentation: Random changes to training pictures.
        mixup: How strongly two pictures are blended, the alpha of a Beta distribution; 0 for not.
        cutmix: How large a piece of another picture is pasted in, the alpha of a Beta distribution; 0 for not.
        balance_classes: Whether every class weighs the same in the training loss, however few its pictures.
        validation: Share of the training pictures held out and scored after every epoch; 0 trains on all of them. A
            validation part of the data's own takes the place of the share.
        keep: Which weights become the trained model: the ``"last"`` or the ones that validated ``"best"``.
        side: Height and width of the pictures in pixels.
        head: Row of `resnet50.heads.HEADS`.
        stem: Row of `resnet50.model.STEMS`.
        conventions: Name of the network's conventions: ``"v1"``; ``"v1.5"``, as in torchvision and timm; or
            ``"keras"``, v1 with the first weights and the slow moving statistics of keras.applications. None for those
            of the weights, or v1 from scratch.
        stages: The table of stages as rows of `resnet50.model.Stage`'s fields; None for the paper's.
        average_epochs: Number of last epochs whose weights are averaged into the trained model; 1 for none.
        ema: Momentum of a running average of the weights, which is validated and becomes the trained model; 0 for none.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"`` for what the machine computes fastest.
        checkpoint_epochs: Epochs between checkpoints, from which a run can be resumed.
        seed: Decides the first weights, the order of pictures, their changes and the held-out share.

    Raises:
        ValueError: If a number is impossible, or two do not go together.
    """

    name: str
    before: tuple[Phase, ...] = ()
    weights: str | None = None
    normalization: str | None = None
    batch_size: int = 32
    warmup_epochs: float = 3.0
    weight_decay: float = 0.01
    beta_2: float = 0.999
    label_smoothing: float = 0.1
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixup: float = 0.0
    cutmix: float = 0.0
    balance_classes: bool = False
    validation: float = 0.0
    keep: str = "last"
    side: int = 64
    head: str = "linear"
    stem: str = "imagenet"
    conventions: str | None = None
    stages: tuple[tuple[str, int, tuple[int, int, int], int], ...] | None = None
    average_epochs: int = 1
    ema: float = 0.0
    precision: str = "auto"
    checkpoint_epochs: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(
            self,
            {
                "before": (all(type(phase) is Phase for phase in self.before), "a tuple of Phase"),
                **{
                    name: (isinstance(getattr(self, name), str | None), "a name or None")
                    for name in ("weights", "normalization", "head", "stem")
                },
                "conventions": (
                    self.conventions is None or (self.conventions in _CONVENTIONS and not self.weights),
                    f"one of {', '.join(_CONVENTIONS)}, or None where there are weights, which bring their own",
                ),
                "batch_size": (self.batch_size >= 1, "at least 1"),
                "weight_decay": (0 <= self.weight_decay < float("inf"), "0 or more"),
                "beta_2": (0 <= self.beta_2 < 1, "0 or more and less than 1"),
                "label_smoothing": (0 <= self.label_smoothing < 1, "0 or more and less than 1"),
                "mixup": (0 <= self.mixup < float("inf"), "0 or more"),
                "cutmix": (0 <= self.cutmix < float("inf"), "0 or more"),
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
                "patience": (
                    not self.patience or self.average_epochs == 1,
                    f"0 where average_epochs is {self.average_epochs}, since an early end leaves fewer to average",
                ),
                "ema": (
                    self.ema == 0 or (0 < self.ema < 1 and self.average_epochs == 1),
                    "0 or more and less than 1, and 0 where average_epochs is above 1",
                ),
                "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
                "checkpoint_epochs": (self.checkpoint_epochs >= 1, "at least 1"),
                "seed": (0 <= self.seed < 2**32, "0 or more and less than 2**32"),
            },
        )
        parts = ("head", *reversed([row[0] for row in self.stages] if self.stages else _STAGES), "all")
        for phase in self.phases:
            _check(
                phase,
                {
                    "trains": (phase.trains in parts, f"one of {', '.join(parts)}"),
                    "schedule": (
                        self.validation > 0 or phase.schedule != "plateau",
                        "another than 'plateau' where validation is 0",
                    ),
                    "patience": (self.validation > 0 or not phase.patience, "0 where validation is 0"),
                },
            )

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Every phase in order, the recipe itself last."""
        return (*self.before, self)

    def lasting(self, epochs: int) -> Recipe:
        """Return the recipe stretched or shrunk to so many epochs, its warm-up and averaging in proportion.

        This is about its last phase, where the network is trained at length; the ones before it stay as they are.
        """
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
            before = tuple(Phase(**phase) for phase in values["before"])
            augmentation = Augmentation(**values["augmentation"])
            return cls(**{**values, "augmentation": augmentation, "stages": stages, "before": before})
        except TypeError as error:  # a text where a number should be, say
            raise ValueError(f"needed a recipe with numbers of the right type, found others ({error}).") from error


def _check(phase: Phase, checks: Mapping[str, tuple[bool, str]]) -> None:
    """Raise for the first field, by its name, that is not what is needed."""
    for name, (holds, needed) in checks.items():
        if not holds:
            raise ValueError(f"{name} must be {needed}, got {getattr(phase, name)!r}.")
