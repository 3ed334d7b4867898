"""Write a page that classifies in the browser: an ONNX file that fits images itself, and the page around it.

`resnet50.exporters.export.export` puts ONNX Runtime Web beside them.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import keras
import numpy as np

from resnet50.data.lazy_images import LazyImages
from resnet50.exporters import onnx
from resnet50.exporters.contract import Contract

add_texts = onnx.add_texts


def write(
    model: keras.Model, folder: Path, precision: str, calibration: np.ndarray | LazyImages, contract: Contract
) -> None:
    """Write the network, its batch norm folded, and the page.

    Args:
        model: Functional float32 model from RGB ``(n, height, width, 3)``, 0..255, to probabilities.
        folder: A folder for the files, without any of their names.
        precision: ``"fp32"``, ``"fp16"`` or ``"int8"``.
        calibration: For int8, images from which the quantizer takes the ranges of the activations.
        contract: What the file says about its input and output.
    """
    onnx.write(model, folder, precision, calibration, contract)
    for page in files("resnet50.exporters").joinpath("page").iterdir():
        (folder / page.name).write_bytes(page.read_bytes())
