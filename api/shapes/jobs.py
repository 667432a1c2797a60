"""Answers about jobs."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import ConfigDict, Field

from api.shapes.costs import CostView, UnitsView, cost_view
from api.shapes.fields import (
    EXAMPLE_MEMO,
    EXAMPLE_TIME,
    Answer,
    Omittable,
    Part,
    drop_null_defaults,
)
from contracts.costs import amount
from contracts.credits import JobCredits
from contracts.jobs import EventType, Job, JobEvent, JobState, Step
from contracts.tiers import Attempt, AttemptOutcome

JOB_EXAMPLE: Final[dict[str, Any]] = {
    "success": True,
    "id": f"memo-{EXAMPLE_MEMO}",
    "kind": "memo",
    "subjectId": EXAMPLE_MEMO,
    "state": "completed",
    "step": "done",
    "tier": "local",
    "tiers": ["local"],
    "attempts": [
        {
            "tier": "local",
            "provider": "pocketsphinx",
            "startedAt": EXAMPLE_TIME,
            "seconds": 21.4,
            "outcome": "succeeded",
            "error": None,
            "chunk": None,
            "step": "transcribe",
            "units": {
                "audioSeconds": 61.48,
                "inputTokens": None,
                "outputTokens": None,
                "characters": None,
            },
            "cost": "0.000000",
        }
    ],
    "credits": {"held": 0, "charged": 3},
    "cost": {
        "credits": 3,
        "seconds": 61.48,
        "currency": "USD",
        "amount": "0.000000",
        "complete": True,
        "steps": [
            {
                "step": "transcribe",
                "calls": 1,
                "units": {
                    "audioSeconds": 61.48,
                    "inputTokens": None,
                    "outputTokens": None,
                    "characters": None,
                },
                "amount": "0.000000",
                "complete": True,
            }
        ],
    },
    "timeline": [
        {"seq": 1, "type": "state", "step": "queued", "at": EXAMPLE_TIME, "seconds": None},
        {"seq": 7, "type": "progress", "step": "transcribe", "at": EXAMPLE_TIME, "seconds": 21.4},
    ],
    "result": {"words": 128, "language": "en-US"},
    "error": None,
    "createdAt": EXAMPLE_TIME,
    "updatedAt": EXAMPLE_TIME,
}


class ErrorView(Part):
    """Why something failed."""

    code: str
    message: str


class AttemptView(Part):
    """One call to a transcription engine or to a language model."""

    tier: str
    provider: str
    started_at: str
    seconds: float | None = Field(description="How long the call took; null while it runs.")
    outcome: AttemptOutcome | None
    error: ErrorView | None
    chunk: int | None = Field(
        default=None, description="Number of the chunk of a long recording; null: all of it."
    )
    step: str = Field(default=Step.TRANSCRIBE, description="Of the job, that the call was made in.")

    units: UnitsView = Field(
        description="What the vendor bills it by; while it runs the most it may come to."
    )
    cost: str | None = Field(
        description="Estimate of what it cost us, with six decimals; null when it is not known."
    )

    @classmethod
    def of(cls, attempt: Attempt) -> "AttemptView":
        """The view of a row."""
        error = None
        if attempt.error_code is not None:
            error = ErrorView(code=attempt.error_code, message=attempt.error_message or "")
        return cls(
            tier=attempt.tier,
            provider=attempt.provider,
            started_at=attempt.started_at.isoformat(),
            seconds=attempt.seconds,
            outcome=attempt.outcome,
            error=error,
            chunk=attempt.chunk,
            step=attempt.step,
            units=UnitsView.of(attempt.units),
            cost=None if attempt.cost_micros is None else amount(attempt.cost_micros),
        )


class PayerView(Part):
    """Who pays in the place of the job's user."""

    space_id: str


class CreditsView(Part):
    """What the job holds now and what it has been charged."""

    model_config = ConfigDict(
        json_schema_serialization_defaults_required=False, json_schema_extra=drop_null_defaults
    )

    held: int
    charged: int
    payer: Omittable[PayerView] = Field(
        default=None,
        exclude_if=lambda payer: payer is None,
        description="The space that pays; left out where its user does.",
    )

    @classmethod
    def of(cls, paid: JobCredits) -> "CreditsView":
        """The view of what a job costs."""
        said = {} if paid.space_id is None else {"payer": PayerView(space_id=paid.space_id)}
        return cls(held=paid.held, charged=paid.charged, **said)


class MomentView(Part):
    """One event of the timeline; ``seconds`` of the step it ends, null when it ends none."""

    seq: int
    type: EventType
    step: str | None
    at: str
    seconds: float | None


class JobView(Answer):
    """A job: how far it is, what was tried, what it costs.

    Attributes:
        tiers: the order in which they are tried for this recording; empty before it was looked
            into, and where there is nothing to transcribe.
    """

    id: str
    kind: str
    subject_id: str
    state: JobState
    step: str
    tier: str | None
    tiers: list[str]
    attempts: list[AttemptView]
    credits: CreditsView
    cost: CostView
    timeline: list[MomentView]
    result: dict[str, Any] | None
    error: ErrorView | None
    created_at: str
    updated_at: str


class JobWorking(Answer):
    """The job is under way and will end by itself: ask where `Location` says."""

    job_id: str
    status: JobState


class JobCancelling(Answer):
    """The job was asked to end; it releases what it held and cleans up first."""

    job_id: str
    state: JobState


def job_view(
    job: Job,
    attempts: Sequence[Attempt],
    paid: JobCredits,
    events: Sequence[JobEvent],
    currency: str,
) -> JobView:
    """The view of a job and what belongs to it; ``currency`` of what vendors cost."""
    result = job.result or {}
    error = ErrorView(**job.failure.model_dump()) if job.failure else None
    return JobView(
        id=job.id,
        kind=job.kind,
        subject_id=job.subject_id,
        state=job.state,
        step=job.step,
        tier=job.tier,
        tiers=_planned(events),
        attempts=[AttemptView.of(attempt) for attempt in attempts],
        credits=CreditsView.of(paid),
        cost=cost_view(attempts, currency, charged=paid.charged, seconds=result.get("seconds")),
        timeline=timeline(events),
        result=job.result,
        error=error,
        created_at=job.created_at.isoformat(),
        updated_at=job.updated_at.isoformat(),
    )


def _planned(events: Sequence[JobEvent]) -> list[str]:
    """The tiers of the latest plan: a retry is planned anew."""
    plans = [event.data["tiers"] for event in events if "tiers" in event.data]
    return plans[-1] if plans else []


def timeline(events: Sequence[JobEvent]) -> list[MomentView]:
    """The events, each with the seconds of what it tells the end of."""
    return [
        MomentView(
            seq=event.seq,
            type=event.type,
            step=event.data.get("step", event.data.get("state")),
            at=event.at,
            seconds=event.data.get("seconds"),
        )
        for event in events
    ]
