"""What calls are billed by, and what that comes to: exact to the micro, unknown is never zero."""

import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.costs import (
    NOTHING,
    Bill,
    Metered,
    Prices,
    Rates,
    Units,
    Usage,
    after_failure,
    amount,
    answered,
    audio,
    in_all,
    together,
    tokens,
)
from contracts.errors import (
    FormatNotTaken,
    NoSpeech,
    ProviderBroken,
    ProviderBusy,
    ProviderFailure,
    ProviderOut,
    TooLongForProvider,
    Unavailable,
)
from providers import failures
from runtime.settings import load
from runtime.settings_costs import DEFAULTS
from runtime.settings_values import InvalidSetting

HOURLY = Rates(per_hour=Decimal("0.36"))
BY_TOKENS = Rates(
    per_million_input_tokens=Decimal("0.075"), per_million_output_tokens=Decimal("0.30")
)
SENT = Units(audio_milliseconds=90_000)


@pytest.mark.parametrize(
    ("rates", "units", "micros"),
    [
        (HOURLY, audio(3600), 360_000),
        (HOURLY, audio(70), 7_000),
        (HOURLY, audio(0.004), 0),  # 0.4 micros
        (HOURLY, audio(0.005), 1),  # half a micro is one
        (BY_TOKENS, tokens(1000, 100), 105),
        (BY_TOKENS, tokens(1, 1), 0),
        (BY_TOKENS, tokens(20, 0), 2),
        (Rates(per_million_characters=Decimal(15)), Units(characters=3), 45),
        (Rates(per_hour=Decimal(0)), Units(), 0),
        (BY_TOKENS, audio(3600).over(tokens(1000, 100)), 105),
        (HOURLY, Units(), None),
        (BY_TOKENS, audio(3600), None),
        (BY_TOKENS, Units(input_tokens=5), None),
    ],
)
def test_a_call_costs_what_its_rates_say_and_nothing_is_guessed(
    rates: Rates, units: Units, micros: int | None
) -> None:
    assert rates.micros(units) == micros


@given(
    rate=st.decimals(0, 1_000_000, places=6),
    milliseconds=st.integers(0, 10**12),
)
def test_an_estimate_is_within_half_a_micro_of_the_exact_price(
    rate: Decimal, milliseconds: int
) -> None:
    exact = Fraction(rate) * milliseconds * 10**6 / 3_600_000
    micros = Rates(per_hour=rate).micros(Units(audio_milliseconds=milliseconds))
    assert micros is not None
    assert abs(micros - exact) <= Fraction(1, 2)


def test_a_tier_without_a_price_has_no_cost_unless_it_was_not_used() -> None:
    prices = Prices(transcription={"azure-fast": HOURLY})
    known = prices.bill(Metered.TRANSCRIPTION, "azure-fast", audio(70))
    assert known == Bill(units=audio(70), micros=7_000)
    assert prices.bill(Metered.TRANSCRIPTION, "gemini", audio(70)).micros is None
    assert prices.bill(Metered.LANGUAGE, "azure-fast", audio(70)).micros is None
    assert prices.bill(Metered.TRANSCRIPTION, "gemini", NOTHING).micros == 0


def broken_after(units: Units) -> ProviderFailure:
    failure = ProviderBroken("cut off", code="answer_truncated")
    with pytest.raises(ProviderBroken), answered(units):
        raise failure
    return failure


def caused_by(name: str) -> BaseException:
    error = OSError("outer")
    error.__cause__ = type(name, (Exception,), {})("inner")
    return error


@pytest.mark.parametrize(
    ("failure", "units"),
    [
        (ProviderOut("401"), NOTHING),
        (ProviderBusy("429"), NOTHING),
        (FormatNotTaken("415"), NOTHING),
        (TooLongForProvider("413"), NOTHING),
        (ProviderFailure("no try left", code="worker_lost"), NOTHING),
        (failures.of_status("v", 503), NOTHING),
        (NoSpeech("nothing heard"), SENT),
        (failures.unreadable("v"), SENT),
        (failures.timed_out("v", 5), SENT),
        (failures.unreachable("v"), SENT),
        (failures.unreachable("v", caused_by("ReadError")), SENT),
        (failures.unreachable("v", caused_by("ConnectError")), NOTHING),
        (failures.timed_out("v", 5, caused_by("ConnectTimeout")), NOTHING),
        (broken_after(tokens(7, 2)), SENT.over(tokens(7, 2))),
        (Unavailable("the database is away"), SENT),
    ],
)
def test_a_failed_call_is_billed_when_the_vendor_may_have_worked(
    failure: Exception, units: Units
) -> None:
    assert after_failure(failure, SENT) == units


@pytest.mark.parametrize("nonsense", [-1, 1.5, True, "7", None, 10**13])
def test_a_report_of_tokens_that_makes_no_sense_is_none(nonsense: object) -> None:
    assert tokens(nonsense, 2) == tokens(2, nonsense) == Units()


