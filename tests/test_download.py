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

import pytest

from resnet50.download import Download, DownloadError, cache_folder, check, fetch

CONTENT = bytes((i * 31 + i // 251) % 256 for i in range(300_000))
GIT_BLOB = hashlib.sha1(b"blob 300000\0" + CONTENT).hexdigest()  # noqa: S324
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()  # noqa: S324


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        wanted = self.headers.get("Range")
        entry = [self.path, wanted, 0]
        self.server.requests.append(entry)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        getattr(self, "serve_" + self.path.strip("/"))(entry, start)

    def send(self, body, *, status=200, headers=(), entry=None, declared=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if declared is None else declared))
        for header in headers:
            self.send_header(*header)
        self.end_headers()
        if entry is not None:
            # before the body: the client may be done with it before this thread goes on
            entry[2] = len(body)
        self.wfile.write(body)

    def serve_range(self, entry, start):
        if start >= len(CONTENT):
            return self.send(b"", status=416)
        if not start:
            return self.send(CONTENT, entry=entry)
        span = ("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        return self.send(CONTENT[start:], status=206, headers=[span], entry=entry)

    def serve_norange(self, entry, _):
        self.send(CONTENT, entry=entry)

    def serve_chunked(self, *_):
        self.protocol_version = "HTTP/1.1"
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        for at in range(0, len(CONTENT), 70_000):
            piece = CONTENT[at : at + 70_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")

    def serve_otherrange(self, entry, start):
        # gives a part, though not the part that was asked for
        if not start:
            return self.send(CONTENT, entry=entry)
        span = ("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")
        return self.send(CONTENT, status=206, headers=[span], entry=entry)

    def serve_alwayspart(self, *_):
        self.send(CONTENT[:100], status=206, headers=[("Content-Range", "bytes 0-99/300000")])

    def serve_cut(self, entry, _):
        self.send(CONTENT[:100_000], declared=len(CONTENT), entry=entry)

    def serve_cutonce(self, entry, start):
        (self.serve_range if len(self.server.requests) > 1 else self.serve_cut)(entry, start)

    def serve_slow(self, *_):
        self.send(CONTENT[:150_000], declared=len(CONTENT))
        self.wfile.flush()
        time.sleep(0.3)
        self.wfile.write(CONTENT[150_000:])

    def serve_wrong(self, entry, _):
        self.send(CONTENT[::-1], entry=entry)

    def serve_html(self, *_):
        self.send(b"\n\n\n <!DOCTYPE html><html><title>train_signs.h5</title></html>")

    def serve_htmltype(self, *_):
        self.send(b"<p>" * 1000, headers=[("Content-Type", "text/html; charset=utf-8")])

    def serve_lfs(self, *_):
        self.send(b"version https://git-lfs.github.com/spec/v1\noid sha256:4748\nsize 13281872\n")

    def serve_empty(self, *_):
        self.send(b"")

    def serve_404(self, *_):
        self.send(b"no", status=404)

    def serve_500(self, *_):
        self.send(b"no", status=500)

    def serve_redirect(self, *_):
        self.send(b"", status=302, headers=[("Location", "/range")])

    def lead(self, page, **stated):
        """A redirect as Hugging Face's: it states what it leads to."""
        headers = [(f"X-Linked-{name}", value) for name, value in stated.items()]
        self.send(b"", status=302, headers=[("Location", page), *headers])

    def serve_linked(self, *_):
        self.lead("/range", ETag=f'"{SHA256}"', Size="300000")

    def serve_weaklinked(self, *_):
        self.lead("/range", ETag=f'W/"{SHA256}"')

    def serve_relinked(self, *_):
        self.lead("/liar", ETag=f'"{SHA256}"')

    def serve_liar(self, *_):
        self.lead("/range", ETag=f'"{"0" * 64}"', Size="7")

    def serve_linkedcut(self, *_):
        self.lead("/cut", ETag=f'"{SHA256}"', Size="300000")

    def serve_linkedlfs(self, *_):
        self.lead("/lfs", ETag=f'"{SHA256}"', Size="300000")

    def serve_linkedwrong(self, *_):
        self.lead("/wrong", ETag=f'"{SHA256}"', Size="300000")

    def serve_linkedhuge(self, *_):
        self.lead("/range", ETag=f'"{SHA256}"', Size="1000000000000")

    def serve_linkedblob(self, *_):
        self.lead("/range", ETag=f'"{GIT_BLOB}"', Size="300000")

    def serve_direct(self, *_):
        self.send(CONTENT, headers=[("X-Linked-ETag", f'"{SHA256}"')])

    def serve_tofile(self, *_):
        self.send(b"", status=302, headers=[("Location", self.server.secret.as_uri())])

    def serve_toftp(self, *_):
        self.send(b"", status=302, headers=[("Location", "ftp://127.0.0.1/file")])

    def serve_loop(self, *_):
        self.send(b"", status=302, headers=[("Location", "/loop")])

    def serve_stall(self, entry, _):
        self.send(CONTENT[:1000], declared=len(CONTENT), entry=entry)
        self.server.release.wait(60)

    def serve_silent(self, *_):
        self.server.release.wait(60)

    def serve_huge(self, *_):
        self.send(CONTENT, declared=10**12)

    def serve_endless(self, *_):
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


def failure(download, folder, **options):
    with pytest.raises(DownloadError) as raised:
        fetch(download, folder, **options)
    text = str(raised.value)
    assert "\n" not in text
    assert isinstance(raised.value, OSError)
    return text


@pytest.mark.parametrize("page", ["range", "norange", "redirect", "chunked"])
def test_right_file(server, folder, page):
    path = fetch(wanted(server, page, sha256_start=SHA256[:16]), folder)
    assert path == folder / "file.h5"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == ["file.h5"]


def test_permissions_follow_the_umask(server, folder):
    before = os.umask(0o027)
    try:
        path = fetch(wanted(server, "range"), folder)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ("cut", r"the connection ended after 100000 of 300000 bytes"),
        ("wrong", r"it gave a file of 300000 bytes with git blob id [0-9a-f]{40}, needed " + GIT_BLOB),
        ("html", r"it gave an HTML page, not the file"),
        ("htmltype", r"it gave an HTML page, not the file"),
        ("lfs", r"it gave a Git LFS pointer, not the file"),
        ("empty", r"it gave an empty file"),
        ("404", r"the server answered 404 Not Found"),
        ("500", r"the server answered 500 Internal Server Error"),
        ("tofile", r"the server answered 302 .*'file:///.*' is not allowed"),
        ("toftp", r"it redirects to 'ftp://127.0.0.1/file', only http and https are opened"),
        ("loop", r"the server answered 302 .*infinite loop.*"),
        ("huge", r"it offers 1000000000000 bytes, the most that is taken is 400000"),
        ("endless", r"it gives more than 400000 bytes, the most that is taken"),
        ("alwayspart", r"it gave a part of the file where the whole was asked for"),
    ],
)
def test_refused(server, folder, page, reason):
    text = failure(wanted(server, page), folder)
    assert re.fullmatch(
        rf"file\.h5 could not be fetched \(http://127\.0\.0\.1:\d+/{page}: {reason}\); "
        rf"try again later, or fetch it by hand and put it at {re.escape(str(folder / 'file.h5'))}\.",
        text,
    )
    # What was refused is gone; only what can be gone on with stays, and not under the final name.
    assert [entry.name for entry in folder.iterdir()] == ([".file.h5.part"] if page == "cut" else [])


@pytest.mark.parametrize(
    ("known", "found"),
    [
        ({"sha256_start": "0" * 16}, f"with sha256 {SHA256}, needed 0000000000000000…"),
        ({"sha256_start": "0" * 64}, f"with sha256 {SHA256}, needed {'0' * 64})"),
        ({"sha256_start": f"{int(SHA256[:8], 16) ^ 1:08x}"}, f"with sha256 {SHA256}, needed "),
        ({"md5": "0" * 32}, f"with md5 {MD5}, needed {'0' * 32})"),
        ({"sha256_start": SHA256, "md5": "0" * 32}, f"with md5 {MD5}, needed"),
    ],
)
def test_wrong_hash(server, folder, known, found):
    text = failure(wanted(server, "range", git_blob=None, **known), folder)
    assert f": it gave a file of 300000 bytes {found}" in text


@pytest.mark.parametrize("known", [{"sha256_start": SHA256[:8]}, {"sha256_start": SHA256}, {"md5": MD5}])
def test_each_hash_alone_is_enough(server, folder, known):
    assert fetch(wanted(server, "range", git_blob=None, size=300_000, **known), folder).read_bytes() == CONTENT


def test_another_size_is_refused_before_it_is_taken(server, folder):
    seen = []
    text = failure(wanted(server, "range", size=300_001), folder, progress=lambda *counts: seen.append(counts))
    assert "/range: it offers 300000 bytes, needed 300001)" in text
    assert seen == []
    assert "it gave a file of 300000 bytes, needed 300001" in failure(wanted(server, "chunked", size=300_001), folder)


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
    ("page", "reason"),
    [
        ("redirect", r"it states no SHA-256 to check the file by \(X-Linked-ETag\)"),
        ("linkedblob", r"it states no SHA-256 to check the file by \(X-Linked-ETag\)"),
        ("linkedwrong", r"it gave a file of 300000 bytes with sha256 [0-9a-f]{64}, needed " + SHA256),
        ("linkedlfs", r"it gave a Git LFS pointer, not the file"),
        ("linkedhuge", r"it offers 1000000000000 bytes, the most that is taken is 400000"),
        ("liar", r"it offers 300000 bytes, needed 7"),
    ],
)
def test_what_the_server_states_is_not_believed_blindly(server, folder, page, reason):
    text = failure(stated(server, page), folder)
    target = re.escape(str(folder / "file.h5"))
    assert re.fullmatch(
        rf"file\.h5 could not be fetched \(http://127\.0\.0\.1:\d+/{page}: {reason}\); try again later, or fetch it by "
        rf"hand and put it at {target}, and what sha256sum prints of it at {target}\.sha256\.",
        text,
    )
    assert list(folder.iterdir()) == []


