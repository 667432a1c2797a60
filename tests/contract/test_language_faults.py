"""The fault matrix of language models: every fault x every vendor's call, and what each cell means.

``EXPECTED`` is the reviewed table. A seeded tenth runs always, all of it behind ``slow``.
"""

import asyncio
from contextlib import ExitStack
from typing import Any, Final, NamedTuple

import pytest
from structlog.testing import capture_logs

from contracts.errors import (
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
)
from contracts.language import Purpose
from contracts.tiers import AttemptOutcome
from providers.language_chain import LanguageChain
from providers.language_tiers import PromptedTier
from tests.fakes.language import KEY, VENDORS, MemoryWorkbook, Stage, marked, request
from tests.faults.vendor_faults import (
    DATE_AHEAD,
    FAULTS,
    SECONDS_ASKED,
    VendorFault,
    elsewhere,
    filled,
    sampled,
)

TIMEOUT: Final = 0.6
"""Seconds a call may take where the fault is that it takes for ever."""


class Cell(NamedTuple):
    """What one fault means for a language call.

    Attributes:
        kind: of the failure; none when the vendor serves all the same.
        arrives: whether the vendor's stand-in sees the call.
        wait: least and most seconds the failure says to wait.
    """

    kind: type[ProviderFailure] | None
    code: str | None = None
    arrives: bool = True
    wait: tuple[float, float] | None = None


BUSY: Final = Cell(ProviderBusy, "provider_busy")
AWAY: Final = BUSY._replace(arrives=False)
MALFORMED: Final = Cell(ProviderBroken, "answer_malformed")
OUT: Final = Cell(ProviderOut, "provider_out")

EXPECTED: Final = {
    "429 seconds": BUSY._replace(wait=(SECONDS_ASKED, SECONDS_ASKED)),
    "429 date": BUSY._replace(wait=(1, DATE_AHEAD)),
    "429 bare": BUSY,
    "500": BUSY,
    "502 html": BUSY,
    "503": BUSY,
    "504": BUSY,
    "refused": AWAY,
    "no such host": AWAY,
    "no tls": AWAY,
    "connect time-out": AWAY,
    "read time-out": BUSY,
    "one byte a second": BUSY,
    "reset in the body": BUSY,
    "wrong length": BUSY,
    "chunked abort": BUSY,
    "empty 200": MALFORMED,
    "broken json": MALFORMED,
    "wrong types": MALFORMED,
    "missing fields": MALFORMED,
    "nan": MALFORMED,
    "duplicate keys": Cell(None),  # the last one counts, as in every JSON reader
    "bad utf-8": MALFORMED,
    "100 MB": MALFORMED,
    "gzip bomb": MALFORMED,
    "redirect": Cell(ProviderBroken, "provider_broken"),
    "401": OUT,
    "402": OUT,
    "403": OUT,
    "413": Cell(TooLongForProvider, "too_long_for_provider"),
    "415": OUT,
}
OWN: Final = {
    "wrong types": {
        "body": '{"choices": "x", "output": 3, "candidates": [7], "status": [], "usage": "y"}'
    },
    "nan": {
        "pattern": r'"(prompt_tokens|input_tokens|promptTokenCount)": \d+',
        "becomes": r'"\1": NaN',
    },
    "duplicate keys": {
        "pattern": r"^\{",
        "becomes": '{"choices": 5, "output": 5, "candidates": 5, "usage": 5, "usageMetadata": 5, ',
    },
}

ASKED: Final = (Purpose.WRITE, Purpose.NOTES, Purpose.PART)
"""What a question takes, of a short text and of a long one, and what a translation does."""
CELLS: Final = [
    (vendor, purpose, fault) for vendor in VENDORS for purpose in ASKED for fault in FAULTS
]


def test_the_table_has_a_row_for_every_fault() -> None:
    assert set(EXPECTED) == {fault.name for fault in FAULTS}
    assert len(FAULTS) >= 30


def other(vendor: str) -> str:
    return "openai-chat" if vendor == "gemini" else "gemini"


