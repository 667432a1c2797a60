"""What vendors bill calls by, and what that comes to by our price list: pure rules.

Amounts are whole micros: millionths of the currency. What is not known is none, never zero; zero is
what costs nothing, an engine of our own or a request the vendor refused.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final

from contracts.errors import NoSpeech, ProviderBroken, ProviderFailure
from contracts.values import Value

MICROS: Final = 1_000_000
MILLISECONDS_PER_HOUR: Final = 3_600_000
MOST_UNITS: Final = 10**12
"""Of one call: a vendor that says more is not believed."""
USD: Final = "USD"


class Metered(StrEnum):
    """What a tier is paid for; vendors have a price for each."""

    TRANSCRIPTION = "transcription"
    LANGUAGE = "language"
    SPEECH = "speech"


class Units(Value):
    """What a call may be billed by; none: it is not counted here, or nobody knows.

    Attributes:
        audio_milliseconds: of the audio as it was sent.
        input_tokens: as the vendor counts them.
        output_tokens: likewise, hidden reasoning included.
        characters: of the text that was sent, our prompt not counted.
    """

    audio_milliseconds: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    characters: int | None = None

    @property
    def nothing(self) -> bool:
        """Whether it is known that the vendor took nothing at all."""
        return all(value == 0 for value in self.model_dump().values())

    def over(self, other: "Units") -> "Units":
        """These, and of the other one what these do not say."""
        return other.model_copy(update=self.model_dump(exclude_none=True))


NOTHING: Final = Units(audio_milliseconds=0, input_tokens=0, output_tokens=0, characters=0)


def audio(seconds: float) -> Units:
    """So many seconds of audio; rounded to the millisecond."""
    return Units(audio_milliseconds=round(max(seconds, 0.0) * 1000))


def tokens(sent: object, written: object) -> Units:
    """Tokens as a vendor reports them; a report that makes no sense is none.

    >>> tokens(7, 2).output_tokens, tokens(-1, 2).output_tokens, tokens(None, 2).output_tokens
    (2, None, None)
    """
    for count in (sent, written):
        if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= MOST_UNITS:
            return Units()
    return Units.model_validate({"input_tokens": sent, "output_tokens": written})


def together(units: Iterable[Units]) -> Units:
    """All of them; what only some of them say is summed over those."""
    sums: dict[str, int] = {}
    for each in units:
        for name, value in each.model_dump(exclude_none=True).items():
            sums[name] = sums.get(name, 0) + value
    return Units(**sums)


@contextmanager
def answered(units: Units) -> Iterator[None]:
    """What fails in this block fails after the vendor gave an answer that took so much."""
    try:
        yield
    except ProviderFailure as failure:
        failure.units = units
        raise


def after_failure(failure: Exception, sent: Units) -> Units:
    """What a call is billed by that came to nothing, as far as it can be known.

    A request that was refused took nothing. One whose answer was lost, was of no use or heard
    nothing is counted as sent: that is the most it can have been.
    """
    if not isinstance(failure, ProviderFailure):
        return sent
    if failure.units is not None:
        return failure.units.over(sent)
    if failure.lost or isinstance(failure, NoSpeech | ProviderBroken):
        return sent
    return NOTHING


class Rates(Value):
    """What a tier costs, in the currency of the price list; a rate of none is not billed by."""

    per_hour: Decimal | None = None
    per_million_input_tokens: Decimal | None = None
    per_million_output_tokens: Decimal | None = None
    per_million_characters: Decimal | None = None

    def micros(self, units: Units) -> int | None:
        """The cost; none when something it is billed by is not known.

        Rounded once, half a micro up.
        """
        lines = (
            (self.per_hour, units.audio_milliseconds, Fraction(MICROS, MILLISECONDS_PER_HOUR)),
            (self.per_million_input_tokens, units.input_tokens, Fraction(1)),
            (self.per_million_output_tokens, units.output_tokens, Fraction(1)),
            (self.per_million_characters, units.characters, Fraction(1)),
        )
        sums = Fraction(0)
        for rate, count, each in lines:
            if not rate:
                continue
            if count is None:
                return None
            sums += Fraction(rate) * count * each
        return math.floor(sums + Fraction(1, 2))


class Bill(Value):
    """What one call took, and the estimate of what it costs by the prices of that time."""

    units: Units = Units()
    micros: int | None = None


UNKNOWN: Final = Bill()


class Prices(Value):
    """The price list of the tiers that are configured, by what they are paid for and their name."""

    transcription: Mapping[str, Rates] = {}
    language: Mapping[str, Rates] = {}
    speech: Mapping[str, Rates] = {}

    def bill(self, metered: Metered, tier: str, units: Units) -> Bill:
        """What so much of a tier costs."""
        if units.nothing:
            return Bill(units=units, micros=0)
        lists = {
            Metered.TRANSCRIPTION: self.transcription,
            Metered.LANGUAGE: self.language,
            Metered.SPEECH: self.speech,
        }
        rates = lists[metered].get(tier)
        return Bill(units=units, micros=None if rates is None else rates.micros(units))


UNPRICED: Final = Prices()


class UsageBy(StrEnum):
    """What calls are summed up by: days of UTC, kinds of jobs, tiers, users."""

    DAY = "day"
    KIND = "kind"
    TIER = "tier"
    USER = "user"


class Usage(Value):
    """Calls summed up.

    Attributes:
        key: what they have in common; empty for all of them.
        unpriced: how many of the calls are not in ``micros``: their cost is not known.
        units: what none of the calls counts is none.
    """

    key: str = ""
    calls: int = 0
    units: Units = Units()
    micros: int = 0
    unpriced: int = 0

    @property
    def amount(self) -> str | None:
        """What is known of their cost, in the currency; none when nothing is."""
        return None if self.calls and self.unpriced == self.calls else amount(self.micros)


def in_all(usages: Iterable[Usage]) -> Usage:
    """The sum of groups that share no call."""
    every = list(usages)
    return Usage(
        calls=sum(each.calls for each in every),
        units=together(each.units for each in every),
        micros=sum(each.micros for each in every),
        unpriced=sum(each.unpriced for each in every),
    )


def amount(micros: int) -> str:
    """In the currency, exactly.

    >>> amount(7000), amount(12), amount(3_600_000)
    ('0.007000', '0.000012', '3.600000')
    """
    return str(Decimal(micros).scaleb(-6).quantize(Decimal("0.000001")))


def shown(usage: Usage, currency: str) -> dict[str, Any]:
    """A group for programs that read no HTTP."""
    return {
        "key": usage.key,
        "calls": usage.calls,
        **usage.units.model_dump(),
        "amount": usage.amount,
        "currency": currency,
        "complete": not usage.unpriced,
        "unpriced": usage.unpriced,
    }
