"""The page that classifies in the browser, in a browser."""

from __future__ import annotations

import functools
import http.server
import io
import json
import re
import shutil
import subprocess
import tarfile
import threading
from dataclasses import replace

import keras
import numpy as np
import onnxruntime
import pytest
from PIL import Image

from factories import classifier, fill_random, noise
from resnet50.build import build_resnet50
from resnet50.data.fit import Fit
from resnet50.datasets.rendered_signs import rendered_signs
from resnet50.exporters.export import export
from resnet50.exporters.web_runtime import DOWNLOADS, VERSION
from resnet50.inference.batching import forward_array
from resnet50.inference.classifier import Classifier
from resnet50.inference.features import with_features
from resnet50.model import Stage
from resnet50.uncertainty.distance import nearest_distances
from resnet50.uncertainty.scaling import Temperature
from resnet50.uncertainty.thresholds import Thresholds, reference_features

STAGES = (Stage("conv2", 1, (4, 6, 16), 1), Stage("conv3", 1, (5, 7, 24), 2))
CLASS_NAMES = ("cat", "<b onclick=alert(1)>dög</b>", "fish")


def smooth(size, seed):
    """Return an image of soft shapes."""
    return np.asarray(Image.fromarray(noise(3, 3, 3, seed=seed)).resize(size, Image.Resampling.BICUBIC))


IMAGES = np.stack([smooth((32, 32), seed) for seed in range(12)])

# how far a probability may be off, 0..1: what docs/guides/web.md promises
TOLERANCES = {"fp32": 0.02, "int8": 0.05}
SHOWN = 0.0006  # of a probability, which the page shows in steps of 0.001

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """The folder of ONNX Runtime Web's files, from its package."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "pack", f"onnxruntime-web@{VERSION}", "--silent", "--pack-destination", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"npm has no onnxruntime-web here: {done.stderr[-200:]}")
    (package,) = folder.glob("*.tgz")
    with tarfile.open(package) as archive:
        for download in DOWNLOADS:
            archive.extract(f"package/dist/{download.name}", folder, filter="data")
    return folder / "package" / "dist"


@pytest.fixture(scope="module")
def pages(runtime, tmp_path_factory):
    """A folder with a page for each precision."""
    model = fill_random(build_resnet50(3, input_shape=(32, 32, 3), stages=STAGES), 1)
    tell_apart(model, IMAGES)
    made = knows_half(replace(classifier(model, CLASS_NAMES), fit=Fit(crop_ratio=0.875)))
    folder = tmp_path_factory.mktemp("web")
    for precision in TOLERANCES:
        options = {"precision": precision, "check": IMAGES, "calibration": IMAGES, "web_runtime": runtime}
        export(made, folder / precision, format="web", **options)
    return folder


def tell_apart(model, images):
    """Give the last layer weights with which the probabilities of images differ."""
    last = model.layers[-1]
    features = keras.Model(model.input, last.input).predict_on_batch(np.float32(images))
    kernel, _ = last.get_weights()
    kernel *= 0.7 / np.std(features @ kernel, axis=0)
    last.set_weights([kernel, -(features @ kernel).mean(axis=0)])


def knows_half(known):
    """Return a classifier that refuses the latter half of IMAGES, and whose sets have one class or several."""
    rows = forward_array(with_features(known.model), IMAGES, batch_size=12)
    features = reference_features(rows[:6, 3:])
    strangers = nearest_distances(rows[6:, 3:], features, 1)
    thresholds = Thresholds(
        Temperature(1.5),
        "lac",
        scores=np.linspace(0.01, 0.8, 99, dtype=np.float32),
        labels=np.arange(99) % 3,
        distances=np.full(99, strangers.min() / 2, np.float32),
        features=features,
        fitted_on="held-out",
        neighbors=1,
    )
    return replace(known, thresholds=thresholds)


@pytest.fixture(scope="module")
def server(pages):
    """The address of a server for the pages, as ``python -m http.server`` is one."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(pages))) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()


