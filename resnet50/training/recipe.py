"""Recipes and their phases: every number of a training run, frozen, checked and stored with the run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, cast

from resnet50._io.arguments import check_types, check_values, number
from resnet50._io.limits import IMAGE_SIDE
from resnet50._io.text import short
from resnet50.conventions import CONVENTIONS
from resnet50.data.augmentation import Augmentation
from resnet50.data.fit import Fit
from resnet50.training.phases import LinearProbe, Phase
from resnet50.weights.normalization import NORMALIZATIONS
from resnet50.weights.registry import REGISTRY

PRECISIONS = ("auto", "float32", "bfloat16")

HEADS = ("linear", "norm", "mlp", "flatten")
"""Rows of `resnet50.heads.HEADS`, which imports Keras."""

STEMS = ("imagenet", "cifar")
"""Rows of `resnet50.model.STEMS`, which imports Keras."""

DEPTHS = (18, 34, 50, 101, 152)
"""Columns of `resnet50.model.TABLE_1`, which imports Keras."""

FORMS = ("residual", "plain", "preactivation")
"""Rows of `resnet50.forms.FORMS`, which imports Keras."""

OPTIMIZERS = ("adamw", "sgd", "lamb")
"""Optimizers; `resnet50.training.optimizer` has their equations."""

LOSSES = ("cross-entropy", "binary-cross-entropy")
"""Training losses; `resnet50.training.losses` describes them."""

_CONVENTIONS = (*CONVENTIONS, "keras")

_LAYER_GROUPS = ("conv2", "conv3", "conv4", "conv5")  # the stages of table 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Every number of a training run. Two runs of one recipe on one machine and dataset give the same weights.

    Weight decay spares biases and batch norm. What it means depends on the optimizer: the same number is not the same
    strength in another one. The running average of `ema` is Keras' own: it covers the trainable weights, while batch
    norm keeps the moving statistics of the training. If the average's memory, ``1 / (1 - ema)`` batches, is much longer
    than theirs, the two do not match until the learning rate is low.

    Attributes:
        name: Name of the task; the folder of a run is named after it.
        phases: Phases of the training, one after the other, the last one a `Phase`; epochs are counted over all of
            them, and a `LinearProbe` counts as one.
        weights: Name of pretrained weights or their file; None to train from scratch.
        normalization: Row of `resnet50.weights.NORMALIZATIONS`; None for that of the weights, or from scratch.
        batch_size: Images in a batch, at most.
        gradient_accumulation_steps: Batches whose gradients are averaged before the weights change: a step of the
            optimizer then sees ``batch_size`` times this many images in the memory of one batch. Batch norm's
            statistics are those of each batch, as on several devices that do not share them, so that a larger batch
            size is not the same. Gradients carry over from epoch to epoch; those of the last batches of a phase that do
            not fill a step are not used.
        share_last_batch: Whether a last batch of an epoch that is much smaller than the others is shared out among
            them (`resnet50.data.batches.Batches`). False in recipes that were recorded before there was this number.
        optimizer: One of `OPTIMIZERS`.
        weight_decay: Share of a weight that a step takes away, times the learning rate, with AdamW; share of it that is
            added to the gradient with SGD, and to the update with LAMB.
        momentum: Momentum of the gradients, 0..1; beta 1 of AdamW and LAMB.
        beta_2: Momentum of the squared gradients, 0..1; 0.999 with SGD, which has none.
        clip_norm: Largest norm of the gradients of all weights together; larger ones are scaled down to it. 0 for no
            limit.
        loss: One of `LOSSES`.
        target_threshold: With binary cross-entropy, classes whose share of a mixed image is above it count in full, and
            others not at all, 0..1; 0 leaves the shares as they are. 0 with the other loss.
        label_smoothing: Share of the target that is spread over all classes, 0..1.
        augmentation: Random changes to training images.
        mixup: Strength of blending two images, the alpha of a Beta distribution; 0 for none.
        cutmix: Size of the piece of another image that is pasted in, the alpha of a Beta distribution; 0 for none.
        class_weight: ``"balanced"`` makes every class count the same in the training loss, however few its images;
            None counts every image the same.
        validation_split: Share of the training images held out and scored after every epoch; 0 trains on all of them.
            A validation split of the dataset's own takes its place.
        restore_best: Whether the epoch that validated best becomes the trained model, instead of the last one. Each
            phase then begins with the best epoch of those before it.
        image_size: Height and width of the images in pixels, at least 32; the network that is trained takes this size.
        train_image_size: Height and width of the images in training and validation, at least 32; None for `image_size`,
            in which the test images are scored (Touvron et al. 2019, arXiv:1906.06423).
        fit: How images are fitted to that size; None for the fit of the images that are passed in. A run records the
            fit that was used.
        head: Row of `resnet50.heads.HEADS`.
        stem: Row of `resnet50.model.STEMS`.
        conventions: ``"v1"``; ``"v1.5"``, as in torchvision and timm; or ``"keras"``, v1 with the initial weights and
            the slow moving statistics of keras.applications. None for those of the weights, or v1 from scratch.
        depth: Column of table 1: the layers of the network, one of 18, 34, 50, 101 and 152.
        form: Row of `resnet50.forms.FORMS`: what blocks do with their shortcuts.
        stochastic_depth: Share of the images of a step for which the last block adds nothing, 0..1; earlier blocks have
            a smaller share, in proportion to their number (Huang et al. 2016, arXiv:1603.09382).
        stages: The table of stages as rows of `resnet50.model.Stage`'s fields; None for the paper's of that depth.
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
    phases: tuple[LinearProbe | Phase, ...]
    weights: str | None = number(
        "Pretrained weights: a name from 'resnet50 weights list', a file, or none.", None, common=True
    )
    normalization: str | None = number(
        "Input normalization; without it, that of the weights.", None, choices=tuple(NORMALIZATIONS)
    )
    batch_size: int = number("Images in a batch.", 32, common=True)
    gradient_accumulation_steps: int = number("Batches whose gradients are averaged in one step.", 1)
    share_last_batch: bool = number("Make the batches of an epoch equal if the last would be very small.", True)
    optimizer: str = number("Optimizer.", "adamw", choices=OPTIMIZERS)
    weight_decay: float = number(
        "Share of a weight that a step takes away, times the learning rate (adamw), or that is added to the gradient "
        "(sgd) or the update (lamb).",
        0.01,
    )
    momentum: float = number("Momentum of the gradients, 0..1.", 0.9)
    beta_2: float = number("Momentum of the squared gradients, 0..1.", 0.999)
    clip_norm: float = number("Largest norm of the gradients of all weights together; 0 for no limit.", 0.0)
    loss: str = number("Training loss.", "cross-entropy", choices=LOSSES)
    target_threshold: float = number(
        "Share of a mixed image above which a class counts in full in binary cross-entropy, 0..1; 0 for its share.", 0.0
    )
    label_smoothing: float = number("Share of the target that is spread over all classes, 0..1.", 0.1)
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixup: float = number("Strength of blending two images (alpha of a Beta distribution); 0 for none.", 0.0)
    cutmix: float = number("Size of the pasted piece of another image (alpha of a Beta distribution); 0 for none.", 0.0)
    class_weight: str | None = number(
        "Make every class count the same in the training loss, however few its images.", None, choices=("balanced",)
    )
    validation_split: float = number(
        "Share of the training images held out and scored after every epoch; 0 for none.", 0.0, common=True
    )
    restore_best: bool = number("Keep the epoch that validated best instead of the last one.", False)
    image_size: int = number("Height and width of the images in pixels.", 64, common=True)
    train_image_size: int | None = number("Height and width of the images in training; image-size without it.", None)
    fit: Fit | None = None
    head: str = number("Classifier head.", "linear", choices=HEADS)
    stem: str = number("Stem; cifar is for images of 32 pixels.", "imagenet", choices=STEMS)
    conventions: str | None = number("Block variant; without it, that of the weights.", None, choices=_CONVENTIONS)
    depth: int = number("Layers of the network.", 50, choices=DEPTHS)
    form: str = number("Blocks: plain ones have no shortcut.", "residual", choices=FORMS)
    stochastic_depth: float = number(
        "Share of the images of a step for which the last block adds nothing to its shortcut, 0..1.", 0.0
    )
    stages: tuple[tuple[str, int, tuple[int, ...], int], ...] | None = None
    swa_epochs: int = number("Number of last epochs whose weights are averaged; 1 for none.", 1)
    ema: float = number("Momentum of a running average of the weights, 0..1; 0 for none.", 0.0)
    precision: str = number("Precision of the computation; auto takes the fastest.", "auto", choices=PRECISIONS)
    checkpoint_epochs: int = number("Epochs between checkpoints.", 5)
    seed: int = number(
        "Seed of the initial weights, the order, the augmentation and the validation split.", 0, common=True
    )

    def __post_init__(self) -> None:
        check_types(self)
        phases = self.phases if isinstance(self.phases, tuple) else ()
        has_phases = bool(phases) and isinstance(phases[-1], Phase)
        has_phases = has_phases and all(isinstance(phase, LinearProbe | Phase) for phase in phases)
        check_values(self, {"phases": (has_phases, "a tuple of phases that ends with a Phase")})
        self._check_network()
        self._check_numbers()
        self._check_phases()

    def _check_network(self) -> None:
        """Raise ValueError for a network that does not exist, or weights that determine it otherwise."""
        published = REGISTRY.get(self.weights) if self.weights else None
        check_values(
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
                    f"one of {', '.join(_CONVENTIONS)}, and None where there are weights, which determine it",
                ),
                "depth": (
                    self.depth in DEPTHS and (self.depth == 50 or self.stages is None),
                    f"one of {', '.join(map(str, DEPTHS))}, and 50 where stages are given",
                ),
                "form": (
                    self.form in FORMS and (published is None or self.form == "residual"),
                    f"one of {', '.join(FORMS)}, and residual where weights are published (others begin without)",
                ),
                "stochastic_depth": (
                    0 <= self.stochastic_depth < 1 and (self.stochastic_depth == 0 or self.form != "plain"),
                    "0 or more and less than 1, and 0 where form is plain",
                ),
                "weights": (
                    published is None or published.depth == self.depth,
                    f"those of a ResNet-{self.depth}, as depth says, or None"
                    + (f" (these are of a ResNet-{published.depth})" if published else ""),
                ),
                "image_size": (32 <= self.image_size <= IMAGE_SIDE, f"at least 32 and at most {IMAGE_SIDE} pixels"),
                "train_image_size": (
                    self.train_image_size is None
                    or (
                        32 <= self.train_image_size <= IMAGE_SIDE
                        and self.head != "flatten"
                        and all(isinstance(phase, Phase) and phase.trainable == "all" for phase in self.phases)
                    ),
                    f"None, or at least 32 and at most {IMAGE_SIDE} pixels where every phase trains all layers and the "
                    "head is not 'flatten'",
                ),
                "fit": (self.fit is None or isinstance(self.fit, Fit), "a Fit or None"),
            },
        )

    def _check_numbers(self) -> None:
        """Raise ValueError for an impossible number, or numbers that exclude each other."""
        check_values(
            self,
            {
                "batch_size": (self.batch_size >= 1, "at least 1"),
                "gradient_accumulation_steps": (self.gradient_accumulation_steps >= 1, "at least 1"),
                "optimizer": (self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
                "momentum": (0 <= self.momentum < 1, "0 or more and less than 1"),
                "clip_norm": (0 <= self.clip_norm < float("inf"), "finite and 0 or more"),
                "loss": (self.loss in LOSSES, f"one of {', '.join(LOSSES)}"),
                "target_threshold": (
                    0 <= self.target_threshold < 1 and (self.target_threshold == 0 or self.loss == LOSSES[1]),
                    f"0 or more and less than 1, and 0 where loss is not {LOSSES[1]}",
                ),
                "weight_decay": (0 <= self.weight_decay < float("inf"), "finite and 0 or more"),
                "beta_2": (
                    0 <= self.beta_2 < 1 and (self.optimizer != "sgd" or self.beta_2 == 0.999),
                    "0 or more and less than 1, and 0.999 with sgd, which has none",
                ),
                "label_smoothing": (
                    0 <= self.label_smoothing < 1 and (self.label_smoothing == 0 or self.target_threshold == 0),
                    "0 or more and less than 1, and 0 where there is a target_threshold",
                ),
                "mixup": (0 <= self.mixup < float("inf"), "finite and 0 or more"),
                "cutmix": (0 <= self.cutmix < float("inf"), "finite and 0 or more"),
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
            check_values(
                phase,
                {
                    "trainable": (phase.trainable in groups, f"one of {', '.join(groups)}"),
                    "min_error": (
                        not phase.min_error or (self.validation_split > 0 and phase is not self.phases[0]),
                        "0 in the first phase, which is never left out"
                        if phase is self.phases[0]
                        else "0 where validation_split is 0",
                    ),
                },
            )
            if isinstance(phase, LinearProbe):
                self._check_probe(phase)
            else:
                self._check_phase(phase)

    def _check_probe(self, probe: LinearProbe) -> None:
        expected = "'linear' where a phase is a LinearProbe (epochs take its place with --head-epochs)"
        check_values(self, {"head": (self.head == "linear", expected)})
        check_values(
            probe,
            {
                "c_values": (
                    self.validation_split > 0 or len(probe.c_values) == 1,
                    "one number where validation_split is 0",
                ),
            },
        )

    def _check_phase(self, phase: Phase) -> None:
        check_values(
            phase,
            {
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
        return cast(Phase, self.phases[-1])  # __post_init__ refuses others

    @property
    def epochs(self) -> int:
        """Epochs of all phases together, if none of them ends early."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def layers(self) -> int:
        """Number of layers, as in the name of the network: its depth, or that of its own stages."""
        return 2 + sum(blocks * len(filters) for _, blocks, filters, _ in self.stages) if self.stages else self.depth

    @property
    def keeps_best(self) -> bool:
        """Whether the epoch that validated best becomes the trained model: ``restore_best``, or an early end."""
        return self.restore_best or self.last.patience > 0

    def resized(self, image_size: int, *, one_size: bool = False) -> Recipe:
        """Return the recipe for images of another size: a size of its own in training changes in proportion.

        Args:
            image_size: Height and width in pixels, at least 32.
            one_size: Whether training images have this size, too, as they must where layers are frozen.

        Raises:
            ValueError: If there are no such images.
        """
        train = self.train_image_size
        train = None if one_size or train is None else max(32, round(train * image_size / self.image_size))
        return replace(self, image_size=image_size, train_image_size=train)

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
        """Return the recipe with this many epochs in its last phase, and its other numbers of epochs in proportion."""
        share = epochs / self.last.epochs
        averaged = 1 if self.swa_epochs == 1 else max(1, round(self.swa_epochs * share))
        own = {name: round(getattr(self.last, name) * share, 6) for name in ("warmup_epochs", "lr_step_epochs")}
        return self.change(epochs=epochs, swa_epochs=averaged, **own)

    def extended(self, epochs: int) -> Recipe:
        """Return the recipe with a further phase of this many epochs, which is like its last (see `lasting`)."""
        longer = self.lasting(epochs).thorough()
        return longer.change(phases=(*self.phases, longer.last))

    def thorough(self) -> Recipe:
        """Return the recipe without a reason to leave out a phase: each ``min_error`` is 0."""
        return self.change(phases=tuple(replace(phase, min_error=0.0) for phase in self.phases))

    def without_validation(self) -> Recipe:
        """Return the recipe for training on all images: what validation decides is decided beforehand.

        No phase is left out or ends early, the last epoch becomes the model, and ``C`` of a linear probe is the middle
        one of its values.
        """
        phases = tuple(
            replace(phase, min_error=0.0, c_values=phase.c_values[len(phase.c_values) // 2 :][:1])
            if isinstance(phase, LinearProbe)
            else replace(phase, min_error=0.0, patience=0)
            for phase in self.phases
        )
        return self.change(phases=phases, validation_split=0.0, restore_best=False)

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
            phases = tuple((Phase if "epochs" in phase else LinearProbe)(**phase) for phase in values["phases"])
            augmentation = Augmentation(**values["augmentation"])
            fit = values["fit"] and Fit.from_dict(values["fit"])
            return cls(**{**values, "augmentation": augmentation, "fit": fit, "stages": stages, "phases": phases})
        except TypeError as error:  # a text where a number should be, say
            raise ValueError(f"expected a recipe with numbers of the right type, got {short(str(error))}.") from error


_OWN = {field.name for field in fields(Recipe)}
_AUGMENTATION = {field.name for field in fields(Augmentation)}

_NUMBERS_BEFORE = {
    "share_last_batch": False,
    "fit": None,
    "depth": 50,
    "form": "residual",
    "stochastic_depth": 0.0,
    "optimizer": "adamw",
    "momentum": 0.9,
    "gradient_accumulation_steps": 1,
    "clip_norm": 0.0,
    "loss": "cross-entropy",
    "target_threshold": 0.0,
    "train_image_size": None,
}
"""Numbers that recipes of earlier versions do not have, with the values by which these versions trained."""
