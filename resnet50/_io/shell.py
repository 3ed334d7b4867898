"""Commands as a person types them."""

from __future__ import annotations

import os
import shlex
import subprocess

WINDOWS = os.name == "nt"


def command(*words: str) -> str:
    """Return words as a command for the shell of this system, quoted where it needs that."""
    return subprocess.list2cmdline(words) if WINDOWS else shlex.join(words)
