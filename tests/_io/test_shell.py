from __future__ import annotations

from resnet50._io import shell


def test_a_command_is_quoted_for_the_shell_of_the_system(monkeypatch):
    words = ("resnet50", "train", "--resume", "my runs/one", "plain")
    monkeypatch.setattr(shell, "WINDOWS", False)
    assert shell.command(*words) == "resnet50 train --resume 'my runs/one' plain"
    monkeypatch.setattr(shell, "WINDOWS", True)
    assert shell.command(*words, "runs\\one") == 'resnet50 train --resume "my runs/one" plain runs\\one'
