"""Templates and images of pages that stand alone, whatever the names of classes and files are."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from jinja2 import UndefinedError
from matplotlib.figure import Figure
from PIL import Image

from factories import dataset, noise
from resnet50.audit.check import Audit
from resnet50.audit.issue import Issue, Place
from resnet50.data.splits import DatasetSplits
from resnet50.reports.audit import audit_page
from resnet50.reports.pages import breakable, page_figure, page_image, render, whole_options

HOSTILE = "<script>alert('x')</script> \"&amp;\" {{ 7 * 6 }} \udcff"
SHOWN = "<script>alert('x')</script> \"&amp;\" {{ 7 * 6 }} \\udcff"
EMPTY = {"meta", "img", "br", "input", "wbr"}  # elements without an end tag


class Reader(HTMLParser):
    """What a browser sees of a page: the elements with their attributes, and the text. Elements must be nested."""

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


def decoded(uri: str) -> Image.Image:
    media, data = uri.split(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert media == f"data:image/{image.format.lower()}"
    return image


@pytest.fixture
def hostile_page():
    """A page of an audit whose every text comes from files and folders with such a name."""
    images = dataset([0, 1], (HOSTILE.rstrip("\udcff"), "b"), name=HOSTILE, paths=[HOSTILE, "p"])
    place = Place(HOSTILE, "train", 0, HOSTILE, HOSTILE)
    issues = (
        Issue("leak", "warning", HOSTILE, HOSTILE, ((place,),)),
        Issue("unreadable", "error", HOSTILE, HOSTILE, ((Place(HOSTILE, remark=HOSTILE),),)),
    )
    return audit_page(Audit(HOSTILE, DatasetSplits(train=images), issues))


def test_text_is_never_markup(hostile_page):
    page = Reader(hostile_page)
    assert not page.all("script")
    end = SHOWN.split("/")[-1]  # of a path, the folder stands in a line of its own
    assert page.text.count(end) == 12  # 2 titles, 4 in notes, 2 in the file, 3 at the image, 1 at a sample
    assert sum(SHOWN in attributes["alt"] for attributes in page.all("img")) == 2
    hostile_page.encode("utf-8")


def test_a_page_requests_nothing_and_forbids_scripts(hostile_page):
    (policy,) = [each["content"] for each in Reader(hostile_page).all("meta") if "http-equiv" in each]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert not re.search(r"https?:|\ssrc=\"(?!data:)|url\(|@import|<link|<iframe", hostile_page)


def test_a_page_has_a_language_and_an_encoding(hostile_page):
    page = Reader(hostile_page)
    assert page.all("html") == [{"lang": "en"}]
    assert {"charset": "utf-8"} in page.all("meta")
    assert len(page.all("body")) == len(page.all("h1")) == 1


def test_the_page_of_a_report_is_nested_properly_and_names_its_sections():
    text = (Path(__file__).parent / "snapshot" / "report.html").read_text(encoding="utf-8")
    Reader(text)
    assert re.findall("<h2.*?>(.*?)</h2>", text) == [
        "What to try next",
        "Data issues",
        "Training",
        "Per-class precision, recall and F1",
        "Class balance",
        "Confusion matrix",
        "Calibration (reliability diagram)",
        "Prediction sets and refusal",
        "Worst mistakes",
    ]


def test_a_missing_variable_is_an_error():
    with pytest.raises(UndefinedError):
        render("audit.html.j2", audit=Audit("pets", DatasetSplits(), ()))


def test_a_figure_is_embedded_as_svg():
    figure = Figure(figsize=(4, 2))
    figure.text(0.5, 0.5, "a <b>")
    embedded = page_figure(figure, "It shows that")
    media, data = embedded.uri.split(";base64,")
    assert media == "data:image/svg+xml"
    assert ">a &lt;b&gt;</text>" in base64.b64decode(data).decode()
    assert (embedded.width, embedded.height) == (288, 144)  # inches of 72 pixels
    assert embedded.message == "It shows that"


def test_an_option_of_a_command_is_not_broken():
    shown = whole_options("resnet50 train 'a <b>' --image-size 96")
    assert shown == "resnet50 train &#39;a &lt;b&gt;&#39; <b>--image-size</b> 96"


@pytest.mark.parametrize(
    ("path", "pieces"),
    [
        ("photos/cats_2/cat-01.2.jpeg", ["photos/", "cats_", "2/", "cat-", "<i>01.2.jpeg</i>"]),
        ("a/averylongnamewithoutseparators.jpg", ["a/", "averylongnamewithoutseparators<i>.jpg</i>"]),
        ("photos", ["photos"]),
        (".hidden", [".hidden"]),
        ("a & b.long suffix", ["a &amp; b.long suffix"]),
        ("\x1b<.png", ["<i>\\x1b&lt;.png</i>"]),
    ],
)
def test_a_path_breaks_after_separators_and_not_in_its_suffix(path, pieces):
    assert breakable(path).split("<wbr>") == pieces


def test_images_are_no_larger_than_the_page_needs():
    large, small = noise(500, 1000, 3), noise(30, 20, 3)
    shown = page_image(large)
    reduced = decoded(shown.uri)
    assert (reduced.format, reduced.size) == ("JPEG", (224, 112))
    assert (shown.width, shown.height) == (224, 112)
    for pixels in (small, small[:, ::-1]):
        exact = decoded(page_image(pixels).uri)
        assert (exact.format, exact.size) == ("PNG", (20, 30))
        np.testing.assert_array_equal(np.asarray(exact), pixels)


@pytest.mark.parametrize(("count", "hidden"), [(16, None), (17, "1"), (1048, "1,032")])
def test_further_rows_of_a_table_are_folded(count, hidden):
    files = tuple((Place(f"row {k}", remark="x"),) for k in range(count))
    page = audit_page(Audit("pets", DatasetSplits(), (Issue("unreadable", "error", "s", "a", files),)))
    words = re.findall("<summary>(.*)</summary>", page)
    assert [re.findall(r"[\d,]+", each) for each in words] == ([[hidden]] if hidden else [])
    assert re.findall(r"<td>row (\d+)</td><td>x</td>", page) == [str(k) for k in range(count)]
    shown = page.split("<summary>")[0]
    assert shown.count("<td>row") == min(count, 16)
    Reader(page)


def test_numbers_are_aligned_to_the_right():
    page = audit_page(Audit("pets", DatasetSplits(train=dataset([0, 1, 1])), ()))
    assert '<th>Class</th><th class="number">train</th>' in page
    assert '<td>dogs</td><td class="number">2</td>' in page


def test_a_note_has_its_severity_and_advice():
    issues = (Issue("leak", "error", "It leaks.", "Fix it."), Issue("no-test", "note", "It is small.", ""))
    page = audit_page(Audit("pets", DatasetSplits(), issues))
    assert '<div class="note error"><b>error</b> It leaks.<br><span>Fix it.</span></div>' in page
    assert '<div class="note note"><b>note</b> It is small.</div>' in page


def test_every_image_is_there_once_and_enlarges_without_a_script(hostile_page):
    page = Reader(hostile_page)
    uris = [each["src"] for each in page.all("img")]
    boxes = page.all("input")
    assert len(boxes) == len(uris) == len(page.all("label")) == 3
    assert all(box["type"] == "checkbox" and box["aria-label"] for box in boxes)
    assert hostile_page.count("data:image/png") == 3
