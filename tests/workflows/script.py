"""Activities that answer by script: what they were asked is kept, what they answer is given."""

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from temporalio import activity

from contracts.audio import AudioFacts
from contracts.batch import VendorJob
from contracts.chunks import Chunk
from contracts.errors import Failure
from contracts.language_job import (
    EndLanguage,
    LanguageJob,
    LanguageReserved,
    LanguageResult,
    OrderedBlueprint,
    WrittenRef,
)
from contracts.memo import (
    BatchOrder,
    ConvertAudio,
    ConvertedAudio,
    CutAudio,
    CutPlan,
    Ended,
    EndMemo,
    FetchedAudio,
    HeadlineMemo,
    HeadlineRef,
    HeardChunk,
    JoinChunks,
    ListenForSpeech,
    MemoJob,
    OrderBlueprint,
    ProbedAudio,
    Reserved,
    Settled,
    SettleMemo,
    SubmittedBatch,
    TranscribeTier,
    VoiceFacts,
)
from contracts.outside import EndOutside, OutsideReport
from contracts.speech import PlannedVoice
from contracts.speech_job import (
    EndSpeech,
    JoinSpeech,
    PlannedTexts,
    SpeakPart,
    SpeechEnded,
    SpeechJob,
    SpeechPlan,
    SpeechReady,
    SpokenPart,
)
from contracts.tiers import PlannedTier
from contracts.transcript import TranscriptRef
from contracts.webhooks import Deliveries

FACTS = AudioFacts(
    container="mov", codec="aac", seconds=90, sample_rate=44100, channels=1, size=900_000
)
CHUNKS = tuple(Chunk(index=n, start=n * 30, end=n * 30 + 30, speech=20) for n in range(3))
FETCHED = "u/m/audio.wav"
BLOCK = object()
"""An answer that never comes: the activity waits until it is cancelled."""

TYPES: dict[str, tuple[type, type | None]] = {
    "reserve": (MemoJob, Reserved),
    "fetch": (MemoJob, FetchedAudio),
    "probe": (MemoJob, ProbedAudio),
    "convert": (ConvertAudio, ConvertedAudio),
    "voice_activity": (ListenForSpeech, VoiceFacts),
    "cut": (CutAudio, CutPlan),
    "transcribe": (TranscribeTier, TranscriptRef),
    "transcribe_chunk": (TranscribeTier, HeardChunk),
    "join_chunks": (JoinChunks, TranscriptRef),
    "settle": (SettleMemo, Settled),
    "submit_batch": (TranscribeTier, SubmittedBatch),
    "collect_batch": (BatchOrder, TranscriptRef),
    "discard_batch": (TranscribeTier, int),
    "await_outside": (TranscribeTier, OutsideReport),
    "end_outside": (EndOutside, None),
    "adopt_outside": (MemoJob, TranscriptRef),
    "headline": (HeadlineMemo, HeadlineRef),
    "order_blueprint": (OrderBlueprint, OrderedBlueprint),
    "reserve_language": (LanguageJob, LanguageReserved),
    "write_language": (LanguageJob, WrittenRef),
    "end_language": (EndLanguage, LanguageResult),
    "plan_speech": (SpeechJob, SpeechPlan),
    "speak_part": (SpeakPart, SpokenPart),
    "join_speech": (JoinSpeech, SpeechReady),
    "end_speech": (EndSpeech, SpeechEnded),
    "discard_work": (MemoJob, int),
    "end": (EndMemo, Ended),
    "deliver_webhooks": (Deliveries, Deliveries),
}


def transcript(tier: str = "first", words: int = 12) -> TranscriptRef:
    return TranscriptRef(
        ref="r", seconds=90, words=words, sha256="0" * 64, tier=tier, language="en"
    )


def written() -> WrittenRef:
    return WrittenRef(
        memory_ids=("m",), tier="first", provider="fake", engine="one",
        characters_read=9, characters_total=9, charged=5,
    )  # fmt: skip


