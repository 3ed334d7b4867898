"""Open exports in their own runtimes, and predict there.

Nothing here imports Keras; TensorFlow is imported only to open a SavedModel.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.limits import read_text
from resnet50._io.quiet import import_quietly, quiet
from resnet50._io.text import listed, printable, short
from resnet50._io.workers import usable_cores
from resnet50.graph.geometry import FeatureMap
from resnet50.inference.locate import MANIFEST

_HARMLESS = (MANIFEST, ".DS_Store", "Thumbs.db", "desktop.ini")  # the description, and what file managers add

CHECKSUM = "sha256"
"""Key of the manifest's own SHA-256, in its ``export``."""

Compute = Callable[[np.ndarray], np.ndarray]
"""From RGB float32 ``(n, height, width, 3)``, 0..255, for any ``n``, to an output, float32 ``(n, ...)``."""


PROBABILITIES, FEATURES = "probabilities", "features"
"""Names of the outputs of a network that predicting uses."""


class Network:
    """A network in a runtime other than Keras, with the attributes of a Keras model that predicting uses.

    Args:
        compute: The forward pass.
        input_shape: Shape of the input with its batch dimension, ``(n, height, width, 3)``.
        output_shape: Shape of the output with its batch dimension, ``(n, classes)`` or that of another output.

    Attributes:
        input_shape: ``(None, height, width, 3)``.
        output_shape: ``(None, ...)``.
        precision: Precision of the computation, such as ``"fp32"``, ``"bf16"`` or ``"int8"``.
        distance: Mean over some images of the largest difference of a probability, 0..1, from the answer in float32;
            None where it is not known.
        outputs: Networks for what else it computes: ``features``, the input of the last dense layer, and
            ``class_activation_maps``. A network has those that its runtime gives.
        with_features: A network for probabilities and features in one forward pass, float32 ``(n, classes + d)``; None
            without features.
        feature_map: The last feature map, whose ``class_activation_maps`` it gives; None if it does not.
        source: The ``.keras`` file that it was made from; None for an export.
        sha256: That of the file.
    """

    def __init__(self, compute: Compute, input_shape: Sequence[Any], output_shape: Sequence[Any]) -> None:
        self._compute = compute
        self.input_shape = (None, *input_shape[1:])
        self.output_shape = (None, *output_shape[1:])
        self.precision = "fp32"
        self.distance: float | None = None
        self.outputs: dict[str, Network] = {}
        self.with_features: Network | None = None
        self.feature_map: FeatureMap | None = None
        self.source: Path | None = None
        self.sha256 = ""

    def predict_on_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the output for images.

        Args:
            images: RGB ``(n, height, width, 3)``, 0..255, uint8 or float.

        Returns:
            float32 ``(n, ...)``.
        """
        return self._compute(np.ascontiguousarray(images, np.float32))


def joined(networks: Mapping[str, Network], compute: Callable[[np.ndarray], Sequence[np.ndarray]]) -> Network | None:
    """Return the network for probabilities and features in one forward pass; None where a network gives no features.

    Args:
        networks: Networks for the outputs, by name.
        compute: From images to the probabilities and the features.
    """
    if FEATURES not in networks:
        return None
    probabilities, features = networks[PROBABILITIES], networks[FEATURES]
    width = probabilities.output_shape[-1] + features.output_shape[-1]
    return Network(lambda images: np.concatenate(compute(images), axis=1), probabilities.input_shape, (None, width))


class NoGraphError(ValueError):
    """An operation that works on the layers of a Keras model received an export."""


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of an export, and check it and the files against their checksums.

    Checksums find accidental changes. They are no protection: whoever changes a file can change its checksum, too.
    Manifests of earlier versions have no checksum of their own and are not checked.

    Args:
        folder: The folder.

    Returns:
        The metadata of a classifier and, as ``"export"``, format, precision, image size, how an image becomes the
        input, names of the tensors, and files.

    Raises:
        ValueError: If there is no manifest, it or a file was changed, a file is missing, or there are others.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(read_text(path))
        check_format(manifest["export"]["format"], manifest["export"]["precision"])
        hashes = dict(manifest["export"]["files"])
        sides = manifest["export"]["image_size"]
        if not (isinstance(sides, list) and len(sides) == 2 and all(type(side) is int and side > 0 for side in sides)):
            raise ValueError(f"an image_size of {short(sides)}")
        actual = manifest_sha256(manifest)
        changed = manifest["export"].get(CHECKSUM, actual) != actual
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: expected the description of an export, got other text ({reason}).") from error
    if changed:
        raise ValueError(f"{path}: expected the manifest that the export wrote, got a changed one; export again.")
    entries = [entry for entry in folder.rglob("*") if not entry.is_dir() or entry.is_symlink()]
    files = {entry.relative_to(folder).as_posix(): entry for entry in entries}
    for name, digest in {FORMATS[manifest["export"]["format"]].file: None, **hashes}.items():
        if (
            name not in files or not files[name].is_file() or sha256(files[name]) != digest
        ):  # a name with ".." in it is not among the files
            got = "another file" if name in files else "nothing there"
            raise ValueError(f"{folder / name}: expected the file that the export wrote, got {got}; export again.")
    strangers = sorted(name for name, file in files.items() if name not in hashes and file.name not in _HARMLESS)
    if strangers:  # an ONNX file can name any file beside it as the place of its weights
        raise ValueError(
            f"{folder}: expected the files of an export and no others, since its runtime may read them, got "
            f"{listed([printable(name) for name in strangers])}; move them out."
        )
    return manifest


def manifest_sha256(manifest: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest without its own `CHECKSUM`; key order and white space do not matter."""
    export = {name: value for name, value in manifest["export"].items() if name != CHECKSUM}
    return hashlib.sha256(json.dumps({**manifest, "export": export}, sort_keys=True).encode("ascii")).hexdigest()


