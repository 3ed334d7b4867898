"""What several tests share: a quiet backend, a tiny network, random weights, the shared data."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported

import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import pytest

from factories import TINY_STAGES, fill_random
from resnet50.model import Stage


@pytest.fixture
def tiny_stages() -> tuple[Stage, ...]:
    """Two stages of two blocks."""
    return TINY_STAGES


@pytest.fixture(scope="session")
def random_weights() -> Callable[..., keras.Model]:
    """Fill a model with random weights."""
    return fill_random


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images that the repository does not hold."""
    folder = Path(os.environ.get("RESNET50_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; set RESNET50_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def browser():
    """Chromium, with a camera that is not real."""
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
        )
        yield opened
        opened.close()
