"""Texts that are read aloud: planned, spoken part by part, joined, stored, charged once."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from temporalio import activity

from activities.flat_price import FlatPrice
from activities.liveness import alive
from activities.own_tokens import OwnTokens, forget_token
from activities.ports import Database, Files, MediaTools, Transaction
from activities.speech_call import SpeechCall
from activities.speech_end import announce_speech
from activities.speech_parts import at_hand, gone
from activities.speech_ports import Joiner, LanguageGuess, Synthesizer
from activities.transcription import FREE_TRIES, TierBounds, check_lost
from activities.wallet_ports import Wallet
from contracts import ids
from contracts.audio import MediaKind
from contracts.costs import UNPRICED, Prices
from contracts.credits import LOW_BELOW
from contracts.errors import Conflict, NotFound, ProviderFailure, ProviderOut
from contracts.jobs import JobState, Step
from contracts.own_tokens import NOT_TAKEN
from contracts.speech import Piece, PlannedVoice, SpeechOffer, SpeechOrder, Timing, plan_speech
from contracts.speech_division import Division, divide, tempo_of, told
from contracts.speech_job import (
    JoinSpeech,
    KeptPart,
    SpeakPart,
    SpeechFile,
    SpeechJob,
    SpeechPlan,
    SpeechReady,
    SpeechState,
    SpokenPart,
)
from contracts.webhooks import Delivery, WebhookEvent

DAY: float = 24 * 3600.0
PART_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class SpeechRules:
    """What the settings say.

    Attributes:
        keep_seconds: how long a file lives that nobody uses.
        scope: whom a part may serve that was bought for one user; none: that user alone.
        credits_low_below: a charge that takes the balance below it is told.
        own_token_fallback: whether other tiers step in for a user's own token.
    """

    keep_seconds: float = 7 * DAY
    scope: str | None = None
    credits_low_below: int = LOW_BELOW
    own_token_fallback: bool = False

    def scope_of(self, job: SpeechJob) -> str:
        """Whom the parts of a job may serve."""
        return job.scope(self.scope)

    def offers_of(self, job: SpeechJob, offers: Sequence[SpeechOffer]) -> Sequence[SpeechOffer]:
        """Who may speak: with a token of the user, the tier that takes it; else the others.

        Raises:
            ProviderOut: ``own_token_not_taken``, by this worker's settings.
        """
        others = [offer for offer in offers if not offer.own_token]
        if not job.own_token:
            return others
        own = [offer for offer in offers if offer.own_token]
        if self.own_token_fallback:
            return [*own, *others]
        if not own:
            raise ProviderOut("No user's own token speaks on this worker", code=NOT_TAKEN)
        return own


@dataclass(frozen=True)
class SpeechEngines:
    """What speaks, and what makes one file of it.

    Attributes:
        offers: in the order of the tiers.
        guess: finds out the language of a text.
        tokens: of users, that speak for them.
    """

    synthesizers: Mapping[str, Synthesizer]
    offers: Sequence[SpeechOffer]
    joiner: Joiner
    guess: LanguageGuess
    tokens: OwnTokens = field(default_factory=OwnTokens)


class SpeechActivities:
    """Each safe to do twice: a part that is there is not bought again, nor is a file charged."""

    def __init__(
        self,
        *,
        database: Database,
        files: Files,
        tools: MediaTools,
        engines: SpeechEngines,
        bounds: TierBounds,
        rules: SpeechRules,
        prices: Prices = UNPRICED,
        wallet: Wallet | None = None,
    ) -> None:
        self._database = database
        self._files = files
        self._tools = tools
        self._engines = engines
        self._bounds = bounds
        self._rules = rules
        self._prices = prices
        self._price = FlatPrice(wallet, rules.credits_low_below)
        self._buying: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @activity.defn(name="plan_speech")
    async def plan_speech(self, job: SpeechJob) -> SpeechPlan:
        """Take the job up: state ``running``, its price held, the text divided for each tier.

        Raises:
            InsufficientCredits: fewer are free; the job is left as it was.
            InvalidInput: no engine has the voice, the model or the language (any more).
            ProviderOut: the user's own token is to speak, and this worker takes none.
        """
        async with self._database.read() as tx:
            file = await tx.speech.find(job.file_id, job.user_id)
        if file is None:
            return SpeechPlan(present=False)
        texts = await self._texts(job, file.order)
        await self._price.cover(job)
        scope = self._rules.scope_of(job)
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            if state is None or state.final:
                return SpeechPlan(present=False)
            await tx.jobs.move(
                job.job_id,
                job.user_id,
                JobState.RUNNING,
                step=Step.SPEAK,
                data={"voices": told([text.voice for text in texts])},
            )
            await self._price.hold(tx, job)
            hashes = [part for text in texts for part in text.hashes]
            there = await tx.speech.use_parts(scope, hashes, job.file_id)
        tiers = tuple(text.planned(there) for text in texts)
        return SpeechPlan(present=True, tiers=tiers, characters=len(file.order.text))

    async def _texts(self, job: SpeechJob, order: SpeechOrder) -> list[Division]:
        offers = self._rules.offers_of(job, self._engines.offers)
        language = order.language
        if language is None and any(offer.capabilities.wants_language for offer in offers):
            language = await self._engines.guess.language(order.text)
        voices = plan_speech(order, offers, language)
        return [await asyncio.to_thread(divide, voice, order.text) for voice in voices]

    @activity.defn(name="speak_part")
    async def speak_part(self, order: SpeakPart) -> SpokenPart:
        """Have one part spoken and keep its samples, unless they are there.

        Every call of a vendor is one row, written before it is made.

        Raises:
            ProviderBusy: the same tier again after the pause it asks for.
            ProviderFailure: final for this tier.
            NotFound: the file was deleted meanwhile.
            Conflict: the job has ended meanwhile.
        """
        job, voice = order.job, order.voice
        text = await asyncio.to_thread(divide, voice, (await self._file(job)).order.text)
        part_hash = text.hashes[order.index]
        scope = self._rules.scope_of(job)
        async with self._buying.setdefault(f"{scope}:{part_hash}", asyncio.Lock()):
            async with self._database.write() as tx:
                kept = await tx.speech.use_part(scope, part_hash, job.file_id)
                if kept is not None:
                    return SpokenPart(samples=kept.samples, bought=False)
                token = await self._engines.tokens.of(tx, order)
                call = await SpeechCall.begin(
                    self._database, tx, order, text.parts[order.index], self._prices
                )
                key = ids.part_key(job.user_id, job.file_id, part_hash)
                await tx.media.add(
                    key, job.user_id, kind=MediaKind.WORK, memo_id=None, job_id=job.job_id
                )
            piece = voice.piece(text.parts[order.index], token)
            return await self._buy(order, piece, call, _Place(scope, part_hash, key))

    async def _buy(
        self, order: SpeakPart, piece: Piece, call: SpeechCall, place: "_Place"
    ) -> SpokenPart:
        job, engine = order.job, self._engine(order.voice)
        async with self._answering(call, order.voice), self._tools.workspace() as folder:
            target = folder / "part"
            async with alive(self._database, job.job_id, job.user_id):
                spoken = await engine.synthesize(piece, target)
            call.answered(spoken.units)
            await self._files.put_file(place.key, target, media_type=PART_TYPE)
        part = KeptPart(
            hash=place.part_hash,
            key=place.key,
            samples=spoken.samples,
            speed=spoken.speed,
            timings=spoken.timings,
        )
        await call.kept(place.scope, part)
        return SpokenPart(samples=spoken.samples)

    @asynccontextmanager
    async def _answering(self, call: SpeechCall, voice: PlannedVoice) -> AsyncIterator[None]:
        """Write down how the call in the block ends, when it ends without an answer."""
        try:
            check_lost(call.tries, FREE_TRIES if voice.free else self._bounds.tries)
            yield
        except ProviderFailure as failure:
            await call.failed(failure)
            tries = call.tries.busy + call.tries.lost + 1
            raise self._bounds.after(failure, tries) from failure
        except asyncio.CancelledError:
            await asyncio.shield(call.cancelled())
            raise

    def _engine(self, voice: PlannedVoice) -> Synthesizer:
        engine = self._engines.synthesizers.get(voice.name)
        if engine is None:
            raise ProviderOut(f"The tier {voice.name} is not configured on this worker")
        return engine

    async def _file(self, job: SpeechJob) -> SpeechFile:
        async with self._database.read() as tx:
            file = await tx.speech.find(job.file_id, job.user_id)
        if file is None:
            raise NotFound("The file was deleted", code="deleted")
        return file

    @activity.defn(name="join_speech")
    async def join_speech(self, order: JoinSpeech) -> SpeechReady:
        """Make one file of all parts, store it and charge for it; the job is completed then.

        A file that is there already is returned as it is.

        Raises:
            NotFound: the file was deleted meanwhile, or one of its parts is gone.
            Conflict: the job has ended meanwhile.
            Unavailable: no room on the disk, or no ffmpeg.
        """
        job = order.job
        file = await self._file(job)
        if file.state is SpeechState.READY:
            return SpeechReady(seconds=file.seconds or 0.0, size=file.size or 0)
        text = await asyncio.to_thread(divide, order.voice, file.order.text)
        kept = await self._kept(job, text)
        key = ids.speech_key(job.user_id, job.file_id, job.form)
        async with self._database.write() as tx:
            await tx.media.add(
                key, job.user_id, kind=MediaKind.WORK, memo_id=None, job_id=job.job_id
            )
        tempo = tempo_of(file.order.speed, kept[0])
        scope = self._rules.scope_of(job)
        async with (
            alive(self._database, job.job_id, job.user_id),
            self._tools.workspace() as folder,
            at_hand(self._database, self._files, scope, kept) as samples,
        ):
            target = folder / "speech"
            seconds = await self._engines.joiner.join(
                samples,
                target,
                job.form,
                tempo=tempo,
                progress=activity.heartbeat,
            )
            stored = await self._files.put_file(key, target, media_type=job.form.media_type)
        made = SpeechReady(seconds=round(seconds, 3), size=stored.size, charged=job.price)
        done = _Made(made, key, stored.sha256, order.voice.name, _timings(kept, tempo))
        return await self._complete(job, file, done)

    async def _kept(self, job: SpeechJob, text: Division) -> list[KeptPart]:
        async with self._database.read() as tx:
            found = await tx.speech.parts(self._rules.scope_of(job), text.hashes)
        missing = set(text.hashes) - set(found)
        if missing:
            raise gone()
        return [found[part_hash] for part_hash in text.hashes]

    async def _complete(self, job: SpeechJob, file: SpeechFile, done: "_Made") -> SpeechReady:
        announced: tuple[Delivery, ...] = ()
        async with self._database.write() as tx:
            state = await tx.jobs.state(job.job_id, job.user_id)
            lives = state is not None and not state.final
            if lives:
                lives = await tx.speech.ready(
                    job.file_id,
                    job.user_id,
                    done.made,
                    key=done.key,
                    sha256=done.sha256,
                    tier=done.tier,
                    timings=done.timings,
                    keep_seconds=self._rules.keep_seconds,
                )
            if lives:
                await tx.media.stand(done.key, job.user_id)
                await forget_token(tx, job)
                announced = await self._charge(tx, job, done)
                announced += await announce_speech(
                    tx, job, file, WebhookEvent.SPEECH_READY, done.made
                )
        if not lives:
            raise Conflict("The job ended before its file was there", code="job_ended")
        await self._price.tell(job)
        return done.made.model_copy(update={"announced": announced})

    async def _charge(self, tx: Transaction, job: SpeechJob, done: "_Made") -> tuple[Delivery, ...]:
        """End the job; returns the messages that tell of a low balance."""
        announced = await self._price.settle(tx, job, operation=ids.SPEECH)
        result = {
            "fileId": job.file_id,
            "seconds": done.made.seconds,
            "size": done.made.size,
            "tier": done.tier,
            "charged": job.price,
        }
        await tx.jobs.advance(
            job.job_id, job.user_id, Step.ANNOUNCE, tier=done.tier, data={"step": Step.JOIN}
        )
        await tx.jobs.move(
            job.job_id, job.user_id, JobState.COMPLETED, step=Step.DONE, result=result
        )
        return announced


@dataclass(frozen=True)
class _Place:
    """Where a part is kept."""

    scope: str
    part_hash: str
    key: str


@dataclass(frozen=True)
class _Made:
    """A stored file, and what is to be remembered of it."""

    made: SpeechReady
    key: str
    sha256: str | None
    tier: str
    timings: tuple[Timing, ...]


def _timings(kept: Sequence[KeptPart], tempo: float) -> tuple[Timing, ...]:
    """Of the whole file, in order."""
    found: list[Timing] = []
    before = 0.0
    for part in kept:
        found += [timing.moved(before / tempo, tempo) for timing in part.timings]
        before += part.seconds
    return tuple(found)
