"""The page in a browser."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import os
import re
import socket
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factories import noise, write_image
from resnet50.app.launch import RunningApp, launch_app
from resnet50.data.images import read_image
from resnet50.evaluation.explain import explain
from resnet50.inference.classifier import Classifier
from resnet50.inference.features import feature_model
from resnet50.plots.heat import overlay

pytestmark = pytest.mark.slow

WAIT = 180_000  # milliseconds


@pytest.fixture(scope="module", autouse=True)
def _gradio():
    """Imported here, where it is needed: it takes seconds."""
    pytest.importorskip("gradio", exc_type=ImportError)


@dataclass(frozen=True)
class Served:
    """A page that is served, and the names of other machines that it has looked up."""

    app: RunningApp
    asked: list[str]


@pytest.fixture(scope="module")
def served(run):
    asked = []
    look_up = socket.getaddrinfo

    def recorded(host, *rest, **options):
        if host not in ("127.0.0.1", "localhost", None):
            asked.append(host)
            raise socket.gaierror(f"{host}: no other machine is there")
        return look_up(host, *rest, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", recorded)
        with launch_app(run.folder) as app:
            yield Served(app, asked)


@pytest.fixture(scope="module")
def classifier(run):
    return Classifier.load(run.folder)


@pytest.fixture
def open_page(browser, served):
    """Open the page; what it asks of other places, and its errors, fail the test."""
    errors, contexts = [], []

    def open_page(**options):
        contexts.append(browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if is_here(request.url) else errors.append(request.url))
        page.on("filechooser", lambda _: None)  # from now on, so that the browser's own dialog never opens
        page.goto(served.app.url)
        page.locator("#image input[type=file]").wait_for(state="attached", timeout=WAIT)
        page.get_by_text("Loading...").wait_for(state="hidden", timeout=WAIT)  # until then it is made anew
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []
    assert served.asked == []


@pytest.fixture
def page(open_page):
    return open_page()


@pytest.fixture
def image(tmp_path):
    return write_image(tmp_path / "new one.png", noise(90, 70, 3, seed=7))


def is_here(url):
    return url.startswith(("http://127.0.0.1:", "blob:", "data:"))


def shows(locator, words):
    """Wait for words; without evaluating a script, which the page's policy forbids."""
    from playwright.sync_api import expect

    expect(locator).to_contain_text(words, timeout=WAIT)


def give(page, path):
    page.set_input_files("#image input[type=file]", path)
    shows(page.locator("#summary"), "Fitted to 40 by 32 pixels")


def pixels_of(page, place):
    """The pixels of an image on the page."""
    source = page.locator(f"{place} img").first.get_attribute("src", timeout=WAIT)
    return np.asarray(Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB"))


def drop(page, place, path):
    """Drop a file as from a file manager, or paste it."""
    content = base64.b64encode(path.read_bytes()).decode()
    script = """([content, name]) => {
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], name, { type: "image/png" }));
        return data;
    }"""
    data = page.evaluate_handle(script, [content, path.name])
    page.locator(place).dispatch_event("drop", {"dataTransfer": data})


def test_a_dropped_image_is_answered_as_by_the_classifier(page, served, run, classifier, image):
    shows(page.locator("h1"), "pets & <i>more</i>: 3 classes")
    shows(page.locator("body"), "75.0%")
    drop(page, "#image .upload-container button", image)
    top = classifier.predict(image, top=3).top
    shows(page.locator("#summary"), f"{top[0][0]}, {top[0][1]:.1%}.")
    shows(page.locator("#summary"), "center crop of 0.875")
    shows(page.locator("#summary"), f"Grad-CAM for {top[0][0]} at conv3_block2_out, 4 x 5 cells")
    text = page.locator("#classes").inner_text()
    for name, share in top:
        assert re.search(rf"{re.escape(name)}\s+(\S+)%", text), text
        assert abs(float(re.search(rf"{re.escape(name)}\s+(\S+)%", text)[1]) - 100 * share) <= 0.5


def test_the_map_and_the_nearest_training_images_are_shown(page, run, classifier, image):
    give(page, image)
    explanation = explain(classifier, image, top=1)
    np.testing.assert_array_equal(pixels_of(page, "#fitted"), explanation.image)
    np.testing.assert_array_equal(pixels_of(page, "#evidence"), overlay(explanation.image, explanation.heats[0]))

    paths = [image, *(run.source / name for name in run.train)]
    pixels = np.stack([read_image(path, height=32, width=40, fit=classifier.fit) for path in paths])
    rows = feature_model(run.keras().model).predict_on_batch(pixels)
    query, *others = rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))
    cosines = {k: float(row @ query) for k, row in enumerate(others)}
    nearest = sorted(cosines, key=cosines.get, reverse=True)[:4]
    captions = page.locator("#nearest .caption-label").all_inner_texts()
    assert captions == [f"{('cat', '<b>dög</b>', '=1+1')[k % 3]}, {cosines[k]:.2f}" for k in nearest]
    np.testing.assert_array_equal(pixels_of(page, "#nearest"), pixels[1 + nearest[0]])


