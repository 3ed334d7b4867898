"""``resnet50 weights list``, ``show``, ``fetch`` and ``verify``."""

from __future__ import annotations

import argparse
import json
import sys

from resnet50.cli.console import say, show, show_json, step
from resnet50.cli.parser import examples, number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.epilog = examples(
        "resnet50 weights list", "resnet50 weights fetch imagenet", "resnet50 weights show my_weights.pth"
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION", title="actions")
    commands = {
        name: actions.add_parser(name, help=words, description=words)
        for name, words in {
            "list": "List the published weights.",
            "show": "Show the facts about weights, and how they fit the network.",
            "fetch": "Download published weights into the cache.",
            "verify": "Compare files with their published hashes.",
        }.items()
    }
    commands["list"].add_argument("--json", action="store_true", help="Print everything that is known as JSON.")
    commands["show"].add_argument("weights", metavar="NAME_OR_FILE", help="Published weights, or a file of weights.")
    commands["show"].add_argument(
        "--classes",
        type=number(int, 1),
        metavar="INT",
        help="Classes of the network that the weights are loaded into. Default: those of the file.",
    )
    commands["fetch"].add_argument("names", nargs="+", metavar="NAME", help="Published weights.")
    commands["verify"].add_argument(
        "weights", nargs="*", metavar="NAME_OR_FILE", help="Published weights or files. Default: all that are cached."
    )


def run(options: argparse.Namespace) -> int:
    """List, show, fetch or verify."""
    return {"list": _list, "show": _show, "fetch": _fetch, "verify": _verify}[options.action](options)


def _list(options: argparse.Namespace) -> int:
    from resnet50.cli.weights_table import show_registry
    from resnet50.weights.registry import REGISTRY
    from resnet50.weights.status import facts

    if options.json:
        show_json(json.dumps([facts(source) for source in REGISTRY.values()], indent=2))
    else:
        show_registry()
    return 0


def _show(options: argparse.Namespace) -> int:
    from resnet50.cli.weights_table import show_facts, show_fit
    from resnet50.weights.status import find_weights, is_cached, verify

    source, path = find_weights(options.weights)
    if source is not None:
        show_facts(source)
        if not is_cached(source):
            show("", f"not in the cache: resnet50 weights fetch {source.name}")
            return 0
        show("")
        verdict = verify(source, path)
        if not verdict.right:  # before reading, which would fetch it again
            show(f"in the cache, but {verdict.text}")
            return 2
    show_fit(path if source is None else source.name, path, options.classes)
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from resnet50.weights.fetch import fetch_weights
    from resnet50.weights.registry import find_published

    for source in [find_published(name) for name in options.names]:  # all names are checked before the first is fetched
        with step(source.name, in_bytes=True) as progress:
            path = fetch_weights(source.name, progress=progress)
        show(path)
        if not source.commercial:
            say(f"{source.name}: {source.license}, not for commercial use", file=sys.stderr)
    return 0


def _verify(options: argparse.Namespace) -> int:
    from resnet50.weights.registry import REGISTRY
    from resnet50.weights.status import find_weights, is_cached, verify

    names = options.weights or [name for name, source in REGISTRY.items() if is_cached(source)]
    if not names:
        show("no published weights are in the cache")
    files = [find_weights(name) for name in names]
    with step("comparing hashes"):
        verdicts = [verify(source, path) for source, path in files]
    for verdict in verdicts:
        show(f"{verdict.name}: {verdict.text}")
    return 0 if all(verdict.right for verdict in verdicts) else 2
