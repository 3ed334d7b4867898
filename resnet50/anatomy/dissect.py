"""A trained network taken apart: every measurement of its blocks, and how it sees some images."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnet50 import blocks, forms
from resnet50._io.fetch import Progress
from resnet50._io.quiet import without_retracing_warnings
from resnet50._io.text import plural
from resnet50.anatomy.blocks import BATCH, contributions, lesions
from resnet50.anatomy.pretrained import open_pretrained
from resnet50.anatomy.probes import linear_probes
from resnet50.anatomy.records import Anatomy, PartAnatomy, ShownImage, View
from resnet50.anatomy.views import field_box, filters_in_rgb, strongest_channels, strongest_patches
from resnet50.audit.issue import Issue
from resnet50.data.dataset import Dataset
from resnet50.data.images import ImageLike, fit_image
from resnet50.data.left_out import describe_left_out
from resnet50.evaluation.scored_images import ScoredImages, Source, Trained, find_scored_images
from resnet50.graph.geometry import FeatureMap, feature_maps
from resnet50.graph.network_graph import graph_of
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import locate
from resnet50.metrics.complexity import layer_macs
from resnet50.metrics.grad_cam import grad_cam
from resnet50.metrics.receptive_field import effective_receptive_field
from resnet50.metrics.scores import accuracy_interval
from resnet50.plots.diagrams.network import Block, Network, Operation, describe, is_a, is_relu, read_network
from resnet50.training.run import RunDirectory
from resnet50.weights.registry import REGISTRY, names_weights

MOST_SCORED = 500
"""Most held-out images that lesions and probes are scored on."""

MOST_TRAINING = 1000
"""Most training images that probes are fitted to, and patches are searched in."""

MOST_SHOWN = 4
"""Most images that the network is shown on."""

_CHANNELS = 4  # of a block that are shown
_PATCHES = 4  # for each of them
_FIELD_IMAGES = 4  # for the effective receptive field

_log = logging.getLogger(__name__)


@without_retracing_warnings()
def dissect(
    model: str | os.PathLike[str],
    images: Sequence[ImageLike] = (),
    *,
    source: Source | None = None,
    progress: Progress | None = None,
) -> Anatomy:
    """Take a trained network apart: measure each residual block on held-out images, and show it on single ones.

    Args:
        model: Folder of a run, a ``.keras`` file, or pretrained weights: a name in `resnet50.weights.REGISTRY`, fetched
            if it is not cached, or a file of weights.
        images: Images to show the network on, at most `MOST_SHOWN`; without any, held-out images of different classes
            that it classifies correctly.
        source: Images to score on, as for `resnet50.evaluate`; None for the dataset of the training, if it is there.
        progress: Called with the number of steps done and the total, or None, for each measurement.

    Returns:
        The measurements. What needs images that are not known is left out, and `Anatomy.left_out` says so, and which
        images and files are not used.

    Raises:
        FileNotFoundError: If the model, an image or a source that is given is not there.
        ValueError: If the model is an export or has no residual block, weights have no classifier, or images cannot be
            read or are too many.
        DownloadError: If published weights cannot be fetched.
    """
    if len(images) > MOST_SHOWN:
        raise ValueError(f"expected at most {MOST_SHOWN} images to show the network on, got {len(images)}; name fewer.")
    trained = _open(os.fspath(model))
    classifier = trained.classifier
    network = read_network(classifier.model)
    scored, training, left_out, issues = _find_images(trained, source, progress)
    shortcuts = any(block.shortcut is not None for block in network.blocks)
    if not shortcuts:
        left_out = (*left_out, "The blocks have no shortcut, so that there are no contributions and lesions.")
    right = None
    if scored is not None:
        right = forward_array(classifier.network, scored.images, batch_size=BATCH).argmax(axis=1) == scored.labels
    shown = _shown(classifier, images, scored, right)
    anatomy = Anatomy(
        name=os.fspath(model) if os.fspath(model) in REGISTRY else Path(model).name,
        classifier=classifier,
        parts=_described(classifier.model, network),
        filters=filters_in_rgb(classifier.model, _first_convolution(network)),
        images=shown,
        scored=scored,
        training=training,
        accuracy=None if right is None else (float(right.mean()), accuracy_interval(right)),
        has_shortcuts=shortcuts,
        left_out=left_out,
        issues=issues,
    )
    anatomy = _with_scores(anatomy, progress)
    anatomy = _with_fields(_with_contributions(anatomy, progress), progress)
    return _with_patches(_with_views(anatomy, network, progress), progress)


def _open(model: str) -> Trained:
    _log.info("opening the model")
    if names_weights(model):
        return Trained(Path(model), open_pretrained(model), None, None)
    located = locate(model)
    if located.kind == "export":
        raise ValueError(f"{model}: expected a .keras file or the folder of a run, got an export; name its model.")
    run = RunDirectory(located.run) if located.run else None
    return Trained(located.model, Classifier.load(located.model, runtime="keras"), run, run.read() if run else None)


def _find_images(
    trained: Trained, source: Source | None, progress: Progress | None
) -> tuple[Dataset | None, Dataset | None, tuple[str, ...], tuple[Issue, ...]]:
    """Return held-out and training images, at most as many as are used, what is left out without them, and issues."""
    if source is None and "name" not in trained.classifier.recipe:  # as of pretrained weights
        return None, None, ("There are no lesions and probes: they need labeled images (--data, or source).",), ()
    try:
        images = find_scored_images(trained, source, None, progress)
    except (FileNotFoundError, ValueError) as error:
        if source is not None:
            raise
        return None, None, (f"Without held-out images there are no lesions and probes: {error}",), ()
    scored, training = _some(images.test, MOST_SCORED), images.train and _some(images.train, MOST_TRAINING)
    lacks = () if training is not None else ("Without the training images there are no probes and patches.",)
    return scored, training, (*lacks, *_unused(images)), images.issues


def _unused(images: ScoredImages) -> Iterator[str]:
    """Yield a line on each kind of images and files of the source that are not used."""
    for dataset, most, kind in ((images.test, MOST_SCORED, "held-out"), (images.train, MOST_TRAINING, "training")):
        if dataset is not None and len(dataset) > most:
            yield f"{most:,} of {len(dataset):,} {kind} images are used, drawn at random."
    if unreadable := images.audited.unreadable:
        first = unreadable[0]
        yield f"{plural(len(unreadable), 'file')} cannot be read, such as {first.path} ({first.reason})."
    if images.audited.left_out:
        yield f"Left out: {describe_left_out(images.audited.left_out)}."


def _some(dataset: Dataset, most: int) -> Dataset:
    """Return the images, or as many of them as are used, drawn with a fixed seed."""
    if len(dataset) <= most:
        return dataset
    return dataset.select(np.sort(np.random.default_rng(0).permutation(len(dataset))[:most]))


def _shown(
    classifier: Classifier, images: Sequence[ImageLike], scored: Dataset | None, right: np.ndarray | None
) -> tuple[ShownImage, ...]:
    height, width = classifier.image_size
    pixels = [fit_image(image, height=height, width=width, fit=classifier.fit) for image in images]
    names = [
        os.fspath(image) if isinstance(image, str | os.PathLike) else f"image {k}" for k, image in enumerate(images)
    ]
    if not pixels and scored is not None and right is not None:
        chosen = _examples(scored, right)
        pixels, names = [np.asarray(scored.images[k]) for k in chosen], [scored.paths[k] for k in chosen]
    if not pixels:
        return ()
    probabilities = forward_array(classifier.network, np.stack(pixels), batch_size=BATCH)
    return tuple(
        ShownImage(name, image, int(row.argmax()), classifier.class_names[row.argmax()], float(row.max()))
        for name, image, row in zip(names, pixels, probabilities, strict=True)
    )


def _examples(scored: Dataset, right: np.ndarray) -> list[int]:
    """Return the first images of two classes that are classified correctly, or the first image."""
    first = {int(scored.labels[k]): k for k in reversed(np.flatnonzero(right))}
    return sorted(int(k) for k in first.values())[:2] or [0]


def _first_convolution(network: Network) -> Operation:
    return next(operation for operation in network.stem if is_a(operation, "Conv2D"))


def _described(model: keras.Model, network: Network) -> tuple[PartAnatomy, ...]:
    """Return the stem, each block and the head with what the graph says of them."""
    maps = feature_maps(graph_of(model))

    rows = []
    for block in network.blocks:
        members = (*block.before, *block.residual, *block.tail)
        part = _part(block.name, block.output, f"y = {block.equation}", members, maps, block.shortcut or ())
        rows.append(replace(part, source=_source(block), shortcut=block.carried))
    pool = (
        "max pool(relu(norm(W x)))" if any(is_a(each, "MaxPooling2D") for each in network.stem) else "relu(norm(W x))"
    )
    stem = _part("stem", network.blocks[0].source, f"y = {pool}", network.stem, maps)
    head = _part("head", network.head[-1], "p = softmax(W f + b)", network.head, maps)
    return (stem, *rows, head)


def _part(
    name: str,
    last: Operation,
    equation: str,
    members: Sequence[Operation],
    maps: Mapping[str, FeatureMap],
    shortcut: Sequence[Operation] = (),
) -> PartAnatomy:
    layers = [operation for operation in (*members, *shortcut) if isinstance(operation, keras.layers.Layer)]
    return PartAnatomy(
        name=name,
        layer=last.name,
        equation=equation,
        convolutions=_convolutions(members),
        projection=_convolutions(shortcut),
        source="",
        shape=tuple(last.output.shape[1:]),
        parameters=sum(layer.count_params() for layer in layers),
        macs=sum(layer_macs(layer) for layer in layers),
        feature_map=maps.get(last.name),
    )


def _convolutions(operations: Sequence[Operation]) -> tuple[str, ...]:
    return tuple(describe(operation) for operation in operations if is_a(operation, "Conv2D", "Dense"))


_OPERATIONS = ("Conv2D", "BatchNormalization", "ZeroPadding2D", "Dropout")
"""What the library's blocks are made of, beside ReLU."""


