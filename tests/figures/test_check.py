import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from resnet50.data.finding import Finding, Place
from resnet50.data.split import Split
from resnet50.figures.check import check_page, summarize


def split(counts, shade, names=("cats", "dogs <i>")):
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    images[...] = shade + np.arange(len(labels))[:, None, None, None]
    sources = tuple(f"{shade}/{k}.jpg" for k in range(len(labels)))
    return Split(images=images, labels=labels, class_names=names, sources=sources, dataset="pets")


def finding(kind, severity, *examples):
    return Finding(kind, severity, f"summary of {kind} & more.", f"advice on {kind}", tuple(examples))


def pictures(html):
    """The first pixel of every picture, in order."""
    found = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(data))).getpixel((0, 0))[0] for data in found]


def captions(html):
    return [re.findall(r"<span>(.*?)</span>", text) for text in re.findall(r"<figcaption>(.*?)</figcaption>", html)]


def test_findings_are_shown_worst_first_with_their_pictures_beside_each_other():
    splits = {"training": split([2, 0], 10), "test": split([1, 1], 100)}
    twin = (
        Place("100/1.jpg", "test", 1, "dogs <i>"),
        Place("10/0.jpg", "training", 0, "cats", "1.0 grey levels apart"),
    )
    lost = (Place("a<b>.jpg", remark="is cut off"),)
    findings = [finding("modes", "note"), finding("leak", "error", twin), finding("unreadable", "warning", lost)]
    html = check_page(findings, splits, title="pets").html()
    assert "<h1>pets: 1 error, 1 warning, 1 note</h1>" in html
    assert "2 training, 2 test pictures of 2 classes, looked at with 8 x 8 pixels." in html
    places = [html.index(f"summary of {kind} &amp; more.") for kind in ("leak", "unreadable", "modes")]
    assert places == sorted(places)
    between = html[places[0] : places[1]]
    assert pictures(between) == [101, 10]
    assert captions(between) == [
        ["dogs &lt;i&gt;, test", "100/1.jpg"],
        ["cats, training", "10/0.jpg", "1.0 grey levels apart"],
    ]
    assert "<td>a&lt;b&gt;.jpg</td><td>is cut off</td>" in html[places[1] : places[2]]
    assert "more" not in html[places[0] : places[1]].replace("&amp; more.", "")
    assert '<tr><td>cats</td><td class="number">2</td><td class="number">1</td></tr>' in html
    assert '<tr><td>dogs &lt;i&gt;</td><td class="number">0</td><td class="number">1</td></tr>' in html


def test_of_many_examples_some_are_shown():
    splits = {"training": split([50, 50], 10)}
    examples = [(Place(f"10/{k}.jpg", "training", k, "cats"),) for k in range(40)]
    html = check_page([finding("small", "note", *examples)], splits, title="pets").html()
    shown = html[: html.index("Pictures of each class")]
    assert pictures(shown) == list(range(10, 26))
    assert "16 of them; resnet50 check --json names more." in shown


def test_the_sheet_shows_four_of_each_class_and_fewer_where_there_are_hundreds():
    html = check_page([], {"training": split([40, 3], 10)}, title="pets").html()
    assert "<h1>pets: nothing found</h1>" in html
    sheet = html[html.index("Pictures of each class") :]
    shown = pictures(sheet)
    assert len(set(shown[:4])) == 4
    assert max(shown[:4]) < 50 <= min(shown[4:])
    assert shown[4:] == [50, 51, 52]
    assert [lines[0] for lines in captions(sheet)] == ["cats"] * 4 + ["dogs &lt;i&gt;"] * 3
    names = tuple(f"class {k}" for k in range(120))
    many = check_page([], {"training": split([3] * 120, 0, names)}, title="many").html()
    assert len(pictures(many)) == 240


def test_a_source_that_cannot_be_read_has_a_page_too():
    html = check_page([finding("unusable", "error")], {}, title="pets").html()
    assert "<h1>pets: 1 error</h1>" in html
    assert "summary of unusable" in html
    assert "Classes" not in html


@pytest.mark.parametrize(
    ("severities", "words"),
    [
        ((), "nothing found"),
        (("note",), "1 note"),
        (("note", "error", "note", "error", "warning"), "2 errors, 1 warning, 2 notes"),
    ],
)
def test_a_summary_counts(severities, words):
    assert summarize([finding("x", severity) for severity in severities]) == words
