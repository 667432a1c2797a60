"""What engines send, made into the samples that speech is joined of."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from contracts.speech import BYTES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE, Piece
from providers import failures

LEAST_SECONDS: Final = 0.05
SECONDS_A_CHARACTER: Final = 0.012
"""Of letters and digits, at the least: people speak a fifth as fast."""
MOST_SECONDS_A_CHARACTER: Final = 2.0
SPARE_SECONDS: Final = 30.0

_BLOCK: Final = 1 << 16


def check_sound(provider: str, media_type: str) -> None:
    """See whether an answer can be sound: a page, or an error with status 200, is none.

    Raises:
        ProviderBroken: ``answer_malformed``.
    """
    kind = media_type.partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind == "application/json":
        raise failures.unreadable(provider)


def check_length(provider: str, samples: int, piece: Piece) -> None:
    """See whether so much text can have been said in that time.

    Bare samples have no end that could be missing: what was cut off, or is no sound at all, is
    told by its length alone.

    Raises:
        ProviderBroken: ``answer_empty`` or ``answer_truncated``.
    """
    if not samples:
        raise failures.unusable(provider, "empty")
    said = sum(character.isalnum() for character in piece.text)
    least = max(LEAST_SECONDS, said * SECONDS_A_CHARACTER / piece.speed)
    if samples < least * SAMPLE_RATE:
        raise failures.unusable(provider, "truncated")


def most_bytes(piece: Piece) -> int:
    """More samples than that are no speech of this text."""
    seconds = SPARE_SECONDS + len(piece.text) * MOST_SECONDS_A_CHARACTER / piece.speed
    return int(seconds * BYTES_PER_SECOND)


def resampled(pcm: bytes, rate: int) -> bytes:
    """Signed 16 bit mono samples of ``rate`` as such of ``SAMPLE_RATE``."""
    return b"".join(_resampled(pcm, rate)) if rate != SAMPLE_RATE else pcm


async def write(pcm: bytes, rate: int, target: Path) -> int:
    """Keep samples of any rate in a file; returns how many there are then."""
    whole = pcm[: len(pcm) // SAMPLE_BYTES * SAMPLE_BYTES]
    samples = await asyncio.to_thread(resampled, whole, rate)
    await asyncio.to_thread(target.write_bytes, samples)
    return len(samples) // SAMPLE_BYTES


def _resampled(pcm: bytes, rate: int) -> Iterator[bytes]:
    import av  # noqa: PLC0415 - 60 MB that most processes do without
    import numpy as np  # noqa: PLC0415 - likewise

    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    samples = np.frombuffer(pcm, dtype="<i2")
    for at in range(0, len(samples), _BLOCK):
        block = samples[at : at + _BLOCK].reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
        frame.sample_rate = rate
        yield from (each.to_ndarray().astype("<i2").tobytes() for each in resampler.resample(frame))
    yield from (each.to_ndarray().astype("<i2").tobytes() for each in resampler.resample(None))
