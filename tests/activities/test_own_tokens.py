"""Steps of a text that its user's own token speaks: with what, for whom, and at whose cost."""

from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretBytes
from temporalio.testing import ActivityEnvironment

from activities.own_tokens import OwnTokens
from activities.speech import SpeechActivities, SpeechRules
from activities.transcription import TierBounds
from contracts import ids
from contracts.costs import Prices, Rates
from contracts.errors import ProviderOut, Rejected
from contracts.speech import SpeechFormat, SpeechOrder
from contracts.speech_job import SpeakPart, SpeechJob, SpeechPlan
from runtime.seals import Seals
from runtime.settings_values import PayloadKey
from store.database import Database
from store.speech_tables import EVERYBODY
from tests.fakes.ports import MemoryFiles, ScriptedTools
from tests.fakes.scripted_speech import TEXT, Speaker, engines_of

OWN = "sk-own-medlar"
SEALS = Seals([PayloadKey(id="session", key=SecretBytes(b"k" * 32))])
DEAR = Prices(speech={name: Rates(per_million_characters=Decimal(15)) for name in ("own", "tier")})


class Readers:
    """A worker with two tiers, and texts of users with and without a token."""

    def __init__(self, database: Database, **rules: Any) -> None:
        self.database = database
        self.speaker = Speaker()
        self.forms = iter(SpeechFormat)
        ours = engines_of(self.speaker)
        (offer,) = ours.offers
        own = offer.model_copy(update={"name": "own", "own_token": True})
        self.steps = SpeechActivities(
            database=database,
            files=MemoryFiles(),
            tools=ScriptedTools(),
            engines=replace(
                ours,
                synthesizers={"tier": self.speaker, "own": self.speaker},
                offers=[offer, own],
                tokens=OwnTokens(SEALS.open),
            ),
            bounds=TierBounds(tries=2, backoff_seconds=2),
            rules=SpeechRules(**rules),
            prices=DEAR,
        )

    async def order(self, user: str, *, own: bool, sealed_for: str | None = None) -> SpeechJob:
        file_id = str(uuid4())
        job = SpeechJob(
            job_id=ids.speech_job(file_id),
            user_id=user,
            file_id=file_id,
            form=next(self.forms),  # each is another file of the same parts
            own_token=own,
        )
        order = SpeechOrder(text=TEXT, voice="nova", format=job.form)
        async with self.database.write() as tx:
            await tx.speech.add(file_id, user, job.job_id, order, keep_seconds=99)
            await tx.jobs.create(
                job.job_id, user, kind=ids.SPEECH, subject_id=file_id,
                request=job.model_dump(mode="json"), deadline_seconds=99,
            )  # fmt: skip
            if own:
                sealed = SEALS.seal(OWN, sealed_for or job.job_id)
                await tx.secrets.keep(job.job_id, user, sealed)
        return job

    async def plan(self, job: SpeechJob) -> SpeechPlan:
        return await ActivityEnvironment().run(self.steps.plan_speech, job)

    async def speak(self, job: SpeechJob, tier: int = 0) -> None:
        voice = (await self.plan(job)).tiers[tier].voice
        order = SpeakPart(job=job, voice=voice, index=0)
        await ActivityEnvironment().run(self.steps.speak_part, order)

    async def tiers(self, job: SpeechJob) -> list[str]:
        return [tier.voice.name for tier in (await self.plan(job)).tiers]


@pytest.fixture
def user() -> str:
    return str(uuid4())


async def test_a_token_is_for_the_tier_that_takes_it_and_others_come_behind_it_or_not_at_all(
    database: Database, user: str
) -> None:
    readers, lenient = Readers(database), Readers(database, own_token_fallback=True)
    ours, theirs = await readers.order(user, own=False), await readers.order(user, own=True)
    assert (await readers.tiers(ours), await readers.tiers(theirs)) == (["tier"], ["own"])
    assert (await lenient.tiers(ours), await lenient.tiers(theirs)) == (["tier"], ["own", "tier"])
    await lenient.speak(theirs, 1)
    assert lenient.speaker.tokens == [None]


async def test_a_call_that_its_token_pays_is_counted_and_costs_us_nothing(
    database: Database, user: str
) -> None:
    readers = Readers(database)
    ours, theirs = await readers.order(str(uuid4()), own=False), await readers.order(user, own=True)
    for job, pays, micros in ((ours, None, 15), (theirs, OWN, 0)):
        await readers.speak(job)
        async with database.read() as tx:
            (attempt,) = await tx.attempts.list(job.job_id, job.user_id)
        said = TEXT.split("\n\n", maxsplit=1)[0]
        assert (attempt.characters, attempt.cost_micros) == (len(said), micros * len(said))
        assert readers.speaker.tokens[-1] == pays


async def test_what_a_token_paid_for_serves_its_user_alone_also_where_parts_are_shared(
    database: Database, user: str
) -> None:
    readers = Readers(database, scope=EVERYBODY)
    await readers.speak(await readers.order(user, own=True))
    for owner, own, missing in (
        (str(uuid4()), False, (0, 1)),
        (str(uuid4()), True, (0, 1)),
        (user, True, (1,)),
    ):
        job = await readers.order(owner, own=own)
        assert (await readers.plan(job)).tiers[0].missing == missing


async def test_nobody_is_asked_without_the_token_or_with_that_of_another_job(
    database: Database, user: str
) -> None:
    readers = Readers(database)
    gone, moved = [
        await readers.order(user, own=True, sealed_for=about) for about in (None, "speech-other")
    ]
    async with database.write() as tx:
        await tx.secrets.forget(gone.job_id, user)
    with pytest.raises(ProviderOut) as raised:
        await readers.speak(gone)
    with pytest.raises(Rejected) as broken:
        await readers.speak(moved)
    assert (raised.value.code, broken.value.code) == ("vendor_token_gone", "seal_broken")
    assert readers.speaker.calls == []
    async with database.read() as tx:
        for job in (gone, moved):
            assert await tx.attempts.list(job.job_id, user) == []
