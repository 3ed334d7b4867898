"""Which layers of a network compute in bfloat16, and a copy in which they do, for inference."""

from __future__ import annotations

from typing import Any

import keras


def in_bfloat16(model: keras.Model) -> keras.Model:
    """Return a copy that computes in bfloat16 from the first convolution to the head, with weights of that dtype.

    Args:
        model: Functional float32 model, best with its batch norm folded; not changed.
    """

    def convert(layer: Any) -> Any:
        config = layer.get_config()
        if isinstance(layer, keras.Layer) and computes_in_bfloat16(type(layer).__name__, layer.name, model):
            config["dtype"] = "bfloat16"
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=convert)
    copy.set_weights(model.get_weights())
    return copy


def computes_in_bfloat16(class_name: str, name: str, model: keras.Model) -> bool:
    """Return whether a layer does; input, input normalization, batch norm and the output stay float32."""
    in_float32 = ("InputLayer", "Rescaling", "BatchNormalization")
    return class_name not in in_float32 and name not in model.output_names
