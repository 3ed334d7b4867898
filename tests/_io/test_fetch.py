import errno
import hashlib
import http.server
import io
import os
import re
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pooch.core
import pytest
import requests

from factories import posix, raises
from resnet50._io.fetch import Download, DownloadError, cache_folder, check, fetch

CONTENT = bytes((i * 31 + i // 251) % 256 for i in range(300_000))


def git_blob(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()  # noqa: S324


def sha256(content):
    return hashlib.sha256(content).hexdigest()


BACKWARDS = CONTENT[::-1]
GIT_BLOB = git_blob(CONTENT)
SHA256 = sha256(CONTENT)
MD5 = hashlib.md5(CONTENT).hexdigest()  # noqa: S324


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append(self.path)
        getattr(self, "serve_" + self.path.strip("/").rpartition("/")[2])()

    def send(self, body, *, status=200, headers=(), declared=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if declared is None else declared))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        self.wfile.write(body)

    def serve_right(self):
        self.send(CONTENT)

    def serve_chunked(self):
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        for at in range(0, len(CONTENT), 70_000):
            piece = CONTENT[at : at + 70_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def serve_part(self):
        self.send(CONTENT[:100], status=206, headers=[("Content-Range", "bytes 0-99/300000")])

    def serve_cut(self):
        self.send(CONTENT[:100_000], declared=len(CONTENT))

    def serve_cutonce(self):
        (self.serve_right if len(self.server.requests) > 1 else self.serve_cut)()

    def serve_busyonce(self):
        (self.serve_right if len(self.server.requests) > 1 else self.serve_503)()

    def serve_wrongonce(self):
        (self.serve_right if len(self.server.requests) > 1 else self.serve_wrong)()

    def serve_slow(self):
        self.send(CONTENT[:150_000], declared=len(CONTENT))
        self.wfile.flush()
        time.sleep(0.3)
        self.wfile.write(CONTENT[150_000:])

    def serve_wrong(self):
        self.send(BACKWARDS)

    def serve_html(self):
        self.send(b"\n\n\n <!DOCTYPE html><html><title>train_signs.h5</title></html>")

    def serve_htmltype(self):
        self.send(b"<p>" * 1000, headers=[("Content-Type", "text/html; charset=utf-8")])

    def serve_lfs(self):
        self.send(b"version https://git-lfs.github.com/spec/v1\noid sha256:4748\nsize 13281872\n")

    def serve_empty(self):
        self.send(b"")

    def serve_404(self):
        self.send(b"no", status=404)

    def serve_500(self):
        self.send(b"no", status=500)

    def serve_503(self):
        self.send(b"no", status=503)

    def serve_redirect(self):
        self.send(b"", status=302, headers=[("Location", "/right")])

    def lead(self, page, tag):
        """A redirect as Hugging Face's: it states the hash of the file that it leads to."""
        self.send(b"", status=302, headers=[("Location", page), ("X-Linked-ETag", tag)])

    def serve_linked(self):
        self.lead("/right", f'"{SHA256}"')

    def serve_weaklinked(self):
        self.lead("/right", f'W/"{SHA256}"')

    def serve_relinked(self):
        self.lead("/liar", f'"{SHA256}"')

    def serve_liar(self):
        self.lead("/right", f'"{"0" * 64}"')

    def serve_linkedlfs(self):
        self.lead("/lfs", f'"{SHA256}"')

    def serve_linkedwrong(self):
        self.lead("/wrong", f'"{SHA256}"')

    def serve_linkedblob(self):
        self.lead("/right", f'"{GIT_BLOB}"')

    def serve_direct(self):
        self.send(CONTENT, headers=[("X-Linked-ETag", f'"{SHA256}"')])

    def serve_tofile(self):
        self.send(b"", status=302, headers=[("Location", self.server.secret.as_uri())])

    def serve_toftp(self):
        self.send(b"", status=302, headers=[("Location", "ftp://127.0.0.1/file")])

    def serve_loop(self):
        self.send(b"", status=302, headers=[("Location", "/loop")])

    def serve_tobrackets(self):
        self.send(b"", status=302, headers=[("Location", "http://[bad/")])

    def serve_tonohost(self):
        self.send(b"", status=302, headers=[("Location", "http://.invalid/")])

    def serve_nolength(self):
        self.send(CONTENT, declared="abc")

    def serve_stall(self):
        self.send(CONTENT[:1000], declared=len(CONTENT))
        self.server.release.wait(60)

    def serve_silent(self):
        self.server.release.wait(60)

    def serve_huge(self):
        self.send(CONTENT, declared=10**12)

    def serve_endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(CONTENT)
        except OSError:
            pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(pooch.core, "time", SimpleNamespace(sleep=lambda _: None))  # it waits before a retry
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.requests, server.release = [], threading.Event()
    server.secret = tmp_path / "secret"
    server.secret.write_bytes(CONTENT)
    server.handle_error = lambda *_: None  # the client hangs up on purpose
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "new" / "folder"


def wanted(server, *pages, **changes):
    urls = tuple(f"http://127.0.0.1:{server.server_port}/{page}" for page in pages)
    return Download(**{"name": "file.h5", "urls": urls, "limit": 400_000, "git_blob": GIT_BLOB} | changes)


def failure(download, folder, *values, **options):
    """Fetch in vain and return the message; these values must be in it, outside the addresses and the path."""
    target = folder / download.name
    with raises(DownloadError, target) as raised:
        fetch(download, folder, **options)
    assert isinstance(raised.value, OSError)
    text = rest = str(raised.value)
    for known in (str(target), *download.urls):
        rest = rest.replace(known, "")
    missing = [value for value in values if value not in rest]
    assert not missing, f"{missing} not in the message: {rest}"
    return text


@pytest.mark.parametrize("page", ["right", "redirect", "chunked"])
def test_right_file(server, folder, page):
    path = fetch(wanted(server, page, sha256=SHA256), folder)
    assert path == folder / "file.h5"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == ["file.h5"]


@posix
def test_permissions_follow_the_umask(server, folder):
    before = os.umask(0o027)
    try:
        path = fetch(wanted(server, "right"), folder)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("page", "values"),
    [
        ("cut", ["100000", "200000"]),
        ("wrong", ["300000", "git blob", git_blob(BACKWARDS), GIT_BLOB]),
        ("html", ["HTML"]),
        ("htmltype", ["HTML"]),
        ("lfs", ["Git LFS"]),
        ("empty", ["empty"]),
        ("404", ["404 Not Found"]),
        ("500", ["500 Internal Server Error"]),
        ("tofile", ["'file:///"]),
        ("toftp", ["'ftp://127.0.0.1/file'", "http", "https"]),
        ("loop", ["30", "redirects"]),
        ("tobrackets", ["IPv6"]),
        ("tonohost", ["'.invalid'"]),
        ("nolength", ["'abc'"]),
        ("huge", ["1000000000000", "400000"]),
        ("endless", ["400000"]),
        ("part", ["206"]),
    ],
)
def test_refused(server, folder, page, values):
    download = wanted(server, page)
    assert download.urls[0] in failure(download, folder, *values)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("known", "values"),
    [
        ({"sha256": "0" * 64}, ["sha256", SHA256, "0" * 64]),
        ({"sha256": "0" * 8}, ["sha256", SHA256, "0" * 8]),
        ({"md5": "0" * 32}, ["md5", MD5, "0" * 32]),
        ({"sha256": SHA256, "md5": "0" * 32}, ["md5", MD5, "0" * 32]),
    ],
)
def test_wrong_hash(server, folder, known, values):
    failure(wanted(server, "right", git_blob=None, **known), folder, "300000", *values)


@pytest.mark.parametrize("known", [{"sha256": SHA256}, {"sha256": SHA256[:8]}, {"md5": MD5}])
def test_each_hash_alone_is_enough(server, folder, known):
    assert fetch(wanted(server, "right", git_blob=None, size=300_000, **known), folder).read_bytes() == CONTENT


def test_another_size_is_refused_before_it_is_taken(server, folder):
    seen = []
    sizes = ("300000", "300001")
    failure(wanted(server, "right", size=300_001), folder, *sizes, progress=lambda *counts: seen.append(counts))
    assert seen == []
    failure(wanted(server, "chunked", size=300_001), folder, *sizes)


def stated(server, *pages, **changes):
    return wanted(server, *pages, git_blob=None, sha256_from_server=True, **changes)


@pytest.mark.parametrize("page", ["linked", "weaklinked", "relinked", "direct"])
def test_the_hash_that_the_server_states_is_checked_and_kept(server, folder, page):
    download = stated(server, page)
    assert fetch(download, folder).read_bytes() == CONTENT
    assert (folder / "file.h5.sha256").read_text() == f"{SHA256}  file.h5\n"
    assert sorted(entry.name for entry in folder.iterdir()) == ["file.h5", "file.h5.sha256"]
    asked = len(server.requests)
    assert check(download, folder) is None
    assert fetch(download, folder) == folder / "file.h5"
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("page", "values"),
    [
        ("redirect", ["SHA-256", "X-Linked-ETag"]),
        ("linkedblob", ["SHA-256", "X-Linked-ETag"]),
        ("linkedwrong", ["300000", "sha256", sha256(BACKWARDS), SHA256]),
        ("linkedlfs", ["Git LFS"]),
        ("liar", ["300000", "sha256", SHA256, "0" * 64]),
    ],
)
def test_what_the_server_states_is_not_believed_blindly(server, folder, page, values):
    download = stated(server, page)
    text = failure(download, folder, *values)
    assert download.urls[0] in text
    assert f"{folder / 'file.h5'}.sha256" in text
    assert list(folder.iterdir()) == []


