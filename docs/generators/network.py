"""Tables of what the network costs and of its variants, counted from built models and read from the code."""

from __future__ import annotations

import inspect
import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import keras
from keras import layers

from generators.markdown import table
from resnet50.blocks import identity_block
from resnet50.conventions import V1, V1_5, Conventions
from resnet50.metrics.complexity import StageCost, Summary, summary
from resnet50.model import STAGES, STEMS, TABLE_1, ResNet18, ResNet34, ResNet50, Stage
from resnet50.plots.diagrams.network import TIMES
from resnet50.weights.registry import REGISTRY

PAPER_FLOPS = {18: 1.8e9, 34: 3.6e9, 50: 3.8e9, 101: 7.6e9, 152: 11.3e9}
"""Table 1, last row."""


def network_fragments(root: Path) -> dict[str, str]:
    """Return every table, as Markdown or HTML, by the name of its fragment.

    Args:
        root: Root of the repository, with the stored results.
    """
    at_224, at_64 = (ResNet50((size, size, 3), classes=1000) for size in (224, 64))
    return {
        "stages.html": stages_table(summary(at_224), summary(at_64)),
        "parameters.md": parameters_table([at_224, ResNet50((224, 224, 3), classes=6)]),
        "depths.md": depths_table(
            summary(at_224), [summary(build((224, 224, 3), classes=1000)) for build in (ResNet18, ResNet34)]
        ),
        "block_layers.md": block_layers_table(at_224, "conv3_block1"),
        "conventions.md": conventions_table(),
        "conventions_cost.md": conventions_cost_table(at_224),
        "published.md": published_list(),
        "published-weights.md": published_table(),
        "wrong_conventions.md": wrong_conventions_table(root / "benchmarks" / "results" / "conventions.json"),
    }


def stages_table(at_224: Summary, at_64: Summary) -> str:
    """Return table 1, column "50-layer", with the cost of each row.

    Args:
        at_224: Cost for images of 224 pixels, with 1000 classes.
        at_64: Cost for images of 64 pixels.

    Returns:
        HTML table; the bars behind parameters and multiply-accumulates are shares of the totals.
    """
    small = {cost.name: cost for cost in at_64.stages}
    rows = [_stage_row(cost, small[cost.name], at_224, at_64) for cost in at_224.stages]
    totals = f"<td>{at_224.parameters:,}</td><td>{at_224.macs / 1e6:,.0f}</td><td>{at_64.macs / 1e6:,.0f}</td>"
    head = "".join(f"<th>{title}</th>" for title in _TITLES)
    return (
        f'<div class="scrolls"><table class="stages"><thead><tr>{head}</tr></thead><tbody>\n'
        + "\n".join(rows)
        + f'\n</tbody><tfoot><tr><td colspan="4">sum</td>{totals}</tr></tfoot></table></div>\n'
    )


_TITLES = (
    "row",
    "layers, as in table 1",
    "output at 224",
    "at 64",
    "parameters",
    "million multiply&#8209;adds at 224",
    "at 64",
)


def _stage_row(cost: StageCost, small: StageCost, at_224: Summary, at_64: Summary) -> str:
    cells = [f"<td>{_shape(cost)}</td><td>{_shape(small)}</td>"]
    for value, total, text in (
        (cost.parameters, at_224.parameters, f"{cost.parameters:,}"),
        (cost.macs, at_224.macs, f"{cost.macs / 1e6:,.0f}" if cost.macs >= 5e5 else f"{cost.macs / 1e6:.2g}"),
        (small.macs, at_64.macs, f"{small.macs / 1e6:,.0f}" if small.macs >= 5e5 else f"{small.macs / 1e6:.2g}"),
    ):
        cells.append(f'<td class="bar" style="--share: {100 * value / total:.1f}%">{text}</td>')
    return f'<tr class="{cost.name}"><th>{cost.name}</th><td>{_row_of_table_1(cost.name)}</td>{"".join(cells)}</tr>'


