"""Build the training model: the graph and weights of the plain model, bfloat16 inside, layers of few operations."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
from keras import layers

from resnet50.training import one_pass
from resnet50.training.accelerator import find_accelerator
from resnet50.training.left_bias import leave_biases
from resnet50.training.recipe import PRECISIONS

# The layers before the first convolution; the last layer, whose output the loss reads, stays float32 by its name.
_FLOAT32 = (layers.InputLayer, layers.Rescaling)


def resolve_precision(precision: str) -> str:
    """Resolve ``"auto"`` into the fastest precision here: bfloat16 where the device is faster in it, else float32.

    The device is the GPU or TPU that the backend computes on (`find_accelerator`), or else the processor, of whose
    bfloat16 only TensorFlow makes use.

    Args:
        precision: One of `PRECISIONS`.

    Returns:
        ``"float32"`` or ``"bfloat16"``.

    Raises:
        ValueError: If the name is not one of these.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"expected precision to be one of {', '.join(PRECISIONS)}, got {precision!r}.")
    if precision != "auto":
        return precision
    accelerator = find_accelerator()
    if accelerator is not None:
        return "bfloat16" if accelerator.bfloat16 else "float32"
    return "bfloat16" if keras.backend.backend() == "tensorflow" and _has_fast_bfloat16() else "float32"


def build_training_model(
    model: keras.Model, precision: str, *, image_size: int | None = None, logits: bool = False
) -> keras.Model:
    """Copy a model into the form that trains fastest on this backend and device.

    TensorFlow on a processor gets layers of few operations; on a GPU it fuses Keras' own layers by itself. JAX gets
    layers that read feature maps less often (`resnet50.training.one_pass`), on any device.

    Args:
        model: Flat functional float32 model for images of one size; not changed.
        precision: ``"float32"`` or ``"bfloat16"`` for the layers between the input normalization and the head. Weights
            are float32 either way.
        image_size: Height and width of its images in pixels, where no weight depends on them; None for the model's.
        logits: Whether its output are logits, without the last layer's activation.

    Returns:
        Model with the same layers, weights, trainable flags and output (float32); its ``get_weights()`` fit the
        original.
    """
    replacements: dict[type, Any] = {}
    call, rewire = None, leave_biases
    if keras.backend.backend() == "tensorflow" and find_accelerator() is None:
        from resnet50.training.fast_cpu.fused import FusedBatchNormalization, FusedConvolution, FusedRescaling
        from resnet50.training.fast_cpu.rewiring import share_subsampling, use_followers

        call, rewire = share_subsampling(), use_followers
        replacements = {
            layers.Rescaling: FusedRescaling,
            layers.Conv2D: FusedConvolution,
            layers.BatchNormalization: FusedBatchNormalization,
        }
    elif keras.backend.backend() == "jax":
        replacements = {layers.Conv2D: one_pass.Convolution, layers.BatchNormalization: one_pass.BatchNormalization}

    def convert(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if not isinstance(layer, layers.Layer):  # an operation, such as the flip to BGR, has neither dtype nor weights
            return type(layer).from_config(config)
        if precision == "bfloat16" and not isinstance(layer, _FLOAT32) and layer.name not in model.output_names:
            config["dtype"] = "mixed_bfloat16"
        if logits and layer.name in model.output_names:
            config["activation"] = "linear"
        # the fused layers are for feature maps; a head may normalize pooled channels
        fused = replacements.get(type(layer), type(layer)) if len(layer.output.shape) == 4 else type(layer)
        copy = fused.from_config(config)
        copy.trainable = layer.trainable
        return copy

    inputs = None if image_size is None else _input_of_size(model, image_size)
    training_model = keras.models.clone_model(model, inputs, clone_function=convert, call_function=call)
    training_model.set_weights(model.get_weights())
    rewire(training_model)
    return training_model


def _input_of_size(model: keras.Model, image_size: int) -> keras.KerasTensor:
    """Return an input like the model's, for images of another size."""
    return keras.Input((image_size, image_size, model.input.shape[-1]), dtype=model.input.dtype, name=model.input.name)


def _has_fast_bfloat16() -> bool:
    """Return whether the processor multiplies faster in bfloat16 than in float32, and TensorFlow makes use of it.

    AMX does, and AVX512-BF16 on AMD's processors. On Intel's, a product of AVX512-BF16 does twice the work of one in
    float32 at half the rate, and the conversions come on top; and emulated products are slower than float32. NumPy asks
    an x86 processor on any system, since 2.4; Linux names what earlier versions do not. No processor of a Mac has
    these instructions.
    """
    flags = _processor_flags()
    if "amx_bf16" in flags:
        return True
    intel = "GenuineIntel" in flags or "GenuineIntel" in platform.processor()  # Linux and Windows
    return not intel and ("avx512_bf16" in flags or _numpy_features().get("AVX512BF16", False))


def _processor_flags() -> str:
    """Return what Linux knows of the processor; nothing on other systems."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _numpy_features() -> Mapping[str, bool]:
    """Return what NumPy knows of the processor; nothing where a version keeps it elsewhere."""
    try:
        return import_module("numpy._core._multiarray_umath").__cpu_features__
    except (ImportError, AttributeError):
        return {}
