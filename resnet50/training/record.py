"""The record of a run: its recipe, data and environment, as ``recipe.json`` and ``environment.json`` hold them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from resnet50._io.arguments import check_types
from resnet50._io.text import short
from resnet50.conventions import Conventions
from resnet50.datasets.source import DataSource
from resnet50.training.environment import Environment
from resnet50.training.recipe import PRECISIONS, Recipe


@dataclass(frozen=True)
class PretrainedWeights:
    """The record of pretrained weights: enough to build their network again and to recognize them.

    Attributes:
        origin: Name or file that they were read from.
        conventions: Block variant of their network.
        normalization: Row of `resnet50.weights.NORMALIZATIONS` that they expect.
        sha256: SHA-256 of all arrays with their names, shapes and dtypes, in hexadecimal.
    """

    origin: str
    conventions: Conventions
    normalization: str | None
    sha256: str


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The recipe, data and environment that a run was started with.

    Attributes:
        recipe: Every number of the training.
        source: Where the images came from; None if they were passed in from Python without a source.
        fingerprints: SHA-256 of each split, by its name, before images were held out.
        environment: Backend, versions, machine and commit.
        dataset: Name of the dataset.
        precision: ``"float32"`` or ``"bfloat16"``: the recipe's precision, resolved on the machine of the run.
        weights: The pretrained weights; None from scratch.
        started: Date and time of the start, in ISO 8601 with the time zone; None in records of earlier versions.
        corrections: SHA-256 of the file of corrections that was applied to the images; None for none.
    """

    recipe: Recipe
    source: DataSource | None
    fingerprints: Mapping[str, str]
    environment: Environment
    dataset: str
    precision: str
    weights: PretrainedWeights | None = None
    started: str | None = None
    corrections: str | None = None

    def to_json(self) -> str:
        """Return everything but the recipe as JSON text."""
        values = {
            **self.environment,
            "precision": self.precision,
            "data": {
                "name": self.dataset,
                "fingerprints": dict(self.fingerprints),
                "source": self.source and self.source.to_dict(),
                "corrections": self.corrections,
            },
            "weights": self.weights and asdict(self.weights),
            "started": self.started,
        }
        return json.dumps(values, indent=2)

    @classmethod
    def from_json(cls, text: str, recipe: Recipe) -> RunRecord:
        """Return the record that `to_json` wrote.

        Raises:
            ValueError: If the text is not JSON, or not that of a record of this version.
        """
        values = _parse(text)
        data = values["data"]
        return cls(
            recipe=recipe,
            source=None if data["source"] is None else DataSource.from_dict(data["source"]),
            fingerprints=data["fingerprints"],
            environment={
                "backend": values["backend"],
                "versions": values["versions"],
                "machine": values["machine"],
                "commit": values["commit"],
            },
            dataset=data["name"],
            precision=values["precision"],
            weights=None if values["weights"] is None else _read_weights(values["weights"]),
            started=values.get("started"),
            corrections=data.get("corrections"),
        )


_KEYS = {*Environment.__annotations__, "precision", "data", "weights"}
_DATA_KEYS = {"name", "fingerprints", "source"}

_STRING, _OBJECT, _OPTIONAL = (str, "a string"), (dict, "an object"), (str | None, "a string or null")
_VALUES: dict[str, tuple[Any, str]] = {
    "backend": _STRING,
    "versions": _OBJECT,
    "machine": _OBJECT,
    "commit": _OPTIONAL,
    "started": _OPTIONAL,
    "data.corrections": _OPTIONAL,
    "precision": _STRING,
    "data.name": _STRING,
    "data.fingerprints": _OBJECT,
}


def _parse(text: str) -> dict[str, Any]:
    """Parse JSON that has all keys of a record."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"expected JSON, got a damaged file ({error}).") from error
    values = values if isinstance(values, dict) else {}
    data = values["data"] if isinstance(values.get("data"), dict) else {}
    missing = _KEYS - set(values) | {f"data.{name}" for name in _DATA_KEYS - set(data)}
    if missing:
        raise ValueError(
            f"expected the record of a run, got one without {', '.join(sorted(missing))}; an earlier version of "
            "resnet50 wrote it; train again (its model.keras can still be used)."
        )
    _check_values(
        {"started": None, "data.corrections": None, **values, **{f"data.{name}": data[name] for name in data}}
    )
    return values


def _check_values(values: Mapping[str, Any]) -> None:
    """Raise ValueError for the first value, by its name, that is not of its type."""
    for name, (types, expected) in _VALUES.items():
        if not isinstance(values[name], types):
            raise ValueError(f"expected {name} to be {expected}, got {short(values[name])}.")
    if values["precision"] not in PRECISIONS[1:]:
        raise ValueError(f"expected precision to be {' or '.join(PRECISIONS[1:])}, got {short(values['precision'])}.")
    if not all(isinstance(digits, str) for digits in values["data.fingerprints"].values()):
        raise ValueError(f"expected data.fingerprints to hold strings, got {short(values['data.fingerprints'])}.")


def _read_weights(values: Mapping[str, Any]) -> PretrainedWeights:
    try:
        conventions = Conventions(**values["conventions"])
        weights = PretrainedWeights(**{**values, "conventions": conventions})
        check_types(conventions)
        check_types(weights)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"expected weights to be the record of pretrained weights, got {short(values)}.") from error
    return weights
