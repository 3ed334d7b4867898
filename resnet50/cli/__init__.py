"""The command ``resnet50``: the only place that prints or exits. Each command's module is loaded when it is called."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

COMMANDS = {
    "check": "look for what is wrong with a data set: duplicates, leaks, broken files",
    "pack": "decode a folder of images once, into one file to train from many times",
    "train": "train a classifier by a recipe, or resume a run",
    "rates": "find a learning rate: let it rise for some steps and draw what the loss does",
    "evaluate": "score a trained classifier on a test split",
    "predict": "say what is on images",
    "export": "write a trained classifier for another runtime: OpenVINO, ONNX, LiteRT, TensorFlow",
    "explain": "show what on an image speaks for a class",
    "embed": "write the features of images, the network's next-to-last layer",
    "bench": "measure how fast training or a model is on this machine, beside keras.applications",
    "rocks": "compare a classifier of rocks with human judgement",
    "summary": "show the network stage by stage, or draw it",
    "data": "fetch or show a data set",
    "weights": "list, show, fetch or verify published weights",
    "recipes": "list the recipes, or show one",
}


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit: 0 if it did what it should, 2 with one line on standard error if not.

    Args:
        arguments: Words after the program's name; None for those of this process.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _Parser(prog="resnet50", description="Learn, train and ship ResNet-50.", allow_abbrev=False)
    parser.add_argument("--version", action="store_true", help="show the version")
    commands = parser.add_subparsers(metavar="COMMAND", dest="command", parser_class=_Parser)
    for name, what in COMMANDS.items():
        command = commands.add_parser(name, help=what, description=what.capitalize() + ".", allow_abbrev=False)
        if arguments[:1] == [name]:
            module = import_module(f"resnet50.cli.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    options = parser.parse_args(arguments)
    if options.version:
        from importlib.metadata import version

        print(f"resnet50 {version('resnet50')}")
        sys.exit(0)
    if options.command is None:
        parser.print_help()
        sys.exit(0)
    try:
        sys.exit(options.run(options))
    except (ValueError, OSError, ImportError) as error:  # ImportError: KERAS_BACKEND names what is not installed
        sys.exit(_say(error, options.command))
    except KeyboardInterrupt:
        sys.exit(130)


def _say(error: Exception, command: str) -> int:
    # BrokenPipeError: whoever read the output, such as head, has had enough
    if not isinstance(error, BrokenPipeError):
        print(f"resnet50 {command}: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
