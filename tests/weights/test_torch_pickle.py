"""Files of PyTorch, written here instruction by instruction: honest ones are read exactly, all others refused in words.

Each file's bytes are put together in this module, after CPython's pickletools and torch/serialization.py; no PyTorch.
"""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from factories import raises
from resnet50.weights.layouts import UnfitFileError
from resnet50.weights.read import read_weights
from resnet50.weights.torch_pickle import read_archive, read_legacy

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {"float32": "FloatStorage", "float16": "HalfStorage", "float64": "DoubleStorage", "int64": "LongStorage"}


class Global(NamedTuple):
    module: str
    name: str


class Raw(NamedTuple):
    """Instructions that are put into the program as they are."""

    code: bytes


class Tensor(NamedTuple):
    """A tensor in one of the writer's storages, with whatever size and strides."""

    key: str
    count: Any
    size: Any
    stride: Any
    offset: Any = 0
    storage: str = "FloatStorage"
    function: str = "_rebuild_tensor_v2"


def code(value: Any, *, legacy: bool = False) -> bytes:
    """Return the instructions that put a value on the stack."""

    def deep(inner: Any) -> bytes:
        return code(inner, legacy=legacy)

    match value:
        case Raw(instructions):
            return instructions
        case Tensor():
            storage = ("storage", Global("torch", value.storage), value.key, "cpu", value.count)
            pid = deep(storage + (None,) * legacy) + b"Q"
            rest = b"".join(map(deep, (value.offset, value.size, value.stride, False, OrderedDict())))
            return deep(Global("torch._utils", value.function)) + b"(" + pid + rest + b"tR"
        case Global(module, name):
            return f"c{module}\n{name}\n".encode()
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int() if 0 <= value < 256:
            return b"K" + bytes([value])
        case int():
            number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            return b"\x8a" + bytes([len(number)]) + number
        case float():
            return b"G" + struct.pack(">d", value)
        case str():
            return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
        case OrderedDict():
            items = b"".join(deep(k) + deep(v) for k, v in value.items())
            return deep(Global("collections", "OrderedDict")) + b")R" + (b"(" + items + b"u" if items else b"")
        case dict():
            return b"}(" + b"".join(deep(k) + deep(v) for k, v in value.items()) + b"u"
        case list():
            return b"](" + b"".join(map(deep, value)) + b"e"
        case tuple() if len(value) in (1, 2, 3):
            return b"".join(map(deep, value)) + [b"\x85", b"\x86", b"\x87"][len(value) - 1]
        case tuple():
            return b"(" + b"".join(map(deep, value)) + b"t" if value else b")"
    raise AssertionError(value)


def program(value: Any, *, legacy: bool = False) -> bytes:
    return b"\x80\x02" + code(value, legacy=legacy) + b"."


