"""The kinds of issues, and the numbering of images over all splits."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import resnet50
from factories import dataset, raises
from resnet50.audit.issue import KINDS, AllImages, Place


def raised_kinds():
    """Every kind that a call of `Issue` in the package names, with the file."""
    for path in Path(resnet50.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Issue":
                first = next((word.value for word in node.keywords if word.arg == "kind"), *node.args[:1])
                yield ast.literal_eval(first), path.name


def test_every_kind_that_is_raised_is_listed():
    raised = dict(raised_kinds())
    assert set(raised) == set(KINDS), raised


def test_images_are_numbered_from_the_training_split_on():
    images = AllImages({"test": dataset([1, 0]), "train": dataset([0, 0, 1])})
    assert images.names == ("train", "test")
    assert len(images) == 5
    assert images.labels.tolist() == [0, 0, 1, 1, 0]
    assert images.place(3, "why") == Place("0.png", "test", 0, "dogs", "why")
    assert (images.image(4) == images.splits["test"].images[1]).all()


def test_splits_that_do_not_fit_are_refused():
    with raises(ValueError):
        AllImages({})
    with raises(ValueError):
        AllImages({"train": dataset([])})
    with raises(ValueError, "pets", "test", "cats, dogs", "x, y"):
        AllImages({"train": dataset([0, 1]), "test": replace(dataset([0, 1]), class_names=("x", "y"))})
