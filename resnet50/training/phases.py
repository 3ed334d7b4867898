"""The phases of a training: which layers learn, and how."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from resnet50._io.arguments import check_types, check_values, number

SCHEDULES = ("cosine", "constant", "step", "polynomial", "exponential", "one-cycle", "plateau")
"""Courses of the learning rate; `Phase` describes them."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase of a training: which layers learn, how fast, and for how long. Each phase has its own optimizer.

    The optimizer is the recipe's (`Recipe.optimizer`). Its learning rate follows the schedule:

    - ``"cosine"`` rises linearly for `warmup_epochs` and falls along half a cosine to zero.
    - ``"constant"`` does not change, except by a callback.
    - ``"step"`` rises linearly for `warmup_epochs` and is multiplied by `lr_factor` after every `lr_step_epochs`
      epochs, counted from the phase's first (He et al. 2015, arXiv:1512.03385, section 3.4).
    - ``"polynomial"`` rises linearly for `warmup_epochs` and falls to zero along ``(1 - t) ** lr_power``, where ``t``
      is the share of the steps after the warm-up that are done; a power of 1 is a line.
    - ``"exponential"`` is multiplied by `lr_factor` over the course of every epoch.
    - ``"one-cycle"`` rises along half a cosine from a 25th for `warmup_epochs` and falls along another to nearly zero
      (Smith and Topin 2017, arXiv:1708.07120; the momentum stays constant).
    - ``"plateau"`` is multiplied by `lr_factor` when the validation loss has not fallen for `lr_patience` epochs.

    Attributes:
        epochs: Passes over the training images, at least 1.
        learning_rate: Highest learning rate of the schedule, above 0.
        warmup_epochs: Epochs in which the rate rises; may be a fraction.
        schedule: One of `SCHEDULES`.
        lr_factor: Multiplier of the step, exponential and plateau schedules, 0..1; 1 with the others.
        lr_patience: Epochs without a lower validation loss before a plateau schedule lowers the rate; 0 with the
            others.
        lr_step_epochs: Epochs between the falls of a step schedule; may be a fraction; 0 with the others.
        lr_power: Exponent of a polynomial schedule, above 0; 1 with the others.
        trainable: Which layers learn: ``"head"``, a stage such as ``"conv5"`` and all above it, or ``"all"``.
        freeze_batch_norm: Whether batch norm below the head stays fixed: statistics, gamma and beta.
        backbone_lr_multiplier: Factor on the learning rate of everything below the head, 0..1.
        layer_lr_decay: Further factor from each stage to the one below it, 0..1: conv5 once, conv4 twice, and the stem
            last.
        patience: Epochs without a lower validation loss after which the phase ends early; 0 for never. In the last
            phase, the epoch that validated best then becomes the trained model (`Recipe.keeps_best`).
        views: Versions of each image that the epochs take turns with: first the image itself, then random changes of
            it. What the frozen layers below the phase compute is then stored and not computed again
            (`resnet50.training.features`). 0 draws a new change for every epoch.
        min_error: The phase is left out if the best model so far misclassifies at most this share of the validation
            images, 0..1, or one image of ten or more; 0 never leaves it out.

    Raises:
        ValueError: If a number is impossible.
    """

    epochs: int = field(metadata={"help": "Passes over the training images in the last phase.", "common": True})
    learning_rate: float = number("Highest learning rate of the last phase.", 1e-3, common=True)
    warmup_epochs: float = number("Epochs in which the learning rate rises; may be a fraction.", 0.0)
    schedule: str = number("Course of the learning rate.", "cosine", choices=SCHEDULES)
    lr_factor: float = number(
        "Multiplier of the step, exponential and plateau schedules, 0..1; 1 with the others.", 1.0
    )
    lr_patience: int = number("Epochs without a lower validation loss before a plateau schedule lowers the rate.", 0)
    lr_step_epochs: float = number("Epochs between the falls of a step schedule; 0 with the others.", 0.0)
    lr_power: float = number("Exponent of a polynomial schedule; 1 with the others.", 1.0)
    trainable: str = number("Layers that learn: head, a stage such as conv5 with all above it, or all.", "all")
    freeze_batch_norm: bool = number("Keep batch norm below the head fixed: statistics, gamma and beta.", False)
    backbone_lr_multiplier: float = number("Factor on the learning rate of everything below the head, 0..1.", 1.0)
    layer_lr_decay: float = number("Further learning rate factor from each stage to the one below it, 0..1.", 1.0)
    patience: int = number("End the phase after this many epochs without a lower validation loss; 0 for never.", 0)
    views: int = number("Versions of each image that epochs take turns with; 0 for a new one in every epoch.", 0)
    min_error: float = number(
        "Leave the last phase out if the best model so far misclassifies at most this share of the validation images, "
        "0..1, or one image of ten or more; 0 for never.",
        0.0,
    )

    def __post_init__(self) -> None:
        check_types(self)
        falls = self.schedule in ("step", "exponential", "plateau")
        rises = (0 <= self.warmup_epochs < self.epochs, f"0 or more and less than {self.epochs} epochs")
        warm = {
            "cosine": rises,
            "step": rises,
            "polynomial": rises,
            "one-cycle": (0 < self.warmup_epochs < self.epochs, f"above 0 and less than {self.epochs} epochs"),
        }
        check_values(
            self,
            {
                "epochs": (self.epochs >= 1, "at least 1"),
                "learning_rate": (0 < self.learning_rate < float("inf"), "finite and above 0"),
                "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
                "warmup_epochs": warm.get(
                    self.schedule, (self.warmup_epochs == 0, f"0 with the schedule {self.schedule!r}")
                ),
                "lr_factor": (
                    0 < self.lr_factor < 1 if falls else self.lr_factor == 1,
                    f"{'above 0 and less than 1' if falls else '1'} with the schedule {self.schedule!r}",
                ),
                "lr_patience": (
                    self.lr_patience >= 1 if self.schedule == "plateau" else self.lr_patience == 0,
                    f"{'at least 1' if self.schedule == 'plateau' else '0'} with the schedule {self.schedule!r}",
                ),
                "lr_step_epochs": (
                    0 < self.lr_step_epochs <= self.epochs if self.schedule == "step" else self.lr_step_epochs == 0,
                    f"{f'above 0 and at most {self.epochs}' if self.schedule == 'step' else '0'} with the schedule "
                    f"{self.schedule!r}",
                ),
                "lr_power": (
                    0 < self.lr_power < float("inf") if self.schedule == "polynomial" else self.lr_power == 1,
                    f"{'finite and above 0' if self.schedule == 'polynomial' else '1'} with the schedule "
                    f"{self.schedule!r}",
                ),
                **{
                    name: (
                        0 < getattr(self, name) <= 1 and (self.trainable != "head" or getattr(self, name) == 1),
                        "above 0 and at most 1, and 1 where trainable is 'head'",
                    )
                    for name in ("backbone_lr_multiplier", "layer_lr_decay")
                },
                "patience": (self.patience >= 0, "0 or more"),
                "views": (self.views >= 0, "0 or more"),
                "min_error": (0 <= self.min_error <= 1, "0..1"),
            },
        )


@dataclass(frozen=True, kw_only=True)
class LinearProbe:
    """A phase that fits the linear head to the features of the frozen network by logistic regression.

    The problem is convex: there is no learning rate and no schedule, and a few hundred images take a second once their
    features are computed. For features ``x``, scaled to a root mean square of 1, the head minimizes
    ``sum(cross-entropy) / views + |W|^2 / (2 C)``, with the ``C`` that validates best: scikit-learn's inverse of the
    regularization. Loss, label smoothing, mixup, cutmix, optimizer and averages of the recipe are for
    its other phases.

    Attributes:
        views: Versions of each image to fit: the image itself, and ``views - 1`` random changes of it; at least 1.
        c_values: Values of ``C`` to choose from by the validation loss, above 0 and rising. A small one keeps the
            weights small.
        min_error: As in `Phase`.

    Raises:
        ValueError: If a number is impossible.

    Source: Alain and Bengio 2016, arXiv:1610.01644, section 3 (linear probes); Kornblith et al. 2019, arXiv:1805.08974,
    section 3 (logistic regression on the features of ImageNet networks).
    """

    views: int = 1
    c_values: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
    min_error: float = 0.0

    epochs: ClassVar[int] = 1
    trainable: ClassVar[str] = "head"

    def __post_init__(self) -> None:
        c_values: Any = self.c_values
        if isinstance(c_values, list):  # as JSON has it
            object.__setattr__(self, "c_values", c_values := tuple(c_values))
        check_types(self)
        check_values(
            self,
            {
                "views": (self.views >= 1, "at least 1"),
                "c_values": (
                    isinstance(c_values, tuple)
                    and bool(c_values)
                    and all(isinstance(each, int | float) and 0 < each < float("inf") for each in c_values)
                    and list(c_values) == sorted(set(c_values)),
                    "a tuple of rising numbers above 0",
                ),
                "min_error": (0 <= self.min_error <= 1, "0..1"),
            },
        )
