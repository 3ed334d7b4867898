"""A limit on the whole time of a request: its connections are cut when the time is up.

requests limits the time between two bytes. A server that sends one byte now and then, or ``100 Continue`` without end,
would hold a download for ever.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter


class Deadline:
    """The time at which the connections of a session are cut.

    Attributes:
        seconds: The time that was allowed last.
        passed: Whether it is over.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.passed = False
        self._sockets: list[socket.socket] = []
        self._timer: threading.Timer | None = None

    def allow(self, seconds: float) -> None:
        """Allow this time from now on, in place of what was left."""
        self.cancel()
        self.seconds = seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connection: Any) -> None:
        """Cut this socket, or the one below this TLS layer, when the time is up."""
        self._sockets.append(getattr(connection, "socket", connection))
        if self.passed:
            self._cut()

    def cancel(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()

    def _cut(self) -> None:
        self.passed = True
        for each in self._sockets:
            with suppress(OSError):
                # not the method of a TLS socket, which another thread is reading from
                socket.socket.shutdown(each, socket.SHUT_RDWR)


def limited_session(deadline: Deadline) -> requests.Session:
    """Return a session of requests, proxies included, whose connections a deadline cuts."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(deadline))
    return session


class _Adapter(HTTPAdapter):
    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline  # before the pools, which the base class makes
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        self._watch(manager)
        return manager

    def _watch(self, manager: Any) -> None:
        pools = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {scheme: _watched(pool, self._deadline) for scheme, pool in pools.items()}


def _watched(pool: Any, deadline: Deadline) -> Any:
    """Return a class of urllib3's pools whose connections report their sockets."""

    def connect(connection: Any) -> None:
        pool.ConnectionCls.connect(connection)
        deadline.watch(connection.sock)

    watched = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"connect": connect})
    return type(pool.__name__, (pool,), {"ConnectionCls": watched})
