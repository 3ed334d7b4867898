from __future__ import annotations

import json

import numpy as np
import pytest

from fuzz.mutations import mutate
from resnet50._io.text import printable
from resnet50.serving.open_inference import read_request
from resnet50.serving.refusals import RequestError

FORM = (
    b'--x\r\nContent-Disposition: form-data; name="a"; filename="one.png"\r\nContent-Type: image/png\r\n\r\n'
    + bytes(range(256))
    + b'\r\n--x\r\nContent-Disposition: form-data; filename="C:\\\\photos\\\\two.png"\r\n\r\n\r\n--y\r\n--x--\r\n'
)
TENSOR = {"name": "image", "datatype": "UINT8", "shape": [1, 4, 5, 3], "data": [[[[7, 8, 9]] * 5] * 4]}
ENCODED = {"name": "image", "datatype": "BYTES", "shape": [2], "data": ["AAAA", "AAAABBBBCCCC"]}


def test_the_files_of_a_form_come_whole():
    bodies = pytest.importorskip("resnet50.serving.bodies", reason="forms are read with python-multipart")
    one, two = bodies.read_form(FORM, "multipart/form-data; boundary=x", most=2)
    assert one == ("one.png", bytes(range(256)))
    assert two == ("two.png", b"\r\n--y")
    name = FORM.replace(b"one.png", b"x" * 999)
    (long, _) = bodies.read_form(name, "multipart/form-data; boundary=x", most=2)
    assert len(long.name) == 255


def test_a_form_is_the_same_in_pieces(monkeypatch):
    bodies = pytest.importorskip("resnet50.serving.bodies", reason="forms are read with python-multipart")
    whole = bodies.read_form(FORM, "multipart/form-data; boundary=x", most=2)
    for size in (1, 2, 7):
        monkeypatch.setattr(bodies, "_CHUNK", size)
        assert bodies.read_form(FORM, "multipart/form-data; boundary=x", most=2) == whole


def test_damaged_forms_are_read_or_refused():
    bodies = pytest.importorskip("resnet50.serving.bodies", reason="forms are read with python-multipart")
    outcomes = set()
    for seed in range(1500):
        damaged, _ = mutate(FORM, np.random.default_rng(seed))
        try:
            images = bodies.read_form(damaged, "multipart/form-data; boundary=x", most=2)
            outcomes.add(len(images))
            assert all(printable(image.name) == image.name for image in images)
        except RequestError as error:
            outcomes.add(error.status)
    assert outcomes == {400, 1, 2}


@pytest.mark.parametrize("tensor", [TENSOR, ENCODED], ids=["pixels", "encoded"])
def test_damaged_tensors_are_read_or_refused(model, tensor):
    body, outcomes = json.dumps({"id": "x", "inputs": [tensor]}).encode(), set()
    for seed in range(1500):
        damaged, _ = mutate(body, np.random.default_rng(seed))
        try:
            outcomes.add(type(read_request(damaged, model, most_images=4).images[0]))
        except RequestError as error:
            outcomes.add(error.status)
    assert outcomes <= {400, np.ndarray, bytes}
    assert 400 in outcomes
