"""Files that begin like audio and are no good: cut off, damaged, absurd, or without sound."""

import io
import random
import struct
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.media.recordings import SIX, encode, tone, wav

HEADERS: Final = {
    "mov": b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00isomiso2mp41",
    "mp3": b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10),
    "ogg": b"OggS\x00\x02" + bytes(8),
    "wav": b"RIFF\x24\x08\x00\x00WAVEfmt \x10\x00\x00\x00",
    "flac": b"fLaC\x00\x00\x00\x22",
    "matroska": bytes.fromhex("1a45dfa39f4286810142f7810142f2810442f381084282847765626d"),
    "aac": b"\xff\xf1\x50\x80\x02\x1f\xfc",
    "amr": b"#!AMR\n",
    "aiff": b"FORM\x00\x00\x08\x24AIFFCOMM",
    "asf": bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c"),
    "caf": b"caff\x00\x01\x00\x00desc",
}
"""How each container begins, with nothing of use behind it."""


class Bad(NamedTuple):
    """A file that must be refused, or taken for no more than what is there.

    Attributes:
        name: what is wrong, for the test's report.
        content: its bytes.
        refused: whether nothing of it can be used; else it may be taken as far as it goes.
    """

    name: str
    content: bytes
    refused: bool


def not_audio() -> Iterator[Bad]:
    """What the first bytes give away."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("song.mp3", tone(0.1))
    contents = {
        "nothing": b"",
        "one byte": b"\x00",
        "zeros": bytes(5000),
        "a byte order mark": b"\xef\xbb\xbf",
        "text": b"Dear reader, this is no audio.\n" * 20,
        "text in latin-1": "Grüße aus Köln\n".encode("latin-1") * 20,
        "json": b'{"audio": "no"}',
        "html": b"<!DOCTYPE html><html></html>",
        "a zip archive": archive.getvalue(),
        "a program": b"\x7fELF\x02\x01\x01" + bytes(200),
        "a pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(50),
        "an image": b"\x89PNG\r\n\x1a\n" + bytes(50),
        "avi": b"RIFF\x00\x10\x00\x00AVI LIST" + bytes(50),
        "webp": b"RIFF\x00\x10\x00\x00WEBPVP8 " + bytes(50),
        "heic": b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(50),
        "ebml of another kind": b"\x1aE\xdf\xa3\x8bB\x82\x88other!!!" + bytes(50),
        "id3 before text": HEADERS["mp3"] + b"#EXTM3U\nfile:/etc/hostname\n",
        "one mpeg frame's start": b"\xff\xfb\x90\x64" + b"\xff" * 600,
        "noise": random.Random(7).randbytes(5000),
    }
    return (Bad(name, content, refused=True) for name, content in contents.items())


def headers_only(seed: int) -> Iterator[Bad]:
    """A good beginning, then nothing, zeros or noise."""
    rng = random.Random(seed)
    for name, head in HEADERS.items():
        yield Bad(f"{name} header alone", head, refused=True)
        yield Bad(f"{name} header and zeros", head + bytes(3000), refused=False)
        yield Bad(f"{name} header and noise", head + rng.randbytes(3000), refused=False)


def cut_off(good: dict[str, Path], seed: int) -> Iterator[Bad]:
    """Recordings that end too early, in six containers."""
    rng = random.Random(seed)
    for extension in SIX:
        content = good[extension].read_bytes()
        places = {1, 16, 40, len(content) // 2, len(content) - 1}
        places |= {rng.randrange(1, len(content)) for _ in range(3)}
        for place in sorted(places):
            yield Bad(f"{extension} cut at {place}", content[:place], refused=place == 1)


def damaged(good: dict[str, Path], seed: int) -> Iterator[Bad]:
    """Recordings with flipped, missing and foreign bytes, in six containers."""
    rng = random.Random(seed)
    for extension in SIX:
        content = good[extension].read_bytes()
        for share in (0.001, 0.01, 0.1, 0.5):
            flipped = bytearray(content)
            for _ in range(int(len(content) * share) + 1):
                flipped[rng.randrange(len(flipped))] = rng.randrange(256)
            yield Bad(f"{extension} with {share:.1%} flipped", bytes(flipped), refused=False)
        at = rng.randrange(64, len(content) // 2)
        yield Bad(f"{extension} with a hole", content[:at] + content[at + 500 :], refused=False)
        foreign = content[:at] + rng.randbytes(1000) + content[at:]
        yield Bad(f"{extension} with something foreign", foreign, refused=False)


def absurd() -> Iterator[Bad]:
    """Numbers that no recording has. What is left of them for the bounds is in the facts."""
    pcm = tone(0.5)
    for rate in (0, 1, 3_999, 192_001, 0x7FFFFFFF, 0xFFFFFFFF):
        yield Bad(f"wav at {rate} Hz", wav(pcm, rate=rate), refused=True)
    for channels in (0, 17, 255, 65_535):
        yield Bad(f"wav of {channels} channels", wav(pcm, channels=channels), refused=True)
    for bits in (0, 1, 65_535):
        yield Bad(f"wav of {bits} bits", wav(pcm, bits=bits), refused=False)


def made_by_ffmpeg(folder: Path) -> Iterator[Bad]:
    """Video only, and encrypted audio."""
    source = folder / "bad-source.wav"
    source.write_bytes(wav(tone(1)))
    key = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 32)
    locked = encode(source, folder / "locked.m4a", *key, "-encryption_kid", "1" * 32)
    yield Bad("encrypted m4a", locked.read_bytes(), refused=True)
    for extension in ("mp4", "mkv"):
        path = folder / f"video.{extension}"
        command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"]
        command += ["testsrc=duration=1:size=64x64:rate=5", "-c:v", "mpeg4", str(path)]
        subprocess.run(command, check=True, timeout=60)
        yield Bad(f"{extension} without sound", path.read_bytes(), refused=True)


def with_cover(mp3: bytes, size: int) -> bytes:
    """An MP3 behind a tag that holds a picture of ``size`` bytes."""
    picture = b"\x00image/jpeg\x00\x03\x00" + b"\xff\xd8\xff" + bytes(size)
    frame = b"APIC" + struct.pack(">I", _syncsafe(len(picture))) + b"\x00\x00" + picture
    return b"ID3\x04\x00\x00" + struct.pack(">I", _syncsafe(len(frame))) + frame + mp3


def _syncsafe(size: int) -> int:
    return (size & 0x7F) | (size & 0x3F80) << 1 | (size & 0x1FC000) << 2 | (size & 0xFE00000) << 3


def claiming(m4a: bytes, length: int) -> bytes:
    """An m4a whose movie, track and media headers all claim ``length`` ticks."""
    content = bytearray(m4a)
    for box, place in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
        at = content.index(box)
        content[at + place : at + place + 4] = struct.pack(">I", length)
    return bytes(content)
