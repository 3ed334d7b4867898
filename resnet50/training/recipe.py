"""Recipes and their phases: every number of a training run, frozen, checked and stored with the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from resnet50._io.arguments import check_types
from resnet50._io.limits import IMAGE_SIDE
from resnet50._io.text import short
from resnet50.conventions import CONVENTIONS
from resnet50.data.augmentation import Augmentation
from resnet50.data.fit import Fit
from resnet50.weights.normalization import NORMALIZATIONS

PRECISIONS = ("auto", "float32", "bfloat16")

HEADS = ("linear", "norm", "mlp", "flatten")
"""Rows of `resnet50.heads.HEADS`, which imports Keras."""

STEMS = ("imagenet", "cifar")
"""Rows of `resnet50.model.STEMS`, which imports Keras."""

SCHEDULES = ("cosine", "constant", "exponential", "one-cycle", "plateau")
"""Courses of the learning rate; `Phase` describes them."""

_CONVENTIONS = (*CONVENTIONS, "keras")

_LAYER_GROUPS = ("conv2", "conv3", "conv4", "conv5")  # the stages of table 1


def _number(
    help: str,  # noqa: A002 - argparse's word
    default: Any,
    *,
    common: bool = False,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return a field with its help on the command line, where common options come first."""
    return field(default=default, metadata={"help": help, "common": common, "choices": choices})


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A phase of a training: which layers learn, how fast, and for how long. Each phase has its own optimizer.

    The optimizer is AdamW (Loshchilov and Hutter 2017, arXiv:1711.05101). Its learning rate follows the schedule:

    - ``"cosine"`` rises linearly for `warmup_epochs` and falls along half a cosine to zero.
    - ``"constant"`` does not change, except by a callback.
    - ``"exponential"`` is multiplied by `lr_factor` over the course of every epoch.
    - ``"one-cycle"`` rises along half a cosine from a 25th for `warmup_epochs` and falls along another to nearly zero
      (Smith and Topin 2017, arXiv:1708.07120; the momentum stays constant).
    - ``"plateau"`` is multiplied by `lr_factor` when the validation loss has not fallen for `lr_patience` epochs.

    Attributes:
        epochs: Passes over the training images, at least 1.
        learning_rate: Highest learning rate of the schedule, above 0.
        warmup_epochs: Epochs in which the rate rises; may be a fraction.
        schedule: One of `SCHEDULES`.
        lr_factor: Multiplier of the exponential and plateau schedules, 0..1; 1 with the others.
        lr_patience: Epochs without a lower validation loss before a plateau schedule lowers the rate; 0 with the
            others.
        trainable: Which layers learn: ``"head"``, a stage such as ``"conv5"`` and all above it, or ``"all"``.
        freeze_batch_norm: Whether batch norm below the head stays fixed: statistics, gamma and beta.
        backbone_lr_multiplier: Factor on the learning rate of everything below the head, 0..1.
        layer_lr_decay: Further factor from each stage to the one below it, 0..1: conv5 once, conv4 twice, and the stem
            last.
        patience: Epochs without a lower validation loss after which the phase ends early; 0 for never. In the last
            phase, the epoch that validated best then becomes the trained model (`Recipe.keeps_best`).

    Raises:
        ValueError: If a number is impossible.
    """

    epochs: int = field(metadata={"help": "Passes over the training images in the last phase.", "common": True})
    learning_rate: float = _number("Highest learning rate of the last phase.", 1e-3, common=True)
    warmup_epochs: float = _number("Epochs in which the learning rate rises; may be a fraction.", 0.0)
    schedule: str = _number("Course of the learning rate.", "cosine", choices=SCHEDULES)
    lr_factor: float = _number("Multiplier of the exponential and plateau schedules, 0..1; 1 with the others.", 1.0)
    lr_patience: int = _number("Epochs without a lower validation loss before a plateau schedule lowers the rate.", 0)
    trainable: str = _number("Layers that learn: head, a stage such as conv5 with all above it, or all.", "all")
    freeze_batch_norm: bool = _number("Keep batch norm below the head fixed: statistics, gamma and beta.", False)
    backbone_lr_multiplier: float = _number("Factor on the learning rate of everything below the head, 0..1.", 1.0)
    layer_lr_decay: float = _number("Further learning rate factor from each stage to the one below it, 0..1.", 1.0)
    patience: int = _number("End the phase after this many epochs without a lower validation loss; 0 for never.", 0)

    def __post_init__(self) -> None:
        check_types(self)
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
                "lr_factor": (
                    0 < self.lr_factor < 1 if falls else self.lr_factor == 1,
                    f"{'above 0 and less than 1' if falls else '1'} with the schedule {self.schedule!r}",
                ),
                "lr_patience": (
                    self.lr_patience >= 1 if self.schedule == "plateau" else self.lr_patience == 0,
                    f"{'at least 1' if self.schedule == 'plateau' else '0'} with the schedule {self.schedule!r}",
                ),
                **{
                    name: (
                        0 < getattr(self, name) <= 1 and (self.trainable != "head" or getattr(self, name) == 1),
                        "above 0 and at most 1, and 1 where trainable is 'head'",
                    )
                    for name in ("backbone_lr_multiplier", "layer_lr_decay")
                },
                "patience": (self.patience >= 0, "0 or more"),
            },
        )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number of a training run. Two runs of one recipe on one machine and dataset give the same weights.

    Weight decay spares biases and batch norm. The running average of `ema` is Keras' own: it covers the trainable
    weights, while batch norm keeps the moving statistics of the training. If the average's memory, ``1 / (1 - ema)``
    steps, is much longer than theirs, the two do not match until the learning rate is low.

    Attributes:
        name: Name of the task; the folder of a run is named after it.
        phases: Phases of the training, one after the other; epochs are counted over all of them.
        weights: Name of pretrained weights or their file; None to train from scratch.
        normalization: Row of `resnet50.weights.NORMALIZATIONS`; None for that of the weights, or from scratch.
        batch_size: Images in a step, at most.
        share_last_batch: Whether a last batch of an epoch that is much smaller than the others is shared out among
            them (`resnet50.data.batches.Batches`). False in recipes that were recorded before there was this number.
        weight_decay: Share of a weight, times the learning rate, that a step takes away.
        beta_2: Momentum of the squared gradients, 0..1.
        label_smoothing: Share of the target that is spread over all classes, 0..1.
        augmentation: Random changes to training images.
        mixup: Strength of blending two images, the alpha of a Beta distribution; 0 for none.
        cutmix: Size of the piece of another image that is pasted in, the alpha of a Beta distribution; 0 for none.
        class_weight: ``"balanced"`` makes every class count the same in the training loss, however few its images;
            None counts every image the same.
        validation_split: Share of the training images held out and scored after every epoch; 0 trains on all of them.
            A validation split of the dataset's own takes its place.
        restore_best: Whether the epoch that validated best becomes the trained model, instead of the last one.
        image_size: Height and width of the images in pixels, at least 32.
        fit: How images are fitted to that size; None for the fit of the images that are passed in. A run records the
            fit that was used.
        head: Row of `resnet50.heads.HEADS`.
        stem: Row of `resnet50.model.STEMS`.
        conventions: ``"v1"``; ``"v1.5"``, as in torchvision and timm; or ``"keras"``, v1 with the initial weights and
            the slow moving statistics of keras.applications. None for those of the weights, or v1 from scratch.
        stages: The table of stages as rows of `resnet50.model.Stage`'s fields; None for the paper's.
        swa_epochs: Number of last epochs whose weights are averaged into the trained model; 1 for none (Izmailov et al.
            2018, arXiv:1803.05407).
        ema: Momentum of a running average of the weights, which is validated and becomes the trained model; 0 for none.
        precision: ``"float32"``, ``"bfloat16"``, or ``"auto"`` for the one that is fastest on the machine.
        checkpoint_epochs: Epochs between checkpoints, from which a run can be resumed.
        seed: Determines the initial weights, the order of images, their augmentation and the validation split.

    Raises:
        ValueError: If a number is impossible, or two do not go together.
    """

    name: str
    phases: tuple[Phase, ...]
    weights: str | None = _number(
        "Pretrained weights: a name from 'resnet50 weights list' or a file.", None, common=True
    )
    normalization: str | None = _number(
        "Input normalization; without it, that of the weights.", None, choices=tuple(NORMALIZATIONS)
    )
    batch_size: int = _number("Images in a step.", 32, common=True)
    share_last_batch: bool = _number("Make the batches of an epoch equal if the last would be very small.", True)
    weight_decay: float = _number("Share of a weight, times the learning rate, that a step takes away.", 0.01)
    beta_2: float = _number("Momentum of the squared gradients, 0..1.", 0.999)
    label_smoothing: float = _number("Share of the target that is spread over all classes, 0..1.", 0.1)
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixup: float = _number("Strength of blending two images (alpha of a Beta distribution); 0 for none.", 0.0)
    cutmix: float = _number(
        "Size of the pasted piece of another image (alpha of a Beta distribution); 0 for none.", 0.0
    )
    class_weight: str | None = _number(
        "Make every class count the same in the training loss, however few its images.", None, choices=("balanced",)
    )
    validation_split: float = _number(
        "Share of the training images held out and scored after every epoch; 0 for none.", 0.0, common=True
    )
    restore_best: bool = _number("Keep the epoch that validated best instead of the last one.", False)
    image_size: int = _number("Height and width of the images in pixels.", 64, common=True)
    fit: Fit | None = None
    head: str = _number("Classifier head.", "linear", choices=HEADS)
    stem: str = _number("Stem; cifar is for images of 32 pixels.", "imagenet", choices=STEMS)
    conventions: str | None = _number("Block variant; without it, that of the weights.", None, choices=_CONVENTIONS)
    stages: tuple[tuple[str, int, tuple[int, int, int], int], ...] | None = None
    swa_epochs: int = _number("Number of last epochs whose weights are averaged; 1 for none.", 1)
    ema: float = _number("Momentum of a running average of the weights, 0..1; 0 for none.", 0.0)
    precision: str = _number("Precision of the computation; auto takes the fastest.", "auto", choices=PRECISIONS)
    checkpoint_epochs: int = _number("Epochs between checkpoints.", 5)
    seed: int = _number(
        "Seed of the initial weights, the order, the augmentation and the validation split.", 0, common=True
    )

    def __post_init__(self) -> None:
        check_types(self)
        phases = self.phases if isinstance(self.phases, tuple) else ()
        has_phases = bool(phases) and all(isinstance(phase, Phase) for phase in phases)
        _check(self, {"phases": (has_phases, "a tuple of at least one Phase")})
        self._check_network()
        self._check_numbers()
        self._check_phases()

    def _check_network(self) -> None:
        """Raise ValueError for a network that does not exist, or weights that determine it otherwise."""
        _check(
            self,
            {
                "normalization": (
                    self.normalization in (None, *NORMALIZATIONS),
                    f"one of {', '.join(NORMALIZATIONS)}, or None",
                ),
                "head": (self.head in HEADS, f"one of {', '.join(HEADS)}"),
                "stem": (self.stem in STEMS, f"one of {', '.join(STEMS)}"),
                "conventions": (
                    self.conventions is None or (self.conventions in _CONVENTIONS and not self.weights),
                    f"one of {', '.join(_CONVENTIONS)}, or None where there are weights, which determine it",
                ),
                "image_size": (32 <= self.image_size <= IMAGE_SIDE, f"at least 32 and at most {IMAGE_SIDE} pixels"),
                "fit": (self.fit is None or isinstance(self.fit, Fit), "a Fit or None"),
            },
        )

    def _check_numbers(self) -> None:
        """Raise ValueError for an impossible number, or numbers that exclude each other."""
        _check(
            self,
            {
                "batch_size": (self.batch_size >= 1, "at least 1"),
                "weight_decay": (0 <= self.weight_decay < float("inf"), "0 or more"),
                "beta_2": (0 <= self.beta_2 < 1, "0 or more and less than 1"),
                "label_smoothing": (0 <= self.label_smoothing < 1, "0 or more and less than 1"),
                "mixup": (0 <= self.mixup < float("inf"), "0 or more"),
                "cutmix": (0 <= self.cutmix < float("inf"), "0 or more"),
                "class_weight": (self.class_weight in (None, "balanced"), "'balanced' or None"),
                "validation_split": (0 <= self.validation_split < 1, "0 or more and less than 1"),
                "restore_best": (
                    not self.restore_best or self.validation_split > 0,
                    "False where validation_split is 0",
                ),
                "swa_epochs": (
                    self.swa_epochs == 1 or (1 < self.swa_epochs <= self.last.epochs and not self.restore_best),
                    f"1, or up to {self.last.epochs} epochs where restore_best is False",
                ),
                "ema": (
                    self.ema == 0 or (0 < self.ema < 1 and self.swa_epochs == 1),
                    "0 or more and less than 1, and 0 where swa_epochs is above 1",
                ),
                "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
                "checkpoint_epochs": (self.checkpoint_epochs >= 1, "at least 1"),
                "seed": (0 <= self.seed < 2**32, "0 or more and less than 2**32"),
            },
        )

    def _check_phases(self) -> None:
        """Raise ValueError for a number of a phase that does not fit the recipe."""
        groups = ("head", *reversed([row[0] for row in self.stages] if self.stages else _LAYER_GROUPS), "all")
        for phase in self.phases:
            _check(
                phase,
                {
                    "trainable": (phase.trainable in groups, f"one of {', '.join(groups)}"),
                    "schedule": (
                        self.validation_split > 0 or phase.schedule != "plateau",
                        "another than 'plateau' where validation_split is 0",
                    ),
                    "patience": (
                        not phase.patience
                        or (self.validation_split > 0 and (phase is not self.last or self.swa_epochs == 1)),
                        "0 where validation_split is 0, and where the phase's last epochs are averaged (swa_epochs)",
                    ),
                },
            )

    @property
    def last(self) -> Phase:
        """The last phase, in which the network is usually trained at length."""
        return self.phases[-1]

    @property
    def epochs(self) -> int:
        """Epochs of all phases together, if none of them ends early."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def keeps_best(self) -> bool:
        """Whether the epoch that validated best becomes the trained model: ``restore_best``, or an early end."""
        return self.restore_best or self.last.patience > 0

    def change(self, **numbers: Any) -> Recipe:
        """Return the recipe with other numbers, each by its name in the recipe, its augmentation or its last phase.

        Raises:
            TypeError: If none of them has a number of that name.
            ValueError: If a number is impossible.
        """
        own = {name: numbers.pop(name) for name in list(numbers) if name in _OWN}
        changes = {name: numbers.pop(name) for name in list(numbers) if name in _AUGMENTATION}
        if changes:
            own["augmentation"] = replace(own.get("augmentation", self.augmentation), **changes)
        phases = own.pop("phases", self.phases)
        if numbers and phases:
            phases = (*phases[:-1], replace(phases[-1], **numbers))
        return replace(self, phases=phases, **own)

    def lasting(self, epochs: int) -> Recipe:
        """Return the recipe with this many epochs in its last phase, and its warm-up and averaging in proportion."""
        share = epochs / self.last.epochs
        averaged = 1 if self.swa_epochs == 1 else max(1, round(self.swa_epochs * share))
        return self.change(epochs=epochs, warmup_epochs=self.last.warmup_epochs * share, swa_epochs=averaged)

    def extended(self, epochs: int) -> Recipe:
        """Return the recipe with a further phase of this many epochs, which is like its last (see `lasting`)."""
        longer = self.lasting(epochs)
        return longer.change(phases=(*self.phases, longer.last))

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
        except (ValueError, RecursionError) as error:
            raise ValueError(f"expected a recipe in JSON, got broken JSON ({error}).") from error
        values = {**_NUMBERS_BEFORE, **values} if isinstance(values, Mapping) else values
        if not isinstance(values, Mapping) or set(values) != _OWN:
            got = short(sorted(values)) if isinstance(values, Mapping) else type(values).__name__
            raise ValueError(
                f"expected a recipe with {', '.join(sorted(_OWN))}, got {got}; another version of resnet50 wrote it."
            )
        try:
            stages = values["stages"] and tuple((n, b, tuple(f), s) for n, b, f, s in values["stages"])
            phases = tuple(Phase(**phase) for phase in values["phases"])
            augmentation = Augmentation(**values["augmentation"])
            fit = values["fit"] and Fit.from_dict(values["fit"])
            return cls(**{**values, "augmentation": augmentation, "fit": fit, "stages": stages, "phases": phases})
        except TypeError as error:  # a text where a number should be, say
            raise ValueError(f"expected a recipe with numbers of the right type, got {short(str(error))}.") from error


_OWN = {field.name for field in fields(Recipe)}
_AUGMENTATION = {field.name for field in fields(Augmentation)}

_NUMBERS_BEFORE = {"share_last_batch": False, "fit": None}
"""Numbers that recipes of earlier versions do not have, with the values by which these versions trained."""


def _check(owner: Phase | Recipe, checks: Mapping[str, tuple[bool, str]]) -> None:
    """Raise ValueError for the first field, by its name, that is not as expected."""
    for name, (holds, expected) in checks.items():
        if not holds:
            raise ValueError(f"expected {name} to be {expected}, got {short(getattr(owner, name))}.")
