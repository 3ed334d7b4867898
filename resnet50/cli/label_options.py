"""The options of ``resnet50 check`` on labels: the network whose features they are checked with, the cleaning page."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50.cli import pretrained
from resnet50.cli.model import load_keras
from resnet50.cli.parser import Parser, number
from resnet50.cli.source import FOLDER

if TYPE_CHECKING:
    from resnet50.datasets.source import DataSource
    from resnet50.training.recipe import Recipe


def add_label_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--labels``, the options that need it, and the cleaning page."""
    group = parser.add_argument_group("finding and mending wrong labels")
    group.add_argument(
        "--labels",
        action="store_true",
        help="Also rank images by how probable it is that their label is wrong, by the features of a pretrained "
        "network and cross-validation.",
    )
    group.add_argument("--weights", metavar="NAME", help="Its weights: a name or a file. Default: those of the task.")
    group.add_argument(
        "--depth",
        type=number(int),
        help="Layers of the network of these weights: 18, 34, 50, 101 or 152. Default: that of the task.",
    )
    group.add_argument(
        "--seeds", type=number(int, 1), metavar="INT", help="Number of cross-validations to average. Default: 1."
    )
    pretrained.add_arguments(group, otherwise="end with an error")
    group.add_argument(
        "--clean",
        metavar="HTML",
        help="Also write a page to keep, relabel or leave out suspicious images, which saves corrections.csv.",
    )


def read_label_recipe(images: Path | DataSource, options: argparse.Namespace) -> Recipe | None:
    """Return the recipe with the network, its weights fetched after a yes; None without ``--labels``.

    Raises:
        FileNotFoundError: If the weights are not there.
        ValueError: If an option needs ``--labels``, or there are no pretrained weights.
    """
    if not options.labels:
        given = {
            "--weights": options.weights,
            "--depth": options.depth,
            "--seeds": options.seeds,
            "--yes": options.yes,
        }
        if names := [name for name, value in given.items() if value]:
            raise ValueError(f"expected --labels with {', '.join(names)}, got none; give it, or leave them out.")
        return None
    from resnet50.cli import recipe_options
    from resnet50.datasets.source import DataSource
    from resnet50.recipes import find_task
    from resnet50.training.variants import choose_fit

    source = DataSource(FOLDER, str(images)) if isinstance(images, Path) else images
    parser = Parser()
    recipe_options.add_recipe_options(parser)
    numbers = argparse.Namespace(**vars(parser.parse_args([])) | vars(options))
    pretrained.offer_weights(find_task(source.task), numbers, scratch=False)
    recipe = recipe_options.read_recipe(find_task(source.task), numbers)
    load_keras()
    return recipe.change(fit=choose_fit(recipe, source))
