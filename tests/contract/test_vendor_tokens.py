"""Whether a token is one: the vendor over a socket, and the stand-in tests sign in with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.ports import VendorTokens
from contracts.errors import Unavailable
from providers.openai_tokens import OpenAITokens
from tests.fakes.http_wire import Fault
from tests.fakes.openai import FakeOpenAI
from tests.fakes.vendor_tokens import GOOD, KnownTokens


@asynccontextmanager
async def vendor() -> AsyncIterator[tuple[FakeOpenAI, OpenAITokens]]:
    fake = FakeOpenAI(key=GOOD)
    await fake.start()
    tokens = OpenAITokens(fake.base_url, seconds=1)
    try:
        yield fake, tokens
    finally:
        await tokens.aclose()
        await fake.aclose()


@pytest.fixture(params=["socket", "stand-in"])
async def tokens(request: pytest.FixtureRequest) -> AsyncIterator[VendorTokens]:
    if request.param == "stand-in":
        yield KnownTokens()
        return
    async with vendor() as (_, found):
        yield found


async def test_a_good_token_is_believed_and_no_other(tokens: VendorTokens) -> None:
    assert await tokens.believed(GOOD)
    assert not await tokens.believed("sk-bad")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=429, headers={"retry-after": "1"}),
        Fault(status=404),
        Fault(status=302, headers={"location": "/v1/models"}),
        Fault(cut="answer"),
        Fault(cut="body"),
        Fault(hang=True),
        Fault(headers={"content-encoding": "gzip"}),
    ],
    ids=["500", "429", "404", "302", "no answer", "half an answer", "silence", "compressed"],
)
async def test_a_vendor_that_does_not_say_is_unavailable_and_quotes_nothing(fault: Fault) -> None:
    async with vendor() as (fake, tokens):
        fake.fault(**fault.model_dump())
        with pytest.raises(Unavailable) as raised:
            await tokens.believed(GOOD)
        assert GOOD not in str(raised.value)
        fake.release()
        assert await tokens.believed(GOOD)


async def test_a_token_that_may_not_ask_signs_nobody_in() -> None:
    async with vendor() as (fake, tokens):
        fake.fault(status=403)
        assert not await tokens.believed(GOOD)
