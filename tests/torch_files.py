"""The files of the PyTorch world, written by hand: state dicts as ``torch.save`` and safetensors write them."""

from __future__ import annotations

import json
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


def write_safetensors(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write a header of names, kinds and places, then the numbers: https://github.com/huggingface/safetensors."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, array in arrays.items():
        kind = {"float32": "F32", "int64": "I64"}[array.dtype.name]
        header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": [end, end := end + array.nbytes]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())
    return path


class Global(NamedTuple):
    module: str
    name: str


class Opcodes:
    """As much of pickle's protocol 2 as it takes to write a state dict as ``torch.save`` does."""

    def __init__(self, *, legacy: bool):
        self.legacy = legacy
        self.storages: list[np.ndarray] = []

    def pickle(self, value: Any) -> bytes:
        return b"\x80\x02" + self.write(value) + b"."

    def write(self, value: Any) -> bytes:
        match value:
            case None:
                return b"N"
            case bool():
                return b"\x88" if value else b"\x89"
            case int():
                number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
                return b"\x8a" + bytes([len(number)]) + number
            case str():
                return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
            case Global(module, name):
                return f"c{module}\n{name}\n".encode()
            case OrderedDict():
                items = b"".join(self.write(name) + self.write(item) for name, item in value.items())
                return self.write(Global("collections", "OrderedDict")) + b")R(" + items + b"u"
            case dict():
                return b"}(" + b"".join(self.write(name) + self.write(item) for name, item in value.items()) + b"u"
            case list():
                return b"](" + b"".join(map(self.write, value)) + b"e"
            case tuple():
                return b"(" + b"".join(map(self.write, value)) + b"t"
            case np.ndarray():
                return self.write_tensor(value)
        raise AssertionError(f"a state dict holds no {type(value)}")

    def write_tensor(self, array: np.ndarray) -> bytes:
        kind = {"float32": "FloatStorage", "int64": "LongStorage"}[array.dtype.name]
        storage = ("storage", Global("torch", kind), str(len(self.storages)), "cpu", array.size)
        self.storages.append(array)
        persistent = self.write((*storage, None) if self.legacy else storage) + b"Q"
        strides = tuple(step // array.itemsize for step in array.strides)
        rest = map(self.write, (0, array.shape, strides, False, OrderedDict()))
        return self.write(Global("torch._utils", "_rebuild_tensor_v2")) + b"(" + persistent + b"".join(rest) + b"tR"

    def state_dict(self, arrays: dict[str, np.ndarray]) -> bytes:
        """Write it with the attribute that every module's state dict has."""
        modules = {name.rpartition(".")[0] for name in arrays}
        metadata = OrderedDict((name, {"version": 2}) for name in ["", *sorted(modules)])
        body = self.write(OrderedDict(arrays)) + self.write({"_metadata": metadata}) + b"b"
        return b"\x80\x02" + body + b"."


def write_pth(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write what ``torch.save`` writes since PyTorch 1.6: a zip archive, nothing in it compressed."""
    opcodes = Opcodes(legacy=False)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{path.stem}/data.pkl", opcodes.state_dict(arrays))
        archive.writestr(f"{path.stem}/byteorder", "little")
        for key, array in enumerate(opcodes.storages):
            archive.writestr(f"{path.stem}/data/{key}", array.tobytes())
        archive.writestr(f"{path.stem}/version", "3\n")
    return path


def write_legacy_pth(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    """Write what ``torch.save`` wrote before: five pickles, then each storage's length and numbers."""
    opcodes = Opcodes(legacy=True)
    sizes = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    with path.open("wb") as file:
        for part in (0x1950A86A20F9469CFC6C, 1001, sizes):
            file.write(opcodes.pickle(part))
        file.write(opcodes.state_dict(arrays))
        file.write(opcodes.pickle([str(key) for key in range(len(opcodes.storages))]))
        for array in opcodes.storages:
            file.write(struct.pack("<q", array.size) + array.tobytes())
    return path
