"""Train one network on several devices: those of this process, and of others that it joins. JAX alone can do so.

Each device computes an equal part of every batch, and all of them have the same weights (data-parallel training). Keras
distributes weights and batches; a process only makes its own rows (`resnet50.data.share.Share`).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import keras
import numpy as np

from resnet50._io.quiet import quiet
from resnet50._io.text import short
from resnet50.data.share import ALONE, Share
from resnet50.training.launchers import find_launcher, parse_hosts


def join_cluster(hosts: str | None = None) -> Share:
    """Join the processes that train one network together; do nothing where there is only this one.

    Call it in each of them before `resnet50.train` or `resnet50.resume`, and before Keras computes anything. The run
    directory must be in a folder that all of them see.

    Args:
        hosts: ``"ADDRESS,COUNT,INDEX"`` (`parse_hosts`); ``"auto"`` to let JAX find the others, as on a slice of Cloud
            TPU; ``"none"`` to train alone; None to join if a launcher has started several (`find_launcher`).

    Returns:
        The part of this process, which `resnet50.train` finds by itself.

    Raises:
        ValueError: If the backend is not JAX, ``hosts`` is none of these, or the others cannot be joined.
    """
    launcher = find_launcher(os.environ) if hosts is None else None
    if hosts == "none" or (hosts is None and launcher is None):
        return find_share()
    if keras.backend.backend() != "jax":
        started = f"to join what {launcher} started" if launcher else f"for hosts {short(hosts)}"
        raise ValueError(
            f"expected the JAX backend {started}, got {keras.backend.backend()}, which trains in one process; set "
            "KERAS_BACKEND=jax, or give --hosts none for a run of its own."
        )
    place = (None, None, None) if launcher or hosts == "auto" else parse_hosts(str(hosts))
    with quiet():  # with any backend, it imports TensorFlow, which prints some lines
        keras.utils.set_random_seed(0)  # Keras would agree on a seed by a computation; a recipe has its own
    # JAX would take SIGTERM for itself, to announce it to a program that asks; nothing here does
    import_module("jax").config.update("jax_enable_preemption_service", False)
    try:
        keras.distribution.initialize(*place)
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:300].removesuffix(".")
        others = "a cluster that JAX finds by itself" if hosts == "auto" else launcher or short(hosts)
        otherwise = ", or give --hosts ADDRESS,COUNT,INDEX" if launcher or hosts == "auto" else ""
        raise ValueError(
            f"expected to join the processes of {others}, got an error of JAX ({reason}); see that all have started, "
            f"and that each can reach the first{otherwise}."
        ) from error
    return find_share()


def find_share() -> Share:
    """Return the part of this process in a training on all devices that Keras' backend has.

    Raises:
        ValueError: If there are several GPUs, or a distribution strategy, and the backend is not JAX; or processes have
            different numbers of devices.
    """
    backend = keras.backend.backend()
    module: Any = import_module(backend)
    if backend == "jax":
        count, devices = module.process_count(), module.device_count()
        if devices != count * module.local_device_count():
            raise ValueError(
                f"expected each of {count} processes to have as many of the {devices} devices, got "
                f"{module.local_device_count()} in this one; start them on machines of one kind."
            )
        return Share(module.process_index(), count, devices)
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


@contextmanager
def own_folder(path: Path, share: Share) -> Iterator[Path]:
    """Yield the folder that a process writes a run to: the run directory for the first, a temporary one for others.

    All processes do the same work, so that none decides anything that another does not know, and the files of all but
    the first are removed. A temporary folder begins as a copy of the run. The block begins when all processes have
    come to it, and ends when all are done.

    Args:
        path: The run directory.
        share: The part of this process.
    """
    if share.count == 1:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="resnet50-process-") as temporary:
        own = path
        if share.rank:
            own = Path(temporary) / path.resolve().name  # "." and ".." have none
            if path.is_dir():
                shutil.copytree(path, own, ignore=shutil.ignore_patterns(".partial-*", "tensorboard"))
        _wait("the run begins")
        yield own
        _wait("the run ends")


def check_alike(share: Share, **content: str) -> None:
    """Refuse to train where the processes have different data or state.

    Args:
        share: The part of this process.
        **content: What must be the same in all, each by its name.

    Raises:
        ValueError: In every process, if something is not the same.
    """
    if share.count == 1:
        return
    from jax.experimental.multihost_utils import process_allgather

    for name, text in content.items():
        digest = np.frombuffer(hashlib.sha256(text.encode()).digest(), np.uint8)
        digests = np.asarray(process_allgather(digest)).reshape(share.count, -1)
        others = [str(rank) for rank in range(share.count) if (digests[rank] != digests[0]).any()]
        if others:
            raise ValueError(
                f"expected the same {name} in all {share.count} processes, got others in {', '.join(others)} than in "
                "0; give all of them the same command, data and run directory."
            )


def _wait(point: str) -> None:
    from jax.experimental.multihost_utils import sync_global_devices

    sync_global_devices(point)
