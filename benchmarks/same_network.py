"""The fast training model is the same network: its first fifty steps in bfloat16 beside the plain graph in float32.

Both start with the same weights and get the same batches of rendered signs; a seed determines the batches and their
augmentation. The plain model consists of Keras' own layers and Adam; the fast one is what `resnet50.train` trains. The
distance between the two with one seed is compared with the distance between two seeds of the plain model (root mean
square): for the losses of the steps, and for the moving statistics of batch norm after the last step, layer by layer.
Whether one learns better than the other is the mean over the steps of fast minus plain, seed by seed.

Run: ``python benchmarks/same_network.py``; writes ``benchmarks/results/same-network.json``, ``images/same_network.svg``
and ``images/same_network-dark.svg``. ``python benchmarks/same_network.py --draw`` draws the stored results and trains
nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import keras
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from resnet50 import rendered_signs
from resnet50.data.batches import Batches
from resnet50.data.dataset import Dataset
from resnet50.plots import theme
from resnet50.plots.pair import save_pair
from resnet50.recipes.signs import RECIPE
from resnet50.training.environment import describe_environment
from resnet50.training.fast_cpu.precision import build_training_model
from resnet50.training.network import build_network
from resnet50.training.optimizer import build_optimizer

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "same-network.json"
FIGURE = ROOT / "images" / "same_network.svg"

STEPS = 50
LEARNING_RATE = 1e-3  # Keras' default from the first step on; a warm-up would keep the two together
STATISTICS = ("moving_mean", "moving_variance")


def compiled(model: keras.Model, *, fused: bool) -> keras.Model:
    """Compile a network with Keras' Adam or with the fused one."""
    recipe = RECIPE.change(schedule="constant", learning_rate=LEARNING_RATE, warmup_epochs=0)
    optimizer = build_optimizer(recipe, recipe.last, model, STEPS)
    if not fused:
        optimizer = keras.optimizers.Adam.from_config(optimizer.get_config())
    model.compile(optimizer, keras.losses.CategoricalCrossentropy(label_smoothing=RECIPE.label_smoothing))
    model.optimizer.build(model.trainable_variables)
    return model


def train(model: keras.Model, weights: list[np.ndarray], training: Dataset, batch: int, seed: int) -> list[float]:
    """Train from these weights for `STEPS` steps; return the loss of each."""
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        if variable.path.split("/")[-1] != "learning_rate":
            variable.assign(np.zeros(variable.shape))
    batches = Batches(training, batch, shuffle=True, augmentation=RECIPE.augmentation, seed=seed)
    losses = []
    for step in range(STEPS):
        batches.epoch, index = divmod(step, len(batches))
        model.reset_metrics()
        losses.append(float(model.train_on_batch(*batches[index])))
    return losses


def statistics(model: keras.Model) -> dict[str, list[np.ndarray]]:
    """Return batch norm's moving means and deviations, an array for each layer."""
    values: dict[str, list[np.ndarray]] = {
        name: [np.asarray(weight) for weight in model.weights if weight.name == name] for name in STATISTICS
    }
    values["moving_variance"] = [np.sqrt(variance) for variance in values["moving_variance"]]
    return values


