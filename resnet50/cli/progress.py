"""What a person sees of a training, and of its result."""

from __future__ import annotations

import time

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from resnet50.evaluation.report import Report
from resnet50.training.fit import Run


class EpochTable(keras.callbacks.Callback):
    """A bar for the epochs with the time left, and a line for each finished epoch; silent where no terminal is.

    Args:
        epochs: Epochs of the whole run.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._console = Console()
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[now]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._epochs = epochs

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Draw the empty bar."""
        self._bar = self._progress.add_task("", total=None, epoch=0, now="")
        self._progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Count the epoch; the total is known from the first, so that a resumed run's time left is right."""
        self._began = time.perf_counter()
        steps = self.params["steps"]
        if self._progress.tasks[0].total is None:
            self._first = epoch
            self._progress.update(self._bar, total=(self._epochs - epoch) * steps)
        self._progress.update(self._bar, epoch=epoch + 1, completed=(epoch - self._first) * steps)

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Move the bar."""
        logs = logs or {}
        now = f"loss {logs.get('loss', 0):.3f}  accuracy {logs.get('accuracy', 0):.1%}"
        self._progress.update(self._bar, advance=1, now=now)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Print the epoch's line above the bar."""
        if self._progress.disable:
            return
        logs = logs or {}
        line = f"{epoch + 1:4}  loss {logs['loss']:6.3f}  accuracy {logs['accuracy']:6.1%}"
        if "val_loss" in logs:
            line += f"  │ val loss {logs['val_loss']:6.3f}  accuracy {logs['val_accuracy']:6.1%}"
        self._progress.console.print(f"{line}  [dim]{time.perf_counter() - self._began:.1f} s[/dim]", highlight=False)

    def close(self) -> None:
        """Take the bar away, however the training ended, and give the terminal its cursor back."""
        self._progress.stop()


def show_report(report: Report) -> None:
    """Print the scores, overall and by class."""
    console = Console()
    low, high = report.interval
    console.print(
        f"{report.dataset}, {report.pictures} pictures: accuracy {report.accuracy:.2%} "
        f"(95 % interval {low:.1%} to {high:.1%}), loss {report.loss:.3f}",
        highlight=False,
        soft_wrap=True,
    )
    table = Table("class", box=None)
    for name in ("precision", "recall", "F1", "pictures"):
        table.add_column(name, justify="right")
    for name, scores in report.classes.items():
        table.add_row(name, f"{scores.precision:.1%}", f"{scores.recall:.1%}", f"{scores.f1:.1%}", str(scores.support))
    console.print(table, highlight=False)


def show_run(run: Run) -> None:
    """Print what came of a training, and where it is."""
    show_report(run.report)
    folder = run.folder
    for path in (folder.model, folder.report, folder.history, folder.curves, folder.confusion):
        print(path)
