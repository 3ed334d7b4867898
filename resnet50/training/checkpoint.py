"""Checkpoints: the state to resume a run from, in one file that is written atomically and restored exactly."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from resnet50._io.files import atomic_path
from resnet50._io.hdf5 import create_h5, open_h5
from resnet50._io.interruption import signals_held_back
from resnet50._io.seal import check_seal, seal
from resnet50._io.text import short
from resnet50.training.recipe import Recipe

INTERVAL = 120.0
"""Seconds after which the next epoch ends with a checkpoint, whatever the recipe says; a full network takes about one
to write."""

_HEAD, _REST = 1 << 10, 1 << 20  # bytes of an array's description, and of the file's

_STATE = {"phase": int, "began": int, "epoch": int, "stopped": bool, "callbacks": list, "attributes": list}


@dataclass(frozen=True)
class Position:
    """The phase that a run is in.

    Attributes:
        phase: Number of the phase, counted from 0.
        began: Epoch of the run at which the phase began, counted from 0; earlier phases may have ended early.
    """

    phase: int = 0
    began: int = 0


def read_position(path: Path) -> Position:
    """Return the phase in which a checkpoint was written; the first phase if there is no checkpoint.

    Raises:
        ValueError: If the file is damaged, or not a checkpoint.
    """
    state = _read_state(path)
    return Position(phase=state["phase"], began=state["began"])


def finished_epochs(path: Path) -> int:
    """Return the number of epochs that need not be trained again, thanks to a checkpoint; 0 if there is none.

    Raises:
        ValueError: If the file is damaged, or not a checkpoint.
    """
    return int(_read_state(path)["epoch"])


def is_finished(path: Path, recipe: Recipe) -> bool:
    """Return whether a checkpoint is that of a recipe's last epoch, or of an early end of its last phase.

    Raises:
        ValueError: If the file is damaged, or not a checkpoint.
    """
    state = _read_state(path)
    last = len(recipe.phases) - 1
    return bool(state["phase"] == last and (state["stopped"] or state["epoch"] >= state["began"] + recipe.last.epochs))


def recorded_callbacks(path: Path) -> list[str]:
    """Return the classes of the callbacks whose state a checkpoint has; none if there is no checkpoint.

    Raises:
        ValueError: If the file is damaged, or not a checkpoint.
    """
    return list(_read_state(path)["callbacks"])


def _read_state(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"phase": 0, "began": 0, "epoch": 0, "stopped": False, "callbacks": []}
    with _opened(path) as file:
        return _state_in(file)


class Checkpoint(keras.callbacks.Callback):
    """Keep the state of a run after each epoch, write it now and then, and restore it when the run is resumed.

    It is written after the first epoch of a process, then every few epochs or minutes (`INTERVAL`), after the last
    epoch, and by `write_latest` when the training is interrupted.

    The state is the model's variables (weights, moving statistics, states of random generators), the optimizer's
    (moments, running average, step) and the attributes of the other callbacks. Put this callback last: callbacks reset
    their attributes in ``on_train_begin``, and this one restores them in its own.

    A finished phase can be resumed too: Keras then trains no epoch, but ends the phase as usual, which may change the
    weights (averages replace them at a phase's end).

    Args:
        path: The file.
        position: The phase, and the epoch at which it began.
        every: Epochs between checkpoints; the last epoch always has one.
        epochs: Epoch of the run at which the phase ends, unless a callback stops it.
        others: The callbacks whose attributes are stored.
        network: The whole network, where only its upper part is fitted; None for the fitted model.
        before: Called before each checkpoint, to write files that must not be older than it.
    """

    def __init__(
        self,
        path: Path,
        *,
        position: Position,
        every: int,
        epochs: int,
        others: Sequence[keras.callbacks.Callback],
        network: keras.Model | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._before, self._network = before, network
        self._path, self._position, self._every, self._epochs, self._others = path, position, every, epochs, others
        self._attributes: list[dict[str, Any]] = []
        self._latest: _State | None = None
        self._written_at = -math.inf  # so that the first epoch is written

    def restore(self, model: keras.Model) -> int:
        """Restore model and optimizer; the callbacks follow when training begins.

        Args:
            model: Model built from the same recipe, compiled for the phase.

        Returns:
            Epoch of the run to continue with, counted from 0: the phase's first if there is no checkpoint of it yet,
            the one after its last if a callback had stopped the phase.

        Raises:
            ValueError: If the file is damaged, or was written with another network or other callbacks.
        """
        if not self._path.exists() or read_position(self._path) != self._position:
            return self._position.began
        groups = self._groups(model)
        with _opened(self._path) as file:
            state = _state_in(file)
            stored = {name: [file[f"{name}/{k}"].shape for k in range(len(file.get(name, ())))] for name in groups}
            self._check(state, stored, groups)
            for name, variables in groups.items():
                for k, variable in enumerate(variables):
                    variable.assign(file[f"{name}/{k}"][()])
            arrays = [file[f"callbacks/{k}"][()] for k in range(len(file.get("callbacks", ())))]
            self._attributes = _decode(state["attributes"], arrays)
        return self._epochs if state["stopped"] else state["epoch"]

    def _groups(self, fitted: keras.Model) -> dict[str, list[keras.Variable]]:
        network = self._network or fitted
        return {
            "model": [*network.trainable_variables, *network.non_trainable_variables],
            "optimizer": list(fitted.optimizer.variables),
        }

    def _check(
        self,
        state: dict[str, Any],
        stored: dict[str, list[tuple[int, ...]]],
        groups: dict[str, list[keras.Variable]],
    ) -> None:
        """Refuse the state of another network or of other callbacks."""
        shapes = {name: [tuple(v.shape) for v in variables] for name, variables in groups.items()}
        callbacks = [type(callback).__name__ for callback in self._others]
        if stored != shapes or state["callbacks"] != callbacks:
            raise ValueError(
                f"{self._path}: expected a checkpoint of this network with the callbacks {callbacks}, got "
                f"{'one of another network' if stored != shapes else state['callbacks']}; resume with "
                "the recipe and the callbacks that the run was started with."
            )

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Restore the attributes of the other callbacks."""
        for callback, attributes in zip(self._others, self._attributes, strict=False):  # none in a fresh phase
            if "monitor_op" in vars(callback) and callback.monitor_op is None:
                # Keras turns min_delta's sign when it chooses monitor_op, a function, which is not stored
                attributes.pop("min_delta", None)
            vars(callback).update(attributes)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Copy the state; write it if it is time to, and when the phase ends."""
        finished, stopped = epoch + 1, self.model.stop_training
        with signals_held_back():
            self._latest = self._copy(finished, stopped)
        due = finished % self._every == 0 or time.monotonic() - self._written_at >= INTERVAL
        if due or finished == self._epochs or stopped:
            self.write_latest()

    def write_latest(self) -> None:
        """Write the state after the latest epoch, unless it is written already."""
        if self._latest is None:
            return
        with signals_held_back():
            if self._before:
                self._before()
            self._write(self._latest)
            self._latest, self._written_at = None, time.monotonic()

    def _copy(self, epoch: int, stopped: bool) -> _State:
        arrays: list[np.ndarray] = []
        state = {
            **asdict(self._position),
            "epoch": epoch,
            "stopped": stopped,
            "callbacks": [type(callback).__name__ for callback in self._others],
            "attributes": _encode([vars(callback) for callback in self._others], arrays),
        }
        groups = {
            name: [_own(keras.ops.convert_to_numpy(variable.value)) for variable in variables]
            for name, variables in self._groups(self.model).items()
        }
        return _State(json.dumps(state), {**groups, "callbacks": [np.array(array) for array in arrays]})

    def _write(self, state: _State) -> None:
        text = state.text.encode()
        sizes = [array.nbytes + _HEAD for arrays in state.groups.values() for array in arrays]
        room = sum(sizes) + len(text) + _REST
        with atomic_path(self._path) as temporary:
            with create_h5(temporary, room=room) as file:
                for name, arrays in state.groups.items():
                    for k, array in enumerate(arrays):
                        file[f"{name}/{k}"] = array
                file["state"] = np.bytes_(text)  # a dataset, since an HDF5 attribute holds 64 KiB at most
            seal(temporary)


@dataclass(frozen=True)
class _State:
    """The content of a checkpoint: its JSON text, and its arrays by group."""

    text: str
    groups: dict[str, list[np.ndarray]]


def _own(array: np.ndarray) -> np.ndarray:
    """Return an array that shares no memory with a variable, as Keras' does on some backends."""
    return array if array.flags.owndata else array.copy()


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open a checkpoint, and turn every error of damage into one."""
    try:
        if path.is_file():
            check_seal(path)  # a damaged file can crash HDF5; files of earlier versions have no checksum
        with open_h5(path, expected="a checkpoint") as file:
            yield file
    except (KeyError, AttributeError, OSError, RuntimeError, TypeError, json.JSONDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        reason = " ".join(str(error).strip("'\"").split())
        raise ValueError(
            f"{path}: expected a checkpoint, got a damaged or other HDF5 file ({reason}); put a copy of it back, "
            "or remove it, and the run starts again with its first epoch."
        ) from error


def _state_in(file: h5py.File) -> dict[str, Any]:
    text = file["state"][()]
    state = json.loads(text)
    for name, kind in _STATE.items():
        if not isinstance(state[name], kind):
            raise TypeError(f"{name} is {short(state[name])}")
    return dict(state)


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    """Turn a value into one that JSON can hold, and move its arrays to a list.

    Members that are not data (models, functions, paths) are left out; the callback's constructor sets them again.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, list | tuple):
        items = [_encode(item, arrays) for item in value]
        items = [item for item in items if item is not _NOT_DATA]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, dict):
        pairs = [[_encode(key, arrays), _encode(item, arrays)] for key, item in value.items()]
        return {"dict": [pair for pair in pairs if _NOT_DATA not in pair]}
    return _NOT_DATA


def _decode(value: Any, arrays: list[np.ndarray]) -> Any:
    """Undo `_encode`."""
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((container, content),) = value.items()
    if container == "array":
        return arrays[content]
    if container == "tuple":
        return tuple(_decode(content, arrays))
    return {_decode(key, arrays): _decode(item, arrays) for key, item in content}


_NOT_DATA = object()
