import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from factories import dataset
from resnet50.audit.check import Audit
from resnet50.audit.issue import Issue, Place
from resnet50.data.splits import DatasetSplits
from resnet50.reports.audit import audit_page, contents, summarize


def labeled(counts, shade, names=("cats", "dogs <i>")):
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.zeros((len(labels), 8, 8, 3), np.uint8)
    images[...] = shade + np.arange(len(labels))[:, None, None, None]
    return dataset(labels, names, images=images, paths=[f"{shade}/{k}.jpg" for k in range(len(labels))])


def issue(kind, severity, *examples):
    return Issue(kind, severity, f"summary of {kind} & more.", f"advice on {kind}", tuple(examples))


def page(issues, name="pets", **splits):
    return audit_page(Audit(name, DatasetSplits(**splits), tuple(issues)))


def counted(text):
    """How many issues of each severity a text mentions."""
    return re.findall(r"(\d+) (error|warning|note)", text)


def title(html):
    return re.search(r"<h1>(.*?)</h1>", html)[1]


def images(html):
    """The first pixel of every image, in order."""
    encoded = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(data))).getpixel((0, 0))[0] for data in encoded]


def captions(html):
    """The lines below each image: the texts, and then the file's name and its folder."""
    html = re.sub("<wbr>|</?i>", "", html)
    found = re.findall(r"<figcaption>(.*?)</figcaption>", html, re.DOTALL)
    return [re.findall(r"<span.*?>(.*?)</span>", text) for text in found]


def test_issues_are_shown_worst_first_with_their_images_beside_each_other():
    train, test = labeled([2, 0], 10), labeled([1, 1], 100)
    pair = (
        Place("100/1.jpg", "test", 1, "dogs <i>"),
        Place("10/0.jpg", "train", 0, "cats", "1.0 gray levels apart"),
    )
    lost = (Place("a<b>.jpg", remark="is cut off"),)
    issues = [issue("mixed-modes", "note"), issue("leak", "error", pair), issue("unreadable", "warning", lost)]
    html = page(issues, train=train, test=test)
    assert "pets" in title(html)
    assert counted(title(html)) == [("1", "error"), ("1", "warning"), ("1", "note")]
    line = re.search(r'<p class="sub">(.*?)</p>', html)[1]
    assert re.findall(r"\d+", line) == ["2", "2", "2", "8", "8"]  # images of each split, classes, pixels
    assert line.index("train") < line.index("test")
    places = [html.index(f"summary of {kind} &amp; more.") for kind in ("leak", "unreadable", "mixed-modes")]
    assert places == sorted(places)
    between = html[places[0] : places[1]]
    assert images(between) == [101, 10]
    assert captions(between) == [
        ["dogs &lt;i&gt;, test", "1.jpg", "100/"],
        ["cats, train", "1.0 gray levels apart", "0.jpg", "10/"],
    ]
    assert "<td><i>a&lt;b&gt;.jpg</i></td><td>is cut off</td>" in html[places[1] : places[2]]
    assert "<p>" not in html[places[0] : places[1]]  # nothing about examples that are not shown
    assert '<tr><td>cats</td><td class="number">2</td><td class="number">1</td></tr>' in html
    assert '<tr><td>dogs &lt;i&gt;</td><td class="number">0</td><td class="number">1</td></tr>' in html


def test_of_many_examples_some_are_shown():
    examples = [(Place(f"10/{k}.jpg", "train", k, "cats"),) for k in range(40)]
    html = page([issue("low-resolution", "note", *examples)], train=labeled([50, 50], 10))
    shown = html.split("<h2")[0]
    assert images(shown) == list(range(10, 26))
    (more,) = re.findall(r"<p>(.*?)</p>", shown)
    assert "16" in more
    assert "--json" in more


def test_four_images_of_each_class_are_shown_and_fewer_of_hundreds_of_classes():
    html = page([], train=labeled([40, 3], 10))
    assert "pets" in title(html)
    assert counted(title(html)) == []
    sheet = html.split("<h2>")[-1]
    shown = images(sheet)
    assert len(set(shown[:4])) == 4
    assert max(shown[:4]) < 50 <= min(shown[4:])
    assert shown[4:] == [50, 51, 52]
    assert [lines[0] for lines in captions(sheet)] == ["cats"] * 4 + ["dogs &lt;i&gt;"] * 3
    names = tuple(f"class {k}" for k in range(120))
    many = page([], name="many", train=labeled([3] * 120, 0, names))
    assert len(images(many)) == 240


def test_a_source_that_cannot_be_read_has_a_page_too():
    html = page([issue("unusable", "error")])
    assert "pets" in title(html)
    assert counted(title(html)) == [("1", "error")]
    assert "summary of unusable" in html
    assert "<h2>" not in html  # neither classes nor images


@pytest.mark.parametrize(
    ("severities", "counts"),
    [
        ((), []),
        (("note",), [("1", "note")]),
        (("note", "error", "note", "error", "warning"), [("2", "error"), ("1", "warning"), ("2", "note")]),
    ],
)
def test_a_summary_counts(severities, counts):
    words = summarize([issue("x", severity) for severity in severities])
    assert words
    assert counted(words) == counts


def test_the_contents_say_whether_training_cuts_off_a_test_split():
    train, test = labeled([2, 0], 10), labeled([1, 1], 100)
    assert contents({}, 0.2) == ""
    assert re.findall(r"\d+%?", contents({"train": train}, 0.2)) == ["2", "2", "8", "8", "20%"]
    assert re.findall(r"\d+%?", contents({"train": train, "test": test}, 0.2)) == ["2", "2", "2", "8", "8"]


def test_control_characters_of_a_file_name_are_escaped():
    html = page([issue("unreadable", "error", (Place("\x1b[2Jdog.jpg", remark="is \x07cut off"),))])
    assert "\\x1b[2Jdog.jpg" in html
    assert "is \\x07cut off" in html
    assert not {"\x1b", "\x07"} & {*html}


def test_a_whole_image_keeps_its_shape_beside_the_crop_so_that_white_ends_can_be_seen(tmp_path):
    pixels = np.full((20, 160, 3), 90, np.uint8)
    pixels[:, :20] = 255
    (tmp_path / "100").mkdir()
    Image.fromarray(pixels).save(tmp_path / "100" / "0.jpg", format="PNG")
    cropped = issue("odd-aspect-ratio", "warning", (Place("100/0.jpg", "train", 0, "cats", "88% cut off"),))
    html = audit_page(Audit("pets", DatasetSplits(train=labeled([1, 1], 100), root=tmp_path), (cropped,)))
    shown = html.split("<h2")[0]
    encoded = re.findall(r'src="data:image/[a-z]+;base64,([^"]+)"', shown)
    whole, crop = (Image.open(io.BytesIO(base64.b64decode(data))) for data in encoded)
    assert (whole.size, crop.size) == ((224, 28), (8, 8))
    assert whole.getpixel((2, 14))[0] > 250
    assert abs(whole.getpixel((60, 14))[0] - 90) < 5
