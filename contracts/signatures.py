"""What a file is, by its first bytes: a positive list, and everything else is refused.

A name, an extension or a ``Content-Type`` is a claim. A text file that says it is an m4a can be an
HLS or DASH playlist or an ffconcat list, and those make ffmpeg open *another* local file.
"""

from types import MappingProxyType
from typing import Final, NamedTuple

from contracts.errors import UnsupportedMedia

HEAD_BYTES: Final = 4096
"""How many bytes of the beginning `sniff` wants; a shorter file is given whole."""


class Container(NamedTuple):
    """How a container is named elsewhere.

    Attributes:
        extension: of stored files.
        media_type: of answers that hold the file.
        demuxer: the only ffmpeg demuxer that may read it.
    """

    extension: str
    media_type: str
    demuxer: str


CONTAINERS: Final = MappingProxyType(
    {
        "mov": Container("m4a", "audio/mp4", "mov"),
        "mp3": Container("mp3", "audio/mpeg", "mp3"),
        "ogg": Container("ogg", "audio/ogg", "ogg"),
        "wav": Container("wav", "audio/wav", "wav"),
        "flac": Container("flac", "audio/flac", "flac"),
        "matroska": Container("webm", "audio/webm", "matroska"),
        "aac": Container("aac", "audio/aac", "aac"),
        "amr": Container("amr", "audio/amr", "amr"),
        "aiff": Container("aiff", "audio/aiff", "aiff"),
        "asf": Container("wma", "audio/x-ms-wma", "asf"),
        "caf": Container("caf", "audio/x-caf", "caf"),
    }
)
"""Every container that is taken, by the name `sniff` gives it."""

_BYTE_ORDER_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_PLAIN: Final = bytes((9, 10, 12, 13, *range(0x20, 0x7F)))
_BRANDS: Final = frozenset(
    b"isom,iso2,iso3,iso4,iso5,iso6,iso7,iso8,iso9,isoa,isob,isoc,mp41,mp42,mp71,avc1,avc3,hvc1,"
    b"dash,cmfa,cmfc,cmf2,piff,mmp4,MSNV,XAVC,dby1,CAEP,caqv,kddi,f4v ,F4A ,F4B ,F4V ,M4A ,M4B ,"
    b"M4P ,M4V ,M4VH,M4VP,qt  ,3gp4,3gp5,3gp6,3gp7,3gp8,3gp9,3gg6,3gr6,3gs6,3ge6,3g2a,3g2b,3g2c".split(
        b","
    )
)
_OLD_QUICKTIME: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_ASF: Final = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_REFUSED: Final = (
    (b"PK\x03\x04", "a zip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
)


def sniff(head: bytes) -> str:
    """Name the container a file begins with.

    Args:
        head: the first `HEAD_BYTES` bytes of the file, or all of a shorter one.

    Returns:
        A key of `CONTAINERS`.

    Raises:
        UnsupportedMedia: of no container that is taken; the message says what it looks like.
    """
    if not head:
        raise UnsupportedMedia("The file is empty")
    if _is_text(head):
        raise UnsupportedMedia("The file is text, not audio")
    name = _by_signature(head) or _by_frames(head)
    if name is None:
        raise UnsupportedMedia(f"The file is {_what(head)}, not audio of a kind that is taken")
    return name


def after_tag(head: bytes) -> int:
    """Where the audio begins behind ID3v2 tags, in bytes from the beginning; 0 without a tag.

    The place may be beyond the head: large cover art stands in the tag.
    """
    place = 0
    while head[place : place + 3] == b"ID3" and len(head) >= place + 10:
        size = head[place + 6 : place + 10]
        if max(size) > 0x7F:
            break
        footer = 10 if head[place + 5] & 0x10 else 0
        place += 10 + footer + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    return place


def _is_text(head: bytes) -> bool:
    """Whether it reads as text, behind a byte order mark and white space too."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return _reads_as(head[len(mark) :], encoding)
    return _plain(head.lstrip(b"\x00 \t\r\n\x0b\x0c")[:512])


def _reads_as(body: bytes, encoding: str) -> bool:
    # An MPEG frame can begin with FF FE: only what decodes to plain characters is text.
    return _plain(body.decode(encoding, "replace").encode("ascii", "replace")[:256])


def _plain(body: bytes) -> bool:
    """Whether nothing, or nearly nothing, of it is binary."""
    foreign = len(body.translate(None, _PLAIN))
    return foreign * 20 <= len(body)


def _by_signature(head: bytes) -> str | None:
    """The containers that say what they are."""
    kind = head[8:12]
    if head[:4] in {b"RIFF", b"RF64", b"BW64"}:
        return "wav" if kind == b"WAVE" else None
    if head[:4] == b"FORM":
        return "aiff" if kind in {b"AIFF", b"AIFC"} else None
    if head[:4] == b"\x1aE\xdf\xa3":
        return "matroska" if b"webm" in head[:128] or b"matroska" in head[:128] else None
    if head[4:8] == b"ftyp":
        return "mov" if _brands(head) & _BRANDS else None
    if head[4:8] in _OLD_QUICKTIME:
        return "mov"
    for mark, name in (
        (b"OggS\x00", "ogg"),
        (b"fLaC", "flac"),
        (b"#!AMR\n", "amr"),
        (b"#!AMR-WB\n", "amr"),
        (_ASF, "asf"),
        (b"caff\x00\x01", "caf"),
    ):
        if head.startswith(mark):
            return name
    return None


def _brands(head: bytes) -> set[bytes]:
    """Major and compatible brands; the four bytes between them are a version."""
    end = min(int.from_bytes(head[:4], "big"), 512)
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}


def _by_frames(head: bytes) -> str | None:
    """Bare frames, perhaps behind a tag: no magic, so the next frame has to be where it must."""
    start = after_tag(head)
    if start >= len(head):
        return "mp3" if start else None
    body = head[start:].lstrip(b"\x00") if start else head
    if start and not body:
        return "mp3"
    if start and _is_text(body):
        return None
    if start and body.startswith(b"fLaC"):
        return "flac"
    return _frames(body)


def _frames(body: bytes) -> str | None:
    for name, length in (("aac", _aac_length), ("mp3", _mpeg_length)):
        size = length(body)
        if size and (len(body) < size + 4 or length(body[size:])):
            return name
    return None


def _aac_length(frame: bytes) -> int:
    """Bytes of an ADTS frame, header included; 0 when it is none."""
    if len(frame) < 7 or frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0:
        return 0
    if frame[2] >> 2 & 0xF > 12:
        return 0
    length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
    return length if length > 7 else 0


_KBITS: Final = {
    # (MPEG 1, layer): by index 1..14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mpeg_length(frame: bytes) -> int:
    """Bytes of an MPEG audio frame, header included; 0 when it is none."""
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return 0
    version, layer = frame[1] >> 3 & 3, 4 - (frame[1] >> 1 & 3)
    bits, rate = frame[2] >> 4, frame[2] >> 2 & 3
    if version == 1 or layer == 4 or rate == 3 or bits in {0, 15}:
        return 0
    hertz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    kbits = _KBITS[version == 3, layer][bits - 1]
    padding = frame[2] >> 1 & 1
    if layer == 1:
        return (12_000 * kbits // hertz + padding) * 4
    samples = 576 if layer == 3 and version != 3 else 1152
    return samples // 8 * 1000 * kbits // hertz + padding


def _what(head: bytes) -> str:
    return next((what for mark, what in _REFUSED if head.startswith(mark)), "unknown data")
