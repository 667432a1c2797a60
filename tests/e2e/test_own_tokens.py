"""A user's own token speaks on the real server: who is shown it, who pays, what is left of it."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from contracts.jobs import JobState
from contracts.speech_job import SpeechFile, SpeechJob, SpeechResult, SpeechState
from store.migrations import upgrade
from tests.counts import count, payloads_in
from tests.e2e.mortal import Mortal
from tests.fakes.openai import FakeOpenAI
from tests.spoken import ordered, paragraphs, start

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

OWN: Final = "sk-own-mirabelle"
OURS: Final = "test"
"""The key of the server, as ``Site`` has it."""
SHORT: Final = "The lighthouse keeper counted seven ships before the fog came in."
QUOTA: Final = json.dumps({"error": {"message": "No money", "code": "insufficient_quota"}})
BASE: Final = {"TOKEN_SIGN_IN": "true", "SPEECH_TIERS": "openai,local"}


@pytest.fixture
async def site(environment: WorkflowEnvironment, tmp_path: Path) -> AsyncIterator[Mortal]:
    vendor = FakeOpenAI()
    await vendor.start()
    await upgrade(f"sqlite:///{tmp_path / 'voicekeep.db'}")
    site = Mortal(environment.client, tmp_path, vendor)
    yield site
    await site.close()


def bearers(site: Mortal) -> list[str]:
    """Who paid for each call that spoke."""
    return [each["bearer"] for each in site.vendor.calls if each["path"] == "/v1/audio/speech"]


async def kept(site: Mortal, job: SpeechJob) -> tuple[SpeechFile, str | None]:
    """The file, and what is left of the token."""
    async with site.database.read() as tx:
        file = await tx.speech.find(job.file_id, job.user_id)
        secret = await tx.secrets.find(job.job_id, job.user_id)
    assert file is not None
    return file, secret


def written(folder: Path) -> Iterator[bytes]:
    """Every file of the data folder, the database with its journal among them."""
    return (path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def told(handle: WorkflowHandle[Any, SpeechResult]) -> list[bytes]:
    """What its history holds."""
    history = await handle.fetch_history()
    found = [payload.data for payload in payloads_in(history.events)]
    return [*found, history.to_json().encode()]


async def failed(handle: WorkflowHandle[Any, SpeechResult]) -> None:
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), 60)


async def test_a_token_speaks_where_the_server_has_no_key_and_costs_nobody_else(
    site: Mortal,
) -> None:
    job = await ordered(site, SHORT, token=OWN)
    async with site.working(**BASE, OPENAI_API_KEY=None):
        handle = await start(site, job)
        result = await handle.result()
    assert (result.state, result.tier, bearers(site)) == (JobState.COMPLETED, "openai-own", [OWN])
    counts = count(await handle.fetch_history())
    assert (counts.actions, counts.events) == (4, 18)
    file, secret = await kept(site, job)
    assert (file.state, file.tier, secret) == (SpeechState.READY, "openai-own", None)
    async with site.database.read() as tx:
        (attempt,) = await tx.attempts.list(job.job_id, job.user_id)
        balance = await tx.credits.balance(job.user_id)
    assert (attempt.characters, attempt.cost_micros) == (len(SHORT), 0)
    assert (balance.credits, balance.held) == (150, 0)
    assert not any(OWN.encode() in text for text in [*written(site.folder), *await told(handle)])
    assert await site.broken() == []


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 401}, "vendor_token_refused"),
        ({"status": 429, "body": QUOTA}, "vendor_token_refused"),
        ({"status": 400}, "provider_broken"),
    ],
    ids=["revoked", "no money", "not taken"],
)
async def test_a_token_that_comes_to_nothing_fails_the_text_and_our_keys_do_not_step_in(
    site: Mortal, fault: dict[str, Any], code: str
) -> None:
    job = (await ordered(site, paragraphs(2), token=OWN)).model_copy(update={"window": 1})
    site.vendor.fault(call="audio/speech")  # the first part is spoken
    site.vendor.fault(**fault, call="audio/speech")
    async with site.working(**BASE):
        handle = await start(site, job)
        await failed(handle)
    file, secret = await kept(site, job)
    assert (file.state, file.error_code, secret) == (SpeechState.FAILED, code, None)
    assert bearers(site) == [OWN, OWN]
    assert not any(OWN.encode() in text for text in [*written(site.folder), *await told(handle)])


async def test_our_tiers_step_in_where_the_setting_says_so_and_are_not_shown_the_token(
    site: Mortal,
) -> None:
    job = await ordered(site, SHORT, token=OWN)
    site.vendor.fault(status=401, call="audio/speech")
    async with site.working(**BASE, SPEECH_OWN_TOKEN_FALLBACK="true"):
        result = await (await start(site, job)).result()
    assert (result.tier, bearers(site)) == ("openai", [OWN, OURS])
    assert (await kept(site, job))[1] is None


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"TOKEN_SIGN_IN": "false"}, "own_token_not_taken"),
        ({"SESSION_KEY": "another key than the API has, 32 and more"}, "seal_broken"),
    ],
    ids=["closed", "another key"],
)
async def test_a_worker_that_cannot_open_a_token_says_so_and_spends_nothing(
    site: Mortal, settings: dict[str, str], code: str
) -> None:
    job = await ordered(site, SHORT, token=OWN)
    async with site.working(**BASE | settings):
        await failed(await start(site, job))
    file, secret = await kept(site, job)
    assert (file.error_code, secret, bearers(site)) == (code, None, [])


async def test_a_worker_that_dies_before_it_wrote_the_answer_down_asks_with_the_same_token(
    site: Mortal,
) -> None:
    site.settings_of_worker = {key: str(value) for key, value in BASE.items()}
    job = await ordered(site, SHORT, token=OWN)
    async with site.worker("speak_part", "recording"):
        result = await asyncio.wait_for((await start(site, job)).result(), 100)
    assert (site.deaths, result.state) == (1, JobState.COMPLETED)
    assert bearers(site) == [OWN, OWN]
    assert (await kept(site, job))[1] is None
    assert not any(OWN.encode() in text for text in written(site.folder))
    assert await site.broken() == []