def test_a_stated_hash_does_not_outlive_its_mirror(server, folder):
    assert fetch(stated(server, "liar", "weaklinked"), folder).read_bytes() == CONTENT


@pytest.mark.parametrize("stored", [None, "", "zz" * 32, "0" * 63])
def test_a_file_whose_hash_was_not_stored_is_fetched_again(server, folder, stored):
    download = stated(server, "linked")
    fetch(download, folder)
    if stored is None:
        (folder / "file.h5.sha256").unlink()
    else:
        (folder / "file.h5.sha256").write_text(stored)
    difference = check(download, folder)
    assert "300000" in difference
    assert "SHA-256" in difference
    assert not re.search("[0-9a-f]{8}", difference)
    asked = len(server.requests)
    assert fetch(download, folder).read_bytes() == CONTENT
    assert len(server.requests) > asked
    assert check(download, folder) is None


def test_check_says_what_is_wrong(server, folder):
    download = wanted(server, "right")
    with pytest.raises(FileNotFoundError):
        check(download, folder)
    fetch(download, folder)
    assert check(download, str(folder)) is None
    (folder / "file.h5").write_bytes(b"bad")
    words = re.findall(r"\w+", check(download, folder))
    assert {"3", "git", "blob", git_blob(b"bad"), GIT_BLOB} <= set(words)
    fetch(stated(server, "linked"), folder)
    (folder / "file.h5").write_bytes(b"bad")
    words = re.findall(r"\w+", check(stated(server, "linked"), folder))
    assert {"3", "sha256", sha256(b"bad"), SHA256} <= set(words)
    assert len(server.requests) == 3


