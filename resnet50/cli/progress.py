"""What a person sees of a training, and of its result."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from resnet50._io.text import have, plural
from resnet50.audit.check import Issue
from resnet50.metrics.scores import Report
from resnet50.training.callbacks import Progress
from resnet50.training.recipe import Phase
from resnet50.training.train import Run
from resnet50.weights.transfer import TransferReport


class EpochTable(Progress):
    """A bar for the epochs with the time left, a line for each finished epoch, and one for each of several phases.

    Where no terminal is, only what pretrained weights gave the network and what is wrong with the data is said.

    Args:
        phases: Phases of the run.
    """

    def __init__(self, phases: Sequence[Phase]) -> None:
        super().__init__()
        self._console = Console()
        self._bars = bars.Progress(
            bars.TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            bars.BarColumn(),
            bars.TimeRemainingColumn(),
            bars.TextColumn("{task.fields[now]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._phases = phases
        self._epochs = sum(phase.epochs for phase in phases)
        self._first: int | None = None
        self._bar = self._bars.add_task("", total=None, epoch=0, epochs=self._epochs, now="")

    def begin_run(self, transfer: TransferReport | None, issues: Sequence[Issue]) -> None:
        """Print what the weights gave the network, and what is wrong with the data."""
        told = [str(transfer)] if transfer else []
        told += [f"{issue.severity}: {issue.summary}" for issue in issues if issue.severity != "note"]
        for line in told:
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)

    def begin_phase(self, phase: int, epoch: int) -> None:
        """Count the epochs that are left, since an earlier phase may have ended early, and name the phase."""
        self._epochs = epoch + sum(one.epochs for one in self._phases[phase:])
        if len(self._phases) > 1 and not self._bars.disable:
            trained = self._phases[phase].trainable
            words = f"phase {phase + 1} of {len(self._phases)}: {'all layers' if trained == 'all' else trained}"
            self._console.print(words, style="bold", highlight=False)

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Draw the bar."""
        self._bars.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count the epoch; what is done is counted from this process's first, so that a resumed run's time is right."""
        self._began = time.perf_counter()
        steps = self.params["steps"]
        self._first = epoch if self._first is None else self._first
        total, done = (self._epochs - self._first) * steps, (epoch - self._first) * steps
        self._bars.update(self._bar, epoch=epoch + 1, epochs=self._epochs, total=total, completed=done)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar."""
        logs = logs or {}
        now = f"loss {logs.get('loss', 0):.3f}  accuracy {logs.get('accuracy', 0):.1%}"
        self._bars.update(self._bar, advance=1, now=now)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print the epoch's line above the bar."""
        if self._bars.disable:
            return
        logs = logs or {}
        line = f"{epoch + 1:4}  loss {logs['loss']:6.3f}  accuracy {logs['accuracy']:6.1%}"
        if "val_loss" in logs:
            line += f"  │ val loss {logs['val_loss']:6.3f}  accuracy {logs['val_accuracy']:6.1%}"
        self._bars.console.print(f"{line}  [dim]{time.perf_counter() - self._began:.1f} s[/dim]", highlight=False)

    def close(self) -> None:
        """Take the bar away, however the training ended, and give the terminal its cursor back."""
        self._bars.stop()


def show_report(report: Report) -> None:
    """Print the scores, overall and by class."""
    low, high = report.interval
    print(
        f"{report.dataset}, {plural(report.images, 'image')}: accuracy {report.accuracy:.2%} "
        f"(95 % interval {low:.1%} to {high:.1%}), loss {report.loss:.3f}"
    )
    over = f" (both over the {plural(report.scored_classes, 'class')} that {have(report.scored_classes)} test images)"
    over = over if report.scored_classes < len(report.classes) else ""
    top = "".join(f"top {k} {share:.1%}, " for k, share in report.top_k.items())
    print(
        f"{top}macro F1 {report.macro_f1:.1%}, balanced accuracy {report.balanced_accuracy:.1%}{over}, calibration "
        f"error {report.calibration_error:.1%} ({report.chance_error:.1%} by chance)"
    )
    if report.temperature_scaling is not None and not report.temperature_reason:
        print(
            f"with a temperature of {report.temperature_scaling.temperature:.2f}, fitted on {report.temperature_scaling.images:,} validation "
            f"images: calibration error {report.temperature_scaling.calibration_error:.1%}, loss {report.temperature_scaling.loss:.3f}"
            f"{', both worse' if report.temperature_hurts else ''}"
        )
    table = Table("class", box=None)
    for name in ("precision", "recall", "F1", "images"):
        table.add_column(name, justify="right")
    for name, scores in report.classes.items():
        shares = (f"{share:.1%}" for share in (scores.precision, scores.recall, scores.f1))
        table.add_row(Text(name), *shares, str(scores.support))  # as text: brackets in a name mean nothing
    Console().print(table, highlight=False)


def show_run(run: Run) -> None:
    """Print what came of a training, and where it is."""
    show_report(run.report)
    folder = run.folder
    report = (folder.page, folder.report, folder.history, folder.curves)
    for path in (folder.model, *report, folder.unreadable, folder.transfer):
        if path.exists():
            print(path)