@pytest.fixture(scope="module")
def context(browser, server):
    """A browser of the width of a phone, with a camera that shows a pattern."""
    made = browser.new_context(viewport={"width": 390, "height": 844})
    made.grant_permissions(["camera"], origin=server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def loaded(context, server):
    """The page of a precision, which is opened once; what it asks for elsewhere, and its errors, fail the tests."""
    made, problems = {}, []

    def get(precision):
        if precision not in made:
            page = made[precision] = context.new_page()
            page.on("filechooser", lambda _: None)  # from now on: Playwright begins to listen later than it says
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("dialog", lambda dialog: problems.append(dialog.message))
            page.on("request", lambda request: None if is_here(request.url) else problems.append(request.url))
            page.goto(f"{server}/{precision}/")
            shows(page, "Ready")
        assert problems == []
        return made[precision]

    def is_here(url):
        return url.startswith((server, "data:"))

    yield get
    assert problems == []


def shows(page, pattern):
    """Wait for a status; by no script in the page, which its policy forbids."""
    from playwright.sync_api import expect

    expect(page.locator("#status")).to_have_text(re.compile(pattern), timeout=60_000)


def classified(page, name, content):
    """Choose a file; return the probabilities that the page shows."""
    page.set_input_files("#file", {"name": name, "mimeType": "image/png", "buffer": content})
    shows(page, rf"^{re.escape(name)}: .* s\)$")
    return shown(page)


def shown(page):
    rows = page.locator("#answers tr").all()
    return {row.locator("th").text_content(): float(row.locator("td").text_content()[:-1]) / 100 for row in rows}


def encoded(image, suffix, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, suffix, **options)
    return file.getvalue()


@pytest.mark.parametrize("precision", TOLERANCES)
def test_the_page_answers_as_the_graph_does_in_python(loaded, pages, precision):
    page = loaded(precision)
    session = onnxruntime.InferenceSession(pages / precision / "model.onnx", providers=["CPUExecutionProvider"])
    answers = []
    for seed, size in ((3, (32, 32)), (1, (50, 40)), (10, (37, 61))):
        image = smooth(size, seed)
        (expected,) = session.run(None, {"image": image})[0]
        answers.append(expected)
        found = classified(page, f"{seed}.png", encoded(image, "png"))
        tolerance = SHOWN if precision == "fp32" else TOLERANCES[precision]
        assert found == pytest.approx(dict(zip(CLASS_NAMES, expected, strict=True)), abs=tolerance)
    assert np.ptp(answers, axis=0).max() > 0.2


@pytest.mark.parametrize("precision", TOLERANCES)
def test_the_page_answers_as_predict_does(loaded, pages, precision):
    page, exported = loaded(precision), Classifier.load(pages / precision)
    sign, other = rendered_signs(train=1, test=1, image_size=301)[0].images[0], smooth((400, 250), 3)
    turned = Image.Exif()
    turned[0x0112] = 6
    opacity = np.tile(np.linspace(0, 255, 400, dtype=np.uint8)[:, None], (250, 1, 1))
    files = {
        "small.png": encoded(sign[::4, ::4], "png"),
        "sign.png": encoded(sign, "png"),
        "sign.jpg": encoded(sign, "jpeg", quality=95),
        "turned.jpg": encoded(other, "jpeg", quality=95, exif=turned),
        "gray.png": encoded(other[..., 0], "png"),
        "transparent.png": encoded(np.concatenate([other, opacity], axis=2), "png"),
    }
    answers = []
    for name, content in files.items():
        expected = dict(exported.predict(content).top)
        answers.append([expected[each] for each in CLASS_NAMES])
        assert classified(page, name, content) == pytest.approx(expected, abs=TOLERANCES[precision]), name
    assert np.ptp(answers, axis=0).max() > 0.2


def test_the_page_doubts_as_predict_does(loaded, pages):
    page, exported, sizes = loaded("fp32"), Classifier.load(pages / "fp32"), set()
    for place, image in enumerate(IMAGES):
        content = encoded(image, "png")
        expected = exported.predict(content)
        classified(page, "a.png", content)
        said, status = page.locator("#verdict").text_content(), page.locator("#status").text_content()
        assert expected.refused is (place >= 6)
        assert ("None of these" in said, "none of these" in status) == (expected.refused,) * 2
        if not expected.refused:
            assert said.startswith(f"{' or '.join(expected.prediction_set)}. For 95% ")
            sizes.add(len(expected.prediction_set))
    assert len(sizes) > 1


def test_a_page_without_thresholds_doubts_nothing(loaded):
    page = loaded("int8")
    classified(page, "a.png", encoded(IMAGES[7], "png"))
    assert page.locator("#verdict").is_hidden()


def test_sets_of_the_other_score(loaded):
    """The sums of the scaled probabilities, from the largest on: 0.48, 0.8, 0.96, 1 at a temperature of 2."""
    script = """async ([shares, thresholds]) => (await import("./doubt.js")).predictionSet(shares, thresholds)"""
    shares = [0.08**2, 0.24**2, 0.02**2, 0.16**2]
    sets = {"score": "aps", "by_class": False, "largest_score": {"0.95": 0.85}}
    assert loaded("fp32").evaluate(script, [shares, {"temperature": 2, "prediction_set": sets}]) == [1, 3]
    sets["largest_score"] = {"0.8": 0.85}
    assert loaded("fp32").evaluate(script, [shares, {"temperature": 2, "prediction_set": sets}]) is None


def test_names_are_shown_as_text(loaded):
    page = loaded("fp32")
    name = "<img src=x onerror=alert(2)>.png"
    assert set(classified(page, name, encoded(IMAGES[0], "png"))) == set(CLASS_NAMES)
    assert page.locator("main b, main img").count() == 0
    assert page.locator("#classes li").all_text_contents() == [*CLASS_NAMES]


def test_a_file_that_is_no_image_takes_the_last_answer_away(loaded):
    page = loaded("fp32")
    classified(page, "a.png", encoded(IMAGES[0], "png"))
    page.set_input_files("#file", {"name": "b.png", "mimeType": "image/png", "buffer": b"no image"})
    shows(page, r"^b\.png .*cannot")
    assert page.locator("#result").is_hidden()


def test_files_are_dropped(loaded):
    page = loaded("fp32")
    drop = """(names) => {
        const dataTransfer = new DataTransfer();
        for (const name of names) dataTransfer.items.add(new File([], name));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }));
    }"""
    page.evaluate(drop, ["a.png", "b.png"])
    shows(page, r"^a\.png, .* 2 files, .*cannot")
    page.evaluate(drop, [])
    shows(page, "image file")


def test_it_is_used_by_keyboard_and_fits_a_phone(loaded):
    from playwright.sync_api import expect

    page = loaded("fp32")
    page.locator("body").focus()
    page.keyboard.press("Tab")
    expect(page.locator("#file")).to_be_focused()
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files({"name": "a" * 80, "mimeType": "image/png", "buffer": encoded(IMAGES[0], "png")})
    shows(page, "^a+: .*%")
    page.keyboard.press("Tab")
    expect(page.locator("#camera")).to_be_focused()
    for part in ("#drop", "#status", "#result", "#about"):
        box = page.locator(part).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_the_camera_is_classified_until_it_is_stopped(loaded):
    from playwright.sync_api import expect

    page = loaded("fp32")
    page.set_input_files("#file", {"name": "b.png", "mimeType": "image/png", "buffer": b"no image"})
    shows(page, "cannot")
    page.click("#camera")
    shows(page, "camera is on")
    expect(page.locator("#result")).to_be_visible()
    assert page.locator("#video").is_visible()
    assert len(shown(page)) == 3
    page.click("#camera")
    shows(page, "camera is off")
    assert page.locator("#canvas").is_visible()
    assert page.evaluate("document.getElementById('video').srcObject") is None
    page.click("#camera")
    expect(page.locator("#video")).to_be_visible()
    assert set(classified(page, "a.png", encoded(IMAGES[0], "png"))) == set(CLASS_NAMES)
    assert page.locator("#video").is_hidden()


@pytest.mark.parametrize(
    ("file", "answer", "words"),
    [
        ("model.onnx", {"status": 404}, r"model\.onnx.*404"),
        ("resnet50.json", {"body": "{"}, "cannot be loaded"),
        ("ort.wasm.min.mjs", {"content_type": "text/plain"}, "text/javascript"),
        ("page.js", {"status": 404}, "all files"),
    ],
)
def test_a_page_that_cannot_be_loaded_says_why(context, server, file, answer, words):
    with context.new_page() as page:
        page.route(f"**/{file}", lambda route: route.fulfill(**answer))
        page.goto(f"{server}/fp32/")
        shows(page, words)
        assert page.locator("#drop").is_hidden()


def test_from_a_file_it_says_what_to_do(context, pages):
    with context.new_page() as page:
        page.goto((pages / "fp32" / "index.html").as_uri())
        shows(page, r"python -m http\.server")
        assert page.locator("#drop").is_hidden()


def test_the_folder_describes_itself_and_names_no_other_place(pages):
    folder = pages / "int8"
    about = json.loads((folder / "resnet50.json").read_text(encoding="utf-8"))["export"]
    assert (about["format"], about["precision"], about["image"]["size"]) == ("web", "int8", "any")
    assert {download.name: download.sha256 for download in DOWNLOADS}.items() <= about["files"].items()
    for name in ("index.html", "page.js", "doubt.js", "page.css", "start.js"):
        text = (folder / name).read_text(encoding="utf-8").replace("http://localhost:8000", "")
        assert not re.search("https?:", text)