def open_network(folder: Path, about: Mapping[str, Any]) -> Network:
    """Open the files of an export in their own runtime.

    Args:
        folder: The folder.
        about: What `read_manifest` returned as its ``"export"``.

    Raises:
        ImportError: If the runtime is not installed.
        ValueError: If it cannot open the files.
    """
    runtime = FORMATS[about["format"]]
    try:
        import_quietly(runtime.package)
    except ImportError as error:
        raise ImportError(f"{folder}: expected {runtime.package} to open it, got none installed; {INSTALL}.") from error
    try:
        network = runtime.open(folder, about)
    except Exception as error:  # each runtime raises classes of its own
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{folder}: {runtime.package} cannot open it ({reason}).") from error
    network.precision = about["precision"]
    return network


def openvino_networks(model: Path | bytes, precision: str) -> dict[str, Network]:
    """Compile a model by OpenVINO for this processor.

    Args:
        model: A file that OpenVINO reads, or the bytes of an ONNX file; for images of one size.
        precision: ``"bf16"`` to compute in bfloat16; others compute in what the model says.

    Returns:
        A network for each output, by each name that the output has.
    """
    import openvino

    core = openvino.Core()
    options = {
        # by default it computes in bfloat16 wherever the processor can
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": usable_cores(),
        "PERFORMANCE_HINT": "LATENCY",  # all threads on one batch
    }
    compiled = core.compile_model(core.read_model(model), "CPU", options)

    def shape(port: Any) -> list[int | None]:
        return [None, *(size.get_length() for size in list(port.partial_shape)[1:])]

    def network(index: int, port: Any) -> Network:
        return Network(lambda images: compiled(images, share_inputs=True)[index], shape(compiled.input()), shape(port))

    ports = {name: index for index, port in enumerate(compiled.outputs) for name in port.get_names()}
    networks = {name: network(index, compiled.outputs[index]) for name, index in ports.items()}

    def both(images: np.ndarray) -> list[np.ndarray]:
        rows = compiled(images, share_inputs=True)
        return [rows[ports[name]] for name in (PROBABILITIES, FEATURES)]

    if PROBABILITIES in networks:
        networks[PROBABILITIES].with_features = joined(networks, both)
    return networks


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _onnx(folder: Path, about: Mapping[str, Any]) -> Network:
    path = folder / "model.onnx"
    if about.get("image", {}).get("size") == "any":  # earlier exports have no such key
        import onnx

        from resnet50.graph.fit_graph import without_fit

        # images are fitted here already, and fitting them twice would crop twice
        model = without_fit(onnx.load(path), about["image_size"]).SerializeToString()
    else:
        model = path
    return open_graph(model)


