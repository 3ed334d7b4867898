from __future__ import annotations

from matplotlib.figure import Figure

from factories import raises
from resnet50.figures.save import save_figure


def test_a_figure_is_written_in_the_format_of_its_name(tmp_path):
    save_figure(Figure(), tmp_path / "new" / "a.png")
    save_figure(Figure(), tmp_path / "a.svg")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "a.svg").read_bytes()


def test_a_name_without_a_format_is_refused(tmp_path):
    with raises(ValueError, tmp_path / "sheet", ".png"):
        save_figure(Figure(), tmp_path / "sheet")
    assert not list(tmp_path.iterdir())


def test_a_failed_figure_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.nosuchformat"
    path.write_text("old")
    with raises(ValueError, "nosuchformat"):
        save_figure(Figure(), path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