def test_a_stated_hash_does_not_outlive_its_mirror(server, folder):
    # the first states a size too; the second, which has the file, does not
    assert fetch(stated(server, "liar", "weaklinked"), folder).read_bytes() == CONTENT


def test_resumes_under_a_stated_hash(server, folder):
    failure(stated(server, "linkedcut"), folder)
    assert fetch(stated(server, "linked"), folder).read_bytes() == CONTENT
    assert server.requests[-1] == ["/range", "bytes=100000-", 200_000]


def test_starts_again_where_the_stated_file_is_another_than_the_part(server, folder):
    folder.mkdir(parents=True)
    (folder / ".file.h5.part").write_bytes(b"x" * 1000)
    assert fetch(stated(server, "linked"), folder).read_bytes() == CONTENT


@pytest.mark.parametrize("kept", [None, "", "zz" * 32, "0" * 63])
def test_a_file_whose_hash_was_not_kept_is_fetched_again(server, folder, kept):
    download = stated(server, "linked")
    fetch(download, folder)
    if kept is None:
        (folder / "file.h5.sha256").unlink()
    else:
        (folder / "file.h5.sha256").write_text(kept)
    assert check(download, folder) == "a file of 300000 bytes and no SHA-256 to check it by"
    asked = len(server.requests)
    assert fetch(download, folder).read_bytes() == CONTENT
    assert len(server.requests) > asked
    assert check(download, folder) is None


