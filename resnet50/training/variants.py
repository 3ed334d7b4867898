"""The choice of a task's variant by the weights that are cached; nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from resnet50._io.text import did_you_mean
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.datasets.source import DataSource
from resnet50.training.recipe import Recipe
from resnet50.weights.read import read_fitting
from resnet50.weights.registry import REGISTRY, at_depth, find_published
from resnet50.weights.status import find_weights, is_cached

SCRATCH = "scratch"
"""Name of the variant that starts from random weights."""

NO_WEIGHTS = "none"
"""The name of weights that means random initial weights."""

FINE_TUNED = "fine-tuned"
"""Name of the variant that starts from pretrained weights."""


def find_variant(variants: Mapping[str, Recipe], name: str) -> Recipe:
    """Return the variant of that name.

    Raises:
        ValueError: If there is none.
    """
    if name not in variants:
        raise ValueError(
            f"expected a variant of {variants[SCRATCH].name}, one of {', '.join(variants)}, got {name!r}"
            f"{did_you_mean(name, variants)}"
        )
    return variants[name]


def choose_recipe(
    variants: Mapping[str, Recipe], *, variant: str | None = None, weights: str | None = None, depth: int | None = None
) -> Recipe:
    """Return the named variant of a task, or the variant that suits the named or cached weights.

    Args:
        variants: Recipes of a task by name, at least the one from scratch.
        variant: Name of the variant; by default ``"fine-tuned"`` where its weights are cached or others are named, and
            the one from scratch otherwise.
        weights: Name or file of the pretrained weights, or `NO_WEIGHTS`; None for those of the variant.
        depth: Layers of the network, for which the variant's weights are those of `resnet50.weights.registry.at_depth`;
            None for the variant's.

    Returns:
        The variant, with its own weights and depth.

    Raises:
        ValueError: If the task has no such variant.
        FileNotFoundError: If the named variant needs weights that are not cached.
    """
    if variant is None:
        usual = usual_weights(variants, depth)
        fine_tune = weights != NO_WEIGHTS if weights is not None else usual is not None and _cached(usual)
        recipe = variants[FINE_TUNED if fine_tune and FINE_TUNED in variants else SCRATCH]
    else:
        recipe = find_variant(variants, variant)
    own = _at_depth(recipe.weights, depth) if weights is None else None
    if variant is not None and own and not _cached(own):
        raise FileNotFoundError(
            f"{recipe.name} {variant}: expected the weights {own} in the cache, found none; run "
            f"'resnet50 weights fetch {own}', or give a file or {NO_WEIGHTS} by --weights."
        )
    return recipe if depth in (None, recipe.depth) else recipe.change(depth=depth, weights=own)


def usual_weights(variants: Mapping[str, Recipe], depth: int | None = None) -> str | None:
    """Return the name of the weights that a network of this depth is usually fine-tuned from for a task, if any."""
    return _at_depth(variants[FINE_TUNED].weights, depth) if FINE_TUNED in variants else None


def check_weights_file(recipe: Recipe) -> None:
    """Refuse a file of pretrained weights that is damaged or of another depth, before images are read.

    Raises:
        ValueError: If it is.
        FileNotFoundError: If it does not exist.
    """
    if recipe.weights and recipe.weights not in REGISTRY:
        read_fitting(recipe.weights, recipe.layers)


def resolve_weights(weights: str | None) -> str | None:
    """Check the name or file of pretrained weights before any work.

    Args:
        weights: Published name, file, `NO_WEIGHTS` or None.

    Returns:
        The published name; or the absolute path of the file, which holds in any folder; or None.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If there is neither such a name nor such a file.
    """
    if weights is None or weights == NO_WEIGHTS:
        return None
    published, path = find_weights(weights)
    return str(path.absolute()) if published is None else published.name


def usual_fit(weights: str | None) -> Fit:
    """Return how the publisher of pretrained weights fits images in its own test.

    Args:
        weights: Published name or file; None from scratch.

    Returns:
        The crop ratio and the resampling of the registry's row, as far as they are published; `DEFAULT_FIT` for a file
        or from scratch.
    """
    published = REGISTRY.get(weights) if weights else None
    return Fit(**published.fit_values) if published else DEFAULT_FIT


def choose_fit(recipe: Recipe, source: DataSource) -> Fit:
    """Return how the images of a source are fitted for a recipe.

    Args:
        recipe: Its own fit comes first, and that of its weights' publisher last.
        source: The images; the fit that they were packed with comes second.
    """
    return recipe.fit or source.stored_fit or usual_fit(recipe.weights)


def _at_depth(weights: str | None, depth: int | None) -> str | None:
    return at_depth(weights, depth) if weights and depth else weights


def _cached(weights: str) -> bool:
    return Path(weights).is_file() or is_cached(find_published(weights))
