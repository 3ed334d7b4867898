"""A ``.keras`` file that answers in a lower precision: bf16 by OpenVINO, int8 by ONNX Runtime."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.processor import processor
from resnet50._io.text import plural
from resnet50.data.lazy_images import LazyImages
from resnet50.inference.calibration import Place, calibration_images
from resnet50.inference.compiled import open_calibrated, open_compiled
from resnet50.inference.locate import Located
from resnet50.inference.runtimes import INSTALL, Network

_log = logging.getLogger(__name__)


def open_in_precision(
    located: Located,
    precision: str,
    *,
    calibration: Place | np.ndarray | LazyImages | None = None,
    progress: Progress | None = None,
) -> Network:
    """Open a ``.keras`` file that `resnet50.weights.keras_files.check_archive` has checked.

    Args:
        located: The file, and its run if it has one.
        precision: ``"bf16"`` or ``"int8"``.
        calibration: For int8, images of the network's size to calibrate on, or where some are; None for those of the
            last call with this file or, if there was none, some of the training images.
        progress: Called while images are decoded, with the number that is done and their number.

    Raises:
        FileNotFoundError: If there are no images at the place.
        ImportError: If OpenVINO is not installed, for bf16.
        ValueError: If the processor does not compute in bf16, the images are not known or do not fit, the file is
            damaged, or it has a layer that is not converted to ONNX.
    """
    if precision == "bf16":
        _check_bf16()
        return open_compiled(located.model, precision="bf16")
    if calibration is None and (network := open_calibrated(located.model)) is not None:
        return network
    open_compiled(located.model)  # in float32, where damage is named; the quantizer raises errors of many classes
    if not isinstance(calibration, np.ndarray | LazyImages):
        _log.info("reading images to calibrate on")
        calibration = calibration_images(located, calibration, progress=progress)
    _log.info("calibrating on %s", plural(len(calibration), "image"))
    return open_compiled(located.model, precision="int8", calibration=calibration)


def _check_bf16() -> None:
    if find_spec("openvino") is None:
        raise ImportError(f"expected the package openvino to compute in bf16, got none installed; {INSTALL}.")
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise ValueError(
            f"expected a processor that computes in bf16 (AVX512-BF16 or AMX), got {processor()}; choose int8 or fp32."
        )