def of_array(key: str, array: np.ndarray) -> Tensor:
    steps = tuple(step // array.itemsize for step in array.strides)
    return Tensor(key, array.size, array.shape, steps, storage=STORAGES[array.dtype.name])


def archive(value: Any, storages: dict[str, bytes], *, more: dict[str, bytes] | None = None, **options) -> bytes:
    """Return a file as PyTorch 1.6 and later write it."""
    store = io.BytesIO()
    members = {"data.pkl": program(value), "version": b"3\n", "byteorder": b"little"}
    members |= {f"data/{key}": data for key, data in storages.items()} | (more or {})
    with zipfile.ZipFile(store, "w", **options) as file:
        for name, data in members.items():
            file.writestr(f"archive/{name}", data)
    return store.getvalue()


def legacy(
    value: Any, storages: dict[str, bytes], *, count=lambda data: len(data) // 4, machine=None, **first
) -> bytes:
    """Return a file as PyTorch before 1.6 wrote it."""
    machine = {"protocol_version": 1001, "little_endian": True} | (machine or {})
    parts = [program(part) for part in (first.get("magic", MAGIC), first.get("protocol", 1001), machine)]
    parts += [program(value, legacy=True), program(first.get("keys", list(storages)))]
    return b"".join(parts) + b"".join(struct.pack("<q", count(data)) + data for data in storages.values())


def read(content: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            return read_archive(file)
    return read_legacy(content)


BOTH = pytest.mark.parametrize("write", [archive, legacy], ids=["zip", "legacy"])
FLOATS = np.arange(12, dtype="float32") / 7
DATA = {"0": FLOATS.tobytes()}
GOOD = Tensor("0", 12, (3, 4), (4, 1))


# -------------------------------------------------------------------------------------------------------- honest files


@BOTH
def test_a_state_dict_is_read_exactly(write):
    rng = np.random.default_rng(0)
    arrays = {f"layer{n}": rng.normal(0, 1, (n, 3, 2)).astype("float32") for n in range(1, 5)}
    value = OrderedDict((name, of_array(str(n), array)) for n, (name, array) in enumerate(arrays.items()))
    tensors, unused = read(write(value, {str(n): array.tobytes() for n, array in enumerate(arrays.values())}))
    assert (tensors.keys(), unused) == (arrays.keys(), {})
    for name, array in arrays.items():
        assert tensors[name].dtype == np.float32
        np.testing.assert_array_equal(tensors[name], array)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int64"])
def test_every_kind_of_number(kind):
    array = (np.arange(-4, 6) * 3).astype(kind).reshape(2, 5)
    tensors, _ = read(archive({"a": of_array("0", array)}, {"0": array.tobytes()}))
    assert tensors["a"].dtype == array.dtype
    np.testing.assert_array_equal(tensors["a"], array)


def test_bfloat16_widens_to_the_same_numbers():
    tensor = Tensor("0", 3, (3,), (1,), storage="BFloat16Storage")
    tensors, _ = read(archive({"a": tensor}, {"0": struct.pack("<3H", 0x3F80, 0xC040, 0x3E80)}))
    np.testing.assert_array_equal(tensors["a"], np.array([1, -3, 0.25], "float32"))


@BOTH
def test_views_share_a_storage(write):
    views = {
        "part": Tensor("0", 12, (4,), (1,), offset=5),
        "every third": Tensor("0", 12, (4,), (3,), offset=2),
        "turned": Tensor("0", 12, (4, 3), (1, 4)),
        "one": Tensor("0", 12, (), (), offset=7),
        "none": Tensor("0", 12, (0, 5), (5, 1)),
    }
    tensors, _ = read(write(views, DATA))
    np.testing.assert_array_equal(tensors["part"], FLOATS[5:9])
    np.testing.assert_array_equal(tensors["every third"], FLOATS[2::3])
    np.testing.assert_array_equal(tensors["turned"], FLOATS.reshape(3, 4).T)
    assert tensors["one"] == FLOATS[7]
    assert tensors["none"].shape == (0, 5)


@BOTH
def test_parameters_and_the_tensors_of_the_first_versions(write):
    parameter = Raw(
        code(Global("torch._utils", "_rebuild_parameter"))
        + b"("
        + code(GOOD, legacy=write is legacy)
        + code(True)
        + code(OrderedDict())
        + b"tR"
    )
    old = GOOD._replace(function="_rebuild_tensor")
    tensors, _ = read(write({"new": parameter, "old": old}, DATA))
    for name in ("new", "old"):
        np.testing.assert_array_equal(tensors[name], FLOATS.reshape(3, 4))


@BOTH
def test_attributes_of_a_state_dict_are_passed_over(write):
    with_versions = Raw(
        code(OrderedDict(a=GOOD), legacy=write is legacy)
        + code({"_metadata": OrderedDict({"": {"version": 2}})})
        + b"b"
    )
    assert read(write(with_versions, DATA))[0].keys() == {"a"}


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "state_dict_ema", "model_ema"])
def test_a_checkpoint_of_training_gives_its_weights(wrapper):
    rest = {
        "epoch": 90,
        "best": 0.81,
        "arch": "resnet50",
        "optimizer": {"state": {0: {"step": GOOD}}, "groups": [(1, 2)]},
    }
    tensors, unused = read(archive(rest | {wrapper: OrderedDict(a=GOOD, note="x")}, DATA))
    assert tensors.keys() == {"a"}
    assert unused.keys() == {*rest, "note"}
    assert all(wrapper in unused[name] for name in rest)
    assert wrapper not in unused["note"]


