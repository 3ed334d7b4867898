"""Ray for one process, or a cluster of it: start it or connect to it, safely, and leave nothing behind."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from resnet50._io.interruption import handlers_kept
from resnet50._io.text import printable
from resnet50._io.workers import usable_cores

_OBJECT_STORE = 512 << 20  # bytes of shared memory, for images on their way to a replica
_CONNECT_SECONDS = 10.0  # Ray itself would try for minutes
_WAITS = (0.0, 0.1, 0.3, 1.0, 2.0)  # seconds before each attempt to remove a folder


@contextmanager
def connected(address: str | None, *, processors: int | None = None) -> Iterator[list[int]]:
    """Be connected to Ray in the block.

    Args:
        address: Head of a running cluster, ``HOST:PORT``; None to start Ray for the block, on this machine alone.
        processors: Logical processors of a Ray that is started, which may be more than there are; None for those that
            this process may use.

    Yields:
        The number of processors of each node.

    Raises:
        OSError: If Ray does not start, or there is no such cluster.
        ValueError: If the address is none, or this process is connected already.
    """
    _set_variables(address)
    if address is not None:
        _check_address(address)
    import ray

    if ray.is_initialized():
        raise ValueError("expected a process without Ray, got one that has started it; call ray.shutdown() first.")
    # private, since Ray lets every user write in the folder below it; and short, since sockets are in it
    folder = Path(tempfile.mkdtemp(prefix="resnet50-", dir="/tmp" if os.name == "posix" else None))  # noqa: S108
    options: dict[str, Any] = {"address": address, "log_to_driver": False, "logging_level": "ERROR"}
    if address is None:
        options |= {
            "address": "local",
            "num_cpus": processors or usable_cores(),
            "include_dashboard": False,
            "object_store_memory": _OBJECT_STORE,
            "_node_ip_address": "127.0.0.1",
            "_temp_dir": str(folder / "ray"),
        }
    try:
        try:
            with handlers_kept():  # its own would end this process in the middle of the start
                ray.init(**options)
        except BaseException as error:
            _end_processes(error)
            if not isinstance(error, Exception):  # a signal
                raise
            raise OSError(_describe(error, address)) from error
        yield [int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"]]
    finally:
        try:
            ray.shutdown()
        finally:
            _remove(folder)


def _describe(error: Exception, address: str | None) -> str:
    got = f"got an error ({printable(' '.join(str(error).split())[:200])})"
    if address is None:
        return f"expected Ray to start, {got}; if this machine is busy, end other work and start again."
    return f"{address}: expected Ray to answer, {got}; run 'ray status' on its head to see whether the cluster is up."


def _end_processes(error: BaseException) -> None:
    """End the processes of a start that failed.

    ``ray.shutdown`` does not know them: only the unfinished ``ray._private.node.Node`` does, the ``self`` of a frame.
    """
    owners = (frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__))
    node: Any = next((owner for owner in owners if hasattr(owner, "kill_all_processes")), None)
    if node is not None:
        with suppress(Exception):  # the error of the start says more
            node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)


def _remove(folder: Path) -> None:
    """Remove a folder, into which processes that are about to end may still write."""
    for seconds in _WAITS:
        time.sleep(seconds)
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def threads_each(processors: Sequence[int], replicas: int) -> float:
    """Return the most processors that each replica can have.

    Args:
        processors: Number of processors of each node.
        replicas: Number of replicas, each on one node.

    Returns:
        A whole number; less than 1 where there are more replicas than processors.
    """
    fitting = [each for each in range(1, max(processors) + 1) if sum(count // each for count in processors) >= replicas]
    return float(max(fitting)) if fitting else sum(processors) / replicas


def _set_variables(address: str | None) -> None:
    """Set what Ray reads from the environment, unless the user has."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # a server is no background work
    if address is None and "ray" not in sys.modules:  # it reads these when it is imported, and has its own defaults
        # its ports listen on all addresses of the machine, and who may speak to them may run code
        os.environ.setdefault("RAY_AUTH_MODE", "token")
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise ValueError(f"{address}: expected the address of a Ray cluster, HOST:PORT, got something else.")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise OSError(f"{address}: expected the head of a Ray cluster, got no connection ({error}).") from error
