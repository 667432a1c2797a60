"""What a call took and cost is written with its end, whatever end that is, at the price of then."""

import asyncio
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from decimal import Decimal
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.memo import MemoActivities
from activities.transcription import TierBounds, TranscriptionActivities
from activities.workbook import JobWorkbook
from contracts.costs import NOTHING, Bill, Prices, Rates, Units, answered, audio, tokens
from contracts.errors import NoSpeech, ProviderBroken, ProviderBusy, ProviderFailure, ProviderOut
from contracts.jobs import Step
from contracts.language import LanguageRequest, Source, Usage
from contracts.memo import MemoJob, TranscribeTier
from contracts.tiers import Attempt, PlannedTier
from contracts.transcript import TranscriptPart
from providers import failures
from providers.chat_model import reply
from providers.language_chain import LanguageChain
from providers.language_tiers import PromptedTier
from store.database import Database
from tests.activities.conftest import NewMemo
from tests.fakes.language import spoken
from tests.fakes.ports import FACTS, MemoryFiles, ScriptedTools, ScriptedTranscriber, part

HEARD = audio(FACTS.seconds)
HOURLY = Prices(transcription={"paid": Rates(per_hour=Decimal("0.36"))})
BY_TOKENS = Rates(per_million_input_tokens=Decimal(100), per_million_output_tokens=Decimal(1000))
TOLD = Prices(transcription={"paid": BY_TOKENS}, language={"paid": BY_TOKENS})
PRICE = 9_000
"""Micros of 90 s at 0.36 an hour."""


async def attempts_of(database: Database, job: MemoJob) -> list[Attempt]:
    async with database.read() as tx:
        return list(await tx.attempts.list(job.job_id, job.user_id))


def with_tokens(said: TranscriptPart) -> TranscriptPart:
    return said.model_copy(update={"units": tokens(7, 2)})


async def transcribe(
    database: Database,
    job: MemoJob,
    prices: Prices,
    *script: TranscriptPart | BaseException,
) -> None:
    files = MemoryFiles()
    files.files[job.audio_path] = b"RIFF"
    activities = TranscriptionActivities(
        database=database,
        files=files,
        tools=ScriptedTools(),
        transcribers={"paid": ScriptedTranscriber(*script)},
        bounds=TierBounds(tries=2, backoff_seconds=2),
        prices=prices,
    )
    await MemoActivities(database, files).reserve(job)
    order = TranscribeTier(
        job=job, tier=PlannedTier(name="paid", provider="p"), key=job.audio_path, facts=FACTS
    )
    await ActivityEnvironment().run(activities.transcribe, order)


def told_silence() -> NoSpeech:
    silence = NoSpeech("nothing")
    with pytest.raises(NoSpeech), answered(tokens(7, 0)):
        raise silence
    return silence


SPOKEN = part(0, 90, "hello there world")


@pytest.mark.parametrize(
    ("prices", "said", "bill"),
    [
        (HOURLY, SPOKEN, Bill(units=HEARD, micros=PRICE)),
        (TOLD, with_tokens(SPOKEN), Bill(units=HEARD.over(tokens(7, 2)), micros=2_700)),
        (TOLD, SPOKEN, Bill(units=HEARD, micros=None)),
        (Prices(), SPOKEN, Bill(units=HEARD, micros=None)),
        (HOURLY, ProviderOut("401"), Bill(units=NOTHING, micros=0)),
        (Prices(), ProviderBusy("429"), Bill(units=NOTHING, micros=0)),
        (HOURLY, failures.timed_out("p", 5), Bill(units=HEARD, micros=PRICE)),
        (HOURLY, NoSpeech("nothing"), Bill(units=HEARD, micros=PRICE)),
        (TOLD, told_silence(), Bill(units=HEARD.over(tokens(7, 0)), micros=700)),
        (HOURLY, asyncio.CancelledError(), Bill(units=HEARD, micros=PRICE)),
        (HOURLY, ConnectionResetError("the worker died"), Bill(units=HEARD, micros=PRICE)),
    ],
)
async def test_a_transcription_is_written_with_what_it_took_however_it_ended(
    database: Database,
    new_memo: NewMemo,
    prices: Prices,
    said: TranscriptPart | BaseException,
    bill: Bill,
) -> None:
    job = await new_memo()
    with nullcontext() if isinstance(said, TranscriptPart) else pytest.raises(type(said)):
        await transcribe(database, job, prices, said)
    (attempt,) = await attempts_of(database, job)
    assert Bill(units=attempt.units, micros=attempt.cost_micros) == bill


