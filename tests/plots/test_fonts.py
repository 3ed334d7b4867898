"""Names in any script are drawn: by a font that has them, or by their codes, and whole in a page."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import FontProperties, findfont

from factories import dataset, texts
from resnet50.plots import fonts, theme
from resnet50.plots.confusion import draw_confusion
from resnet50.plots.evaluation import draw_balance
from resnet50.plots.explain import draw_explanation
from resnet50.plots.images import draw_contact_sheet, draw_predictions
from resnet50.plots.save import adaptive_svg
from resnet50.plots.training import draw_curves

ODD = ("猫", "50 % & <b>", r"$\foo$")
MATH_A = "\U0001d504"  # STIX has it, DejaVu Sans does not


def lines(*parts):
    return [part.replace("\u200b", "") for part in parts]


@pytest.fixture(autouse=True)
def _no_other_fonts(monkeypatch):
    """As on a machine that has only the fonts of matplotlib."""
    fonts.font_of.cache_clear()
    theme.text_width.cache_clear()
    monkeypatch.setattr(fonts, "_other_fonts", tuple)
    yield
    fonts.font_of.cache_clear()
    theme.text_width.cache_clear()


def test_what_no_font_has_is_drawn_by_its_code():
    assert fonts.drawable("Zoë, кот, ✗ …\nb") == "Zoë, кот, ✗ …\nb"
    assert lines(fonts.drawable("a猫\udcffb\x1b")) == [r"aU+732B\udcffb\x1b"]
    assert fonts.drawable(fonts.drawable("a猫")) == fonts.drawable("a猫")
    assert fonts.with_all_characters(fonts.drawable("a猫b")) == "a猫b"
    assert theme.text_width("猫", 12) == theme.text_width("U+732B", 12)


def test_a_code_is_not_cut_in_two():
    assert lines(fonts.shortened("猫猫猫", 12)) == ["U+732B…"]
    assert fonts.shortened("neutrophil", 5) == "neut…"


def test_another_font_that_has_the_character_is_used(monkeypatch):
    other = findfont(FontProperties(family="STIXGeneral"))
    monkeypatch.setattr(fonts, "_other_fonts", lambda: (("No Such Font", "/nowhere.ttf"), ("STIXGeneral", other)))
    assert fonts.drawable(f"a{MATH_A}") == f"a{MATH_A}"
    assert fonts.families(f"a{MATH_A}") == ["DejaVu Sans", "STIXGeneral"]
    figure, axes = theme.new_canvas(2, 1)
    theme.write(axes, 1, 0.5, f"a{MATH_A}")
    FigureCanvasAgg(figure).draw()  # a missing glyph is a warning, and so an error here
    assert theme.text_width(MATH_A, 12) > 0
    assert f"a{MATH_A}" in adaptive_svg(figure)
    assert "STIX" not in adaptive_svg(figure)


def test_fonts_of_boxes_and_of_colored_bitmaps_are_not_used(monkeypatch):
    monkeypatch.undo()
    families = [family.lower() for family, _ in fonts._other_fonts()]
    assert families
    assert not [name for name in families if "resort" in name or "emoji" in name]


def figures():
    images = dataset(np.arange(6) % 3, ODD, size=(8, 8), name=r"$\bar 50 % 猫")
    probabilities = np.eye(3)[[0, 1, 2, 1, 2, 0]]
    yield draw_confusion(np.eye(3), ODD, title=images.name)
    yield draw_balance({"train": [1, 2, 3]}, ODD, title=images.name)
    yield draw_contact_sheet(images)
    yield draw_predictions(images, probabilities, title=images.name, beside=np.asarray(images.images))
    yield draw_explanation(np.zeros((8, 8, 3), np.uint8), np.ones((3, 8, 8)), ODD, [0.1, 0.2, 0.7])
    yield draw_curves({"loss": [1, 2], "accuracy": [0.1, 0.2]}, title=images.name)


@pytest.mark.parametrize("settings", [{}, {"text.usetex": True}, {"text.parse_math": True}], ids=str)
def test_figures_show_any_name_and_no_formula(settings):
    with mpl.rc_context(settings):
        drawn = list(figures())
    for figure in drawn:
        for text in figure.findobj(mpl.text.Text):
            if set("$%&U") & set(text.get_text()):
                assert not text.get_parse_math() or "$" not in text.get_text()
    for figure in drawn[:5]:
        assert [text for text in lines(*texts(figure)) if "U+732B" in text]
        assert [text for text in texts(figure) if r"$\foo$" in text or r"$\bar" in text]
    if not settings.get("text.usetex"):
        for figure in drawn:
            FigureCanvasAgg(figure).draw()


def test_a_page_shows_the_name_itself():
    svg = adaptive_svg(draw_confusion(np.eye(3), ODD, title=None))
    assert ">猫<" in svg
    assert "U+732B" not in svg
    assert r"$\foo$" in svg
    assert "50 % &amp; &lt;b&gt;" in svg
