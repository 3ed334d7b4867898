"""The installation that only answers: the commands of its guide, in a fresh environment."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from factories import classifier, noise, tiny_model, write_image

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "guides" / "small_installation.md"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Run ``resnet50`` in an environment made by the two commands of the guide; give back status, output and errors."""
    folder = tmp_path_factory.mktemp("small")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "resnet50"):
        (source / name).symlink_to(ROOT / name)
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    python = folder / "environment" / "bin" / "python"
    commands = re.findall(r"^python (-m pip install .*)$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        done = subprocess.run(
            [python, *command.split(), "--quiet", "--disable-pip-version-check"],
            cwd=source,
            capture_output=True,
            text=True,
            check=False,
        )
        if "No matching distribution" in done.stderr:
            pytest.skip("pip finds no packages here")
        assert done.returncode == 0, done.stderr

    def run(*words):
        command = [folder / "environment" / "bin" / "resnet50", *map(str, words)]
        environment = {"RESNET50_CACHE": str(folder / "cache"), "PATH": ""}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    run.folder = folder
    write_image(folder / "photo.png", noise(60, 50, 3))
    for seed, name in enumerate("abc"):
        write_image(folder / "photos" / name / "1.png", noise(60, 50, 3, seed=seed))
    classifier(tiny_model(size=(40, 40))).save(folder / "model.keras")
    return run


def test_it_predicts_embeds_and_explains(small):
    for _ in range(2):  # converted, and from the cache
        status, out, err = small("predict", "photo.png", "--model", "model.keras", "--top", 3)
        assert (status, out.count("%")) == (0, 3), err
    status, out, err = small("embed", "photo.png", "features.npz", "--model", "model.keras")
    assert (status, out.splitlines()[-1].startswith("features.npz: 1 image,")) == (0, True), err
    status, out, err = small("explain", "photo.png", "--model", "model.keras", "--out", "explained.png")
    assert (status, (small.folder / "explained.png").read_bytes()[:4]) == (0, b"\x89PNG"), err


def test_it_predicts_in_int8(small):
    words = ("predict", "photo.png", "--model", "model.keras", "--precision", "int8")
    for calibrated in (("--data", "photos"), ()):
        status, out, err = small(*words, *calibrated)
        assert (status, out.count("%"), "int8" in err) == (0, 3, True), err


@pytest.mark.parametrize(
    ("words", "package"),
    [
        (("evaluate", "model.keras", "--data", "photos"), "matplotlib"),
        (("bench", "model.keras"), "keras"),
        (("summary",), "keras"),
    ],
)
def test_what_it_cannot_do_is_said_in_one_line(small, words, package):
    status, out, err = small(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert f"the package {package}," in err
