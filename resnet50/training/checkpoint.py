"""Everything that decides how a run goes on, in one file: written whole or not at all, read back bit for bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from resnet50._io.files import atomic_path, open_h5


@dataclass(frozen=True)
class Position:
    """Where in its phases a run stands.

    Attributes:
        phase: Which phase, counted from 0.
        began: Epoch of the run at which it began, counted from 0; earlier phases may have ended early.
    """

    phase: int = 0
    began: int = 0


def read_position(path: Path) -> Position:
    """Return the phase in which a checkpoint was written; the first one's beginning if there is no checkpoint.

    Raises:
        ValueError: If the file is damaged, or no checkpoint.
    """
    if not path.exists():
        return Position()
    with open_h5(path, needed="a checkpoint") as file:
        if "state" not in file:
            raise ValueError(f"{path}: expected a checkpoint, found another HDF5 file.")
        state = json.loads(file["state"][()])
    return Position(phase=state["phase"], began=state["began"])


class Checkpoint(keras.callbacks.Callback):
    """Write the state of a run every few epochs; put it back when the run is resumed.

    The state is the model's variables (weights, moving statistics, states of random generators), the optimizer's
    (moments, running average, step) and what the other callbacks remember. Put this callback last: callbacks forget in
    ``on_train_begin``, and what they forgot is put back in this one's.

    A finished phase is resumed too: Keras trains no epoch then, but ends the phase as it would have ended, which may
    change the weights (averages are put in at a phase's end).

    Args:
        path: The file.
        position: The phase, and the epoch at which it began.
        every: Epochs between writings; the last epoch is always written.
        epochs: Epoch of the run at which the phase ends, if nothing stops it.
        others: The callbacks whose memory is kept.
        before: Called before each writing, to write what must not be older than the checkpoint.
    """

    def __init__(
        self,
        path: Path,
        *,
        position: Position,
        every: int,
        epochs: int,
        others: Sequence[keras.callbacks.Callback],
        before: Callable[[], None] | None = None,
    ) -> None:
        super().__init__()
        self._before = before
        self._path, self._position, self._every, self._epochs, self._others = path, position, every, epochs, others
        self._memories: list[dict[str, Any]] = []

    def restore(self, model: keras.Model) -> int:
        """Put model and optimizer back as they were; the callbacks follow when training begins.

        Args:
            model: Model built from the same recipe, compiled for the phase.

        Returns:
            Epoch of the run to go on from, counted from 0: the phase's first if there is no checkpoint of it yet, the
            one after its last if a callback had stopped the phase.

        Raises:
            ValueError: If the file is damaged, or was written with another network or other callbacks.
        """
        if not self._path.exists() or read_position(self._path) != self._position:
            return self._position.began
        with open_h5(self._path, needed="a checkpoint") as file:
            state = json.loads(file["state"][()])
            groups = _groups(model)
            shapes = {name: [tuple(v.shape) for v in variables] for name, variables in groups.items()}
            found = {name: [file[f"{name}/{k}"].shape for k in range(len(file.get(name, ())))] for name in groups}
            kinds = [type(callback).__name__ for callback in self._others]
            if found != shapes or state["kinds"] != kinds:
                raise ValueError(
                    f"{self._path}: expected a checkpoint of this network with the callbacks {kinds}, "
                    f"found {'one of another network' if found != shapes else state['kinds']}."
                )
            for name, variables in groups.items():
                for k, variable in enumerate(variables):
                    variable.assign(file[f"{name}/{k}"][()])
            arrays = [file[f"callbacks/{k}"][()] for k in range(len(file.get("callbacks", ())))]
            self._memories = _decode(state["memories"], arrays)
        return self._epochs if state["stopped"] else state["epoch"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Give the other callbacks back what they knew."""
        for callback, memory in zip(self._others, self._memories, strict=False):  # no memories in a fresh phase
            if "monitor_op" in vars(callback) and callback.monitor_op is None:
                # Keras turns min_delta's sign when it chooses monitor_op, which as a function is not remembered
                memory.pop("min_delta", None)
            vars(callback).update(memory)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the state if it is time."""
        finished, stopped = epoch + 1, self.model.stop_training
        if finished % self._every == 0 or finished == self._epochs or stopped:
            if self._before:
                self._before()
            self._write(finished, stopped)

    def _write(self, epoch: int, stopped: bool) -> None:
        with atomic_path(self._path) as temporary, h5py.File(temporary, "w") as file:
            for name, variables in _groups(self.model).items():
                for k, variable in enumerate(variables):
                    file[f"{name}/{k}"] = keras.ops.convert_to_numpy(variable.value)
            arrays: list[np.ndarray] = []
            state = {
                **asdict(self._position),
                "epoch": epoch,
                "stopped": stopped,
                "kinds": [type(callback).__name__ for callback in self._others],
                "memories": _encode([vars(callback) for callback in self._others], arrays),
            }
            for k, array in enumerate(arrays):
                file[f"callbacks/{k}"] = array
            file["state"] = json.dumps(state)  # a data set, since an attribute holds 64 KiB at most


def _groups(model: keras.Model) -> dict[str, list[keras.Variable]]:
    return {
        "model": [*model.trainable_variables, *model.non_trainable_variables],
        "optimizer": list(model.optimizer.variables),
    }


def _encode(value: Any, arrays: list[np.ndarray]) -> Any:
    """Turn data into what JSON can hold, its arrays moved to a list.

    What is no data (models, functions, paths), a callback is given anew; such members of a dict or a list are left out.
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
        kept = [item for item in items if item is not _NO_DATA]
        return kept if isinstance(value, list) else {"tuple": kept}
    if isinstance(value, dict):
        pairs = [[_encode(key, arrays), _encode(item, arrays)] for key, item in value.items()]
        return {"dict": [pair for pair in pairs if _NO_DATA not in pair]}
    return _NO_DATA


def _decode(value: Any, arrays: list[np.ndarray]) -> Any:
    """Undo `_encode`."""
    if isinstance(value, list):
        return [_decode(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[content]
    if kind == "tuple":
        return tuple(_decode(content, arrays))
    return {_decode(key, arrays): _decode(item, arrays) for key, item in content}


_NO_DATA = object()
