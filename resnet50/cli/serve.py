"""``resnet50 serve``."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from resnet50.cli.console import say, step
from resnet50.cli.parser import examples, number
from resnet50.inference.locate import RUNS, latest_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = (
        "Ctrl-C or SIGTERM stops it; requests under way are answered first. It has no\n"
        "passwords and no encryption: put a proxy in front of it before others can reach\nit.\n\n"
    ) + examples(
        "resnet50 serve",
        "resnet50 serve runs/one --port 8080 --replicas 2",
        "resnet50 serve model-onnx",
        "curl -s -H 'Content-Type: image/jpeg' --data-binary @new.jpg http://127.0.0.1:8000/predict",
    )
    parser.add_argument(
        "model",
        nargs="?",
        metavar="MODEL",
        help=f"A .keras file, the folder of a run, or an export. Default: the latest run in {RUNS}/.",
    )
    _add_server_options(parser)


def _add_server_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="Address to listen on; 0.0.0.0 for all of this machine. Default: 127.0.0.1, which others cannot reach.",
    )
    parser.add_argument(
        "--port", type=number(int, 0), default=8000, metavar="INT", help="Port; 0 for a free one. Default: 8000."
    )
    parser.add_argument(
        "--replicas",
        type=number(int, 1),
        default=1,
        metavar="INT",
        help="Processes that classify; they share the processors. Default: 1.",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="Head of a running Ray cluster, whose nodes have the model at the same path. Default: this machine alone.",
    )
    parser.add_argument(
        "--time-limit",
        type=number(float, 1.0),
        default=30.0,
        metavar="SECONDS",
        help="Time that a request's body may take, and again its answer. Default: 30.",
    )
    parser.add_argument(
        "--max-body", type=number(int, 1), default=16, metavar="MIB", help="Largest body of a request. Default: 16."
    )


def run(options: argparse.Namespace) -> int:
    """Serve the model until the process is asked to stop."""
    model = latest_run() if options.model is None else options.model
    from resnet50.serving.server import serve

    with ExitStack() as starting:
        starting.enter_context(step("starting"))

        def started(url: str) -> None:
            starting.close()
            say(f"Serving {model} at {url}/predict. Ctrl-C stops it.")
            sys.stdout.flush()

        serve(
            model,
            host=options.host,
            port=options.port,
            replicas=options.replicas,
            address=options.address,
            time_limit=options.time_limit,
            max_body=options.max_body,
            started=started,
        )
    say("Stopped. Requests under way were answered.")
    return 0
