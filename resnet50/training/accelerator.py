"""The GPU or TPU that Keras computes on, if any, whether it is fast in bfloat16, and what it costs to feed it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from importlib import import_module
from typing import Any

_BFLOAT16 = 8  # NVIDIA's first compute capability that multiplies in bfloat16: Ampere
_AMD = re.compile(r"gfx9(0a|4|5)")  # the Instinct MI200 and later


@dataclass(frozen=True)
class Accelerator:
    """A GPU or TPU.

    Attributes:
        name: Its name, such as ``"NVIDIA H200"``.
        bfloat16: Whether it multiplies faster in bfloat16 than in float32; False where it does not say so.
    """

    name: str
    bfloat16: bool


def find_accelerator() -> Accelerator | None:
    """Return the first accelerator that Keras' backend computes on; None where that is a processor.

    JAX and TensorFlow tell the compute capability of an NVIDIA GPU, and JAX the architecture of one of AMD. All TPUs
    multiply in bfloat16. PyTorch is asked without emulation, which it counts by default.
    """
    import keras  # here, so that reading a run directory does not load a backend

    backend = keras.backend.backend()
    find = {"jax": _of_jax, "tensorflow": _of_tensorflow, "torch": _of_torch}.get(backend)
    return find(import_module(backend)) if find else None


def compiles_each_size() -> bool:
    """Return whether a step is compiled anew for batches of another size: by JAX, and by TensorFlow on a GPU (XLA)."""
    import keras

    backend = keras.backend.backend()
    return bool(backend == "jax" or (backend == "tensorflow" and find_accelerator()))


def _of_jax(jax: Any) -> Accelerator | None:
    device = jax.local_devices()[0]
    if device.platform == "cpu":
        return None
    capability = str(getattr(device, "compute_capability", ""))  # "9.0", or AMD's "gfx942"; a TPU has none
    fast = device.platform == "tpu" or _major(capability) >= _BFLOAT16 or _AMD.match(capability) is not None
    return Accelerator(device.device_kind, fast)


def _of_tensorflow(tensorflow: Any) -> Accelerator | None:
    gpus = tensorflow.config.get_visible_devices("GPU")
    if not gpus:
        return None
    details = tensorflow.config.experimental.get_device_details(gpus[0])
    major, _ = details.get("compute_capability", (0, 0))  # AMD's and Apple's have none
    return Accelerator(details.get("device_name", gpus[0].name), major >= _BFLOAT16)


def _of_torch(torch: Any) -> Accelerator | None:
    chosen = os.environ.get("KERAS_TORCH_DEVICE", "cuda")  # by which Keras may be kept on the processor
    if not (torch.cuda.is_available() and chosen.startswith("cuda")):
        return None
    return Accelerator(torch.cuda.get_device_name(), torch.cuda.is_bf16_supported(including_emulation=False))


def _major(capability: str) -> int:
    major = capability.partition(".")[0]
    return int(major) if major.isdecimal() else 0
