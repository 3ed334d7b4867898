"""Classify and embed images on many machines, by Ray Data, into a folder of Parquet files.

Ray Data starts the processes, gives them blocks of images, and gives a block again where a process died. A process
opens the model once. It writes the results of a block, as one file, before it takes the next.
"""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from resnet50._io.fetch import Progress
from resnet50._io.quiet import quiet
from resnet50._io.ray_cluster import connected
from resnet50._io.text import printable, short
from resnet50._io.workers import usable_cores
from resnet50.inference.classifier import Classifier
from resnet50.inference.locate import MANIFEST, locate
from resnet50.inference.prediction import check_top
from resnet50.inference.result_rows import Rows, block_name, cut_blocks, feature_rows, prediction_rows, unique_paths
from resnet50.inference.runtimes import sha256
from resnet50.uncertainty.shares import COVERAGE, REFUSE, check_share

if TYPE_CHECKING:
    import pyarrow as pa

INSTALL = "pip install 'resnet50[ray]'"
"""Command that installs the packages that Ray Data needs."""

LOCAL = "local"
"""The address that stands for this machine alone."""

_PACKAGES = ("ray", "pyarrow", "pandas")
_PROCESSORS = 4  # logical ones, at least, where Ray is started for one call


@dataclass(frozen=True)
class StoredResults:
    """A folder of results.

    Attributes:
        folder: The folder; each ``.parquet`` file in it has a row for each of some images.
        images: Number of images that were asked for, each of which has one row.
        before: Those of them that had a row before.
        unreadable: Those of them that cannot be read, whose row has the reason.
    """

    folder: Path
    images: int
    before: int
    unreadable: int


