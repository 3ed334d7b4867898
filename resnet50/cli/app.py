"""``resnet50 app``."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from resnet50.cli.console import say, step
from resnet50.cli.model import MODEL_HELP, find_model, load_classifier, show_model
from resnet50.cli.parser import examples, number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples("resnet50 app runs/one", "resnet50 app runs/one --port 8000 --no-browser")
    parser.add_argument("model", nargs="?", metavar="MODEL_OR_RUN", help=f"{MODEL_HELP} Default: the latest run.")
    parser.add_argument("--port", type=number(int, 1), metavar="INT", help="Default: a free one from 7860 on.")
    parser.add_argument("--no-browser", action="store_true", help="Open no browser.")


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    path = find_model(options.model)
    from resnet50.app.answers import answer
    from resnet50.app.page import build_page, launch
    from resnet50.app.training import features_of_run
    from resnet50.data.images import fit_image

    classifier = load_classifier(path)
    show_model(path, classifier)
    with step("comparing with the training images") as progress:
        training = features_of_run(path, classifier, progress=progress)
    height, width = classifier.image_size
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # uploads, gone when the command ends
        page = build_page(
            lambda image: answer(classifier, image, training),
            lambda path: fit_image(path, height=height, width=width, fit=classifier.fit),
            title=f"{classifier.dataset}: {len(classifier.class_names)} classes",
            folder=Path(folder),
        )
        _, url, _ = launch(
            page,
            port=options.port,
            inbrowser=not options.no_browser,
            prevent_thread_lock=True,
            quiet=True,
        )
        say(f"{url}  (this machine alone; Ctrl-C ends it)", file=sys.stderr)
        page.block_thread()
    return 0
