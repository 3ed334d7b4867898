from __future__ import annotations

import json

from factories import texts


def correlation(value: float) -> dict:
    return {"value": value, "chance": 0.1, "band": [-0.1, 0.2], "p": 0.01}


def agreement(images: int) -> dict:
    return {"images": images, "overall": correlation(0.5), "dimensions": [correlation(0.25)] * 8}


def test_a_stored_similarity_is_read_and_drawn(script, tmp_path):
    stored = {
        "fitted": agreement(360), "held_out": agreement(120), "realigned": agreement(120),
        "variance": 0.7, "permutations": 1000, "seed": 0,
    }  # fmt: skip
    path = tmp_path / "similarity.json"
    path.write_text(json.dumps({"model": "runs/rocks/model.keras", "similarity": stored}))
    figures = script("figures")
    similarity = figures.read_similarity(path)
    assert (similarity.fitted.images, similarity.held_out.images, similarity.permutations) == (360, 120, 1000)
    assert similarity.realigned.dimensions[7].value == 0.25
    words = texts(figures.draw_similarity(similarity, figures.DIMENSIONS))
    assert "0.50" in words
    assert not any("runs" in text for text in words)


def test_the_stride_moves_from_the_first_convolution_to_the_kernel(script):
    words = [text.replace("\N{MULTIPLICATION SIGN}", "x") for text in texts(script("figures").compare_conventions())]
    for text in ("v1", "1x1, 128, /2", "3x3, 128", "v1.5", "1x1, 128", "3x3, 128, /2"):
        assert words.count(text) == 1
