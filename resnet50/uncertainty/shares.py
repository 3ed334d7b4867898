"""The shares of images that thresholds are chosen by. Imports nothing, for the help pages."""

from __future__ import annotations

COVERAGE = 0.95
"""Share of images whose class is in their set, by default."""

REFUSE = 0.05
"""Largest share of images like the training's that is refused, by default."""


def check_share(share: float, name: str) -> None:
    """Raise ValueError unless a share is above 0 and below 1."""
    if not 0 < share < 1:
        raise ValueError(f"expected {name} above 0 and below 1, got {share!r}.")
