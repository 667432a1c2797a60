"""Staging for batch transcription, on Azurite: Microsoft's own stand-in for blob storage."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from temporalio.testing import ActivityEnvironment

from activities.batch import BatchEngine, StagingSweep
from activities.batch_ports import Staging
from contracts.batch import staging_key
from contracts.errors import ProviderBusy, ProviderOut
from providers.azure_batch import AzureBatch, BatchOptions
from providers.azure_blob_staging import BLOCK_BYTES, AzureBlobStaging
from providers.azure_speech import AzureSpeech, SpeechCredential
from tests import azurite as published
from tests.azurite import Azurite
from tests.fakes.azure import FakeAzure
from tests.fakes.azure_site import FACTS, OPERATION, SECONDS
from tests.fakes.forwarding import Forwarding
from tests.fakes.listening import made_up
from tests.media.memory import MEGABYTE, at_most
from tests.media.recordings import tone, wav

UNUSED = AzureBatch(
    AzureSpeech([], api_version="", timeout=1),
    BatchOptions(locales=("en-US",), speakers=2, max_bytes=1, staging_url=""),
)
KEY = staging_key(OPERATION, "wav")
HOUR = timedelta(hours=1)


def staging_at(
    url: str, *, key: str = published.KEY, container: str = "staging"
) -> AzureBlobStaging:
    return AzureBlobStaging(
        account_url=url, account=published.ACCOUNT, key=key, container=container, timeout=20
    )


@pytest.fixture
async def staging(azurite: Azurite) -> AsyncIterator[AzureBlobStaging]:
    staging = staging_at(azurite.url)
    yield staging
    await staging.aclose()


@pytest.fixture
async def outsider() -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who has nothing but an address."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "audio.wav"
    path.write_bytes(wav(tone(SECONDS)))
    return path


async def test_whoever_has_the_link_reads_the_file_as_it_is(
    staging: Staging, outsider: httpx.AsyncClient, audio: Path
) -> None:
    link = await staging.stage(KEY, audio, media_type="audio/wav")
    answer = await outsider.get(link)
    assert answer.content == audio.read_bytes()
    assert answer.headers["content-type"] == "audio/wav"


async def test_without_the_signature_nobody_reads_it_and_the_link_opens_nothing_else(
    staging: Staging, outsider: httpx.AsyncClient, audio: Path
) -> None:
    link = await staging.stage(KEY, audio, media_type="audio/wav")
    other = await staging.stage("other.wav", audio, media_type="audio/wav")
    bare, _, signature = link.partition("?")
    assert (await outsider.get(bare)).status_code in {401, 403, 404}
    assert (await outsider.get(f"{other.partition('?')[0]}?{signature}")).status_code == 403
    assert (await outsider.delete(link)).status_code == 403
    assert (await outsider.put(link, content=b"")).status_code >= 400


async def test_the_link_is_for_reading_from_five_minutes_ago_for_more_than_a_day(
    staging: Staging, audio: Path
) -> None:
    link = await staging.stage(KEY, audio, media_type="audio/wav")
    query = {name: value[0] for name, value in parse_qs(urlsplit(link).query).items()}
    start, end = (datetime.fromisoformat(query[name]) for name in ("st", "se"))
    now = datetime.now(UTC)
    assert query["sp"] == "r"
    assert 0 < (now - start - timedelta(minutes=5)).total_seconds() + 5 < 60
    assert 24 * HOUR < end - now <= 48 * HOUR


async def test_a_large_file_is_staged_block_by_block(
    azurite: Azurite, outsider: httpx.AsyncClient, tmp_path: Path
) -> None:
    path = tmp_path / "large.wav"
    path.write_bytes(wav(tone(1) * 300))
    assert path.stat().st_size > 2 * BLOCK_BYTES
    before = Forwarding(azurite.url.removesuffix(f"/{published.ACCOUNT}"))
    staging = staging_at(f"{await before.start()}/{published.ACCOUNT}")
    link = await staging.stage(KEY, path, media_type="audio/wav")
    sent = [call["bytes"] for call in before.calls]
    assert max(sent) == BLOCK_BYTES
    assert sum(sent) > path.stat().st_size
    assert (await outsider.get(link)).content == path.read_bytes()
    await staging.aclose()
    await before.aclose()


async def test_a_large_file_is_never_in_memory_as_a_whole(staging: Staging, tmp_path: Path) -> None:
    path = tmp_path / "large.wav"
    with path.open("wb") as file:
        file.truncate(64 * MEGABYTE)
    await staging.remove(KEY)
    with at_most(16 * MEGABYTE):
        await staging.stage(KEY, path, media_type="audio/wav")
    assert await staging.remove(KEY)


async def test_a_second_try_writes_over_the_first(
    staging: Staging, outsider: httpx.AsyncClient, audio: Path, tmp_path: Path
) -> None:
    await staging.stage(KEY, audio, media_type="audio/wav")
    other = tmp_path / "other.wav"
    other.write_bytes(wav(tone(1)))
    link = await staging.stage(KEY, other, media_type="audio/wav")
    assert (await outsider.get(link)).content == other.read_bytes()


async def test_what_is_removed_is_gone_and_removing_it_again_is_no_error(
    staging: Staging, outsider: httpx.AsyncClient, audio: Path
) -> None:
    link = await staging.stage(KEY, audio, media_type="audio/wav")
    assert await staging.remove(KEY)
    assert (await outsider.get(link)).status_code == 404
    assert not await staging.remove(KEY)
    assert not await staging.remove("never.wav")


async def test_what_nobody_removed_is_swept_when_it_is_old(
    azurite: Azurite, outsider: httpx.AsyncClient, audio: Path
) -> None:
    staging = staging_at(azurite.url, container="left-behind")
    sweep = StagingSweep({"azure-batch": BatchEngine(transcriber=UNUSED, staging=staging)})
    assert await staging.sweep(0) == 0  # there is no container yet
    links = [await staging.stage(f"{n}-{KEY}", audio, media_type="audio/wav") for n in range(2)]
    assert await ActivityEnvironment().run(sweep.remove) == 0
    assert [(await outsider.get(link)).status_code for link in links] == [200, 200]
    assert await staging.sweep(-60) == 2
    assert [(await outsider.get(link)).status_code for link in links] == [404, 404]
    await staging.aclose()


async def test_a_long_list_of_what_is_left_is_swept_page_by_page(
    azurite: Azurite, tmp_path: Path
) -> None:
    staging, many = staging_at(azurite.url, container="many-left"), 130
    path = tmp_path / "audio.wav"
    path.write_bytes(b"RIFF")
    for number in range(many):
        await staging.stage(f"{number}-{'n' * 200}-{KEY}", path, media_type="audio/wav")
    assert await staging.sweep(-60) == many
    assert await staging.sweep(-60) == 0
    await staging.aclose()


async def test_storage_that_is_away_leaves_the_sweep_to_the_next_tick() -> None:
    staging = staging_at("http://127.0.0.1:9/devstoreaccount1")
    sweep = StagingSweep({"azure-batch": BatchEngine(transcriber=UNUSED, staging=staging)})
    assert await ActivityEnvironment().run(sweep.remove) == 0
    await staging.aclose()


async def test_a_missing_container_is_made_by_whoever_comes_first(
    azurite: Azurite, audio: Path
) -> None:
    for _ in range(2):
        staging = staging_at(azurite.url, container="made-when-missing")
        assert not await staging.remove(KEY)
        await staging.stage(KEY, audio, media_type="audio/wav")
        assert await staging.remove(KEY)
        await staging.aclose()


async def test_a_container_that_vanishes_is_made_again_on_the_next_try(
    azurite: Azurite, audio: Path
) -> None:
    staging = staging_at(azurite.url, container="vanishing")
    await staging.stage(KEY, audio, media_type="audio/wav")
    service = await staging._opened()
    await service.delete_container("vanishing")
    with pytest.raises(ProviderBusy):
        await staging.stage(KEY, audio, media_type="audio/wav")
    await staging.stage(KEY, audio, media_type="audio/wav")
    await staging.aclose()


async def test_a_wrong_key_of_the_account_is_out(azurite: Azurite, audio: Path) -> None:
    staging = staging_at(azurite.url, key="d3Jvbmc=")
    with pytest.raises(ProviderOut) as raised:
        await staging.stage(KEY, audio, media_type="audio/wav")
    assert "d3Jvbmc" not in str(raised.value)
    with pytest.raises(ProviderOut):
        await staging.remove(KEY)
    await staging.aclose()


async def test_batch_transcription_reads_what_is_staged(
    azurite: Azurite, staging: Staging, audio: Path
) -> None:
    vendor = FakeAzure()
    credential = SpeechCredential("north", "north", await vendor.start(), "key")
    speech = AzureSpeech([credential], api_version="2025-10-15", timeout=20)
    batch = AzureBatch(
        speech,
        BatchOptions(
            locales=("en-US",), speakers=10, max_bytes=1_000_000_000, staging_url=azurite.url
        ),
    )
    link = await staging.stage(KEY, audio, media_type="audio/wav")
    job = await batch.submit(OPERATION, link, FACTS, languages=[], diarization=True)
    while not (await batch.state(job)).done:
        pass
    part = await batch.results(job, FACTS, languages=[])
    assert [u.text for u in part.utterances] == [each.text for each in made_up(SECONDS)]
    await batch.delete(job)
    assert await staging.remove(KEY)
    await speech.aclose()
    await vendor.aclose()
