"""Memory that a process keeps from one step to the next."""

from __future__ import annotations

import ctypes

# glibc's numbers of what mallopt sets, from malloc.h, and what to
_OPTIONS = {
    -3: 1 << 30,  # M_MMAP_THRESHOLD: only pieces above this are mapped and unmapped one by one
    -1: -1,  # M_TRIM_THRESHOLD: the end of the heap is never given back
    -2: 1 << 26,  # M_TOP_PAD: the heap grows by at least this
}


def keep_freed_memory() -> None:
    """Have the C library keep what is freed for the next step, instead of giving it back to the system.

    A training step takes and frees hundreds of megabytes. glibc maps large pieces anew each time, and the system fills
    each new page with zeros, which takes up to a fifth of the step. This is about the whole process, whose memory stays
    at its peak from then on. Where the C library is not glibc nothing happens.

    Source: mallopt(3).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS, musl, Windows
        return
    for option, value in _OPTIONS.items():
        mallopt(option, value)
