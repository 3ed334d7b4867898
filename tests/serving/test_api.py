from __future__ import annotations

import asyncio
import io
import json
import threading

import numpy as np
import pytest
import requests
from PIL import Image

from factories import noise
from resnet50.cli.predictions import Writer, write_json_lines
from resnet50.inference.prediction import Prediction
from resnet50.serving.refusals import RequestError
from resnet50.serving.served_model import Answer

pytest.importorskip("fastapi", reason="the interface is made with FastAPI")
bodies = pytest.importorskip("resnet50.serving.bodies", reason="forms are read with python-multipart")

ANSWER = {"path": "-", "top": [["c", 0.625], ["a", 0.25], ["b", 0.125]], "error": None}
ANSWER |= {"set": ["c", "a"], "refused": False, "distance": 0.25}
ABOUT = {"model": "letters", "dataset": "alphabet", "precision": "fp32", "coverage": 0.95, "refuse": 0.05}
ANSWER |= ABOUT


@pytest.fixture(scope="module")
def png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(noise(30, 20, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def error_of(answer: requests.Response, status: int) -> str:
    """The message of an answer that has this status and nothing but one line."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert list(body) == ["error"]
    assert "\n" not in body["error"]
    return body["error"]


@pytest.mark.parametrize("content_type", ["image/png", "IMAGE/X-ODD; a=b", "application/octet-stream", None])
def test_an_image_is_the_body(start, png, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    answer = requests.post(f"{start()}/predict", png, headers=headers, timeout=120)
    assert (answer.status_code, answer.json()) == (200, ANSWER)


def test_the_fields_are_those_of_the_command():
    buffer = io.StringIO()
    top = (("c", 0.625), ("a", 0.25), ("b", 0.125))
    write_json_lines(
        Writer(buffer, width=1, top=3, about=ABOUT), [Prediction(0, None, top, None, ("c", "a"), False, 0.25)]
    )
    assert list(json.loads(buffer.getvalue()).items()) == list(ANSWER.items())


def test_a_client_may_ask_for_other_shares(start, png):
    asked = []

    async def remember(images, shares):
        asked.append(shares)
        return [Answer(np.array([0.25, 0.125, 0.625], np.float32))] * len(images)

    url = f"{start(remember)}/predict"
    answer = requests.post(url, png, params={"coverage": "0.8", "refuse": "0.01"}, timeout=120).json()
    assert (asked, answer["coverage"], answer["refuse"]) == ([(0.8, 0.01)], 0.8, 0.01)
    for wrong in ("0", "1", "nan", "off"):
        assert "coverage" in error_of(requests.post(url, png, params={"coverage": wrong}, timeout=120), 400)
    assert len(asked) == 1


def test_the_files_of_a_form_are_classified_and_named(start, png):
    files = [("image", ("one.png", png)), ("image", ("two.txt", b"no image")), ("odd", ("a\x1b[2Jb/../c.png", png))]
    answer = requests.post(f"{start()}/predict?top=1", files=files, timeout=120)
    assert answer.status_code == 200
    first, second, third = answer.json()
    assert first == ANSWER | {"path": "one.png", "top": [["c", 0.625]]}
    assert (second["path"], second["top"]) == ("two.txt", [])
    assert "cannot be read as an image" in second["error"]
    assert third["path"].isprintable()
    assert third["error"] is None


def test_what_is_no_image_is_refused_with_the_reason(start):
    url = start()
    raw = requests.post(f"{url}/predict", b"<html>", timeout=120)
    form = requests.post(f"{url}/predict", files={"x": ("x.png", b"<html>")}, timeout=120)
    assert (raw.status_code, raw.json()["top"]) == (422, [])
    assert "html" not in raw.json()["error"].lower() or "image" in raw.json()["error"]
    assert (form.status_code, [each["top"] for each in form.json()]) == (422, [[]])


@pytest.mark.parametrize("top", ["0", "-1", "much\x1b", "1.5", "9" * 5000])
def test_a_wrong_number_of_classes_is_not_repeated(start, png, top):
    error = error_of(requests.post(f"{start()}/predict", png, params={"top": top}, timeout=120), 400)
    assert "top" in error
    assert top not in error.replace("equal to 1", "")


def test_a_parameter_that_is_misspelled_is_refused(start, png):
    error = error_of(requests.post(f"{start()}/predict", png, params={"coverag\x1be": "0.8"}, timeout=120), 400)
    assert "top, coverage, refuse" in error
    assert "coverag\x1b" not in error


def test_other_paths_and_methods_are_refused_with_a_hint(start, png):
    url = start()
    assert "/openapi.json" in error_of(requests.post(f"{url}/predct", png, timeout=120), 404)
    assert "/openapi.json" in error_of(requests.get(f"{url}/predict", timeout=120), 405)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/json", "application/x-www-form-urlencoded", "\xff"]
)
def test_other_types_are_refused(start, png, content_type):
    headers = {"Content-Type": content_type.encode("latin-1")}
    assert "image/*" in error_of(requests.post(f"{start()}/predict", png, headers=headers, timeout=120), 415)


def test_odd_forms_are_refused(start, png):
    url = f"{start(images=2)}/predict"

    def post(body: bytes, content_type: str) -> str:
        return error_of(requests.post(url, body, headers={"Content-Type": content_type}, timeout=120), 400)

    part = b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n'
    form = "multipart/form-data; boundary=x"
    assert "2" in error_of(requests.post(url, files=[("a", ("a", png))] * 3, timeout=120), 400)
    assert "file" in error_of(requests.post(url, files={"a": (None, "text")}, timeout=120), 400)
    assert "empty" in error_of(requests.post(url, b"", headers={"Content-Type": "image/png"}, timeout=120), 400)
    for body, kind in [
        (b"", form),
        (b"--x--\r\n", form),
        (part + b"cut off", form),
        (b"--x\r\n\r\nno name\r\n--x--", form),
        (b"--y" + part, form),
        (part + b"a\r\n--x--", "multipart/form-data"),
        (part + b"a\r\n--x--", 'multipart/form-data; boundary=""'),
        (part + b"a\r\n--x--", "multipart/form-data; boundary=" + "x" * 4000),
        (b"--x\r\n" + b"A" * 100_000, form),
        (b"--x\r\n" + b"A: b\r\n" * 10_000, form),
    ]:
        assert post(body, kind)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_empty_file_of_a_form_has_its_own_error(start, png, place):
    files = [("image", (f"{k}.png", b"" if k == place else png)) for k in range(3)]
    answer = requests.post(f"{start()}/predict", files=files, timeout=120)
    assert answer.status_code == 200
    found = answer.json()
    assert [each["path"] for each in found] == ["0.png", "1.png", "2.png"]
    assert [each["top"] for each in found] == [[] if k == place else ANSWER["top"] for k in range(3)]
    assert "empty" in found[place]["error"]


def test_a_form_of_empty_files_alone_has_no_image(start):
    answer = requests.post(f"{start()}/predict", files=[("image", ("a.png", b""))] * 2, timeout=120)
    assert answer.status_code == 422
    assert [(each["path"], "empty" in each["error"]) for each in answer.json()] == [("a.png", True)] * 2


def test_a_form_may_not_choose_how_its_names_are_decoded(start, png):
    body = b'--x\r\nContent-Disposition: form-data; name="a"; filename="\xc3\xa4.png"\r\n\r\n' + png + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x; charset=punycode"}
    answer = requests.post(f"{start()}/predict", body, headers=headers, timeout=120)
    assert (answer.status_code, answer.json()[0]["path"]) == (200, "\xe4.png")


@pytest.mark.parametrize("path", ["health", "v2/health/ready", "v2/models/letters/ready"])
def test_readiness(start, path):
    async def no() -> bool:
        return False

    assert requests.get(f"{start()}/{path}", timeout=120).status_code == 200
    stopped = start(ready=no)
    assert requests.get(f"{stopped}/{path}", timeout=120).status_code == 503
    assert requests.get(f"{stopped}/v2/health/live", timeout=120).json() == {"live": True}


def test_the_model_and_the_limits_are_described(start):
    described = requests.get(f"{start(seconds=7, body_bytes=1000, images=3)}/metadata", timeout=120).json()
    assert described.pop("version")
    assert described == {
        "name": "letters",
        "class_names": ["a", "b", "c"],
        "image_size": [4, 5],
        "precision": "fp32",
        "dataset": "alphabet",
        "fingerprint": "f" * 64,
        "metrics": {"accuracy": 0.5},
        "fit": {"mode": "crop"},
        "limits": {"seconds": 7, "bytes": 1000, "images": 3},
    }


def test_the_interface_is_described(start):
    url = start()
    described = requests.get(f"{url}/openapi.json", timeout=120).json()
    paths = {"/predict", "/health", "/metadata", "/v2", "/v2/health/live", "/v2/health/ready"}
    of_the_model = {f"/v2/models/{{name}}{rest}" for rest in ("", "/ready", "/infer")}
    assert set(described["paths"]) == paths | of_the_model
    body = described["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(body) == {"image/*", "multipart/form-data"}
    assert set(described["components"]["schemas"]["PredictionBody"]["properties"]) == set(ANSWER)


def test_no_page_loads_scripts_from_elsewhere(start):
    url = start()
    for path in ("docs", "redoc", "", "nothing", "predict/../../etc/passwd", "%00"):
        assert error_of(requests.get(f"{url}/{path}", timeout=120), 404)
    wrong = requests.get(f"{url}/predict", timeout=120)
    assert error_of(wrong, 405)
    assert wrong.headers["Allow"] == "POST"


def test_an_answer_that_takes_too_long_is_given_up(start, png):
    ended = []

    async def slow(images, shares):
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    url = start(slow, seconds=0.2)
    assert "0.2" in error_of(requests.post(f"{url}/predict", png, timeout=120), 504)
    assert ended == [True]


def test_overload_says_when_to_ask_again(start, png):
    async def full(images, shares):
        raise RequestError(503, "full.")

    answer = requests.post(f"{start(full)}/predict", png, timeout=120)
    assert error_of(answer, 503) == "full."
    assert answer.headers["Retry-After"] == "1"


def test_an_error_of_the_server_is_not_explained_to_the_client(start, png, caplog):
    async def broken(images, shares):
        raise KeyError("/secret/path")

    url = start(broken)
    assert "secret" not in error_of(requests.post(f"{url}/predict", png, timeout=120), 500)
    assert requests.get(f"{url}/health", timeout=120).status_code == 200
    start.stop()
    assert "/secret/path" in caplog.text


def infer(url: str, body: object, **options) -> requests.Response:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return requests.post(f"{url}/v2/models/letters/infer", data, timeout=120, **options)


def test_tensors_are_classified(start):
    seen = []

    async def remember(images, shares):
        seen.extend(images)
        return [Answer(np.array([0.5, 0.25, 0.25], np.float32))] * len(images)

    tensor = {"name": "image", "datatype": "UINT8", "shape": [2, 4, 5, 3], "data": list(range(120))}
    answer = infer(start(remember), {"id": "mine", "inputs": [tensor]})
    assert answer.json() == {
        "model_name": "letters",
        "id": "mine",
        "outputs": [
            {"name": "probabilities", "datatype": "FP32", "shape": [2, 3], "data": [0.5, 0.25, 0.25, 0.5, 0.25, 0.25]}
        ],
    }
    assert np.array_equal(seen, np.arange(120, dtype=np.uint8).reshape(2, 4, 5, 3))


def test_what_is_wrong_with_a_tensor_is_said(start):
    url = start()
    assert "JSON" in error_of(infer(url, b"\xff\xd8\xff"), 400)
    assert "binary" in error_of(infer(url, {}, headers={"Inference-Header-Content-Length": "2"}), 400)
    wrong = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": ["AAAA", "BBBB"]}]}
    assert "image 0 of 2" in error_of(infer(url, wrong), 422)
    assert "letters" in error_of(requests.get(f"{url}/v2/models/numbers", timeout=120), 404)
    assert "letters" in error_of(requests.post(f"{url}/v2/models/%1b/infer", b"{}", timeout=120), 404)


def test_others_are_answered_while_a_form_is_read(start, png, monkeypatch):
    """The form is read once another request has been answered."""
    read, answered = bodies.read_form, threading.Event()

    def late(*args, **options):
        assert answered.wait(60)
        return read(*args, **options)

    monkeypatch.setattr(bodies, "read_form", late)
    url, answers = start(), []
    client = threading.Thread(
        target=lambda: answers.append(requests.post(f"{url}/predict", files={"x": ("x.png", png)}, timeout=120))
    )
    client.start()
    assert requests.get(f"{url}/health", timeout=50).status_code == 200
    answered.set()
    client.join(60)
    assert answers[0].status_code == 200


def test_long_tensors_are_read_elsewhere_within_the_time_limit(start):
    seen, ended = [], []

    async def never(body):
        seen.append(body)
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)

    url = start(read=never, seconds=0.2)
    tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 4, 5, 3], "data": [7] * 60}
    body = json.dumps({"inputs": [tensor]}).encode()
    assert infer(url, body).status_code == 200
    long = body + b" " * 200_000
    assert "0.2" in error_of(infer(url, long), 504)
    assert (seen, ended) == ([long], [True])
