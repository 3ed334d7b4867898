"""The command ``resnet50``: the only room that prints or exits. A command's module parses, calls and prints."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from resnet50._io.collector import exit_without_collection
from resnet50._io.interruption import exit_on_signals
from resnet50._io.out_of_memory import OutOfMemoryError, is_out_of_memory
from resnet50.cli.console import show
from resnet50.cli.installed import LEFT_OUT, check_installed, missing_package
from resnet50.cli.parser import Parser, examples
from resnet50.cli.streams import mend_streams, one_line_warnings

COMMANDS = {
    "check": "Look for duplicates, leaks, conflicting labels and unreadable files in a dataset.",
    "pack": "Decode a folder of images once into one file to train from.",
    "train": "Train a classifier, or resume an interrupted run.",
    "lr-find": "Find a learning rate.",
    "crossval": "Cross-validate: score every image of a small dataset by a model that has not seen it.",
    "evaluate": "Score a trained classifier on a test split.",
    "runs": "List runs with their data, accuracy and time.",
    "compare": "Compare runs on the same test images, with paired tests.",
    "predict": "Classify images.",
    "suggest": "Choose the unlabeled images whose labels would teach a classifier most.",
    "app": "Open a page to try a classifier.",
    "serve": "Answer requests for classification over HTTP.",
    "export": "Export a classifier to OpenVINO, ONNX, LiteRT, TensorFlow or a web page.",
    "explain": "Show the regions of an image that speak for a class (Grad-CAM).",
    "anatomy": "Take a trained network apart, block by block, as a page.",
    "embed": "Compute the features of images.",
    "bench": "Measure the speed of training or of a model on this machine.",
    "rocks": "Compare a classifier of rocks with human judgment.",
    "summary": "Show the network stage by stage, or draw it.",
    "data": "Fetch or show a dataset.",
    "weights": "List, show, fetch or verify published weights.",
    "recipes": "List the tasks and their recipes, or show one.",
}
"""Every command with its help."""

_EXAMPLES = examples(
    "resnet50 check photos             find out what is wrong with your images",
    "resnet50 train photos             train on a folder with one folder per class",
    "resnet50 predict new.jpg          classify an image with the latest run",
    "resnet50 train rendered-signs     train without data of your own",
)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 on success, 2 with one line on standard error on failure.

    Args:
        arguments: Words after the program's name; None for those of this process.
    """
    mend_streams()
    exit_without_collection()
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = build_parser(words)
    options = parser.parse_args(words)
    if options.version:
        from importlib.metadata import version

        show(f"resnet50 {version('resnet50')}")
        sys.exit(0)
    if options.command is None:
        parser.print_help()
        sys.exit(0)
    try:
        with one_line_warnings(), exit_on_signals():
            check_installed(options.command)
            sys.exit(options.run(options))
    except Exception as error:
        # ImportError: the backend that KERAS_BACKEND names is not installed
        if not isinstance(error, ValueError | OSError | ImportError) and not is_out_of_memory(error):
            raise
        if not isinstance(error, BrokenPipeError):  # the reader of the output, such as head, has stopped reading
            show(f"resnet50 {options.command}: {_line(error)}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _line(error: Exception) -> str:
    """Return the message of an error as one line; a library's own on memory is cut short and explained."""
    message = " ".join(str(error).split())
    of_backend = "KERAS_BACKEND" in message  # which says itself what to do
    if isinstance(error, ModuleNotFoundError) and error.name in LEFT_OUT and not of_backend:
        return missing_package(error)
    if is_out_of_memory(error) and not isinstance(error, OutOfMemoryError):
        message = f"ran out of memory ({message[:150]}); close other programs, or give fewer or smaller images at once."
    return message


def build_parser(words: Sequence[str]) -> Parser:
    """Return the parser of all commands; only the module of the command that is called is loaded."""
    parser = Parser(prog="resnet50", description="Learn, train and ship ResNet-50.", epilog=_EXAMPLES)
    parser.add_argument("--version", action="store_true", help="Show the version.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", parser_class=Parser)
    for name, sentence in COMMANDS.items():
        command = commands.add_parser(name, help=sentence, description=sentence)
        if words[:1] == [name]:
            module = import_module(f"resnet50.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser
