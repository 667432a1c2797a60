"""A text is read aloud on the real server: what it costs, what is bought, what a death leaves."""

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.speech_job import SpeechFile, SpeechJob, SpeechState
from contracts.tiers import AttemptOutcome
from store.migrations import upgrade
from tests.counts import count, payloads_in
from tests.e2e.mortal import Mortal
from tests.fakes.openai import FakeOpenAI
from tests.site import Site
from tests.spoken import ordered, paragraphs, start

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

SHORT = "The lighthouse keeper counted seven ships before the fog came in."


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    site.settings_of_worker = {"SPEECH_TIERS": "openai"}
    yield site
    await site.close()


def bought(site: Site) -> int:
    return sum(call["path"] == "/v1/audio/speech" for call in site.vendor.calls)


async def file_of(site: Site, job: SpeechJob) -> SpeechFile:
    async with site.database.read() as tx:
        file = await tx.speech.find(job.file_id, job.user_id)
    assert file is not None
    return file


async def parts_of(site: Site, job: SpeechJob) -> list[str]:
    """Where the parts of a file are stored."""
    stored = [each.key async for each in site.files.list(f"{job.user_id}/{job.file_id}/")]
    return sorted(key for key in stored if "/part_" in key)


async def seconds_of(site: Site, file: SpeechFile) -> float:
    """Length of a stored WAV."""
    assert file.key is not None
    data = b"".join([chunk async for chunk in site.files.read(file.key)])
    with wave.open(io.BytesIO(data)) as wav:
        return float(wav.getnframes() / wav.getframerate())


async def test_a_short_text_costs_four_actions_and_at_most_twenty_events(site: Mortal) -> None:
    job = await ordered(site, SHORT, price=3)
    async with site.working(SPEECH_TIERS="openai"):
        handle = await start(site, job)
        result = await handle.result()
    history = await handle.fetch_history()
    counts = count(history)
    assert (counts.actions, counts.events) == (4, 18)
    assert counts.largest_payload < 2_000
    assert (result.parts, result.bought, result.tier) == (1, 1, "openai")
    assert bought(site) == 1
    words = SHORT.encode()
    assert not any(words[:20] in payload.data for payload in payloads_in(history.events))
    file = await file_of(site, job)
    assert file.state is SpeechState.READY
    assert await seconds_of(site, file) == pytest.approx(file.seconds, abs=0.001)
    async with site.database.read() as tx:
        balance = await tx.credits.balance(job.user_id)
        (attempt,) = await tx.attempts.list(job.job_id, job.user_id)
    assert (balance.credits, balance.held) == (147, 0)
    assert (attempt.outcome, attempt.step, attempt.characters) == (
        AttemptOutcome.SUCCEEDED,
        "speak",
        len(SHORT),
    )
    assert await site.broken() == []


async def test_one_changed_paragraph_is_bought_and_the_others_are_there(site: Mortal) -> None:
    text = paragraphs(6)
    first = await ordered(site, text)
    changed = await ordered(
        site, text.replace("number 4", "number four hundred"), user_id=first.user_id
    )
    stranger = await ordered(site, paragraphs(2))
    async with site.working(SPEECH_TIERS="openai"):
        assert (await (await start(site, first)).result()).bought == 6
        assert (await (await start(site, changed)).result()).bought == 1
        assert (await (await start(site, stranger)).result()).bought == 2
    assert bought(site) == 9
    whole, other = await file_of(site, first), await file_of(site, changed)
    assert whole.seconds != other.seconds
    assert await seconds_of(site, other) == pytest.approx(other.seconds, abs=0.001)


async def test_parts_whose_samples_are_lost_before_they_are_joined_are_bought_once_more(
    site: Mortal,
) -> None:
    first = await ordered(site, paragraphs(4), price=2)
    async with site.working(SPEECH_TIERS="openai"):
        await (await start(site, first)).result()
        parts = await parts_of(site, first)
        for part in parts[1:3]:
            await site.files.delete(part)
        other = await ordered(site, paragraphs(5), user_id=first.user_id, price=2)
        result = await (await start(site, other)).result()
    assert (result.state, result.bought, bought(site)) == (JobState.COMPLETED, 3, 7)
    file = await file_of(site, other)
    assert await seconds_of(site, file) == pytest.approx(file.seconds, abs=0.001)
    async with site.database.read() as tx:
        balance = await tx.credits.balance(first.user_id)
    assert (balance.credits, balance.held) == (146, 0)
    assert await site.broken() == []


async def test_equal_paragraphs_of_one_text_are_bought_once_and_heard_each_time(
    site: Mortal,
) -> None:
    once = paragraphs(1)
    single, thrice = await ordered(site, once), await ordered(site, "\n\n".join([once] * 3))
    async with site.working(SPEECH_TIERS="openai"):
        await (await start(site, single)).result()
        result = await (await start(site, thrice)).result()
    assert (result.parts, result.bought, bought(site)) == (3, 1, 2)
    one, three = await file_of(site, single), await file_of(site, thrice)
    # What the stand-in says of one text differs by some milliseconds from call to call.
    assert three.seconds == pytest.approx(3 * (one.seconds or 0), abs=0.1)


async def test_a_worker_killed_between_part_7_and_part_8_buys_none_again(site: Mortal) -> None:
    job = (await ordered(site, paragraphs(12))).model_copy(update={"window": 1})
    site.settings_of_worker["DEATH_AT"] = "7"
    async with site.worker("speak_part", "after"):
        result = await asyncio.wait_for((await start(site, job)).result(), 100)
    assert site.deaths == 1
    assert result.state is JobState.COMPLETED
    assert bought(site) == 12
    file = await file_of(site, job)
    assert await seconds_of(site, file) == pytest.approx(file.seconds, abs=0.001)
    assert await site.broken() == []


async def test_a_tier_that_fails_in_one_part_gives_way_in_all_of_them(site: Mortal) -> None:
    job = await ordered(site, paragraphs(3))  # its language is found out
    site.vendor.fault(status=400, times=1, undone=True, call="audio/speech")
    async with site.working(SPEECH_TIERS="openai,local", SPEECH_PARALLEL_PARTS=1):
        result = await (await start(site, job)).result()
    assert (result.tier, result.parts) == ("local", 3)
    assert (await file_of(site, job)).tier == "local"


async def test_a_text_nobody_can_speak_fails_free_of_charge_and_is_made_when_asked_again(
    site: Mortal,
) -> None:
    job = await ordered(site, SHORT, price=3)
    site.vendor.fault(status=401, times=9, undone=True, call="audio/speech")
    async with site.working(SPEECH_TIERS="openai"):
        with pytest.raises(WorkflowFailureError):
            await (await start(site, job)).result()
        file = await file_of(site, job)
        assert (file.state, file.error_code) == (SpeechState.FAILED, "provider_out")
        async with site.database.write() as tx:
            assert (await tx.credits.balance(job.user_id)).free == 150
            assert await tx.speech.again(job.file_id, job.user_id, keep_seconds=60)
            await tx.jobs.requeue(job.job_id, job.user_id, deadline_seconds=600)
        site.vendor.faults.clear()
        again = job.model_copy(update={"round": 2})
        assert (await (await start(site, again)).result()).state is JobState.COMPLETED
    async with site.database.read() as tx:
        assert (await tx.credits.balance(job.user_id)).credits == 147
    assert await site.broken() == []


async def test_a_file_deleted_while_it_is_made_ends_its_job(site: Mortal) -> None:
    job = await ordered(site, SHORT)
    site.vendor.fault(latency=2.0, call="audio/speech")
    async with site.working(SPEECH_TIERS="openai"):
        handle = await start(site, job)
        while not bought(site):
            await asyncio.sleep(0.02)
        async with site.database.write() as tx:
            assert await tx.speech.remove(job.file_id, job.user_id) == ()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    async with site.database.read() as tx:
        assert await tx.jobs.state(job.job_id, job.user_id) is JobState.FAILED


async def test_a_text_cancelled_while_it_is_spoken_ends_its_calls_and_leaves_nothing(
    site: Mortal,
) -> None:
    job = await ordered(site, paragraphs(3), price=2, language="en")
    site.vendor.fault(call="audio/speech")
    site.vendor.fault(hang=True, call="audio/speech", times=2)
    async with site.working(SPEECH_TIERS="openai"):
        handle = await start(site, job)
        while bought(site) < 3 or AttemptOutcome.SUCCEEDED not in await outcomes_of(site, job):
            await asyncio.sleep(0.02)
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
        # The calls learn of it by their heartbeats, after the job's own last word.
        async with asyncio.timeout(30):
            while None in (outcomes := await outcomes_of(site, job)):
                await asyncio.sleep(0.05)
    site.vendor.release()
    assert sorted(outcomes, key=str) == ["cancelled", "cancelled", "succeeded"]
    file = await file_of(site, job)
    assert (file.state, file.error_code) == (SpeechState.FAILED, "cancelled")
    async with site.database.read() as tx:
        balance = await tx.credits.balance(job.user_id)
    assert (balance.credits, balance.held) == (150, 0)
    assert await site.broken() == []


async def outcomes_of(site: Site, job: SpeechJob) -> list[AttemptOutcome | None]:
    """How each call of the vendor ended; none: it has not."""
    async with site.database.read() as tx:
        return [each.outcome for each in await tx.attempts.list(job.job_id, job.user_id)]
