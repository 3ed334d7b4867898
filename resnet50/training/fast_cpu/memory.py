"""Memory: let the C library reuse freed memory from one training step to the next."""

from __future__ import annotations

import ctypes

# glibc's numbers of the parameters of mallopt, from malloc.h, and their values
_OPTIONS = {
    -3: 1 << 30,  # M_MMAP_THRESHOLD: only blocks above this are mapped and unmapped one by one
    -1: -1,  # M_TRIM_THRESHOLD: the end of the heap is never returned to the system
    -2: 1 << 26,  # M_TOP_PAD: the heap grows by at least this
}


def keep_freed_memory() -> None:
    """Keep freed memory for the next step, instead of returning it to the system.

    A training step allocates and frees hundreds of megabytes. glibc maps large blocks anew each time, and the system
    fills each new page with zeros, which takes up to a fifth of the step. This setting affects the whole process, whose
    memory stays at its peak from then on. It does nothing where the C library is not glibc.

    Source: mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return
    for option, value in _OPTIONS.items():
        mallopt(option, value)
