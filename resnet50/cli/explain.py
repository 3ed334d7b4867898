"""``resnet50 explain``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resnet50._io.quiet import import_keras
from resnet50.cli.model import add_model_argument, find_model
from resnet50.cli.out import check_new

_SHOWN = 448  # pixels: shorter images are drawn this long or a little longer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("image", metavar="IMAGE", help="image file")
    add_model_argument(parser)
    parser.add_argument("--top", type=int, default=3, metavar="INT", help="classes to explain (3)")
    parser.add_argument(
        "--out",
        metavar="PNG",
        help="new figure to write; else IMAGE's name with -explained.png, here, where an earlier one is replaced",
    )


def run(options: argparse.Namespace) -> int:
    """Draw where on an image the network finds what speaks for its most probable classes."""
    if options.top < 1:
        raise ValueError(f"top must be at least 1, got {options.top}.")
    path = find_model(options.model)
    out = Path(options.out or f"{Path(options.image).stem}-explained.png")
    if options.out:
        check_new(out)  # it might be the image itself

    import_keras()
    import numpy as np

    from resnet50.data.images import read_image
    from resnet50.inference.classifier import Classifier
    from resnet50.metrics.grad_cam import grad_cam
    from resnet50.plots.explain import draw_explanation
    from resnet50.plots.save import save_figure

    classifier = Classifier.load(path)
    height, width = classifier.image_size
    image = read_image(options.image, height=height, width=width)
    (probabilities,) = classifier.probabilities(image[None])
    classes = np.argsort(-probabilities, kind="stable")[: options.top]
    heats = grad_cam(classifier.model, np.repeat(image[None], len(classes), axis=0), classes)
    # What the network saw, with more of the file's own pixels where it saw few: a whole multiple has the same shape.
    times = max(1, -(-_SHOWN // max(height, width)))
    shown = read_image(options.image, height=height * times, width=width * times)
    names = [classifier.class_names[k] for k in classes]
    save_figure(draw_explanation(shown, heats, names, probabilities[classes].tolist()), out)
    print(f"model: {path}, trained on {classifier.dataset}", file=sys.stderr)
    for name, share in zip(names, probabilities[classes], strict=True):
        print(f"{name}  {share:.1%}")
    print(out)
    return 0
