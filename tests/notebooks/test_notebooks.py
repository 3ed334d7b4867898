"""Every notebook is stored with the outputs of one execution, and what its text claims is in them."""

from __future__ import annotations

import ast
import base64
import io
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import nbformat
import pytest
from PIL import Image

NOTEBOOKS = sorted(Path(__file__).resolve().parents[2].joinpath("notebooks").glob("*.ipynb"))

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference"

TASKS = {"resnet50.datasets.rocks", "resnet50.recipes.folder", "resnet50.recipes.rocks"}
"""Modules of a dataset and of a recipe, of which the reference describes the interface."""

PHOTOS = {"rocks", "transfer"}
"""Notebooks whose stored outputs were made with photos of other people."""

DIAGRAMS = {"draw_curves", "draw_similarity"}
"""Functions whose figures contain no image of the data."""

SENTENCE = "Photos are not stored: their license is not stated. Run the notebook to see them."


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request) -> Path:
    return request.param


@pytest.fixture
def notebook(path) -> nbformat.NotebookNode:
    return read(path.stem)


def read(name: str) -> nbformat.NotebookNode:
    path = next(path for path in NOTEBOOKS if path.stem == name)
    return nbformat.read(path, as_version=4)


def code_cells(notebook) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tree(cell) -> ast.Module:
    return ast.parse("\n".join(line for line in cell.source.splitlines() if not line.startswith("%")))