@pytest.mark.parametrize("page", ["stall", "silent"])
def test_stalled_connection(server, folder, page):
    failure(wanted(server, page), folder, "0.2", timeout=0.2)


def test_nobody_listens(server, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    download = wanted(server, "right", urls=(f"http://127.0.0.1:{port}/x",))
    assert download.urls[0] in failure(download, folder, os.strerror(errno.ECONNREFUSED))


@pytest.mark.parametrize("page", ["cutonce", "busyonce", "wrongonce"])
def test_tries_again_what_may_pass(server, folder, page):
    seen = []
    path = fetch(wanted(server, page), folder, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert server.requests == [f"/{page}"] * 2
    assert seen[-1] == (300_000, 300_000)
    assert [entry.name for entry in folder.iterdir()] == ["file.h5"]


@pytest.mark.parametrize(
    ("page", "count"), [("cut", 3), ("500", 3), ("wrong", 3), ("404", 1), ("html", 1), ("lfs", 1), ("empty", 1)]
)
def test_gives_up_at_once_what_will_not_pass(server, folder, page, count):
    failure(wanted(server, page), folder)
    assert len(server.requests) == count


def test_second_mirror_after_the_first_fails(server, folder):
    assert fetch(wanted(server, "404", "wrong", "right"), folder).read_bytes() == CONTENT
    assert list(dict.fromkeys(server.requests)) == ["/404", "/wrong", "/right"]


def test_error_lists_each_mirror(server, folder):
    download = wanted(server, "404", "html")
    text = failure(download, folder)
    assert re.search(f"{download.urls[0]}.*404 Not Found.*{download.urls[1]}.*HTML", text)


def test_good_file_needs_no_request(server, folder):
    folder.mkdir(parents=True)
    (folder / "file.h5").write_bytes(CONTENT)
    assert fetch(wanted(server, "404"), str(folder)) == folder / "file.h5"
    assert server.requests == []


@pytest.mark.parametrize("bad", [b"", b"bad", CONTENT + b"x", b"x" * 500_000])
def test_bad_file_is_replaced_by_the_right_one(server, folder, bad):
    folder.mkdir(parents=True)
    (folder / "file.h5").write_bytes(bad)
    assert fetch(wanted(server, "right"), folder).read_bytes() == CONTENT


def test_bad_file_stays_until_the_right_one_has_come(server, folder):
    text = failure(wanted(server, "wrong"), folder)
    (folder / "file.h5").write_bytes(b"bad")
    assert failure(wanted(server, "wrong"), folder) != text  # it tells of the file that is there
    assert (folder / "file.h5").read_bytes() == b"bad"


def test_disk_full(server, folder, monkeypatch):
    class FullDisk(io.FileIO):
        def write(self, data):
            if self.tell() + len(data) > 200_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **_: FullDisk(path, "w") if mode == "wb" else opened(path, mode)
    )
    failure(wanted(server, "right", "chunked"), folder, "No space left on device")
    assert len(server.requests) == 1  # another address would not help
    assert list(folder.iterdir()) == []


@posix
def test_folder_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    failure(wanted(server, "right"), tmp_path / "file" / "folder", os.strerror(errno.ENOTDIR))


@posix
def test_folder_under_the_final_name(server, folder):
    (folder / "file.h5").mkdir(parents=True)
    failure(wanted(server, "right"), folder, os.strerror(errno.EISDIR))
    assert server.requests == []


def test_the_final_name_cannot_be_given(server, folder, monkeypatch):
    replace = Path.replace

    def refuse(path, target):
        if target == folder / "file.h5":
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    failure(wanted(server, "right"), folder, "Permission denied")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("page", ["right", "chunked"])
def test_progress_is_monotone(server, folder, page):
    seen = []
    fetch(wanted(server, page), folder, progress=lambda done, total: seen.append((done, total)))
    counts = [done for done, _ in seen]
    assert counts == sorted(set(counts))
    assert counts[-1] == 300_000
    assert {total for _, total in seen} == ({300_000} if page == "right" else {None})


def test_an_interrupt_leaves_nothing(server, folder):
    def stop(done, _):
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(wanted(server, "right"), folder, progress=stop)
    assert list(folder.iterdir()) == []


def test_pooch_reports_nothing(server, folder, capfd):
    fetch(wanted(server, "right"), folder)
    failure(wanted(server, "wrong", name="other.h5"), folder)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("location", ["http://example.org/file", "http://other.example.org/", "ftp://example.org/file"])
def test_https_does_not_lead_to_less(folder, monkeypatch, location):
    asked = []

    def send(_, request, **__):
        asked.append(request.url)
        response = requests.Response()
        response.status_code, response.url, response.request = 302, request.url, request
        response.headers["Location"] = location
        response.raw = io.BytesIO()
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)
    failure(Download("file.h5", ("https://example.org/a",), 400_000, md5=MD5), folder, repr(location), "https")
    assert asked == ["https://example.org/a"]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_mirror_of_hugging_face(server, folder, monkeypatch, slash):
    mirror = f"http://127.0.0.1:{server.server_port}/mirror"
    monkeypatch.setenv("HF_ENDPOINT", mirror + slash)
    assert fetch(wanted(server, urls=("https://huggingface.co/a/b/right",)), folder).read_bytes() == CONTENT
    assert server.requests == ["/mirror/a/b/right"]
    download = wanted(server, name="other.h5", urls=("https://huggingface.co/a/404",))
    assert f"{mirror}/a/404" in failure(download, folder, "404")
    fetch(wanted(server, "right", name="third.h5"), folder)
    assert server.requests[-1] == "/right"  # any other address stays