def _source(block: Block) -> str:
    """Return the lines of the library that compute a block, without decorators and docstrings; "" of one's own."""
    if not all(is_relu(each) or is_a(each, *_OPERATIONS) for each in block.residual):
        return ""
    basic = sum(is_a(operation, "Conv2D") for operation in block.residual) == 2
    inner: Callable[..., Any] = blocks.basic_block if basic else blocks.bottleneck
    outer: Callable[..., Any] = blocks.identity_block if block.is_identity else blocks.convolutional_block
    if block.shortcut is None:
        outer = forms.plain_block
    elif block.is_preactivated and not block.tail:
        inner, outer = forms.preactivated_residual, forms.preactivation_block
    elif block.argument == "a" or not block.tail:
        return ""
    return f"{_code(inner)}\n\n\n{_code(outer)}"


def _code(function: Callable[..., Any]) -> str:
    text = inspect.getsource(inspect.unwrap(function))
    text = text[text.index("def ") :]
    head, _, rest = text.partition('"""')
    _, _, body = rest.partition('"""\n')
    return (head.rstrip() + "\n" + body).rstrip()


def _with_scores(anatomy: Anatomy, progress: Progress | None) -> Anatomy:
    """Add lesions and probes, as far as there are images."""
    model, scored, training = anatomy.classifier.model, anatomy.scored, anatomy.training
    if scored is None:
        return anatomy
    if anatomy.has_shortcuts:
        _log.info("scoring the network without each block")
        anatomy = _added(anatomy, "lesion", {each.block: each for each in lesions(model, scored, progress=progress)})
    if training is None:
        return anatomy
    _log.info("computing the features of each block")
    names = {part.layer: part.name for part in anatomy.parts if part.name != "head"}
    try:
        probes = linear_probes(model, training, scored, layers=list(names), progress=progress)
    except ValueError as error:  # the training images cannot be divided
        return replace(anatomy, left_out=(*anatomy.left_out, f"There are no probes: {error}"))
    return _added(anatomy, "probe", {names[each.layer]: each for each in probes})


