from __future__ import annotations

import json
from pathlib import Path

import pytest

from factories import raises


@pytest.fixture
def sessions(script):
    return script("sessions")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setattr("resnet50.training.environment.describe_environment", lambda: {"commit": "abc"})


def start(sessions, path, what="speed"):
    return sessions.Session(path, what=what, command="python benchmarks/some.py")


def rates(path):
    return [session["rate"] for session in json.loads(path.read_text())["sessions"]]


def test_a_session_records_when_where_and_how_it_was_measured(sessions, tmp_path):
    start(sessions, tmp_path / "a.json").write({"rate": 1})
    stored = json.loads((tmp_path / "a.json").read_text())
    assert stored["what"] == "speed"
    (session,) = stored["sessions"]
    assert list(session) == ["date", "command", "load", "commit", "rate"]
    assert len(session["date"].split("-")) == 3
    assert (session["command"], session["commit"], session["rate"]) == ("python benchmarks/some.py", "abc", 1)


def test_a_session_is_added_after_those_of_the_file(sessions, tmp_path):
    path = tmp_path / "a.json"
    for rate in (1, 2, 3):
        start(sessions, path).write({"rate": rate})
    assert rates(path) == [1, 2, 3]
    assert sessions.latest(sessions.read(path))["rate"] == 3


def test_a_session_that_is_written_again_replaces_itself_alone(sessions, tmp_path):
    path = tmp_path / "a.json"
    start(sessions, path).write({"rate": 1})
    session = start(sessions, path)
    for rate in (2, 3):
        session.write({"rate": rate})
    assert rates(path) == [1, 3]


def test_two_benchmarks_at_once_lose_neither_session(sessions, tmp_path):
    path = tmp_path / "a.json"
    first, second = start(sessions, path), start(sessions, path)
    first.write({"rate": 1})
    second.write({"rate": 2})
    first.write({"rate": 3})
    assert sorted(rates(path)) == [2, 3]


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_an_interrupted_write_leaves_the_earlier_sessions(sessions, tmp_path, monkeypatch, step):
    path = tmp_path / "a.json"
    start(sessions, path).write({"rate": 1})
    session = start(sessions, path)

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, step, interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.write({"rate": 2})
    assert rates(path) == [1]
    assert list(tmp_path.iterdir()) == [path]
    session.write({"rate": 2})
    assert rates(path) == [1, 2]


def test_results_that_are_not_json_leave_the_earlier_sessions(sessions, tmp_path):
    path = tmp_path / "a.json"
    start(sessions, path).write({"rate": 1})
    with pytest.raises(TypeError):
        start(sessions, path).write({"rate": object()})
    assert rates(path) == [1]


def test_sessions_of_something_else_are_refused_before_the_measurement(sessions, tmp_path):
    start(sessions, tmp_path / "a.json", "a run of 12 epochs").write({"rate": 1})
    with raises(ValueError, tmp_path / "a.json", "a run of 16 epochs", "a run of 12 epochs"):
        start(sessions, tmp_path / "a.json", "a run of 16 epochs")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"what": "speed"}', '{"what": "speed", "sessions": {}}'])
def test_a_damaged_file_is_refused_before_the_measurement(sessions, tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with raises(ValueError, tmp_path / "a.json"):
        start(sessions, tmp_path / "a.json")
    assert (tmp_path / "a.json").read_text() == text
