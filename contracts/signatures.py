"""What a file is, by its first bytes: a positive list, and everything else is refused.

A name, an extension or a ``Content-Type`` is a claim. A text file that says it is an m4a can be an
HLS or DASH playlist or an ffconcat list, and those make ffmpeg open *another* local file.
"""

import codecs
from types import MappingProxyType
from typing import Final, NamedTuple
from unicodedata import category

from contracts.audio_frames import frames_of
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
_BLANK: Final = b"\x00 \t\r\n\x0b\x0c"
_WHITE: Final = "\t\n\v\f\r"
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_BINARY: Final = frozenset({"Cc", "Cn", "Co"})
"""Unicode categories that no text has: control, unassigned, private."""
_BRANDS: Final = frozenset(
    (
        b"isom,iso2,iso3,iso4,iso5,iso6,iso7,iso8,iso9,isoa,isob,isoc,mp41,mp42,mp71,avc1,avc3,"
        b"hvc1,dash,cmfa,cmfc,cmf2,piff,mmp4,MSNV,XAVC,dby1,CAEP,caqv,kddi,f4v ,F4A ,F4B ,F4V ,"
        b"M4A ,M4B ,M4P ,M4V ,M4VH,M4VP,qt  ,3gp4,3gp5,3gp6,3gp7,3gp8,3gp9,3gg6,3gr6,3gs6,3ge6,"
        b"3g2a,3g2b,3g2c"
    ).split(b",")
)
_LONGEST_BRAND_LIST: Final = 512
_OLD_QUICKTIME: Final = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
_MARKS: Final = (
    (b"OggS\x00", "ogg"),
    (b"fLaC", "flac"),
    (b"#!AMR\n", "amr"),
    (b"#!AMR-WB\n", "amr"),
    (bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"), "asf"),
    (b"caff\x00\x01", "caf"),
)
_TAG_HEADER_BYTES: Final = 10
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
    if not head.strip(_BLANK):
        raise UnsupportedMedia("The file is empty")
    if _is_text(head):
        raise UnsupportedMedia("The file is text, not audio")
    name = _boxed(head) or _marked(head) or _bare(head)
    if name is None:
        raise UnsupportedMedia(f"The file is {_what(head)}, not audio of a kind that is taken")
    return name


def after_tag(head: bytes) -> int:
    """Where the audio begins behind ID3v2 tags, in bytes from the beginning; 0 without a tag.

    The place may be beyond the head: large cover art stands in the tag.
    """
    place = 0
    while head[place : place + 3] == b"ID3" and len(head) >= place + _TAG_HEADER_BYTES:
        size = head[place + 6 : place + _TAG_HEADER_BYTES]
        if any(byte & 0x80 for byte in size):
            break
        footer = _TAG_HEADER_BYTES if head[place + 5] & 0x10 else 0
        place += _TAG_HEADER_BYTES + footer
        place += size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3]
    return place


def _is_text(head: bytes) -> bool:
    """Whether it reads as text: it decodes, and holds no control characters but white space."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return _text(head[len(mark) :], encoding) is not None
    body = head.lstrip(_BLANK)
    if _text(body, "utf-8") is not None:
        return True
    # Without a mark nearly any bytes are some UTF-16: only plain letters count.
    return any((_text(body, each) or "é").isascii() for each in _WIDE)


def _text(body: bytes, encoding: str) -> str | None:
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(body)
    except UnicodeDecodeError:
        return None
    binary = any(category(each) in _BINARY and each not in _WHITE for each in text)
    return None if binary else text


def _boxed(head: bytes) -> str | None:
    """Containers whose kind stands behind a size: RIFF, IFF, EBML and QuickTime boxes."""
    first, kind = head[:4], head[8:12]
    if first in {b"RIFF", b"RF64", b"BW64"} and kind == b"WAVE":
        return "wav"
    if first == b"FORM" and kind in {b"AIFF", b"AIFC"}:
        return "aiff"
    if first == b"\x1aE\xdf\xa3" and (b"webm" in head[:128] or b"matroska" in head[:128]):
        return "matroska"
    if head[4:8] in _OLD_QUICKTIME or (head[4:8] == b"ftyp" and _brands(head) & _BRANDS):
        return "mov"
    return None


def _brands(head: bytes) -> set[bytes]:
    """Major and compatible brands; the four bytes between them are a version."""
    end = min(int.from_bytes(head[:4], "big"), _LONGEST_BRAND_LIST)
    return {head[8:12], *(head[at : at + 4] for at in range(16, end - 3, 4))}


def _marked(head: bytes) -> str | None:
    """Containers that begin with their own mark."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), None)


def _bare(head: bytes) -> str | None:
    """Bare frames, or what stands behind a tag, as far as the head goes."""
    start = after_tag(head)
    if not start:
        return frames_of(head)
    body = head[start:].lstrip(b"\x00")
    if not body:
        return "mp3"  # the tag fills the head: a file is looked into further by its probe
    if _is_text(body):
        return None
    return "flac" if body.startswith(b"fLaC") else frames_of(body)


def _what(head: bytes) -> str:
    return next((what for mark, what in _REFUSED if head.startswith(mark)), "unknown data")
