"""Speech by tokens of users over a real socket: each speaks for itself, and none of ours does."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from contracts.errors import ProviderBusy, ProviderFailure, ProviderOut
from contracts.speech import Piece
from contracts.speech_setup import SpeechSetup
from contracts.voices import OPENAI, OPENAI_OWN
from providers.azure_speech import AzureSpeech
from providers.openai_speech import OpenAISpeech
from providers.process_pool import ProcessPool
from providers.speech_setup import Closable, Speaker, speakers
from tests.fakes.openai import FakeOpenAI

OURS = "sk-ours"


@pytest.fixture
async def vendor() -> AsyncIterator[FakeOpenAI]:
    vendor = FakeOpenAI()
    await vendor.start()
    yield vendor
    await vendor.aclose()


@pytest.fixture
async def engine(
    vendor: FakeOpenAI, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[OpenAISpeech]:
    """As it is made where our own organization is named for the SDK."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-ours")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-ours")
    engine = OpenAISpeech(api_key="", base_url=vendor.base_url, timeout=20, own_tokens=True)
    yield engine
    await engine.aclose()


def piece(token: str | None) -> Piece:
    secret = None if token is None else SecretStr(token)
    return Piece(text="Seven ships.", voice="nova", model="tts-1", token=secret)


async def test_tokens_at_once_are_not_mixed_up_and_none_is_kept(
    vendor: FakeOpenAI, engine: OpenAISpeech, tmp_path: Path
) -> None:
    tokens = [f"sk-{number}" for number in range(6)]
    async with asyncio.TaskGroup() as group:
        for token in tokens:
            group.create_task(engine.synthesize(piece(token), tmp_path / token))
    assert sorted(call["bearer"] for call in vendor.calls) == tokens
    assert {(call["organization"], call["project"]) for call in vendor.calls} == {(None, None)}
    with pytest.raises(ProviderOut):
        await engine.synthesize(piece(None), tmp_path / "none")
    assert len(vendor.calls) == len(tokens)


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (401, "invalid_api_key", ProviderOut, "vendor_token_refused"),
        (402, "x", ProviderOut, "vendor_token_refused"),
        (403, "x", ProviderOut, "vendor_token_refused"),
        (429, "insufficient_quota", ProviderOut, "vendor_token_refused"),
        (429, "rate_limit_exceeded", ProviderBusy, "provider_busy"),
        (404, "model_not_found", ProviderOut, "provider_out"),
        (500, "x", ProviderBusy, "provider_busy"),
    ],
)
async def test_what_is_said_to_a_token_is_told_from_what_is_said_to_the_request(
    vendor: FakeOpenAI,
    engine: OpenAISpeech,
    tmp_path: Path,
    *,
    status: int,
    code: str,
    kind: type[ProviderFailure],
    told: str,
) -> None:
    body = f'{{"error": {{"message": "Not with sk-medlar", "code": "{code}"}}}}'
    vendor.fault(status=status, body=body, undone=True)
    with pytest.raises(ProviderFailure) as raised:
        await engine.synthesize(piece("sk-medlar"), tmp_path / "part")
    assert (type(raised.value), raised.value.code) == (kind, told)
    assert "sk-medlar" not in raised.value.message


async def test_the_tier_of_own_tokens_stands_behind_the_others_without_a_key(
    vendor: FakeOpenAI, tmp_path: Path
) -> None:
    closing: list[Closable] = []

    def azure() -> AzureSpeech:
        raise AssertionError("Azure is no tier here")

    def built(*tiers: str, own_tokens: bool) -> dict[str, Speaker]:
        setup = SpeechSetup(
            tiers=tiers,
            call_seconds=9,
            own_tokens=own_tokens,
            openai_key=SecretStr(OURS),
            openai_url=vendor.base_url,
            openai_model="tts-1",
        )
        return speakers(setup, ProcessPool(workers=1), azure, closing.append)

    assert list(built(OPENAI, own_tokens=False)) == [OPENAI]
    assert list(built(own_tokens=True)) == [OPENAI_OWN]
    both = built(OPENAI, own_tokens=True)
    assert [(name, each.offer.own_token) for name, each in both.items()] == [
        (OPENAI, False),
        (OPENAI_OWN, True),
    ]
    for name, token in ((OPENAI, "sk-stray"), (OPENAI_OWN, "sk-theirs")):
        await both[name].engine.synthesize(piece(token), tmp_path / name)
    assert [call["bearer"] for call in vendor.calls] == [OURS, "sk-theirs"]
    for each in closing:
        await each.aclose()