@pytest.mark.parametrize(("vendor", "purpose", "fault"), sampled(CELLS, seed=4))
async def test_a_fault_is_one_call_of_the_class_in_the_table_and_the_next_tier_serves(
    stage: Stage, vendor: str, purpose: Purpose, fault: VendorFault
) -> None:
    expected = EXPECTED[fault.name]
    fault = filled(fault, OWN)
    context = 6000 if purpose is Purpose.NOTES else 200_000
    with ExitStack() as stack, capture_logs() as logs:
        url = None
        if fault.place is not None:
            url = stack.enter_context(elsewhere(fault.place))
        else:
            stage.fake(vendor).fault(**fault.wire)
        faulty = stage.model(
            vendor,
            url=url,
            context=context,
            timeout=TIMEOUT if fault.slow else 20,
            connect=TIMEOUT / 2 if fault.place == "connect" else None,
        )
        tiers = [
            PromptedTier("faulty", faulty, parallel=1),
            PromptedTier("healthy", stage.model(other(vendor), context=context), parallel=1),
        ]
        chain = LanguageChain(tiers)
        work = chain.translate if purpose is Purpose.PART else chain.question
        async with asyncio.timeout(15):
            written = await work(request(marked(300, 50)), MemoryWorkbook())
    first = written.calls[0]
    assert first.purpose is purpose
    assert written.reading.characters_read == written.reading.characters_total
    if expected.kind is None:
        assert {call.outcome for call in written.calls} == {AttemptOutcome.SUCCEEDED}
        assert written.tier == "faulty"
        return
    assert (first.outcome, first.code) == (AttemptOutcome.FAILED, expected.code)
    # What is too much for a model is divided, unless it is in parts; all else is for the next tier.
    divided = expected.kind is TooLongForProvider and purpose is not Purpose.PART
    assert written.tier == ("faulty" if divided else "healthy")
    _only_what_is_bearable(stage, vendor, expected, written.calls)
    _nothing_is_told(written.calls, logs)


def _only_what_is_bearable(
    stage: Stage, vendor: str, expected: Cell, calls: tuple[Any, ...]
) -> None:
    """One call in vain, and no other but where less can help."""
    tried = [call for call in calls if call.tier == "faulty"]
    failed = [call for call in tried if call.outcome is AttemptOutcome.FAILED]
    assert len(failed) == 1
    assert len(tried) == 1 or expected.kind is TooLongForProvider
    seen = len(stage.fake(vendor).calls)
    assert seen == (len(tried) if expected.arrives else 0)


def _nothing_is_told(calls: tuple[Any, ...], logs: list[Any]) -> None:
    """Neither the key nor what was said stands in a message or a log."""
    told = " ".join([*(call.message or "" for call in calls), *map(str, logs)])
    for secret in (KEY, "MARK-", "harbour", "boats"):
        assert secret not in told


@pytest.mark.parametrize(("vendor", "fault"), sampled([(v, f) for v in VENDORS for f in FAULTS], 7))
async def test_the_only_tier_fails_with_the_class_in_the_table_and_the_wait_it_was_told(
    stage: Stage, vendor: str, fault: VendorFault
) -> None:
    expected = EXPECTED[fault.name]
    fault = filled(fault, OWN)
    with ExitStack() as stack:
        url = None
        if fault.place is not None:
            url = stack.enter_context(elsewhere(fault.place))
        else:
            stage.fake(vendor).fault(**{**fault.wire, "times": 9})
        model = stage.model(
            vendor,
            url=url,
            timeout=TIMEOUT if fault.slow else 20,
            connect=TIMEOUT / 2 if fault.place == "connect" else None,
        )
        chain = LanguageChain([PromptedTier("faulty", model, parallel=1)])
        work = chain.question(request(marked(2)), MemoryWorkbook())
        if expected.kind is None:
            assert (await work).tier == "faulty"
            return
        with pytest.raises(ProviderFailure) as raised:
            await work
    failure = raised.value
    assert type(failure) is expected.kind
    assert failure.code == expected.code
    if expected.wait is None:
        assert failure.retry_after is None
    else:
        least, most = expected.wait
        assert failure.retry_after is not None
        assert least <= failure.retry_after <= most
    assert len(stage.fake(vendor).calls) == (1 if expected.arrives else 0)