def test_averaged_weights_come_first():
    value = {"state_dict": {"plain": GOOD}, "state_dict_ema": {"averaged": GOOD}}
    tensors, unused = read(archive(value, DATA))
    assert (tensors.keys(), unused.keys()) == ({"averaged"}, {"state_dict"})
    assert "state_dict_ema" in unused["state_dict"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_of_pickle(protocol):
    """Written by Python itself: frames, memory and names from the stack come with protocol 4."""

    class Writer(pickle.Pickler):
        def persistent_id(self, value):
            return ("storage", value[0], "0", "cpu", 12) if isinstance(value, list) and len(value) == 1 else None

    # A function that pickles as torch._utils._rebuild_tensor_v2 does, and a storage's type as torch.FloatStorage.
    import sys
    import types

    modules = {"torch": types.ModuleType("torch"), "torch._utils": types.ModuleType("torch._utils")}

    def function(*_):
        return None

    function.__module__, function.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    storage_type = type("FloatStorage", (), {"__module__": "torch"})
    modules["torch._utils"]._rebuild_tensor_v2, modules["torch"].FloatStorage = function, storage_type

    class Handle:
        def __reduce__(self):
            return function, ([storage_type], 0, (3, 4), (4, 1), False, OrderedDict())

    before = {name: sys.modules.get(name) for name in modules}
    sys.modules.update(modules)
    try:
        store = io.BytesIO()
        Writer(store, protocol).dump(OrderedDict(a=Handle(), b=Handle()))
    finally:
        for name, module in before.items():
            sys.modules.pop(name)
            if module is not None:
                sys.modules[name] = module
    tensors, _ = read(archive(Raw(b""), DATA, more={"data.pkl": store.getvalue()}))
    assert tensors.keys() == {"a", "b"}
    np.testing.assert_array_equal(tensors["b"], FLOATS.reshape(3, 4))


# -------------------------------------------------------------------------------------------------- nothing is executed


class Evil:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class EvilEval(Evil):
    def __reduce__(self):
        return eval, (f"__import__('os').mkdir({str(self.marker)!r})",)


@pytest.mark.parametrize("evil", [Evil, EvilEval])
@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("kind", ["zip", "legacy", "plain"])
def test_a_malicious_file_does_nothing(evil, protocol, kind, tmp_path):
    marker = tmp_path / "executed"
    bomb = pickle.dumps({"conv1.weight": evil(marker)}, protocol)
    pickle.loads(bomb)  # noqa: S301 - it does work
    marker.rmdir() if marker.is_dir() else marker.unlink()
    path = tmp_path / "model.pth"
    if kind == "zip":
        path.write_bytes(archive(Raw(b""), DATA, more={"data.pkl": bomb}))
    elif kind == "legacy":
        path.write_bytes(b"".join(map(program, (MAGIC, 1001, {"little_endian": True}))) + bomb)
    else:
        path.write_bytes(bomb)
    with raises(ValueError, path, "ResNet", ".pth") as caught:
        read_weights(path)
    assert not marker.exists()
    if kind != "plain" and protocol == 2:
        name = "'posix.system'" if evil is Evil else "'__builtin__.eval'"
        assert name in str(caught.value)
        assert "state_dict()" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("numpy._core.multiarray", "_reconstruct"),
        ("torch.nn.modules.conv", "Conv2d"),
        ("torch", "load"),
        ("torch", "ComplexFloatStorage"),
        ("torch._utils", "_rebuild_sparse_tensor"),
        ("collections", "OrderedDict.fromkeys"),
        ("argparse", "Namespace"),
    ],
)
@BOTH
def test_every_other_name_is_refused(name, write):
    with raises(UnfitFileError, f"'{name[0]}.{name[1]}'"):
        read(write({"a": Global(*name)}, DATA))


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (Raw(code(Global("torch", "FloatStorage")) + b")R"), "function"),
        (Raw(b"K\x05)R"), "function"),
        (Raw(code(Global("collections", "OrderedDict")) + b"K\x01R"), "function"),
        (Raw(b"](K\x01e(K\x02uK\x01b"), "keys"),
        (Raw(b"}(K\x01e"), "list"),
        (Raw(b"}K\x01a"), "list"),
        (Raw(b"}" + code((1, 2)) + b"Ns"), "keys"),
        (Raw(b"}" + code(1.5) + b"Ns"), "keys"),
        (Raw(b"(ios\nsystem\n"), "INST"),
        (Raw(b"(o"), "OBJ"),
        (Raw(b")\x81"), "NEWOBJ"),
        (Raw(b"\x82\x01"), "EXT1"),
        (Raw(b"N2"), "DUP"),
        (Raw(b"P0\n"), "PERSID"),
        (Raw(b"\x8f"), "EMPTY_SET"),
        (Raw(b"NQ"), "storage"),
        (Raw(code(("storage", "FloatStorage", "0", "cpu", 1)) + b"Q"), "storage"),
        (Raw(code(("storage", Global("torch", "FloatStorage"), "0", "cpu", -1)) + b"Q"), "storage"),
        (Raw(code(("storage", Global("torch", "FloatStorage"), 0, "cpu", 1)) + b"Q"), "storage"),
        (
            Raw(code(("storage", Global("torch", "FloatStorage"), "0", "cpu", 1, ("v", 0, 1))) + b"Q"),
            "storage",
        ),
        ([1, 2], "list"),
        (GOOD, "Tensor"),
        (None, "NoneType"),
    ],
)
@BOTH
def test_programs_that_write_no_state_dict_are_refused(value, word, write):
    with raises(UnfitFileError, word):
        read(write(value, DATA if value is GOOD else {}))


