"""What tests let children do: importable by name, as children import it."""

import os
import resource
import signal
import time
from pathlib import Path


def answer(value: int) -> int:
    return value + 1


def who() -> int:
    return os.getpid()


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    time.sleep(600)


def spin() -> None:
    while True:
        pass


def eat(size: int) -> int:
    return len(bytearray(size))


def complain() -> None:
    message = "it is wrong"
    raise ValueError(message)


def environment() -> dict[str, str]:
    return dict(os.environ)


def write(path: str) -> None:
    Path(path).write_text("leak")


def limits() -> dict[str, tuple[int, int]]:
    names = ("RLIMIT_AS", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_CPU")
    return {name: resource.getrlimit(getattr(resource, name)) for name in names}


def loaded() -> int:
    """Peak of resident memory, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
