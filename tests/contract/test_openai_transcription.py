"""OpenAI's transcription against its stand-in: what is asked, and every way it can fail."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from providers.openai_transcription import MAX_BYTES, OpenAITranscription
from tests.fakes.openai import FakeOpenAI, text_of, words_of
from tests.media.hearing import Recording, heard, joined, recording
from tests.media.recordings import tone


@pytest.fixture(scope="module")
def memo(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return recording(tmp_path_factory.mktemp("memo") / "memo.wav", tone(12))


@pytest.fixture(scope="module")
async def vendor() -> AsyncIterator[FakeOpenAI]:
    fake = FakeOpenAI()
    await fake.start()
    yield fake
    await fake.aclose()


@pytest.fixture(scope="module")
async def openai(vendor: FakeOpenAI) -> AsyncIterator[OpenAITranscription]:
    engine = OpenAITranscription(
        api_key="key", base_url=vendor.base_url, model="whisper-1", timeout=20
    )
    yield engine
    await engine.aclose()


async def test_the_vendors_words_come_back_whole(
    openai: OpenAITranscription, memo: Recording
) -> None:
    transcript = joined(await heard(openai, memo), memo)
    assert transcript.text == text_of(memo.facts.seconds)
    assert [each.text for each in transcript.words] == [
        each["word"] for each in words_of(memo.facts.seconds)
    ]


async def test_the_file_is_sent_as_it_is_under_a_name_of_ours(
    openai: OpenAITranscription, memo: Recording, vendor: FakeOpenAI
) -> None:
    await heard(openai, memo)
    call = vendor.calls[-1]
    assert (call["filename"], call["bytes"]) == ("audio.wav", memo.facts.size)
    assert (call["language"], call["model"]) == ("en", "whisper-1")


@pytest.mark.parametrize(
    ("model", "word_times", "speakers"),
    [
        ("whisper-1", True, 0),
        ("gpt-transcribe", False, 0),
        ("gpt-4o-transcribe-diarize", False, 2),
    ],
)
async def test_each_kind_of_model_is_asked_in_the_format_it_answers_in(
    vendor: FakeOpenAI, memo: Recording, model: str, *, word_times: bool, speakers: int
) -> None:
    engine = OpenAITranscription(api_key="", base_url=vendor.base_url, model=model, timeout=20)
    transcript = joined(await heard(engine, memo), memo)
    assert transcript.text == text_of(memo.facts.seconds)
    assert bool(transcript.words) == word_times == engine.capabilities.word_times
    assert len(transcript.speakers) == speakers
    assert engine.capabilities.diarization == bool(speakers)
    await engine.aclose()


FAULTS: list[tuple[dict[str, Any], type[ProviderFailure]]] = [
    ({"status": 400}, FormatNotTaken),
    ({"status": 400, "body": '{"error": {"message": "m", "param": "model"}}'}, ProviderOut),
    ({"status": 401}, ProviderOut),
    ({"status": 403}, ProviderOut),
    ({"status": 404}, ProviderOut),
    ({"status": 413}, TooLongForProvider),
    ({"status": 415}, FormatNotTaken),
    ({"status": 429}, ProviderBusy),
    ({"status": 429, "body": '{"error": {"code": "insufficient_quota"}}'}, ProviderOut),
    ({"status": 500}, ProviderBusy),
    ({"status": 503}, ProviderBusy),
    ({"status": 302, "headers": {"location": "http://127.0.0.1:9/"}}, ProviderBroken),
    ({"cut": "answer"}, ProviderBusy),
    ({"cut": "head"}, ProviderBusy),
    ({"cut": "body"}, ProviderBusy),
    ({"body": ""}, ProviderBroken),
    ({"body": "<html>"}, ProviderBroken),
    ({"body": '{"text": 3}'}, ProviderBroken),
    ({"body": '{"text": "cut of'}, ProviderBroken),
    ({"body": '{"text": "  "}'}, NoSpeech),
]


@pytest.mark.parametrize(("fault", "failure"), FAULTS, ids=str)
async def test_every_way_the_vendor_fails_has_its_class_and_costs_one_call(
    openai: OpenAITranscription,
    vendor: FakeOpenAI,
    memo: Recording,
    fault: dict[str, Any],
    failure: type[ProviderFailure],
) -> None:
    before = len(vendor.calls)
    vendor.fault(**fault)
    with pytest.raises(failure) as raised:
        await heard(openai, memo)
    assert type(raised.value) is failure
    assert len(vendor.calls) - before == 1


async def test_how_long_to_wait_is_passed_on(
    openai: OpenAITranscription, vendor: FakeOpenAI, memo: Recording
) -> None:
    vendor.fault(status=429, headers={"retry-after": "7"})
    with pytest.raises(ProviderBusy) as raised:
        await heard(openai, memo)
    assert raised.value.retry_after == 7.0


async def test_a_vendor_that_says_nothing_is_busy_when_the_time_is_up(
    vendor: FakeOpenAI, memo: Recording
) -> None:
    hasty = OpenAITranscription(
        api_key="k", base_url=vendor.base_url, model="whisper-1", timeout=0.5
    )
    vendor.fault(hang=True)
    with pytest.raises(ProviderBusy, match="did not answer"):
        await heard(hasty, memo)
    vendor.release()
    await hasty.aclose()


async def test_a_vendor_that_is_not_there_is_busy(memo: Recording) -> None:
    engine = OpenAITranscription(
        api_key="k", base_url="http://127.0.0.1:9/v1", model="whisper-1", timeout=5
    )
    with pytest.raises(ProviderBusy, match="cannot be reached"):
        await heard(engine, memo)
    await engine.aclose()


async def test_a_file_beyond_the_limit_is_not_even_sent(
    openai: OpenAITranscription, vendor: FakeOpenAI, memo: Recording
) -> None:
    before = len(vendor.calls)
    facts = memo.facts.model_copy(update={"size": MAX_BYTES + 1})
    with pytest.raises(TooLongForProvider):
        await heard(openai, Recording(memo.path, facts))
    assert len(vendor.calls) == before


async def test_no_failure_repeats_what_the_vendor_said(
    openai: OpenAITranscription, vendor: FakeOpenAI, memo: Recording
) -> None:
    body = '{"error": {"message": "Incorrect API key: sk-secret", "code": "say sk-secret"}}'
    vendor.fault(status=401, body=body)
    with pytest.raises(ProviderOut) as raised:
        await heard(openai, memo)
    assert "secret" not in str(raised.value)