def test_what_is_no_image_replaces_the_former_answer_by_the_reason(page, image, tmp_path):
    give(page, image)
    (tmp_path / "**no** <u>image.png").write_text("no image")
    page.locator("#image").get_by_role("button", name="Remove Image").click()
    page.set_input_files("#image input[type=file]", tmp_path / "**no** <u>image.png")
    shows(page.locator("#summary"), "cannot be read as an image")
    text = page.locator("#summary").inner_text()
    assert "resnet50-app-" not in text
    assert page.locator("#summary u, #summary strong").count() == 0
    assert page.locator("#evidence img").count() == 0
    assert page.locator("#nearest .caption-label").count() == 0


def test_test_images_are_there_to_try(page, run, classifier):
    examples = page.locator(".gallery-item")
    assert examples.count() == 4
    examples.nth(1).click()
    name, share = classifier.predict(run.source / run.test[1], top=1).top[0]
    shows(page.locator("#summary"), f"{name}, {share:.1%}.")


def test_an_image_is_pasted_or_taken_by_the_camera(open_page, image, classifier):
    from playwright.sync_api import expect

    page = open_page(permissions=["camera", "clipboard-read", "clipboard-write"])
    name, share = classifier.predict(image, top=1).top[0]
    script = """async (content) => {
        const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
        await navigator.clipboard.write([new ClipboardItem({ "image/png": new Blob([bytes], { type: "image/png" }) })]);
    }"""
    page.evaluate(script, base64.b64encode(image.read_bytes()).decode())
    page.get_by_role("button", name="Paste from clipboard").click()
    shows(page.locator("#summary"), f"{name}, {share:.1%}.")
    page.get_by_role("button", name="Remove Image").click()
    expect(page.locator("#summary")).to_have_text("", timeout=WAIT)
    page.get_by_role("button", name="Capture from camera").click()
    page.get_by_role("button", name="Click to Access Webcam").click()
    page.wait_for_timeout(1000)  # a photo before the camera's first frame is none
    page.get_by_role("button", name="capture photo").click()
    shows(page.locator("#summary"), "Fitted to")


def test_many_images_become_a_gallery_and_a_table(page, classifier, image, tmp_path):
    formula = write_image(tmp_path / "=1+1.png", noise(50, 60, 3, seed=8))
    broken = tmp_path / "@broken\x1b[2J.png"
    broken.write_text("no image")
    page.get_by_role("tab", name="Many images").click()
    page.set_input_files("#files input[type=file]", [image, formula, broken])
    shows(page.locator("#many-summary"), "2 images classified, 1 unreadable")
    expected = [classifier.predict(path, top=3).top for path in (image, formula)]
    captions = page.locator("#answers .caption-label").all_inner_texts()
    assert captions == [f"{top[0][0]}, {top[0][1]:.1%}" for top in expected]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the table").click()
    text = Path(download.value.path()).read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["path"] for row in rows[:2]] == ["new one.png", "'=1+1.png"]
    for row, top in zip(rows, expected, strict=False):
        assert row["class"].removeprefix("'") == top[0][0]
        assert float(row["probability_3"]) == pytest.approx(top[2][1], abs=2e-6)
    assert rows[2]["class"] == ""
    assert rows[2]["error"].startswith("'@broken")
    assert "resnet50-app-" not in text
    assert "\x1b" not in text


def tab_to(page, name):
    """Press Tab until a button of this name has the focus."""
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.locator("button:focus")
        if focused.count() and name in f"{focused.get_attribute('aria-label')} {focused.inner_text()}":
            return
    raise AssertionError(f"{name} cannot be reached")


def choose(page, files):
    """Choose files with what has the focus."""
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(files)