def _row_of_table_1(name: str) -> str:
    stem = STEMS["imagenet"]
    stages = {stage.name: stage for stage in STAGES}
    if name in stages:
        stage = stages[name]
        kernels = "<br>".join(
            f"{size}&times;{size}, {filters}" for size, filters in zip((1, 3, 1), stage.filters, strict=True)
        )
        return f'<span class="bracket">{kernels}</span> &times; {stage.blocks}'
    return {
        "conv1": f"{stem.kernel_size}&times;{stem.kernel_size}, 64, stride {stem.stride}",
        "pool1": "3&times;3 max pool, stride 2",
        "avg_pool": "average pool",
        "predictions": "1000-d fc, softmax",
    }[name]


def _shape(cost: StageCost) -> str:
    return " &times; ".join(map(str, cost.output))


def parameters_table(models: Sequence[keras.Model]) -> str:
    """Return the parameters of models by kind.

    Args:
        models: Networks with a dense classifier.

    Returns:
        Markdown table with a column for each model.
    """
    counts = [_count_by_kind(model) for model in models]
    rows = [[kind, *(f"{count[kind]:,}" for count in counts)] for kind in counts[0]]
    rows.append(["**all**", *(f"**{sum(count.values()):,}**" for count in counts)])
    return table(["", *(f"{model.output_shape[-1]:,} classes" for model in models)], rows)


def _count_by_kind(model: keras.Model) -> dict[str, int]:
    counts = dict.fromkeys(
        (
            "kernels of the 53 convolutions",
            "biases of the convolutions",
            "gamma and beta of batch norm",
            "moving mean and variance of batch norm, not trained",
            "dense layer, kernel and bias",
        ),
        0,
    )
    kernels, biases, affine, moving, dense = counts
    for layer in model.layers:
        if isinstance(layer, layers.Conv2D):
            counts[kernels] += math.prod(layer.kernel.shape)
            counts[biases] += layer.count_params() - math.prod(layer.kernel.shape)
        elif isinstance(layer, layers.BatchNormalization):
            counts[affine] += layer.count_params() // 2
            counts[moving] += layer.count_params() // 2
        elif isinstance(layer, layers.Dense):
            counts[dense] += layer.count_params()
    return counts


def depths_table(fifty: Summary, basic: Sequence[Summary]) -> str:
    """Return the columns of table 1; the deeper ones only repeat two identity blocks of ResNet-50 more often.

    Args:
        fifty: Cost of ResNet-50 for images of 224 pixels, with 1000 classes.
        basic: The same for ResNet-18 and 34.

    Returns:
        Markdown table with the paper's count beside ours.
    """
    outputs = {cost.name: cost.output for cost in fifty.stages}
    more = {stage.name: _identity_block_cost(stage, outputs[stage.name]) for stage in STAGES}
    rows = []
    known = dict(zip(TABLE_1, basic, strict=False))
    for depth, column in TABLE_1.items():
        base = known.get(depth, fifty)
        parameters, macs = base.parameters, base.macs
        for stage, row in zip(STAGES, column, strict=True):
            if depth not in known:
                parameters += (row.blocks - stage.blocks) * more[stage.name].parameters
                macs += (row.blocks - stage.blocks) * more[stage.name].macs
        kernels = {2: "3, 3", 3: "1, 3, 1"}[len(column[0].filters)]
        blocks = ", ".join(str(row.blocks) for row in column)
        cells = [kernels, blocks, f"{parameters:,}", f"{macs:,}", f"{PAPER_FLOPS[depth] / 1e9:g} billion"]
        rows.append([f"ResNet-{depth}", *cells])
    titles = ["", "kernels of a block", "blocks of conv2 to conv5", "parameters", "multiply-adds, counted"]
    return table([*titles, "paper's FLOPs"], rows)


def _identity_block_cost(stage: Stage, shape: tuple[int | None, ...]) -> Summary:
    x = keras.Input(shape)
    return summary(keras.Model(x, identity_block(x, stage.filters, name=f"{stage.name}_block2")))


def block_layers_table(model: keras.Model, block: str) -> str:
    """Return the layers of a block, in the order of the model.

    Args:
        model: The network.
        block: Prefix of the names of the block's layers, such as ``"conv3_block1"``.

    Returns:
        Markdown table of names, kinds, shapes of outputs and of weights.
    """
    rows = []
    for layer in model.layers:
        if layer.name.startswith(f"{block}_"):
            kind = type(layer).__name__
            rows.append([f"`{layer.name}`", kind, _times(layer.output.shape[1:]), _weights(layer)])
    return table(["layer", "Keras layer", "output at 224", "weights"], rows)


