from __future__ import annotations

import gc

import pytest

from resnet50._io.collector import without_collector


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_pauses_and_is_then_as_it_was(enabled, monkeypatch):
    monkeypatch.setattr(gc, "isenabled", lambda: enabled)
    called = []
    for name in ("enable", "disable"):
        monkeypatch.setattr(gc, name, lambda name=name: called.append(name))
    with pytest.raises(ImportError), without_collector():
        called.append("work")
        raise ImportError
    assert called == ["disable", "work", *(["enable"] if enabled else [])]