def rms(values: Any) -> float:
    """Return the root mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def between_seeds(values: np.ndarray) -> float:
    """Return the root mean square distance of two different rows of ``(seeds, ...)``."""
    return rms([first - second for first, second in combinations(values, 2)])


def compare_losses(plain: np.ndarray, fast: np.ndarray) -> dict[str, float]:
    """Compare two arrays of losses ``(seeds, steps)``."""
    difference = (fast - plain).mean(axis=1)
    return {
        "same_seed": rms(fast - plain),
        "other_seeds": between_seeds(plain),
        "fast_minus_plain": float(difference.mean()),
        "standard_error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
        "plain_last_ten": float(plain[:, -10:].mean()),
        "fast_last_ten": float(fast[:, -10:].mean()),
    }


def compare_statistics(
    plain: list[dict[str, list[np.ndarray]]], fast: list[dict[str, list[np.ndarray]]]
) -> dict[str, dict[str, float]]:
    """Compare moving statistics: for each layer, the distance with one seed as a share of that between seeds."""
    results = {}
    for name in STATISTICS:
        shares = []
        for layer in range(len(plain[0][name])):
            ours, theirs = (np.stack([seed[name][layer] for seed in seeds]) for seeds in (plain, fast))
            shares.append(rms(theirs - ours) / between_seeds(ours))
        results[name] = {
            "layers": len(shares),
            "median_share": float(np.median(shares)),
            "greatest_share": max(shares),
        }
    return results


def draw(results: dict[str, Any]) -> Figure:
    """Draw the losses of both models, and how much they differ beside how much seeds differ."""
    plain, fast = (np.array(results["curves"][name]) for name in ("plain", "fast"))
    losses = results["losses"]
    figure = theme.new_figure(7.8, 7.4)
    above, below = figure.subplots(2, 1, sharex=True)
    draw_losses(above, plain, fast)
    draw_differences(below, plain, fast)
    write_titles(above, "The loss in bfloat16 follows that in float32", f"Loss in nats, mean of {len(plain)} seeds")
    write_titles(
        below,
        f"The precision changes a loss by {losses['same_seed']:.2g}, the seed by {losses['other_seeds']:.2g}",
        "Difference in nats (root mean square)",
    )
    theme.write_below(below, "Training step")
    figure.tight_layout(h_pad=1.8)
    return figure


def draw_losses(axes: Axes, plain: np.ndarray, fast: np.ndarray) -> None:
    """Draw the mean loss of each model over all seeds, on the range of the plain one."""
    steps = np.arange(1, plain.shape[1] + 1)
    axes.fill_between(
        steps, plain.min(axis=0), plain.max(axis=0), color=theme.FAINT, linewidth=0, label="range of the float32 seeds"
    )
    axes.plot(steps, plain.mean(axis=0), color=theme.TRAINING, linewidth=3, label="Keras' own layers, float32")
    axes.plot(steps, fast.mean(axis=0), "--", color=theme.VALIDATION, linewidth=2, label="training model, bfloat16")
    axes.set_ylim(0, None)
    write_legend(axes)


def draw_differences(axes: Axes, plain: np.ndarray, fast: np.ndarray) -> None:
    """Draw the root mean square difference of the losses of each step."""
    steps = np.arange(1, plain.shape[1] + 1)
    seeds = [between_seeds(losses[:, None]) for losses in plain.T]
    precisions = [rms(difference) for difference in (fast - plain).T]
    axes.plot(steps, seeds, color=theme.MUTED, linewidth=2, label="two seeds, both float32")
    axes.plot(steps, precisions, color=theme.ACTIVATION, linewidth=2.4, label="one seed, float32 and bfloat16")
    axes.set_ylim(0, 1.25 * max(seeds))
    write_legend(axes)


def write_legend(axes: Axes) -> None:
    axes.legend(frameon=False, prop={"family": theme.FONT, "size": theme.SMALL}, labelcolor=theme.INK)


def write_titles(axes: Axes, title: str, beside: str) -> None:
    """Write the title of a panel and the name of its vertical axis."""
    theme.style_axes(axes)
    theme.write_title(axes, title)
    axes.set_ylabel(beside, fontsize=theme.SMALL, color=theme.MUTED, family=theme.FONT)


def measure(seeds: int, batch: int) -> dict[str, Any]:
    """Train both models with each seed and compare them."""
    training, _ = rendered_signs()
    network = build_network(RECIPE, len(training.class_names))
    first = network.get_weights()
    fast = compiled(build_training_model(network, "bfloat16"), fused=True)
    plain = compiled(network, fused=False)
    losses: dict[str, list[list[float]]] = {"plain": [], "fast": []}
    moved: dict[str, list[dict[str, list[np.ndarray]]]] = {"plain": [], "fast": []}
    for seed in range(seeds):
        for name, model in (("plain", plain), ("fast", fast)):
            losses[name].append(train(model, first, training, batch, seed))
            moved[name].append(statistics(model))
        print(seed, losses["plain"][-1][-1], losses["fast"][-1][-1], flush=True)
    curves = {name: np.array(values) for name, values in losses.items()}
    return {
        "what": f"{STEPS} steps of {batch} rendered signs, learning rate {LEARNING_RATE}, {seeds} "
        "seeds: plain model in float32 and training model in bfloat16",
        "command": " ".join(["python", "benchmarks/same_network.py", *sys.argv[1:]]),
        **describe_environment(),
        "losses": compare_losses(curves["plain"], curves["fast"]),
        "statistics": compare_statistics(moved["plain"], moved["fast"]),
        "curves": {name: np.round(values, 5).tolist() for name, values in curves.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="at least 2")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--draw", action="store_true", help="Draw the stored results; train nothing.")
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error(f"--seeds must be at least 2, got {options.seeds}.")
    if not options.draw:
        results = measure(options.seeds, options.batch)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")
        print(json.dumps({"losses": results["losses"], "statistics": results["statistics"]}, indent=2))
    print(*save_pair(draw(json.loads(RESULTS.read_text())), FIGURE), sep="\n")


if __name__ == "__main__":
    main()
