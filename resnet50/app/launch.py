"""Serve the page that tries a classifier, to this machine alone unless it is asked for more."""

from __future__ import annotations

import os
import socket
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from resnet50._io.fetch import Progress
from resnet50.app.offline import import_gradio
from resnet50.app.page import STYLE, build_page
from resnet50.app.training import run_images
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import locate

_LOCAL = ("127.0.0.1", "localhost")

_PORTS = range(7860, 7960)  # as Gradio's

_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'"
)

_FOLDER = "GRADIO_TEMP_DIR"


@dataclass(frozen=True)
class RunningApp:
    """A page that is being served; a context manager that ends it.

    Attributes:
        url: Its address on this machine.
        remark: Which training images it compares, or why none; a sentence.
    """

    url: str
    remark: str
    _page: Any
    _folder: tempfile.TemporaryDirectory[str]

    def wait(self) -> None:
        """Wait until the page is ended, as by Ctrl-C, which raises KeyboardInterrupt."""
        thread = self._page.server.thread
        while thread.is_alive():
            thread.join(0.5)  # without a limit, Windows would not pass on Ctrl-C

    def close(self) -> None:
        """End the page, and remove what was uploaded to it."""
        self._page.close(verbose=False)
        _remove(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def launch_app(
    model: str | os.PathLike[str],
    *,
    port: int | None = None,
    public: bool = False,
    open_browser: bool = False,
    progress: Progress | None = None,
) -> RunningApp:
    """Serve a page to try a classifier: classes, Grad-CAM, the most similar training images, and tables of many images.

    The page loads nothing from elsewhere and reports to nobody. Gradio's settings in the environment are those of the
    whole process, so that a process serves one page at a time. The features of the training images are computed at the
    first start, and stored in the folder of the run.

    Args:
        model: A ``.keras`` file, or the folder of a run.
        port: Its port; None for a free one from 7860 on.
        public: Whether other machines reach the page, too, as on a server or a Hugging Face Space. Whoever reaches it
            can use it, and sees training images. Otherwise it answers to this machine alone.
        open_browser: Whether to open it in a browser.
        progress: Called after each training image whose features are computed, with the number done and their total.

    Returns:
        The page, which is being served; `RunningApp.wait` waits for its end.

    Raises:
        FileNotFoundError: If there is no such model.
        ImportError: If Gradio is not installed.
        OSError: If the port is in use or not allowed.
        ValueError: If it is no classifier, or an export, which has no layers to look into.
    """
    host = "0.0.0.0" if public else _LOCAL[0]  # noqa: S104 - asked for
    port = _free_port(host, _PORTS if port is None else (port,))
    located = locate(model)
    if located.kind == "export":
        raise ValueError(
            f"{located.model}: expected a .keras file or the folder of a run, got an export, which gives probabilities "
            "and nothing else; name the model that it was made from."
        )
    folder = tempfile.TemporaryDirectory(prefix="resnet50-app-", ignore_cleanup_errors=True)
    os.environ[_FOLDER] = folder.name  # for uploads; in its own, Gradio would leave them
    try:
        import_gradio()  # before anything that takes long
        classifier = Classifier.load(located.model)
        images = run_images(located.model, classifier, progress=progress)
        page = build_page(classifier, images, folder=Path(folder.name))
        url = _serve(page, host=host, port=port, open_browser=open_browser)
    except BaseException:
        _remove(folder)
        raise
    return RunningApp(url, images.remark, page, folder)


def _remove(folder: tempfile.TemporaryDirectory[str]) -> None:
    folder.cleanup()
    if os.environ.get(_FOLDER) == folder.name:
        del os.environ[_FOLDER]


def _free_port(host: str, ports: Sequence[int]) -> int:
    """Return the first port that is free; Gradio would leave each that it tries open."""
    for port in ports:
        if not 1 <= port <= 65535:
            raise ValueError(f"expected a port from 1 to 65535, got {port}.")
        with socket.socket() as tried:
            if sys.platform != "win32":  # there it would find ports that are in use
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                tried.bind((host, port))
                return port
    got = str(ports[0]) if len(ports) == 1 else f"{ports[0]} to {ports[-1]}"
    raise OSError(f"expected a free port, got {got}, in use or not allowed; choose another.")


def _serve(page: Any, *, host: str, port: int, open_browser: bool) -> str:
    """Start a server in a thread, and return its address."""
    gr = import_gradio()
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    middleware = [Middleware(_Policy)]
    if host in _LOCAL:  # the page trusts the name by which it is called, and a foreign name could be anybody's
        middleware[:0] = [Middleware(TrustedHostMiddleware, allowed_hosts=list(_LOCAL)), Middleware(_SameOrigin)]
    _, url, _ = page.launch(
        server_name=host,
        server_port=port,
        inbrowser=open_browser,
        prevent_thread_lock=True,
        quiet=True,
        inline=False,
        share=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        show_error=host in _LOCAL,
        footer_links=[],
        max_file_size="64mb",
        css=STYLE,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        app_kwargs={"middleware": middleware},
    )
    return url


class _SameOrigin:
    """Middleware that refuses what the pages of others send: an upload needs no permission to be sent, and stays."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin")
        if origin is not None and origin.partition(b"://")[2] != headers.get(b"host"):
            from starlette.responses import PlainTextResponse

            await PlainTextResponse("expected a request of this page, got one of another.", 403)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class _Policy:
    """Middleware that tells the browser to load nothing from elsewhere."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_policy(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = ((b"content-security-policy", _POLICY.encode()), (b"referrer-policy", b"no-referrer"))
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await self._app(scope, receive, with_policy if scope["type"] == "http" else send)
