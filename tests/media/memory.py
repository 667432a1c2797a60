"""How much memory a piece of work needs at most."""

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

MEGABYTE: Final = 1 << 20


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """Whatever Python and its libraries allocate inside stays below so many bytes at once."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= size, f"{peak / MEGABYTE:.1f} MiB"
