"""Networks in the files of other runtimes: what describes such a folder, opening it, and predicting.

Nothing here imports Keras, and TensorFlow only where a SavedModel is opened.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from resnet50._io.workers import usable_cores

MANIFEST = "resnet50.json"
"""The file of an exported classifier that describes it; its other files are those of its runtime."""

Run = Callable[[np.ndarray], np.ndarray]
"""From RGB float32 ``(n, height, width, 3)``, 0..255, for any ``n``, to probabilities, float32 ``(n, classes)``."""


class Network:
    """A network that another runtime than Keras computes, with the few things of a Keras model that a prediction needs.

    Attributes:
        input_shape: ``(None, height, width, 3)``.
        output_shape: ``(None, classes)``.
    """

    def __init__(self, run: Run, given: Sequence[Any], found: Sequence[Any]) -> None:
        self._run = run
        self.input_shape = (None, *given[1:])
        self.output_shape = (None, *found[1:])

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of images.

        Args:
            images: RGB ``(n, height, width, 3)``, 0..255, uint8 or float.

        Returns:
            float32 ``(n, classes)``.
        """
        return self._run(np.ascontiguousarray(images, np.float32))

    def __getattr__(self, name: str) -> NoReturn:
        raise NoGraphError(
            f"an exported network predicts, and has no {name!r} to look into; name the .keras file that it was made "
            "from."
        )


class NoGraphError(ValueError, AttributeError):
    """Refuses what needs a Keras model where there is the network of an export."""


def is_export(path: Path) -> bool:
    """Tell whether there is an exported classifier."""
    return (path / MANIFEST).is_file()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what describes an exported classifier, and check that its files are those that were written.

    Args:
        folder: The folder.

    Returns:
        What a classifier carries and, as ``"export"``, what is exported: format, precision, side, files.

    Raises:
        ValueError: If it is no such description, or a file is missing or another one.
    """
    path = folder / MANIFEST
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        check_pair(told["export"]["format"], told["export"]["precision"])
        files = dict(told["export"]["files"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path}: expected the description of an exported classifier, found other text "
            f"({' '.join(str(error).split())})."
        ) from error
    there = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    for name, digest in {FORMATS[told["export"]["format"]].file: None, **files}.items():
        if name not in there or sha256(there[name]) != digest:  # a name with ".." in it is not there
            found = "another one" if name in there else "none"
            raise ValueError(f"{folder / name}: expected the file that the export wrote, found {found}; export again.")
    return told


def open_network(folder: Path, name: str, precision: str) -> Network:
    """Open the files of an exported classifier in their own runtime.

    Args:
        folder: The folder.
        name: Its format, one of `FORMATS`.
        precision: Its precision.

    Raises:
        ImportError: If the runtime is not installed.
        ValueError: If it cannot open the files.
    """
    runtime = FORMATS[name]
    try:
        importlib.import_module(runtime.package)
    except ImportError as error:
        raise ImportError(f"{folder}: expected {runtime.package} to open it, which is not installed; {HOW}.") from error
    try:
        return runtime.open(folder, precision)
    except Exception as error:  # each runtime raises kinds of its own
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder}: {runtime.package} cannot open it ({reason}).") from error


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _onnx(folder: Path, precision: str) -> Network:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 3  # errors; it warns of a machine without a GPU
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    (given,), (found,) = session.get_inputs(), session.get_outputs()
    return Network(lambda images: session.run(None, {given.name: images})[0], given.shape, found.shape)


def _openvino(folder: Path, precision: str) -> Network:
    import openvino

    options = {
        # left alone it computes in bfloat16 wherever the processor can
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": usable_cores(),
        "PERFORMANCE_HINT": "LATENCY",  # all threads on one batch
    }
    compiled = openvino.Core().compile_model(folder / "model.xml", "CPU", options)
    shapes = (
        [None, *(size.get_length() for size in list(one.partial_shape)[1:])]
        for one in (*compiled.inputs, *compiled.outputs)
    )
    return Network(lambda images: compiled(images, share_inputs=True)[0], *shapes)


def _litert(folder: Path, precision: str) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / "model.tflite"), num_threads=usable_cores())
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(images: np.ndarray) -> np.ndarray:
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(given["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], images)
        interpreter.invoke()
        return interpreter.get_tensor(found["index"])

    return Network(run, given["shape"].tolist(), found["shape"].tolist())


def _saved_model(folder: Path, precision: str) -> Network:
    import tensorflow as tf

    serve = tf.saved_model.load(folder).signatures["serving_default"]
    ((name, given),) = serve.structured_input_signature[1].items()
    ((answer, found),) = serve.structured_outputs.items()
    return Network(lambda images: serve(**{name: tf.constant(images)})[answer].numpy(), given.shape, found.shape)


@dataclass(frozen=True)
class Runtime:
    """What computes the networks of a format.

    Attributes:
        package: Name of the module that must be installed.
        file: Name of the file that it opens.
        precisions: What there can be.
        open: From the folder of an export and its precision to its network.
    """

    package: str
    file: str
    precisions: tuple[str, ...]
    open: Callable[[Path, str], Network]


FORMATS: Mapping[str, Runtime] = {
    "saved_model": Runtime("tensorflow", "saved_model.pb", ("fp32", "bf16"), _saved_model),
    "onnx": Runtime("onnxruntime", "model.onnx", ("fp32", "fp16", "int8"), _onnx),
    "openvino": Runtime("openvino", "model.xml", ("fp32", "bf16", "fp16", "int8"), _openvino),
    "litert": Runtime("ai_edge_litert", "model.tflite", ("fp32", "fp16", "int8"), _litert),
}
"""The formats of exports."""

HOW = "pip install 'resnet50[export]'"
"""How to get what exports need."""


def check_pair(name: str, precision: str) -> None:
    """Refuse a format and a precision that do not go together.

    Raises:
        ValueError: If there is no such format, or it does not have that precision.
    """
    if name not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {name!r}.")
    if precision not in FORMATS[name].precisions:
        raise ValueError(
            f"the format {name} has the precisions {', '.join(FORMATS[name].precisions)}, got {precision!r}."
        )
