"""Commands where the small installation leaves packages out."""

from __future__ import annotations

import subprocess
import sys

import pytest

from resnet50.cli import COMMANDS
from resnet50.cli.installed import LEFT_OUT

BLOCKED = (
    f"import sys; sys.modules.update(dict.fromkeys({LEFT_OUT})); from resnet50.cli import main; main(sys.argv[1:])"
)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_help(command):
    done = subprocess.run([sys.executable, "-c", BLOCKED, command, "--help"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout
