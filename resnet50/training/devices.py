"""Train one network on all devices of this process. JAX alone can do so.

Each device computes an equal part of every batch, and all of them have the same weights (data-parallel training). Keras
distributes weights and batches; the batches only have to be multiples (`resnet50.data.share.Share`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import keras

from resnet50.data.share import ALONE, Share


def find_share() -> Share:
    """Return the part of this process in a training on all devices that Keras' backend has.

    Raises:
        ValueError: If there are several GPUs, or a strategy of ``tf.distribute``, and the backend is not JAX; or if JAX
            has joined other processes.
    """
    backend = keras.backend.backend()
    module: Any = import_module(backend)
    if backend == "jax":
        if (count := module.process_count()) > 1:
            raise ValueError(
                f"expected one process, got one of {count} that JAX has joined; train in one, on all devices of its "
                "machine."
            )
        return Share(devices=module.device_count())
    gpus = 1
    if backend == "tensorflow":
        if module.distribute.has_strategy():
            raise ValueError(
                "expected no strategy of tf.distribute, which this training does not know, got one; leave it out, and "
                "set KERAS_BACKEND=jax to train on several devices."
            )
        gpus = len(module.config.get_visible_devices("GPU"))
    elif backend == "torch":
        gpus = module.cuda.device_count()
    if gpus > 1:
        raise ValueError(
            f"expected one GPU on the {backend} backend, which trains on no more (torch waits for Keras 3.16), got "
            f"{gpus}; set KERAS_BACKEND=jax to train on all, or CUDA_VISIBLE_DEVICES=0 to train on one."
        )
    return ALONE


@contextmanager
def data_parallel(share: Share) -> Iterator[None]:
    """Let variables that are made in the block be on all devices, and models in it train on all; nothing for one."""
    if share.devices == 1:
        yield
        return
    with keras.distribution.DataParallel(auto_shard_dataset=False).scope():
        yield
