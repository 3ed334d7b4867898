"""Read PyTorch's ``.pth`` files without PyTorch and without executing what is in them.

A pickle is a program for a small stack machine, and Python's own machine imports and calls whatever the program names.
The machine here knows only the thirty or so instructions that build tables of tensors. It looks up the name of a called
function in `_CALLS` and refuses any other. It imports nothing, so a file cannot execute anything.

Source: CPython's ``pickletools`` (the instructions), ``torch/serialization.py`` and ``torch/_utils.py`` (the files).
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from resnet50.weights.layouts import LIMIT, UnfitFileError, from_bfloat16

PICKLE_START = b"\x80"
"""First byte of a pickle of protocol 2 or later, and so of a file of PyTorch before 1.6."""

_MAX_AXES = 8  # of a tensor; a kernel has four
_MAX_INSTRUCTIONS = 500_000  # of a pickle; a ResNet-50's has about ten thousand
_LEGACY_MAGIC, _LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

# names of the state dicts in a training checkpoint, in order of preference: as in timm, the moving average of the
# weights (EMA) comes before the weights themselves
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


class _Global(NamedTuple):
    """The name of what a pickle would import; nothing is imported here."""

    name: str


class _Storage(NamedTuple):
    type_name: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements. `_checked_size` checks it before it is read."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_DTYPES = {
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "<u2",  # NumPy has no bfloat16
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.LongStorage": "<i8",
}


def read_archive(archive: zipfile.ZipFile) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a file of PyTorch 1.6 or later.

    Args:
        archive: Open for reading.

    Returns:
        Tensors of the state dict by name; and for everything else in the file, its name and why it is not used.

    Raises:
        UnfitFileError: If the file contains anything but tables of tensors, or more than `LIMIT`. Damage raises the
            errors of zipfile, pickletools and NumPy.
    """
    members = {info.filename: info for info in archive.infolist()}
    programs = [name for name in members if name.count("/") == 1 and name.endswith("/data.pkl")]
    if len(programs) != 1 or len(members) < len(archive.infolist()):
        raise UnfitFileError("an archive that is neither a Keras model nor a PyTorch state dict.")
    top = programs[0].removesuffix("data.pkl")
    if f"{top}constants.pkl" in members or any(name.startswith(f"{top}code/") for name in members):
        raise UnfitFileError("a TorchScript archive, which is a program; save the module's state_dict() instead.")
    if any(info.compress_type != zipfile.ZIP_STORED for info in members.values()):
        raise UnfitFileError("a compressed archive, which PyTorch never writes.")
    if sum(info.file_size for info in members.values()) > LIMIT:
        raise UnfitFileError(f"an archive of more than {LIMIT >> 20} MiB.")
    if f"{top}byteorder" in members and archive.read(f"{top}byteorder") != b"little":
        raise UnfitFileError("numbers in big-endian byte order; save the file again on a little-endian machine.")
    content = _run(io.BytesIO(archive.read(programs[0])), {})
    return _state_dict(content, lambda key: archive.read(f"{top}data/{key}"))


