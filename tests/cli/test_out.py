from __future__ import annotations

from factories import raises
from resnet50.cli.out import check_new


def test_what_is_there_is_not_replaced(tmp_path):
    check_new(tmp_path / "new.csv")
    check_new(str(tmp_path / "no" / "such" / "folder.csv"))
    (tmp_path / "old.csv").touch()
    for path, what in ((tmp_path / "old.csv", "file"), (tmp_path, "folder")):
        with raises(ValueError, path, what):
            check_new(path)
