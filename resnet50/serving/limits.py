"""Limits on requests: the size of a body, the time that it may take to arrive, and the memory of all bodies together.

A body is read here, before the application sees the request, so that no route can forget a limit.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from resnet50.serving.refusals import RequestError

_BODIES = 16  # bodies of the largest size that are in memory at a time; there may be many more small ones

# A client that sends all before it reads would find a closed connection instead of the answer that its body is too
# large. So some of the rest is read.
_DROPPED_SECONDS = 2.0
_DROPPED_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a request may take.

    Attributes:
        seconds: Time that its body may take to arrive, and again that its answer may take.
        body_bytes: Largest body.
        images: Most images in one request.
    """

    seconds: float = 30.0
    body_bytes: int = 16 << 20
    images: int = 32


class LimitRequests:
    """ASGI middleware that reads each body within the limits, and ends work for clients that have gone.

    Args:
        app: The application; it receives a body in one piece.
        limits: The limits.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app, self._limits = app, limits
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = bytearray()
        try:
            if await self._read(Headers(scope=scope), receive, body):
                await self._answer(scope, bytes(body), receive, send)
        except RequestError as error:
            await refusal(error, close=True)(scope, receive, send)
        finally:
            self._held -= len(body)

    async def _read(self, headers: Headers, receive: Receive, body: bytearray) -> bool:
        """Read the body; False if the client has gone."""
        most, seconds = self._limits.body_bytes, self._limits.seconds
        fits = int(headers.get("content-length", 0)) <= most
        more = "expect" not in headers  # else the client waits before it sends
        try:
            async with asyncio.timeout(seconds):
                while fits:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return False
                    chunk, more = message.get("body", b""), message.get("more_body", False)
                    body += chunk
                    self._held += len(chunk)
                    if self._held > _BODIES * most:
                        raise RequestError(503, "expected fewer large requests at a time; ask again later.")
                    fits = len(body) <= most
                    if fits and not more:
                        return True
        except TimeoutError:
            raise RequestError(408, f"expected the whole body within {seconds:g} s, got a part of it.") from None
        if more:
            await _drop(receive)
        raise RequestError(413, f"expected a body of at most {most:,} bytes, got more.")

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Let the application answer, until the client hangs up."""
        bodies: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return bodies.pop() if bodies else await asyncio.shield(gone)

        gone = asyncio.ensure_future(receive())
        answer = asyncio.ensure_future(self._app(scope, replay, send))
        try:
            await asyncio.wait({gone, answer}, return_when=asyncio.FIRST_COMPLETED)
            answer.cancel()  # nothing where it is done
            with suppress(asyncio.CancelledError):
                await answer
        finally:
            gone.cancel()
            answer.cancel()


def refusal(error: RequestError, *, close: bool = False) -> JSONResponse:
    """Return the answer to a request that is refused.

    Args:
        error: The reason.
        close: Whether to close the connection, as where the rest of a body is not read.
    """
    headers = error.headers | ({"Connection": "close"} if close else {})
    return JSONResponse({"error": str(error)}, error.status, headers)


async def _drop(receive: Receive) -> None:
    dropped = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(_DROPPED_SECONDS):
            while dropped < _DROPPED_BYTES and (message := await receive()).get("more_body", False):
                dropped += len(message.get("body", b""))
