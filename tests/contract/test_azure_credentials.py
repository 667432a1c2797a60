"""Which credential of Azure's is used: each behind a circuit of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from contracts.errors import (
    FormatNotTaken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
)
from providers.azure_fast import AzureFast
from providers.azure_speech import LONGEST_REST, OUT_SECONDS, AzureSpeech
from tests.fakes.azure_site import FAST, SECONDS, Azure, azure_site, hear
from tests.media.recordings import tone, write_wav


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    async with azure_site() as site:
        yield site


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_wav(tmp_path_factory.mktemp("azure") / "audio.wav", tone(SECONDS))


async def test_each_tier_uses_its_credential(azure: Azure, audio: Path) -> None:
    await hear(AzureFast(azure.speech, FAST), audio)
    await hear(AzureFast(azure.speech, FAST, choose=AzureSpeech.other_region), audio)
    await hear(AzureFast(azure.speech, FAST, converted=True), audio)
    assert azure.calls == [["key-0", "key-0"], [], ["key-2"]]


@pytest.mark.parametrize("status", [401, 402, 403, 404])
async def test_a_refused_credential_is_out_loudly_and_the_next_one_serves(
    azure: Azure, audio: Path, status: int
) -> None:
    fast = AzureFast(azure.speech, FAST)
    azure.fakes[0].fault(status=status, undone=True)
    with capture_logs() as logs, pytest.raises(ProviderBusy) as raised:
        await hear(fast, audio)
    assert raised.value.code == "credential_out"
    [entry] = [each for each in logs if each["event"] == "azure.credential_out"]
    assert (entry["log_level"], entry["resource"]) == ("error", "north-0")
    assert "key-0" not in str(logs)
    await hear(fast, audio)
    await hear(fast, audio)
    assert azure.calls == [["refused"], ["key-1", "key-1"], []]


async def test_a_credential_that_was_out_is_tried_again_after_a_while(
    azure: Azure, audio: Path
) -> None:
    azure.fakes[0].fault(status=401, undone=True)
    fast = AzureFast(azure.speech, FAST)
    with pytest.raises(ProviderBusy):
        await hear(fast, audio)
    azure.clock.now += OUT_SECONDS
    await hear(fast, audio)
    assert len(azure.fakes[0].calls) == 2


async def test_when_every_credential_is_out_the_tier_is_and_nobody_is_called(
    azure: Azure, audio: Path
) -> None:
    for fake in azure.fakes:
        fake.fault(status=401, undone=True)
    fast = AzureFast(azure.speech, FAST)
    kinds = []
    for _ in range(4):
        with pytest.raises(ProviderFailure) as raised:
            await hear(fast, audio)
        kinds.append(type(raised.value))
    assert kinds == [ProviderBusy, ProviderBusy, ProviderOut, ProviderOut]
    assert [len(calls) for calls in azure.calls] == [1, 1, 1]


async def test_a_tier_in_another_region_is_out_when_there_is_no_other(
    azure: Azure, audio: Path
) -> None:
    azure.fakes[2].fault(status=403, undone=True)
    other = AzureFast(azure.speech, FAST, choose=AzureSpeech.other_region)
    for _ in range(2):
        with pytest.raises(ProviderOut):
            await hear(other, audio)
    assert [len(calls) for calls in azure.calls] == [0, 0, 1]


async def test_a_credential_that_was_told_to_wait_rests_so_long_and_no_longer(
    azure: Azure, audio: Path
) -> None:
    fast = AzureFast(azure.speech, FAST)
    azure.fakes[0].fault(status=429, headers={"retry-after": "40"}, undone=True)
    with pytest.raises(ProviderBusy) as first:
        await hear(fast, audio)
    azure.clock.now += 15
    with pytest.raises(ProviderBusy) as second:
        await hear(fast, audio)
    assert (first.value.retry_after, second.value.retry_after) == (40, 25)
    await hear(AzureFast(azure.speech, FAST, choose=AzureSpeech.other_region), audio)
    azure.clock.now += 25
    await hear(fast, audio)
    assert [len(calls) for calls in azure.calls] == [2, 0, 1]


async def test_nobody_makes_a_credential_rest_for_hours(azure: Azure, audio: Path) -> None:
    azure.fakes[0].fault(status=429, headers={"retry-after": "86400"}, undone=True)
    with pytest.raises(ProviderBusy):
        await hear(AzureFast(azure.speech, FAST), audio)
    with pytest.raises(ProviderBusy) as raised:
        azure.speech.first()
    assert raised.value.retry_after == LONGEST_REST


async def test_a_busy_vendor_keeps_its_credential(azure: Azure, audio: Path) -> None:
    fast = AzureFast(azure.speech, FAST)
    for status in (500, 503, 429):
        azure.fakes[0].fault(status=status, undone=True)
        with pytest.raises(ProviderBusy):
            await hear(fast, audio)
    await hear(fast, audio)
    assert len(azure.fakes[0].calls) == 4


async def test_no_failure_repeats_what_the_vendor_said(azure: Azure, audio: Path) -> None:
    body = '{"code": "say key-0", "message": "the key is key-0", "innerError": {"code": "K y"}}'
    azure.fakes[0].fault(status=400, body=body, undone=True)
    with capture_logs() as logs, pytest.raises(FormatNotTaken) as raised:
        await hear(AzureFast(azure.speech, FAST), audio)
    assert "key-0" not in f"{raised.value}{logs}{azure.speech.first()}"
