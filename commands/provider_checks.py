"""Each tier tried with a recording or a text, for `voicekeep providers check`: no charge."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, NamedTuple
from uuid import uuid4

from activities.batch import BatchEngine
from activities.ports import MediaTools
from contracts.audio import AudioFacts, as_converted
from contracts.batch import staging_key
from contracts.errors import InvalidInput, ProviderFailure, Unavailable
from contracts.outside import EXTERNAL
from contracts.signatures import CONTAINERS
from contracts.speech import PlannedVoice, SpeechFormat, SpeechOrder, plan_speech
from contracts.speech_text import normalised, parts
from contracts.tiers import PlannedTier, plan
from contracts.transcript import TranscriptPart, join_parts
from contracts.voices import AZURE, GEMINI, KOKORO, LOCAL, OPENAI
from engines import Engines, open_engines
from providers.speech_setup import Speaker
from runtime.doctor import NotInUse
from runtime.settings import Settings

CHECK_PAUSE_SECONDS: Final = 5.0
_WANTS: Final = {
    OPENAI: "OPENAI_API_KEY",
    AZURE: "AZURE_SPEECH_KEY",
    GEMINI: "GEMINI_API_KEY",
    KOKORO: "KOKORO_MODEL",
}
"""The setting that switches a tier of speech on."""


class Tried(NamedTuple):
    """What came of one tier, for a person.

    Attributes:
        seconds: the call took.
        failure: why there is no text.
    """

    tier: str
    provider: str
    seconds: float
    text: str = ""
    failure: str = ""


async def try_tiers(settings: Settings, names: Sequence[str], audio: Path) -> AsyncIterator[Tried]:
    """Send one recording to each tier in turn, with no job and no charge.

    Args:
        names: of the tiers; none: all that are configured.

    Raises:
        InvalidInput: a name that is not configured.
        UnsupportedMedia, MediaRejected: the recording is none.
    """
    unknown = set(names) - (set(settings.tiers) - {EXTERNAL})
    if unknown:
        raise _unknown(unknown, settings.tiers)
    async with AsyncExitStack() as stack:
        engines = await open_engines(settings, stack)
        folder = await stack.enter_async_context(engines.tools.workspace())
        recording = _Recording(engines.tools, audio, folder / "audio.wav")
        facts = await engines.tools.probe(audio)
        offers = engines.offers(settings.transcription.vendor_call_timeout_seconds)
        for tier in plan(facts, (), offers):
            if tier.name in (names or settings.tiers) and not tier.outside:
                yield await _tried(engines, tier, *await recording.for_tier(tier, facts))


def _unknown(names: Iterable[str], tiers: Iterable[str]) -> InvalidInput:
    there = ", ".join(name for name in tiers if name != EXTERNAL)
    return InvalidInput(
        f"Not configured: {', '.join(sorted(names))}; there are {there}", code="unknown_tier"
    )


class _Recording:
    """The file as a tier takes it, converted at most once."""

    def __init__(self, tools: MediaTools, original: Path, converted: Path) -> None:
        self._tools = tools
        self._original = original
        self._converted = converted

    async def for_tier(self, tier: PlannedTier, facts: AudioFacts) -> tuple[Path, AudioFacts]:
        if not tier.convert:
            return self._original, facts
        if not self._converted.exists():
            await self._tools.convert(
                self._original,
                self._converted,
                facts,
                max_seconds=facts.seconds + 1,
                progress=lambda _: None,
            )
        return self._converted, as_converted(facts, self._converted.stat().st_size)


async def _tried(engines: Engines, tier: PlannedTier, path: Path, facts: AudioFacts) -> Tried:
    began = time.monotonic()
    try:
        batch = engines.batches.get(tier.name)
        if batch is None:
            stream = engines.transcribers[tier.name].transcribe(
                path, facts, languages=(), diarization=True, after=0.0
            )
            parts = [part async for part in stream]
        else:
            parts = [await _in_batch(batch, path, facts)]
    except ProviderFailure as failure:
        seconds = time.monotonic() - began
        return Tried(tier.name, tier.provider, seconds, failure=f"{failure.code}: {failure}")
    text = join_parts(parts, facts.seconds).text
    return Tried(tier.name, tier.provider, time.monotonic() - began, text=text)


async def _in_batch(engine: BatchEngine, path: Path, facts: AudioFacts) -> TranscriptPart:
    operation = f"check-{uuid4()}"
    kind = CONTAINERS[facts.container]
    key = staging_key(operation, kind.extension)
    url = await engine.staging.stage(key, path, media_type=kind.media_type)
    try:
        job = await engine.transcriber.submit(operation, url, facts, languages=(), diarization=True)
        try:
            while not (state := await engine.transcriber.state(job)).done:  # noqa: ASYNC110 - a vendor
                await asyncio.sleep(state.retry_after or CHECK_PAUSE_SECONDS)
            return await engine.transcriber.results(job, facts, languages=())
        finally:
            await engine.transcriber.delete(job)
    finally:
        await engine.staging.remove(key)


async def try_voices(
    settings: Settings, names: Sequence[str], order: SpeechOrder, folder: Path | None
) -> AsyncIterator[Tried]:
    """Have each tier of speech say a text in turn, with no job and no charge.

    Args:
        names: of the tiers; none: all that are configured.
        folder: gets what each said as ``<tier>.wav``; none: nobody wants to hear it.

    Raises:
        InvalidInput: a name that is not configured, or a text that cannot be said.
    """
    tiers = settings.speech_setup.tiers
    if unknown := set(names) - set(tiers):
        raise _unknown(unknown, tiers)
    order = order.model_copy(update={"text": normalised(order.text), "format": SpeechFormat.WAV})
    async with AsyncExitStack() as stack:
        engines = await open_engines(settings, stack)
        language = order.language or await engines.guess.language(order.text)
        for name in names or tiers:
            speaker = engines.speakers[name]
            async with engines.tools.workspace() as work:
                target = work / "said" if folder is None else folder / f"{name}.wav"
                yield await _said(engines, speaker, order, language, target)


async def _said(
    engines: Engines, speaker: Speaker, order: SpeechOrder, language: str | None, target: Path
) -> Tried:
    began, offer = time.monotonic(), speaker.offer
    try:
        (voice,) = plan_speech(order, [offer], language)
        seconds = await _spoken(engines, speaker, voice, order.text, target)
    except (InvalidInput, ProviderFailure) as failure:
        took = time.monotonic() - began
        return Tried(offer.name, offer.provider, took, failure=f"{failure.code}: {failure}")
    said = f"{seconds:.1f} s of speech by {voice.voice}"
    return Tried(offer.name, offer.provider, time.monotonic() - began, text=said)


async def _spoken(
    engines: Engines, speaker: Speaker, voice: PlannedVoice, text: str, target: Path
) -> float:
    async with engines.tools.workspace() as work:
        pieces: list[Path] = []
        for number, part in enumerate(parts(text, voice.max_characters)):
            pieces.append(work / str(number))
            await speaker.engine.synthesize(voice.piece(part), pieces[-1])
        return await engines.joiner.join(pieces, target, SpeechFormat.WAV, progress=lambda _: None)


async def speech_probe(settings: Settings) -> str:
    """Whether the tiers that read aloud have what they need; those that are free say a word.

    Raises:
        Unavailable: one lacks something, and what mends it.
        NotInUse: nothing is wrong, but only the local engine speaks.
    """
    setup = settings.speech_setup
    unset = lacking(settings)
    faults = [f"{name} is in SPEECH_TIERS: set {_WANTS[name]}" for name in unset]
    async with AsyncExitStack() as stack:
        engines = await open_engines(settings, stack)
        free = [name for name in setup.tiers if engines.speakers[name].offer.capabilities.free]
        for name in (name for name in free if name not in unset):
            speaker = engines.speakers[name]
            async with engines.tools.workspace() as work:
                order = SpeechOrder(text="Good.", voice=next(iter(speaker.offer.names.voices)))
                tried = await _said(engines, speaker, order, "en", work / "said")
            faults += [f"{name}: {tried.failure}"] if tried.failure else []
    if faults:
        raise Unavailable("; ".join(faults))
    if setup.tiers == (LOCAL,):
        raise NotInUse(f"only the local engine: {', '.join(_WANTS.values())} switches on others")
    return f"{', '.join(setup.tiers)}; `voicekeep providers check --say TEXT` hears them all"


def lacking(settings: Settings) -> tuple[str, ...]:
    """Tiers of SPEECH_TIERS that cannot speak for want of a setting."""
    setup = settings.speech_setup
    there = {
        OPENAI: bool(setup.openai_key.get_secret_value()) or setup.openai_url is not None,
        AZURE: bool(settings.azure.speech_keys()),
        GEMINI: bool(setup.gemini_key.get_secret_value()),
        KOKORO: bool(setup.kokoro_model),
        LOCAL: True,
    }
    return tuple(name for name in setup.tiers if not there[name])
