"""Fetch public files from one of several addresses and check them by hash.

pooch retries and removes what is incomplete. This module adds what pooch does not have: git blob ids, hashes that a
server states, limits of size and time, several addresses and errors of one line. A file gets its final name only after
its size and hashes have been checked, so two processes can fetch the same file at the same time.
"""

from __future__ import annotations

import logging
import math
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urljoin, urlsplit

from resnet50._io.download import Download
from resnet50._io.files import atomic_path, write_text
from resnet50._io.text import printable

if TYPE_CHECKING:
    import requests

    from resnet50._io.deadline import Deadline

Progress = Callable[[int, int | None], None]
"""Called with the number of bytes received and the size of the whole file, None if the server does not state it."""

_RETRIES = 2  # per address, after a broken connection, a server error or a wrong hash
_PIECE = 1 << 16  # bytes
_ANSWER = 4  # timeouts in which an address has to answer, redirects included
_SLOWEST = 20_000  # bytes a second; a file may take as long as at this rate
_LENGTH = re.compile("[0-9]{1,18}")
_HUGGING_FACE = "https://huggingface.co"
_HEADERS = {"User-Agent": "resnet50", "Accept-Encoding": "identity"}
_PAGE = "it gave an HTML page, not the file"
_PAGE_STARTS = (b"<!doctype", b"<html", b"<head", b"<?xml")


class DownloadError(OSError):
    """A file could not be fetched. The one-line text names each address with its reason, and what to do by hand."""


def cache_folder() -> Path:
    """Return the folder for fetched files: ``$RESNET50_CACHE``, ``$XDG_CACHE_HOME/resnet50`` or ``~/.cache/resnet50``.

    The first whose variable is set and not empty. The folder may not exist yet.
    """
    if own := os.environ.get("RESNET50_CACHE"):
        return Path(own).expanduser()
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared).expanduser() / "resnet50"
    return Path.home() / ".cache" / "resnet50"


def check(download: Download, folder: str | os.PathLike[str]) -> str | None:
    """Check a file that was fetched before, without network access.

    Args:
        download: The file to check.
        folder: Its folder.

    Returns:
        The difference, as "a file of ..., expected ...", or None if the file is right.

    Raises:
        FileNotFoundError: If the file does not exist.
        OSError: If the file cannot be read.
    """
    path = Path(folder, download.name)
    return _with_stored_hash(download, path).mismatch(path)


def fetch(
    download: Download, folder: str | os.PathLike[str], *, progress: Progress | None = None, timeout: float = 30.0
) -> Path:
    """Fetch a file, unless it exists already and is right.

    An existing file that is wrong is replaced once the right one has been received. File permissions follow the umask.

    Args:
        download: The file to fetch.
        folder: Where to put it; created if it does not exist.
        progress: Called as the file grows. The count falls only when a download starts again.
        timeout: Seconds without a byte after which a connection is given up, above 0 and finite. An address has to
            answer within four times as long, and may send the file at 20 kB a second or faster.

    Returns:
        Path of the file; its size and every hash have been checked.

    Raises:
        DownloadError: If no address gives the file, or the file cannot be written.
        ValueError: If ``timeout`` or ``$HF_ENDPOINT`` is not as described.
    """
    if not 0 < timeout < math.inf:
        raise ValueError(f"expected timeout to be above 0 seconds and finite, got {timeout!r}.")
    target = Path(folder, download.name)
    reasons = []
    try:
        replaces = target.exists()
        if replaces and check(download, folder) is None:
            return target
        for url in map(_mirrored, download.urls):
            try:
                with atomic_path(target) as temporary:
                    received = _receive(download, url, temporary, progress, timeout)
                    if download.sha256_from_server:  # written first: a file without its hash would be fetched again
                        write_text(_hash_path(target), f"{received.sha256}  {target.name}\n")
            except _RefusedError as error:
                reasons.append(f"{url}: {printable(error)}")
            else:
                return target
    except OSError as error:
        raise DownloadError(
            f"{target} cannot be written ({error.strerror or error}); make room, get permission to write there, or "
            "choose another folder (RESNET50_CACHE names that of the cache)."
        ) from error
    by_hand = f"save it as {target}{', in place of the wrong file there' if replaces else ''}"
    if download.sha256_from_server:
        by_hand += f", and the output of sha256sum for it as {_hash_path(target)}"
    raise DownloadError(
        f"{download.name} could not be fetched ({'; '.join(reasons)}); try again later, or download it by hand and "
        f"{by_hand}."
    )


