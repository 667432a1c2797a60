"""The 16 kHz mono WAV every engine reads: its header, and where a second lies in it."""

import struct
from typing import Final

from contracts.audio import CONVERTED_BYTES_PER_SECOND, CONVERTED_RATE

HEAD_BYTES: Final = 4096
"""The samples of a converted file begin well before this."""

_RIFF_BYTES: Final = 12


def header(samples: int) -> bytes:
    """Header of a file with so many bytes of samples."""
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + samples, b"WAVE", b"fmt ", 16, 1, 1),
        *(CONVERTED_RATE, CONVERTED_BYTES_PER_SECOND, 2, 16, b"data", samples),
    )


def samples_at(head: bytes) -> int:
    """Place of the first sample, by the first bytes of the file.

    Raises:
        ValueError: there are no samples within them.
    """
    at = _RIFF_BYTES
    while at + 8 <= len(head):
        name, length = struct.unpack_from("<4sI", head, at)
        if name == b"data":
            return at + 8
        at += 8 + length + length % 2
    raise ValueError("no samples within the head of the file")


def byte_of(second: float) -> int:
    """Bytes of samples before that second; a whole number of samples."""
    return round(second * CONVERTED_RATE) * 2
