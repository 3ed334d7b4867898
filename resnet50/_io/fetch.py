"""Fetching public files: from one of several addresses, checked by hash, gone on with where it stopped.

Nothing stands under a file's final name unless its hash is right. What has come so far is kept beside it as
``.<name>.part`` and is gone on with next time. Each call writes to a name of its own and only reads what earlier calls
left, so two processes that fetch the same file at the same time cannot spoil each other's.
"""

from __future__ import annotations

import glob
import hashlib
import http.client
import math
import os
import re
import secrets
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import BinaryIO

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there so far and the size of the whole file, None where the server does not say."""

_PIECE = 1 << 16  # bytes
_PAGE = "it gave an HTML page, not the file"
_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml")


class DownloadError(OSError):
    """A file could not be fetched; its text is one line: each address with its reason, and what to do by hand."""


def _is_web(url: str) -> bool:
    return urllib.parse.urlsplit(url).scheme in ("http", "https")


@dataclass(frozen=True)
class Download:
    """A public file, known by its hash.

    Attributes:
        name: File name, without a folder.
        urls: http or https addresses that hold it, tried in order.
        limit: Most bytes that are taken, so that a wrong address cannot fill the disk.
        size: Its exact size in bytes, where that is published.
        git_blob: Its git blob id, as ``git hash-object`` gives it: 40 hexadecimal digits.
        sha256_start: First digits of its SHA-256, 8 to 64 hexadecimal digits.
        md5: Its MD5, 32 hexadecimal digits.
        sha256_from_server: Whether the file is known by no published hash, so that the SHA-256 is believed which the
            server itself states, as Hugging Face does with ``X-Linked-ETag``. That guards against a broken transfer,
            not against a changed file. It is kept beside the file, as ``<name>.sha256``, to check by later.

    Raises:
        ValueError: If the name has a folder, an address is not http or https, a hash is not as described, or there is
            no hash to check by.
    """

    name: str
    urls: tuple[str, ...]
    limit: int
    size: int | None = None
    git_blob: str | None = None
    sha256_start: str | None = None
    md5: str | None = None
    sha256_from_server: bool = False

    def __post_init__(self) -> None:
        if self.name in ("", ".", "..") or re.search(r'[/\\:"\x00-\x1f]', self.name):
            raise ValueError(f"a download's name must be a file name without a folder, got {self.name!r}.")
        if not self.urls:
            raise ValueError(f"{self.name}: expected at least one address, got none.")
        for url in self.urls:
            if not _is_web(url):
                raise ValueError(f"{self.name}: expected an http or https address, got {url!r}.")
        if self.limit < 1:
            raise ValueError(f"{self.name}: limit must be at least 1 byte, got {self.limit!r}.")
        if self.size is not None and not 0 < self.size <= self.limit:
            raise ValueError(f"{self.name}: size must be 1 to {self.limit} bytes (the limit), got {self.size!r}.")
        for name, shortest, longest in (("git_blob", 40, 40), ("sha256_start", 8, 64), ("md5", 32, 32)):
            digits = getattr(self, name)
            if digits is not None and not re.fullmatch(f"[0-9a-f]{{{shortest},{longest}}}", digits):
                count = longest if shortest == longest else f"{shortest} to {longest}"
                raise ValueError(f"{self.name}: {name} must be {count} digits of 0-9 and a-f, got {digits!r}.")
        if (self.git_blob or self.sha256_start or self.md5) is None and not self.sha256_from_server:
            raise ValueError(
                f"{self.name}: expected git_blob, sha256_start or md5 to check the file by, or sha256_from_server=True, "
                "got none."
            )

    def mismatch(self, file: BinaryIO | FileIO) -> str | None:
        """Say how an open file differs from the one that is meant.

        Args:
            file: Opened for reading in binary; its position is changed.

        Returns:
            What was found and what was needed, or None if the size and every hash are right.
        """
        size = file.seek(0, os.SEEK_END)
        if size > self.limit:
            return f"a file of {size} bytes, the most is {self.limit}"
        if self.size not in (None, size):
            return f"a file of {size} bytes, expected {self.size}"
        blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        sums = [
            (what, hasher, needed)
            for what, hasher, needed in (
                ("git blob id", blob, self.git_blob),
                ("sha256", hashlib.sha256(), self.sha256_start),
                ("md5", hashlib.md5(usedforsecurity=False), self.md5),
            )
            if needed is not None
        ]
        if not sums:
            return f"a file of {size} bytes and no SHA-256 to check it by"
        file.seek(0)
        while piece := file.read(_PIECE):
            for _, hasher, _ in sums:
                hasher.update(piece)
        for what, hasher, needed in sums:
            found = hasher.hexdigest()
            if not found.startswith(needed):
                rest = "…" if len(needed) < len(found) else ""
                return f"a file of {size} bytes with {what} {found}, expected {needed}{rest}"
        return None


def cache_folder() -> Path:
    """Return the folder for fetched files: ``$RESNET50_CACHE``, ``$XDG_CACHE_HOME/resnet50`` or ``~/.cache/resnet50``.

    The first of the three whose variable is set and not empty; the folder may not exist yet.
    """
    if own := os.environ.get("RESNET50_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "resnet50"
    return Path.home() / ".cache" / "resnet50"


def check(download: Download, folder: str | os.PathLike[str]) -> str | None:
    """Say what is wrong with a file that was fetched before; no network is needed.

    Args:
        download: Which file.
        folder: Where it is.

    Returns:
        What was found and what was needed, or None if the file is right.

    Raises:
        FileNotFoundError: If it is not there.
        OSError: If it cannot be read.
    """
    path = Path(folder, download.name)
    with path.open("rb") as file:
        return _with_kept_hash(download, path).mismatch(file)


def fetch(
    download: Download, folder: str | os.PathLike[str], *, progress: Progress | None = None, timeout: float = 30.0
) -> Path:
    """Fetch a file, unless it is there already.

    A file that is there but has the wrong hash is replaced, though only once the right one has come.

    Args:
        download: Which file.
        folder: Where to put it; made if it is missing.
        progress: Called as the file grows. The count falls only where a download has to start from its beginning.
        timeout: Seconds without a byte after which a connection is given up, above 0 and finite.

    Returns:
        The file in its folder, every hash of it checked.

    Raises:
        DownloadError: If none of the addresses gives the file, or it cannot be written.
        ValueError: If ``timeout`` is not above 0 and finite.
    """
    if not 0 < timeout < math.inf:
        raise ValueError(f"timeout must be above 0 seconds and finite, got {timeout!r}.")
    target = Path(folder, download.name)
    with _blamed_on(target):
        if _is_right(download, target):
            return target
        replaces = target.exists()
        target.parent.mkdir(parents=True, exist_ok=True)
    reasons = []
    with _Part(download, target) as part:
        right = download.mismatch(part.file) is None  # an earlier call may have stopped just before the end
        for url in download.urls:
            if right:
                break
            try:
                _receive(download, url, part, progress, timeout)
                right = True
            except _RefusedError as error:
                reasons.append(f"{url}: {error}")
        if right:
            part.publish()
            return target
    by_hand = f"put it at {target}{', in place of the wrong file that is there' if replaces else ''}"
    if download.sha256_from_server:
        by_hand += f", and what sha256sum prints of it at {_hash_path(target)}"
    raise DownloadError(
        f"{download.name} could not be fetched ({'; '.join(reasons)}); try again later, or fetch it by hand and "
        f"{by_hand}."
    )


class _RefusedError(Exception):
    """An address does not give the file; the text is the reason."""


class _Part:
    """A file in the making, under a name that no other call writes to.

    It begins with the most that earlier calls left. When the block ends without `publish`, it is left for later calls.
    """

    def __init__(self, download: Download, target: Path) -> None:
        self.download, self.target = download, target
        self.left = target.with_name(f".{target.name}.part")
        self.path = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")

    def __enter__(self) -> _Part:
        with _blamed_on(self.target):
            self.file: FileIO = self.path.open("x+b", buffering=0)  # unbuffered: an error shows at the write, not later
            try:
                self._take_over()
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        with suppress(FileNotFoundError):  # published, by this call or by another that cleared up
            if self.path.stat().st_size:
                self.path.replace(self.left)
            else:
                self.path.unlink()

    def write(self, piece: bytes) -> None:
        """Add bytes at the end."""
        rest = memoryview(piece)
        with _blamed_on(self.target):
            while rest:
                rest = rest[self.file.write(rest) :]

    def restart(self) -> None:
        """Drop what is there."""
        with _blamed_on(self.target):
            self.file.seek(0)
            self.file.truncate()

    def publish(self) -> None:
        """Give the file its final name, in one step; what other calls left is no longer needed."""
        with _blamed_on(self.target):
            os.fsync(self.file.fileno())
            self.file.close()
            if self.download.sha256_from_server:
                # First, so that the file never lacks it; should it be cut off here, the file is fetched again.
                _hash_path(self.target).write_text(f"{self.download.sha256_start}  {self.target.name}\n")
            try:
                self.path.replace(self.target)
            except FileNotFoundError:
                # Another call was first, and has cleared this part away.
                if not _is_right(self.download, self.target):
                    raise
            for leftover in self._leftovers():
                with suppress(OSError):  # in use elsewhere, or gone
                    leftover.unlink()

    def _take_over(self) -> None:
        sizes = {}
        for leftover in self._leftovers():
            with suppress(FileNotFoundError):
                sizes[leftover] = leftover.stat().st_size
        longest = max(
            (path for path in sizes if sizes[path] <= self.download.limit), key=sizes.__getitem__, default=None
        )
        if longest is not None:
            # Copied, not renamed: another call may still be writing to it.
            with suppress(FileNotFoundError, PermissionError), longest.open("rb") as source:
                while piece := source.read(_PIECE):
                    self.write(piece)

    def _leftovers(self) -> list[Path]:
        others = self.target.parent.glob(f".{glob.escape(self.target.name)}.{'[0-9a-f]' * 8}.part")
        return [path for path in (self.left, *others) if path != self.path]


def _receive(download: Download, url: str, part: _Part, progress: Progress | None, timeout: float) -> None:
    """Complete the part from one address.

    Raises:
        _RefusedError: If the address does not give the file. The part keeps what came of it, unless it is wrong.
    """
    resumed = _receive_rest(download, url, part, progress, timeout)
    found = part.download.mismatch(part.file)
    if found is not None and resumed:
        # The wrong bytes may be those from before.
        part.restart()
        _receive_rest(download, url, part, progress, timeout)
        found = part.download.mismatch(part.file)
    if found is not None:
        part.restart()
        raise _RefusedError(f"it gave {found}")


def _receive_rest(download: Download, url: str, part: _Part, progress: Progress | None, timeout: float) -> bool:
    """Add what is missing to the part; return whether bytes that were there before are kept."""
    done = part.file.seek(0, os.SEEK_END)
    response, linked = _open(url, done, timeout)
    with response:
        if response.headers.get_content_type() == "text/html":
            raise _RefusedError(_PAGE)
        if download.sha256_from_server:
            part.download = download = _with_stated_hash(download, linked)
        if response.status != http.client.PARTIAL_CONTENT:
            done = 0
        resumed = done > 0
        length = response.headers.get("Content-Length", "")
        total = done + int(length) if length.isdecimal() else None
        with _network(timeout):
            piece = response.read(512)  # at once, so that a page shows
        if not resumed:
            _refuse_stand_in(piece)
        if total is not None and total > download.limit:
            raise _RefusedError(f"it offers {total} bytes, the most that is taken is {download.limit}")
        if total is not None and download.size not in (None, total):
            raise _RefusedError(f"it offers {total} bytes, expected {download.size}")
        if not resumed:
            part.restart()
        while piece:
            done += len(piece)
            if done > download.limit:
                part.restart()
                raise _RefusedError(f"it gives more than {download.limit} bytes, the most that is taken")
            part.write(piece)
            if progress is not None:
                progress(done, total)
            with _network(timeout):
                piece = response.read1(_PIECE)
    if total is not None and done < total:
        raise _RefusedError(f"the connection ended after {done} of {total} bytes")
    return resumed


def _open(url: str, start: int, timeout: float) -> tuple[http.client.HTTPResponse, dict[str, str]]:
    """Ask for a file from byte ``start`` on; the answer is that (206) or the whole file (200), and what was stated."""
    headers = {"User-Agent": "resnet50", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    redirects = _WebOnly()
    opener = urllib.request.build_opener(redirects)
    with _network(timeout):
        try:
            # Download takes http and https addresses only, _WebOnly sees to redirects
            response = opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)  # noqa: S310
        except urllib.error.HTTPError as error:
            if not (start and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE):
                raise
            error.close()
            return _open(url, 0, timeout)
    if response.status == http.client.PARTIAL_CONTENT and (
        not start or not response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
    ):
        response.close()
        if not start:
            raise _RefusedError("it gave a part of the file where the whole was asked for")
        return _open(url, 0, timeout)
    redirects.note(response.headers)
    return response, redirects.linked


class _WebOnly(urllib.request.HTTPRedirectHandler):
    """Follow a redirect only to http or https (Python's own handler would go to ftp too), and note what it states."""

    def __init__(self) -> None:
        self.linked: dict[str, str] = {}

    def note(self, headers: http.client.HTTPMessage) -> None:
        """Keep what an answer states, unless one before it did: who was asked knows best."""
        if not self.linked:
            self.linked = {name: headers[name] for name in ("X-Linked-ETag", "X-Linked-Size") if name in headers}

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not _is_web(newurl):
            fp.close()
            raise _RefusedError(f"it redirects to {newurl!r}, only http and https are opened")
        self.note(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _with_stated_hash(download: Download, linked: dict[str, str]) -> Download:
    """Complete a download by the SHA-256, and the size if there is one, that the server states."""
    digits = linked.get("X-Linked-ETag", "").removeprefix("W/").strip('"')
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise _RefusedError("it states no SHA-256 to check the file by (X-Linked-ETag)")
    size = linked.get("X-Linked-Size", "")
    if not size.isdecimal():
        return replace(download, sha256_start=digits)
    if not 0 < int(size) <= download.limit:
        raise _RefusedError(f"it offers {int(size)} bytes, the most that is taken is {download.limit}")
    return replace(download, sha256_start=digits, size=int(size))


def _with_kept_hash(download: Download, path: Path) -> Download:
    """Complete a download by the SHA-256 that was kept beside the file, if that is how it is checked."""
    if download.sha256_from_server:
        with suppress(FileNotFoundError):
            digits = _hash_path(path).read_text(encoding="ascii", errors="replace")[:64]
            if re.fullmatch("[0-9a-f]{64}", digits):
                return replace(download, sha256_start=digits)
    return download


def _hash_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")


def _is_right(download: Download, path: Path) -> bool:
    try:
        return check(download, path.parent) is None
    except FileNotFoundError:
        return False


def _refuse_stand_in(start: bytes) -> None:
    if not start:
        raise _RefusedError("it gave an empty file")
    if start.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGE_STARTS):
        raise _RefusedError(_PAGE)
    if start.startswith(b"version https://git-lfs"):
        raise _RefusedError("it gave a Git LFS pointer, not the file")


@contextmanager
def _network(timeout: float) -> Iterator[None]:
    """Turn what goes wrong on the way into a reason of one line."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise _RefusedError(f"the server answered {error.code} {_one_line(error.reason)}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, TimeoutError):
            raise _RefusedError(f"nothing came for {timeout:g} seconds") from error
        raise _RefusedError(f"the connection failed ({_one_line(cause) or type(cause).__name__})") from error


@contextmanager
def _blamed_on(target: Path) -> Iterator[None]:
    """Turn what goes wrong on the disk into a `DownloadError`."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"{target} cannot be written ({error.strerror or error}); make room or get the right to write there, "
            "or choose another folder."
        ) from error


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