def test_sums_keep_apart_what_is_nothing_and_what_is_not_known() -> None:
    assert together([]) == Units()
    assert together([Units(), tokens(0, 3)]) == tokens(0, 3)
    some = [
        Usage(key="a", calls=2, units=audio(1), micros=5),
        Usage(key="b", calls=1, units=tokens(1, 2), micros=0, unpriced=1),
    ]
    both = audio(1).over(tokens(1, 2))
    assert in_all(some) == Usage(calls=3, units=both, micros=5, unpriced=1)
    assert amount(10**15 + 1) == "1000000000.000001"


WRONG_PRICES = {
    "[]": "JSON object",
    "{": "JSON object",
    '{"azur": {"per_hour": 1}}': "'azur' names no tier",
    '{"language:azure-fast": {"per_hour": 1}}': "names no tier",
    '{"gemini/": {"per_hour": 1}}': "names no tier",
    '{"gemini": {}}': "must be null or an object of",
    '{"gemini": {"per_minute": 1}}': "must be null or an object of",
    '{"gemini": {"per_hour": "much"}}': "per_hour must be a number",
    '{"gemini": {"per_hour": true}}': "per_hour must be a number",
    '{"gemini": {"per_hour": null}}': "per_hour must be a number",
    '{"gemini": {"per_hour": -1}}': "per_hour must be a number",
    '{"gemini": {"per_hour": NaN}}': "JSON object|must be a number",
    '{"gemini": {"per_hour": 1e99}}': "must be a number",
    '{"gemini": {"per_hour": "1e-20"}}': "decimal places",
}


@pytest.mark.parametrize("given", WRONG_PRICES)
def test_a_price_list_that_makes_no_sense_stops_the_start_with_a_sentence(given: str) -> None:
    with pytest.raises(InvalidSetting, match=f"VENDOR_PRICES is wrong: .*({WRONG_PRICES[given]})"):
        load(None, VENDOR_PRICES=given)


KEYS = {
    "GEMINI_API_KEY": "k",
    "OPENAI_API_KEY": "k",
    "OPENAI_TRANSCRIPTION_MODEL": "gpt-transcribe",
}
OWN = '{"gemini": {"per_hour": 0.1}, "language:gemini": {"per_million_characters": 7}}'
FOR_MODEL = '{"openai": {"per_hour": 1}, "openai/gpt-transcribe": {"per_hour": 0.1}}'


@pytest.mark.parametrize(
    ("settings", "metered", "tier", "expected"),
    [
        ({}, "transcription", "openai", DEFAULTS["transcription:openai/gpt-transcribe"]),
        ({}, "language", "openai", DEFAULTS["language:openai/gpt-5.4-mini"]),
        ({}, "language", "local", DEFAULTS["local"]),
        ({}, "speech", "local", DEFAULTS["local"]),
        ({}, "speech", "openai", None),
        ({"AZURE_SPEECH_KEY": "k"}, "speech", "azure", DEFAULTS["speech:azure"]),
        ({"OPENAI_LANGUAGE_MODEL": "another"}, "language", "openai", None),
        ({"VENDOR_PRICES": '{"openai": null}'}, "transcription", "openai", None),
        ({"VENDOR_PRICES": OWN}, "transcription", "gemini", Rates(per_hour=Decimal("0.1"))),
        ({"VENDOR_PRICES": OWN}, "language", "gemini", Rates(per_million_characters=Decimal(7))),
        ({"VENDOR_PRICES": FOR_MODEL}, "transcription", "openai", Rates(per_hour=Decimal("0.1"))),
        ({"VENDOR_PRICES": FOR_MODEL}, "language", "openai", Rates(per_hour=Decimal(1))),
        ({"VENDOR_CURRENCY": "EUR"}, "transcription", "openai", None),
        ({"VENDOR_CURRENCY": "EUR"}, "transcription", "local", DEFAULTS["local"]),
    ],
)
def test_the_entry_that_says_most_is_the_price_and_an_unknown_model_has_none(
    settings: dict[str, Any], metered: str, tier: str, expected: Rates | None
) -> None:
    prices = load(None, **KEYS, **settings).prices
    assert getattr(prices, metered).get(tier) == expected


def test_the_default_prices_are_those_the_document_tells() -> None:
    told = (Path(__file__).parents[2] / "docs" / "costs.md").read_text()
    rows = [line.split("|")[1:3] for line in told.splitlines() if line.startswith("| `")]
    priced = {
        name: {Decimal(number) for number in re.findall(r"\d+(?:\.\d+)?", price.split("(")[0])}
        for names, price in rows
        for name in re.findall(r"`([^`…]+)`", names)
        if name in DEFAULTS
    }
    assert priced == {
        name: {rate for rate in rates.model_dump().values() if rate is not None}
        for name, rates in DEFAULTS.items()
    }
