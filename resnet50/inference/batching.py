"""Image files through a network, the next being read while it works."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnet50._io.workers import in_order
from resnet50.data.images import read_image

if TYPE_CHECKING:
    import keras

    from resnet50.inference.runtimes import Network


def forward(model: keras.Model | Network, paths: Sequence[Path], *, batch_size: int = 32) -> Iterator[np.ndarray | str]:
    """Read images by several threads, two batches ahead, and send them through a network a batch at a time.

    Memory does not grow with the number of files.

    Args:
        model: From raw RGB ``(batch, height, width, 3)``, 0..255, of one size.
        paths: Image files.
        batch_size: Images in one forward pass.

    Yields:
        For each file, in order, its row of the model's output; or, if it cannot be read, the reason.

    Raises:
        ValueError: If the batch size is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}.")
    _, height, width, _ = model.input_shape

    def read(path: Path) -> np.ndarray | str:
        try:
            return read_image(path, height=height, width=width)
        except (ValueError, OSError) as error:
            return str(error)

    # Of one shape throughout, the last not full: for another shape the backend would compile the network again.
    batch = np.zeros((min(batch_size, len(paths)), height, width, 3), np.uint8)
    images = in_order(read, paths, ahead=2 * len(batch))
    while some := list(islice(images, len(batch))):
        for place, image in zip(batch, some, strict=False):
            if not isinstance(image, str):
                place[:] = image
        rows = model.predict_on_batch(batch) if any(not isinstance(image, str) for image in some) else some
        for image, row in zip(some, rows, strict=False):
            yield image if isinstance(image, str) else row
