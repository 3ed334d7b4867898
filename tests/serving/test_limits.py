from __future__ import annotations

import asyncio
import socket
import threading
import time

import numpy as np
import pytest
import requests

pytest.importorskip("fastapi", reason="the interface is made with FastAPI")

POST = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=120)


def alive(url: str) -> bool:
    return requests.get(f"{url}/health", timeout=120).status_code == 200


def test_a_body_of_the_largest_size_is_read(start):
    answer = requests.post(f"{start(body_bytes=1000)}/predict", b"x" * 1000, timeout=120)
    assert answer.status_code == 422


def test_a_body_that_is_declared_too_large_is_refused(start):
    answer = requests.post(f"{start(body_bytes=1000)}/predict", b"x" * 1001, timeout=120)
    assert (answer.status_code, answer.headers["Connection"]) == (413, "close")
    assert "1,000" in answer.json()["error"]


@pytest.mark.parametrize("size", ["1001", "9" * 18, "9" * 5000, "-1", "0x10"])
def test_it_is_refused_before_it_is_sent(start, exchange, size):
    url = start(body_bytes=1000)
    answer = exchange(url, POST + f"Content-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert answer.split()[1] in (b"413", b"400")
    assert b"100 Continue" not in answer
    assert alive(url)


def test_a_body_in_chunks_is_refused_once_it_is_too_large(start):
    url = start(body_bytes=1000)
    answer = requests.post(f"{url}/predict", iter([b"x" * 100] * 11), timeout=120)
    assert answer.status_code == 413
    assert requests.post(f"{url}/predict", iter([b"x" * 100] * 10), timeout=120).status_code == 422


def test_a_body_without_end_is_not_read_for_ever(start):
    """A client that sends without reading is given up; others are answered meanwhile and afterwards."""
    url = start(body_bytes=1000)
    with connect(url) as connection:
        connection.sendall(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        with pytest.raises(OSError):  # a broken pipe, a reset or an abort
            for _ in range(100_000):
                connection.sendall(chunk)
    assert alive(url)


@pytest.mark.parametrize(
    "length", [b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"]
)
def test_a_body_that_does_not_arrive_is_given_up(start, exchange, length):
    url = start(seconds=0.3)
    answer = exchange(url, POST + length)
    assert answer.split()[1] == b"408"
    assert b"0.3 s" in answer
    assert alive(url)


def test_a_slow_body_does_not_keep_others_waiting(start):
    url = start(seconds=5)
    slow = [connect(url) for _ in range(50)]
    for connection in slow:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\nabc")
    assert requests.post(f"{url}/predict", b"abc", timeout=4).status_code == 422
    for connection in slow:
        connection.close()


def test_all_bodies_together_are_limited(start):
    url = start(body_bytes=10_000)
    held = [connect(url) for _ in range(17)]
    for connection in held[:16]:  # 16 of the largest size, but for a byte each
        connection.sendall(POST + b"Content-Length: 10000\r\n\r\n" + b"x" * 9999)
    time.sleep(0.3)
    held[16].sendall(POST + b"Content-Length: 100\r\n\r\n" + b"x" * 100)
    answer = held[16].recv(1000)
    assert answer.split()[1] == b"503"
    assert b"retry-after: 1" in answer.lower()
    for connection in held:
        connection.close()
    for _ in range(50):  # until the server has noticed
        status = requests.post(f"{url}/predict", b"x" * 10_000, timeout=120).status_code
        if status == 422:
            break
        time.sleep(0.1)
    assert status == 422


def test_work_for_a_client_that_has_gone_ends(start):
    began, ended = threading.Event(), threading.Event()

    async def slow(images, shares):
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.set()
            raise

    url = start(slow)
    with connect(url) as connection:
        connection.sendall(POST + b"Content-Length: 3\r\n\r\nabc")
        assert began.wait(10)
    assert ended.wait(10)
    assert alive(url)


def test_a_client_that_goes_while_it_sends_is_forgotten(start):
    url = start()
    with connect(url) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\nabc")
    assert alive(url)


def test_requests_on_one_connection(start, exchange):
    """Two requests at once, a third that ends it."""
    one = POST + b"Content-Length: 3\r\n\r\nabc"
    last = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    answers = exchange(start(), one + one, last)
    assert answers.count(b"HTTP/1.1 422") == 2
    assert answers.endswith(b'{"live":true}')


def test_an_array_is_not_copied_into_the_error(start):
    async def unreadable(images, shares):
        return ["no"] * len(images)

    body = b"\x1b]52;c;aGVsbG8=\x07" * 10
    answer = requests.post(f"{start(unreadable)}/predict", body, timeout=120)
    assert (answer.status_code, answer.json()["error"]) == (422, "no")
    assert np.all([32 <= byte < 127 for byte in answer.content])
