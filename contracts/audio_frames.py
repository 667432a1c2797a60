"""Headers of bare MPEG audio and AAC (ADTS) frames: streams that have no container to name them."""

from types import MappingProxyType
from typing import Final

AAC_HEADER_BYTES: Final = 7
MPEG_HEADER_BYTES: Final = 4

_SYNC: Final = 0xFF
_AAC_MASK: Final = 0xF6  # sync and layer bits of the second byte
_AAC_SYNC: Final = 0xF0
_AAC_RATES: Final = 13
_MPEG_MASK: Final = 0xE0
_MPEG_1: Final = 3
_RESERVED_VERSION: Final = 1
_RESERVED_LAYER: Final = 4
_RESERVED_RATE: Final = 3
_HERTZ: Final = (44_100, 48_000, 32_000)
_HALVINGS: Final = MappingProxyType({3: 0, 2: 1, 0: 2})
_LAYER_3: Final = 3

_LOW: Final = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBITS: Final = MappingProxyType(
    {
        (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
        (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
        (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
        (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
        (False, 2): _LOW,
        (False, 3): _LOW,
    }
)
"""Bit rates by (whether MPEG 1, layer) and the header's index 1..14."""


def frames_of(body: bytes) -> str | None:
    """Name of the stream (``aac`` or ``mp3``) whose frames these are, or none.

    There is no magic number: a header counts when the next one stands where it must, or when the
    bytes end before that.
    """
    for name, length in (("aac", aac_frame_bytes), ("mp3", mpeg_frame_bytes)):
        size = length(body)
        if size and (len(body) < size + AAC_HEADER_BYTES or length(body[size:])):
            return name
    return None


def aac_frame_bytes(frame: bytes) -> int:
    """Bytes of an ADTS frame with its header; 0 when it is none (ISO/IEC 13818-7, 6.2)."""
    if len(frame) < AAC_HEADER_BYTES or frame[0] != _SYNC or frame[1] & _AAC_MASK != _AAC_SYNC:
        return 0
    if frame[2] >> 2 & 0xF >= _AAC_RATES:
        return 0
    length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
    return length if length > AAC_HEADER_BYTES else 0


def mpeg_frame_bytes(frame: bytes) -> int:
    """Bytes of an MPEG 1 or 2 audio frame with its header; 0 when it is none (ISO/IEC 11172-3)."""
    if len(frame) < MPEG_HEADER_BYTES or frame[0] != _SYNC or frame[1] & _MPEG_MASK != _MPEG_MASK:
        return 0
    version, layer = frame[1] >> 3 & 3, 4 - (frame[1] >> 1 & 3)
    bits, rate, padding = frame[2] >> 4, frame[2] >> 2 & 3, frame[2] >> 1 & 1
    if version == _RESERVED_VERSION or layer == _RESERVED_LAYER or rate == _RESERVED_RATE:
        return 0
    if bits in {0, 15}:  # free format, and not allowed
        return 0
    hertz = _HERTZ[rate] >> _HALVINGS[version]
    kbits = _KBITS[version == _MPEG_1, layer][bits - 1]
    if layer == 1:
        return (12_000 * kbits // hertz + padding) * 4
    samples = 576 if layer == _LAYER_3 and version != _MPEG_1 else 1152
    return samples // 8 * 1000 * kbits // hertz + padding
