from __future__ import annotations

import sys

import pytest

from factories import posix


@posix
def test_what_is_interrupted_leaves_no_process(script, tmp_path, monkeypatch):
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(KeyboardInterrupt), script("published_on_shards").Ranks(tmp_path, "train") as ranks:
        assert ranks.run
        raise KeyboardInterrupt
    assert ranks.run is False
    assert not any(process.poll() is None for process in ranks._processes)
