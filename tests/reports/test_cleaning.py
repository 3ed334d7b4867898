"""The cleaning page: its content, and its marks in a browser."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from factories import dataset, draw_image, noise, raises
from resnet50.audit.check import Audit
from resnet50.audit.issue import Issue, Place
from resnet50.data.corrections import Correction, Corrections, read_corrections
from resnet50.data.listing import list_images
from resnet50.data.splits import DatasetSplits
from resnet50.inference.suggest import Suggestion, Suggestions
from resnet50.reports.cleaning import SECTIONS, cleaning_page, labeling_page

PATHS = ["cats/0.png", "cats/=1.png", 'cats/a "b", c.png', "dogs/3.png", "dogs/4.png", "dogs/\x1b.png"]


def place(index, suggestion="", remark=""):
    return Place(PATHS[index], "train", index, ("cats", "dogs <i>")[index // 3], remark, suggestion)


def audit(*issues, corrections=None):
    pooled = dataset([0, 0, 0, 1, 1, 1], ("cats", "dogs <i>"), images=noise(6, 8, 8, 3), paths=PATHS)
    return Audit("pets", DatasetSplits(train=pooled, corrections=corrections), tuple(issues))


def issue(kind, *examples):
    return Issue(kind, "warning", f"Summary of {kind}.", "Advice.", tuple(examples))


ISSUES = (
    issue("single-color", (place(1),), (place(2),)),
    issue("label-error", (place(0, "dogs <i>", "predicted dogs <i>, 97%"), place(2), place(3))),
    issue("label-conflict", (place(0), place(4))),
    issue("exif-orientation", (place(5),)),
)


def test_an_image_is_decided_on_once_and_compared_anywhere():
    page = cleaning_page(audit(*ISSUES))
    assert page.count('class="card"') == 4
    sections = [SECTIONS[kind] for kind in ("label-error", "label-conflict", "single-color")]
    assert sorted(map(page.index, sections)) == [page.index(section) for section in sections]
    assert "exif" not in page
    assert 'data-suggestion="dogs &lt;i&gt;"' in page
    assert "dogs <i>" not in page


def test_a_name_that_no_table_can_hold_is_only_shown():
    page = cleaning_page(audit(issue("single-color", (place(5),), (place(4),))))
    assert page.count('class="card"') == 1
    assert page.count("<img") == 2
    assert "1 image\nwithout buttons" in page  # counted, not left out silently
    assert "without buttons" not in cleaning_page(audit(issue("single-color", (place(4),))))


def test_without_images_there_is_no_page():
    with raises(ValueError, "pets"):
        cleaning_page(Audit("pets", DatasetSplits(), ()))


@pytest.fixture
def opened(browser, tmp_path):
    """Write a page and open it from its file; all requests and errors are counted."""
    context = browser.new_context(accept_downloads=True)

    def run(given):
        path = tmp_path / "clean.html"
        path.write_text(cleaning_page(given), encoding="utf-8")
        page = context.new_page()
        page.problems = []
        page.on("request", lambda request: page.problems.append(request.url) if request.url[:4] == "http" else None)
        page.on("console", lambda message: page.problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(path.as_uri())
        return page

    yield run
    context.close()


def saved(page, tmp_path):
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "corrections.csv"
    download.value.save_as(tmp_path / "corrections.csv")
    return list(read_corrections(tmp_path / "corrections.csv").rows)


def states(page):
    return [each.inner_text() for each in page.query_selector_all(".state")]


@pytest.mark.slow
def test_marks_by_mouse_and_keyboard_survive_a_reload_and_are_saved(opened, tmp_path):
    page = opened(audit(*ISSUES))
    assert states(page) == ["", "", "", ""]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")  # the suggestion; the next image has the focus then
    page.keyboard.press("3")
    page.click(".card >> nth=3 >> [data-mark=keep]")
    page.select_option("select >> nth=2", "dogs <i>")
    expected = ["relabel as dogs <i>", "leave out", "relabel as dogs <i>", "keep"]
    assert states(page) == expected
    assert "4 of 4" in page.inner_text("#count")
    page.wait_for_timeout(500)  # another process of the browser writes the marks
    page.reload()
    assert states(page) == expected
    rows = saved(page, tmp_path)
    assert rows == [
        Correction("cats/0.png", "cats", "relabel", "dogs <i>"),
        Correction("dogs/4.png", "dogs <i>", "leave out"),
        Correction('cats/a "b", c.png', "cats", "keep"),
        Correction("cats/=1.png", "cats", "relabel", "dogs <i>"),
    ]
    with (tmp_path / "corrections.csv").open(newline="") as file:
        assert next(csv.reader(file)) == ["path", "label", "action", "new_label"]
    page.click("#clear")
    assert states(page) == ["", "", "", ""]
    page.reload()
    assert "0 of 4" in page.inner_text("#count")
    assert page.problems == []


@pytest.mark.slow
def test_earlier_corrections_are_kept_unless_they_are_changed(opened, tmp_path):
    earlier = (
        Correction("gone.png", "cats", "leave out"),
        Correction("cats/0.png", "dogs <i>", "relabel", "cats"),
        Correction("dogs/4.png", "dogs <i>", "keep"),
    )
    page = opened(audit(*ISSUES, corrections=Corrections("c.csv", "0" * 64, earlier)))
    assert states(page) == ["", "keep", "", ""]
    assert set(saved(page, tmp_path)) == set(earlier)
    page.focus(".card")
    page.keyboard.press("2")  # back to what the file says
    page.click(".card >> nth=1 >> [data-mark='leave out']")
    assert set(saved(page, tmp_path)) == {
        earlier[0],
        Correction("cats/0.png", "dogs <i>", "keep"),
        Correction("dogs/4.png", "dogs <i>", "leave out"),
    }
    assert page.problems == []


def test_the_images_are_those_of_the_issues():
    given = audit(issue("single-color", (place(3),)))
    page = cleaning_page(given)
    assert page.count("data:image/png;base64,") == 1
    assert np.asarray(given.splits["train"].images).shape == (6, 8, 8, 3)


@pytest.mark.slow
def test_unlabeled_images_are_labeled_on_the_same_page(browser, tmp_path):
    paths = [draw_image(tmp_path / f"{k}.png", k) for k in range(3)]
    images = tuple(Suggestion(path, "cat", 0.6, "dog", 0.8) for path in paths)
    html = labeling_page(Suggestions(images, 9, ("cat", "dog"), ()))
    (tmp_path / "label.html").write_text(html, encoding="utf-8")
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.goto((tmp_path / "label.html").as_uri())
    page.keyboard.press("ArrowRight")
    page.keyboard.press("2")
    page.keyboard.press("3")
    page.select_option("select >> nth=2", "dog")
    assert states(page) == ["cat", "leave out", "dog"]
    with page.expect_download() as download:
        page.click("#save")
    assert download.value.suggested_filename == "labels.csv"
    download.value.save_as(tmp_path / "labels.csv")
    context.close()
    listing = list_images(tmp_path / "labels.csv")
    assert [(entry.path, listing.class_names[entry.label]) for entry in listing.entries] == [
        (paths[0], "cat"),
        (paths[2], "dog"),
    ]
