"""Write ``model.xml`` and ``model.bin``, for OpenVINO. This module imports ``onnx``, OpenVINO and, for int8, NNCF."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import keras
import numpy as np
import onnx
import openvino

from resnet50.data.lazy_images import LazyImages
from resnet50.exporters.contract import Contract
from resnet50.exporters.images import batch_of_one
from resnet50.exporters.onnx import answering_graph


def write(
    model: keras.Model, folder: Path, precision: str, calibration: np.ndarray | LazyImages, contract: Contract
) -> None:
    """Write a network, its batch norm folded.

    Args:
        model: Functional float32 model from RGB ``(n, height, width, 3)``, 0..255, to probabilities.
        folder: An empty folder.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"`` or ``"int8"``. The file for bf16 is that for fp32, since OpenVINO
            converts when it opens it.
        calibration: For int8, images from which the quantizer takes the ranges of the activations.
        contract: What the file says about its input and output.
    """
    # Windows removes no file that OpenVINO still has open
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        onnx.save(answering_graph(model, contract), Path(temporary, "model.onnx"))
        network = openvino.convert_model(Path(temporary, "model.onnx"))
    if precision == "int8":
        import nncf

        network = nncf.quantize(
            network,
            nncf.Dataset(range(len(calibration)), partial(batch_of_one, calibration)),
            preset=nncf.QuantizationPreset.MIXED,  # activations need not lie symmetrically about zero
            subset_size=len(calibration),
        )
    _save(network, folder, contract.texts(), compress_to_fp16=precision == "fp16")


def add_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Replace the texts in the metadata of a file."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
        _save(openvino.Core().read_model(folder / "model.xml"), Path(temporary), texts)
        for path in Path(temporary).iterdir():
            path.replace(folder / path.name)


def _save(network: openvino.Model, folder: Path, texts: Mapping[str, str], *, compress_to_fp16: bool = False) -> None:
    for name, text in texts.items():
        network.set_rt_info(text, ["resnet50", name])
    openvino.save_model(network, folder / "model.xml", compress_to_fp16=compress_to_fp16)
