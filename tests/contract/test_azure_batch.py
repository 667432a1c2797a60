"""Jobs of Azure batch transcription against its stand-in: made once, found, deleted."""

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from contracts.batch import BatchPhase, VendorJob, staging_key
from contracts.errors import (
    ProviderBroken,
    ProviderBusy,
    ProviderOut,
)
from contracts.transcript import join_parts
from tests.fakes.azure_site import (
    FACTS,
    OPERATION,
    SECONDS,
    Azure,
    azure_site,
    batch_of,
    linked,
)
from tests.fakes.listening import made_up
from tests.media.recordings import tone, write_wav


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with azure_site() as site:
        yield site


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("azure") / "audio.wav", tone(SECONDS))


@pytest.fixture
async def link(audio: Path) -> AsyncIterator[str]:
    async with linked(audio) as address:
        yield address


async def test_a_job_waits_runs_and_gives_what_was_said(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await batch.submit(OPERATION, link, FACTS, languages=["en-US"], diarization=True)
    phases = [(await batch.state(job)).phase for _ in range(3)]
    assert phases == [BatchPhase.WAITING, BatchPhase.RUNNING, BatchPhase.SUCCEEDED]
    part = await batch.results(job, FACTS, languages=["en-US"])
    transcript = join_parts([part], SECONDS)
    said = made_up(SECONDS)
    assert transcript.text == " ".join(each.text for each in said)
    assert [(w.text, w.offset, w.duration) for w in transcript.words] == [
        word for each in said for word in each.words
    ]
    assert [u.speaker for u in transcript.utterances] == [1, 2, 1]
    assert transcript.languages == ("en-US",)


async def test_a_job_is_asked_for_as_the_settings_say(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    await batch.submit(OPERATION, link, FACTS, languages=["de-CH", "en"], diarization=True)
    made = azure.fakes[0].calls[0]["made"]
    assert (made["displayName"], made["contentUrls"], made["locale"]) == (
        OPERATION,
        [link],
        "de-CH",
    )
    assert made["properties"] == {
        "timeToLiveHours": 48,
        "wordLevelTimestampsEnabled": True,
        "displayFormWordLevelTimestampsEnabled": True,
        "punctuationMode": "DictatedAndAutomatic",
        "profanityFilterMode": "None",
        "channels": [0],
        "diarization": {"enabled": True, "maxSpeakers": 10},
        "languageIdentification": {
            "candidateLocales": ["de-CH", "en-GB"],
            "mode": "Continuous",
        },
    }


@pytest.mark.parametrize(
    ("change", "languages", "diarization"),
    [({"channels": 2}, ["en"], True), ({"seconds": 14_401.0}, ["en"], True), ({}, ["en"], False)],
)
async def test_speakers_are_told_apart_in_mono_of_four_hours_at_most(
    azure: Azure, link: str, change: dict[str, Any], languages: list[str], *, diarization: bool
) -> None:
    facts = FACTS.model_copy(update=change)
    await batch_of(azure).submit(
        OPERATION, link, facts, languages=languages, diarization=diarization
    )
    properties = azure.fakes[0].calls[0]["made"]["properties"]
    assert "diarization" not in properties
    assert "languageIdentification" not in properties


async def test_how_long_to_wait_before_asking_again_is_passed_on(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    azure.fakes[0].batch.retry_after = 45
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert [(await batch.state(job)).retry_after for _ in range(3)] == [45, 45, None]


@pytest.mark.parametrize(
    "fault",
    [
        {"cut": "answer"},
        {"cut": "body"},
        {"body": ""},
        {"body": '{"self": "https://x.example/"}'},
        {"status": 504},
    ],
)
async def test_a_submission_whose_answer_was_lost_is_found_before_it_is_bought_again(
    azure: Azure, link: str, fault: dict[str, Any]
) -> None:
    batch = batch_of(azure)
    assert list(await batch.find(OPERATION)) == []
    azure.fakes[0].fault(call="submit", **fault)
    with pytest.raises(ProviderBusy):
        await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    [made] = azure.fakes[0].batch.jobs
    assert await batch.find(OPERATION) == [VendorJob(id=made, credential="north-0")]


async def test_only_jobs_of_the_very_operation_are_found_whatever_the_vendor_lists(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    name = "memo-it's:1"
    for operation in (OPERATION, f"{OPERATION}.2", name):
        await batch.submit(operation, link, FACTS, languages=[], diarization=True)
    assert len(await batch.find(OPERATION)) == 1
    assert len(await batch.find(name)) == 1
    address = f"{azure.fakes[0].url}/speechtotext/transcriptions?api-version=2025-10-15"
    async with httpx.AsyncClient() as client:
        whole = await client.get(address, headers={"ocp-apim-subscription-key": "key-0"})
    assert len(whole.json()["values"]) == 3
    azure.fakes[0].fault(call="transcriptions$", body=whole.text)
    assert len(await batch.find(OPERATION)) == 1


async def test_a_job_is_found_by_whichever_credential_made_it_over_all_pages(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    azure.fakes[2].batch.page = 2
    for _ in range(5):
        azure.fakes[2].batch.submit(
            {
                "contentUrls": [link],
                "locale": "en-US",
                "displayName": OPERATION,
                "properties": {"timeToLiveHours": 6},
            }
        )
    found = await batch.find(OPERATION)
    assert [job.id for job in found] == list(azure.fakes[2].batch.jobs)
    assert {job.credential for job in found} == {"south-2"}


async def test_nothing_is_said_to_be_absent_while_one_resource_cannot_be_asked(
    azure: Azure,
) -> None:
    azure.fakes[2].fault(status=503, undone=True)
    with pytest.raises(ProviderBusy):
        await batch_of(azure).find(OPERATION)


async def test_a_credential_that_is_out_sees_no_jobs_and_hinders_no_other(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    for fake in azure.fakes[:2]:
        fake.fault(status=401, undone=True)
    assert list(await batch.find(OPERATION)) == []
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert job.credential == "south-2"
    azure.fakes[2].fault(status=401, undone=True)
    with pytest.raises(ProviderOut):
        await batch.find(OPERATION)


async def test_a_job_is_deleted_finished_or_not_once_or_again(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    await batch.delete(job)
    await batch.delete(job)
    assert not azure.fakes[0].batch.jobs
    azure.fakes[0].fault(call="DELETE", status=404, undone=True)
    await batch.delete(job)
    with pytest.raises(ProviderBroken) as raised:
        await batch.state(job)
    assert raised.value.code == "not_at_vendor"
    assert azure.speech.first().name == "north-0"


async def test_a_job_of_a_credential_that_is_configured_no_more_is_out_of_reach(
    azure: Azure,
) -> None:
    with pytest.raises(ProviderOut):
        await batch_of(azure).state(VendorJob(id="x", credential="east-1"))


async def test_a_refused_submission_takes_the_credential_out_and_the_next_one_serves(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    azure.fakes[0].fault(status=403, undone=True)
    with pytest.raises(ProviderBusy) as raised:
        await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert raised.value.code == "credential_out"
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    assert job.credential == "north-1"


def test_the_staged_file_has_a_name_of_ours_on_every_try() -> None:
    assert staging_key(OPERATION, "wav") == "memo-1f0e-transcribe-batch.wav"
    assert staging_key("../a b/..", "w/a") == "a-b.wa"
    keys = {staging_key(f"{OPERATION}.{number}", "wav") for number in range(9)}
    assert len(keys) == 9
    assert all(one != other for one, other in itertools.pairwise(sorted(keys)))
