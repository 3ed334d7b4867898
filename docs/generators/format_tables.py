"""Tables of the page on file formats, from the dataclasses that the files are written from. Imports no Keras."""

from __future__ import annotations

import re

import griffe

from generators.links import load_package
from generators.markdown import table
from resnet50.training.run import RunDirectory, RunFile

KEYS = {
    "report": "resnet50.metrics.scores.Report",
    "temperature_scaling": "resnet50.metrics.calibration.TemperatureScaling",
    "feature_scoring": "resnet50.metrics.scores.FeatureScoring",
    "class_scores": "resnet50.metrics.scores.ClassScores",
    "bin": "resnet50.metrics.calibration.Bin",
    "mistake": "resnet50.metrics.scores.Mistake",
    "selective": "resnet50.metrics.selective.SelectiveScores",
    "set_scores": "resnet50.metrics.selective.SetScores",
    "issue": "resnet50.audit.issue.Issue",
    "place": "resnet50.audit.issue.Place",
    "recipe": "resnet50.training.recipe.Recipe",
    "phase": "resnet50.training.phases.Phase",
    "linear_probe": "resnet50.training.phases.LinearProbe",
    "augmentation": "resnet50.data.augmentation.Augmentation",
    "environment": "resnet50.training.environment.Environment",
    "weights": "resnet50.training.record.PretrainedWeights",
    "source": "resnet50.datasets.source.DataSource",
    "read_options": "resnet50.data.options.ReadOptions",
    "conventions": "resnet50.conventions.Conventions",
    "transfer": "resnet50.weights.transfer.TransferReport",
    "classifier": "resnet50.inference.classifier.Classifier",
    "similarity": "resnet50.metrics.similarity.Similarity",
    "agreement": "resnet50.metrics.similarity.Agreement",
    "correlation": "resnet50.metrics.similarity.Correlation",
}
"""For each table, the class whose attributes are the keys of a JSON object."""

_NOT_JSON = {"resnet50.inference.classifier.Classifier": ("network", "thresholds")}  # files beside the object hold them
_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "None": "null",
    **dict.fromkeys(("tuple", "list"), "array"),
}


def format_tables() -> dict[str, str]:
    """Return the tables by name: one for each of `KEYS`, and ``"run"``, the files of a run."""
    package = load_package()
    tables = {name: key_table(package[path.partition(".")[2]]) for name, path in KEYS.items()}
    return {"run": run_table(), **tables}


def run_table() -> str:
    """Return a row for each file of a run directory."""
    files = [file for file in vars(RunDirectory).values() if isinstance(file, RunFile)]
    return table(("file", "content"), [(f"`{file.name}`", file.meaning) for file in files])


def key_table(described: griffe.Object) -> str:
    """Return a row for each attribute of a class: the key, its JSON type and what it means."""
    rows = [
        (f"`{attribute.name}`", json_type(str(attribute.annotation)), " ".join(attribute.description.split()))
        for section in (described.docstring.parsed if described.docstring else ())
        if section.kind is griffe.DocstringSectionKind.attributes
        for attribute in section.value
        if attribute.name not in _NOT_JSON.get(described.path, ())
    ]
    return table(("key", "type", "meaning"), rows)


def json_type(annotation: str) -> str:
    """Return the type in JSON of a value that is annotated in Python: a class or a mapping is an object."""
    members = re.sub(r"\[.*\]", "", annotation).split(" | ")
    return " or ".join(dict.fromkeys(_TYPES.get(member, "object") for member in members))
