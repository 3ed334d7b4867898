"""The Open Inference Protocol, version 2: requests and answers as tensors in JSON.

Source: https://github.com/kserve/open-inference-protocol. The tensors have the names that they have in an export:
``image`` comes in, ``probabilities`` go out.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NoReturn

import numpy as np

from resnet50.serving.refusals import RequestError
from resnet50.serving.served_model import Image, ServedModel

INPUT, OUTPUT = "image", "probabilities"

_ID_LENGTH = 256
_DATATYPES = ("BYTES", "UINT8", "FP32")


@dataclass(frozen=True)
class InferenceRequest:
    """A request that was checked.

    Attributes:
        images: What to classify.
        id: The client's name for the request; None if it has none.
    """

    images: Sequence[Image]
    id: str | None


def model_metadata(model: ServedModel) -> dict[str, Any]:
    """Return the description of the model; its class names, for which the protocol has no place, are a parameter.

    The protocol has one datatype for an input. That of an export is named; ``UINT8`` and ``BYTES`` are taken too.
    """
    return {
        "name": model.name,
        "platform": "onnx_onnxv1",
        "inputs": [{"name": INPUT, "datatype": "FP32", "shape": [-1, *model.image_size, 3]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(model.class_names)]}],
        "parameters": {"class_names": list(model.class_names)},
    }


def read_request(body: bytes, model: ServedModel, *, most_images: int) -> InferenceRequest:
    """Read and check a request. What it declares is compared with what it holds before anything is allocated.

    Args:
        body: JSON.
        model: The model that it is for.
        most_images: Most images in one request.

    Returns:
        The images: pixels of the model's size, or the bytes of encoded images.

    Raises:
        RequestError: With status 400, if it is not a request that the model can answer.
    """
    request = _parse(body)
    name = request.get("id")
    if name is not None and not (isinstance(name, str) and len(name) <= _ID_LENGTH):
        _refuse(f"expected id to be a string of at most {_ID_LENGTH} characters")
    outputs = request.get("outputs", [])
    if not isinstance(outputs, list) or any(_get(output, "name") != OUTPUT for output in outputs):
        _refuse(f"expected outputs to be left out or to name {OUTPUT!r} alone")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1 or _get(inputs[0], "name") != INPUT:
        _refuse(f"expected inputs to be a list of one tensor with the name {INPUT!r}")
    return InferenceRequest(_images(inputs[0], model, most_images), name)


def respond(model: ServedModel, request: InferenceRequest, rows: Sequence[np.ndarray]) -> dict[str, Any]:
    """Return the answer to a request, ready for JSON: a row of probabilities for each image."""
    output = {
        "name": OUTPUT,
        "datatype": "FP32",
        "shape": [len(rows), len(model.class_names)],
        "data": np.concatenate(rows).tolist(),
    }
    return {"model_name": model.name, **({"id": request.id} if request.id is not None else {}), "outputs": [output]}


def _parse(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body, parse_constant=_refuse_constant)
    except RequestError:
        raise
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "an encoding, a nesting or a number that is not read")  # quotes nothing
        raise RequestError(400, f"expected JSON, got something else ({reason}).") from None
    if not isinstance(request, dict):
        _refuse("expected a JSON object")
    return request


def _images(tensor: dict[str, Any], model: ServedModel, most: int) -> list[Image]:
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if datatype not in _DATATYPES:
        _refuse(f"expected the datatype to be one of {', '.join(_DATATYPES)}")
    if not isinstance(shape, list) or not shape or any(type(size) is not int for size in shape):
        _refuse("expected shape to be a list of whole numbers")
    if not 1 <= shape[0] <= most:
        _refuse(f"expected 1 to {most} images, which is the first number of shape")
    height, width = model.image_size
    if datatype == "BYTES":
        if shape[1:] not in ([], [1]):
            _refuse("expected the shape [n] or [n, 1] for BYTES")
        return _decode(_flatten(tensor.get("data"), shape))
    if shape[1:] != [height, width, 3]:
        _refuse(f"expected the shape [n, {height}, {width}, 3] for {datatype}")
    return list(_pixels(_flatten(tensor.get("data"), shape), datatype).reshape(shape))


def _flatten(data: Any, shape: Sequence[int]) -> list[Any]:
    """Return the elements of a tensor, whose data are one list, or lists in lists of the shape.

    No array is made here: NumPy would give each element the size of the longest string.
    """
    if not isinstance(data, list):
        _refuse("expected data to be a list")
    if set(map(type, data)) == {list}:
        nested = len(data) == shape[0]
        for size in shape[1:]:
            nested = nested and set(map(type, data)) == {list} and set(map(len, data)) == {size}
            data = list(chain.from_iterable(data)) if nested else []
        if not nested:
            _refuse("expected lists in lists to have the sizes in shape")
    if len(data) != math.prod(shape):
        _refuse(f"expected {math.prod(shape):,} elements, the product of shape, got {len(data):,}")
    return data


def _decode(elements: Sequence[Any]) -> list[Image]:
    try:
        return [base64.b64decode(element, validate=True) for element in elements]
    except (TypeError, ValueError):
        _refuse("expected each element of BYTES to be a string, an encoded image in base64")


def _pixels(elements: Sequence[Any], datatype: str) -> np.ndarray:
    if not set(map(type, elements)) <= {int, float}:
        _refuse(f"expected each element of {datatype} to be a number")
    try:
        pixels = np.fromiter(elements, np.float64, len(elements))
    except OverflowError:
        _refuse("expected pixels from 0 to 255")
    if not (pixels.min() >= 0 and pixels.max() <= 255):
        _refuse("expected pixels from 0 to 255")
    if datatype == "UINT8":
        if (pixels % 1).any():
            _refuse("expected whole numbers for UINT8")
        return pixels.astype(np.uint8)
    if 0 < pixels.max() <= 1:  # it would pass for an image that is all black
        _refuse("expected pixels from 0 to 255, got none above 1; multiply them by 255")
    return pixels.astype(np.float32)


def _get(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, dict) else None


def _refuse_constant(_: str) -> NoReturn:
    _refuse("expected finite numbers, got NaN or infinity")


def _refuse(message: str) -> NoReturn:
    raise RequestError(400, f"{message}.")
