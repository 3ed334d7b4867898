"""How a source of images is read: one object that functions pass on and that is recorded with a run."""

from __future__ import annotations

from dataclasses import dataclass, field

from resnet50._io.arguments import check_types


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How a folder, a CSV file or an h5 file of images is read.

    Attributes:
        pattern: Regular expression with a group named ``class`` that finds the class in a file's path; None takes the
            class from the folders (`resnet50.data.listing.list_images`).
        test_split: Share of the images, above 0 and below 1, that becomes the test split where the source has none.
        max_unreadable: Share of all files, and of those of each class, 0..1, that may be left out because they cannot
            be read; a single file of a class may be, unless it is the only one.
        groups: Whether each subfolder of a class folder is a group, such as a patient, which no cut separates; None
            where that is plausible (`resnet50.data.subfolders.group_by_subfolder`).
        near_duplicates: Whether near-duplicates are found and stay in one split; False for identical images alone.
        corrections: File of corrected labels and of images to leave out (`resnet50.data.corrections`). They are applied
            after the images are cut into splits, so that the cut stays the same.

    Raises:
        ValueError: If a share is out of its range, or groups are asked for with a pattern, which finds them itself.
    """

    pattern: str | None = field(
        default=None,
        metadata={
            "help": "Regular expression whose group 'class' finds the class in a file's path.",
            "metavar": "REGEX",
        },
    )
    test_split: float = field(
        default=0.2, metadata={"help": "Share of the images to test on, where the source has no test split."}
    )
    max_unreadable: float = field(
        default=0.1, metadata={"help": "Share of the files, of all and of each class, that may be unreadable."}
    )
    groups: bool | None = field(
        default=None,
        metadata={
            "help": "Keep the images of each subfolder of a class folder, such as a patient's, in one split.",
            "default": "where that is plausible",
        },
    )
    near_duplicates: bool = field(
        default=True,
        metadata={"help": "Find near-duplicates and keep them in one split; without it, identical images alone."},
    )

    corrections: str | None = field(
        default=None,
        metadata={
            "help": "Corrected labels and images to leave out, as the page of 'resnet50 check --clean' saves them.",
            "metavar": "CSV",
        },
    )

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.test_split < 1:
            raise ValueError(f"expected test_split above 0 and below 1, got {self.test_split!r}.")
        if not 0 <= self.max_unreadable <= 1:
            raise ValueError(f"expected max_unreadable from 0 to 1, got {self.max_unreadable!r}.")
        if self.groups and self.pattern is not None:
            raise ValueError(
                f"expected groups from the pattern's own group named 'group', got groups=True with {self.pattern!r}; "
                "leave out one of the two."
            )


DEFAULT_OPTIONS = ReadOptions()
"""The default options."""
