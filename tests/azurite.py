"""Azurite for the tests: Microsoft's stand-in for blob storage, in memory, on a free port."""

import queue
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, NamedTuple

from tools import provide_azurite

ACCOUNT: Final = "devstoreaccount1"
KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
"""Published with Azurite; it opens nothing else."""
START_SECONDS: Final = 60.0
OPTIONS: Final = (
    *("--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"),
    *("--extentMemoryLimit", "1024", "--skipApiVersionCheck", "--disableTelemetry"),
    "--disableProductStyleUrl",
)


class Azurite(NamedTuple):
    """A running one; ``url`` is what AZURE_BLOB_ENDPOINT is set to."""

    url: str


@contextmanager
def azurite_server() -> Iterator[Azurite]:
    """Start one, and end it."""
    if not provide_azurite.installed():
        raise FileNotFoundError("Azurite is missing: run `make azurite`")
    process = subprocess.Popen(
        [*provide_azurite.command(), *OPTIONS],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_pump, args=(process.stdout, lines))
    reader.start()
    try:
        yield Azurite(f"{_address(lines)}/{ACCOUNT}")
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)
        reader.join()
        process.stdout.close()


def _pump(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    """Keep reading, or it stops when the pipe is full."""
    for line in stream:
        lines.put(line)
    lines.put(None)


def _address(lines: "queue.Queue[str | None]") -> str:
    said = ""
    while line := lines.get(timeout=START_SECONDS):
        said += line
        if found := re.search(r"listens on (http://\S+)", line):
            return found[1]
    raise AssertionError(f"Azurite did not start: {said}")
