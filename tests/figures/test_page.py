"""Pages that stand alone, whatever the names of classes and files are."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from factories import noise, raises
from resnet50.figures.page import Page, Picture
from resnet50.figures.save import save_figure

HOSTILE = "<script>alert('x')</script> \"&amp;\" $style \udcff"
SHOWN = "<script>alert('x')</script> \"&amp;\" $style ?"
EMPTY = {"meta", "img", "br"}  # elements that have no end


class Reader(HTMLParser):
    """What a browser would see: every element with its attributes, and the text; refuses what is not nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]


def image(source: str | None) -> Image.Image:
    assert source is not None
    kind, data = source.split(";base64,")
    opened = Image.open(io.BytesIO(base64.b64decode(data)))
    assert kind == f"data:image/{opened.format.lower()}"
    return opened


@pytest.fixture
def figure(tmp_path) -> Path:
    made = Figure(figsize=(4, 2))
    made.add_axes((0, 0, 1, 1), xticks=[], yticks=[])
    save_figure(made, tmp_path / "f.png")
    return tmp_path / "f.png"


def test_what_it_is_told_is_text_and_never_markup(figure):
    page = Page(HOSTILE, HOSTILE)
    page.add_heading(HOSTILE)
    page.add_paragraph(HOSTILE)
    page.add_command(HOSTILE)
    page.add_facts([(HOSTILE, HOSTILE, HOSTILE)])
    page.add_note("warning", HOSTILE, HOSTILE)
    page.add_figure(figure, HOSTILE)
    page.add_pictures([[Picture(np.zeros((4, 4, 3), np.uint8), (HOSTILE, HOSTILE))]])
    page.add_table((HOSTILE, "n"), [(HOSTILE, HOSTILE)])
    text = page.html()
    read = Reader(text)
    assert not read.all("script")
    assert read.text.count(SHOWN) == 16
    assert [attributes["alt"] for attributes in read.all("img")] == [SHOWN, f"{SHOWN}; {SHOWN}"]
    text.encode("utf-8")


def test_it_asks_the_network_for_nothing_and_forbids_scripts(figure):
    page = Page("T")
    page.add_figure(figure, "F")
    text = page.html()
    (policy,) = [one["content"] for one in Reader(text).all("meta") if "http-equiv" in one]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not re.search(r"https?:|\ssrc=\"(?!data:)|url\(|@import|<link|<iframe", text)
    assert "$" not in text


def test_sections_follow_each_other():
    page = Page("Title", "Sub")
    page.add_heading("First")
    page.add_paragraph("One.")
    page.add_command("resnet50 check DIR")
    page.add_facts([("accuracy", "97.5%", "of 120"), ("loss", "0.1", "")])
    read = Reader(page.html())
    words = [line for line in read.text.split("\n") if line]
    assert words == ["Title", "Title", "Sub", "First", "One.", "resnet50 check DIR", "accuracy97.5%of 120loss0.1"]
    assert [tag for tag, _ in read.elements if re.fullmatch(r"h\d|p|pre|dl", tag)] == [
        "h1",
        "p",
        "h2",
        "p",
        "pre",
        "dl",
    ]
    assert read.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in read.all("meta")


def test_a_page_without_a_subtitle_has_no_empty_line():
    assert "<p" not in Page("T").html()


def test_a_figure_is_taken_as_it_is_and_scrolled_where_it_is_too_wide(figure):
    page = Page("T")
    page.add_figure(figure, "what it shows")
    (shown,) = Reader(page.html()).all("img")
    opened = image(shown["src"])
    assert opened.format == "PNG"
    assert base64.b64decode(shown["src"].split(",")[1]) == figure.read_bytes()
    assert 640 <= opened.width <= 680  # 4 inches, and a little around them
    assert re.fullmatch(r"width:(29\d|30\d)px;min-width:18\dpx", shown["style"])


def test_pictures_that_belong_together_stay_together_and_are_no_larger_than_needed():
    large, small = noise(500, 1000, 3), noise(30, 20, 3)
    page = Page("T")
    page.add_pictures([[Picture(large, ("a", "b")), Picture(small)], [Picture(small[:, ::-1])]])
    text = page.html()
    first, second, third = (image(one["src"]) for one in Reader(text).all("img"))
    assert (first.format, first.size) == ("JPEG", (224, 112))
    assert (second.format, second.size) == ("PNG", (20, 30))
    np.testing.assert_array_equal(np.asarray(second), small)  # of so few pixels each is kept
    np.testing.assert_array_equal(np.asarray(third), small[:, ::-1])
    groups = re.findall(r"<div>(<figure>.*?</figure>)</div>", text)
    assert [group.count("<figure>") for group in groups] == [2, 1]
    assert "<span>a</span><span>b</span>" in groups[0]


def test_numbers_stand_to_the_right_and_many_rows_are_folded():
    page = Page("T")
    page.add_table(("class", "kind", "n"), [(f"row {k}", "x", str(k)) for k in range(7)], texts=2, unfolded=4)
    text = page.html()
    assert text.count('<td class="number">') == 7
    assert text.count('<th class="number">n</th>') == 2
    shown, words, folded = re.split(r"<summary>(.*)</summary>", text)
    assert "3" in words
    assert re.findall(r"<td>row (\d)</td><td>x</td><td class=\"number\">(\d)</td>", shown) == [
        (str(k), str(k)) for k in range(4)
    ]
    assert re.findall(r"<td>row (\d)</td>", folded) == ["4", "5", "6"]
    Reader(text)


@pytest.mark.parametrize(("rows", "more"), [(30, None), (31, "1"), (1032, "1,002")])
def test_thirty_rows_are_shown_at_once(rows, more):
    page = Page("T")
    page.add_table(("a",), [("b",)] * rows)
    words = re.findall("<summary>(.*)</summary>", page.html())
    assert len(words) == (1 if more else 0)
    assert [re.findall(r"[\d,]+", each) for each in words] == ([[more]] if more else [])


def test_a_note_says_how_grave_it_is():
    page = Page("T")
    page.add_note("error", "It leaks.", "Mend it.")
    page.add_note("note", "It is small.")
    text = page.html()
    assert '<p class="note error"><b>error</b> It leaks.<br><span>Mend it.</span></p>' in text
    assert '<p class="note note"><b>note</b> It is small.</p>' in text


def test_what_does_not_fit_is_refused():
    with raises(ValueError, "severity", "error", "warning", "note", "'fatal'"):
        Page("T").add_note("fatal", "x")
    with raises(ValueError, 2, 1, "lonely"):
        Page("T").add_table(("a", "b"), [("lonely",)])
