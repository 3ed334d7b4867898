from __future__ import annotations

import pytest

from resnet50.cli.out import check_new


def test_what_is_there_is_not_replaced(tmp_path):
    check_new(tmp_path / "new.csv")
    check_new(str(tmp_path / "no" / "such" / "folder.csv"))
    (tmp_path / "old.csv").touch()
    for path, what in ((tmp_path / "old.csv", "file"), (tmp_path, "folder")):
        with pytest.raises(ValueError) as raised:
            check_new(path)
        assert str(raised.value) == f"{path}: there is a {what} already; remove it, or choose another name."
