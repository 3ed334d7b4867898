"""The script that executes notebooks stores what may be published, and nothing of a notebook that fails."""

from __future__ import annotations

import base64
import io
import socket

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from factories import noise, raises

SENTENCE = "Photos are not stored: their license is not stated. Run the notebook to see them."

needs_a_kernel = pytest.mark.filterwarnings("ignore::DeprecationWarning:jupyter_client.*")


def cell_of(source="", *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)} if tags else {})


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(**data):
    return new_output("display_data", data={kind.replace("_", "/"): content for kind, content in data.items()})


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=0)
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
def notebooks(tmp_path, monkeypatch, script):
    """A folder of notebooks for the script, with an empty folder of data."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    monkeypatch.setattr(script, "NOTEBOOKS", folder)
    monkeypatch.setenv("RESNET50_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return folder


def write_notebook(path, *cells):
    nbformat.write(new_notebook(cells=[new_markdown_cell("# Title"), *cells]), path)


def test_parameters_replace_the_values_of_their_cell_and_go_again(script):
    cell = cell_of('DATA = "rocks"\nEPOCHS = None', tags=["parameters"])
    with script.parameters(new_notebook(cells=[cell_of("1"), cell]), {"EPOCHS": 3}):
        assert cell.source == 'DATA = "rocks"\nEPOCHS = 3'
    assert cell.source == 'DATA = "rocks"\nEPOCHS = None'


def test_the_text_of_the_parameters_comes_back_after_an_error(script):
    cell = cell_of("EPOCHS = None", tags=["parameters"])
    with pytest.raises(KeyError), script.parameters(new_notebook(cells=[cell]), {"EPOCHS": 3}):
        raise KeyError
    assert cell.source == "EPOCHS = None"


def test_an_unknown_parameter_is_refused(script):
    cell = cell_of("EPOCHS = None", tags=["parameters"])
    with (
        raises(script.NotebookError, "EPOCHS", "WEIGHTS"),
        script.parameters(new_notebook(cells=[cell]), {"WEIGHTS": 1}),
    ):
        pass


def test_missing_data_are_named(script, tmp_path):
    with raises(script.NotebookError, "rocks", tmp_path, "RESNET50_DATA"):
        script.link(tmp_path, {"stones": "rocks"}, tmp_path)


def test_standard_error_is_not_stored_but_returned(script):
    cell = cell_of("x", stream("a line\n"), stream("a warning\nin two lines\n", "stderr"))
    assert script.clean(new_notebook(cells=[cell])) == ["a warning", "in two lines"]
    assert [output.text for output in cell.outputs] == ["a line\n"]


def test_metadata_that_change_with_every_run_are_not_stored(script):
    cell = cell_of("x")
    cell.metadata["execution"] = {"iopub.status.busy": "2026-01-02T03:04:05Z"}
    notebook = new_notebook(cells=[cell], metadata={"language_info": {"name": "python", "version": "3.12.1"}})
    script.clean(notebook)
    assert "execution" not in cell.metadata
    assert notebook.metadata.language_info == {"name": "python"}


def test_photos_are_replaced_by_a_sentence(script):
    photo = shown(image_png=png(noise(4, 4, 3)), text_plain="<Figure>")
    cell = cell_of("x", stream("true label: marble\n"), photo, tags=["photos"])
    script.clean(new_notebook(cells=[cell]))
    assert [output.get("text") for output in cell.outputs] == ["true label: marble\n", f"{SENTENCE}\n"]


def test_a_cell_for_photos_that_shows_none_says_nothing_of_them(script):
    cell = cell_of("x", stream("true label: marble\n"), tags=["photos"])
    script.clean(new_notebook(cells=[cell]))
    assert [output.text for output in cell.outputs] == ["true label: marble\n"]


def test_other_images_stay_and_get_smaller(script):
    pixels = np.repeat(np.repeat(noise(4, 4, 3), 20, axis=0), 20, axis=1)
    cell = cell_of("x", shown(image_png=png(pixels)))
    script.clean(new_notebook(cells=[cell]))
    content = base64.b64decode(cell.outputs[0].data["image/png"])
    assert len(content) < 1000 < pixels.size
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content)).convert("RGB")), pixels)


def test_a_long_table_of_epochs_is_shortened(script):
    lines = [f"epoch {number}\n" for number in range(60)]
    cell = cell_of("x", shown(text_html="".join(lines), text_plain="".join(lines[:20])))
    script.clean(new_notebook(cells=[cell]))
    table = cell.outputs[0].data["text/html"]
    assert table.startswith("epoch 0\n")
    assert table.endswith("epoch 59\n")
    assert "46 lines" in table
    assert table.count("epoch") == 14
    assert cell.outputs[0].data["text/plain"] == "".join(lines[:20])


@pytest.mark.parametrize(
    "text",
    [
        "the page: /home/anna/runs/1/report.html",
        "'/tmp/x/y'",
        "C:\\Users\\anna",
        "results go to runs/tmpab12_xyz",
        "done at 12:34:56",
        "<object at 0x7f12ab34cd56>",
        f"on {socket.gethostname()}.",
    ],
)
def test_outputs_that_show_something_about_the_machine_are_refused(script, text):
    with raises(script.NotebookError, "cell 2"):
        script.check(new_notebook(cells=[cell_of("x"), cell_of("x", stream(text))]))


@pytest.mark.parametrize(
    "output",
    [
        shown(text_html='<a href="file:///home/anna/x">page</a>'),
        new_output("display_data", data={"image/svg+xml": "<svg><text>/home/anna/x</text></svg>"}),
        new_output("display_data", data={"application/json": {"page": "/home/anna/x"}}),
        new_output("error", ename="OSError", evalue="no file /home/anna/x", traceback=[]),
        stream("x=/tmp and /root"),
    ],
    ids=["link", "svg", "json", "error", "short"],
)
def test_no_kind_of_output_hides_a_path(script, output):
    with raises(script.NotebookError, "cell 1"):
        script.check(new_notebook(cells=[cell_of("x", output)]))


def test_photos_inside_a_page_are_replaced_too(script):
    page = shown(text_html=f'<img src="data:image/png;base64,{png(noise(4, 4, 3))}">')
    notebook = new_notebook(cells=[cell_of("x", page, tags=["photos"])])
    list(script.clean(notebook))
    assert "data:image" not in str(notebook.cells[0].outputs)


@needs_a_kernel
@pytest.mark.slow
def test_a_notebook_that_shows_a_path_stays_as_it_is(script, notebooks, monkeypatch, capsys):
    monkeypatch.setattr(script, "SETTINGS", {"shows.ipynb": script.Setting()})
    write_notebook(
        notebooks / "shows.ipynb", cell_of("WHO = 'anna'", tags=["parameters"]), cell_of("print(f'/home/{WHO}/x')")
    )
    before = (notebooks / "shows.ipynb").read_bytes()
    assert script.main(["shows.ipynb"]) == 1
    assert "/home/anna" in capsys.readouterr().out
    assert (notebooks / "shows.ipynb").read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        "the page: runs/signs-1/report.html",
        "<span>bold</span></pre>",
        "https://osf.io/w64fv/files",
        "shows 0/0004.png   shows 0 98%",
        "27.8 s, 16/16, and/or, (64, 64, 3)",
    ],
)
def test_names_relative_to_the_working_folder_are_stored(script, text):
    script.check(new_notebook(cells=[cell_of("x", stream(text))]))


@pytest.mark.parametrize(
    "line", ["", "# repo_url: the address, once there is one", "repo_url: https://example.org/a/b"]
)
def test_without_an_address_on_github_there_is_no_badge(script, tmp_path, line):
    (tmp_path / "mkdocs.yml").write_text(f"site_name: resnet50\n{line}\n")
    assert script.colab_badge("signs.ipynb", tmp_path / "mkdocs.yml") is None


@pytest.mark.parametrize("end", ["", "/"])
def test_the_badge_opens_the_notebook_in_colab(script, tmp_path, end):
    (tmp_path / "mkdocs.yml").write_text(
        f"site_name: resnet50\nrepo_url: https://github.com/someone/resnet50{end}\nnav:\n"
    )
    badge = script.colab_badge("signs.ipynb", tmp_path / "mkdocs.yml")
    assert "(https://colab.research.google.com/github/someone/resnet50/blob/main/notebooks/signs.ipynb)" in badge
    assert "%pip install git+https://github.com/someone/resnet50`" in badge


def test_there_is_one_badge_below_the_title_and_none_without_an_address(script):
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), cell_of("x")])
    for badge in ("old", "new"):
        script.show_badge(notebook, badge)
    assert [cell.source for cell in notebook.cells] == ["# Title", "new", "x"]
    script.show_badge(notebook, None)
    assert [cell.source for cell in notebook.cells] == ["# Title", "x"]


def test_an_unknown_notebook_is_refused(script, capsys):
    with pytest.raises(SystemExit) as ended:
        script.main(["sings.ipynb"])
    assert ended.value.code == 2
    assert "sings.ipynb" in capsys.readouterr().err


@needs_a_kernel
@pytest.mark.slow
def test_a_notebook_is_stored_with_its_outputs_and_its_own_parameters(script, notebooks, monkeypatch, capsys):
    (notebooks.parent / "data" / "few").mkdir()
    (notebooks.parent / "data" / "few" / "stone.txt").write_text("granite")
    setting = script.Setting(parameters={"NAME": "stones"}, links={"stones": "few"})
    monkeypatch.setattr(script, "SETTINGS", {"a.ipynb": setting})
    reads = cell_of("from pathlib import Path\n\nprint(Path(NAME, 'stone.txt').read_text())")
    write_notebook(notebooks / "a.ipynb", cell_of("NAME = None", tags=["parameters"]), reads)
    assert script.main([]) == 0
    stored = nbformat.read(notebooks / "a.ipynb", as_version=4)
    nbformat.validate(stored)
    assert stored.cells[1].source == "NAME = None"
    assert [output.text for output in stored.cells[2].outputs] == ["granite\n"]
    assert [path.name for path in notebooks.iterdir()] == ["a.ipynb"]
    assert "a.ipynb: stored" in capsys.readouterr().out


@needs_a_kernel
@pytest.mark.slow
def test_a_notebook_that_fails_stays_as_it_is_and_the_others_are_stored(script, notebooks, monkeypatch, capsys):
    monkeypatch.setattr(script, "SETTINGS", {"bad.ipynb": script.Setting(), "good.ipynb": script.Setting()})
    parameters = cell_of("EPOCHS = None", tags=["parameters"])
    write_notebook(notebooks / "bad.ipynb", parameters, cell_of("[1][EPOCHS or 7]\nprint()"))
    write_notebook(notebooks / "good.ipynb", parameters, cell_of("print(1 + 1)"))
    before = (notebooks / "bad.ipynb").read_bytes()
    assert script.main([]) == 1
    printed = capsys.readouterr().out
    assert "bad.ipynb: cell 3" in printed
    assert "[1][EPOCHS or 7]" in printed
    assert "IndexError: list index out of range" in printed
    assert (notebooks / "bad.ipynb").read_bytes() == before
    assert nbformat.read(notebooks / "good.ipynb", as_version=4).cells[2].outputs[0].text == "2\n"


@needs_a_kernel
@pytest.mark.slow
def test_a_notebook_that_is_too_large_stays_as_it_is(script, notebooks, monkeypatch, capsys):
    monkeypatch.setattr(script, "SETTINGS", {"large.ipynb": script.Setting()})
    write_notebook(
        notebooks / "large.ipynb",
        cell_of("LINES = 9_000", tags=["parameters"]),
        cell_of("print(('x' * 99 + '\\n') * LINES)"),
    )
    before = (notebooks / "large.ipynb").read_bytes()
    assert script.main(["large.ipynb"]) == 1
    assert "900,000" in capsys.readouterr().out
    assert (notebooks / "large.ipynb").read_bytes() == before
