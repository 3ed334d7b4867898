from __future__ import annotations

import subprocess
import sys


def test_keras_is_imported_silently_and_errors_are_heard_again():
    script = """
import os, sys
from resnet50._io.quiet import import_keras
import_keras()
assert "keras" in sys.modules
os.write(2, b"heard")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "heard")


def test_a_backend_that_is_not_there_is_an_error():
    script = "from resnet50._io.quiet import import_keras; import_keras()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"KERAS_BACKEND": "abacus", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "abacus" in done.stderr
