"""``resnet50 explain``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from resnet50._io.files import check_new
from resnet50.cli.console import say, show, step
from resnet50.cli.model import add_model_option, find_model, load_classifier, show_model
from resnet50.cli.parser import examples, number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 explain photo.jpg",
        "resnet50 explain photo.jpg --model runs/one --top 1",
        "resnet50 explain photo.jpg --at conv4_block6_out",
    )
    parser.add_argument("image", metavar="IMAGE", help="Image file.")
    add_model_option(parser)
    parser.add_argument(
        "--top", type=number(int, 1), default=3, metavar="INT", help="Number of classes to explain. Default: 3."
    )
    parser.add_argument(
        "--at",
        metavar="LAYER",
        help="Layer whose feature map is shown. Default: the last one of which four cells fit beside each other.",
    )
    parser.add_argument(
        "--out",
        metavar="PNG",
        help="New figure to write. Default: IMAGE-explained.png in the current folder, which is replaced.",
    )


def run(options: argparse.Namespace) -> int:
    """Draw the evidence for the most probable classes on an image, and print their probabilities."""
    path = find_model(options.model)
    out = Path(options.out or f"{Path(options.image).stem}-explained.png")
    if options.out:
        check_new(out)  # it might be the image itself

    from resnet50.data.images import read_header

    read_header(options.image)  # before the model is opened, which takes seconds
    classifier = load_classifier(path)
    from resnet50.evaluation.explain import explain

    with step("explaining the image"):
        result = explain(classifier, options.image, top=options.top, at=options.at)
        captions = result.save(out)
    show_model(path, classifier)
    say(f"Grad-CAM at {result.feature_map}", file=sys.stderr)
    for name, share in zip(result.class_names, result.probabilities, strict=True):
        show(f"{name}  {share:.1%}")
    show(out)
    if not captions:
        say("The figure has no captions, since matplotlib is not installed; its maps are in the order above.")
    return 0
