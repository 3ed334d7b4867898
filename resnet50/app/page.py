"""The page in Gradio: one image with its reasons, or many with a table. It loads nothing from elsewhere."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from resnet50._io.cells import harmless
from resnet50._io.text import printable
from resnet50.app.answers import Answer

MOST_FILES = 200
"""Most images at a time."""

_HOSTS = ("127.0.0.1", "localhost")

_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self' blob:; "
    "connect-src 'self'; object-src 'none'; base-uri 'self'"
)


def import_gradio() -> Any:
    """Import Gradio so that it asks nobody for its newest version and reports to nobody."""
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1")
    for name in ("ALLOWED_PATHS", "BLOCKED_PATHS", "SHARE", "ROOT_PATH", "VIBE_MODE", "WATCH_DIRS", "MCP_SERVER"):
        os.environ.pop(f"GRADIO_{name}", None)  # an empty argument would fall back to these
    import gradio

    return gradio


def build_page(
    answer: Callable[[str], Answer],
    thumbnail: Callable[[Path], np.ndarray],
    *,
    title: str,
    folder: Path,
    examples: Sequence[Path] = (),
) -> Any:
    """Return the page as Gradio's blocks.

    Args:
        answer: Answers for an image file, or raises ValueError with the reason why it cannot.
        thumbnail: Returns a training image, RGB uint8; training images are not served as files.
        title: Its heading.
        folder: Where tables are written.
        examples: Images to try.
    """
    gr = import_gradio()

    def one(path: str | None) -> tuple[Any, ...]:
        if not path:
            return None, None, None, []
        try:
            found = answer(path)
        except ValueError as error:
            raise gr.Error(printable(error)) from None
        nearest = [(thumbnail(each.path), f"{each.class_name}, {each.similarity:.2f}") for each in found.nearest]
        return found.shares, found.fitted, found.evidence, nearest

    def many(paths: list[str] | None) -> tuple[list[tuple[str, str]], str]:
        if not paths or len(paths) > MOST_FILES:
            raise gr.Error(f"Choose 1 to {MOST_FILES} images.")
        rows, shown = [], []
        for path in paths:
            name = Path(path).name
            try:
                best, share = next(iter(answer(path).shares.items()))
                rows.append((name, best, f"{share:.6f}", ""))
                shown.append((path, f"{best} {share:.0%}"))
            except ValueError as error:
                rows.append((name, "", "", str(error)))
        table = folder / "predictions.csv"
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "class", "probability", "error"))
            writer.writerows([harmless(printable(cell)) for cell in row] for row in rows)
        return shown, str(table)

    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(f"# {title}")
        with gr.Tab("One image"), gr.Row():
            with gr.Column(min_width=320):
                camera = gr.WebcamOptions(mirror=False, constraints={"video": {"facingMode": "environment"}})
                image = gr.Image(
                    label="Image",
                    sources=["upload", "clipboard", "webcam"],
                    type="filepath",
                    image_mode=None,  # the file as it is, for our own reader
                    webcam_options=camera,
                    buttons=[],
                )
                if examples:
                    gr.Examples([[str(path)] for path in examples], image, cache_examples=False)
            with gr.Column(min_width=320):
                shares = gr.Label(label="Classes", num_top_classes=5)
                with gr.Row():
                    fitted = gr.Image(label="What the network sees", interactive=False, buttons=[])
                    evidence = gr.Image(label="Evidence for the first class", interactive=False, buttons=[])
                nearest = gr.Gallery(
                    label="Most similar training images", columns=2, height="auto", interactive=False, buttons=[]
                )
            image.change(one, image, [shares, fitted, evidence, nearest], concurrency_id="model", api_name="classify")
        with gr.Tab("Many images"):
            files = gr.File(label="Images", file_count="multiple", file_types=["image"], type="filepath")
            gallery = gr.Gallery(label="Answers", interactive=False, buttons=["fullscreen"])
            download = gr.DownloadButton("Table (CSV)")
            files.upload(many, files, [gallery, download], concurrency_id="model", api_visibility="private")
    return page.queue(max_size=16, default_concurrency_limit=1)


def launch(page: Any, *, port: int | None, **options: Any) -> Any:
    """Serve the page on this machine alone.

    Args:
        page: What `build_page` returned.
        port: Its port; None for a free one from 7860 on.
        options: Further options of Gradio's ``launch``.
    """
    gr = import_gradio()
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    return page.launch(
        server_name=_HOSTS[0],
        server_port=port,
        share=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        show_error=True,
        footer_links=[],
        max_file_size="64mb",
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        app_kwargs={
            "middleware": [
                # the page trusts the name by which it is called, and a foreign name could be anybody's
                Middleware(TrustedHostMiddleware, allowed_hosts=list(_HOSTS)),
                Middleware(_Policy),
            ]
        },
        **options,
    )


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
