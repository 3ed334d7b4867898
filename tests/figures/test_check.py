import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from factories import dataset
from resnet50.data.finding import Finding, Place
from resnet50.figures.check import check_page, summarize


def split(counts, shade, names=("cats", "dogs <i>")):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    images[...] = shade + np.arange(len(labels))[:, None, None, None]
    return dataset(labels, names, images=images, paths=[f"{shade}/{k}.jpg" for k in range(len(labels))])


def finding(kind, severity, *examples):
    return Finding(kind, severity, f"summary of {kind} & more.", f"advice on {kind}", tuple(examples))


def counted(text):
    """How many findings of each severity a text tells of."""
    return re.findall(r"(\d+) (error|warning|note)", text)


def title(html):
    return re.search(r"<h1>(.*?)</h1>", html)[1]


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
    assert "pets" in title(html)
    assert counted(title(html)) == [("1", "error"), ("1", "warning"), ("1", "note")]
    contents = re.search(r'<p class="sub">(.*?)</p>', html)[1]
    assert re.findall(r"\d+", contents) == ["2", "2", "2", "8", "8"]  # pictures of each part, classes, pixels
    assert contents.index("training") < contents.index("test")
    places = [html.index(f"summary of {kind} &amp; more.") for kind in ("leak", "unreadable", "modes")]
    assert places == sorted(places)
    between = html[places[0] : places[1]]
    assert pictures(between) == [101, 10]
    assert captions(between) == [
        ["dogs &lt;i&gt;, test", "100/1.jpg"],
        ["cats, training", "10/0.jpg", "1.0 grey levels apart"],
    ]
    assert "<td>a&lt;b&gt;.jpg</td><td>is cut off</td>" in html[places[1] : places[2]]
    assert "<p>" not in html[places[0] : places[1]]  # nothing on examples that are not shown
    assert '<tr><td>cats</td><td class="number">2</td><td class="number">1</td></tr>' in html
    assert '<tr><td>dogs &lt;i&gt;</td><td class="number">0</td><td class="number">1</td></tr>' in html


def test_of_many_examples_some_are_shown():
    splits = {"training": split([50, 50], 10)}
    examples = [(Place(f"10/{k}.jpg", "training", k, "cats"),) for k in range(40)]
    html = check_page([finding("small", "note", *examples)], splits, title="pets").html()
    shown = html.split("<h2>")[0]
    assert pictures(shown) == list(range(10, 26))
    (more,) = re.findall(r"<p>(.*?)</p>", shown)
    assert "16" in more
    assert "--json" in more


def test_the_sheet_shows_four_of_each_class_and_fewer_where_there_are_hundreds():
    html = check_page([], {"training": split([40, 3], 10)}, title="pets").html()
    assert "pets" in title(html)
    assert counted(title(html)) == []
    sheet = html.split("<h2>")[-1]
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
    assert "pets" in title(html)
    assert counted(title(html)) == [("1", "error")]
    assert "summary of unusable" in html
    assert "<h2>" not in html  # neither classes nor pictures


@pytest.mark.parametrize(
    ("severities", "counts"),
    [
        ((), []),
        (("note",), [("1", "note")]),
        (("note", "error", "note", "error", "warning"), [("2", "error"), ("1", "warning"), ("2", "note")]),
    ],
)
def test_a_summary_counts(severities, counts):
    words = summarize([finding("x", severity) for severity in severities])
    assert words
    assert counted(words) == counts
