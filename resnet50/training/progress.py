"""Progress of a training, in a terminal and in a notebook."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resnet50._io.fetch import Progress as Count
from resnet50._io.text import are, duration, plural, printable
from resnet50.audit.issue import Issue
from resnet50.training.callbacks import ROUNDING
from resnet50.training.held_out import Misclassified
from resnet50.training.layer_groups import HEAD
from resnet50.training.phases import LinearProbe, Phase
from resnet50.weights.transfer import TransferReport

_REDRAWS = 4  # of a bar in a second


class Progress(keras.callbacks.Callback):
    """A callback that shows a training, with methods for the steps outside ``fit`` too.

    This class shows nothing; subclass it to show more. It cannot change the training, and checkpoints do not store it.
    The end of a step is shown when the next one is under way, since a GPU would wait otherwise.
    """

    def begin_step(self, step: str) -> None:
        """Show a step before or after the epochs.

        Args:
            step: The step that begins, such as ``"building the network"``.
        """

    def begin_run(self, transfer: TransferReport | None, issues: Sequence[Issue]) -> None:
        """Show the report on pretrained weights and the issues in the images.

        Args:
            transfer: The report on the weights; None from scratch, or where a checkpoint has all weights.
            issues: Issues in the images, the worst first.
        """

    def begin_phase(
        self, phase: int, epoch: int, seconds: float | None = None, wrong: Misclassified | None = None
    ) -> None:
        """Show that a phase begins or continues.

        Args:
            phase: Number of the phase, counted from 0.
            epoch: Epoch of the run at which the phase began, counted from 0.
            seconds: About how long it may take; None where that is not known.
            wrong: Misclassified validation images so far, more than its ``min_error`` allows; None if the phase has no
                ``min_error``, or continues.
        """

    def end_phase(self, phase: int, before: float, after: float, *, best: bool) -> None:
        """Show what a phase has gained, where an earlier one was validated.

        Args:
            phase: Number of the phase, counted from 0.
            before: Best validation accuracy of the phases before it, 0..1.
            after: Best validation accuracy of all phases so far, 0..1.
            best: Whether the best epoch so far is of this phase; of equal accuracies, that with the lower loss is.
        """

    def set_aside(self, images: int, rest: int, accuracy: float) -> None:
        """Show how many validation images are set aside for thresholds, and how the linear probe does on the others.

        Args:
            images: Number of images that thresholds are fitted on at the end, and that choose nothing from here on.
            rest: Number of the others.
            accuracy: Accuracy of the linear probe on those, 0..1.
        """

    @contextmanager
    def counted(self, step: str) -> Iterator[Count]:
        """Show a step whose images are counted, in the block.

        Args:
            step: The step, such as ``"computing features"``.

        Yields:
            A function to call with the images done and their number.
        """
        yield lambda done, total: None

    def end_probe(self, epoch: int, c: float, scores: Mapping[str, float]) -> None:
        """Show the result of a linear probe.

        Args:
            epoch: Epoch of the run that it counts as, counted from 0.
            c: The value of ``C`` that was chosen.
            scores: As a row of the history.
        """

    def leave_out(self, phase: int, wrong: Misclassified) -> None:
        """Show that a phase is left out.

        Args:
            phase: Number of the phase, counted from 0.
            wrong: Misclassified validation images so far, no more than its ``min_error`` allows.
        """

    def without_thresholds(self, reason: str) -> None:
        """Say why the classifier gives no prediction sets or refuses nothing.

        Args:
            reason: A sentence.
        """

    def say(self, line: str) -> None:
        """Show a line about the training that stays."""

    def close(self) -> None:
        """Remove the display, after the training has ended or failed."""


class EpochTable(Progress):
    """A line for each epoch above a bar with the time left; in a notebook, a table. Several phases get a line each.

    Without a terminal or a notebook, as in a log file, there is no bar.

    Args:
        phases: Phases of the run.
    """

    def __init__(self, phases: Sequence[LinearProbe | Phase]) -> None:
        super().__init__()
        self._console = Console()
        self._bars = bars.Progress(
            bars.TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            bars.BarColumn(),
            bars.TimeRemainingColumn(),
            bars.TextColumn("{task.fields[now]}"),
            console=self._console,
            transient=True,
            refresh_per_second=_REDRAWS,
            disable=not self._console.is_terminal,
        )
        self._notebook = NotebookTable() if self._console.is_jupyter else None
        self._phases = phases
        self._epochs = sum(phase.epochs for phase in phases)
        self._first: int | None = None
        self._bar = self._bars.add_task("", total=None, epoch=0, epochs=self._epochs, now="")

    def begin_step(self, step: str) -> None:
        """Print the step."""
        if self._notebook:
            self._notebook.show(f"{step} ...")
        else:
            self._print(f"{step} ...", style="dim")

    def begin_run(self, transfer: TransferReport | None, issues: Sequence[Issue]) -> None:
        """Print the report on pretrained weights and the issues in the images."""
        for line in str(transfer).split("\n") if transfer else ():
            self._print(line, soft_wrap=True)
        for issue in issues:
            if issue.severity != "note":
                self.say(f"{issue.severity}: {issue.summary}")

    def begin_phase(
        self, phase: int, epoch: int, seconds: float | None = None, wrong: Misclassified | None = None
    ) -> None:
        """Count the epochs that are left, since an earlier phase may have ended early, and name the phase."""
        self._epochs = epoch + sum(later.epochs for later in self._phases[phase:])
        if len(self._phases) == 1:
            return
        line = self._name(phase) + (f", about {duration(seconds)}" if seconds else "")
        if self._notebook:
            self._notebook.phase = line
        else:
            self._print(line, style="bold")
        if wrong:
            self.say(f"it begins, since {wrong}, more than its min_error of {self._phases[phase].min_error:.1%}")

    @contextmanager
    def counted(self, step: str) -> Iterator[Count]:
        """Show a bar with the time left."""
        if self._notebook or not self._console.is_terminal:
            self.begin_step(step)
            yield lambda done, total: None
            return
        self._bars.stop()  # of an earlier phase; a console has one display
        with bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.MofNCompleteColumn(),
            bars.TimeRemainingColumn(),
            console=self._console,
            transient=True,
            refresh_per_second=_REDRAWS,
        ) as bar:
            task = bar.add_task(step, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def end_probe(self, epoch: int, c: float, scores: Mapping[str, float]) -> None:
        """Print the result as an epoch's line."""
        self._show_epoch(epoch, scores, f"  C {c:g}")

    def end_phase(self, phase: int, before: float, after: float, *, best: bool) -> None:
        """Print the gain and what is kept; epochs have theirs in float32, so that equal ones may differ."""
        gained = after - before > ROUNDING
        gain = f"raises it from {before:.1%} to {after:.1%}" if gained else f"leaves it at {before:.1%}"
        kept = f"; the model is of phase {phase + 1}, whose loss is lower" if best else "; the earlier model is kept"
        self.say(f"best validation accuracy: phase {phase + 1} {gain}{'' if gained else kept}")

    def leave_out(self, phase: int, wrong: Misclassified) -> None:
        """Print the phase and the reason."""
        min_error = self._phases[phase].min_error
        reason = f"not more than its min_error of {min_error:.1%}"
        if not wrong.within(min_error):
            reason = "and one image is too few to decide by"
        self.say(f"{self._name(phase)}; left out, since {wrong}, {reason}")

    def set_aside(self, images: int, rest: int, accuracy: float) -> None:
        """Say why the accuracy that is to be raised is another one now."""
        self.say(
            f"{plural(images, 'validation image')} {are(images)} set aside for thresholds; of the other {rest:,}, "
            f"which choose from here on, the linear probe classifies {accuracy:.1%} correctly"
        )

    def without_thresholds(self, reason: str) -> None:
        """Say why the classifier gives no prediction sets or refuses nothing."""
        self.say(f"prediction sets, or refusals of images unlike the training's, were not computed: {reason}")

    def say(self, line: str) -> None:
        """Print the line, wrapped at words; a path that is longer than a line stays whole."""
        width = self._console.width
        for part in textwrap.wrap(printable(line), width, break_long_words=False, break_on_hyphens=False):
            self._print(part, soft_wrap=True)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Draw the bar."""
        self._bars.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count the epoch from the first of this process, so that the time left of a resumed run is right."""
        self._began = time.perf_counter()
        steps = self.params["steps"]
        self._first = epoch if self._first is None else self._first
        total, done = (self._epochs - self._first) * steps, (epoch - self._first) * steps
        self._bars.update(self._bar, epoch=epoch + 1, epochs=self._epochs, total=total, completed=done)
        if self._notebook:
            self._notebook.show(f"epoch {epoch + 1}/{self._epochs}")

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar."""
        logs = logs or {}
        now = f"loss {logs.get('loss', 0):.3f}  accuracy {logs.get('accuracy', 0):.1%}"
        self._bars.update(self._bar, advance=1, now=now)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print the epoch's line above the bar, or add it to the notebook's table."""
        self._show_epoch(epoch, logs or {}, f"  {time.perf_counter() - self._began:.1f} s")

    def _name(self, phase: int) -> str:
        return f"phase {phase + 1} of {len(self._phases)}: {describe_phase(self._phases[phase])}"

    def _show_epoch(self, epoch: int, scores: Mapping[str, float], remark: str) -> None:
        if self._notebook:
            self._notebook.add(epoch, scores, remark.strip())
            return
        line = Text(f"{epoch + 1:4}  loss {scores['loss']:6.3f}  accuracy {scores['accuracy']:6.1%}")
        if "val_loss" in scores:
            divider = "│" if self._console.encoding.startswith("utf") else "|"
            line.append(f"  {divider} val loss {scores['val_loss']:6.3f}  accuracy {scores['val_accuracy']:6.1%}")
        self._console.print(line.append(remark, style="dim"), highlight=False, soft_wrap=True)

    def _print(self, line: str, **style: Any) -> None:
        """Print a line, with what could end the training or change the terminal escaped."""
        shown = printable(line).encode(self._console.encoding, "backslashreplace").decode(self._console.encoding)
        self._console.print(shown, highlight=False, markup=False, **style)

    def close(self) -> None:
        """Remove the bar, and restore the terminal's cursor."""
        self._bars.stop()
        if self._notebook:
            self._notebook.show("")


