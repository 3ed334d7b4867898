"""The name of the processor."""

from __future__ import annotations

import platform
from pathlib import Path

from resnet50._io.processor import processor


def test_the_processor_has_a_name(monkeypatch):
    assert processor()
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: "flags : none\n")
    assert processor() == platform.machine()

    def gone(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", gone)
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert processor() == "arm"
