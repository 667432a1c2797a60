"""A transcript that is sent while it is made: what is final of it, then the rest of it.

The chunks of a long recording come in their order, each when the next one is there; of a tier that
hears a recording part by part, its parts. What was sent cannot be taken back: a transcript that in
the end begins otherwise ends in an error, and whoever asks again gets the whole of it.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from typing import Any, Final

from api.dependencies import Services
from api.job_wait import still_working
from api.openai_recordings import HEARD, transcript_of
from api.openai_transcripts import event, turn_of
from contracts.chunks import CHUNKS
from contracts.errors import Conflict, NotFound
from contracts.hearing import Hearing
from contracts.jobs import Job, JobEvent, Step
from contracts.transcript import Transcript, Utterance

MOST_EVENTS: Final = 10_000
"""Of a job that has been at work for long: one for each chunk, and a few for each round."""


class Sent:
    """What a listener has been told, as the events that told it.

    Args:
        diarized: utterances are told with their speakers too.
    """

    def __init__(self, *, diarized: bool) -> None:
        self._diarized = diarized
        self._deltas: list[str] = []
        self._turns: list[dict[str, Any]] = []
        self._count = 0

    @property
    def begun(self) -> bool:
        """Whether anything was told."""
        return bool(self._deltas)

    def more(self, utterances: Iterable[Utterance]) -> Iterator[bytes]:
        """The next utterances."""
        for each in utterances:
            turn = turn_of(each, self._count)
            self._count += 1
            if not each.text.strip():
                continue
            yield self._delta((" " if self._deltas else "") + each.text.strip())
            if self._diarized:
                self._turns.append(turn)
                yield _line(turn)

    def rest(self, said: Transcript) -> Iterator[bytes]:
        """What is left of the transcript, and that it is all.

        Raises:
            Conflict: ``transcript_changed``, it does not begin with what was told.
        """
        told = "".join(self._deltas)
        turns = [turn_of(each, at) for at, each in enumerate(said.utterances) if each.text.strip()]
        known = turns[: len(self._turns)] == self._turns
        if not said.text.startswith(told) or not known:
            raise changed()
        if (
            _joined(said.utterances[: self._count]) == told
            and _joined(said.utterances) == said.text
        ):
            yield from self.more(said.utterances[self._count :])
        else:
            # Its text is not that of its utterances: somebody else's transcript.
            if said.text != told:
                yield self._delta(said.text[len(told) :])
            if self._diarized:
                yield from map(_line, turns[len(self._turns) :])
        # A client of theirs knows tokens here, which are not counted.
        usage = {"type": "tokens", "input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
        usage |= {"seconds": said.seconds}
        yield _line({"type": "transcript.text.done", "text": said.text, "usage": usage})

    def _delta(self, text: str) -> bytes:
        self._deltas.append(text)
        return _line({"type": "transcript.text.delta", "delta": text})


class LiveTranscript:
    """The transcript of one memo's job, for one listener; the job knows nothing of it."""

    def __init__(self, services: Services, job_id: str, user_id: str, *, diarized: bool) -> None:
        self._services = services
        self._own = (job_id, user_id)
        self._sent = Sent(diarized=diarized)
        self._source: str | None = None
        self._overlaps: dict[float, float] = {}
        self._hearing = Hearing()

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Server-sent events, the last of them when all is told.

        Raises:
            Conflict: ``still_working``, nothing came for as long as a call waits; or
                ``transcript_changed``; or ``job_cancelled``.
            Failure: what the job ended with.
        """
        job = await self._begun()
        if not _heard(job):
            for line in self._sent.more(await self._final()):
                yield line
            async with aclosing(self._news(job)) as news:
                async for utterances in news:
                    for line in self._sent.more(utterances):
                        yield line
            job = await self._job()
        if not _heard(job):
            raise still_working()
        for line in self._sent.rest(await transcript_of(self._services, job)):
            yield line

    async def _begun(self) -> Job:
        """The job, and what its events have told until now."""
        async with self._services.database.read() as tx:
            job = await tx.jobs.find(*self._own)
            if job is None:
                raise NotFound
            past = await tx.jobs.events_after({job.id: 0}, job.user_id, limit=MOST_EVENTS)
        for each in past:
            self._take(each)
        return job

    async def _job(self) -> Job:
        async with self._services.database.read() as tx:
            job = await tx.jobs.find(*self._own)
        if job is None:
            raise NotFound
        return job

    async def _news(self, job: Job) -> AsyncGenerator[list[Utterance], None]:
        """What becomes final, until the transcript is there or nothing comes for too long."""
        clock, pause = asyncio.get_running_loop().time, self._services.settings.limits
        until = clock() + pause.openai_wait_seconds
        watched = self._services.events.watch(job.id, job.user_id, job.event_seq)
        async with aclosing(watched) as events:
            while True:
                try:
                    told = await asyncio.wait_for(anext(events), until - clock())
                except (TimeoutError, StopAsyncIteration):
                    return
                if told.data.get("step") in HEARD:
                    return
                self._take(told)
                if final := await self._final():
                    yield final
                    until = clock() + pause.openai_wait_seconds

    def _take(self, told: JobEvent) -> None:
        """Look at an event: whose parts there are, and which.

        Raises:
            Conflict: ``transcript_changed``, other parts begin after some were sent.
        """
        data = told.data
        if data.get("step") != Step.TRANSCRIBE:
            return
        if "from" in data:
            source = CHUNKS
            self._overlaps[data["from"]] = data.get("overlap", 0.0)
        elif "percent" in data:
            source = data["tier"]
        else:
            return
        if source != self._source:
            if self._sent.begun:
                raise changed()
            self._source, self._hearing = source, Hearing()

    async def _final(self) -> list[Utterance]:
        """What the parts that are there make final, and was not before."""
        in_chunks = self._source == CHUNKS
        if self._source is None or (in_chunks and self._hearing.end not in self._overlaps):
            return []
        async with self._services.database.read() as tx:
            parts = await tx.transcripts.parts(*self._own, self._source, start=self._hearing.end)
        final: list[Utterance] = []
        for part in parts:
            overlap = self._overlaps.get(part.start) if in_chunks else 0.0
            if part.start != self._hearing.end or overlap is None:
                break
            final += self._hearing.take(part, overlap)
        return final


def changed() -> Conflict:
    """What a listener is told who heard the beginning of what it is not any more."""
    message = "Another tier has transcribed it: the same request again gets the whole transcript"
    return Conflict(message, code="transcript_changed")


def _heard(job: Job) -> bool:
    return job.state.final or job.step in HEARD


def _joined(utterances: Iterable[Utterance]) -> str:
    return " ".join(each.text.strip() for each in utterances if each.text.strip())


def _line(data: dict[str, Any]) -> bytes:
    return event(data).encode()
