"""Clients of a server on this machine, for ``serving.py`` and ``serving_faults.py``: each asks again once answered.

They speak HTTP by sockets of asyncio, since they share the processors with what they measure.
"""

from __future__ import annotations

import asyncio
import io
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PHOTO = (500, 375)


@dataclass
class Answers:
    """What clients were answered.

    Attributes:
        seconds: Time of the whole.
        latencies: Seconds of each request that was answered with status 200.
        statuses: Number of answers with each status; 0 counts connections that were closed without one.
    """

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def summary(self) -> dict[str, Any]:
        """Return requests a second, p50 and p99 in milliseconds, and the answers that were no success."""
        done = sorted(self.latencies)
        failed = {str(status): count for status, count in sorted(self.statuses.items()) if status != 200}
        return {
            "requests": len(done),
            "requests_per_second": len(done) / self.seconds,
            **{f"p{share}_ms": 1000 * percentile(done, share / 100) for share in (50, 99)},
            **({"failed": failed} if failed else {}),
        }


def percentile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that is not exceeded by this share of them; infinity if there are none."""
    return ordered[max(0, -(-round(share * 1000) * len(ordered) // 1000) - 1)] if ordered else float("inf")


def photos(count: int) -> list[bytes]:
    """Return JPEG files of random photos, each some 60 kB."""
    rng = np.random.default_rng(0)

    def photo() -> bytes:
        scene = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize(
            PHOTO, Image.Resampling.BICUBIC
        )
        noise = rng.normal(0, 8, (PHOTO[1], PHOTO[0], 3))
        pixels = np.clip(np.asarray(scene) + noise, 0, 255).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=85)
        return buffer.getvalue()

    return [photo() for _ in range(count)]


def http_request(path: str, body: bytes, content_type: str) -> bytes:
    """Return a request as it is sent."""
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def form(image: bytes, name: str) -> tuple[bytes, str]:
    """Return a form with one file, and its type."""
    head = f'--frame\r\nContent-Disposition: form-data; name="{name}"; filename="image.jpg"\r\n'
    return head.encode() + b"Content-Type: image/jpeg\r\n\r\n" + image + b"\r\n--frame--\r\n", (
        "multipart/form-data; boundary=frame"
    )


def ask(port: int, requests: Sequence[bytes], *, clients: int, until: Callable[[Answers], bool]) -> Answers:
    """Let clients ask, each one request after the other, until a condition on the answers so far holds."""
    return asyncio.run(_ask(port, requests, clients, until))


def for_seconds(seconds: float) -> Callable[[Answers], bool]:
    """Return a condition that holds once this time is over."""
    end = time.perf_counter() + seconds
    return lambda _: time.perf_counter() >= end


async def _ask(port: int, requests: Sequence[bytes], clients: int, until: Callable[[Answers], bool]) -> Answers:
    answers, turns = Answers(), iter(range(1 << 62))
    began = time.perf_counter()

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not until(answers):
            sent = time.perf_counter()
            try:
                writer.write(requests[next(turns) % len(requests)])
                status, keep = await _read_answer(reader)
            except (OSError, asyncio.IncompleteReadError):
                status, keep = 0, False
            answers.statuses[status] += 1
            if status == 200:
                answers.latencies.append(time.perf_counter() - sent)
            if status == 503:
                await asyncio.sleep(1)  # as the answer asks
            if not keep:
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    answers.seconds = time.perf_counter() - began
    return answers


async def _read_answer(reader: asyncio.StreamReader) -> tuple[int, bool]:
    """Return the status of an answer, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if found := re.search(rb"content-length: (\d+)", head):
        await reader.readexactly(int(found[1]))
    else:  # in chunks
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            await reader.readexactly(size + 2)
        await reader.readuntil(b"\r\n")
    return int(head.split()[1]), b"connection: close" not in head


def tree(process: int) -> Iterator[int]:
    """Yield a process and all that it has started."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(folder.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
        children.setdefault(parent, []).append(int(folder.name))
    waiting = [process]
    while waiting:
        process = waiting.pop()
        yield process
        waiting += children.get(process, [])


def memory_mib(process: int) -> float:
    """Return the memory of a process and all that it has started; what several share counts once (PSS)."""
    total = 0
    for each in tree(process):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def processor_seconds(process: int) -> float:
    """Return the time that processors have worked for a process and all that it has started and still runs."""
    ticks = 0
    for each in tree(process):
        try:
            ticks += sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[11:15]))
        except OSError:
            continue
    return ticks / os.sysconf("SC_CLK_TCK")
