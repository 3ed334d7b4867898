"""PyTorch's ``.pth`` files, read without PyTorch and without running what is in them.

A pickle is a program for a small stack machine, and Python's own machine can be told to import and call anything. The
one here knows the thirty or so instructions that write tables of tensors; where the program calls a function, it looks
the name up in `_CALLS` and refuses every other. Nothing is imported, so there is nothing to execute.

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
"""Each pickle of protocol 2 or later starts so, and with it a file of PyTorch before 1.6."""

_AXES = 8  # of a tensor; a kernel has four
_INSTRUCTIONS = 500_000  # of a pickle; a ResNet-50's has some ten thousand
_LEGACY_MAGIC, _LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001

# Under these names a training checkpoint holds its state dicts; the first that is there is taken, so an average of the
# weights (EMA) before the weights themselves, as timm does.
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


class _Global(NamedTuple):
    """What a pickle would import; here a name and nothing else."""

    name: str


class _Storage(NamedTuple):
    kind: str
    key: str
    length: int


class _Tensor(NamedTuple):
    """A view of a storage; offset and strides count elements. Not checked before it is read."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


_KINDS = {
    "torch.HalfStorage": "<f2",
    "torch.BFloat16Storage": "<u2",  # NumPy knows no bfloat16
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.LongStorage": "<i8",
}

_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINSTRING", "SHORT_BINSTRING"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


def read_archive(archive: zipfile.ZipFile) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a file that PyTorch 1.6 or later wrote.

    Args:
        archive: Open for reading.

    Returns:
        The tensors of the state dict by name, and the reason for whatever else the file holds.

    Raises:
        UnfitFileError: If it holds anything but tables of tensors, or more than `LIMIT`. Damage raises what zipfile,
            pickletools and NumPy raise.
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
        raise UnfitFileError("numbers with the highest byte first; save the file again on a common machine.")
    content = _run(io.BytesIO(archive.read(programs[0])), {})
    return _state_dict(content, lambda key: archive.read(f"{top}data/{key}"))


def read_legacy(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a file that PyTorch before 1.6 wrote: pickles, one after another, then the numbers of each storage.

    Args:
        content: The whole file.

    Returns:
        As `read_archive`.

    Raises:
        UnfitFileError: As `read_archive`. Damage raises what pickletools, struct and NumPy raise.
    """
    stream = io.BytesIO(content)
    storages: dict[str, _Storage] = {}
    if _run(stream, storages) != _LEGACY_MAGIC:
        raise UnfitFileError("a pickle that PyTorch did not write.")
    protocol, machine, table, keys = (_run(stream, storages) for _ in range(4))
    if protocol != _LEGACY_PROTOCOL or not isinstance(machine, dict) or not isinstance(keys, list):
        raise UnfitFileError("a PyTorch file of an unknown version.")
    if machine.get("little_endian") is not True:
        raise UnfitFileError("numbers with the highest byte first; save the file again on a common machine.")
    numbers: dict[str, memoryview] = {}
    for key in keys:
        (count,) = struct.unpack("<q", stream.read(8))
        if not isinstance(key, str) or key not in storages or count != storages[key].length:
            raise UnfitFileError("a PyTorch file whose storages are not those of its tensors.")
        start = stream.tell()
        stream.seek(start + count * np.dtype(_KINDS[storages[key].kind]).itemsize)
        numbers[key] = memoryview(content)[start : stream.tell()]
    return _state_dict(table, numbers.__getitem__)


def _state_dict(
    content: Any, read: Callable[[str], bytes | memoryview]
) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the tensors of the state dict in what a file holds, and why the rest is not used."""
    unused = {}
    for wrapper in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(wrapper), dict):
            unused = {f"{name}": f"stands beside {wrapper}" for name in content if name != wrapper}
            content = content[wrapper]
            break
    if not isinstance(content, dict):
        raise UnfitFileError(f"a PyTorch file of a {type(content).__name__.lstrip('_')}, not of a state dict.")
    tensors = {f"{name}": value for name, value in content.items() if isinstance(value, _Tensor)}
    unused.update({f"{name}": "not a tensor" for name, value in content.items() if not isinstance(value, _Tensor)})
    if sum(map(_checked_size, tensors.values())) > LIMIT:
        raise UnfitFileError(f"tensors of more than {LIMIT >> 20} MiB.")
    read = cache(read)
    return {name: _view(tensor, read(tensor.storage.key)) for name, tensor in tensors.items()}, unused


