"""What vendors charge us: the price list, and whose prices are known without one."""

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

from contracts.costs import USD, Metered, Rates
from contracts.language_setup import LANGUAGE_TIERS
from contracts.voices import SPEECH_TIERS
from runtime.settings_groups import Group
from runtime.settings_values import TIERS

MOST: Final = Decimal(1_000_000)
"""Of one rate: what is more is a mistake."""
LEAST_EXPONENT: Final = -12
_FREE: Final = Rates(per_hour=Decimal(0), per_million_characters=Decimal(0))

PRICED_ON: Final = "2026-11"
DEFAULTS: Final[Mapping[str, Rates]] = MappingProxyType(
    {
        "azure-fast": Rates(per_hour=Decimal("0.36")),
        "azure-fast-other-region": Rates(per_hour=Decimal("0.36")),
        "azure-fast-converted": Rates(per_hour=Decimal("0.36")),
        "azure-batch": Rates(per_hour=Decimal("0.18")),
        "transcription:openai/gpt-transcribe": Rates(per_hour=Decimal("0.36")),
        "transcription:openai/whisper-1": Rates(per_hour=Decimal("0.36")),
        "language:openai/gpt-5.4-mini": Rates(
            per_million_input_tokens=Decimal("0.75"), per_million_output_tokens=Decimal("4.50")
        ),
        "gemini/gemini-3.8-flash": Rates(
            per_million_input_tokens=Decimal("1.50"), per_million_output_tokens=Decimal("9.00")
        ),
        "speech:azure": Rates(per_million_characters=Decimal(15)),
        "whisper": _FREE,
        "kokoro": _FREE,
        "local": _FREE,
    }
)
"""Estimates in US dollars of PRICED_ON, as in docs/costs.md; any other model has no price."""


def parse_prices(value: Any) -> Any:
    """A JSON object of rates by tier; null takes a default price away.

    Raises:
        ValueError: it is no such object; says which tier and which rate.
    """
    if not isinstance(value, str):
        return value
    try:
        given = json.loads(value, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise ValueError(  # noqa: TRY004 - what pydantic makes a sentence of
            'it must be a JSON object like {"azure-fast": {"per_hour": "0.36"}}'
        )
    return {_tier(name): _rates(name, rates) for name, rates in given.items()}


def _tier(name: str) -> str:
    """``[transcription:|language:|speech:]tier[/model]``, as it is."""
    metered, _, rest = name.rpartition(":") if name.partition(":")[0] in _BY_USE else ("", "", name)
    known = _BY_USE.get(metered, {*TIERS, *LANGUAGE_TIERS, *SPEECH_TIERS})
    tier, slash, model = rest.partition("/")
    if tier not in known or (slash and not model):
        raise ValueError(f"{name!r} names no tier: there are {', '.join(sorted(known))}")
    return name


_BY_USE: Final[Mapping[str, set[str]]] = {
    Metered.TRANSCRIPTION.value: set(TIERS),
    Metered.LANGUAGE.value: set(LANGUAGE_TIERS),
    Metered.SPEECH.value: set(SPEECH_TIERS),
}


def _rates(name: str, given: Any) -> Rates | None:
    if given is None:
        return None
    known = list(Rates.model_fields)
    if not isinstance(given, dict) or not given or not {*given} <= {*known}:
        raise ValueError(f"{name} must be null or an object of {', '.join(known)}")
    return Rates(**{rate: _money(name, rate, value) for rate, value in given.items()})


def _money(name: str, rate: str, value: Any) -> Decimal:
    try:
        price = Decimal(value) if isinstance(value, str | Decimal) else Decimal("NaN")
    except InvalidOperation:
        price = Decimal("NaN")
    if not price.is_finite() or not 0 <= price <= MOST:
        raise ValueError(f"{name}: {rate} must be a number from 0 to {MOST}")
    if int(price.as_tuple().exponent) < LEAST_EXPONENT:
        raise ValueError(f"{name}: {rate} has more than {-LEAST_EXPONENT} decimal places")
    return price


class CostSettings(Group):
    """What vendors charge us for what is done for users."""

    title = "Vendor costs"
    vendor_prices: Annotated[
        Mapping[str, Rates | None], NoDecode, BeforeValidator(parse_prices)
    ] = Field(
        default={},
        validation_alias="VENDOR_PRICES",
        description="prices of vendors, for the estimates of what jobs cost us: JSON like "
        '`{"azure-fast": {"per_hour": "0.36"}, "language:gemini": {"per_million_input_tokens": '
        '"0.30", "per_million_output_tokens": "2.50"}}`; also `per_million_characters`. Each entry '
        "takes the place of the default ones (docs/costs.md); null: the price is not known",
    )
    currency: str = Field(
        USD,
        validation_alias="VENDOR_CURRENCY",
        pattern=r"^[A-Z]{3}$",
        description="currency of VENDOR_PRICES; with another one than USD there are no default "
        "prices but those of engines of our own. Amounts that are stored are not converted",
    )

    def rates(self, metered: Metered, tier: str, model: str | None) -> Rates | None:
        """The price of a tier with a model; the entry that says most decides.

        An entry of the settings, however little it says, comes before every default one.
        """
        names = [tier, f"{metered}:{tier}"]
        if model:
            names += [f"{tier}/{model}", f"{metered}:{tier}/{model}"]
        for listed in (self.vendor_prices, self._defaults()):
            for name in reversed(names):
                if name in listed:
                    return listed[name]
        return None

    def _defaults(self) -> Mapping[str, Rates | None]:
        if self.currency == USD:
            return DEFAULTS
        return {name: rates for name, rates in DEFAULTS.items() if rates == _FREE}
