"""Find processes by their names, in /proc."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def processes(name: str) -> dict[int, int]:
    """The processes whose command begins with a name, and their parents."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if folder.joinpath("cmdline").read_text().startswith(name):
                stat = folder.joinpath("stat").read_text().rpartition(")")[2].split()
                if stat[0] != "Z":
                    found[int(folder.name)] = int(stat[1])
    return found


def below(ancestor: int, name: str) -> list[int]:
    """The processes with a name that a process has started, at any remove."""
    parents = processes("")

    def is_below(process: int | None) -> bool:
        return process is not None and (process == ancestor or is_below(parents.get(process)))

    return [process for process in processes(name) if is_below(process)]
