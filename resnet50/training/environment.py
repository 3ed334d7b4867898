"""The environment of a training: backend, versions, machine and the commit of the code."""

from __future__ import annotations

import platform
import subprocess
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

import PIL

from resnet50._io.processor import processor
from resnet50._io.workers import usable_cores
from resnet50.training.accelerator import find_accelerator


class Environment(TypedDict):
    """The environment of a training, ready for JSON.

    Attributes:
        backend: Keras' backend.
        versions: Version of each package that matters, and of Python; None for this package where it is not installed.
        machine: Operating system, processor, number of cores that this process may use, the accelerator, if Keras
            computes on one, and the number of devices that train, where there are several.
        commit: Commit of the checkout, with ``-dirty`` if the package differs from it; None outside a checkout.
    """

    backend: str
    versions: dict[str, str | None]
    machine: dict[str, str | int]
    commit: str | None


def describe_environment(devices: int = 1) -> Environment:
    """Return the environment of this process, or of one that trains on several devices."""
    import keras  # here, so that reading a run directory does not load a backend

    backend, accelerator = keras.backend.backend(), find_accelerator()
    return {
        "backend": backend,
        "versions": {
            "python": platform.python_version(),
            "resnet50": resnet50_version(),
            **{name: import_module(name).__version__ for name in ("keras", "numpy", backend)},
            "onnxruntime": _version("onnxruntime"),
            "pillow": PIL.__version__,
        },
        "machine": {
            "system": platform.platform(),
            "processor": processor(),
            "threads": usable_cores(),
            **({"accelerator": accelerator.name} if accelerator else {}),
            **({"devices": devices} if devices > 1 else {}),
        },
        "commit": _commit(),
    }


def resnet50_version() -> str | None:
    """Return the version of this package, or None where it runs from a checkout that was never installed."""
    return _version("resnet50")


def _version(distribution: str) -> str | None:
    """Return its version, or None where another distribution stands for it, as onnxruntime-gpu may."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _commit() -> str | None:
    """Return the commit of the checkout that the package is part of, with ``-dirty`` if the package differs from it."""
    package = Path(__file__).parents[1]

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=package, capture_output=True, encoding="utf-8", check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        if not git("ls-files", "__init__.py"):  # installed into somebody else's checkout
            return None
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.SubprocessError):
        return None