def test_it_is_used_by_keyboard(page, classifier, image):
    tab_to(page, "Drop an image file")
    choose(page, image)
    name, share = classifier.predict(image, top=1).top[0]
    shows(page.locator("#summary"), f"{name}, {share:.1%}.")
    tab_to(page, "Many images")
    page.keyboard.press("Enter")
    tab_to(page, "Click to upload")
    choose(page, [image])
    shows(page.locator("#many-summary"), "1 image classified.")


def test_it_fits_a_phone_and_follows_dark_mode(open_page, image):
    brightness = {}
    for scheme in ("light", "dark"):
        page = open_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
        give(page, image)
        pixels_of(page, "#nearest")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("L"))
        brightness[scheme] = float(np.median(shot))
        page.get_by_role("tab", name="Many images").click()
        page.set_input_files("#files input[type=file]", [image])
        caption = page.locator("#answers .caption-label")
        shows(caption, "%")
        assert caption.evaluate("caption => caption.scrollWidth <= caption.clientWidth")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert brightness["light"] > 200
    assert brightness["dark"] < 60


def status(url, **headers):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def test_it_answers_to_this_machine_alone_and_serves_no_files(served, run):
    url = served.app.url
    assert url.startswith("http://127.0.0.1:")
    assert status(url, Host="localhost:1") == 200
    assert status(url, Host="example.org") == 400
    assert status(f"{url}gradio_api/file={run.model}") == 403
    assert status(f"{url}gradio_api/file=http://example.org/a.png") == 403
    assert status(f"{url}gradio_api/file={run.source / run.train[0]}".replace(" ", "%20").replace("é", "%C3%A9")) == 403


@pytest.mark.parametrize("origin", ["https://example.org", "http://127.0.0.1:1", "null"])
def test_the_page_of_another_cannot_upload(served, origin):
    """A form is sent from any page to any address without asking; only the answer is withheld from it."""
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\nmany bytes\r\n--x--\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Origin": origin}
    before = sorted(folder.rglob("*"))
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(f"{served.app.url}gradio_api/upload", body, headers))
    refused.value.close()
    assert refused.value.code == 403
    assert sorted(folder.rglob("*")) == before
    own = served.app.url.rstrip("/")
    with urllib.request.urlopen(
        urllib.request.Request(f"{own}/gradio_api/upload", body, headers | {"Origin": own})
    ) as answer:
        assert answer.status == 200


def test_the_page_names_no_folder_of_this_machine(served, run):
    for path in ("", "config"):
        with urllib.request.urlopen(f"{served.app.url}{path}") as answer:
            text = answer.read().decode()
        assert str(run.folder.parent) not in text
        assert str(run.source.parent) not in text


def call(url, number, data):
    """Call a function of the page by its number, as a script would, and return the events that follow."""
    body = json.dumps({"data": [data], "fn_index": number, "session_hash": "script"}).encode()
    request = urllib.request.Request(f"{url}gradio_api/queue/join", body, {"Content-Type": "application/json"})
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(request).close()
        with urllib.request.urlopen(f"{url}gradio_api/queue/data?session_hash=script") as events:
            return events.read().decode()
    return ""


def test_nothing_is_read_but_an_upload(served, run):
    url, path = served.app.url, run.source / run.train[0]
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    body = part + path.read_bytes() + b"\r\n--x--\r\n"
    with urllib.request.urlopen(urllib.request.Request(f"{url}gradio_api/upload", body, headers)) as answer:
        (uploaded,) = json.load(answer)
    with urllib.request.urlopen(f"{url}config") as answer:
        numbers = [each["id"] for each in json.load(answer)["dependencies"]]
    answered = {}
    for name, given in (("upload", uploaded), ("file", str(path)), ("elsewhere", "http://example.org/a.png")):
        data = {"path": given, "meta": {"_type": "gradio.FileData"}}
        answered[name] = "".join(call(url, number, each) for number in numbers for each in (data, [data]))
    for words in ("Fitted to", "1 image classified"):
        assert words in answered["upload"]
        assert words not in answered["file"] + answered["elsewhere"]
    assert served.asked == []


def test_the_browser_is_told_to_load_nothing_from_elsewhere(served):
    with urllib.request.urlopen(served.app.url) as answer:
        policy = answer.headers["content-security-policy"]
        html = answer.read().decode()
    assert "http" not in policy
    assert "default-src 'self'" in policy
    assert not re.search(r"<(?:script|link|img|iframe)\b[^>]*(?:src|href)=\"https?://(?!127\.0\.0\.1)", html)