def predict_on_ray(
    model: str | os.PathLike[str],
    images: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    address: str = LOCAL,
    top: int = 3,
    coverage: float | None = COVERAGE,
    refuse: float | None = REFUSE,
    precision: str = "fp32",
    calibration: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> StoredResults:
    """Classify image files on the machines of a Ray cluster; images that have a row in the folder are left out.

    Rows and probabilities are those of `resnet50.predict`. After an interruption, the same call goes on.

    Args:
        model: What `Classifier.load` opens, at the same path on every machine.
        images: Image files, at the same paths on every machine; `resnet50.find_images` finds those of folders.
        out: Folder for the results, on a disk that all machines share. It is created, or has results of the same model
            and options.
        address: Head of a running cluster, such as ``"192.168.1.10:6379"``, or ``"local"`` to start Ray on this machine
            for the call.
        top: As for `resnet50.predict`.
        coverage: As for `resnet50.predict`.
        refuse: As for `resnet50.predict`.
        precision: As for `Classifier.load`.
        calibration: As for `Classifier.load`, a path.
        progress: Called with the number of images that have a row and their total.

    Raises:
        FileNotFoundError: If there is no such model.
        ImportError: If a package is not installed.
        OSError: If there is no such cluster, or an image has got no row.
        ValueError: If the model cannot be opened, an option is out of range, or the folder has other results.
    """
    check_top(top)
    for share, name in ((coverage, "coverage"), (refuse, "refuse")):
        if share is not None:
            check_share(share, name)
    options = {"top": top, "coverage": coverage, "refuse": refuse}
    answer = partial(prediction_rows, top=top, coverage=coverage, refuse=refuse)
    job = _Job.of(model, out, answer, options, precision, calibration)
    return _run(job, images, address, progress)


def embed_on_ray(
    model: str | os.PathLike[str],
    images: Iterable[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    address: str = LOCAL,
    at: str | None = None,
    precision: str = "fp32",
    calibration: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> StoredResults:
    """Compute the features of image files on the machines of a Ray cluster; images that have a row are left out.

    Features are those of `resnet50.embed`. After an interruption, the same call goes on.

    Args:
        model: As for `predict_on_ray`; a ``.keras`` file or run.
        images: As for `predict_on_ray`.
        out: As for `predict_on_ray`.
        address: As for `predict_on_ray`.
        at: As for `resnet50.embed`.
        precision: As for `Classifier.load`.
        calibration: As for `Classifier.load`, a path.
        progress: As for `predict_on_ray`.

    Raises:
        FileNotFoundError: As for `predict_on_ray`.
        ImportError: As for `predict_on_ray`.
        OSError: As for `predict_on_ray`.
        ValueError: As for `predict_on_ray` and `resnet50.embed`.
    """
    job = _Job.of(model, out, partial(feature_rows, at=at), {"at": at}, precision, calibration)
    return _run(job, images, address, progress)


@dataclass(frozen=True)
class _Job:
    """What a process needs to know.

    Attributes:
        model: Path of the model.
        out: Folder for the results.
        answer: Returns the rows of images.
        precision: As for `Classifier.load`.
        calibration: As for `Classifier.load`.
        about: What the rows are computed with: the metadata of their files.
    """

    model: Path
    out: Path
    answer: Callable[[Classifier, Sequence[str]], Rows]
    precision: str
    calibration: str | None
    about: dict[str, str]

    @classmethod
    def of(
        cls,
        model: str | os.PathLike[str],
        out: str | os.PathLike[str],
        answer: Callable[[Classifier, Sequence[str]], Rows],
        options: Mapping[str, object],
        precision: str,
        calibration: str | os.PathLike[str] | None,
    ) -> _Job:
        path = locate(model).model.resolve()
        images = None if calibration is None else str(Path(calibration).absolute())
        about = {"model_sha256": _digest(path), "precision": precision, "calibration": images, **options}
        texts = {name: "" if value is None else str(value) for name, value in about.items()}
        return cls(path, Path(out).absolute(), answer, precision, images, texts)

    def open(self) -> Classifier:
        """Open the model.

        Raises:
            ValueError: If it is not the one that the command has found, as where machines have a copy each, or the
                command's folder for the results is not there.
        """
        if not self.out.is_dir():  # writing would create one on this machine alone
            raise ValueError(
                f"{self.out}: expected a folder on a disk that all machines share, got none on {platform.node()}; "
                "choose another place."
            )
        locate(self.model)
        if _digest(self.model) != self.about["model_sha256"]:
            raise ValueError(
                f"{self.model}: expected the same model on every machine, got another on {platform.node()}; copy it."
            )
        return Classifier.load(self.model, precision=self.precision, calibration=self.calibration)


def _digest(model: Path) -> str:
    """Return the SHA-256 of a ``.keras`` file, or of an export's manifest, which has that of each of its files."""
    return sha256(model / MANIFEST if model.is_dir() else model)


class _Process:
    """A process of Ray that answers; it opens the model once.

    Args:
        job: What it does.
        folder: Where relative paths of images begin; None if there are none.
    """

    def __init__(self, job: _Job, folder: str | None) -> None:
        self._job, self._folder = job, folder

    @cached_property
    def _classifier(self) -> Classifier:  # of the first block, since what `__init__` raises reaches nobody as it is
        if self._folder is not None:
            os.chdir(self._folder)
        return self._job.open()

    def __call__(self, block: pa.Table) -> pa.Table:
        """Write the rows of a block's images, and return which can be read."""
        import pyarrow as pa

        from resnet50.inference.parquet_folder import write_rows

        paths = block["path"].to_pylist()
        answers = self._job.answer(self._classifier, paths)
        write_rows(self._job.out / block_name(paths), answers, self._job.about)
        return pa.table({"path": paths, "readable": [row["error"] is None for row in answers.rows]})


def check_packages() -> None:
    """Raise ImportError unless the packages that Ray Data needs are installed."""
    for name in _PACKAGES:
        if find_spec(name) is None:
            raise ImportError(f"expected the package {name} for Ray Data, got none installed; {INSTALL}.")


def _run(job: _Job, images: Iterable[str | os.PathLike[str]], address: str, progress: Progress | None) -> StoredResults:
    check_packages()
    from resnet50.inference.parquet_folder import opened, read_done

    paths = unique_paths(images)
    with opened(job.out):
        readable = read_done(job.out, job.about)
        left = [path for path in paths if path not in readable]
        done = before = len(paths) - len(left)
        with closing(_answered(job, left, address)) as blocks:
            for block in blocks if left else ():
                readable |= block
                done += len(block)
                if progress is not None:
                    progress(done, len(paths))
    missing = [path for path in paths if path not in readable]
    if missing:
        raise OSError(f"{job.out}: expected a row for each image, got none for {short(missing[0])}; start again.")
    return StoredResults(job.out, len(paths), before, sum(not readable[path] for path in paths))


def _answered(job: _Job, paths: Sequence[str], address: str) -> Generator[dict[str, bool]]:
    """Answer images, and yield those of each block that is done, and whether each can be read."""
    folder = None if all(map(os.path.isabs, paths)) else str(Path.cwd())
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it calls errors what are none of the caller's
    with ExitStack() as stack:
        with quiet():  # it prints that it has read that
            cluster = connected(None if address == LOCAL else address, processors=max(_PROCESSORS, usable_cores()))
            processors = stack.enter_context(cluster)
        import pyarrow as pa
        import ray
        from ray.data import ActorPoolStrategy, DataContext

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        context = DataContext.get_current().copy()
        context.enable_progress_bars = context.print_on_execution_start = False
        context.raise_original_map_exception = True
        blocks = cut_blocks(paths, processes=max(sum(processors), 1))
        with DataContext.current(context):
            answered = ray.data.from_arrow([pa.table({"path": list(block)}) for block in blocks]).map_batches(
                _Process,
                fn_constructor_args=(job, folder),
                batch_size=None,  # a block at a time
                batch_format="pyarrow",
                compute=ActorPoolStrategy(size=max(min(len(blocks), sum(processors)), 1)),
                num_cpus=1,
            )
            try:
                for each in answered.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                    yield dict(zip(each["path"].to_pylist(), each["readable"].to_pylist(), strict=True))
            except ray.exceptions.RayTaskError as error:  # an error of ours in a process
                raise error.cause from None
            except ray.exceptions.RayError as error:
                reason = printable(" ".join(str(error).split())[:200])
                raise OSError(f"{address}: expected Ray to finish, got an error ({reason}); start again.") from error
