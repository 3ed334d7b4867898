from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

import pytest

from resnet50.training.fast_cpu.memory import keep_freed_memory

FAULTS = """
import resource
import numpy as np
from resnet50.training.fast_cpu.memory import keep_freed_memory

{call}
np.ones(8 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    np.ones(8 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_memory_is_not_mapped_anew():
    without, kept = (
        int(subprocess.run([sys.executable, "-c", FAULTS.format(call=call)], capture_output=True, check=True).stdout)
        for call in ("", "keep_freed_memory()")
    )
    assert without > 200  # 640 MiB, in pages of 4 KiB or of 2 MiB
    assert kept < without / 10


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_elsewhere_nothing_happens(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    keep_freed_memory()
