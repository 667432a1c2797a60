"""A recording and what is heard in it, for the suites of transcribers."""

from pathlib import Path
from typing import NamedTuple

from activities.ports import Transcriber
from contracts.audio import AudioFacts
from contracts.transcript import Transcript, TranscriptPart, join_parts
from tests.media.recordings import wav


class Recording(NamedTuple):
    """A file with its facts."""

    path: Path
    facts: AudioFacts


def recording(path: Path, pcm: bytes) -> Recording:
    path.write_bytes(wav(pcm))
    seconds = len(pcm) / 32_000
    size = path.stat().st_size
    facts = AudioFacts(
        container="wav",
        codec="pcm_s16le",
        seconds=seconds,
        sample_rate=16_000,
        channels=1,
        size=size,
    )
    return Recording(path, facts)


async def heard(engine: Transcriber, sound: Recording, after: float = 0) -> list[TranscriptPart]:
    stream = engine.transcribe(
        sound.path, sound.facts, languages=["en-US"], diarization=False, after=after
    )
    return [part async for part in stream]


def joined(parts: list[TranscriptPart], sound: Recording) -> Transcript:
    return join_parts(parts, sound.facts.seconds)
