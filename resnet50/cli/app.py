"""``resnet50 app``."""

from __future__ import annotations

import argparse
import sys

from resnet50.cli.console import say, step
from resnet50.cli.model import MODEL_HELP, find_model
from resnet50.cli.parser import examples, number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = "Ctrl-C ends it.\n\n" + examples("resnet50 app", "resnet50 app runs/one --port 8000 --no-browser")
    parser.add_argument("model", nargs="?", metavar="MODEL_OR_RUN", help=f"{MODEL_HELP} Default: the latest run.")
    parser.add_argument("--port", type=number(int, 1), metavar="INT", help="Port. Default: a free one from 7860 on.")
    parser.add_argument("--no-browser", action="store_true", help="Open no browser.")


def run(options: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    path = find_model(options.model)
    from resnet50.app.launch import launch_app

    with step("opening the model") as progress:
        app = launch_app(path, port=options.port, open_browser=not options.no_browser, progress=progress)
    with app:
        say(f"model: {path}. {app.remark}", file=sys.stderr)
        say(f"{app.url}  This machine alone reaches it; Ctrl-C ends it.", file=sys.stderr)
        app.wait()
    return 0
