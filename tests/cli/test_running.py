from __future__ import annotations

import pytest

from resnet50.cli.running import finish
from resnet50.training.run import RunDirectory


def interrupted():
    raise KeyboardInterrupt


@pytest.mark.parametrize("written", [False, True])
def test_an_interrupted_run_names_its_resumption_and_a_missing_checkpoint(written, tmp_path, capsys):
    folder = RunDirectory(tmp_path)
    if written:
        folder.checkpoint.parent.mkdir()
        folder.checkpoint.touch()
    with pytest.raises(KeyboardInterrupt):
        finish(folder, interrupted)
    error = capsys.readouterr().err
    assert f"resnet50 train --resume {tmp_path}" in error
    assert ("--checkpoint-epochs" not in error) is written
