"""Every row of the page on bad data is true: what the commands find, and with which status they exit."""

from __future__ import annotations

import json
import re
import shutil
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bad_files import BAD_FILES, ELSEWHERE
from bad_inputs import BAD_DATA, BadData, sound_images
from resnet50 import recipes
from resnet50.audit.issue import SEVERITIES
from resnet50.cli import main
from resnet50.datasets.source import DataSource
from resnet50.recipes.folder import RECIPE
from resnet50.training import train as training
from resnet50.training.preparation import PreparedRun
from resnet50.training.progress import Progress

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "guides" / "bad_data.md"

TINY = RECIPE.change(image_size=32, stages=(("conv2", 1, (4, 6, 16), 1), ("conv3", 1, (5, 7, 24), 2)))


@dataclass(frozen=True)
class Row:
    """A row of a table: its cells by the table's header."""

    section: str
    cells: dict[str, str]

    @property
    def input(self) -> str:
        return self.cells["Input"]

    def status(self, command: str) -> tuple[int, str]:
        """Return the exit status and the severity in a cell such as ``0, warning``."""
        status, _, severity = self.cells[command].partition(", ")
        return int(status), severity

    @property
    def options(self) -> list[str]:
        """The options and environment variables that the row names."""
        return re.findall(r"`(--[\w-]+|RESNET50_\w+)", self.cells["What happens"])


def read_rows(text: str) -> Iterator[Row]:
    """Yield the rows of all tables that have a column Input."""
    for section in re.split(r"(?m)^### ", text)[1:]:
        name = section.partition("\n")[0]
        for table in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE):
            header, _, *rows = (_cells(line) for line in table.splitlines())
            if header[0] == "Input":
                yield from (Row(name, dict(zip(header, cells, strict=True))) for cells in rows)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


ROWS = list(read_rows(PAGE.read_text(encoding="utf-8")))
DATA_ROWS = [row for row in ROWS if "check" in row.cells]
COMMAND_ROWS = [row for row in ROWS if "Command" in row.cells]


class ReachedTraining(Exception):  # noqa: N818 - it is no error
    """Training would begin now."""

    def __init__(self, run: PreparedRun) -> None:
        super().__init__()
        self.images = sum(map(len, run.splits.by_name.values()))


@dataclass(frozen=True)
class Done:
    """What a command did: its status, what it printed and, if it reached training, the number of images."""

    status: int
    out: str
    err: str
    images: int | None = None


@pytest.fixture
def command(tmp_path, monkeypatch, capsys) -> Callable[..., Done]:
    """Run ``resnet50`` in this process; a training ends with status 0 where it would begin."""

    def stop(run: PreparedRun, _: object, progress: Progress) -> None:
        progress.begin_run(run.transfer, run.issues)
        raise ReachedTraining(run)

    monkeypatch.setitem(recipes.RECIPES, "folder", types.SimpleNamespace(RECIPE=TINY, VARIANTS={"scratch": TINY}))
    monkeypatch.setattr(training, "_train", stop)
    monkeypatch.setenv("RESNET50_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.chdir(tmp_path)

    def run(*words: object) -> Done:
        capsys.readouterr()
        status, images = 0, None
        try:
            main([str(word) for word in words])
        except SystemExit as stopped:
            status = stopped.code
        except ReachedTraining as reached:
            images = reached.images
        out, err = capsys.readouterr()
        assert re.search(r"[^\n -~\u00a0-\U0010ffff]", out + err) is None  # nothing commands the terminal
        return Done(status, out, err, images)

    return run


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return sound_images(tmp_path_factory.mktemp("sound") / "pets")


def test_the_page_has_a_row_for_each_input_and_an_input_for_each_row():
    assert [row.input for row in DATA_ROWS] == list(BAD_DATA)
    assert sorted(row.input for row in COMMAND_ROWS) == sorted([*BAD_FILES, *ELSEWHERE])


def test_nothing_is_found_in_sound_images(command, sound):
    assert command("check", sound, "--json") == Done(0, "[]\n", "")


@pytest.mark.parametrize("row", DATA_ROWS, ids=lambda row: row.input)
def test_bad_data(row, command, sound, tmp_path):
    case = BAD_DATA[row.input]
    pets = Path(shutil.copytree(sound, tmp_path / "data" / "pets"))
    built = case.build(pets) or pets
    for number, source in enumerate([built] if isinstance(built, Path) else built):
        checked = command("check", source, "--json")
        trained = command("train", source, "--out", f"run-{number}")
        _compare_check(row, case, checked)
        _compare_train(row, case, trained)
        printed = checked.out + checked.err + trained.out + trained.err
        assert [option for option in row.options if option not in printed] == []


def _compare_check(row: Row, case: BadData, done: Done) -> None:
    status, severity = row.status("check")
    assert done.status == status, done
    if status == 2:
        _compare_refusal("check", done)
        return
    issues = json.loads(done.out)
    found = [issue["severity"] for issue in issues if case.kind in ("", issue["kind"])]
    worst = min(found, key=SEVERITIES.index, default="")
    assert worst == {"": "error" if status else "", "silent": ""}.get(severity, severity), issues
    if severity == "silent":
        assert (issues, done.err) == ([], "")


def _compare_train(row: Row, case: BadData, done: Done) -> None:
    status, _ = row.status("train")
    assert done.status == status, done
    if status:
        _compare_refusal("train", done)
        return
    if case.images is not None:
        assert done.images == case.images
    _, severity = row.status("check")
    if severity == "warning":
        assert "\nwarning: " in done.out


def _compare_refusal(command: str, done: Done) -> None:
    assert done.err.startswith(f"resnet50 {command}: ")
    assert done.err.count("\n") == 1


@pytest.fixture(scope="module")
def trained(sound, tmp_path_factory) -> Path:
    """A folder with the sound images and a run on them."""
    here = tmp_path_factory.mktemp("trained")
    shutil.copytree(sound, here / "pets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESNET50_CACHE", str(here / "cache"))
        source = DataSource("folder", str(here / "pets"))
        training.train(
            TINY.change(epochs=1, warmup_epochs=0, swa_epochs=1),
            source.load(32),
            out=here / "run",
            source=source,
            progress=False,
        )
    return here


@pytest.mark.parametrize("row", [row for row in COMMAND_ROWS if row.input not in ELSEWHERE], ids=lambda row: row.input)
def test_bad_files(row, command, trained, tmp_path):
    for name in ("pets", "run"):
        shutil.copytree(trained / name, tmp_path / name)
    record = tmp_path / "run" / "environment.json"
    text = record.read_text(encoding="utf-8").replace(*(json.dumps(str(path))[1:-1] for path in (trained, tmp_path)))
    record.write_text(text, encoding="utf-8")
    case = BAD_FILES[row.input]
    words = case.build(tmp_path)
    for each in [words] if isinstance(words[0], str) else words:
        assert " ".join(each).startswith(row.cells["Command"].strip("`"))
        done = command(*each)
        assert done.status == row.status("Exit code")[0], done
        if row.cells["What happens"].startswith("refused"):
            _compare_refusal(each[0], done)
        assert [text for text in (*row.options, *case.shows) if text not in done.out + done.err] == []


@pytest.mark.parametrize("place", ELSEWHERE.values())
def test_a_row_that_is_tested_elsewhere_has_its_test(place):
    file, name = place.split("::")
    assert f"\ndef {name}(" in (TESTS / file).read_text(encoding="utf-8")