def test_check_says_what_is_wrong(server, folder):
    download = wanted(server, "range")
    with pytest.raises(FileNotFoundError):
        check(download, folder)
    fetch(download, folder)
    assert check(download, str(folder)) is None
    (folder / "file.h5").write_bytes(b"bad")
    assert re.fullmatch(
        f"a file of 3 bytes with git blob id [0-9a-f]{{40}}, needed {GIT_BLOB}", check(download, folder)
    )
    fetch(stated(server, "linked"), folder)
    (folder / "file.h5").write_bytes(b"bad")
    assert re.fullmatch(
        f"a file of 3 bytes with sha256 [0-9a-f]{{64}}, needed {SHA256}", check(stated(server, "linked"), folder)
    )
    assert len(server.requests) == 3


@pytest.mark.parametrize("page", ["stall", "silent"])
def test_stalled_connection(server, folder, page):
    began = time.monotonic()
    text = failure(wanted(server, page), folder, timeout=0.2)
    assert "nothing came for 0.2 seconds" in text
    assert time.monotonic() - began < 30


def test_nobody_listens(server, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = failure(wanted(server, "range", urls=(f"http://127.0.0.1:{port}/x",)), folder)
    assert "the connection failed (" in text
    assert "refused" in text


def test_resumes_after_a_cut(server, folder):
    download = wanted(server, "cutonce")
    failure(download, folder)
    seen = []
    path = fetch(download, folder, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert server.requests == [["/cutonce", None, 100_000], ["/cutonce", "bytes=100000-", 200_000]]
    assert seen[0][0] > 100_000
    assert seen[-1] == (300_000, 300_000)
    assert [entry.name for entry in folder.iterdir()] == ["file.h5"]


def test_next_mirror_goes_on_where_the_first_was_cut(server, folder):
    path = fetch(wanted(server, "cut", "range"), folder)
    assert path.read_bytes() == CONTENT
    assert server.requests == [["/cut", None, 100_000], ["/range", "bytes=100000-", 200_000]]


@pytest.mark.parametrize("page", ["norange", "otherrange"])
def test_starts_again_where_the_range_is_not_kept(server, folder, page):
    path = fetch(wanted(server, "cut", page), folder)
    assert path.read_bytes() == CONTENT
    assert server.requests[1] == [f"/{page}", "bytes=100000-", 300_000]


@pytest.mark.parametrize("size", [5, 299_999, 300_000, 399_999, 500_000])
@pytest.mark.parametrize("name", [".file.h5.part", ".file.h5.0123abcd.part"])
def test_stale_part_of_another_file(server, folder, size, name):
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"x" * size)
    path = fetch(wanted(server, "range"), folder)
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in folder.iterdir()] == ["file.h5"]


