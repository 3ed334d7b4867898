"""A faster twin of a model to train with: the same graph and weights, bfloat16 inside, each layer in few operations.

The twin never reaches a file: after training its weights go back into the plain float32 model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
from keras import layers

from resnet50.training.recipe import PRECISIONS

# What pixels pass before the first convolution; the last layer, which the loss sees, stays float32 by its name.
_FLOAT32 = (layers.InputLayer, layers.Rescaling)


def resolve_precision(precision: str) -> str:
    """Turn ``"auto"`` into what this machine computes fastest: bfloat16 where the processor has it, else float32.

    Args:
        precision: One of `PRECISIONS`.

    Returns:
        ``"float32"`` or ``"bfloat16"``.

    Raises:
        ValueError: If the name is not one of these.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}.")
    if precision != "auto":
        return precision
    return "bfloat16" if keras.backend.backend() == "tensorflow" and _has_bfloat16() else "float32"


def build_training_model(model: keras.Model, precision: str) -> keras.Model:
    """Copy a model into the form that trains fastest on this backend.

    Args:
        model: Flat functional float32 model for images of one size; not changed.
        precision: ``"float32"`` or ``"bfloat16"``: what the layers between the pixels' normalization and the head
            compute in. Weights are float32 either way.

    Returns:
        Model of the same layers, weights, trainable flags and output (float32); ``twin.get_weights()`` fits the
        original.
    """
    replacements: dict[type, Any] = {}
    call = None
    if keras.backend.backend() == "tensorflow":
        from resnet50.training.fast_cpu.fused import FusedBatchNormalization, FusedConvolution, FusedRescaling
        from resnet50.training.fast_cpu.rewiring import look_ahead, share_thinning

        call = share_thinning()
        replacements = {
            layers.Rescaling: FusedRescaling,
            layers.Conv2D: FusedConvolution,
            layers.BatchNormalization: FusedBatchNormalization,
        }

    def convert(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if not isinstance(
            layer, layers.Layer
        ):  # a bare operation, such as the flip to BGR, has neither type nor weights
            return type(layer).from_config(config)
        if precision == "bfloat16" and not isinstance(layer, _FLOAT32) and layer.name not in model.output_names:
            config["dtype"] = "mixed_bfloat16"
        # the fused operation is for feature maps; a head may normalize channels that are pooled
        kind = replacements.get(type(layer), type(layer)) if len(layer.output.shape) == 4 else type(layer)
        copy = kind.from_config(config)
        copy.trainable = layer.trainable
        return copy

    training_model = keras.models.clone_model(model, clone_function=convert, call_function=call)
    training_model.set_weights(model.get_weights())
    if replacements:
        look_ahead(training_model)
    return training_model


def _has_bfloat16() -> bool:
    """Tell whether the processor multiplies bfloat16 itself; emulated, it is slower than float32."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