def _checked_size(tensor: _Tensor) -> int:
    """Return how many bytes a tensor has, after making sure that all of them lie in its storage."""
    storage, offset, size, stride = tensor
    if not (isinstance(storage, _Storage) and isinstance(size, tuple) and isinstance(stride, tuple)):
        raise UnfitFileError("a tensor that is not described as PyTorch does.")
    fits = len(size) == len(stride) <= _AXES  # before they are multiplied: thousands of long numbers take hours
    if not fits or not all(isinstance(n, int) and n >= 0 for n in (offset, *size, *stride)):
        raise UnfitFileError("a tensor that is not described as PyTorch does.")
    elements = math.prod(size)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if elements > storage.length or (elements and last >= storage.length):
        raise UnfitFileError(f"a tensor that reaches beyond its storage of {storage.length} numbers.")
    return elements * np.dtype(_KINDS[storage.kind]).itemsize


def _view(tensor: _Tensor, data: bytes | memoryview) -> np.ndarray:
    storage, offset, size, stride = tensor
    kind = np.dtype(_KINDS[storage.kind])
    if len(data) != storage.length * kind.itemsize:
        raise UnfitFileError(f"{len(data)} bytes for a storage of {storage.length} numbers; fetch the file again.")
    array: np.ndarray = np.ndarray(size, kind, data, offset * kind.itemsize, [step * kind.itemsize for step in stride])
    return from_bfloat16(array) if storage.kind == "torch.BFloat16Storage" else array


def _run(stream: io.BytesIO, storages: dict[str, _Storage]) -> Any:
    """Run one pickle and return what it builds; each storage that it names is put into ``storages``."""
    stack: list[Any] = []
    below: list[list[Any]] = []  # the stacks under each mark
    memo: dict[int, Any] = {}
    argument: Any
    for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if count > _INSTRUCTIONS:
            raise UnfitFileError(f"a pickle of more than {_INSTRUCTIONS} instructions.")
        name = instruction.name
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "MARK":
            below.append(stack)
            stack = []
        elif name == "TUPLE":
            items, stack = tuple(stack), below.pop()
            stack.append(items)
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            items = tuple(stack.pop() for _ in range(int(name[-1])))
            stack.append(items[::-1])
        elif name == "APPEND":
            _extend(stack[-2], [stack.pop()])
        elif name == "APPENDS":
            added, stack = stack, below.pop()
            _extend(stack[-1], added)
        elif name == "SETITEM":
            value, key = stack.pop(), stack.pop()
            _update(stack[-1], [key, value])
        elif name == "SETITEMS":
            added, stack = stack, below.pop()
            _update(stack[-1], added)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            stack.append(_global(argument.replace(" ", ".")))
        elif name == "STACK_GLOBAL":
            attribute, module = stack.pop(), stack.pop()
            stack.append(_global(f"{module:s}.{attribute:s}"))
        elif name == "BINPERSID":
            storage = _storage(stack.pop())
            if storages.setdefault(storage.key, storage) != storage:
                raise UnfitFileError(f"storage {storage.key!r} described in two ways.")
            stack.append(storage)
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_call(function, arguments))
        elif name == "BUILD":
            stack.pop()  # attributes, such as the versions of modules that a state dict carries
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            raise UnfitFileError(f"a pickle with the instruction {name}, which no state dict needs.")
    raise EOFError("a pickle without an end")  # genops raises before that


def _extend(target: Any, items: list[Any]) -> None:
    if not isinstance(target, list):
        raise UnfitFileError("a pickle that appends to what is no list.")
    target.extend(items)


def _update(target: Any, items: list[Any]) -> None:
    keys = items[::2]
    # No other keys: comparing tuples of tuples of tuples could take for ever.
    if not isinstance(target, dict) or not all(isinstance(key, str | int) for key in keys):
        raise UnfitFileError("a pickle of a table whose keys are neither text nor numbers.")
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
    if name not in _CALLS and name not in _KINDS:
        raise UnfitFileError(
            f"a pickle that asks for {name[:80]!r}, which is not run here; a file of nothing but a state_dict() "
            "does not need it."
        )
    return _Global(name)


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Global) or function.name not in _CALLS or not isinstance(arguments, tuple):
        raise UnfitFileError("a pickle that calls what is no function.")
    return _CALLS[function.name](*arguments)


def _storage(described: Any) -> _Storage:
    match described:
        case ("storage", _Global(kind), str(key), str(), int(count), *view) if kind in _KINDS and count >= 0:
            if view in ([], [None]):
                return _Storage(kind, key, count)
    raise UnfitFileError("a tensor whose storage is not described as PyTorch does.")
