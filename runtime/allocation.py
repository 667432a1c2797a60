"""What the allocator of a long-lived process keeps for itself."""

import ctypes
import sys
from typing import Final

_M_MMAP_THRESHOLD: Final = -3  # of malloc.h
_LARGE_BYTES: Final = 256 * 1024


def return_large_blocks() -> None:
    """Have blocks of a quarter megabyte and more go back to the system when they are freed.

    By itself glibc takes the first large block that is freed for a sign that such blocks are
    wanted again, and from then on keeps them, for every thread that ever reads a file: tens of
    megabytes after the first long recording. Another C library has no such habit, and no such
    switch.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
