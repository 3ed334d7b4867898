"""The splits of a dataset: train, validation and test, with their near-duplicates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from resnet50._io.fetch import Progress
from resnet50._io.text import listed, plural
from resnet50.data.corrections import Corrections, correct_datasets
from resnet50.data.dataset import Dataset, Unreadable
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.images import Header
from resnet50.data.left_out import LeftOut
from resnet50.data.near_duplicates import NearDuplicates, find_near_duplicates
from resnet50.data.splitting import cut_indices


@dataclass(frozen=True, eq=False)
class DatasetSplits:
    """The splits of a dataset, all with the same classes and image size.

    Attributes:
        train: Images to learn from.
        test: Images that are scored once, at the end of training.
        validation: Images that are scored after every epoch; None if the recipe cuts them off ``train``.
        unreadable: Files of the source that are in no split.
        left_out: What else of the source is not used.
        root: Folder that the images' paths start from; None where the images are not in files of their own.
        fit: How the images were fitted to their size, with the value range that was used.
        identical_only: Whether identical images alone are near-duplicates (`ReadOptions.near_duplicates`).
        other_columns: Columns of the CSV file that are not used, each with its number of different values.
        headers: Headers of the image files by their paths, as far as they are known.
        corrections: The corrections that were applied to the labels; None for none.
    """

    train: Dataset | None = None
    test: Dataset | None = None
    validation: Dataset | None = None
    unreadable: tuple[Unreadable, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    root: Path | None = None
    fit: Fit = DEFAULT_FIT
    identical_only: bool = False
    other_columns: Mapping[str, int] = field(default_factory=dict)
    headers: Mapping[str, Header] = field(default_factory=dict, repr=False)
    corrections: Corrections | None = field(default=None, repr=False)
    # init=False: `replace` does not copy it to splits that may hold other images
    _near_duplicates: NearDuplicates | None = field(default=None, init=False, repr=False)

    @property
    def by_name(self) -> dict[str, Dataset]:
        """The splits that there are: ``"train"``, ``"validation"``, ``"test"``, in this order."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: dataset for name, dataset in named.items() if dataset is not None}

    @classmethod
    def of(
        cls,
        by_name: Mapping[str, Dataset],
        unreadable: tuple[Unreadable, ...] = (),
        left_out: tuple[LeftOut, ...] = (),
    ) -> DatasetSplits:
        """Return the splits with these names: ``"train"``, ``"validation"`` and ``"test"``, or some of them."""
        return cls(by_name.get("train"), by_name.get("test"), by_name.get("validation"), unreadable, left_out)

    @property
    def pooled(self) -> Dataset:
        """The images of all splits as one dataset, in the order of `by_name`; those of several splits are copied."""
        datasets = list(self.by_name.values())
        if len(datasets) == 1:
            return datasets[0]
        groups = [dataset.groups or ("",) * len(dataset) for dataset in datasets]
        return replace(
            datasets[0],
            images=np.concatenate([np.asarray(dataset.images) for dataset in datasets]),
            labels=np.concatenate([dataset.labels for dataset in datasets]),
            paths=tuple(path for dataset in datasets for path in dataset.paths),
            groups=tuple(group for of_split in groups for group in of_split) if any(map(any, groups)) else (),
        )

    def map(self, function: Callable[[Dataset], Dataset]) -> DatasetSplits:
        """Return the splits with a function applied to each."""
        return replace(self, **{name: function(dataset) for name, dataset in self.by_name.items()})  # type: ignore[arg-type]

    def correct(self, corrections: Corrections) -> DatasetSplits:
        """Return the splits with corrected labels, without the images that are left out.

        Raises:
            ValueError: If a correction is of no image of these, of one with another label, or of a class that does not
                exist.
        """
        corrected = correct_datasets(list(self.by_name.values()), corrections)
        return replace(self, corrections=corrections, **dict(zip(self.by_name, corrected, strict=True)))  # type: ignore[arg-type]

    def __getitem__(self, name: str) -> Dataset:
        """Return the split of this name.

        Raises:
            ValueError: If there is no such split.
        """
        if name not in self.by_name:
            raise ValueError(f"expected a {name} split, got {' and '.join(self.by_name) or 'none'} only.")
        return self.by_name[name]

    @property
    def near_duplicates(self) -> NearDuplicates:
        """The near-duplicates among the images of all splits, which are numbered in the order of `by_name`."""
        return self.find_near_duplicates()

    def find_near_duplicates(self, *, progress: Progress | None = None) -> NearDuplicates:
        """Return `near_duplicates`. The first call searches for them; later calls and cuts reuse the result.

        Args:
            progress: Called with the steps done and their number, two for each image; never if the result is reused.
        """
        near_duplicates = self._near_duplicates
        if near_duplicates is None:
            images = [dataset.images for dataset in self.by_name.values()]
            labels = np.concatenate([dataset.labels for dataset in self.by_name.values()])
            near_duplicates = find_near_duplicates(
                images, labels=labels, identical_only=self.identical_only, progress=progress
            )
            object.__setattr__(self, "_near_duplicates", near_duplicates)
        return near_duplicates

    def with_near_duplicates(self, near_duplicates: NearDuplicates) -> DatasetSplits:
        """Return the splits with near-duplicates that are known, so that nothing is searched for."""
        splits = replace(self)
        object.__setattr__(splits, "_near_duplicates", near_duplicates)
        return splits

    def cut(self, share: float, *, into: str, seed: int) -> DatasetSplits:
        """Move a share of ``train`` into a new split.

        Groups and near-duplicates stay together, and classes keep their proportions as far as that allows, as
        `resnet50.data.splitting.train_validation_split` describes. The result has the near-duplicates of these splits
        and does not search again.

        Args:
            share: Share of each class, above 0 and below 1.
            into: Name of the new split, ``"validation"`` or ``"test"``.
            seed: Determines which images; the same seed gives the same cut.

        Raises:
            ValueError: If there is no ``train`` split or the new one exists, the share is not between 0 and 1, or one
                of the two would be empty.
        """
        train = self["train"]
        if into not in ("validation", "test") or into in self.by_name:
            raise ValueError(
                f"{train.name}: expected to cut into a validation or test split that does not exist yet, got {into!r}; "
                f"the splits are {', '.join(self.by_name)}."
            )
        rest, held_out = cut_indices(train, self.near_duplicates.groups[: len(train)], share, seed=seed)
        new = {"train": train.select(rest), into: train.select(held_out)}
        splits = replace(self, **new)  # type: ignore[arg-type]
        ends = np.cumsum([len(dataset) for dataset in self.by_name.values()])
        numbers = dict(zip(self.by_name, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
        numbers |= {"train": rest, into: held_out}  # train comes first, so its indices are its images' numbers
        order = np.concatenate([numbers[name] for name in splits.by_name])
        return splits.with_near_duplicates(self.near_duplicates.reorder(order))

    def hold_out(self, share: float, *, seed: int) -> DatasetSplits:
        """Return splits with a validation split: their own, or a share of ``train``.

        Args:
            share: Share of each class; 0 holds nothing out.
            seed: Determines which images.

        Raises:
            ValueError: If the share cannot be held out.
        """
        if self.validation is not None or not share:
            return self
        try:
            return self.cut(share, into="validation", seed=seed)
        except ValueError as error:
            raise ValueError(
                f"{self['train'].name}: expected images to hold out for validation, got none: {error} Set "
                "validation_split to 0 to train on all images."
            ) from error

    def check_trainable(self) -> None:
        """Refuse splits that nothing can be learned from, or scored on.

        Raises:
            ValueError: If the train or the test split is missing, a split is empty or has other classes, there are
                fewer than two classes, or a class has no training images.
        """
        train = self["train"]
        classes = train.class_names
        for name, dataset in {**self.by_name, "test": self["test"]}.items():
            if not len(dataset):
                raise ValueError(f"{dataset.name}: expected images in the {name} split, got none; add some.")
            if dataset.class_names != classes:
                raise ValueError(
                    f"{dataset.name}: expected the classes of the train split in the {name} split "
                    f"({listed(classes, most=10)}), got {listed(dataset.class_names, most=10)}; give both "
                    "the same classes in the same order."
                )
        if len(classes) < 2:
            raise ValueError(
                f"{train.name}: expected images of at least two classes, got one, {listed(classes)}; add another."
            )
        counts = np.bincount(train.labels, minlength=len(classes))
        if absent := [classes[label] for label in np.flatnonzero(counts == 0)]:
            unreadable = (
                f"; {plural(len(self.unreadable), 'file')} of the source cannot be read" if self.unreadable else ""
            )
            raise ValueError(
                f"{train.name}: expected training images of every class, got none of {listed(absent)}{unreadable}; add "
                "images, or remove the class."
            )