class NotebookTable:
    """A table of epochs in one output of a notebook, which is replaced whenever something is added.

    Rich's own live display needs ipywidgets in a notebook, which many do not have.

    Attributes:
        phase: Line about the current phase, which stands above the next epoch; "" for none.
    """

    def __init__(self) -> None:
        self.phase = ""
        self._rows: list[tuple[str, ...]] = []
        self._handle: Any = None

    def add(self, epoch: int, logs: Mapping[str, float], remark: str) -> None:
        """Add an epoch, counted from 0, with its duration."""
        if self.phase:
            self._rows.append((self.phase,))
            self.phase = ""
        formats = {"loss": ".3f", "accuracy": ".1%", "val_loss": ".3f", "val_accuracy": ".1%"}
        scores = (format(logs[name], form) if name in logs else "" for name, form in formats.items())
        self._rows.append((str(epoch + 1), *scores, remark))

    def show(self, now: str) -> None:
        """Show the rows, and below them the current step or epoch."""
        from IPython.display import display  # not a requirement of this package; a notebook has it

        table = Table("epoch", box=None, caption=now)
        for name in ("loss", "accuracy", "val loss", "val accuracy", "time"):
            table.add_column(name, justify="right")
        for row in self._rows:
            table.add_row(*row)
        if self._handle is None:
            self._handle = display(table, display_id=True)
        else:
            self._handle.update(table)


def describe_phase(phase: LinearProbe | Phase) -> str:
    """Return what a phase trains, such as ``"all layers"``."""
    if isinstance(phase, LinearProbe):
        return "linear probe" + (f" on {phase.views} versions of each image" if phase.views > 1 else "")
    return {"all": "all layers", HEAD: HEAD}.get(phase.trainable, f"{phase.trainable} and above")


@contextmanager
def opened(progress: bool | Progress, phases: Sequence[LinearProbe | Phase]) -> Iterator[Progress]:
    """Yield the callback that shows a training, and close it afterwards, however the training ends.

    Args:
        progress: True for an `EpochTable`, False for nothing, or a callback of the caller's.
        phases: Phases of the run.

    Raises:
        ValueError: If it is another callback; those are passed as callbacks.
    """
    if not isinstance(progress, bool | Progress):
        raise ValueError(
            f"expected progress to be True, False or a resnet50.training.progress.Progress, got "
            f"{type(progress).__name__}; pass other callbacks as callbacks."
        )
    shown = progress if isinstance(progress, Progress) else EpochTable(phases) if progress else Progress()
    try:
        yield shown
    finally:
        shown.close()
