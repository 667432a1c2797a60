"""Fakes for the ports of ``activities/ports.py``: small, in memory, and honest about failures."""

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from contracts.audio import AudioFacts, StoredFile
from contracts.errors import Failure, NotFound
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart, Utterance, Word
from contracts.values import Value

FACTS = AudioFacts(
    container="wav", codec="pcm_s16le", seconds=90, sample_rate=16_000, channels=1, size=2_880_044
)


class MemoryFiles:
    """Files in a dictionary."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def put(self, key: str, chunks: AsyncIterator[bytes], *, media_type: str) -> StoredFile:
        self.files[key] = b"".join([chunk async for chunk in chunks])
        return StoredFile(key=key, size=len(self.files[key]))

    async def put_file(self, key: str, path: Path, *, media_type: str) -> StoredFile:
        self.files[key] = path.read_bytes()
        return StoredFile(key=key, size=len(self.files[key]))

    async def find(self, key: str) -> StoredFile | None:
        content = self.files.get(key)
        return None if content is None else StoredFile(key=key, size=len(content))

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        if key not in self.files:
            raise NotFound
        yield self.files[key][start:end]

    @asynccontextmanager
    async def local(self, key: str) -> AsyncIterator[Path]:
        if key not in self.files:
            raise NotFound
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "file"
            path.write_bytes(self.files[key])
            yield path

    async def delete(self, key: str) -> bool:
        return self.files.pop(key, None) is not None

    async def sweep(self, older_than_seconds: float) -> int:
        return 0

    async def list(self, prefix: str) -> AsyncIterator[StoredFile]:
        for key in sorted(self.files):
            if key.startswith(prefix):
                yield StoredFile(key=key, size=len(self.files[key]))


class ScriptedTools:
    """Probe and conversion that answer at once, or raise what they are told to."""

    def __init__(self, facts: AudioFacts = FACTS, failure: Failure | None = None) -> None:
        self.facts = facts
        self.failure = failure

    async def probe(self, path: Path) -> AudioFacts:
        if self.failure is not None:
            raise self.failure
        return self.facts

    @asynccontextmanager
    async def workspace(self) -> AsyncIterator[Path]:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)

    async def convert(
        self,
        source: Path,
        target: Path,
        facts: AudioFacts,
        *,
        max_seconds: float,
        progress: Callable[[float], None],
    ) -> float:
        progress(facts.seconds)
        target.write_bytes(b"RIFF")
        return facts.seconds


def part(start: float, end: float, text: str) -> TranscriptPart:
    """A part with one utterance over its whole length and a word for each of its words."""
    words = text.split()
    offset, step = int(start * 1000), int((end - start) * 1000 / max(1, len(words)))
    return TranscriptPart(
        start=start,
        end=end,
        utterances=(
            (Utterance(text=text, offset=offset, duration=step * len(words), locale="en-US"),)
            if text
            else ()
        ),
        words=tuple(
            Word(text=word, offset=offset + number * step, duration=step)
            for number, word in enumerate(words)
        ),
    )


class ScriptedTranscriber:
    """Yields its parts in order; an exception among them is raised at its place."""

    provider = "scripted"

    def __init__(
        self, *script: TranscriptPart | BaseException, capabilities: Capabilities | None = None
    ) -> None:
        self.script = list(script)
        self.capabilities = capabilities or Capabilities(free=True)
        self.asked: list[float] = []
        self.heard: list[bytes] = []
        self.stream: Callable[[], AsyncGenerator[TranscriptPart, None]] = self._play

    async def transcribe(
        self,
        audio: Path,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        self.asked.append(after)
        self.heard.append(audio.read_bytes())
        async with aclosing(self.stream()) as stream:
            async for part in stream:
                yield part

    async def _play(self) -> AsyncGenerator[TranscriptPart, None]:
        while self.script:
            entry = self.script.pop(0)
            if isinstance(entry, BaseException):
                raise entry
            yield entry


class RecordingStarter:
    """Remembers what was started; ``live`` holds the ids whose workflow runs."""

    def __init__(self) -> None:
        self.live: set[str] = set()
        self.started: list[tuple[str, str, str, Mapping[str, Any]]] = []
        self.cancelled: list[str] = []
        self.signals: list[tuple[str, str, Value]] = []
        self.failure: Failure | None = None

    async def start(self, kind: str, job_id: str, user_id: str, request: Mapping[str, Any]) -> bool:
        if self.failure is not None:
            raise self.failure
        if job_id in self.live:
            return False
        self.live.add(job_id)
        self.started.append((kind, job_id, user_id, request))
        return True

    async def running(self, job_id: str) -> bool:
        return job_id in self.live

    async def cancel(self, job_id: str) -> bool:
        if self.failure is not None:
            raise self.failure
        self.cancelled.append(job_id)
        return job_id in self.live

    async def signal(self, job_id: str, name: str, value: Value) -> bool:
        if self.failure is not None:
            raise self.failure
        if job_id in self.live:
            self.signals.append((job_id, name, value))
        return job_id in self.live

    async def health(self) -> None:
        if self.failure is not None:
            raise self.failure
