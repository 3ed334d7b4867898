"""What several tests share: a quiet backend, a tiny network, random weights, the shared data."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow reads it when it is imported
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")  # JAX compiles in half the time

import csv
import gc
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import pytest

from factories import TINY_STAGES, fill_random
from resnet50.model import Stage
from resnet50.training.phases import Phase
from resnet50.training.recipe import Recipe


@pytest.fixture
def tiny_stages() -> tuple[Stage, ...]:
    """Two stages of two blocks."""
    return TINY_STAGES


@pytest.fixture(scope="module", autouse=True)
def _memory() -> None:
    """What the file of tests before has compiled is given back: a suite would grow to gigabytes.

    That is done before a file, since after one its last test still holds its fixtures. What is left stays until the
    end, such as imported modules and the tests themselves: millions of objects, which no later collection of garbage
    goes through again.
    """
    keras.utils.clear_session()
    gc.freeze()


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


@pytest.fixture
def write_run(tmp_path) -> Callable[..., Path]:
    """Write the directory of a run of two epochs that misclassified these of its ten test images."""

    def write(
        name: str,
        wrong: Sequence[int] | None = (),
        *,
        recipe: Recipe | None = None,
        test: str = "aa",
        paths: Sequence[str] | None = None,
        **changes: Any,
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        recipe = (recipe or Recipe(name="photos", phases=(Phase(epochs=2),), validation_split=0.2)).change(**changes)
        (folder / "recipe.json").write_text(recipe.to_json())
        environment = {
            "backend": "tensorflow",
            "versions": {},
            "machine": {},
            "commit": None,
            "precision": "float32",
            "data": {"name": "photos", "fingerprints": {"train": "bb", "test": test}, "source": None},
            "weights": None,
            "started": f"2026-01-0{1 + recipe.seed}T00:00:00+00:00",
        }
        (folder / "environment.json").write_text(json.dumps(environment))
        (folder / "history.csv").write_text(
            "epoch,accuracy,loss,val_accuracy,val_loss,seconds\n1,.5,1,.4,1.1,2\n2,.6,.9,.5,1,3\n"
        )
        (folder / "model.keras").write_bytes(bytes(3_000_000))
        with (folder / "images.csv").open("w", newline="") as file:
            rows = [("test", path, "cat", f"{k}") for k, path in enumerate(paths or [f"{k}.jpg" for k in range(10)])]
            csv.writer(file).writerows([("split", "path", "class", "sha256"), ("train", "t.jpg", "dog", "0"), *rows])
        if wrong is not None:
            report = {
                "accuracy": 1 - len(wrong) / 10,
                "interval": [0.25, 0.75],
                "loss": 0.5,
                "images": 10,
                "mistakes": [{"index": index} for index in wrong],
            }
            (folder / "report.json").write_text(json.dumps(report))
        return folder

    return write
