"""Metadata inside a LiteRT file: what its image must be and what its outputs are called, as phone libraries read it.

An entry ``TFLITE_METADATA`` of the file is a flatbuffer of its own; it names files in a zip archive at the file's end.
The tables are written field by field here, since no maintained package has their schema. That of the file itself comes
with TensorFlow.

Source: github.com/tensorflow/tflite-support, tensorflow_lite_support/metadata/metadata_schema.fbs.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
from tensorflow.lite.python import schema_py_generated as schema

LABELS = "labels.txt"
"""Name of the file with the class names in the archive."""

_AXIS_LABELS, _IMAGE, _RGB, _NORMALIZATION = 2, 2, 1, 1  # of the schema's enumerations and unions


@dataclass(frozen=True)
class _Table:
    """A table of the schema: the values of its fields by their position."""

    fields: Mapping[int, Any]


@dataclass(frozen=True)
class _Byte:
    value: int


@dataclass(frozen=True)
class _Unsigned:
    value: int


def with_metadata(
    content: bytes, *, name: str, description: str, labels: str, size: Sequence[int], features: bool = False
) -> bytes:
    """Add metadata to a LiteRT file of one input and one output, or two, and bring its outputs into their order.

    The converter lists outputs in any order. Programs that ask for the first one, and the metadata, mean that of the
    signature: the probabilities.

    Args:
        content: The file.
        name: Name of the network.
        description: What the image must be.
        labels: A class name a line.
        size: Height and width of the image in pixels.
        features: Whether the second output is the features of the image.

    Returns:
        The file with its metadata.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    ((signature,), (subgraph,)) = model.signatureDefs, model.subgraphs
    signature.outputs.sort(key=lambda output: output.name)
    subgraph.outputs = [output.tensorIndex for output in signature.outputs]
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = list(_flatbuffer(_model_metadata(name, description, size, features), b"M001"))
    model.buffers.append(buffer)
    entry.name, entry.buffer = "TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    whole = io.BytesIO(bytes(builder.Output()))
    with zipfile.ZipFile(whole, "a") as archive:
        archive.writestr(zipfile.ZipInfo(LABELS), labels)  # without a date: equal networks give equal files
    return whole.getvalue()


def _model_metadata(name: str, description: str, size: Sequence[int], features: bool) -> _Table:
    height, width = size
    image = _Table({0: _Byte(_RGB), 1: _Table({0: _Unsigned(width), 1: _Unsigned(height)})})
    as_it_is = _Table({0: [0.0], 1: [1.0]})  # mean and deviation: the network normalizes
    tensors: dict[str, dict[int, Any]] = {
        "image": {3: _Table({0: _Byte(_IMAGE), 1: image}), 4: [_Table({0: _Byte(_NORMALIZATION), 1: as_it_is})]},
        "probabilities": {6: [_Table({0: LABELS, 2: _Byte(_AXIS_LABELS)})]},
    }
    entering, leaving = (_Table({0: tensor, **fields}) for tensor, fields in tensors.items())
    outputs = [leaving, *([_Table({0: "features"})] if features else [])]
    return _Table({0: name, 1: description, 3: [_Table({2: [entering], 3: outputs})], 7: "1.0.0"})


def _flatbuffer(table: _Table, identifier: bytes) -> bytes:
    builder = flatbuffers.Builder(0)
    builder.Finish(_written(builder, table), identifier)
    return bytes(builder.Output())


def _written(builder: flatbuffers.Builder, value: Any) -> int:
    """Write a text, a list of numbers or tables, or a table; return where it is."""
    if isinstance(value, str):
        return builder.CreateString(value)
    if isinstance(value, list):
        items = [item if isinstance(item, float) else _written(builder, item) for item in value]
        builder.StartVector(4, len(items), 4)
        for item in reversed(items):
            (builder.PrependFloat32 if isinstance(item, float) else builder.PrependUOffsetTRelative)(item)
        return builder.EndVector()
    places = {
        slot: _written(builder, field)
        for slot, field in value.fields.items()
        if not isinstance(field, _Byte | _Unsigned)
    }
    builder.StartObject(max(value.fields) + 1)
    for slot, field in value.fields.items():
        if isinstance(field, _Byte):
            builder.PrependByteSlot(slot, field.value, 0)
        elif isinstance(field, _Unsigned):
            builder.PrependUint32Slot(slot, field.value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, places[slot], 0)
    return builder.EndObject()
