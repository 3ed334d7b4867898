"""SIGNS: photos of hands that show 0 to 5 fingers, from the Deep Learning Specialization of DeepLearning.AI.

1,080 training and 120 test photos, 64 x 64 pixels, 6 classes, in two files in the schema of `resnet50.data.hdf5`.
License: none stated.

Source: Andrew Ng, "Deep Learning Specialization", course 4, week 2 (the dataset of its ResNet-50 assignment).
"""

from __future__ import annotations

import os
from pathlib import Path

from resnet50._io.fetch import Download, Progress, cache_folder, fetch
from resnet50._io.text import listed
from resnet50.data.dataset import Dataset
from resnet50.data.fit import Fit
from resnet50.data.hdf5 import read_split
from resnet50.data.loading import load_dataset
from resnet50.data.splits import DatasetSplits

TRAIN_FILE = "train_signs.h5"
TEST_FILE = "test_signs.h5"

_COURSE = "https://raw.githubusercontent.com/shivanshuman021/HandSigns-Indentifier/86467f48a34c39a79cc7f933ec8753e73b384478/datasets"

SIGNS = (
    Download(
        name=TRAIN_FILE,
        urls=(
            f"{_COURSE}/train_signs.h5",
            "https://raw.githubusercontent.com/LoqmanSamani/deep-learning/020451f693ccf6ecde606b70589bce43f7ee1fe0/data/train_signs.h5",
        ),
        limit=16 << 20,
        git_blob="15904fbeb148848aea50d42c96a539b7bd11c4e5",
    ),
    Download(
        name=TEST_FILE,
        urls=(
            f"{_COURSE}/test_signs.h5",
            "https://raw.githubusercontent.com/rohitbv998/Retinal-Vessel-Segmentation-using-Deep-Learning/2a8d6ded7da00e8679ea27b6b9d7f9550e5d5fa1/datasets/test_signs.h5",
        ),
        limit=2 << 20,
        git_blob="ac34131b87c829b90f5c0913f90d509f1c1f8ed0",
        sha256="539fb746ed9e947eb244cfca73f4d1b03f9bf5524d609eeed2cd76ddb1b179be",
    ),
)
"""The course's two files of hand signs."""


def fetch_signs(folder: str | os.PathLike[str] | None = None, *, progress: Progress | None = None) -> Path:
    """Fetch the course's two files of hand signs, unless they are there already.

    Args:
        folder: Where to put them; ``signs`` in `cache_folder` by default.
        progress: Called with the bytes fetched and their number, first for the training file, then for the test file.

    Returns:
        The folder with ``train_signs.h5`` and ``test_signs.h5``, for `load_signs`.

    Raises:
        DownloadError: If a file cannot be fetched from any of its addresses, or cannot be written.
    """
    folder = cache_folder() / "signs" if folder is None else Path(folder)
    for download in SIGNS:
        fetch(download, folder, progress=progress)
    return folder


def load_signs(train: str | os.PathLike[str], test: str | os.PathLike[str] | None = None) -> tuple[Dataset, Dataset]:
    """Read the two files of SIGNS, or of any dataset in its schema.

    Args:
        train: The training file, or, if ``test`` is None, a folder with ``train_signs.h5`` and ``test_signs.h5``.
        test: The test file.

    Returns:
        Training and test images: RGB uint8 ``(n, size, size, 3)``, labels int64 ``(n,)``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file does not follow the schema, or the two do not have the same classes.
    """
    if test is None:
        train, test = Path(train, TRAIN_FILE), Path(train, TEST_FILE)
    datasets = read_split(train, "train"), read_split(test, "test")
    if datasets[0].class_names != datasets[1].class_names:
        raise ValueError(
            f"{test}: expected the classes of {train}, {listed(datasets[0].class_names, most=10)}, "
            f"got {listed(datasets[1].class_names, most=10)}."
        )
    return datasets


def load(
    path: str | os.PathLike[str] | None,
    *,
    image_size: int,
    fit: Fit | None = None,
    progress: Progress | None = None,
) -> DatasetSplits:
    """Read the folder of the two files, by default that of `fetch_signs`; resized unless ``image_size`` is 64."""
    path = cache_folder() / "signs" if path is None else Path(path)
    if not (path / TRAIN_FILE).is_file() or not (path / TEST_FILE).is_file():
        raise FileNotFoundError(
            f"{path}: expected {TRAIN_FILE} and {TEST_FILE}, got neither or only one; run 'resnet50 data fetch signs', "
            "or name their folder with --data."
        )
    return load_dataset(path, image_size=image_size, fit=fit, progress=progress)
