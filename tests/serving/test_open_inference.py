from __future__ import annotations

import base64
import json
import tracemalloc

import numpy as np
import pytest

from factories import raises
from resnet50.serving.open_inference import model_metadata, read_request, respond
from resnet50.serving.refusals import RequestError


def request(**changes: object) -> dict[str, object]:
    tensor = {"name": "image", "datatype": "FP32", "shape": [1, 4, 5, 3], "data": [7.5] * 60}
    return {"inputs": [{**tensor, **changes}]}


@pytest.fixture
def read(model):
    def run(body: object):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return read_request(data, model, most_images=4)

    return run


def test_pixels_may_be_one_list_or_lists_in_lists(read):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3))
    for data in (pixels.ravel().tolist(), pixels.tolist()):
        for datatype, dtype in (("UINT8", np.uint8), ("FP32", np.float32)):
            images = read(request(shape=[2, 4, 5, 3], datatype=datatype, data=data)).images
            assert {image.dtype for image in images} == {np.dtype(dtype)}
            assert np.array_equal(images, pixels)


def test_fractions_stay_in_floats(read):
    (image,) = read(request(data=[0.5, 255] + [1.25] * 58)).images
    assert image.ravel()[:3].tolist() == [0.5, 255, 1.25]


def test_a_black_image_is_one(read):
    assert not np.any(read(request(data=[0] * 60)).images)


def test_encoded_images_are_base64(read):
    data = [base64.b64encode(each).decode() for each in (b"one", b"two")]
    for shape, values in (([2], data), ([2, 1], data), ([2, 1], [[each] for each in data])):
        assert read(request(datatype="BYTES", shape=shape, data=values)).images == [b"one", b"two"]


def test_names_and_outputs(read):
    assert read(request()).id is None
    assert read({**request(), "id": "x", "outputs": [{"name": "probabilities"}], "parameters": {}}).id == "x"


def test_the_answer_has_the_rows(model, read):
    asked = read({**request(), "id": "x"})
    rows = [np.array([0.5, 0.25, 0.25], np.float32), np.array([0, 1, 0], np.float32)]
    answer = respond(model, asked, rows)
    assert json.loads(json.dumps(answer)) == {
        "model_name": "letters",
        "id": "x",
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [2, 3], "data": [0.5, 0.25, 0.25, 0, 1, 0]}],
    }


def test_the_model_is_described(model):
    described = model_metadata(model)
    assert described["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 4, 5, 3]}]
    assert described["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]
    assert described["parameters"] == {"class_names": ["a", "b", "c"]}


HUGE = 10**12

WRONG = {
    "no JSON": (b"{", "JSON"),
    "an image": (b"\xff\xd8\xff\xe0", "JSON"),
    "deep": (b"[" * 1_000_000, "JSON"),
    "deep data": (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "JSON"),
    "a long number": (b'{"inputs": ' + b"9" * 5000 + b"}", "JSON"),
    "not a number": (b'{"inputs": [NaN]}', "NaN"),
    "a list": ([], "object"),
    "no inputs": ({}, "image"),
    "two inputs": ({"inputs": [request()["inputs"]] * 2}, "image"),
    "an input that is no object": ({"inputs": ["image"]}, "image"),
    "another name": (request(name="input_1"), "image"),
    "another output": ({**request(), "outputs": [{"name": "logits"}]}, "probabilities"),
    "outputs that are none": ({**request(), "outputs": "probabilities"}, "probabilities"),
    "an id that is a number": ({**request(), "id": 1}, "id"),
    "a long id": ({**request(), "id": "x" * 300}, "256"),
    "another datatype": (request(datatype="FP64"), "BYTES, UINT8, FP32"),
    "a datatype that is a list": (request(datatype=["FP32"]), "FP32"),
    "no shape": (request(shape=None), "shape"),
    "an empty shape": (request(shape=[]), "shape"),
    "a shape of text": (request(shape=["1", 4, 5, 3]), "shape"),
    "a shape of truth": (request(shape=[True, 4, 5, 3]), "shape"),
    "a shape of fractions": (request(shape=[1.0, 4, 5, 3]), "shape"),
    "no images": (request(shape=[0, 4, 5, 3], data=[]), "4 images"),
    "negative": (request(shape=[-1, 4, 5, 3]), "4 images"),
    "too many": (request(shape=[5, 4, 5, 3], data=[7] * 300), "4 images"),
    "far too many": (request(shape=[HUGE, 4, 5, 3]), "4 images"),
    "another size": (request(shape=[1, 5, 4, 3]), "[n, 4, 5, 3]"),
    "a huge size": (request(shape=[1, HUGE, HUGE, 3]), "[n, 4, 5, 3]"),
    "no batch": (request(shape=[4, 5, 3]), "[n, 4, 5, 3]"),
    "no data": (request(data=None), "data"),
    "data that is text": (request(data="7" * 60), "data"),
    "too few": (request(data=[7] * 59), "60", "59"),
    "nested too few": (request(data=[[[[7] * 3] * 5] * 3]), "shape"),
    "nested unequal": (request(data=[[[[7] * 3] * 5] * 3 + [[[7] * 3] * 4]]), "shape"),
    "nested too deep": (request(data=[[[[[7]] * 3] * 5] * 4]), "number"),
    "text among numbers": (request(data=[7] * 59 + ["x" * 1000]), "number"),
    "null among numbers": (request(data=[7] * 59 + [None]), "number"),
    "truth among numbers": (request(data=[7] * 59 + [True]), "number"),
    "below 0": (request(data=[7] * 59 + [-1]), "255"),
    "above 255": (request(data=[7] * 59 + [256]), "255"),
    "far above": (request(data=[7] * 59 + [10**400]), "255"),
    "infinite": (json.dumps(request(data=[7] * 60)).replace("7]", "1e999]").encode(), "255"),
    "divided by 255": (request(data=[0.5] * 60), "255"),
    "fractions in UINT8": (request(datatype="UINT8"), "UINT8"),
    "no base64": (request(datatype="BYTES", shape=[1], data=["\xe4"]), "base64"),
    "not quite base64": (request(datatype="BYTES", shape=[1], data=["AAA"]), "base64"),
    "numbers as BYTES": (request(datatype="BYTES", shape=[1], data=[7]), "base64"),
    "BYTES of another shape": (request(datatype="BYTES", shape=[1, 2], data=["", ""]), "BYTES"),
}


@pytest.mark.parametrize(("body", "values"), [(body, values) for body, *values in WRONG.values()], ids=list(WRONG))
def test_what_is_wrong_is_refused(read, body, values):
    with raises(RequestError, *values) as caught:
        read(body)
    assert caught.value.status == 400
    assert len(str(caught.value)) < 200


def test_a_long_text_among_many_elements_takes_no_memory(model):
    """As an array of NumPy these elements would take 10 GB."""
    data = ["x" * 100_000, *[""] * 25_599]
    body = json.dumps({"inputs": [{"name": "image", "datatype": "FP32", "shape": [4, 4, 5, 3], "data": data}]}).encode()
    tracemalloc.start()
    try:
        with raises(RequestError, "240"):
            read_request(body, model, most_images=4)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
