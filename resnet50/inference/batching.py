"""Send images through a network in batches of one shape; the next files are read while the network works."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from resnet50._io.fetch import Progress
from resnet50._io.quiet import without_retracing_warnings
from resnet50._io.workers import in_order
from resnet50.data.fit import DEFAULT_FIT, Fit
from resnet50.data.images import ImageLike, fit_image
from resnet50.data.lazy_images import LazyImages

if TYPE_CHECKING:
    import keras

    from resnet50.inference.runtimes import Network

_DIVIDED = 1.5  # pixels that were divided by 255 never exceed it, even where resizing overshoots


def forward_array(
    model: keras.Model | Network,
    images: np.ndarray | LazyImages,
    *,
    batch_size: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Compute a network's output for images of its size; images in a file are read batch by batch.

    Args:
        model: From raw RGB ``(batch, height, width, 3)``, 0..255, to ``(batch, d)``.
        images: RGB ``(n, height, width, 3)``, 0..255, uint8 or float.
        batch_size: Images in one forward pass.
        progress: Called with the number of images done and the total.

    Returns:
        float32 ``(n, d)``.

    Warns:
        UserWarning: If the images are floats that never exceed 1.5, as pixels that were divided by 255.

    Raises:
        ValueError: If the images do not have the model's size or are not numbers from 0 to 255, the batch size is not
            positive, or the network's output is not a number.
    """
    _check_batch_size(batch_size)
    _, height, width, _ = model.input_shape
    if images.ndim != 4 or images.shape[1:] != (height, width, 3):
        raise ValueError(f"expected images of shape (n, {height}, {width}, 3), got {images.shape}.")
    rows = np.zeros((len(images), model.output_shape[-1]), np.float32)
    size = min(batch_size, len(images))
    brightest = 0.0
    for start in range(0, len(images), batch_size):
        batch = np.asarray(images[start : start + batch_size])
        brightest = max(brightest, _brightest(batch))
        rows[start : start + batch_size] = _forward_padded(model, batch, size)
        if progress:
            progress(start + len(batch), len(images))
    if images.dtype.kind == "f" and 0 < brightest <= _DIVIDED:
        warnings.warn(
            f"expected pixels from 0 to 255, got floats of at most {brightest:g}; if they were divided by 255, pass "
            "them as they were.",
            stacklevel=2,
        )
    return rows


def forward_images(
    model: keras.Model | Network, images: Iterable[ImageLike], *, fit: Fit = DEFAULT_FIT, batch_size: int = 32
) -> Iterator[tuple[Path | None, np.ndarray | str]]:
    """Compute a network's output for images from anywhere, each fitted to the network's size.

    Several threads read images, at most two batches ahead. Memory does not grow with the number of images.

    Args:
        model: From raw RGB ``(batch, height, width, 3)``, 0..255, of one size.
        images: What `resnet50.data.images.fit_image` takes, mixed.
        fit: How they are fitted to the network's size.
        batch_size: Images in one forward pass.

    Yields:
        For each image, in order: its path, or None if it was not passed as one; and its row of the model's output, or,
        if it cannot be read, the reason.

    Raises:
        ValueError: If the batch size is not positive, or ``images`` is a single image.
    """
    _check_batch_size(batch_size)
    is_single = isinstance(images, str | os.PathLike | bytes | Image.Image) or hasattr(images, "read")
    if is_single or getattr(images, "ndim", 4) != 4:
        received = f"an array {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"expected several images, got one ({received}); put it in a list.")
    _, height, width, _ = model.input_shape

    def read(numbered: tuple[int, ImageLike]) -> tuple[Path | None, np.ndarray | str]:
        number, image = numbered
        path = Path(image) if isinstance(image, str | os.PathLike) else None
        name = getattr(image, "name", None)  # of an open file; a number where it was opened by its descriptor
        name = name if isinstance(name, str) else f"image {number}"
        try:
            return path, fit_image(image, height=height, width=width, fit=fit, name=name)
        except (ValueError, OSError) as error:
            return path, str(error)

    results = in_order(read, enumerate(images), ahead=2 * batch_size)
    size = 0
    while chunk := list(islice(results, batch_size)):
        size = size or len(chunk)  # the first is the largest
        readable = [image for _, image in chunk if not isinstance(image, str)]
        rows = iter(_forward_padded(model, np.stack(readable), size) if readable else ())
        for path, image in chunk:
            yield path, image if isinstance(image, str) else next(rows)


def _brightest(batch: np.ndarray) -> float:
    """Return the largest value of a batch, or raise ValueError if one is not from 0 to 255."""
    if batch.dtype == np.uint8 or not batch.size:
        return 255.0
    lowest, highest = float(batch.min()), float(batch.max())
    if not (lowest >= 0 and highest <= 255):  # NaN compares false
        raise ValueError(f"expected pixels from 0 to 255, got {batch.dtype} from {lowest:g} to {highest:g}.")
    return highest


def _check_batch_size(batch_size: int) -> None:
    if batch_size < 1:
        raise ValueError(f"expected batch_size to be at least 1, got {batch_size}.")


@without_retracing_warnings()
def _forward_padded(model: keras.Model | Network, batch: np.ndarray, size: int) -> np.ndarray:
    """Return the output for a batch, padded to ``size`` images, since a backend compiles the network per shape."""
    missing = size - len(batch)
    padded = np.pad(batch, [(0, missing), (0, 0), (0, 0), (0, 0)]) if missing else batch
    rows = model.predict_on_batch(padded)[: len(batch)]
    if not np.isfinite(rows).all():
        raise ValueError("expected numbers as the network's output, got NaN or infinity; its weights are damaged.")
    return rows
