"""Where a run's images come from: recorded with the run, and read by every command that needs the images again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from inspect import signature
from typing import Any

from resnet50._io.fetch import Progress
from resnet50._io.paths import as_given, describe_path, describe_source, is_url
from resnet50._io.text import short
from resnet50.data.corrections import read_corrections
from resnet50.data.fit import Fit
from resnet50.data.loading import stored_fit
from resnet50.data.options import DEFAULT_OPTIONS, ReadOptions
from resnet50.data.splits import DatasetSplits
from resnet50.datasets import DATASETS


@dataclass(frozen=True)
class DataSource:
    """A dataset, its place and how it is read.

    Attributes:
        task: Key of `DATASETS`; ``"folder"`` for images of your own.
        path: Folder or file; None for the dataset's usual place.
        options: How it is read; only ``"folder"`` takes other options than the default ones, but for the corrections.

    Raises:
        ValueError: If there is no such dataset, or it takes no options.
    """

    task: str
    path: str | None = None
    options: ReadOptions = DEFAULT_OPTIONS

    def __post_init__(self) -> None:
        if self.path is not None:
            object.__setattr__(self, "path", os.fspath(self.path))  # a Path cannot be recorded as JSON
        if self.task not in DATASETS:
            raise ValueError(f"expected the name of a dataset, one of {', '.join(DATASETS)}, got {short(self.task)}.")
        if not self._takes_options and replace(self.options, corrections=None) != DEFAULT_OPTIONS:
            raise ValueError(
                f"{self.task}: expected no options, since this dataset is always read in the same way, got "
                f"{', '.join(self.changed_options)}; use 'folder' to read it with options."
            )

    @property
    def changed_options(self) -> dict[str, Any]:
        """The options that differ from the defaults, by name."""
        return {
            field.name: value
            for field in fields(ReadOptions)
            if (value := getattr(self.options, field.name)) != field.default
        }

    @property
    def _takes_options(self) -> bool:
        return "options" in signature(DATASETS[self.task]).parameters

    @property
    def stored_fit(self) -> Fit | None:
        """How the images of a packed file were fitted; None for other sources."""
        return stored_fit(self.path) if self.task == "folder" and self.path else None

    def load(self, image_size: int, *, fit: Fit | None = None, progress: Progress | None = None) -> DatasetSplits:
        """Read the images.

        Args:
            image_size: Height and width in pixels of all images.
            fit: How they are fitted to it; None for `resnet50.data.fit.DEFAULT_FIT`, or as a packed file was.
            progress: As for `resnet50.data.loading.load_dataset`.

        Returns:
            The splits.

        Raises:
            FileNotFoundError: If nothing is at the path, or there is no path and no usual place.
            ValueError: If the images cannot be read.
        """
        if self.path is not None and is_url(self.path) and not os.path.exists(self.path):  # noqa: PTH110
            got = (describe_source if self._takes_options else describe_path)(self.path)
            raise FileNotFoundError(f"{as_given(self.path)}: expected a folder or file of images, got {got}.")
        load, corrections = DATASETS[self.task], self.options.corrections
        if self._takes_options:
            options: dict[str, Any] = {"options": self.options}
            return load(self.path, image_size=image_size, fit=fit, progress=progress, **options)
        corrected = read_corrections(corrections) if corrections is not None else None
        splits = load(self.path, image_size=image_size, fit=fit, progress=progress)
        return splits.correct(corrected) if corrected is not None else splits

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DataSource:
        """Return the source with the values that `to_dict` returned.

        Raises:
            ValueError: If the values are not those of a source, or those of another version.
        """
        try:
            options = dict(values["options"])
            if values["task"] == "folder":
                options = {"groups": False, **options}  # a run recorded before subfolders could be groups
            return cls(values["task"], values["path"], ReadOptions(**options))
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"expected task, path and options of a data source, got {short(values)}; another version of resnet50 "
                "wrote it."
            ) from error