class _RefusedError(Exception):
    """An address does not give the file; the text is the reason. pooch does not retry after it."""


class _RetryError(ValueError):
    """An address does not give the file now; the text is the reason. pooch retries after a ValueError."""


def _receive(download: Download, url: str, path: Path, progress: Progress | None, timeout: float) -> Download:
    """Receive a file from one address; return the download, with the hash that the server stated."""
    import pooch  # here and not above, for a tenth of a second each
    import requests

    received = download

    def receive(url: str, temporary: str, _: object) -> None:
        nonlocal received
        with (
            Path(temporary).open("wb") as file,
            closing(_Attempt(download, file, progress, timeout)) as attempt,
            _one_reason(),
            _in_time(attempt.deadline),
        ):
            attempt.receive(url)
        if not attempt.done:
            raise _RefusedError("it gave an empty file")
        received = attempt.download
        if wrong := received.mismatch(temporary):
            raise _RetryError(f"it gave {wrong}")

    path.unlink()  # pooch would return an existing file, since it cannot check git blob ids
    pooch.get_logger().setLevel(logging.WARNING)  # else it reports each download on standard error
    store = pooch.Pooch(path.parent, "", {path.name: None}, {path.name: url}, retry_if_failed=_RETRIES)
    try:
        store.fetch(path.name, downloader=receive)
    except _RetryError as error:
        raise _RefusedError(str(error)) from error
    except requests.RequestException as error:
        cause: BaseException = next((arg for arg in error.args if isinstance(arg, BaseException)), error)
        while cause.__cause__ is not None:
            cause = cause.__cause__
        if isinstance(cause, TimeoutError):
            raise _RefusedError(f"nothing came for {timeout:g} seconds") from error
        text = " ".join(str(cause).split()) or type(cause).__name__
        raise _RefusedError(f"the connection failed ({text})") from error
    return received


@contextmanager
def _in_time(deadline: Deadline) -> Iterator[None]:
    """Refuse an answer that takes too long, whatever its connection raised when it was cut."""
    try:
        yield
    except Exception as error:
        if not deadline.passed:
            raise
        raise _RefusedError(f"it took more than {deadline.seconds:,.3g} seconds") from error
    if deadline.passed:
        raise _RefusedError(f"it took more than {deadline.seconds:,.3g} seconds")


@contextmanager
def _one_reason() -> Iterator[None]:
    """Refuse an answer that requests cannot understand, which no second try would change."""
    import requests

    try:
        yield
    except (_RefusedError, _RetryError):
        raise
    except requests.TooManyRedirects as error:
        raise _RefusedError(f"it redirects more than {requests.models.DEFAULT_REDIRECT_LIMIT} times") from error
    except requests.RequestException:
        raise
    except ValueError as error:  # an address in a redirect
        raise _RefusedError(f"it gave an answer that makes no sense ({' '.join(str(error).split())[:200]})") from error
    except OSError as error:
        if error.errno is not None:  # of the disk
            raise
        raise _RefusedError(" ".join(str(error).split())) from error  # certificates, where requests cannot find them


