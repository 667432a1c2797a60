"""Good recordings of a tone, in every container that is taken."""

import array
import math
import random
import struct
import subprocess
from pathlib import Path
from typing import Final

RATE: Final = 16_000
TONE_HERTZ: Final = 440

ENCODERS: Final = {
    "m4a": ("mov", ("-c:a", "aac", "-ar", "44100")),
    "mp3": ("mp3", ("-c:a", "libmp3lame", "-ar", "44100")),
    "opus": ("ogg", ("-c:a", "libopus", "-ar", "48000")),
    "ogg": ("ogg", ("-c:a", "libvorbis", "-ar", "44100")),
    "flac": ("flac", ("-c:a", "flac")),
    "webm": ("matroska", ("-c:a", "libopus", "-ar", "48000")),
    "wav": ("wav", ("-c:a", "pcm_s16le")),
    "aac": ("aac", ("-c:a", "aac", "-ar", "44100")),
    "aiff": ("aiff", ("-c:a", "pcm_s16be")),
    "wma": ("asf", ("-c:a", "wmav2", "-ar", "44100")),
    "caf": ("caf", ("-c:a", "pcm_s16be")),
}
"""By extension: the container's name, and how ffmpeg makes one."""

SIX: Final = ("m4a", "mp3", "opus", "flac", "webm", "wav")
"""The containers that recordings are cut off and damaged in."""


def tone(seconds: float, hertz: float = TONE_HERTZ, amplitude: int = 8000) -> bytes:
    """Samples of a sine, 16 kHz mono."""
    step = 2 * math.pi * hertz / RATE
    samples = (round(amplitude * math.sin(step * n)) for n in range(int(seconds * RATE)))
    return array.array("h", samples).tobytes()


def hiss(seconds: float, amplitude: int, seed: int = 1) -> bytes:
    """Samples of white noise, 16 kHz mono."""
    rng = random.Random(seed)
    samples = (round(rng.gauss(0, amplitude)) for _ in range(int(seconds * RATE)))
    return array.array("h", (max(-32768, min(32767, each)) for each in samples)).tobytes()


def wav(
    pcm: bytes, *, rate: int = RATE, channels: int = 1, bits: int = 16, claimed: int | None = None
) -> bytes:
    """A WAV whose header says what it is told to say.

    Args:
        claimed: bytes of samples the header claims; else what is there.
    """
    size = len(pcm) if claimed is None else claimed
    frame = channels * bits // 8
    fmt = struct.pack(
        "<HHIIHH",
        *(1, channels & 0xFFFF, rate & 0xFFFFFFFF, rate * frame & 0xFFFFFFFF),
        *(frame & 0xFFFF, bits),
    )
    riff = min(size + 36, 0xFFFFFFFF)
    head = b"RIFF" + struct.pack("<I", riff) + b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt
    return head + b"data" + struct.pack("<I", size) + pcm


def write_wav(path: Path, pcm: bytes) -> Path:
    """A good 16 kHz mono WAV on the disk."""
    path.write_bytes(wav(pcm))
    return path


def encode(source: Path, target: Path, *options: str) -> Path:
    """Encode with plain ffmpeg."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(source), *options, str(target)]
    subprocess.run(command, check=True, timeout=120)
    return target


def looped(source: Path, target: Path, times: int) -> Path:
    """The same recording again and again, without encoding it again."""
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", str(times)]
    command += ["-i", str(source), "-c", "copy", str(target)]
    subprocess.run(command, check=True, timeout=300)
    return target


def recordings(folder: Path, seconds: float = 2.0) -> dict[str, Path]:
    """One recording of a tone per entry of `ENCODERS`, by extension."""
    source = write_wav(folder / "source.wav", tone(seconds))
    return {
        extension: encode(source, folder / f"tone.{extension}", *options)
        for extension, (_, options) in ENCODERS.items()
    }


def amr(frames: int) -> bytes:
    """AMR narrow-band made by hand: 20 ms of silence a frame, in the lowest mode (12 bytes)."""
    return b"#!AMR\n" + (bytes([0x04]) + bytes(12)) * frames