def _with_contributions(anatomy: Anatomy, progress: Progress | None) -> Anatomy:
    """Add how much each block adds, on held-out images or else on the shown ones."""
    images = anatomy.scored.images if anatomy.scored is not None else _pixels(anatomy)
    if not len(images) or not anatomy.has_shortcuts:
        return anatomy
    _log.info("measuring what each block adds")
    measured = contributions(anatomy.classifier.model, images, progress=progress)
    return _added(anatomy, "contribution", {each.block: each for each in measured})


def _with_fields(anatomy: Anatomy, progress: Progress | None) -> Anatomy:
    """Add effective receptive fields, on some held-out images or else on the shown ones."""
    images = np.asarray(anatomy.scored.images[:_FIELD_IMAGES] if anatomy.scored is not None else _pixels(anatomy))
    if not len(images):
        return anatomy
    _log.info("measuring effective receptive fields")
    placed = [part for part in anatomy.parts if part.feature_map is not None]
    fields = {}
    for number, part in enumerate(placed, start=1):
        fields[part.name] = effective_receptive_field(anatomy.classifier.model, images, at=part.layer)
        if progress:
            progress(number, len(placed))
    return _added(anatomy, "effective_field", fields)


def _with_views(anatomy: Anatomy, network: Network, progress: Progress | None) -> Anatomy:
    """Add feature maps and Grad-CAM of the stem and each block for each shown image."""
    if not anatomy.images:
        return anatomy
    _log.info("showing each block on the images")
    views = {}
    outputs = {
        "stem": {"y": network.blocks[0].source.output},
        **{block.name: _outputs(block) for block in network.blocks},
    }
    parts = [part for part in anatomy.parts if part.name in outputs]
    for number, part in enumerate(parts, start=1):
        views[part.name] = tuple(_view(anatomy, part, outputs[part.name], image) for image in anatomy.images)
        if progress:
            progress(number, len(parts))
    return _added(anatomy, "views", views)