def open_graph(graph: Path | bytes) -> Network:
    """Return the network of an ONNX graph of `resnet50.graph.onnx_graph.onnx_model`, computed by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    options.log_severity_level = 4  # none: errors are raised, and a machine without a GPU is no reason to warn
    return _answering(
        onnxruntime_networks(onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"]))
    )


def onnxruntime_networks(session: Any) -> dict[str, Network]:
    """Return a network for each output of a session of ONNX Runtime, by its name."""
    (image,) = session.get_inputs()

    def network(output: Any) -> Network:
        return Network(lambda images: session.run([output.name], {image.name: images})[0], image.shape, output.shape)

    networks = {output.name: network(output) for output in session.get_outputs()}
    networks[PROBABILITIES].with_features = joined(
        networks, lambda images: session.run([PROBABILITIES, FEATURES], {image.name: images})
    )
    return networks


def _answering(networks: dict[str, Network]) -> Network:
    """Return the network for probabilities, which has the others."""
    network = networks.pop(PROBABILITIES)
    network.outputs = networks
    return network


def _openvino(folder: Path, about: Mapping[str, Any]) -> Network:
    return _answering(openvino_networks(folder / "model.xml", about["precision"]))


def _litert(folder: Path, about: Mapping[str, Any]) -> Network:
    from ai_edge_litert.interpreter import Interpreter

    with quiet():  # it prints which kernels it uses
        interpreter = Interpreter(str(folder / "model.tflite"), num_threads=usable_cores())
        interpreter.allocate_tensors()
    (image,) = interpreter.get_input_details()
    details = interpreter.get_signature_runner().get_output_details()
    outputs = {name: details[tensor] for name, tensor in _outputs(about).items()}

    def compute(images: np.ndarray) -> list[np.ndarray]:
        if image["dtype"] == np.uint8:
            images = np.rint(images).astype(np.uint8)
        if tuple(interpreter.get_input_details()[0]["shape"]) != images.shape:
            interpreter.resize_tensor_input(image["index"], images.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(image["index"], images)
        interpreter.invoke()
        return [_dequantized(interpreter.get_tensor(output["index"]), output) for output in outputs.values()]

    return _from_all(compute, image["shape"].tolist(), {name: each["shape"].tolist() for name, each in outputs.items()})


def _dequantized(values: np.ndarray, output: Mapping[str, Any]) -> np.ndarray:
    if output["dtype"] != np.uint8:
        return np.array(values, np.float32)
    scale, zero = output["quantization"]
    return np.float32(scale) * (values.astype(np.float32) - zero)


def _saved_model(folder: Path, about: Mapping[str, Any]) -> Network:
    import tensorflow as tf

    with quiet():  # it prints that there is no GPU
        serve = tf.saved_model.load(folder).signatures["serving_default"]
    ((input_name, image),) = serve.structured_input_signature[1].items()
    names = _outputs(about)

    def compute(images: np.ndarray) -> list[np.ndarray]:
        rows = serve(**{input_name: tf.constant(images)})
        return [rows[tensor].numpy() for tensor in names.values()]

    shapes = {name: serve.structured_outputs[tensor].shape for name, tensor in names.items()}
    return _from_all(compute, image.shape, shapes)


def _outputs(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the tensors of probabilities and, where an export gives them, features."""
    runtime = FORMATS[about["format"]]
    known = {PROBABILITIES: runtime.tensors[1]}
    return {**known, FEATURES: runtime.features} if FEATURES in about.get("tensors", {}) else known


def _from_all(
    compute: Callable[[np.ndarray], list[np.ndarray]], image: Sequence[Any], shapes: Mapping[str, Sequence[Any]]
) -> Network:
    """Return the network for probabilities of a runtime that computes all outputs at once."""

    def network(index: int, shape: Sequence[Any]) -> Network:
        return Network(lambda images: compute(images)[index], image, shape)

    networks = {name: network(index, shape) for index, (name, shape) in enumerate(shapes.items())}
    networks[PROBABILITIES].with_features = joined(networks, compute)
    return _answering(networks)


@dataclass(frozen=True)
class Runtime:
    """The runtime of a format.

    Attributes:
        package: Name of the Python module that must be installed.
        file: Name of the file that it opens.
        precisions: Precisions that an export can have.
        tensors: Names of input and output.
        open: Opens the folder of an export by its description.
        features: Name of the output that gives features, where there are any.
    """

    package: str
    file: str
    precisions: tuple[str, ...]
    tensors: tuple[str, str]
    open: Callable[[Path, Mapping[str, Any]], Network]
    features: str = FEATURES


FORMATS: Mapping[str, Runtime] = {
    "saved_model": Runtime(
        "tensorflow", "saved_model.pb", ("fp32", "bf16"), ("image", "output_0"), _saved_model, "output_1"
    ),
    "onnx": Runtime("onnxruntime", "model.onnx", ("fp32", "fp16", "int8"), ("image", "probabilities"), _onnx),
    "web": Runtime("onnxruntime", "model.onnx", ("int8", "fp32", "fp16"), ("image", "probabilities"), _onnx),
    "openvino": Runtime(
        "openvino", "model.xml", ("fp32", "bf16", "fp16", "int8"), ("image", "probabilities"), _openvino
    ),
    "litert": Runtime(
        "ai_edge_litert", "model.tflite", ("fp32", "fp16", "int8", "uint8"), ("image", "output_0"), _litert, "output_1"
    ),
}
"""The formats of exports."""

INSTALL = "pip install 'resnet50[export]'"
"""Command that installs the packages that exports need."""


def check_format(name: str, precision: str | None) -> str:
    """Refuse a format that does not exist, and a precision that it does not have; return the precision.

    None stands for the first one of the format.

    Raises:
        ValueError: If there is no such format, or it does not have that precision.
    """
    if name not in FORMATS:
        raise ValueError(f"expected format to be one of {', '.join(FORMATS)}, got {name!r}.")
    precisions = FORMATS[name].precisions
    if precision is not None and precision not in precisions:
        raise ValueError(
            f"expected precision to be one of {', '.join(precisions)} for the format {name}, got {precision!r}."
        )
    return precision or precisions[0]