def _weights(layer: layers.Layer) -> str:
    if isinstance(layer, layers.BatchNormalization):
        return f"{', '.join(weight.name for weight in layer.weights)}: {_times(layer.weights[0].shape)} each"
    return ", ".join(f"{weight.name}: {_times(weight.shape)}" for weight in layer.weights)


def _times(shape: Iterable[int | None]) -> str:
    return f" {TIMES} ".join(map(str, shape))


def conventions_table() -> str:
    """Return the fields of `Conventions` with their values in `V1` and `V1_5` and after `from_scratch`."""
    meaning = _attributes(Conventions)
    rows = []
    for field in fields(Conventions):
        values = [getattr(row, field.name) for row in (V1, V1_5)]
        scratch = {getattr(row.from_scratch(), field.name) for row in (V1, V1_5)}
        changed = f"`{_value(scratch.pop())}`" if len(scratch) == 1 else "not changed"
        rows.append([f"`{field.name}`", *(f"`{_value(value)}`" for value in values), changed, meaning[field.name]])
    return table(["field", "`V1`", "`V1_5`", "after `from_scratch()`", "meaning"], rows)


def published_list() -> str:
    """Return the names of published weights by the conventions of their network and their normalization."""
    groups: dict[tuple[str, str], list[str]] = {}
    for row in REGISTRY.values():
        groups.setdefault((row.conventions, row.normalization), []).append(f"`{row.name}`")
    return "".join(
        f"- **{conventions}**, pixels normalized as `{normalization}`: {', '.join(names)}\n"
        for (conventions, normalization), names in groups.items()
    )


def published_table() -> str:
    """Return a row for each published file of weights: its accuracy, license and conventions."""
    rows = [
        (
            f"`{weights.name}`",
            "not published" if weights.top1 is None else f"{weights.top1:g} % at {weights.top1_image_size}",
            weights.license + ("" if weights.commercial else ": not for commercial use"),
            f"ResNet-{weights.depth} {weights.conventions}",
        )
        for weights in REGISTRY.values()
    ]
    return table(("`weights=`", "top-1", "license", "network"), rows)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _attributes(owner: type) -> dict[str, str]:
    """Return the descriptions in the section "Attributes" of a docstring."""
    _, _, section = (inspect.getdoc(owner) or "").partition("Attributes:\n")
    descriptions: dict[str, str] = {}
    name = ""
    for line in section.splitlines():
        if begins := re.fullmatch(r" {4}(\w+): (.*)", line):
            name, descriptions[begins[1]] = begins[1], begins[2]
        elif name:
            descriptions[name] += f" {line.strip()}"
    return {name: text.replace("``", "`").strip() for name, text in descriptions.items()}


def conventions_cost_table(v1: keras.Model) -> str:
    """Return what `V1` and `V1_5` cost.

    Args:
        v1: Network of `V1` for images of 224 pixels, with 1000 classes.

    Returns:
        Markdown table of parameters and multiply-accumulates.
    """
    models = {"`V1`": v1, "`V1_5`": ResNet50((224, 224, 3), classes=1000, conventions=V1_5)}
    rows = []
    for name, model in models.items():
        moving = sum(math.prod(weight.shape) for weight in model.non_trainable_weights)
        cost = summary(model)
        rows.append([name, f"{cost.parameters - moving:,}", f"{moving:,}", f"{cost.macs:,}"])
    return table(["1000 classes, 224 pixels", "trainable parameters", "moving statistics", "multiply-adds"], rows)


def wrong_conventions_table(results: Path) -> str:
    """Return how far the features of networks with wrong conventions are from the right ones, as it was measured."""
    differences = json.loads(results.read_text(encoding="utf-8"))["relative_difference"]
    rows = [[name, f"{value:.2f}" if value >= 0.01 else f"{value:.1e}"] for name, value in differences.items()]
    return table(["the one difference", "relative difference"], rows)
