from __future__ import annotations

import io
import re

import keras
import numpy as np
import pytest
from rich.console import Console

from resnet50.audit.issue import Issue
from resnet50.training import progress
from resnet50.training.held_out import Misclassified
from resnet50.training.phases import LinearProbe, Phase
from resnet50.weights.transfer import TransferReport


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_sees_a_bar_and_a_file_a_line_for_each_epoch(monkeypatch, terminal):
    screen = io.StringIO()
    monkeypatch.setattr(
        progress, "Console", lambda: Console(file=screen, force_terminal=terminal, width=100 if terminal else 40)
    )
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((4, 2), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    table = progress.EpochTable([Phase(epochs=3)])
    table.begin_run(None, [])
    table.begin_phase(0, 0)
    model.fit(x, y, epochs=3, initial_epoch=1, validation_data=(x, y), verbose=0, callbacks=[table])
    table.close()
    shown = re.sub(r"\x1b\[\d*[AK]|\r", "\n", screen.getvalue())  # a bar may be erased before a line
    if terminal:
        assert re.search(r" 2 +loss +0\.693 .*\baccuracy\b.*\bval\b.* 0\.693 ", shown)
        assert re.search(r" 3 +loss\b", shown)
        assert "3/3" in shown
        assert "all" not in shown  # a single phase is not named
    else:
        lines = screen.getvalue().splitlines()
        assert [line.split()[0] for line in lines] == ["2", "3"]
        assert all("loss  0.693" in line and "val loss  0.693" in line for line in lines)
        assert "\x1b" not in screen.getvalue()


def test_phases_are_named_and_what_is_left_is_counted_from_where_they_began(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=True, width=100))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((4, 2), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    table = progress.EpochTable([Phase(epochs=9, trainable="head"), Phase(epochs=2)])
    table.begin_phase(0, 0)
    model.fit(x, y, epochs=1, verbose=0, callbacks=[table])  # as if it had ended early
    table.begin_phase(1, 1)
    model.fit(x, y, initial_epoch=1, epochs=3, verbose=0, callbacks=[table])
    table.close()
    shown = screen.getvalue()
    for words in ("head", "1/11", "all", "3/3"):
        assert words in shown
    assert re.search(r"\b1\b.*\b2\b.*\bhead\b", shown)
    assert re.search(r"\b2\b.*\b2\b.*\ball\b", shown)


@pytest.fixture
def show(monkeypatch):
    """Show the phases of a fine-tuning by a function; return the lines that stay."""

    def run(steps, *, terminal=False):
        screen = io.StringIO()
        monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=terminal, width=100))
        phases = [LinearProbe(), LinearProbe(views=8, min_error=0.05), Phase(epochs=3, min_error=0.02)]
        table = progress.EpochTable(phases)
        steps(table)
        table.close()
        erased = r"[^\n]*\n(\x1b\[\?25h)?\r\x1b\[1A\x1b\[2K|[^\n]*\r\x1b\[2K"  # a bar
        kept = re.sub(rf"{erased}|\x1b\[[\d;?]*[A-Za-z]|\r", "", screen.getvalue())
        return [line for line in kept.split("\n") if line.strip()]

    return run


@pytest.mark.parametrize("terminal", [True, False])
def test_a_phase_says_how_long_it_may_take(show, terminal):
    def steps(table):
        table.begin_phase(0, 0)
        table.begin_phase(1, 1, 75.2)

    first, second = show(steps, terminal=terminal)
    assert re.search(r"\b1\b.*\b3\b.*\blinear probe$", first)
    assert re.search(r"\b2\b.*\b3\b.*\blinear probe\b.*\b8\b.*\b1 min 15 s\b", second)


@pytest.mark.parametrize("terminal", [True, False])
def test_a_linear_probe_is_shown_as_an_epoch_with_the_chosen_c(show, terminal):
    scores = {"loss": 0.25, "accuracy": 0.875, "val_loss": 0.5, "val_accuracy": 0.75}
    (line,) = show(lambda table: table.end_probe(0, 0.3, scores), terminal=terminal)
    assert re.search(r"^ +1 .*0\.250.*87\.5%.*0\.500.*75\.0%.*\bC 0\.3$", line)
    (line,) = show(lambda table: table.end_probe(0, 0.3, {"loss": 0.25, "accuracy": 0.875}), terminal=terminal)
    assert "val" not in line


