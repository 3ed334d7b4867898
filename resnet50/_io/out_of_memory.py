"""Recognize an error that says that memory ran out, whichever library raised it."""

from __future__ import annotations

_CLASSES = {"ResourceExhaustedError", "OutOfMemoryError"}  # TensorFlow's and PyTorch's

# JAX's and TensorFlow's status, and what PyTorch, oneDNN, ONNX Runtime and OpenVINO write into a RuntimeError
_WORDS = (
    "resource_exhausted",
    "out of memory",
    "oom when allocating",
    "allocate memory",
    "bad_alloc",
    "bad allocation",
)


class OutOfMemoryError(MemoryError):
    """Memory ran out; the message says what to do."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that the memory of the machine or of a GPU ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ in _CLASSES:
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)
