"""Everything that decides how a run goes on, in one file: written whole or not at all, read back bit for bit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np

from resnet50.files import atomic_path, open_h5


class Checkpoint(keras.callbacks.Callback):
    """Write the state of a run every few epochs; put it back when the run is resumed.

    The state is the model's variables (weights, moving statistics, states of random generators), the optimizer's
    (moments, running average, step) and what the other callbacks remember. Put this callback last: callbacks forget in
    ``on_train_begin``, and what they forgot is put back in this one's.

    Args:
        path: The file.
        every: Epochs between writings; the last epoch is always written.
        epochs: Epochs of the whole run.
        others: The callbacks whose memory is kept.
    """

    def __init__(self, path: Path, *, every: int, epochs: int, others: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._path, self._every, self._epochs, self._others = path, every, epochs, others
        self._memories: list[dict[str, Any]] = []

    def restore(self, model: keras.Model) -> int:
        """Put model and optimizer back as they were; the callbacks follow when training begins.

        Args:
            model: Compiled model, built from the same recipe.

        Returns:
            Epoch to go on from, counted from 0: 0 if there is no checkpoint yet, the last if a callback had stopped
            the run.

        Raises:
            ValueError: If the file is damaged, or was written with another network or other callbacks.
        """
        if not self._path.exists():
            return 0
        model.optimizer.build(model.trainable_variables)
        with open_h5(self._path, needed="a checkpoint") as file:
            state = json.loads(file["state"][()])
            groups = _groups(model)
            shapes = {name: [tuple(v.shape) for v in variables] for name, variables in groups.items()}
            found = {name: [file[f"{name}/{k}"].shape for k in range(len(file[name]))] for name in groups}
            kinds = [type(callback).__name__ for callback in self._others]
            if found != shapes or state["kinds"] != kinds:
                raise ValueError(
                    f"{self._path}: needed a checkpoint of this network with the callbacks {kinds}, "
                    f"found {'one of another network' if found != shapes else state['kinds']}."
                )
            for name, variables in groups.items():
                for k, variable in enumerate(variables):
                    variable.assign(file[f"{name}/{k}"][()])
            self._memories = [_recall(file, k, memory) for k, memory in enumerate(state["memories"])]
        return self._epochs if state["stopped"] else state["epoch"]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Give the other callbacks back what they knew."""
        for callback, memory in zip(self._others, self._memories, strict=False):  # no memories in a fresh run
            vars(callback).update(memory)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the state if it is time."""
        finished, stopped = epoch + 1, self.model.stop_training
        if finished % self._every == 0 or finished == self._epochs or stopped:
            self._write(finished, stopped)

    def _write(self, epoch: int, stopped: bool) -> None:
        with atomic_path(self._path) as temporary, h5py.File(temporary, "w") as file:
            for name, variables in _groups(self.model).items():
                for k, variable in enumerate(variables):
                    file[f"{name}/{k}"] = keras.ops.convert_to_numpy(variable.value)
            state = {
                "epoch": epoch,
                "stopped": stopped,
                "kinds": [type(callback).__name__ for callback in self._others],
                "memories": [_remember(file, k, vars(callback)) for k, callback in enumerate(self._others)],
            }
            file["state"] = json.dumps(state)  # a data set, since an attribute holds 64 KiB at most


def _groups(model: keras.Model) -> dict[str, list[keras.Variable]]:
    return {
        "model": [*model.trainable_variables, *model.non_trainable_variables],
        "optimizer": list(model.optimizer.variables),
    }


def _remember(file: h5py.File, callback: int, memory: dict[str, Any]) -> dict[str, Any]:
    """Return what can be written as JSON and write lists of arrays (such as best weights) into the file.

    Anything else that a callback holds, models and functions, it is given anew.
    """
    plain = {}
    for name, value in memory.items():
        value = value.item() if isinstance(value, np.generic) else value
        if isinstance(value, list) and value and all(isinstance(item, np.ndarray) for item in value):
            for k, array in enumerate(value):
                file[f"callbacks/{callback}/{name}/{k}"] = array
            plain[name] = {_ARRAYS: len(value)}
        elif _is_json(value):
            plain[name] = value
    return plain


def _recall(file: h5py.File, callback: int, memory: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [file[f"callbacks/{callback}/{name}/{k}"][()] for k in range(value[_ARRAYS])]
        if isinstance(value, dict) and _ARRAYS in value
        else value
        for name, value in memory.items()
    }


_ARRAYS = "number of arrays"


def _is_json(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(_is_json, value.values()))
    return value is None or isinstance(value, bool | int | float | str)
