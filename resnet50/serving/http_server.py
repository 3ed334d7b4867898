"""uvicorn, with what it lacks: a time limit for the headers of a request, and an end that leaves the process alive."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

_HEADER_SECONDS = 10.0  # a client that sends no request within this time would hold a connection for ever
_CONNECTIONS = 900  # below the 1,024 files that a process may usually have open


class _Connection(H11Protocol):
    """A connection that is closed if the headers of its next request take too long."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._forget()

    def _expect_headers(self) -> None:
        """Start the clock where a request has begun to arrive, or none has, and stop it once its headers are here."""
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(_HEADER_SECONDS, self.transport.close)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started()


def http_server(app: Any, *, seconds: float, started: Callable[[], None]) -> uvicorn.Server:
    """Return a server of an ASGI application; ``run(sockets=[...])`` runs it until SIGTERM, Ctrl-C or `should_exit`.

    Args:
        app: The application.
        seconds: Time that requests under way have to be answered when it stops.
        started: Called once it listens.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",  # uvloop accepts one connection in a turn, so that under load new ones wait for seconds
        http=_Connection,
        ws="none",
        lifespan="off",
        log_config=None,  # warnings and errors go to standard error
        access_log=False,
        proxy_headers=False,  # nothing depends on where a request comes from
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=max(1, round(seconds)),
    )
    return _Server(config, started)
