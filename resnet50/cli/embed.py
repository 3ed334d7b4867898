"""``resnet50 embed``."""

from __future__ import annotations

import argparse
import sys
import time

from resnet50._io.quiet import import_keras
from resnet50.cli.bars import bar
from resnet50.cli.model import add_model_argument, find_model, say_rate
from resnet50.cli.out import check_new


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("folder", metavar="FOLDER", help="folder of image files, or one of them")
    parser.add_argument("out", metavar="OUT.npz", help="new file to write: features, paths, model, model_sha256")
    add_model_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Write the features of every image; 2 if one could not be read, after the others are done."""
    path = find_model(options.model)
    check_new(options.out)

    import_keras()
    from resnet50.inference.classifier import Classifier
    from resnet50.inference.embed import check_name, embed
    from resnet50.inference.predict import find_images

    check_name(options.out)
    images = find_images([options.folder])
    classifier = Classifier.load(path)
    print(f"model: {path}, trained on {classifier.dataset}", file=sys.stderr)
    began = time.perf_counter()
    with bar("computing features") as show:
        found = embed(classifier, images, progress=show)
    seconds = time.perf_counter() - began
    for told in found.unreadable:
        print(told.reason, file=sys.stderr)
    if not found.paths:
        raise ValueError(f"{options.folder}: expected images, found none of {len(images)} files readable.")
    found.save(options.out, model=path)
    say_rate(len(images), len(found.unreadable), seconds)
    print(f"{options.out}: {found.features.shape[0]} images, {found.features.shape[1]} features each")
    return 2 if found.unreadable else 0
