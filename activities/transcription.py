"""One attempt of one tier, recorded before it can be paid for twice."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio import activity

from activities.liveness import alive
from activities.ports import Database, Files, MediaTools, Transcriber
from activities.vendor_call import VendorCall
from contracts import wav
from contracts.chunks import CHUNKS, Chunk, join_at_seams
from contracts.costs import UNPRICED, Prices, Units
from contracts.errors import NoSpeech, NotFound, ProviderBusy, ProviderFailure, ProviderOut
from contracts.jobs import Step
from contracts.memo import HeardChunk, JoinChunks, MemoJob, TranscribeTier
from contracts.tiers import Tries
from contracts.transcript import (
    TranscriptPart,
    TranscriptRef,
    has_speech,
    join_parts,
    moved,
)

FREE_TRIES = 10
"""How often a call that costs nothing is repeated after its worker died."""

SPEECH_SECONDS = 0.5
"""Less speech than this in a chunk is none."""

COPIES = 4
"""Chunks taken out of storage at once: sixteen would hold sixteen blocks in memory, and the first
would be ready no sooner than the last."""

LONGEST_WAIT_SECONDS = 300.0
"""A vendor that wants to be left alone for longer is not waited for: the next tier serves."""


@dataclass(frozen=True)
class TierBounds:
    """Bounds from the settings: tries of one tier, first pause in seconds (doubling).

    A ``Retry-After`` is obeyed: by waiting so long, or by not asking again.
    """

    tries: int
    backoff_seconds: float

    def after(self, failure: ProviderFailure, tries: int) -> ProviderFailure:
        """The failure to raise after so many tries: busy once too often, or for long, is final."""
        if not isinstance(failure, ProviderBusy):
            return failure
        if failure.code == "credential_out":  # the next try goes with another one
            return ProviderBusy(failure.message, code=failure.code, retry_after=0.0)
        if tries >= self.tries or (failure.retry_after or 0.0) > LONGEST_WAIT_SECONDS:
            return ProviderFailure(failure.message, code=failure.code)
        pause = failure.retry_after or self.backoff_seconds * 2 ** (tries - 1)
        return ProviderBusy(failure.message, code=failure.code, retry_after=pause)


class TranscriptionActivities:
    """Transcribes with the engine behind a tier and saves what it said."""

    def __init__(
        self,
        *,
        database: Database,
        files: Files,
        tools: MediaTools,
        transcribers: Mapping[str, Transcriber],
        bounds: TierBounds,
        prices: Prices = UNPRICED,
    ) -> None:
        self._database = database
        self._files = files
        self._tools = tools
        self._transcribers = transcribers
        self._bounds = bounds
        self._prices = prices
        self._copying = asyncio.Semaphore(COPIES)

    @activity.defn(name="transcribe")
    async def transcribe(self, order: TranscribeTier) -> TranscriptRef:
        """Make and record the transcript of one recording by one tier.

        A transcript that is recorded already is returned without a call. Every call is one row,
        written before it is made.

        Raises:
            ProviderBusy: the same tier again after the pause it asks for.
            ProviderFailure: final for this tier; the class's code says what comes next.
            NoSpeech: the tier heard nothing.
        """
        job, transcriber = order.job, self._engine(order)
        async with self._database.write() as tx:
            recorded = await tx.transcripts.find(job.job_id, job.user_id)
            if recorded is not None:
                return recorded
            call, tries = await VendorCall.begin(self._database, tx, order, self._prices)
        async with self._answering(call, tries, transcriber):
            # Only an attempt before this one can have left parts.
            kept = await self._kept(order) if call.number > 1 else []
            parts = await self._listen(order, transcriber, kept, call)
            transcript = join_parts(parts, order.facts.seconds)
            if not has_speech(transcript):
                raise NoSpeech("The tier heard no words")
        return await call.succeeded(transcript)

    @activity.defn(name="transcribe_chunk")
    async def transcribe_chunk(self, order: TranscribeTier) -> HeardChunk:
        """Make and keep what is said in one chunk; silence in a chunk is an answer too.

        Raises:
            ProviderBusy, ProviderFailure: as ``transcribe``.
            NoSpeech: the tier heard no words although voice activity found speech in the chunk.
        """
        job, chunk, transcriber = order.job, _chunk_of(order), self._engine(order)
        async with self._database.write() as tx:
            for part in await tx.transcripts.parts(job.job_id, job.user_id, CHUNKS):
                if part.start == chunk.start:
                    return _heard(order, chunk, part)
            call, tries = await VendorCall.begin(self._database, tx, order, self._prices)
        async with self._answering(call, tries, transcriber):
            part = await self._listen_to(order, chunk, transcriber, call)
        await call.kept(CHUNKS, part)
        return _heard(order, chunk, part)

    @activity.defn(name="join_chunks")
    async def join_chunks(self, order: JoinChunks) -> TranscriptRef:
        """Make and record one transcript of the kept chunks, each word once; gaps stay gaps."""
        job = order.job
        async with self._database.write() as tx:
            recorded = await tx.transcripts.find(job.job_id, job.user_id)
            if recorded is not None:
                return recorded
            kept = {
                part.start: part
                for part in await tx.transcripts.parts(job.job_id, job.user_id, CHUNKS)
            }
            heard = [(chunk, kept[chunk.start]) for chunk in order.chunks if chunk.start in kept]
            transcript = join_parts(join_at_seams(heard), order.seconds)
            if not has_speech(transcript):
                raise NoSpeech("No tier heard words in any chunk")
            transcript = transcript.model_copy(update={"gaps": order.gaps})
            ref = await tx.transcripts.save(
                job.job_id, job.user_id, job.memo_id, order.route, transcript
            )
            await tx.jobs.advance(job.job_id, job.user_id, Step.SETTLE, tier=order.route)
        return ref

    def _engine(self, order: TranscribeTier) -> Transcriber:
        transcriber = self._transcribers.get(order.tier.name)
        if transcriber is None:
            raise ProviderOut(f"The tier {order.tier.name} is not configured on this worker")
        return transcriber

    @asynccontextmanager
    async def _answering(
        self, call: VendorCall, tries: Tries, transcriber: Transcriber
    ) -> AsyncIterator[None]:
        """Write down how the call in the block ends, when it ends without an answer."""
        most_lost = FREE_TRIES if transcriber.capabilities.free else self._bounds.tries
        try:
            check_lost(tries, most_lost)
            yield
        except ProviderFailure as failure:
            await call.failed(failure)
            raise self._bounds.after(failure, tries.busy + tries.lost + 1) from failure
        except asyncio.CancelledError:
            await asyncio.shield(call.cancelled())
            raise

    async def _kept(self, order: TranscribeTier) -> list[TranscriptPart]:
        async with self._database.read() as tx:
            return list(
                await tx.transcripts.parts(order.job.job_id, order.job.user_id, order.tier.name)
            )

    async def _listen(
        self,
        order: TranscribeTier,
        transcriber: Transcriber,
        parts: list[TranscriptPart],
        call: VendorCall,
    ) -> list[TranscriptPart]:
        """The whole file, from the end of the last part that is kept."""
        job, tier, seconds = order.job, order.tier.name, order.facts.seconds
        done = parts[-1].end if parts else 0.0
        async with (
            alive(self._database, job.job_id, job.user_id, lambda: {"audio_seconds": done}),
            self._files.local(order.key) as path,
            _stream(transcriber, path, order, done) as stream,
        ):
            async for part in stream:
                call.heard(part)
                parts.append(part)
                done = part.end
                if done < seconds:
                    await self._keep(job, tier, part, seconds)
        return parts

    async def _listen_to(
        self, order: TranscribeTier, chunk: Chunk, transcriber: Transcriber, call: VendorCall
    ) -> TranscriptPart:
        """One chunk, as one part with the times of the whole recording."""
        job, done = order.job, chunk.hears_from
        parts: list[TranscriptPart] = []
        async with (
            alive(self._database, job.job_id, job.user_id, lambda: {"audio_seconds": done}),
            self._slice(order, chunk) as path,
        ):
            try:
                async with _stream(transcriber, path, order, 0.0) as stream:
                    async for part in stream:
                        call.heard(part)
                        parts.append(moved(part, chunk.hears_from))
                        done = part.end + chunk.hears_from
            except NoSpeech as silence:
                parts.clear()
                call.heard(TranscriptPart(start=0, end=0, units=silence.units or Units()))
        whole = TranscriptPart(
            start=chunk.start,
            end=chunk.end,
            utterances=tuple(u for part in parts for u in part.utterances),
            words=tuple(w for part in parts for w in part.words),
        )
        if not whole.utterances and chunk.speech >= SPEECH_SECONDS:
            raise NoSpeech("The tier heard no words in the speech of this chunk")
        return whole

    @asynccontextmanager
    async def _slice(self, order: TranscribeTier, chunk: Chunk) -> AsyncIterator[Path]:
        """The chunk as a WAV of its own, by a ranged read: never the whole recording."""
        async with self._tools.workspace() as folder:
            path = folder / "chunk.wav"
            async with self._copying:
                await self._copy(order.key, chunk, path)
            yield path

    async def _copy(self, key: str, chunk: Chunk, path: Path) -> None:
        head = bytearray()
        async for block in self._files.read(key, 0, wav.HEAD_BYTES):
            head += block
        at = wav.samples_at(bytes(head))
        first, last = at + wav.byte_of(chunk.hears_from), at + wav.byte_of(chunk.hears_to)
        written = 0
        with path.open("wb") as file:
            file.write(wav.header(last - first))
            async for block in self._files.read(key, first, last):
                written += file.write(block)
            file.seek(0)
            file.write(wav.header(written))
        if not written:
            raise NotFound("The converted recording ends before this chunk")

    async def _keep(self, job: MemoJob, tier: str, part: TranscriptPart, seconds: float) -> None:
        async with self._database.write() as tx:
            await tx.transcripts.save_part(job.job_id, job.user_id, tier, part)
            await tx.jobs.advance(
                job.job_id,
                job.user_id,
                Step.TRANSCRIBE,
                tier=tier,
                data={"percent": min(99, int(part.end / seconds * 100))},
            )


def check_lost(tries: Tries, most: int) -> None:
    """Give a tier up in whose calls so many workers died.

    Raises:
        ProviderFailure: ``worker_lost``.
    """
    if tries.lost >= most:
        raise ProviderFailure("Workers died in every try of this tier", code="worker_lost")


def _chunk_of(order: TranscribeTier) -> Chunk:
    if order.chunk is None:
        raise ProviderFailure("No chunk was named", code="internal_error")
    return order.chunk


def _heard(order: TranscribeTier, chunk: Chunk, part: TranscriptPart) -> HeardChunk:
    words = join_parts([part], 0).word_count
    return HeardChunk(index=chunk.index, tier=order.tier.name, words=words)


@asynccontextmanager
async def _stream(
    transcriber: Transcriber, path: Path, order: TranscribeTier, after: float
) -> AsyncIterator[AsyncIterator[TranscriptPart]]:
    """The engine's stream, closed on every exit: that is what ends its call to the vendor."""
    stream = transcriber.transcribe(
        path,
        order.facts,
        languages=order.job.languages,
        diarization=order.job.diarization,
        after=after,
    )
    try:
        yield stream
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()
