from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import suppress

import pytest
import requests

pytest.importorskip("uvicorn", reason="it is the server")

from resnet50.serving import http_server


@pytest.mark.parametrize("sent", [b"", b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nX-Slow:"])
def test_headers_that_do_not_come_are_given_up(start, exchange, monkeypatch, sent):
    monkeypatch.setattr(http_server, "_HEADER_SECONDS", 0.2)
    began = time.perf_counter()
    assert exchange(start(), sent) == b""
    assert time.perf_counter() - began < 15


def test_slow_headers_after_a_request_are_given_up_too(start, monkeypatch):
    monkeypatch.setattr(http_server, "_HEADER_SECONDS", 0.2)
    host, port = start().removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while not answer.endswith(b'{"live":true}'):
            answer += connection.recv(1000)
        connection.sendall(b"GET /v2/hea")
        began = time.perf_counter()
        assert connection.recv(1000) == b""
    assert time.perf_counter() - began < 4  # uvicorn's own limit, of 5 s, ends with the first byte


def test_a_long_answer_is_not_cut_off_by_the_limit_for_headers(start, monkeypatch):
    monkeypatch.setattr(http_server, "_HEADER_SECONDS", 0.1)

    async def slow(images, shares):
        await asyncio.sleep(0.5)
        return ["late"] * len(images)

    assert requests.post(f"{start(slow)}/predict", b"x", timeout=120).json()["error"] == "late"


@pytest.mark.parametrize(
    "request_line",
    [b"\x00\x01\x02\x03\r\n\r\n", b"GET\r\n\r\n", b"GET /\x1b[2J HTTP/1.1\r\nHost: x\r\n\r\n"],
)
def test_what_is_no_request_is_refused_and_not_repeated(start, exchange, request_line, capfd, caplog):
    url = start()
    answer = exchange(url, request_line)
    assert answer.split()[1] in (b"400", b"404")
    assert b"\x1b" not in answer
    assert requests.get(f"{url}/health", timeout=120).status_code == 200
    start.stop()
    printed = caplog.text + "".join(capfd.readouterr())
    assert "\x1b" not in printed
    assert "2J" not in printed


def test_headers_without_end_are_refused(start, exchange):
    url = start()
    with suppress(ConnectionError):  # it may be closed while this still sends
        assert exchange(url, b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000).split()[1] == b"400"
    assert requests.get(f"{url}/health", timeout=120).status_code == 200


def test_requests_under_way_are_answered_when_it_stops(start):
    began = threading.Event()

    async def slow(images, shares):
        began.set()
        await asyncio.sleep(1)
        return ["answered"] * len(images)

    url, answers = start(slow), []
    client = threading.Thread(target=lambda: answers.append(requests.post(f"{url}/predict", b"x", timeout=120)))
    client.start()
    assert began.wait(10)
    start.stop()
    client.join(20)
    assert answers[0].json()["error"] == "answered"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{url}/health", timeout=5)
