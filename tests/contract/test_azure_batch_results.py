"""Results of Azure batch transcription: what they say, and where they may come from."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from activities.batch_ports import BatchTranscriber
from contracts.batch import VendorJob
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderFailure,
    TooLongForProvider,
)
from tests.fakes.azure_site import FACTS, OPERATION, SECONDS, Azure, azure_site, batch_of, linked
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


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        ("InvalidAudioFormat", FormatNotTaken),
        ("AudioLengthLimitExceeded", TooLongForProvider),
        ("EmptyAudioFile", NoSpeech),
        ("InternalError", ProviderBroken),
    ],
)
@pytest.mark.parametrize("where", ["fail", "fail_file"])
async def test_a_failed_job_and_a_failed_file_say_why(
    azure: Azure, link: str, where: str, code: str, failure: type[ProviderFailure]
) -> None:
    batch = batch_of(azure)
    setattr(azure.fakes[0].batch, where, code)
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)

    async def follow() -> None:
        while not (await batch.state(job)).done:
            pass
        await batch.results(job, FACTS, languages=[])

    with pytest.raises(ProviderFailure) as raised:
        await follow()
    assert type(raised.value) is failure
    assert code in str(raised.value)
    assert "sig" not in str(raised.value)


async def finished(batch: BatchTranscriber, link: str) -> VendorJob:
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    while not (await batch.state(job)).done:
        pass
    return job


async def test_results_are_read_over_all_pages(azure: Azure, link: str) -> None:
    azure.fakes[0].batch.page = 1
    batch = batch_of(azure)
    assert (await batch.results(await finished(batch, link), FACTS, languages=[])).utterances
    assert sum(call["operation"] == "files" for call in azure.fakes[0].calls) == 2


async def test_results_come_from_known_places_alone_and_the_key_goes_to_its_resource_alone(
    azure: Azure, link: str
) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    await batch.results(job, FACTS, languages=[])
    content = [call for call in azure.fakes[0].calls if call["operation"] == "content"]
    assert {call["key"] for call in content} == {"key-0"}

    elsewhere = azure.fakes[0].url.replace("127.0.0.1", "localhost")
    azure.fakes[0].results_url = elsewhere
    with pytest.raises(ProviderBroken, match="not its own"):
        await batch.results(job, FACTS, languages=[])
    await batch_of(azure, f"{elsewhere}/account").results(job, FACTS, languages=[])
    content = [call for call in azure.fakes[0].calls if call["operation"] == "content"]
    assert [call["key"] for call in content[2:]] == [None, None]


@pytest.mark.parametrize(
    "place",
    [
        "http://a.blob.core.windows.net",
        "https://blob.core.windows.net.evil.example",
        "https://evilblob.core.windows.net.",
        "https://user@a.blob.core.windows.net",
        "file:///etc/passwd",
        "//127.0.0.1",
        "http://[::1",
        "http://169.254.169.254",
    ],
)
async def test_no_other_place_is_asked_for_results(azure: Azure, link: str, place: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    azure.fakes[0].results_url = place
    with pytest.raises(ProviderBroken, match="not its own"):
        await batch.results(job, FACTS, languages=[])


async def test_a_next_page_at_another_address_is_not_asked_for(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    strayed = '{"values": [], "@nextLink": "http://127.0.0.1:9/files"}'
    azure.fakes[0].fault(call="files$", body=strayed)
    with pytest.raises(ProviderBroken, match="not its own"):
        await batch.results(job, FACTS, languages=[])


async def test_lists_that_never_end_are_given_up(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    again = f'{{"values": [], "@nextLink": "{azure.fakes[0].url}/again"}}'
    azure.fakes[0].fault(times=1000, call="files$|again$", body=again, status=200)
    with pytest.raises(ProviderBroken, match="does not end"):
        await batch.results(job, FACTS, languages=[])


async def test_nothing_of_the_link_is_in_what_comes_back(azure: Azure, link: str) -> None:
    batch = batch_of(azure)
    job = await finished(batch, link)
    part = await batch.results(job, FACTS, languages=[])
    assert "secret-of-the-link" not in f"{job!r}{part!r}"
