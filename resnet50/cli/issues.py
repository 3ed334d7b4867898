"""The issues of an audit or of scores on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from resnet50._io.text import printable
from resnet50.cli.console import say, show, wrap

if TYPE_CHECKING:
    from resnet50.audit.check import Audit
    from resnet50.audit.issue import Issue, Place

_EXAMPLES = 3
"""Most examples of an issue."""

_PATHS = 2
"""Most images of an example."""

_LONGEST = 60
"""Most characters of a path."""

_COLORS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def say_issues(issues: Iterable[Issue]) -> int:
    """Print on standard error what makes scores unreliable, and what to do; return 1 if one is an error, else 0."""
    found = list(issues)
    for issue in found:
        say(f"{issue.severity}: {issue.summary} {issue.advice}", file=sys.stderr)
    return 1 if any(issue.severity == "error" for issue in found) else 0


def show_audit(audit: Audit) -> None:
    """Print what was audited, and each issue with its advice and first examples, the worst first."""
    from rich.console import Console
    from rich.text import Text

    from resnet50.reports.audit import contents, summarize

    say(f"{audit.name}: {summarize(audit.issues)}")
    say(contents(audit.splits.by_name, audit.test_split))
    console = Console()
    for issue in audit.issues:
        text = Text(wrap(f"{issue.severity:8}{issue.summary}", indent=8))
        text.stylize(_COLORS[issue.severity], 0, len(issue.severity))
        console.print(text, soft_wrap=True)
        say(f"{'':8}{issue.advice}")
        for example in issue.examples[:_EXAMPLES]:
            show(f"{'':8}{_example_line(example)}")
        if len(issue.examples) > _EXAMPLES:
            say(f"{'':8}... and more on the page")


def _example_line(example: Sequence[Place]) -> str:
    """Return the line of an example: the suspect with its reason, or the first paths."""
    first = example[0]
    if first.suggestion:  # the others are there to compare it with, on the page
        return f"{_shortened(first.path)}, labeled {first.class_name}, {first.remark}"
    paths = ", ".join(_shortened(place.path) for place in example[:_PATHS])
    return paths + (", ..." if len(example) > _PATHS else "")


def _shortened(path: str) -> str:
    """Return a path whose end alone is shown where it is long: that names the file."""
    path = printable(path)
    return path if len(path) <= _LONGEST else f"...{path[3 - _LONGEST :]}"
