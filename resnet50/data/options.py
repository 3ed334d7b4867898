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

    Raises:
        ValueError: If a share is out of its range.
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

    def __post_init__(self) -> None:
        check_types(self)
        if not 0 < self.test_split < 1:
            raise ValueError(f"expected test_split above 0 and below 1, got {self.test_split!r}.")
        if not 0 <= self.max_unreadable <= 1:
            raise ValueError(f"expected max_unreadable from 0 to 1, got {self.max_unreadable!r}.")


DEFAULT_OPTIONS = ReadOptions()
"""The default options."""