def test_complete_part_needs_no_request(server, folder):
    folder.mkdir(parents=True)
    (folder / ".file.h5.part").write_bytes(CONTENT)
    assert fetch(wanted(server, "404"), folder).read_bytes() == CONTENT
    assert server.requests == []


def test_part_left_by_a_killed_process_is_gone_on_with(server, folder):
    folder.mkdir(parents=True)
    (folder / ".file.h5.part").write_bytes(CONTENT[:10])
    (folder / ".file.h5.0123abcd.part").write_bytes(CONTENT[:250_000])
    (folder / ".file.h5.gz.part").write_bytes(b"another download's")
    assert fetch(wanted(server, "range"), folder).read_bytes() == CONTENT
    assert server.requests == [["/range", "bytes=250000-", 50_000]]
    assert sorted(entry.name for entry in folder.iterdir()) == [".file.h5.gz.part", "file.h5"]


def test_second_mirror_after_the_first_fails(server, folder):
    assert fetch(wanted(server, "404", "wrong", "range"), folder).read_bytes() == CONTENT
    assert [entry[0] for entry in server.requests] == ["/404", "/wrong", "/range"]


def test_error_lists_each_mirror(server, folder):
    text = failure(wanted(server, "404", "html"), folder)
    assert re.search(r"/404: the server answered 404 Not Found; http://\S+/html: it gave an HTML page", text)


def test_good_file_needs_no_request(server, folder):
    folder.mkdir(parents=True)
    (folder / "file.h5").write_bytes(CONTENT)
    assert fetch(wanted(server, "404"), str(folder)) == folder / "file.h5"
    assert server.requests == []


@pytest.mark.parametrize("bad", [b"", b"bad", CONTENT + b"x", b"x" * 500_000])
def test_bad_file_is_replaced_by_the_right_one(server, folder, bad):
    folder.mkdir(parents=True)
    (folder / "file.h5").write_bytes(bad)
    assert fetch(wanted(server, "range"), folder).read_bytes() == CONTENT


def test_bad_file_stays_until_the_right_one_has_come(server, folder):
    folder.mkdir(parents=True)
    (folder / "file.h5").write_bytes(b"bad")
    text = failure(wanted(server, "wrong"), folder)
    assert text.endswith("file.h5, in place of the wrong file that is there.")
    assert (folder / "file.h5").read_bytes() == b"bad"


