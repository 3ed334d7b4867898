"""What to do where a training runs out of memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from resnet50._io.out_of_memory import OutOfMemoryError, is_out_of_memory
from resnet50._io.text import plural
from resnet50.inference.locate import resume_command
from resnet50.training.recipe import Recipe


@contextmanager
def memory_explained(recipe: Recipe, run: Path) -> Iterator[None]:
    """Turn an error of any backend that memory ran out into one line that says what to do.

    A backend may end the process instead, and so may the system (on Linux by SIGKILL): nothing can be said then.

    Args:
        recipe: Batch size and image size.
        run: The run directory.

    Raises:
        OutOfMemoryError: If memory runs out in the block.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"{run}: the training ran out of memory with {plural(recipe.batch_size, 'image')} of {recipe.image_size} x "
            f"{recipe.image_size} pixels in a step; start a new run with a smaller batch size (--batch-size) or image "
            f"size (--image-size), or resume this one when more memory is free: {resume_command(run)}"
        ) from error
