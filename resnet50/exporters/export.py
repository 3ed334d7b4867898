"""A classifier in the files of another runtime, opened there and compared with the original before it gets its name."""

from __future__ import annotations

import importlib.util
import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnet50._io.files import atomic_folder, write_text
from resnet50.data.lazy_images import LazyImages
from resnet50.graph.fold import fold_batch_norm
from resnet50.inference.classifier import Classifier
from resnet50.inference.runtimes import HOW, MANIFEST, check_pair, sha256
from resnet50.weights.normalization import model_normalization

TOLERANCES: Mapping[str, float] = {"fp32": 1e-4, "fp16": 0.01, "bf16": 0.05, "int8": 0.05}
"""For each precision, how far the probabilities of an image may be off, as a mean over the images, 0..1.

Nor may they be off by three quarters of what tells images apart: an export that says the same of all does not pass.
"""

_MOST = 0.75

_STEP = 1 / 256  # of an 8-bit probability; where images differ by less, they are not told apart anyway

_BY_TENSORFLOW = ("saved_model", "litert")

_NEEDED = {
    "saved_model": (),
    "onnx": ("onnx", "onnxruntime"),
    "openvino": ("onnx", "openvino"),
    "litert": ("ai_edge_litert",),
}


@dataclass(frozen=True)
class Comparison:
    """How an export's probabilities differ from those of the classifier that it was made from.

    Attributes:
        images: Number of images that both were given.
        largest: Largest difference of a probability, 0..1.
        mean: Mean over the images of each one's largest difference, 0..1.
        agreement: Share of images that both give the same most probable class, 0..1.
    """

    images: int
    largest: float
    mean: float
    agreement: float


def export(
    classifier: Classifier,
    out: str | os.PathLike[str],
    *,
    format: str,  # noqa: A002 - the word for it
    precision: str = "fp32",
    check: np.ndarray | LazyImages,
    calibration: np.ndarray | LazyImages | None = None,
) -> Comparison:
    """Write a classifier for another runtime, with its batch norm folded, and compare it there with the original.

    The folder holds the runtime's files and ``resnet50.json``: what the ``.keras`` file carries, format, precision,
    size, normalization and the hash of each file. `Classifier.load` opens it. Its graph takes RGB float32 ``(n, height,
    width, 3)``, 0..255, for any ``n``, and gives probabilities, float32 ``(n, classes)``.

    Args:
        classifier: A float32 classifier of Keras layers, as every ``.keras`` file holds one.
        out: The folder, which must not be there yet.
        format: One of `resnet50.inference.runtimes.FORMATS`.
        precision: One of the format's precisions.
        check: Images to compare on, RGB ``(n, height, width, 3)``, 0..255.
        calibration: For int8 some hundred images like those to come, from which the quantizer takes the ranges of the
            activations.

    Returns:
        How far the two differ.

    Raises:
        ValueError: If an argument is not as described, a SavedModel or LiteRT file is wanted on another of Keras'
            backends than TensorFlow, the format's converter fails, or the export differs from the original by more
            than its precision explains (`TOLERANCES`). Nothing is left behind then.
        ImportError: If a package that the format needs is not installed.
    """
    check_pair(format, precision)
    if format in _BY_TENSORFLOW and keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"the format {format} needs Keras' TensorFlow backend, got {keras.backend.backend()}; set "
            "KERAS_BACKEND=tensorflow, or take onnx or openvino."
        )
    odd = [layer for layer in classifier.model.layers if layer.dtype_policy.name != "float32"]
    if odd:
        raise ValueError(
            f"an export is made from a float32 model, got one that computes {odd[0].name!r} as "
            f"{odd[0].dtype_policy.name}."
        )
    if precision == "int8" and (calibration is None or not len(calibration)):
        raise ValueError("int8 needs images to calibrate on, got none.")
    if not len(check):
        raise ValueError("an export is compared with the original on images, got none.")
    needed = (*_NEEDED[format], *(["nncf"] if (format, precision) == ("openvino", "int8") else []))
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"expected {', '.join(missing)} to export to {format}, found none installed; {HOW}.")

    expected = classifier.probabilities(check)
    with atomic_folder(out) as folder:
        folded = fold_batch_norm(classifier.model)
        try:
            with _silenced():
                _WRITERS[format](folded, folder, precision, calibration)
        except OSError:
            raise
        except Exception as error:  # each converter raises kinds of its own
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{out}: cannot be written as {format}, {precision} ({reason}).") from error
        files = {path.relative_to(folder).as_posix(): sha256(path) for path in _files(folder)}
        told = {
            "format": format,
            "precision": precision,
            "image_size": classifier.image_size,
            "normalization": model_normalization(classifier.model),
            "files": files,
        }
        write_text(folder / MANIFEST, json.dumps({**classifier.carried(), "export": told}, indent=2))
        found = _compare(expected, Classifier.load(folder).probabilities(check))
        apart = float(np.abs(expected - expected.mean(axis=0)).max(axis=1).mean())
        limit = min(TOLERANCES[precision], max(_MOST * apart, _STEP))
        if not found.mean <= limit:  # NaN is no number that is small enough
            raise ValueError(
                f"{out}: expected probabilities within {limit:.2g} of the original's, mean over "
                f"{found.images} images, got {found.mean:.2g} off (at most {found.largest:.2g}; the most probable "
                f"class is the same on {found.agreement:.1%}); take another precision."
            )
    return found


