"""Gradio, which reports to nobody and loads nothing from elsewhere."""

from __future__ import annotations

import os
from typing import Any

INSTALL = 'pip install "resnet50[app]"'
"""Command that installs what the page needs."""

# an argument that is empty or False falls back to these
_OVERRULING = ("ALLOWED_PATHS", "SHARE", "VIBE_MODE", "WATCH_DIRS", "MCP_SERVER", "LOCAL_DEV_MODE")


def import_gradio() -> Any:
    """Import Gradio. The environment variables that this sets and removes are those of the whole process.

    Raises:
        ImportError: If it is not installed.
    """
    # without these it asks for its newest version, and reports its use
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_OFFLINE="1")
    for name in _OVERRULING:
        os.environ.pop(f"GRADIO_{name}", None)
    for name in ("no_proxy", "NO_PROXY"):  # it asks its own page, which no proxy reaches
        if "127.0.0.1" not in os.environ.get(name, ""):
            os.environ[name] = ",".join(filter(None, (os.environ.get(name), "127.0.0.1,localhost")))
    try:
        import gradio
        import safehttpx  # fetches what a visitor's script names in place of an uploaded file
    except ModuleNotFoundError as error:
        if error.name != "gradio":
            raise
        raise ImportError(f"expected the package gradio, got none installed; {INSTALL}.") from error
    safehttpx.async_validate_url = _refuse
    return gradio


async def _refuse(hostname: str) -> str:
    raise ValueError(f"expected a file that was uploaded, got one on {hostname}; upload it.")
