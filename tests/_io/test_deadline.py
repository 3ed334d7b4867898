"""Servers that never come to an end, on sockets, since http.server cannot be that rude."""

from __future__ import annotations

import hashlib
import socket
import threading

import pytest

from factories import raises
from resnet50._io import fetch as fetching
from resnet50._io.fetch import Download, DownloadError, fetch

OK = b"HTTP/1.1 200 OK\r\n"


def continue_for_ever(send):
    while True:
        send(b"HTTP/1.1 100 Continue\r\n\r\n")


def send_headers_for_ever(send):
    send(OK)
    while True:
        send(b"X: y\r\n" if send.count < 50 else b"z")


def drip_a_file(send):
    send(OK + b"Content-Length: 1000000\r\n\r\n")
    while True:
        send(b"a")


def drip_chunks(send):
    send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        send(b"1\r\na\r\n")


def redirect_with_an_endless_page(send):
    send(b"HTTP/1.1 302 Found\r\nLocation: /again\r\n\r\n")
    while True:
        send(b"page" * 10_000)


class Sender:
    """Send bytes, with a pause after each, until the client hangs up or the test ends."""

    def __init__(self, connection, done):
        self.connection, self.done, self.count = connection, done, 0

    def __call__(self, content):
        self.count += 1
        self.connection.sendall(content)
        if self.done.wait(0.02):
            raise OSError


@pytest.fixture
def serve(monkeypatch):
    """Serve each connection by a function of a sender; return the address."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server, done, threads = socket.create_server(("127.0.0.1", 0)), threading.Event(), []

    def start(answer):
        def accept():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                thread = threading.Thread(target=reply, args=(connection,))
                threads.append(thread)
                thread.start()

        def reply(connection):
            with connection:
                try:
                    connection.recv(1 << 16)
                    answer(Sender(connection, done))
                except OSError:
                    pass

        threads.append(threading.Thread(target=accept))
        threads[0].start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/file"

    yield start
    done.set()
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize("answer", [continue_for_ever, send_headers_for_ever, drip_a_file, drip_chunks])
def test_an_answer_without_an_end_is_given_up(serve, tmp_path, monkeypatch, answer):
    monkeypatch.setattr(fetching, "_ANSWER", 0.1)
    monkeypatch.setattr(fetching, "_SLOWEST", 1e9)
    url = serve(answer)
    # each byte comes in time: only the limit on the whole ends it
    with raises(DownloadError, "file.h5", url, "0.5 seconds"):
        fetch(Download("file.h5", (url,), limit=2_000_000, sha256="0" * 64), tmp_path, timeout=5)
    assert list(tmp_path.iterdir()) == []


def test_a_file_gets_the_time_that_its_size_needs(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "_ANSWER", 0.1)
    monkeypatch.setattr(fetching, "_SLOWEST", 1)

    def slow(send):
        send(OK + b"Content-Length: 40\r\n\r\n")
        for _ in range(40):  # of 0.02 seconds, which is more than the time for an answer
            send(b"a")

    digest = hashlib.sha256(b"a" * 40).hexdigest()
    path = fetch(Download("file.h5", (serve(slow),), limit=1000, sha256=digest), tmp_path, timeout=5)
    assert path.read_bytes() == b"a" * 40


def test_the_page_of_a_redirect_is_not_read(serve, tmp_path):
    url = serve(redirect_with_an_endless_page)
    with raises(DownloadError, url, "30"):  # redirects, in less than the time for an answer
        fetch(Download("file.h5", (url,), limit=1000, sha256="0" * 64), tmp_path, timeout=5)


@pytest.mark.parametrize("length", [b"9" * 5000, b"-1", b"1e3", b"\xb2"])
def test_a_length_that_is_no_number_of_bytes_is_refused(serve, tmp_path, length):
    url = serve(lambda send: send(OK + b"Content-Length: " + length + b"\r\n\r\nabc"))
    with raises(DownloadError, url, "length") as caught:
        fetch(Download("file.h5", (url,), limit=1000, sha256="0" * 64), tmp_path, timeout=5)
    assert len(str(caught.value)) < 500


def test_what_a_server_says_cannot_command_the_terminal(serve, tmp_path):
    url = serve(lambda send: send(b"HTTP/1.1 404 \x1b]52;c;eA==\x07 gone\r\nContent-Length: 0\r\n\r\n"))
    with raises(DownloadError, url, "404", "gone") as caught:
        fetch(Download("file.h5", (url,), limit=1000, sha256="0" * 64), tmp_path, timeout=5)
    assert str(caught.value).isprintable()


def test_a_compressed_answer_is_refused(serve, tmp_path):
    """A few bytes of it could become gigabytes, and no compression was asked for."""
    url = serve(lambda send: send(OK + b"Content-Length: 3\r\nContent-Encoding: gzip, gzip\r\n\r\nabc"))
    with raises(DownloadError, url, "gzip, gzip"):
        fetch(Download("file.h5", (url,), limit=1000, sha256="0" * 64), tmp_path, timeout=5)