@pytest.mark.parametrize("terminal", [True, False])
def test_a_phase_that_is_left_out_is_named_with_its_reason(show, terminal):
    line = " ".join(show(lambda table: table.leave_out(2, Misclassified(2, 160)), terminal=terminal))
    assert re.search(r"\b3\b.*\b3\b.*\ball layers\b.*\bleft out\b.*\b2 of 160\b.*\b1\.2%.*\bmin_error\b.*\b2\.0%", line)
    line = " ".join(show(lambda table: table.leave_out(2, Misclassified(1, 24)), terminal=terminal))
    assert re.search(r"\bleft out\b.*\b1 of 24\b.*\b4\.2%", line)
    assert "2.0%" not in line  # it is above that, and one image alone
    line = " ".join(show(lambda table: table.leave_out(1, Misclassified(5, 100)), terminal=terminal))
    assert re.search(r"\b5 of 100\b.*\bmin_error\b.*\b5\.0%", line)


def test_a_phase_that_could_be_left_out_says_why_it_is_not(show):
    name, reason = show(lambda table: table.begin_phase(2, 2, None, Misclassified(2, 24)))
    assert re.search(r"\b3\b.*\b3\b.*\ball layers$", name)
    assert re.search(r"\b2 of 24\b.*\b8\.3%.*\bmin_error\b.*\b2\.0%", reason)


@pytest.mark.parametrize(("after", "numbers"), [(0.95, ["90.0%", "95.0%"]), (0.9, ["90.0%"]), (0.90000001, ["90.0%"])])
def test_the_gain_of_a_phase_is_shown(show, after, numbers):
    (line,) = show(lambda table: table.end_phase(1, 0.9, after, best=True))
    assert re.findall(r"[\d.]+%", line) == numbers
    assert "2" in line.split()


@pytest.mark.parametrize(("after", "best", "ends"), [(0.9, True, "lower"), (0.9, False, "kept"), (0.95, True, "95.0%")])
def test_a_phase_says_what_becomes_of_it(show, after, best, ends):
    (line,) = show(lambda table: table.end_phase(1, 0.9, after, best=best))
    assert line.endswith(ends)


def test_images_that_are_set_aside_are_counted(show):
    lines = show(lambda table: table.set_aside(28, 32, 0.46875))
    assert re.findall(r"[\d.]+%?", " ".join(lines)) == ["28", "32", "46.9%"]


@pytest.mark.parametrize("terminal", [True, False])
def test_images_are_counted_in_a_terminal_and_named_in_a_log(show, terminal):
    def steps(table):
        with table.counted("computing features") as count:
            count(3, 12)

    lines = show(steps, terminal=terminal)
    assert ["computing features" in line for line in lines] == ([] if terminal else [True])


@pytest.mark.parametrize("terminal", [True, False])
def test_the_report_on_pretrained_weights_is_printed_everywhere(monkeypatch, terminal):
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=terminal, width=40))
    report = TransferReport("some/weights", "keras", ("conv1_conv",), {"predictions": "9 [classes]"}, {})
    progress.EpochTable([Phase(epochs=1)]).begin_run(report, [])
    assert str(report) in screen.getvalue()


@pytest.fixture
def shown(monkeypatch):
    """What a notebook shows of one output, each time that it is replaced."""
    monkeypatch.setattr(progress, "Console", lambda: Console(file=io.StringIO(), force_jupyter=True))
    shown = []

    class Handle:
        def update(self, table):
            text = io.StringIO()
            Console(file=text, width=100).print(table)
            shown.append(text.getvalue())

    def display(table, *, display_id=False):
        if display_id:  # a line that rich prints has none
            Handle().update(table)
        return Handle()

    monkeypatch.setattr("IPython.display.display", display)
    return shown


