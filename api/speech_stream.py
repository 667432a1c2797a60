"""A text that is sent while it is spoken: its parts in order, each as soon as it is kept.

Which parts there are follows from the voices that the job's events tell, and from the text. The
job knows nothing of who listens: it makes the stored file as if nobody did.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Collection
from contextlib import aclosing
from typing import Final, NamedTuple, Self, TypeVar

from api.dependencies import Services
from api.job_wait import failure_of
from api.ports import SpeechEncoder
from contracts.errors import Conflict, Failure, NotFound, Unavailable
from contracts.jobs import EventType, JobEvent, JobState
from contracts.speech import PlannedVoice
from contracts.speech_division import Division, divide, tempo_of
from contracts.speech_job import KeptPart, SpeechFile, SpeechJob
from store.speech_tables import EVERYBODY

T = TypeVar("T")

LOOK_SECONDS: Final = 2.0
"""How often parts are looked for that no event of this job tells: another job had them spoken."""

_AHEAD: Final = 16
"""Parts that are looked for at once."""


class Turn(NamedTuple):
    """Who speaks: the voice of this number, in this round of the job."""

    round: int = 1
    number: int = 0


class Progress:
    """What the events of a job tell.

    Attributes:
        voices: that may speak, in their order; none: it is not known (yet).
        turn: who speaks.
        over: no more will be told.
        state: how it ended.
    """

    def __init__(self) -> None:
        self.voices: tuple[PlannedVoice, ...] = ()
        self.turn = Turn()
        self.over = False
        self.state: JobState | None = None

    def take(self, event: JobEvent) -> None:
        """Look at the next event."""
        data = event.data
        if data.get("state") == JobState.QUEUED:
            self.voices, self.state = (), None
            self.turn = Turn(round=int(data.get("round", 1)))
        if "voices" in data:
            self.voices = tuple(PlannedVoice.model_validate(each) for each in data["voices"])
        if event.type is EventType.DONE:
            self.state = JobState(data["state"])
        if data.get("tier"):
            self.reached({data["tier"]})

    def reached(self, tiers: Collection[str]) -> None:
        """Take note of tiers that were called: a job does not go back to an earlier one."""
        numbers = [at for at, voice in enumerate(self.voices) if voice.name in tiers]
        self.turn = self.turn._replace(number=max([self.turn.number, *numbers]))


class SpokenText:
    """One text that is being read aloud, for one listener.

    Args:
        scope: whom its parts serve.
    """

    def __init__(
        self, services: Services, encoder: SpeechEncoder, file: SpeechFile, scope: str
    ) -> None:
        self._services = services
        self._encoder = encoder
        self._file = file
        self._scope = scope
        self._pause = services.settings.speech.pause_seconds
        self._events = services.events.watch(file.job_id, file.user_id, 0)
        self._next = asyncio.ensure_future(anext(self._events))
        self._progress = Progress()
        self._known: dict[str, KeptPart] = {}
        self._division: Division | None = None
        self._audio: AsyncGenerator[bytes, None] | None = None
        self._first: bytes | None = None
        self._spoken = Turn()

    @classmethod
    async def of(cls, services: Services, file: SpeechFile) -> Self | None:
        """The text of a file that is being made; none where nothing is encoded."""
        if services.encoder is None:
            return None
        async with services.database.read() as tx:
            row = await tx.jobs.find(file.job_id, file.user_id)
        if row is None:
            return None
        job = SpeechJob.model_validate(row.request)
        everybody = EVERYBODY if services.settings.speech.share_parts else None
        return cls(services, services.encoder, file, job.scope(everybody))

    async def begin(self) -> bool:
        """Return when the first bytes are there; false: they will not be, the file may."""
        while True:
            await self._wake()
            if self._progress.over:
                return False
            if not self._progress.voices:
                continue
            self._spoken = self._progress.turn
            self._division = await self._divided(self._progress.voices[self._spoken.number])
            if await self._look(self._division, 0) is None:
                continue
            await self._look_who_speaks()
            self._audio = self._encoded(self._division)
            try:
                self._first = await anext(self._audio, None)
            except VoiceChanged:
                continue
            except Failure:
                return False
            return True

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes; they end only when the job has completed, in the voice they are in.

        Raises:
            Failure: what was sent is not all. Nothing may be sent that looks like an end.
        """
        chunk = self._first
        while chunk is not None and self._audio is not None:
            yield chunk
            chunk = await self._within_pause(anext(self._audio, None))
        await self._within_pause(self._completed())

    async def aclose(self) -> None:
        """Stop listening; the encoder ends, the job goes on."""
        if self._audio is not None:
            await self._audio.aclose()
        self._next.cancel()
        await asyncio.gather(self._next, return_exceptions=True)
        await self._events.aclose()

    async def _wake(self) -> None:
        """Return when something may have changed: at once when events wait, else soon."""
        if not self._progress.over:
            await asyncio.wait({self._next}, timeout=LOOK_SECONDS)
            await self._take_events()

    async def _take_events(self) -> None:
        while self._next.done() and not self._progress.over:
            try:
                self._progress.take(self._next.result())
            except StopAsyncIteration:
                self._progress.over = True
            else:
                self._next = asyncio.ensure_future(anext(self._events))
                await asyncio.sleep(0)

    async def _divided(self, voice: PlannedVoice) -> Division:
        if self._division is not None and self._division.voice == voice:
            return self._division
        return await asyncio.to_thread(divide, voice, self._file.order.text)

    async def _look_who_speaks(self) -> None:
        """A tier that was called speaks, though none of its parts may be there yet."""
        progress = self._progress
        async with self._services.database.read() as tx:
            attempts = await tx.attempts.list(self._file.job_id, self._file.user_id)
        progress.reached({each.tier for each in attempts if each.round == progress.turn.round})

    async def _look(self, division: Division, at: int) -> KeptPart | None:
        if division.hashes[at] not in self._known:
            hashes = division.hashes[at : at + _AHEAD]
            async with self._services.database.read() as tx:
                self._known = await tx.speech.parts(self._scope, hashes)
        return self._known.get(division.hashes[at])

    async def _encoded(self, division: Division) -> AsyncGenerator[bytes, None]:
        first = await self._kept(division, 0)
        order = self._file.order
        samples = self._samples(division)
        encoded = self._encoder.encode(samples, order.format, tempo=tempo_of(order.speed, first))
        async with aclosing(samples), aclosing(encoded):
            async for chunk in encoded:
                yield chunk

    async def _samples(self, division: Division) -> AsyncGenerator[bytes, None]:
        for at in range(len(division.hashes)):
            async with aclosing(self._samples_of(division, at)) as samples:
                async for chunk in samples:
                    yield chunk

    async def _samples_of(self, division: Division, at: int) -> AsyncGenerator[bytes, None]:
        while True:
            part = await self._kept(division, at)
            try:
                async with aclosing(self._stored(part.key)) as content:
                    async for chunk in content:
                        yield chunk
            except _Lost:
                # Between two steps: the job has it spoken once more.
                self._known.clear()
                await self._wake()
            else:
                return

    async def _stored(self, key: str) -> AsyncGenerator[bytes, None]:
        """What is stored. Raises _Lost: nothing, and the job is still at work."""
        content = self._services.files.read(key)
        try:
            first = await anext(content, b"")
        except NotFound:
            if self._progress.over:
                raise
            raise _Lost from None
        try:
            yield first
            async for chunk in content:
                yield chunk
        finally:
            if isinstance(content, AsyncGenerator):
                await content.aclose()

    async def _kept(self, division: Division, at: int) -> KeptPart:
        """A part, as soon as it is there. Raises Failure: it will not be."""
        while True:
            await self._take_events()
            over = self._progress.over
            if self._progress.turn != self._spoken:
                raise VoiceChanged
            part = None
            if self._progress.state in {None, JobState.COMPLETED}:
                part = await self._look(division, at)
            if part is not None:
                return part
            if over:
                raise await self._ended()
            await self._wake()

    async def _completed(self) -> None:
        while not self._progress.over:
            await self._wake()
        if self._progress.state is not JobState.COMPLETED:
            raise await self._ended()
        if self._progress.turn != self._spoken:
            raise VoiceChanged

    async def _ended(self) -> Failure:
        async with self._services.database.read() as tx:
            job = await tx.jobs.find(self._file.job_id, self._file.user_id)
        return NotFound() if job is None else await failure_of(self._services, job)

    async def _within_pause(self, awaitable: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._pause):
                return await awaitable
        except TimeoutError:
            message = f"Nothing more came for {self._pause:.0f} s: the same request again gets all"
            raise Unavailable(message) from None


class _Lost(Exception):
    """A part has a row and no file."""


class VoiceChanged(Conflict):
    """Another engine speaks the whole text now."""

    def __init__(self) -> None:
        message = "Another voice took over: the same request again gets the whole text"
        super().__init__(message, code="voice_changed")
