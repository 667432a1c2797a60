"""Recordings made by a formula: no speech, nobody's property, any length."""

import shutil
import subprocess
from pathlib import Path


def tone(target: Path, seconds: float, *arguments: str) -> Path:
    """A tone in the format that the target's name and ffmpeg's further arguments say."""
    source = f"sine=frequency=440:sample_rate=44100:duration={seconds}"
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", source, *arguments, str(target)],
        check=True,
    )
    return target


def repeated(source: Path, target: Path, times: int) -> Path:
    """A file so many times as long; of a format that is a row of frames, like MP3."""
    with target.open("wb") as whole:
        for _ in range(times):
            with source.open("rb") as once:
                shutil.copyfileobj(once, whole)
    return target
