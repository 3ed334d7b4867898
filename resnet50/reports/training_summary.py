"""The training of a classifier, as its report shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from resnet50._io.text import duration
from resnet50.data.fit import Fit
from resnet50.datasets.source import DataSource
from resnet50.weights.registry import without_folder

NONE = "none, random initialization"
"""The setting of a training from scratch."""

_LAYERS = {"all": "all", "head": "head only"}
_PROBE = "c_values"  # a number that only linear probes have
_PHASE = {"trainable", "epochs", "learning_rate", "schedule"}


@dataclass(frozen=True, eq=False)
class TrainingSummary:
    """The training of a classifier, as far as it is known.

    Attributes:
        dataset: Name of the dataset.
        recipe: Every number of the training, as in `Classifier.recipe`; may be empty.
        history: A list with a value for each epoch under each name in ``history.csv``; empty where it is not known.
        source: Where the training's images are; None where that is not known.
        model: The run or model, as commands name it; None where it has no place.
    """

    dataset: str
    recipe: Mapping[str, Any]
    history: Mapping[str, Sequence[float]] = field(default_factory=dict)
    source: DataSource | None = None
    model: str | None = None

    @property
    def phases(self) -> Sequence[Mapping[str, Any]]:
        """The phases of the recipe, the first one first; empty without a recipe."""
        return tuple(phase for phase in self.recipe.get("phases") or () if isinstance(phase, Mapping))

    @property
    def last_phase(self) -> Mapping[str, Any]:
        """The last phase; empty without a recipe."""
        return self.phases[-1] if self.phases else {}

    @property
    def has_epochs(self) -> bool:
        """Whether it is known that the network was trained in epochs, and not by linear probes alone."""
        probes = {number for number, phase in enumerate(self.phases, start=1) if _PROBE in phase}
        return any(number not in probes for number in self._phase_numbers)

    @property
    def _phase_numbers(self) -> list[float]:
        """The number of the phase of each epoch."""
        numbers = self.history.get("phase", ())
        # the epochs of a run of one phase have no number, also once it is extended by another
        return [number if np.isfinite(number) else 1 for number in numbers] or [1] * self.epochs

    @property
    def epochs(self) -> int:
        """Number of epochs that the network was trained for; 0 where it is not known."""
        return len(self.history.get("loss", ()))

    @property
    def seconds(self) -> float:
        """Duration of all epochs in seconds; 0 where it is not known."""
        return float(np.nansum(self.history.get("seconds", ())))

    def last(self, name: str) -> float | None:
        """Return the last value of a column of the history, such as ``"val_accuracy"``; None if it has none."""
        finite = [value for value in self.history.get(name, ()) if np.isfinite(value)]
        return float(finite[-1]) if finite else None

    @property
    def keeps_best(self) -> bool:
        """Whether the epoch that validated best became the model, as in `Recipe.keeps_best`."""
        return bool(self.recipe.get("restore_best") or self.last_phase.get("patience"))

    def best_accuracy(self, number: int | None = None) -> float | None:
        """Return the best validation accuracy of all epochs or of a phase, 0..1; None where it is not known."""
        accuracies = zip(self._phase_numbers, self.history.get("val_accuracy", ()), strict=False)
        known = (value for phase, value in accuracies if number in (None, phase) and np.isfinite(value))
        return max(known, default=None)

    def settings(self) -> dict[str, str]:
        """Return the settings by their titles, as a page shows them; those that are not known are left out."""
        recipe = self.recipe
        size, smaller, share = (recipe.get(name) for name in ("image_size", "train_image_size", "validation_split"))
        shown = {
            "Recipe": recipe.get("name"),
            "Pretrained weights": _name(recipe["weights"]) if "weights" in recipe else None,
            "Image size": f"{size} x {size} pixels" if size else None,
            "Image size in training": f"{smaller} x {smaller} pixels" if smaller else None,
            "Fit to that size": str(Fit.from_dict(recipe["fit"])) if recipe.get("fit") else None,
            "Batch size": recipe.get("batch_size"),
            "Seed": recipe.get("seed"),
            "Held out for validation": f"{share:.0%} of the training images" if share else None,
            "Training time": duration(self.seconds) if self.seconds else None,
        }
        return {name: str(value) for name, value in shown.items() if value is not None}

    def phase_rows(self) -> list[dict[str, Any]]:
        """Return for each phase what it trained and how, and its best validation accuracy; None where there is none.

        ``without_epochs`` is the ``min_error`` of a phase that was left out or diverged at once, and 0 for others.
        """
        return [
            {"number": number, **self._phase_row(number, phase), "accuracy": self.best_accuracy(number)}
            for number, phase in enumerate(self.phases, start=1)
            if _PROBE in phase or _PHASE.issubset(phase)  # a record that was made by hand may have others
        ]

    def _phase_row(self, number: int, phase: Mapping[str, Any]) -> dict[str, Any]:
        """Return the layers, epochs, highest learning rate and schedule of a phase, and its ``without_epochs``."""
        numbers = self._phase_numbers
        done = numbers.count(number)
        missing = (phase.get("min_error") or 0) if numbers and not done else 0
        if _PROBE in phase:
            views = f", {phase['views']} versions of each image" if phase.get("views", 1) > 1 else ""
            row = {"layers": f"linear probe{views}", "epochs": "", "learning_rate": "", "schedule": ""}
        else:
            planned, layers = phase["epochs"], phase["trainable"]
            row = {
                "layers": _LAYERS.get(layers, f"{layers} and above"),
                "epochs": f"{done} of {planned}" if 0 < done < planned else str(planned),
                "learning_rate": f"{phase['learning_rate']:g}",
                "schedule": phase["schedule"],
            }
        return row | {"epochs": "none" if missing else row["epochs"], "without_epochs": missing}


def _name(weights: str | None) -> str:
    return without_folder(weights) if weights else NONE