def _outputs(block: Block) -> dict[str, keras.KerasTensor]:
    if block.carried is None:
        return {"y": block.output.output}
    shortcut = block.shortcut[-1] if block.shortcut else block.source
    residual = f"F({block.argument})"
    return {block.carried: shortcut.output, residual: block.residual[-1].output, "y": block.output.output}


def _view(anatomy: Anatomy, part: PartAnatomy, outputs: Mapping[str, keras.KerasTensor], image: ShownImage) -> View:
    box, feature_map = None, part.feature_map
    if feature_map is not None and None not in feature_map.cells:
        rows, columns = feature_map.cells
        box = field_box(feature_map.field, ((rows or 1) // 2, (columns or 1) // 2), image.pixels.shape[:2])
    channels = strongest_channels(anatomy.classifier.model, outputs, image.pixels, count=_CHANNELS)
    return View(box, _heat(anatomy, part, image), channels)


def _heat(anatomy: Anatomy, part: PartAnatomy, image: ShownImage) -> np.ndarray | None:
    """Return Grad-CAM at the output of a part; None where it has no place on the image, or is one cell."""
    try:
        return grad_cam(anatomy.classifier.model, image.pixels[None], np.array([image.label]), at=part.layer)[0]
    except ValueError:
        return None


def _with_patches(anatomy: Anatomy, progress: Progress | None) -> Anatomy:
    """Add the patches of training images that excite the shown channels most."""
    placed = {part.layer: part for part in anatomy.parts if part.views and part.feature_map is not None}
    if anatomy.training is None or not placed:
        return anatomy
    _log.info("searching training images for the strongest patches")
    found = strongest_patches(
        anatomy.classifier.model,
        anatomy.training.images,
        {layer: [each.channel for each in part.views[0].channels] for layer, part in placed.items()},
        {layer: part.feature_map.field for layer, part in placed.items() if part.feature_map},
        count=_PATCHES,
        progress=progress,
    )
    return _added(anatomy, "patches", {placed[layer].name: patches for layer, patches in found.items()})


def _pixels(anatomy: Anatomy) -> np.ndarray:
    height, width = anatomy.classifier.image_size
    return np.stack([image.pixels for image in anatomy.images]) if anatomy.images else np.zeros((0, height, width, 3))


def _added(anatomy: Anatomy, measurement: str, values: Mapping[str, Any]) -> Anatomy:
    """Return the anatomy with a measurement of the parts of these names."""
    parts = [
        replace(part, **{measurement: values[part.name]}) if part.name in values else part for part in anatomy.parts
    ]
    return replace(anatomy, parts=tuple(parts))