async def test_a_price_that_changes_leaves_what_was_paid_before(
    database: Database, new_memo: NewMemo
) -> None:
    job = await new_memo()
    with pytest.raises(ProviderBusy):
        await transcribe(database, job, HOURLY, failures.timed_out("p", 5))
    dearer = Prices(transcription={"paid": Rates(per_hour=Decimal("0.72"))})
    await transcribe(database, job, dearer, SPOKEN)
    assert [a.cost_micros for a in await attempts_of(database, job)] == [PRICE, 2 * PRICE]


class Model:
    """Answers with what it is given, or fails."""

    provider = "p"
    engine = "m"
    context_characters = 10_000

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    async def ask(self, prompt: Any, shape: Any) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        text, usage = self._answer
        return reply(self.provider, text, shape, usage)

    async def aclose(self) -> None:
        """Nothing is open."""


GOOD = '{"title": "The boat", "intro": "It came home."}'
SAID = "The boat came home."


@pytest.mark.parametrize(
    ("answer", "units", "micros"),
    [
        ((GOOD, Usage(input_tokens=40, output_tokens=3)), tokens(40, 3), 7_000),
        ((GOOD, Usage()), Units(), None),
        (("{", Usage(input_tokens=40, output_tokens=3)), tokens(40, 3), 7_000),
        (failures.timed_out("p", 5), Units(), None),
        (ProviderOut("401"), NOTHING, 0),
        (ProviderBroken("cut off"), Units(), None),
    ],
)
async def test_a_model_is_written_with_what_it_took_however_it_ended(
    database: Database, new_memo: NewMemo, answer: Any, units: Units, micros: int | None
) -> None:
    job = await new_memo()
    book = JobWorkbook(
        database, job.job_id, job.user_id, round=1, step=Step.HEADLINE, fresh=True, prices=TOLD
    )
    chain = LanguageChain([PromptedTier("paid", Model(answer), parallel=1)])
    request = LanguageRequest(sources=(Source(transcript=spoken(SAID)),))
    with suppress(ProviderFailure):
        await chain.headline(request, book)
    async with database.write() as tx:
        await book.close(tx)
    (attempt,) = await attempts_of(database, job)
    assert attempt.units == units.over(Units(characters=len(SAID)))
    assert attempt.cost_micros == micros


async def test_a_call_that_is_over_is_counted_in_the_workers_metrics(
    database: Database, new_memo: NewMemo
) -> None:
    job, meter = await new_memo(), Meter()
    environment = ActivityEnvironment()
    environment.metric_meter = meter  # type: ignore[assignment]  # as much of one as is asked for
    files = MemoryFiles()
    files.files[job.audio_path] = b"RIFF"
    activities = TranscriptionActivities(
        database=database,
        files=files,
        tools=ScriptedTools(),
        transcribers={"paid": ScriptedTranscriber(with_tokens(SPOKEN))},
        bounds=TierBounds(tries=2, backoff_seconds=2),
        prices=HOURLY,
    )
    await MemoActivities(database, files).reserve(job)
    tier = PlannedTier(name="paid", provider="p")
    order = TranscribeTier(job=job, tier=tier, key=job.audio_path, facts=FACTS)
    await environment.run(activities.transcribe, order)
    assert meter.counted == {
        "voicekeep_vendor_calls": 1,
        "voicekeep_vendor_audio_milliseconds": 90_000,
        "voicekeep_vendor_input_tokens": 7,
        "voicekeep_vendor_output_tokens": 2,
        "voicekeep_vendor_cost_micros": PRICE,
    }
    assert meter.by == {"tier": "paid", "provider": "p"}


class Meter:
    """Remembers what is counted."""

    def __init__(self) -> None:
        self.counted: dict[str, int] = {}
        self.by: Mapping[str, Any] = {}

    def with_additional_attributes(self, attributes: Mapping[str, Any]) -> "Meter":
        assert attributes
        return self

    def create_counter(self, name: str, description: str) -> "Counter":
        assert description
        return Counter(self, name)


class Counter:
    def __init__(self, meter: Meter, name: str) -> None:
        self._meter = meter
        self._name = name

    def add(self, value: int, by: Mapping[str, Any]) -> None:
        self._meter.counted[self._name] = self._meter.counted.get(self._name, 0) + value
        self._meter.by = by
