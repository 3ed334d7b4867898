"""The wheel that users install, tried from the shell, away from the checkout."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from resnet50.datasets.rendered_signs import write_rendered_signs

ROOT = Path(__file__).resolve().parents[1]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Run the installed command in an empty folder."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "resnet50"):
        (source / name).symlink_to(ROOT / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", folder, source], check=True)
    (wheel,) = folder.glob("resnet50-*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", folder / "site", wheel], check=True)
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}

    def run(*words: object) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "resnet50", *map(str, words)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == "" or words[0] == "predict"
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import resnet50; print(resnet50.__file__)"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(folder / "site"))
    run.folder = folder
    return run


def test_the_wheel_holds_every_module_stub_template_and_page(installed):
    there = installed.folder / "site" / "resnet50"
    for pattern in ("*.py", "*.pyi", "*.j2", "py.typed", "imagenet_classes.txt", "exporters/page/*"):
        here = {path.relative_to(ROOT / "resnet50") for path in (ROOT / "resnet50").rglob(pattern)}
        assert here
        assert {path.relative_to(there) for path in there.rglob(pattern)} == here


def test_the_full_network_trains_and_predicts_from_the_shell(installed):
    write_rendered_signs(installed.folder / "signs", train=12, test=6)
    words = ("train", "rendered-signs", "--data", "signs", "--epochs", 1)
    out = installed(*words, "--batch-size", 6, "--out", "runs/one")
    first = out.splitlines()[0]
    assert "runs/one" in first
    assert "rendered signs" in first
    assert {"12", "6", "0"} <= set(re.findall(r"\d+", first))
    assert "runs/one/model.keras" in out
    assert "accuracy" in installed("evaluate", "runs/one", "--data", "signs")
    assert installed("predict", "runs/one/confusion.png").startswith("runs/one/confusion.png")
    assert "23,600,006" in installed("summary", "runs/one")
