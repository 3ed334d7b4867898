"""The issues of an audit or of scores on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from resnet50.cli.console import say, wrap

if TYPE_CHECKING:
    from resnet50.audit.check import Audit
    from resnet50.audit.issue import Issue

_COLORS = {"error": "bold red", "warning": "bold yellow", "note": "bold blue"}


def say_issues(issues: Iterable[Issue]) -> int:
    """Print on standard error what makes scores unreliable, and what to do; return 1 if one is an error, else 0."""
    status = 0
    for issue in issues:
        say(f"{issue.severity}: {issue.summary} {issue.advice}", file=sys.stderr)
        status = max(status, issue.severity == "error")
    return int(status)


def show_audit(audit: Audit) -> None:
    """Print what was audited and each issue with its advice, the worst first."""
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
