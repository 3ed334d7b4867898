"""The page that classifies in the browser, in a browser."""

from __future__ import annotations

import functools
import http.server
import json
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from factories import classifier, fill_random, noise, raises
from resnet50.build import build_resnet50
from resnet50.data.fit import Fit
from resnet50.exporters.export import export
from resnet50.exporters.web_runtime import DOWNLOADS, VERSION
from resnet50.inference.classifier import Classifier
from resnet50.model import Stage

STAGES = (Stage("conv2", 1, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))
IMAGES = noise(8, 32, 32, 3)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def runtime(tmp_path_factory):
    """The folder of ONNX Runtime Web's files, from its package."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("npm")
    command = ["npm", "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"npm finds no packages here: {done.stderr[-200:]}")
    names = [f"package/dist/{download.name}" for download in DOWNLOADS]
    (package,) = folder.glob("*.tgz")
    subprocess.run(["tar", "xzf", package, *names], cwd=folder, check=True)
    return folder / "package" / "dist"


@pytest.fixture(scope="session")
def pages(runtime, tmp_path_factory):
    """A page for each precision."""
    model = fill_random(build_resnet50(3, input_shape=(32, 32, 3), stages=STAGES), 1)
    made = replace(classifier(model, ("cat", "<b>dög</b>", "fish")), fit=Fit(crop_ratio=0.875))
    folder = tmp_path_factory.mktemp("web")
    for precision in ("fp32", "int8"):
        options = {"precision": precision, "check": IMAGES, "calibration": IMAGES, "web_runtime": runtime}
        export(made, folder / precision, format="web", **options)
    return folder


@pytest.fixture(scope="session")
def server(pages):
    """The address of a server for the pages, as ``python -m http.server`` is one."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(pages))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


@pytest.fixture(scope="session")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
        )
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """An empty page of a phone; what it asks for elsewhere, and its errors, fail the test."""
    with browser.new_context(viewport={"width": 390, "height": 844}) as context:
        opened = context.new_page()
        errors = []
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.on("request", lambda request: errors.append(request.url) if is_elsewhere(request.url) else None)
        yield opened
        assert errors == []


def is_elsewhere(url):
    return not url.startswith(("http://127.0.0.1:", "blob:", "data:", "file:"))


def ready(page, address):
    page.goto(address)
    shows(page, "Ready")


def shows(page, words):
    """Wait for a status; without evaluating a script, which the page's policy forbids."""
    from playwright.sync_api import expect

    expect(page.locator("#status")).to_contain_text(words, timeout=60_000)


def answers(page):
    shows(page, "Classified")
    rows = page.locator("#answers tr").all()
    return {row.locator("td").first.text_content(): float(row.locator("td").last.text_content()[:-2]) for row in rows}


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_page_answers_as_python_does(page, server, pages, tmp_path, precision):
    exported = Classifier.load(pages / precision)
    ready(page, f"{server}/{precision}/")
    for size in ((32, 32), (50, 40), (37, 61)):
        image = Image.fromarray(IMAGES[0]).resize(size, Image.Resampling.BICUBIC)
        image.save(tmp_path / "image.png")
        page.set_input_files("#file", tmp_path / "image.png")
        page.wait_for_timeout(300)
        expected = {name: 100 * share for name, share in exported.predict(tmp_path / "image.png").top}
        assert answers(page) == pytest.approx(expected, abs=0.3 if precision == "fp32" else 1.5)


def test_it_fits_a_phone_and_is_used_by_keyboard(page, server, tmp_path):
    ready(page, f"{server}/fp32/")
    from playwright.sync_api import expect

    for part in ("main", "#drop", "#file"):
        box = page.locator(part).bounding_box()
        assert box["x"] + box["width"] <= 390
    for name in ("#file", "#camera"):
        page.keyboard.press("Tab")
        expect(page.locator(name)).to_be_focused()


def test_the_camera_is_classified(page, server):
    page.context.grant_permissions(["camera"], origin=server)
    ready(page, f"{server}/fp32/")
    page.click("#camera")
    page.wait_for_timeout(1000)
    page.click("#shot")
    assert len(answers(page)) == 3
    page.click("#stop")
    assert page.locator("#live").is_hidden()


def test_a_file_that_is_no_image_is_said(page, server, tmp_path):
    (tmp_path / "image.png").write_text("no image")
    ready(page, f"{server}/fp32/")
    page.set_input_files("#file", tmp_path / "image.png")
    shows(page, "This cannot be classified")


def test_from_a_file_it_says_what_to_do(page, pages):
    page.goto((pages / "fp32" / "index.html").as_uri())
    assert "python -m http.server" in page.text_content("#status")


def test_the_folder_holds_all_and_the_page_names_no_other_place(pages):
    folder = pages / "int8"
    about = json.loads((folder / "resnet50.json").read_text(encoding="utf-8"))["export"]
    assert (about["format"], about["precision"], about["image"]["size"]) == ("web", "int8", "any")
    assert {download.name for download in DOWNLOADS} <= set(about["files"])
    for name in ("index.html", "page.js", "page.css"):
        assert "http" not in (folder / name).read_text(encoding="utf-8").replace("http-equiv", "")


def test_the_runtime_is_for_pages(pages, tmp_path):
    made = classifier()
    with raises(ValueError, "web", "onnx"):
        export(made, tmp_path / "out", format="onnx", web_runtime=tmp_path, check=noise(2, 32, 40, 3))
    assert not Path(tmp_path, "out").exists()
    assert np.isfinite(Classifier.load(pages / "fp32").probabilities(IMAGES)).all()
