"""The packages that the small installation leaves out, and the commands that need them."""

from __future__ import annotations

from importlib.util import find_spec

LEFT_OUT = (
    "jinja2",
    "keras",
    "markupsafe",
    "matplotlib",
    "pooch",
    "requests",
    "safetensors",
    "scipy",
    "sklearn",
    "tensorflow",
)
"""Packages that the small installation leaves out."""

_NEEDED = {
    "train": ("keras", "matplotlib"),
    "lr-find": ("keras", "matplotlib"),
    "crossval": ("keras", "matplotlib"),
    "evaluate": ("matplotlib",),
    "bench": ("keras",),
    "pack": ("scipy",),
}
"""Packages of commands that would otherwise miss them only after they have fetched, read or computed a lot."""


def check_installed(command: str) -> None:
    """Refuse a command whose packages are not installed, before it does anything.

    Raises:
        ModuleNotFoundError: If one is missing; its ``name`` is that of the package.
    """
    for package in _NEEDED.get(command, ()):
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"expected the package {package}, got none installed.", name=package)


def missing_package(error: ModuleNotFoundError) -> str:
    """Return the message for a package that the small installation leaves out."""
    return (
        f"expected the package {error.name}, got none installed: the small installation can predict, and embed "
        "and explain at the last layer; install the project with all that it needs, 'pip install .'."
    )
