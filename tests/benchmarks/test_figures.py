from __future__ import annotations

import json

import nbformat

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


def test_losses_are_read_from_what_a_notebook_printed(script, tmp_path):
    lines = (
        "plain, 14 layers, seed 0: 1.50 0.25\nplain, 14 layers, seed 1: 1.40 0.35\nresidual, 14 layers, seed 0: 0.5 1\n"
    )
    other = "plain, 14 layers, seed 0: 0.25 at the weights\n"
    cell = nbformat.v4.new_code_cell("print()")
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=lines + other)]
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Title"), cell]), tmp_path / "a.ipynb"
    )
    figures = script("figures")
    losses = figures.read_losses(tmp_path / "a.ipynb")
    assert losses == {
        "plain": {"14 layers": [[1.5, 0.25], [1.4, 0.35]]},
        "residual": {"14 layers": [[0.5, 1.0]]},
    }
    plain, residual = figures.compare_forms(losses).axes
    assert plain.get_ylim() == residual.get_ylim()
    assert [list(line.get_ydata()) for line in residual.lines] == [[0.5, 1.0]]
