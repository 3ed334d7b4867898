"""The feature map at which an answer is explained: as fine as the image needs, and as late as that allows."""

from __future__ import annotations

from collections.abc import Iterator

from resnet50._io.text import listed
from resnet50.graph.geometry import FeatureMap, feature_maps
from resnet50.graph.network_graph import Graph, references


def find_explained_map(
    graph: Graph, *, below: str, image_size: tuple[int, int], layer: str | None = None
) -> FeatureMap:
    """Return the feature map at which Grad-CAM explains an answer.

    Args:
        graph: A classifier, channels last; its weights are not used.
        below: Name of the layer whose scores are explained.
        image_size: (height, width) of the images in pixels.
        layer: Name of the map's layer; None for the last map that has at least four cells beside each other on the
            image. In the paper's network that is the output of the last stage from 128 pixels on, of the stage before
            from 64 pixels on, and of ``conv3`` from 32 pixels on.

    Raises:
        ValueError: If no map of known geometry is the output of that layer and crossed by every path from the image to
            ``below``, or none of those has more than one position.
    """
    maps = feature_maps(graph, image_size=image_size)
    crossed = [maps[name] for name in _crossed(graph, below) if name in maps][::-1]  # the last one first
    if layer is not None:
        for each in crossed:
            if each.layer == layer:
                return each
        last = {each.field.jump: each.layer for each in crossed[::-1]}  # of each stage
        raise ValueError(
            f"the model {graph.name!r}: expected for Grad-CAM a feature map that every path through the network "
            f"crosses, such as {listed([*last.values()][::-1])}, got {layer!r}."
        )
    several = [each for each in crossed if each.cells != (1, 1)]
    if not several:
        raise ValueError(
            f"the model {graph.name!r}: expected for Grad-CAM a feature map (batch, h, w, k) of several positions and "
            "known geometry, behind a convolution, that every path through the network crosses, got none."
        )
    finest = min(several, key=lambda each: each.field.jump)
    return next((each for each in several if each.resolves(image_size)), finest)


def _crossed(graph: Graph, below: str) -> Iterator[str]:
    """Yield the layers, from the first convolution on, that every path from an input to a layer crosses.

    What comes before a convolution is the image itself, normalized or padded. A layer comes before those that use its
    output, so that a path past it is a connection from a layer before it to one behind it.
    """
    before = {row["name"]: [each[0] for each in references(row["inbound_nodes"])] for row in graph.layers}
    on_path = {below}
    for name in reversed(before):
        if name in on_path:
            on_path.update(before[name])
    names = [name for name in before if name in on_path]
    places = {name: place for place, name in enumerate(names)}
    last_use = dict(places)
    for name in names:
        for each in before[name]:
            last_use[each] = max(last_use[each], places[name])
    furthest, convolved = -1, False
    classes = {row["name"]: row["class_name"] for row in graph.layers}
    for name in names:
        convolved = convolved or "Conv" in classes[name]
        if convolved and furthest <= places[name]:
            yield name
        furthest = max(furthest, last_use[name])
