"""Result files of speed: a file holds several sessions, since machines and days differ more than rounds do.

A benchmark adds its session to those that the file has: ``{"what": ..., "sessions": [{"date": ..., ...}, ...]}``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resnet50._io.files import write_text


class Session:
    """One session of measurements: when and where it was measured, by which command, and the results.

    Date and load of the machine are those of the moment when the session is created.

    Args:
        path: The result file, a new one or one with earlier sessions.
        what: What is measured. All sessions of a file measure the same.
        command: The command that measures.

    Raises:
        ValueError: If the file is damaged or its sessions measure something else; before anything is measured.
    """

    def __init__(self, path: Path, *, what: str, command: str) -> None:
        self._path, self._what = path, what
        self._start = {
            "date": datetime.now(UTC).date().isoformat(),
            "command": command,
            "load": os.getloadavg()[0],  # of other work: before the measurement
        }
        self._written: dict[str, Any] | None = None
        self._sessions()

    def write(self, results: Mapping[str, Any]) -> None:
        """Write the session after the others in the file; a second call replaces what the first one wrote.

        Args:
            results: What was measured, ready for JSON.
        """
        from resnet50.training.environment import describe_environment  # it imports Keras

        others = [session for session in self._sessions() if session != self._written]
        self._written = json.loads(json.dumps({**self._start, **describe_environment(), **results}))
        write_text(self._path, json.dumps({"what": self._what, "sessions": [*others, self._written]}, indent=2))

    def _sessions(self) -> list[dict[str, Any]]:
        """Return the sessions of the file, read anew, since another benchmark may have added one."""
        if not self._path.exists():
            return []
        stored = read(self._path)
        if stored["what"] != self._what:
            raise ValueError(
                f"{self._path}: expected sessions of {self._what!r}, got {stored['what']!r}; move the file."
            )
        return stored["sessions"]


def read(path: Path) -> dict[str, Any]:
    """Read a result file.

    Args:
        path: The file.

    Returns:
        What it measures (``what``) and its ``sessions``, oldest first.

    Raises:
        ValueError: If the file is not a result file with sessions.
    """
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: expected a result file, got broken JSON ({error}).") from error
    if not isinstance(stored, dict) or not isinstance(stored.get("sessions"), list) or "what" not in stored:
        raise ValueError(f"{path}: expected a result file with 'what' and 'sessions', got something else.")
    return stored


def latest(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return the last session of a result file's content."""
    return results["sessions"][-1]