@BOTH
def test_a_table_of_tuples_of_tuples_cannot_be_built(write):
    """Comparing or hashing its key would take 2**60 steps."""
    deep = b"K\x01" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    with raises(UnfitFileError, "keys"):
        read(write(Raw(b"}" + deep + b"Ns"), DATA))
    with raises(UnfitFileError, "tensor", "PyTorch"):
        read(write({"a": Tensor("0", 12, Raw(deep), Raw(b"h" + bytes([59])))}, DATA))


# --------------------------------------------------------------------------------------------------- sizes and limits


@pytest.mark.parametrize(
    ("tensor", "value"),
    [
        (Tensor("0", 12, (3, 5), (5, 1)), 12),
        (Tensor("0", 12, (12,), (1,), offset=1), 12),
        (Tensor("0", 12, (3, 4), (5, 1)), 12),
        (Tensor("0", 12, (1,) * 9, (1,) * 9), "PyTorch"),
        (Tensor("0", 12, (1 << 40,), (0,)), 12),
        (Tensor("0", 12, (1 << 40, 1 << 40), (0, 0)), 12),
        (Tensor("0", 12, (3,), (1 << 70,)), 12),
        (Tensor("0", 12, (3,), (1,), offset=-1), "PyTorch"),
        (Tensor("0", 12, (3,), (-1,), offset=5), "PyTorch"),
        (Tensor("0", 12, (-3,), (1,)), "PyTorch"),
        (Tensor("0", 12, (3,), (1, 1)), "PyTorch"),
        (Tensor("0", 12, [3], (1,)), "PyTorch"),
        (Tensor("0", 12, (3.0,), (1,)), "PyTorch"),
        (Tensor("0", 12, (3,), (1,), offset="0"), "PyTorch"),
    ],
)
@BOTH
def test_a_tensor_stays_within_its_storage(tensor, value, write):
    with raises(UnfitFileError, "tensor", value):
        read(write({"a": tensor}, DATA))


def test_a_storage_must_have_the_bytes_that_it_claims():
    with raises(UnfitFileError, 48, 13):
        read(archive({"a": Tensor("0", 13, (3,), (1,))}, DATA))
    with raises(UnfitFileError, "storages", "tensors"):
        read(legacy({"a": Tensor("0", 13, (3,), (1,))}, DATA))
    whole = legacy({"a": GOOD}, DATA)
    with raises(UnfitFileError, 44, 12):
        read(whole[:-4])
    with pytest.raises(KeyError):
        read(archive({"a": GOOD._replace(key="../../secret")}, DATA))


def test_one_storage_has_one_description():
    with raises(UnfitFileError, "'0'"):
        read(archive({"a": GOOD, "b": Tensor("0", 6, (6,), (1,), storage="DoubleStorage")}, DATA))


def test_many_views_of_one_storage_do_not_add_up_to_gigabytes():
    array = np.zeros(1 << 18, "float32")  # a megabyte
    views = {f"a{n}": of_array("0", array) for n in range(1025)}
    with raises(UnfitFileError, 1024):
        read(archive(views, {"0": array.tobytes()}))


