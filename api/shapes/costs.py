"""Answers about what vendors were used for, and what that cost us."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import Any, Final

from pydantic import Field

from api.shapes.fields import Answer, Part
from contracts.costs import Units, Usage, UsageBy, in_all, together
from contracts.tiers import Attempt

USAGE_EXAMPLE: Final[dict[str, Any]] = {
    "success": True,
    "from": "2026-11-01",
    "to": "2026-11-30",
    "by": "tier",
    "currency": "USD",
    "total": {
        "calls": 2,
        "units": {
            "audioSeconds": 61.48,
            "inputTokens": 812,
            "outputTokens": 64,
            "characters": 2210,
        },
        "amount": "0.007945",
        "complete": True,
        "credits": 3,
    },
    "groups": [
        {
            "key": "azure-fast",
            "calls": 1,
            "units": {
                "audioSeconds": 61.48,
                "inputTokens": None,
                "outputTokens": None,
                "characters": None,
            },
            "amount": "0.006148",
            "complete": True,
            "credits": None,
        },
        {
            "key": "gemini",
            "calls": 1,
            "units": {
                "audioSeconds": None,
                "inputTokens": 812,
                "outputTokens": 64,
                "characters": 2210,
            },
            "amount": "0.001797",
            "complete": True,
            "credits": None,
        },
    ],
}
AMOUNT: Final = (
    "Estimate of what the vendors charge us, with six decimals; null when nothing of it is known. "
    "What is known when `complete` is false."
)


class UnitsView(Part):
    """What vendors bill by; null is not counted, or not known."""

    audio_seconds: float | None = Field(description="Of audio as it was sent.")
    input_tokens: int | None = Field(description="As the vendor counts them.")
    output_tokens: int | None = Field(description="Likewise, hidden reasoning included.")
    characters: int | None = Field(description="Of text that was sent.")

    @classmethod
    def of(cls, units: Units) -> "UnitsView":
        """The view of units."""
        length = units.audio_milliseconds
        return cls(
            audio_seconds=None if length is None else length / 1000,
            input_tokens=units.input_tokens,
            output_tokens=units.output_tokens,
            characters=units.characters,
        )


class StepCostView(Part):
    """The calls of one step of a job."""

    step: str
    calls: int
    units: UnitsView
    amount: str | None = Field(description=AMOUNT)
    complete: bool = Field(description="Whether every call is over and its cost known.")


class CostView(Part):
    """What the job cost: its user credits, for so many seconds of audio measured; us money."""

    credits: int
    seconds: float | None
    currency: str
    amount: str | None = Field(description=AMOUNT)
    complete: bool = Field(description="Whether every call is over and its cost known.")
    steps: list[StepCostView]


class UsageSum(Part):
    """Calls of vendors summed up."""

    calls: int
    units: UnitsView
    amount: str | None = Field(description=AMOUNT)
    complete: bool = Field(description="Whether the cost of every call is known.")
    credits: int | None = Field(
        description="Charged to the user in that time; null where that is not kept: by tier, over "
        "all users, or with a credits service elsewhere."
    )


class UsageGroup(UsageSum):
    """Those that have something in common."""

    key: str = Field(description="Day, kind of job, tier or user.")


class UsageAnswer(Answer):
    """What was used in a time, days of UTC, the first and the last included."""

    first: date = Field(alias="from")
    last: date = Field(alias="to")
    by: UsageBy
    currency: str
    total: UsageSum
    groups: list[UsageGroup]


def cost_view(
    attempts: Sequence[Attempt], currency: str, *, charged: int, seconds: float | None
) -> CostView:
    """What a job's calls cost, all of them and by step, in the order the steps began."""
    order = list(dict.fromkeys(attempt.step for attempt in attempts))
    by_step = groupby(sorted(attempts, key=lambda each: order.index(each.step)), _step)
    steps = {step: list(calls) for step, calls in by_step}
    whole = _summed(attempts)
    return CostView(
        credits=charged,
        seconds=seconds,
        currency=currency,
        amount=whole.amount,
        complete=_complete(attempts),
        steps=[
            StepCostView(
                step=step,
                calls=len(calls),
                units=UnitsView.of(_summed(calls).units),
                amount=_summed(calls).amount,
                complete=_complete(calls),
            )
            for step, calls in steps.items()
        ],
    )


def _step(attempt: Attempt) -> str:
    return attempt.step


def _summed(attempts: Sequence[Attempt]) -> Usage:
    costs = [attempt.cost_micros for attempt in attempts]
    return Usage(
        calls=len(costs),
        units=together(attempt.units for attempt in attempts),
        micros=sum(cost for cost in costs if cost is not None),
        unpriced=costs.count(None),
    )


def _complete(attempts: Iterable[Attempt]) -> bool:
    return all(each.outcome is not None and each.cost_micros is not None for each in attempts)


def usage_sum(usage: Usage, credits: int | None) -> UsageSum:  # noqa: A002 - the field's name
    """The view of a sum."""
    return UsageSum(
        calls=usage.calls,
        units=UnitsView.of(usage.units),
        amount=usage.amount,
        complete=not usage.unpriced,
        credits=credits,
    )


def usage_groups(usages: Sequence[Usage], charged: Mapping[str, int] | None) -> list[UsageGroup]:
    """The views of groups; a charge in whose group nothing was called has one of its own."""
    found = {usage.key: usage for usage in usages}
    keys = list(found) if charged is None else sorted({*found, *charged})
    return [
        UsageGroup(
            key=key,
            **usage_sum(
                found.get(key, in_all(())), None if charged is None else charged.get(key, 0)
            ).model_dump(),
        )
        for key in keys
    ]