def test_a_notebook_sees_one_table_that_grows(shown):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    x, y = np.zeros((4, 2), "float32"), np.eye(2, dtype="float32")[[0, 1, 0, 1]]
    table = progress.EpochTable([Phase(epochs=1, trainable="head"), Phase(epochs=1)])
    table.begin_step("building the network")
    assert "building the network" in shown[-1]
    for phase in (0, 1):
        table.begin_phase(phase, phase)
        model.fit(x, y, epochs=phase + 1, initial_epoch=phase, validation_data=(x, y), verbose=0, callbacks=[table])
    assert "2/2" in shown[-1]
    table.close()
    assert "2/2" not in shown[-1]
    rows = [line.split() for line in shown[-1].splitlines() if line.strip()]
    assert (rows[0][0], rows[1][-1], rows[3][-2:]) == ("epoch", "head", ["all", "layers"])
    for row, epoch in ((rows[2], "1"), (rows[4], "2")):
        assert row[:5] == [epoch, "0.693", "50.0%", "0.693", "50.0%"]


def test_a_notebook_sees_a_linear_probe_in_the_table(shown):
    table = progress.EpochTable([LinearProbe(), Phase(epochs=1, min_error=0.05)])
    table.begin_phase(0, 0, 12)
    with table.counted("computing features") as count:
        count(1, 2)
    assert "computing features" in shown[-1]
    table.end_probe(0, 3.0, {"loss": 0.25, "accuracy": 0.875, "val_loss": 0.5, "val_accuracy": 1.0})
    table.leave_out(1, Misclassified(0, 12))
    table.close()
    rows = [line.split() for line in shown[-1].splitlines() if line.strip()]
    assert " ".join(rows[1]).endswith("linear probe, about 12 s")
    assert rows[2] == ["1", "0.250", "87.5%", "0.500", "100.0%", "C", "3"]


def test_what_a_console_cannot_encode_or_would_obey_is_escaped(monkeypatch):
    screen = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", errors="strict")
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, force_terminal=True, width=100))
    report = TransferReport("a\x1b]52;c;eA==\x07.h5", "keras", (), {"\u732b\n": "9 classes"}, {})
    issue = Issue(kind="few", severity="warning", summary="few images of \u732b.", advice="")
    table = progress.EpochTable([Phase(epochs=1)])
    table.params = {"steps": 1}
    table.begin_run(report, [issue])
    table.on_epoch_begin(0)
    table.on_epoch_end(0, {"loss": 1, "accuracy": 0, "val_loss": 1, "val_accuracy": 0})
    table.close()
    screen.flush()
    shown = screen.buffer.getvalue().decode("cp1252")
    assert "warning: few images of \\u732b." in shown
    assert "a\\x1b]52;c;eA==\\x07.h5" in shown
    assert "\\u732b\\n: 9 classes" in shown


def test_the_bar_of_an_earlier_phase_makes_way_for_that_of_images(show):
    """A console has one live display before rich 14.1."""
    live = []

    def steps(table):
        table.on_train_begin()
        with table.counted("computing features") as count:
            count(1, 64)
            live.append(table._bars.live.is_started)
        table.on_train_begin()
        live.append(table._bars.live.is_started)

    show(steps, terminal=True)
    assert live == [False, True]


def test_another_display_shows_nothing_of_phases():
    shown = progress.Progress()
    shown.begin_phase(0, 0, 1.0)
    shown.end_phase(0, 0.5, 0.6, best=True)
    shown.end_probe(0, 1.0, {})
    shown.leave_out(1, Misclassified(1, 10))
    shown.say("a line")
    with shown.counted("computing features") as count:
        count(1, 2)


def test_prose_is_wrapped_at_words_and_a_long_path_stays_whole(monkeypatch):
    screen, path = io.StringIO(), "/".join(["folder"] * 8)
    monkeypatch.setattr(progress, "Console", lambda: Console(file=screen, width=40))
    table = progress.EpochTable([Phase(epochs=1)])
    table.begin_run(None, [Issue(kind="few", severity="warning", summary=f"few images are in {path} now.", advice="")])
    table.without_thresholds("there are too few; train with more of them.")
    lines = screen.getvalue().splitlines()
    assert path in lines
    assert all(len(line) <= 40 for line in lines if line != path)
    assert " ".join(lines).endswith("there are too few; train with more of them.")
