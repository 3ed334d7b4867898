from __future__ import annotations

import json
from pathlib import Path

import pytest

from resnet50.serving import server


@pytest.fixture
def served(monkeypatch):
    """What the command asks for."""
    calls = []

    def serve(model, *, started, **options):
        calls.append((model, options))
        started("http://127.0.0.1:1234")

    monkeypatch.setattr(server, "serve", serve)
    return calls


def test_the_defaults(command, served):
    status, out, err = command("serve", "runs/one")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].startswith("Serving runs/one at http://127.0.0.1:1234/predict")
    options = {"host": "127.0.0.1", "port": 8000, "replicas": 1, "address": None, "time_limit": 30.0, "max_body": 16}
    assert served == [("runs/one", options)]


def test_the_options(command, served):
    words = ["--host", "0.0.0.0", "--port", 0, "--replicas", 3, "--address", "head:6379", "--time-limit", 5]  # noqa: S104
    assert command("serve", "x", *words, "--max-body", 2)[0] == 0
    ((_, options),) = served
    assert list(options.values()) == ["0.0.0.0", 0, 3, "head:6379", 5.0, 2]  # noqa: S104


def test_the_latest_run_is_the_default(command, refused, served, tmp_path):
    refused(["serve"], "runs")
    for number, name in enumerate(("b", "a")):
        run = tmp_path / "runs" / name
        run.mkdir(parents=True)
        (run / "model.keras").touch()
        (run / "environment.json").write_text(json.dumps({"started": f"2026-01-0{number + 1}T00:00:00+00:00"}))
    status, out, _ = command("serve")
    assert (status, out.splitlines()[0].split()[:2]) == (0, ["Serving", str(Path("runs/a"))])
    assert [model for model, _ in served] == [Path("runs/a")]


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["--replicas", "0"], ["--replicas", 1, 0]),
        (["--time-limit", "nan"], ["--time-limit", "nan"]),
        (["--port", "-1"], ["--port", -1]),
        (["--max-body", "1.5"], ["--max-body", "1.5"]),
    ],
)
def test_numbers_are_checked(refused, served, words, values):
    refused(["serve", "x", *words], *values)
    assert served == []


def test_a_model_that_is_not_there_is_named(refused):
    refused(["serve", "nothing"], "nothing")