def test_disk_full(server, folder, monkeypatch):
    class FullDisk(io.FileIO):
        def write(self, data):
            if self.tell() + len(data) > 200_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    opened = Path.open
    monkeypatch.setattr(
        Path, "open", lambda path, mode="r", **_: FullDisk(path, "x+") if mode == "x+b" else opened(path, mode)
    )
    text = failure(wanted(server, "range", "norange"), folder)
    assert text == (
        f"{folder / 'file.h5'} cannot be written (No space left on device); make room or get the right to write there, "
        "or choose another folder."
    )
    assert len(server.requests) == 1  # another address would not help
    assert [entry.name for entry in folder.iterdir()] == [".file.h5.part"]
    monkeypatch.undo()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert fetch(wanted(server, "range"), folder).read_bytes() == CONTENT


def test_folder_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written (Not a directory)" in failure(wanted(server, "range"), tmp_path / "file" / "folder")


def test_folder_under_the_final_name(server, folder):
    (folder / "file.h5").mkdir(parents=True)
    assert "cannot be written (Is a directory)" in failure(wanted(server, "range"), folder)
    assert server.requests == []


def test_complete_part_is_kept_if_it_cannot_get_its_name(server, folder, monkeypatch):
    replace = Path.replace

    def refuse(path, target):
        if target == folder / "file.h5":
            raise PermissionError(errno.EACCES, "Permission denied")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", refuse)
    assert "cannot be written (Permission denied)" in failure(wanted(server, "range"), folder)
    assert [entry.name for entry in folder.iterdir()] == [".file.h5.part"]
    assert (folder / ".file.h5.part").read_bytes() == CONTENT


@pytest.mark.parametrize("page", ["range", "chunked"])
def test_progress_is_monotone(server, folder, page):
    seen = []
    fetch(wanted(server, page), folder, progress=lambda done, total: seen.append((done, total)))
    counts = [done for done, _ in seen]
    assert counts == sorted(set(counts))
    assert counts[-1] == 300_000
    assert {total for _, total in seen} == ({300_000} if page == "range" else {None})


def test_interrupt_keeps_what_has_come(server, folder):
    def stop(done, _):
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(wanted(server, "range"), folder, progress=stop)
    kept = folder / ".file.h5.part"
    assert list(folder.iterdir()) == [kept]
    assert kept.stat().st_size > 100_000
    assert CONTENT.startswith(kept.read_bytes())


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
    ("changes", "text"),
    [
        ({"name": "../file.h5"}, "must be a file name without a folder, got '../file.h5'"),
        ({"name": ".."}, "must be a file name without a folder"),
        ({"urls": ()}, "needed at least one address, got none"),
        ({"urls": ("file:///etc/passwd",)}, "needed an http or https address, got 'file:///etc/passwd'"),
        ({"urls": ("/etc/passwd",)}, "needed an http or https address"),
        ({"limit": 0}, "limit must be at least 1 byte, got 0"),
        ({"git_blob": None}, "needed git_blob, sha256_start or md5 to check the file by, or sha256_from_server=True"),
        ({"size": 0}, "size must be 1 to 1 bytes (the limit), got 0"),
        ({"size": 2}, "size must be 1 to 1 bytes (the limit), got 2"),
        ({"git_blob": GIT_BLOB[:-1]}, "git_blob must be 40 digits"),
        ({"git_blob": GIT_BLOB.upper()}, "git_blob must be 40 digits"),
        ({"sha256_start": SHA256[:7]}, "sha256_start must be 8 to 64 digits"),
        ({"sha256_start": SHA256 + "0"}, "sha256_start must be 8 to 64 digits"),
        ({"sha256_start": ""}, "sha256_start must be 8 to 64 digits"),
        ({"md5": MD5[:-1]}, "md5 must be 32 digits"),
    ],
)
def test_download_is_checked(changes, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Download(**{"name": "a.h5", "urls": ("https://a.b/c",), "limit": 1, "git_blob": GIT_BLOB} | changes)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf")])
def test_timeout_is_checked(server, folder, timeout):
    with pytest.raises(ValueError, match="timeout must be above 0 seconds"):
        fetch(wanted(server, "range"), folder, timeout=timeout)


def test_cache_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/cache/someone")
    monkeypatch.setenv("RESNET50_CACHE", "~/own")
    assert cache_folder() == Path("/home/someone/own")
    monkeypatch.setenv("RESNET50_CACHE", "")
    assert cache_folder() == Path("/var/cache/someone/resnet50")
    monkeypatch.delenv("RESNET50_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path("/home/someone/.cache/resnet50")