def _compare(expected: np.ndarray, found: np.ndarray) -> Comparison:
    differences = np.abs(expected - found).max(axis=1)
    agreement = expected.argmax(axis=1) == found.argmax(axis=1)
    return Comparison(len(expected), float(differences.max()), float(differences.mean()), float(agreement.mean()))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _image(images: np.ndarray | LazyImages, place: int) -> np.ndarray:
    return np.asarray(images[place : place + 1], np.float32)


def _one_by_one(images: np.ndarray | LazyImages) -> Iterator[np.ndarray]:
    return (_image(images, place) for place in range(len(images)))


@contextmanager
def _silenced() -> Iterator[None]:
    """Keep what the converters say from the user: bars of their own, and warnings that are for their authors."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def _in_bfloat16(model: keras.Model) -> keras.Model:
    """Return a copy that computes in bfloat16 from the first convolution to the head, with weights of that type."""
    stay = (keras.layers.InputLayer, keras.layers.Rescaling, keras.layers.BatchNormalization)

    def convert(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.Layer) and not isinstance(layer, stay) and layer.name not in model.output_names:
            config["dtype"] = "bfloat16"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=convert)
    copy.set_weights(model.get_weights())
    return copy


def _frozen(model: keras.Model) -> Any:
    """Return a TensorFlow module that has a model as a function of constants, which compilers can work on as one."""
    import tensorflow as tf

    trained, others = (
        [tf.constant(keras.ops.convert_to_tensor(variable)) for variable in variables]
        for variables in (model.trainable_variables, model.non_trainable_variables)
    )

    def serve(image: tf.Tensor) -> tf.Tensor:
        return model.stateless_call(trained, others, image, training=False)[0]

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=[tf.TensorSpec(model.input_shape, tf.float32, name="image")])
    return module


def _write_saved_model(model: keras.Model, folder: Path, precision: str, calibration: Any) -> None:
    import tensorflow as tf

    module = _frozen(_in_bfloat16(model) if precision == "bf16" else model)
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})


def _write_onnx(model: keras.Model, folder: Path, precision: str, calibration: Any) -> None:
    import onnx

    from resnet50.graph.onnx_graph import INPUT, onnx_model

    path, full = folder / "model.onnx", onnx_model(model)
    if precision == "fp32":
        onnx.save(full, path)
    elif precision == "fp16":
        from onnxruntime.transformers.float16 import convert_float_to_float16

        onnx.save(convert_float_to_float16(full, keep_io_types=True), path)
    else:
        from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

        class AllImages(CalibrationDataReader):
            def __init__(self) -> None:
                self._images = _one_by_one(calibration)

            def get_next(self) -> dict[str, np.ndarray] | None:
                image = next(self._images, None)
                return None if image is None else {INPUT: image}

        quantize_static(
            full,
            path,
            AllImages(),
            op_types_to_quantize=["Conv", "Add", "MaxPool"],
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )


def _write_openvino(model: keras.Model, folder: Path, precision: str, calibration: Any) -> None:
    import onnx
    import openvino

    from resnet50.graph.onnx_graph import onnx_model

    with tempfile.TemporaryDirectory() as elsewhere:
        onnx.save(onnx_model(model), Path(elsewhere, "model.onnx"))
        network = openvino.convert_model(Path(elsewhere, "model.onnx"))
    if precision == "int8":
        import nncf

        network = nncf.quantize(
            network,
            nncf.Dataset(range(len(calibration)), partial(_image, calibration)),
            preset=nncf.QuantizationPreset.MIXED,  # zero need not lie in the middle of what activations are
            subset_size=len(calibration),
        )
    openvino.save_model(network, folder / "model.xml", compress_to_fp16=precision == "fp16")


def _write_litert(model: keras.Model, folder: Path, precision: str, calibration: Any) -> None:
    import tensorflow as tf

    module = _frozen(model)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([module.serve.get_concrete_function()], module)
    if precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    elif precision == "int8":
        converter.representative_dataset = lambda: ([image] for image in _one_by_one(calibration))
    (folder / "model.tflite").write_bytes(converter.convert())


_WRITERS: Mapping[str, Callable[[keras.Model, Path, str, Any], None]] = {
    "saved_model": _write_saved_model,
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "litert": _write_litert,
}
