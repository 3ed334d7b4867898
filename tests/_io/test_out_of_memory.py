from __future__ import annotations

import keras
import numpy as np
import pytest

from resnet50._io.out_of_memory import is_out_of_memory


def test_what_numpy_and_the_backend_raise_is_recognized():
    with pytest.raises(MemoryError) as of_numpy:
        np.zeros((10**8, 10**8))
    assert is_out_of_memory(of_numpy.value)
    with pytest.raises(Exception) as of_backend:
        keras.ops.convert_to_numpy(keras.ops.zeros((10**7, 10**7)))
    assert is_out_of_memory(of_backend.value)


@pytest.mark.parametrize(
    "message",
    [
        "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 400 bytes.",
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried to",
        "std::bad_alloc",
    ],
)
def test_what_other_libraries_say_is_recognized(message):
    assert is_out_of_memory(RuntimeError(message))
    assert not is_out_of_memory(ValueError(message))


def test_another_error_is_not():
    assert not is_out_of_memory(RuntimeError("shapes differ"))
    assert not is_out_of_memory(OSError(28, "No space left on device"))
