"""Keras in float32, whatever the user's configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def keras_defaults() -> Iterator[None]:
    """Set Keras to float32 in the block; also a decorator.

    ``~/.keras/keras.json``, `keras.config.set_floatx` and `keras.config.set_dtype_policy` may say otherwise: a network
    in float16 overflows, and other runtimes cannot open its file.

    Raises:
        ValueError: If Keras is set to channels first, which layers look up again whenever they are called.
    """
    import keras

    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            f"expected Keras to have channels last, got {keras.config.image_data_format()!r}; set image_data_format in "
            "~/.keras/keras.json to channels_last, or call keras.config.set_image_data_format('channels_last')."
        )
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
