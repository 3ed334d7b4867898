"""Silence the messages that Keras and other runtimes print whenever they start.

TensorFlow 2.21 writes six lines to the file descriptor, whatever TF_CPP_MIN_LOG_LEVEL says: it reads that variable too
late. They reach the terminal of anyone who imports a network, so the first import of Keras after `import resnet50`
is made here.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TextIO

from resnet50._io.collector import without_collector

_BACKENDS = ("tensorflow", "jax", "torch")


_swap = threading.Lock()  # of the file descriptor, which all threads share
_thread = threading.local()


@dataclass
class _Held:
    """Standard error while it is held back: by how many threads, where it was, and what has come meanwhile."""

    threads: int = 0
    terminal: int = -1
    text: Any = None  # a temporary file

    def begin(self) -> None:
        with _swap:
            if not self.threads:
                self.terminal, self.text = os.dup(2), tempfile.TemporaryFile()  # noqa: SIM115 - `end` closes it
                _flush()
                os.dup2(self.text.fileno(), 2)
            self.threads += 1

    def show(self) -> None:
        with _swap:
            _flush()
            self.text.seek(0)
            os.write(self.terminal, self.text.read())
            self.text.seek(0)
            self.text.truncate()

    def end(self) -> None:
        with _swap:
            self.threads -= 1
            if not self.threads:
                _flush()
                os.dup2(self.terminal, 2)
                os.close(self.terminal)
                self.text.close()


_held = _Held()


@contextmanager
def quiet() -> Iterator[TextIO]:
    """Hold back what is written to the file descriptor of standard error in a block; print it if the block raises.

    That is what other threads write, too. Several threads may be in such blocks at a time.

    Yields:
        Standard error as it was, for what the block itself has to show, such as a progress bar.
    """
    is_outermost = not getattr(_thread, "is_quiet", False)
    try:
        if is_outermost:
            _held.begin()
    except OSError:  # no standard error, as under pythonw
        yield io.StringIO()
        return
    try:
        _thread.is_quiet = True
        with os.fdopen(os.dup(_held.terminal), "w", encoding="utf-8", errors="backslashreplace") as shown:
            yield shown
    except BaseException:
        if is_outermost:  # else a block around this one decides
            _held.show()
        raise
    finally:
        if is_outermost:
            _thread.is_quiet = False
            _held.end()


def _hide_later_messages() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of TensorFlow, such as that there is no GPU


def import_quietly(name: str) -> ModuleType:
    """Import a package, such as TensorFlow, and hold back what it prints."""
    if (module := sys.modules.get(name)) is not None:  # a program that has imported it keeps its settings
        return module
    _hide_later_messages()
    with quiet():
        return import_module(name)


@contextmanager
def silenced() -> Iterator[None]:
    """Drop progress bars on standard output, and Python's warnings and log messages, such as those of converters."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


@contextmanager
def without_retracing_warnings() -> Iterator[None]:
    """Silence TensorFlow's warning about many traced functions: numbers of images, and parts of a network, are many."""
    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def import_keras_quietly() -> None:
    """Make the next import of Keras in this process a quiet one, unless Keras or TensorFlow is imported already."""
    if not {"keras", "tensorflow"} & set(sys.modules) and not any(isinstance(f, _KerasFinder) for f in sys.meta_path):
        sys.meta_path.insert(0, _KerasFinder())


class _KerasFinder(MetaPathFinder):
    """Finds Keras as Python would, until it is loaded."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        try:
            spec = find_spec(name)
        finally:
            sys.meta_path.insert(0, self)  # who asks whether Keras is installed does not load it
        if spec is not None and spec.loader is not None and "tensorflow" not in sys.modules:
            spec.loader = _QuietLoader(spec.loader, self)
        return spec


class _QuietLoader(Loader):
    """Loads a module by its own loader, quietly."""

    def __init__(self, loader: Loader, finder: _KerasFinder) -> None:
        self._loader, self._finder = loader, finder

    def create_module(self, spec: ModuleSpec) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with suppress(ValueError):  # another import has removed it
            sys.meta_path.remove(self._finder)
        _hide_later_messages()
        try:
            with quiet(), without_collector():
                self._loader.exec_module(module)
        except ModuleNotFoundError as error:
            if error.name not in _BACKENDS:
                raise
            raise ModuleNotFoundError(
                f"expected the package {error.name}, which KERAS_BACKEND or ~/.keras/keras.json names as Keras' "
                f"backend, to be installed; install it, or set KERAS_BACKEND to one of {', '.join(_BACKENDS)} that is.",
                name=error.name,
            ) from None


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
