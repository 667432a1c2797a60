"""Several language models in order, and what each vendor alone says."""

import json

import pytest

from contracts.errors import ProviderBroken, ProviderBusy, ProviderFailure, ProviderOut
from contracts.tiers import AttemptOutcome
from providers.language_chain import LanguageChain
from tests.fakes.language import (
    VENDORS,
    MemoryWorkbook,
    Stage,
    chain,
    marked,
    request,
    sent,
)
from tests.fakes.language_mind import MARKS

# --- The order of tiers --------------------------------------------------------------------------


async def test_the_first_tier_that_can_serves_and_every_call_is_told(stage: Stage) -> None:
    stage.gemini.fault(status=429, headers={"retry-after": "30"}, undone=True)
    stage.openai.fault(status=401, undone=True)
    book = MemoryWorkbook()
    model = chain(stage, "gemini", "azure-dated", "openai-chat")
    written = await model.question(request(marked(1)), book)
    assert (written.tier, written.provider) == ("openai-chat", "openai")
    told = [(call.number, call.tier, call.outcome, call.code) for call in written.calls]
    assert told == [
        (1, "gemini", AttemptOutcome.FAILED, "provider_busy"),
        (2, "azure-dated", AttemptOutcome.FAILED, "provider_out"),
        (3, "openai-chat", AttemptOutcome.SUCCEEDED, None),
    ]
    assert tuple(book.over) == written.calls


async def test_what_one_tier_noted_the_next_one_does_not_read_again(stage: Stage) -> None:
    for _ in range(3):
        stage.gemini.fault()
    stage.gemini.fault(status=503, times=50, undone=True)
    wanted = request(marked(1500))
    model = chain(stage, "gemini", "openai-chat", context=16_000, parallel=1)
    written = await model.question(wanted, MemoryWorkbook())
    read = {m for call in stage.gemini.calls[:3] for m in MARKS.findall(call["user"])}
    told = [set(MARKS.findall(call["user"])) for call in stage.openai.calls[:-1]]
    assert len(stage.gemini.calls) == 4
    assert not read & {mark for part in told for mark in part}
    assert set(MARKS.findall(written.text.text)) == set(
        MARKS.findall(wanted.sources[0].transcript.text)
    )
    assert written.reading.characters_read == written.reading.characters_total
    assert written.tier == "openai-chat"


@pytest.mark.parametrize(
    ("statuses", "kind", "wait"),
    [
        ((429, 503), ProviderBusy, 5.0),
        ((401, 503), ProviderBusy, None),
        ((503, 401), ProviderBusy, None),
        ((401, 403), ProviderOut, None),
        ((302, 401), ProviderOut, None),
        ((401, 302), ProviderBroken, None),
    ],
)
async def test_in_vain_is_busy_when_a_tier_may_serve_later(
    stage: Stage, statuses: tuple[int, int], kind: type[ProviderFailure], wait: float | None
) -> None:
    for fake, status in zip((stage.gemini, stage.openai), statuses, strict=True):
        headers = {"retry-after": "5"} if status == 429 else {}
        fake.fault(status=status, headers=headers, undone=True)
    with pytest.raises(ProviderFailure) as raised:
        await chain(stage, "gemini", "openai-chat").question(request(marked(1)), MemoryWorkbook())
    assert type(raised.value) is kind
    assert raised.value.retry_after == wait


async def test_without_tiers_nothing_is_written() -> None:
    with pytest.raises(ProviderOut):
        await LanguageChain([]).headline(request(marked(1)), MemoryWorkbook())


# --- Each vendor's own words ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("details", "wait"),
    [
        ('[{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "12.5s"}]', 12.5),
        ('[{"@type": "x"}, {"retryDelay": "3s"}]', 3.0),
        ('[{"retryDelay": "soon"}]', None),
        ('[{"retryDelay": 3}]', None),
        ('"12s"', None),
    ],
)
async def test_geminis_retry_delay_is_passed_on(
    stage: Stage, details: str, wait: float | None
) -> None:
    body = f'{{"error": {{"code": 429, "status": "RESOURCE_EXHAUSTED", "details": {details}}}}}'
    stage.gemini.fault(status=429, body=body, undone=True)
    with pytest.raises(ProviderBusy) as raised:
        await chain(stage, "gemini").headline(request(marked(1)), MemoryWorkbook())
    assert raised.value.retry_after == wait


@pytest.mark.parametrize("vendor", VENDORS[1:])
async def test_an_account_without_money_is_a_matter_for_an_operator(
    stage: Stage, vendor: str
) -> None:
    body = '{"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}'
    stage.openai.fault(status=429, body=body, undone=True)
    with pytest.raises(ProviderOut):
        await chain(stage, vendor).headline(request(marked(1)), MemoryWorkbook())


@pytest.mark.parametrize("vendor", VENDORS[1:])
async def test_a_prompt_that_azures_filter_refuses_is_a_blocked_answer(
    stage: Stage, vendor: str
) -> None:
    body = '{"error": {"message": "The response was filtered", "code": "content_filter"}}'
    stage.openai.fault(status=400, body=body, undone=True)
    with pytest.raises(ProviderBroken) as raised:
        await chain(stage, vendor).headline(request(marked(1)), MemoryWorkbook())
    assert raised.value.code == "answer_blocked"


@pytest.mark.parametrize("vendor", VENDORS[1:])
async def test_a_model_that_takes_no_temperature_is_asked_without_one_from_then_on(
    stage: Stage, vendor: str
) -> None:
    model = chain(stage, vendor, name="gpt-5.4-mini")
    for _ in range(2):
        await model.headline(request(marked(1)), MemoryWorkbook())
    assert [call["temperature"] for call in stage.openai.calls] == [0.7, None, None]
    assert [call["status"] for call in stage.openai.calls] == [400, 200, 200]


@pytest.mark.parametrize("vendor", VENDORS[1:])
@pytest.mark.parametrize("param", [None, "None"], ids=["null", "word"])
async def test_a_gateway_that_names_the_temperature_in_its_message_alone_is_understood(
    stage: Stage, vendor: str, param: str | None
) -> None:
    said = {"message": "UnsupportedParamsError: no temperature=0.7", "param": param, "code": "400"}
    stage.openai.fault(status=400, body=json.dumps({"error": said}))
    model = chain(stage, vendor, name="some-model")
    await model.headline(request(marked(1)), MemoryWorkbook())
    assert [call["temperature"] for call in stage.openai.calls] == [0.7, None]


async def test_each_vendor_is_asked_where_its_settings_say(stage: Stage) -> None:
    paths = {}
    for vendor in VENDORS:
        await chain(stage, vendor).headline(request(marked(1)), MemoryWorkbook())
        paths[vendor] = sent(stage, vendor)[-1]["path"]
    assert paths == {
        "gemini": "/v1/models/some-model:generateContent",
        "openai-chat": "/v1/chat/completions",
        "openai-chat-json": "/v1/chat/completions",
        "openai-responses": "/v1/responses",
        "azure-dated": "/openai/deployments/some-model/chat/completions",
        "azure-v1": "/openai/v1/chat/completions",
    }