def names(cell) -> set[str]:
    """Return every name and attribute that a cell uses."""
    nodes = list(ast.walk(tree(cell)))
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return used | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def prose(notebook) -> str:
    """Return all Markdown of a notebook, its line breaks as spaces."""
    return " ".join(" ".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown").split())


def printed(*cells) -> str:
    """Return the texts of the cells' outputs."""
    outputs = [output for cell in cells for output in cell.outputs]
    return "\n".join(output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs)


def images(cell) -> list[bytes]:
    contents = [output.get("data", {}).get("image/png") for output in cell.outputs]
    return [base64.b64decode(content) for content in contents if content]


def imports(notebook) -> Iterator[tuple[str, str]]:
    """Yield (module, name) of everything that a notebook imports from the package."""
    for cell in code_cells(notebook):
        for node in ast.walk(tree(cell)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "resnet50":
                yield from ((str(node.module), alias.name) for alias in node.names)


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["own_images", "rocks", "signs", "transfer", "why_residual"]


def test_a_notebook_is_valid_and_small(notebook, path):
    nbformat.validate(notebook)
    assert path.stat().st_size < 900_000


def test_a_notebook_imports_what_is_public_and_documented(notebook):
    pages = "\n".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    documented = set(re.findall(r"^::: (\S+)$", pages, re.MULTILINE))
    imported = list(imports(notebook))
    assert imported
    for module, name in imported:
        assert f"{module}.{name}" in documented or module in TASKS, f"{module}.{name} is not in the reference"
        assert hasattr(import_module(module), name), f"{module} has no {name}"


def test_every_cell_was_executed_once_and_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_every_cell_but_imports_and_parameters_shows_something(notebook):
    for cell in code_cells(notebook):
        only_imports = all(isinstance(statement, ast.Import | ast.ImportFrom) for statement in tree(cell).body)
        if not only_imports and "parameters" not in cell.metadata.get("tags", ()):
            assert cell.outputs, cell.source


def test_no_output_is_an_error_or_a_warning(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            assert output.output_type in ("stream", "display_data", "execute_result"), cell.source
            assert output.get("name", "stdout") == "stdout", cell.source


def test_outputs_show_nothing_about_the_machine(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            data = output.get("data", {})
            text = "".join((output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")))
            assert not re.search(r"(?<![\w./<~-])/(home|root|tmp|var|usr|opt|mnt|srv|work|Users)\b", text), text
            assert not re.search(r"\btmp\w{6,}|\b\d\d?:\d\d:\d\d\b|\b0x[0-9a-f]{6}", text), text
        assert not cell.metadata.get("execution")


def test_a_sentence_stands_before_every_cell(notebook):
    """It says what the cell does and what to look at."""
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown", cell.source
            assert before.source.rstrip().endswith((".", ":", "?", "$")), before.source


def test_a_cell_is_short(notebook):
    for cell in code_cells(notebook):
        lines = [line for line in cell.source.splitlines() if line]
        if not isinstance(tree(cell).body[0], ast.Import | ast.ImportFrom):
            assert len(lines) <= 16, cell.source


def test_the_text_gives_the_parameters_of_the_stored_outputs(notebook, path, script):
    text = prose(notebook)
    assert "stored outputs were made with" in text
    for name, value in script.SETTINGS[path.name].parameters.items():
        shown = f'"{value}"' if isinstance(value, str) else str(value)
        assert f"`{name} = {shown}`" in text


def test_shapes_in_the_text_are_shapes_in_the_outputs(notebook):
    shape = re.compile(r"\(\d+(?:, \d+)+\)")
    shown = printed(*code_cells(notebook))
    for each in shape.findall(prose(notebook)):
        assert each in shown


def test_a_notebook_ends_with_a_prediction_and_its_true_label(notebook, path):
    last = notebook.cells[-1]
    assert last.cell_type == "code"
    assert "true label" in printed(last)
    assert bool(images(last)) == (path.stem not in PHOTOS)


def test_photos_of_other_people_are_not_stored(notebook, path):
    for cell in code_cells(notebook):
        if "photos" in cell.metadata.get("tags", ()):
            assert not images(cell)
            assert SENTENCE in printed(cell)
        elif path.stem in PHOTOS and images(cell):
            drawn = {name for name in names(cell) if name.startswith("draw_") or name in ("fromarray", "imshow")}
            assert drawn <= DIAGRAMS, cell.source


def test_figures_are_png_of_a_sensible_size(notebook):
    for cell in code_cells(notebook):
        for content in images(cell):
            width, height = Image.open(io.BytesIO(content)).size
            assert 300 <= width <= 2000
            assert height <= 2000


def test_the_accuracy_of_signs_lies_in_the_range_of_the_text():
    signs = read("signs")
    low, high = map(float, re.search(r"expect an accuracy of (\d+) to (\d+) %", prose(signs)).groups())
    (accuracy,) = re.findall(r"([\d.]+)% of 120 test images", printed(*code_cells(signs)))
    assert low <= float(accuracy) <= high


def test_pretrained_weights_are_better_than_random_ones_by_as_much_as_the_text_claims():
    transfer = read("transfer")
    least, count, guessing = re.search(
        r"more than (\d+) % of the (\d+) test images; .* guessing, which is right about (\d+) %", prose(transfer)
    ).groups()
    line = rf"([\d.]+)% of {count} test images, 95 % interval ([\d.]+)% to ([\d.]+)%"
    pretrained, scratch = re.findall(line, printed(*code_cells(transfer)))
    assert float(pretrained[0]) > float(least)
    assert float(scratch[1]) < float(guessing) < float(scratch[2])


def test_the_license_of_the_weights_stands_beside_their_figure():
    """Their license allows no commercial use, so the figure says whose they are."""
    cells = read("transfer").cells
    results = [
        number
        for number, cell in enumerate(cells)
        if re.search("then all layers|each.report.interval|true label:", cell.source)
    ]
    assert len([number for number in results if cells[number].cell_type == "code"]) == 3
    for number in results:
        if cells[number].cell_type == "code":
            assert (
                "Uber's PQF-compressed ResNet-50 (github.com/uber-research/permute-quantize-finetune, commit 53a30bad, "
                "Uber Non-Commercial License), 72.2 % top-1"
            ) in " ".join(cells[number - 1].source.split())


def epochs(notebook) -> list[tuple[float, ...]]:
    """Return loss, accuracy, validation loss and validation accuracy of the epochs in the table of a training."""
    row = r"^ *\d+ +([\d.]+) +([\d.]+)% +([\d.]+) +([\d.]+)% +[\d.]+ s *$"
    found = re.findall(row, printed(*code_cells(notebook)), re.MULTILINE)
    return [tuple(map(float, values)) for values in found]


def test_the_curves_end_as_the_text_says():
    loss, _, validation_loss, _ = epochs(read("signs"))[-1]
    assert validation_loss < loss
    _, accuracy, _, validation_accuracy = epochs(read("own_images"))[-1]
    assert validation_accuracy > accuracy


def test_both_faults_of_the_drawn_folder_are_found():
    text = printed(*code_cells(read("own_images")))
    assert re.search(r"^left out: .*broken\.png", text, re.MULTILINE)
    assert re.search(r"^error: .*\n .*copy\.png", text, re.MULTILINE)


def test_rocks_are_seen_as_the_text_says():
    rocks = read("rocks")
    text = printed(*code_cells(rocks))
    first, *_, last = epochs(rocks)
    assert last[0] < first[0] / 2
    assert last[1] == pytest.approx(200 / 3, abs=5)
    assert first[2] == pytest.approx(3.4, abs=0.2)  # ln 30: guessing
    assert last[2] == pytest.approx(3.4, abs=0.2)
    assert last[3] == pytest.approx(25, abs=5)
    (low,) = re.findall(r"^accuracy on 120 images: .* interval ([\d.]+)% to", text, re.MULTILINE)
    assert float(low) > float(re.search(r"one of thirty classes is right in ([\d.]+) %", prose(rocks))[1])
    untrained, trained = (
        float(value) for value in re.findall(r"^(?:un)?trained: (-?[\d.]+) overall", text, re.MULTILINE)
    )
    assert 0 < untrained < trained
    gains = dict(re.findall(r"^([a-z ]+?) +(-?[\d.]+ -> +-?[\d.]+)$", text, re.MULTILINE))
    correlations = {name: [float(value) for value in gain.split("->")] for name, gain in gains.items()}
    assert len(correlations) == 8
    assert correlations["grain size"][1] > correlations["grain size"][0]
    best = sorted(correlations, key=lambda name: -correlations[name][1])
    assert set(best[:2]) == {"lightness", "chromaticity"}
    assert set(best[-2:]) == {"roughness", "organization"}


def test_what_shortcuts_do_is_as_the_text_says():
    text = printed(*code_cells(read("why_residual")))
    found = re.findall(r"^(\w+), (\d+) layers, seed \d: ([\d. ]+)$", text, re.MULTILINE)
    ends = {}
    for form, layers, losses in found:
        ends.setdefault((form, int(layers)), []).append(float(losses.split()[-1]))
    assert {len(losses) for losses in ends.values()} == {3}
    assert min(ends["plain", 50]) > 1.79  # guessing: degradation
    assert max(ends["plain", 14]) < min(ends["plain", 26]) < min(ends["plain", 50])
    assert max(ends["residual", 50]) < min(ends["residual", 14])
    for form, layers in (("plain", 14), ("plain", 26), ("residual", 14), ("residual", 26), ("residual", 50)):
        low, high = min(ends[form, layers]), max(ends[form, layers])
        assert re.search(rf"{low:.2f} (?:to|and) {high:.2f}", prose(read("why_residual")))


def test_lesions_and_swaps_are_as_the_text_says():
    text = printed(*code_cells(read("why_residual")))
    rows = re.findall(r"^(plain|residual) +seed \d: (\d+)% ([\d% ]+)$", text, re.MULTILINE)
    assert len(rows) == 6
    for form, whole, others in rows:
        shares = [int(share) for share in re.findall(r"\d+", others)]
        assert (
            (max(shares) <= 25) if form == "plain" else (int(whole) - 9 <= min(shares) <= max(shares) <= int(whole) + 3)
        )
    swapped = re.findall(r"^(plain|residual) +seed \d: (\d+)%, swapped: ([\d% ]+)$", text, re.MULTILINE)
    for form, whole, others in swapped:
        shares = [int(share) for share in re.findall(r"\d+", others)]
        assert max(shares) <= 20 if form == "plain" else min(shares) >= int(whole) - 3


def test_slow_statistics_fail_as_the_text_says():
    text = printed(*code_cells(read("why_residual")))
    ends = {}
    for momentum, last in re.findall(r"^momentum (0\.\d+), seed \d: .* (\d+)%$", text, re.MULTILINE):
        ends.setdefault(momentum, []).append(int(last))
    assert len(ends["0.99"]) == len(ends["0.9"]) == 3
    assert max(ends["0.99"]) < min(ends["0.9"])


def test_the_reader_s_blocks_get_a_hint_and_the_solution_is_right():
    text = printed(*code_cells(read("why_residual")))
    assert len(re.findall(r"^own_\w+: +not yet: no convolution", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^solved_\w+: +right: [\d,]+ numbers agree", text, re.MULTILINE)) == 2