class _Attempt:
    """One request: checks each answer before it is followed or read, and each piece before it is written."""

    def __init__(self, download: Download, file: BinaryIO, progress: Progress | None, timeout: float) -> None:
        from resnet50._io.deadline import Deadline

        self.download, self.file, self.progress, self.timeout = download, file, progress, timeout
        self.deadline = Deadline()
        self.response: requests.Response | None = None
        self.stated = ""
        self.done = 0
        self.total: int | None = None

    def receive(self, url: str) -> None:
        """Ask for the file, and write it piece by piece."""
        from resnet50._io.deadline import limited_session

        self.deadline.allow(_ANSWER * self.timeout)
        options: Any = {"timeout": self.timeout, "headers": _HEADERS, "hooks": {"response": self.check_answer}}
        with limited_session(self.deadline) as session:
            for piece in session.get(url, stream=True, **options).iter_content(_PIECE):
                self.write(piece)

    def check_answer(self, response: requests.Response, **_: object) -> None:
        """Refuse an answer that cannot lead to the file; requests calls this for each answer, redirects included."""
        self.response = response
        # the first server that states a hash knows it best
        self.stated = self.stated or response.headers.get("X-Linked-ETag", "")
        if response.is_redirect:
            _check_redirect(response.url, urljoin(response.url, response.headers["Location"]))
            response.raw.close()  # what else it says may have no end, and requests would read it
        elif response.status_code >= 500:
            raise _RetryError(_status(response))
        else:
            self._check_content(response)

    def _check_content(self, response: requests.Response) -> None:
        if response.status_code != 200:
            raise _RefusedError(_status(response))
        if response.headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/html":
            raise _RefusedError(_PAGE)
        if self.download.sha256_from_server:
            self.download = _with_stated_hash(self.download, self.stated)
        if (encoding := response.headers.get("Content-Encoding", "identity").strip().lower()) not in ("", "identity"):
            raise _RefusedError(f"it gave the file with the encoding {encoding[:20]!r}, expected none")
        if (length := response.headers.get("Content-Length")) is not None:
            if not _LENGTH.fullmatch(length):
                raise _RefusedError(f"it states the length {length[:20]!r}, expected a number of bytes")
            self.total = int(length)
            if self.total > self.download.limit:
                raise _RefusedError(f"it offers {self.total} bytes, expected at most {self.download.limit}")
            if self.download.size not in (None, self.total):
                raise _RefusedError(f"it offers {self.total} bytes, expected {self.download.size}")
        size = self.download.limit if self.total is None else self.total
        self.deadline.allow(max(_ANSWER * self.timeout, size / _SLOWEST))

    def write(self, piece: bytes) -> None:
        """Check and write a piece that is not empty."""
        if not self.done:
            if piece.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGE_STARTS):
                raise _RefusedError(_PAGE)
            if piece.startswith(b"version https://git-lfs"):
                raise _RefusedError("it gave a Git LFS pointer, not the file")
        self.done += len(piece)
        if self.done > self.download.limit:
            raise _RefusedError(f"it gave more than {self.download.limit} bytes, which is the limit")
        self.file.write(piece)
        if self.progress is not None:
            self.progress(self.done, self.total)

    def close(self) -> None:
        """Close the connection; requests leaves it open after an answer that was refused."""
        self.deadline.cancel()
        if self.response is not None:
            self.response.close()


def _mirrored(url: str) -> str:
    """Return an address of huggingface.co at the mirror that ``$HF_ENDPOINT`` names, any other as it is."""
    mirror = os.environ.get("HF_ENDPOINT", "").rstrip("/")
    if not mirror or not url.startswith(f"{_HUGGING_FACE}/"):
        return url
    try:
        address = urlsplit(mirror)
    except ValueError:  # of a host in brackets
        address = urlsplit("")
    if address.scheme not in ("http", "https") or not address.hostname:
        raise ValueError(f"HF_ENDPOINT: expected an http or https address, got {mirror!r}; correct or unset it.")
    return mirror + url.removeprefix(_HUGGING_FACE)


def _check_redirect(old: str, new: str) -> None:
    schemes = urlsplit(old).scheme, urlsplit(new).scheme
    if schemes[1] not in ("http", "https") or schemes == ("https", "http"):
        raise _RefusedError(
            f"it redirects to {new!r}, expected {'https' if schemes[0] == 'https' else 'http or https'}"
        )


def _status(response: requests.Response) -> str:
    return " ".join(f"the server answered {response.status_code} {response.reason}".split())[:100]


def _with_stated_hash(download: Download, entity_tag: str) -> Download:
    digits = entity_tag.removeprefix("W/").strip('"')
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise _RefusedError("it states no SHA-256 to check the file by (X-Linked-ETag)")
    return replace(download, sha256=digits)


def _with_stored_hash(download: Download, path: Path) -> Download:
    """Add the SHA-256 that was stored beside the file, if the file is checked that way."""
    if download.sha256_from_server:
        with suppress(FileNotFoundError):
            digits = _hash_path(path).read_text(encoding="ascii", errors="replace")[:64]
            if re.fullmatch("[0-9a-f]{64}", digits):
                return replace(download, sha256=digits)
    return download


def _hash_path(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")