def test_an_endless_program_is_stopped():
    with raises(UnfitFileError, 500000):
        read(archive(Raw(b"N" * 600_000), DATA))


@pytest.mark.parametrize(
    "instructions",
    [
        b"Nr\xff\xff\xff\x7f",
        b"B\xff\xff\xff\x7f",
        b"X\xff\xff\xff\xff",
        b"\x8b\xff\xff\xff\x7f",
        b"\x95" + b"\xff" * 7 + b"\x0f",
    ],
    ids=["memo", "bytes", "text", "number", "frame"],
)
@BOTH
def test_a_claim_of_gigabytes_takes_none(instructions, write):
    content = write(Raw(instructions), DATA)
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, IndexError)):
            read(content)
        assert tracemalloc.get_traced_memory()[1] < 10 << 20
    finally:
        tracemalloc.stop()


# --------------------------------------------------------------------------------------------------------- the archive


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (archive({"a": GOOD}, DATA, compression=zipfile.ZIP_DEFLATED), "compressed"),
        (archive({"a": GOOD}, DATA, more={"constants.pkl": b""}), "TorchScript"),
        (archive({"a": GOOD}, DATA, more={"code/net.py": b""}), "TorchScript"),
        (archive({"a": GOOD}, DATA, more={"byteorder": b"big"}), "byte"),
        (legacy({"a": GOOD}, DATA, machine={"little_endian": False}), "byte"),
        (legacy({"a": GOOD}, DATA, machine={"little_endian": None}), "byte"),
        (legacy({"a": GOOD}, DATA, protocol=1002), "version"),
        (legacy({"a": GOOD}, DATA, magic=7), "pickle"),
        (legacy({"a": GOOD}, DATA, keys=["1"]), "storages"),
        (legacy({"a": GOOD}, DATA, keys=[0]), "storages"),
        (legacy({"a": GOOD}, DATA, keys="0"), "version"),
    ],
)
def test_files_that_are_not_as_pytorch_writes_them(content, word):
    with raises(UnfitFileError, word):
        read(content)


def test_an_archive_without_a_program_or_with_two_is_refused():
    for names in ([], ["a/data.pkl", "b/data.pkl"], ["data.pkl"], ["a/b/data.pkl"]):
        store = io.BytesIO()
        with zipfile.ZipFile(store, "w") as file:
            for name in [*names, "else"]:
                file.writestr(name, program({}))
        with raises(UnfitFileError, "Keras", "PyTorch"):
            read(store.getvalue())


def test_an_archive_of_very_many_files_is_refused(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"PK\x03\x04" + b"PK\x01\x02" * 10_001)
    with raises(ValueError, path, "ResNet", 10000):
        read_weights(path)


def test_a_file_of_more_than_a_gigabyte_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "w.pth"
    with path.open("wb") as file:
        file.write(b"\x80\x02")
        file.truncate((1 << 30) + 1)
    with raises(ValueError, path, "ResNet", 1024):
        read_weights(path)


@BOTH
def test_whatever_bytes_are_changed_there_is_one_kind_of_error(write, tmp_path):
    """A thousand damaged files; a sum in the archive would find most, so its program is damaged before it is packed."""
    generator = random.Random(3)
    good = write({"layer1.0.conv1.weight": GOOD, "b": of_array("1", FLOATS)}, DATA | {"1": DATA["0"]})
    path = tmp_path / "w.pth"
    for _ in range(1000):
        if write is archive and generator.random() < 0.7:
            damaged = bytearray(program({"layer1.0.conv1.weight": GOOD}))
            for _ in range(generator.choice((1, 1, 2, 8))):
                damaged[generator.randrange(len(damaged))] = generator.randrange(256)
            content = archive(Raw(b""), DATA, more={"data.pkl": bytes(damaged)})
        else:
            content = bytearray(good)
            for _ in range(generator.choice((1, 1, 2, 8))):
                content[generator.randrange(len(content))] = generator.randrange(256)
            content = content[: generator.choice((len(content), generator.randrange(len(content))))]
        path.write_bytes(content)
        with raises(ValueError, path, "ResNet"):
            read_weights(path)