def read_legacy(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a file of PyTorch before 1.6: several pickles, then the numbers of each storage.

    Args:
        content: The whole file.

    Returns:
        Like `read_archive`.

    Raises:
        UnfitFileError: Like `read_archive`. Damage raises the errors of pickletools, struct and NumPy.
    """
    stream = io.BytesIO(content)
    storages: dict[str, _Storage] = {}
    if _run(stream, storages) != _LEGACY_MAGIC:
        raise UnfitFileError("a pickle that PyTorch did not write.")
    protocol, machine, table, keys = (_run(stream, storages) for _ in range(4))
    if protocol != _LEGACY_PROTOCOL or not isinstance(machine, dict) or not isinstance(keys, list):
        raise UnfitFileError("a PyTorch file of an unknown version.")
    if machine.get("little_endian") is not True:
        raise UnfitFileError("numbers in big-endian byte order; save the file again on a little-endian machine.")
    numbers: dict[str, memoryview] = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        if not isinstance(key, str) or key not in storages or count != storages[key].length:
            raise UnfitFileError("a PyTorch file whose storages are not those of its tensors.")
        start = stream.tell()
        stream.seek(start + count * np.dtype(_DTYPES[storages[key].type_name]).itemsize)
        numbers[key] = memoryview(content)[start : stream.tell()]
    return _state_dict(table, numbers.__getitem__)


def _state_dict(
    content: Any, read: Callable[[str], bytes | memoryview]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors of the state dict in a file's content, and why the rest is not used."""
    unused = {}
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            unused = {f"{name}": f"not part of {wrapper}" for name in content if name != wrapper}
            content = content[wrapper]
            break
    if not isinstance(content, dict):
        raise UnfitFileError(f"a PyTorch file with a {type(content).__name__.lstrip('_')}, not a state dict.")
    tensors = {f"{name}": value for name, value in content.items() if isinstance(value, _Tensor)}
    unused.update({f"{name}": "not a tensor" for name, value in content.items() if not isinstance(value, _Tensor)})
    if sum(map(_checked_size, tensors.values())) > LIMIT:
        raise UnfitFileError(f"tensors of more than {LIMIT >> 20} MiB.")
    read = cache(read)
    return {name: _view(tensor, read(tensor.storage.key)) for name, tensor in tensors.items()}, unused


def _checked_size(tensor: _Tensor) -> int:
    """Check that a tensor lies within its storage; return its size in bytes."""
    storage, offset, size, stride = tensor
    if not (isinstance(storage, _Storage) and isinstance(size, tuple) and isinstance(stride, tuple)):
        raise UnfitFileError("a tensor that PyTorch would not describe like this.")
    fits = len(size) == len(stride) <= _MAX_AXES  # checked first: multiplying thousands of long numbers takes hours
    if not fits or not all(isinstance(n, int) and n >= 0 for n in (offset, *size, *stride)):
        raise UnfitFileError("a tensor that PyTorch would not describe like this.")
    elements = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if elements > storage.length or (elements and last >= storage.length):
        raise UnfitFileError(f"a tensor that reaches beyond its storage of {storage.length} numbers.")
    return elements * np.dtype(_DTYPES[storage.type_name]).itemsize


def _view(tensor: _Tensor, data: bytes | memoryview) -> np.ndarray:
    storage, offset, size, stride = tensor
    dtype = np.dtype(_DTYPES[storage.type_name])
    if len(data) != storage.length * dtype.itemsize:
        raise UnfitFileError(f"{len(data)} bytes for a storage of {storage.length} numbers; download the file again.")
    array: np.ndarray = np.ndarray(
        size, dtype, data, offset * dtype.itemsize, [step * dtype.itemsize for step in stride]
    )
    return from_bfloat16(array) if storage.type_name == "torch.BFloat16Storage" else array


def _run(stream: io.BytesIO, storages: dict[str, _Storage]) -> Any:
    """Run one pickle and return what it builds; add each storage that it names to ``storages``."""
    machine = _Machine(storages)
    for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if count > _MAX_INSTRUCTIONS:
            raise UnfitFileError(f"a pickle of more than {_MAX_INSTRUCTIONS} instructions.")
        if instruction.name == "STOP":
            return machine.stack.pop()
        if instruction.name not in _INSTRUCTIONS:
            raise UnfitFileError(f"a pickle with the instruction {instruction.name}, which no state dict contains.")
        _INSTRUCTIONS[instruction.name](machine, argument)
    raise EOFError("a pickle without an end")  # genops raises before that


class _Machine:
    """The state of a pickle's machine. Each method but `_pop_to_mark` is an instruction and takes its argument."""

    def __init__(self, storages: dict[str, _Storage]) -> None:
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under each mark
        self._memo: dict[int, Any] = {}
        self._storages = storages

    def push(self, argument: Any) -> None:
        self.stack.append(argument)

    def mark(self, _: Any) -> None:
        self._below.append(self.stack)
        self.stack = []

    def _pop_to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self._below.pop()
        return items

    def tuple_from_mark(self, _: Any) -> None:
        items = self._pop_to_mark()
        self.push(tuple(items))

    def append(self, _: Any) -> None:
        item = self.stack.pop()
        _extend(self.stack[-1], [item])

    def append_from_mark(self, _: Any) -> None:
        items = self._pop_to_mark()
        _extend(self.stack[-1], items)

    def set_item(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _update(self.stack[-1], [key, value])

    def set_items_from_mark(self, _: Any) -> None:
        items = self._pop_to_mark()
        _update(self.stack[-1], items)

    def put(self, number: int) -> None:
        self._memo[number] = self.stack[-1]

    def memoize(self, _: Any) -> None:
        self.put(len(self._memo))

    def get(self, number: int) -> None:
        self.push(self._memo[number])

    def look_up(self, name: str) -> None:
        self.push(_global(name.replace(" ", ".")))

    def look_up_from_stack(self, _: Any) -> None:
        attribute, module = self.stack.pop(), self.stack.pop()
        self.push(_global(f"{module:s}.{attribute:s}"))

    def storage(self, _: Any) -> None:
        storage = _storage(self.stack.pop())
        if self._storages.setdefault(storage.key, storage) != storage:
            raise UnfitFileError(f"two different descriptions of storage {storage.key!r}.")
        self.push(storage)

    def call(self, _: Any) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        self.push(_call(function, arguments))

    def drop(self, _: Any) -> None:
        self.stack.pop()


def _push_constant(constant: Any) -> _Instruction:
    return lambda machine, _: machine.push(constant)


def _push_tuple(length: int) -> _Instruction:
    return lambda machine, _: machine.push(tuple(machine.stack.pop() for _ in range(length))[::-1])


_Instruction = Callable[[_Machine, Any], None]

_LITERALS = (
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
)

_INSTRUCTIONS: Mapping[str, _Instruction] = {
    **dict.fromkeys(_LITERALS, _Machine.push),
    "NONE": _push_constant(None),
    "NEWTRUE": _push_constant(True),
    "NEWFALSE": _push_constant(False),
    "EMPTY_TUPLE": _push_constant(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "TUPLE1": _push_tuple(1),
    "TUPLE2": _push_tuple(2),
    "TUPLE3": _push_tuple(3),
    "MARK": _Machine.mark,
    "TUPLE": _Machine.tuple_from_mark,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_from_mark,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items_from_mark,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.put),
    "MEMOIZE": _Machine.memoize,
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.get),
    "GLOBAL": _Machine.look_up,
    "STACK_GLOBAL": _Machine.look_up_from_stack,
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.call,
    "BUILD": _Machine.drop,  # attributes, such as the module versions in a state dict
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
}
"""The instructions that state dicts contain; `_run` refuses any other."""


def _extend(target: Any, items: list[Any]) -> None:
    if not isinstance(target, list):
        raise UnfitFileError("a pickle that appends to something other than a list.")
    target.extend(items)


def _update(target: Any, items: list[Any]) -> None:
    keys = items[::2]
    # other keys are refused: comparing deeply nested tuples could take forever
    if not isinstance(target, dict) or not all(isinstance(key, str | int) for key in keys):
        raise UnfitFileError("a pickle of a dictionary whose keys are neither strings nor integers.")
    target.update(zip(keys, items[1::2], strict=True))


def _table() -> dict[Any, Any]:
    return {}


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, size, stride)


def _parameter(tensor: Any, *_: Any) -> Any:
    return tensor


_CALLS: Mapping[str, Callable[..., Any]] = {
    "collections.OrderedDict": _table,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}


def _global(name: str) -> _Global:
    if name not in _CALLS and name not in _DTYPES:
        raise UnfitFileError(
            f"a pickle that asks for {name[:80]!r}, which is never executed here; save only a state_dict(), which does "
            "not need it."
        )
    return _Global(name)


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Global) or function.name not in _CALLS or not isinstance(arguments, tuple):
        raise UnfitFileError("a pickle that calls something other than a function.")
    return _CALLS[function.name](*arguments)


def _storage(described: Any) -> _Storage:
    match described:
        case ("storage", _Global(type_name), str(key), str(), int(count), *view) if type_name in _DTYPES and count >= 0:
            if view in ([], [None]):
                return _Storage(type_name, key, count)
    raise UnfitFileError("a tensor whose storage PyTorch would not describe like this.")
