from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from factories import raises
from resnet50._io.locks import LockedError, locked

HOLD = """
import sys, time
from pathlib import Path
from resnet50._io.locks import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "file").write_text("content")
    return tmp_path / "file"


def test_a_lock_is_held_once(file):
    with locked(file), raises(LockedError, file), locked(file):
        pass
    with locked(file):
        assert file.read_text() == "content"


@pytest.mark.slow
def test_a_killed_process_holds_no_lock(file):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"locked\n"
        with raises(LockedError, file), locked(file):
            pass
    finally:
        process.kill()
        process.communicate()
    with locked(file):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF])
def test_a_disk_that_cannot_lock_does_without(number, file, monkeypatch):
    def cannot(*_):
        raise OSError(number, "no locks available")

    monkeypatch.setattr("resnet50._io.locks._lock", cannot)
    with locked(file):
        pass


def test_a_file_that_is_not_there_is_not_locked(tmp_path):
    with locked(tmp_path / "nothing"):
        pass
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_block_is_raised_as_it_is(file):
    with raises(OSError, "disk full"), locked(file):
        raise OSError("disk full")
    with locked(file):
        pass