def ended(order: EndLanguage) -> LanguageResult:
    return LanguageResult(state=order.state, failure=order.failure)


def texts(name: str, *missing: int, parts: int = 3, free: bool = False) -> PlannedTexts:
    """What a tier has to speak; without numbers every part is missing."""
    voice = PlannedVoice(name=name, provider="fake", voice="nova", max_characters=100, free=free)
    return PlannedTexts(voice=voice, parts=parts, missing=missing or tuple(range(parts)))


def planned(*tiers: PlannedTexts) -> SpeechPlan:
    return SpeechPlan(present=True, tiers=tiers, characters=9)


def speech_ended(order: EndSpeech) -> SpeechEnded:
    return SpeechEnded(state=order.state)


class Script:
    """Answers per activity, in order; the last one is repeated.

    A Failure is raised; a function gets the order, and is waited for when it waits for something.
    """

    def __init__(self, *tiers: PlannedTier, **answers: Sequence[Any]) -> None:
        plan = tiers or (PlannedTier(name="first", provider="fake"),)
        self.answers: dict[str, list[Any]] = {
            "reserve": [Reserved(present=True, held=3)],
            "fetch": [FetchedAudio(key=FETCHED, size=9)],
            "probe": [ProbedAudio(facts=FACTS, plan=plan, held=3)],
            "convert": [ConvertedAudio(key="u/m/work/j.wav", size=1, seconds=90)],
            "voice_activity": [VoiceFacts(speech_seconds=0)],
            "transcribe": [transcript()],
            "cut": [CutPlan(chunks=CHUNKS)],
            "transcribe_chunk": [HeardChunk(index=0, tier="first", words=5)],
            "join_chunks": [transcript()],
            "settle": [Settled(charged=3)],
            "submit_batch": [SubmittedBatch(number=1, job=VendorJob(id="v1", credential="c"))],
            "collect_batch": [transcript("batch")],
            "discard_batch": [2],
            "await_outside": [None],
            "end_outside": [None],
            "adopt_outside": [transcript("external")],
            "headline": [HeadlineRef(engine="fake", characters=9)],
            "order_blueprint": [OrderedBlueprint()],
            "reserve_language": [LanguageReserved(present=True, held=5)],
            "write_language": [written()],
            "end_language": [ended],
            "plan_speech": [planned(texts("first"), texts("second"))],
            "speak_part": [SpokenPart(samples=24_000)],
            "join_speech": [SpeechReady(seconds=3, size=9, charged=3)],
            "end_speech": [speech_ended],
            "discard_work": [1],
            "end": [Ended()],
            "deliver_webhooks": [Deliveries()],
        }
        self.answers.update({name: list(given) for name, given in answers.items()})
        self.calls: list[tuple[str, Any]] = []
        self.blocked = asyncio.Event()

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def asked(self, name: str) -> list[Any]:
        return [order for called, order in self.calls if called == name]

    async def answer(self, name: str, order: Any) -> Any:
        self.calls.append((name, order))
        given = self.answers[name]
        answer = given.pop(0) if len(given) > 1 else given[0]
        if answer is BLOCK:
            self.blocked.set()
            while True:
                activity.heartbeat()
                await asyncio.sleep(0.05)
        if isinstance(answer, Failure):
            raise answer
        said = answer(order) if callable(answer) else answer
        return await said if inspect.isawaitable(said) else said

    def activities(self) -> list[Callable[..., Any]]:
        return [self._scripted(name, *types) for name, types in TYPES.items()]

    def _scripted(self, name: str, takes: type, gives: type | None) -> Callable[..., Any]:
        async def run(order: Any) -> Any:
            return await self.answer(name, order)

        # What the data converter reads and builds: the types of the real activities.
        run.__annotations__ = {"order": takes, "return": gives}
        return activity.defn(name=name)(run)