def test_missing_certificates_are_no_matter_of_the_disk(folder, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/bundle")
    download = Download("file.h5", ("https://127.0.0.1:1/file",), limit=400_000, sha256=SHA256)
    assert download.urls[0] in failure(download, folder, "/no/such/bundle")


@pytest.mark.parametrize("mirror", ["hf-mirror.com", "https:", "http://[::1", "ftp://mirror"])
def test_a_mirror_that_is_no_address(server, folder, monkeypatch, mirror):
    monkeypatch.setenv("HF_ENDPOINT", mirror)
    with raises(ValueError, "HF_ENDPOINT", repr(mirror), "https"):
        fetch(wanted(server, urls=("https://huggingface.co/a/b",)), folder)


def test_two_at_the_same_time(server, folder):
    paths, errors = [], []

    def work():
        try:
            paths.append(fetch(wanted(server, "slow"), folder))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
        time.sleep(0.05)
    for thread in threads:
        thread.join()
    assert errors == []
    assert paths == [folder / "file.h5"] * 3
    assert (folder / "file.h5").read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == ["file.h5"]


@pytest.mark.parametrize(
    ("changes", "values"),
    [
        ({"name": "../file.h5"}, ["'../file.h5'"]),
        ({"name": ".."}, ["'..'"]),
        ({"urls": ()}, ["a.h5"]),
        ({"urls": ("file:///etc/passwd",)}, ["a.h5", "http", "https", "'file:///etc/passwd'"]),
        ({"urls": ("/etc/passwd",)}, ["a.h5", "http", "https", "'/etc/passwd'"]),
        ({"limit": 0}, ["a.h5", "limit", 1, 0]),
        ({"git_blob": None}, ["a.h5", "git_blob", "sha256", "md5", "sha256_from_server=True"]),
        ({"size": 0}, ["a.h5", "size", 1, 0]),
        ({"size": 2}, ["a.h5", "size", 1, 2]),
        ({"git_blob": GIT_BLOB[:-1]}, ["a.h5", "git_blob", 40, repr(GIT_BLOB[:-1])]),
        ({"git_blob": GIT_BLOB.upper()}, ["a.h5", "git_blob", 40, repr(GIT_BLOB.upper())]),
        ({"sha256": SHA256[:-1]}, ["a.h5", "sha256", 64, repr(SHA256[:-1])]),
        ({"sha256": SHA256 + "0"}, ["a.h5", "sha256", 64, repr(SHA256 + "0")]),
        ({"sha256": ""}, ["a.h5", "sha256", 64, "''"]),
        ({"md5": MD5[:-1]}, ["a.h5", "md5", 32, repr(MD5[:-1])]),
    ],
)
def test_download_is_checked(changes, values):
    with raises(ValueError, *values):
        Download(**{"name": "a.h5", "urls": ("https://a.b/c",), "limit": 1, "git_blob": GIT_BLOB} | changes)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_timeout_is_checked(server, folder, timeout):
    with raises(ValueError, "timeout", 0, timeout):
        fetch(wanted(server, "right"), folder, timeout=timeout)


def test_cache_folder(monkeypatch):
    for home in ("HOME", "USERPROFILE"):  # the second one on Windows
        monkeypatch.setenv(home, "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/someone")
    monkeypatch.setenv("RESNET50_CACHE", "~/own")
    assert cache_folder() == Path("/home/someone/own")
    monkeypatch.setenv("RESNET50_CACHE", "")
    assert cache_folder() == Path("/var/cache/someone/resnet50")
    monkeypatch.delenv("RESNET50_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/someone/.cache/resnet50")
