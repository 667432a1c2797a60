"""Tiers are data: which provider is tried in which order, and what a failure leads to."""

import math
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from contracts.audio import CONVERTED_BYTES_PER_SECOND, AudioFacts
from contracts.costs import Units
from contracts.values import Value

BATCH_FROM_SECONDS: Final = 6900.0
"""Longer audio goes to batch directly, where a provider has such a tier."""

BATCH_LANGUAGES: Final = frozenset({"de-ch", "de-at"})
"""Spoken languages that batch alone transcribes well; in lower case."""

CHUNK_SHARE: Final = 0.95
"""Of a provider's limit: limits are counted differently by different people."""


class Capabilities(Value):
    """What a transcription provider takes and gives.

    Attributes:
        containers: container names it reads; empty means any.
        codecs: codecs it reads inside them; empty means any.
        sample_rate: the only rate it reads, in Hz, when there is only one.
        channels: the most channels it reads; 0 means any.
        max_bytes: largest file, 0 for no limit.
        max_seconds: longest audio, 0 for no limit.
        languages: primary language subtags it knows (``en``); empty means any.
        diarization: whether it tells speakers apart.
        word_times: whether it gives a time for each word.
        free: whether a call costs only our own CPU, so that a lost one may be repeated often.
    """

    containers: frozenset[str] = frozenset()
    codecs: frozenset[str] = frozenset()
    sample_rate: int = 0
    channels: int = 0
    max_bytes: int = 0
    max_seconds: float = 0
    languages: frozenset[str] = frozenset()
    diarization: bool = False
    word_times: bool = False
    free: bool = False

    def takes_format(self, facts: AudioFacts) -> bool:
        """Whether the file can be sent as it is."""
        return (
            (not self.containers or facts.container in self.containers)
            and (not self.codecs or facts.codec in self.codecs)
            and (not self.sample_rate or facts.sample_rate == self.sample_rate)
            and (not self.channels or facts.channels <= self.channels)
        )

    def takes_language(self, languages: Sequence[str]) -> bool:
        """Whether one of the languages asked for (any, when none is) is known to it."""
        asked = {language.split("-")[0].lower() for language in languages}
        return not asked or not self.languages or bool(asked & self.languages)


class TierOffer(Value):
    """A configured tier: its name in ``TRANSCRIPTION_TIERS``, its provider, what it takes.

    Attributes:
        call_seconds: bound of one call to the provider.
        batch: the vendor works it off in its own time.
        outside: nobody is called; a report is waited for so long.
    """

    name: str
    provider: str
    capabilities: Capabilities = Capabilities()
    call_seconds: float = 1200.0
    batch: bool = False
    outside: bool = False


class PlannedTier(Value):
    """One tier of a plan.

    Attributes:
        name: as in ``TRANSCRIPTION_TIERS``.
        provider: name of the provider behind it.
        convert: whether it gets the 16 kHz mono WAV instead of the original.
        chunk_seconds: it takes no more at once; 0: the recording goes whole.
        call_seconds: bound of one call.
        free: an engine of our own: its call takes a slot of the media queue, not a vendor's money.
        batch: the vendor works it off in its own time.
        outside: nobody is called; a report is waited for so long.
    """

    name: str
    provider: str
    convert: bool = False
    chunk_seconds: float = 0.0
    call_seconds: float = 1200.0
    free: bool = False
    batch: bool = False
    outside: bool = False


def plan(
    facts: AudioFacts, languages: Sequence[str], offers: Sequence[TierOffer]
) -> tuple[PlannedTier, ...]:
    """Order the tiers for one recording.

    The order is the configured one. A tier whose provider does not know the language is left out,
    unless that would leave none: better a provider that may fail than a memo that cannot be tried
    at all. A tier that takes no recording of that length or size gets it in chunks.
    """
    fit = [o for o in offers if o.capabilities.takes_language(languages)] or offers
    tiers = tuple(_planned(offer, facts) for offer in fit)
    for batch in tiers:
        if batch.batch:
            tiers = _with_batch(batch, tiers, facts, languages)
    return tiers


def _with_batch(
    batch: PlannedTier,
    tiers: tuple[PlannedTier, ...],
    facts: AudioFacts,
    languages: Sequence[str],
) -> tuple[PlannedTier, ...]:
    """A provider's batch tier stands in for its others where they serve badly or not at all."""
    asked = {language.lower() for language in languages}
    directly = facts.seconds > BATCH_FROM_SECONDS or bool(BATCH_LANGUAGES & asked)
    if directly:
        return (batch, *(t for t in tiers if t.provider != batch.provider))
    return tuple(t for t in tiers if t.batch or t.provider != batch.provider or not t.chunk_seconds)


def _planned(offer: TierOffer, facts: AudioFacts) -> PlannedTier:
    capabilities = offer.capabilities
    chunk_seconds = _chunk_seconds(capabilities, facts)
    return PlannedTier(
        name=offer.name,
        provider=offer.provider,
        convert=bool(chunk_seconds) or not _takes_original(capabilities, facts),
        chunk_seconds=chunk_seconds,
        call_seconds=offer.call_seconds,
        free=capabilities.free,
        batch=offer.batch,
        outside=offer.outside,
    )


def _takes_original(capabilities: Capabilities, facts: AudioFacts) -> bool:
    fits = not capabilities.max_bytes or facts.size <= capabilities.max_bytes
    return fits and capabilities.takes_format(facts)


def _chunk_seconds(capabilities: Capabilities, facts: AudioFacts) -> float:
    """Most seconds of one chunk, 0 when the recording goes whole."""
    longest = capabilities.max_seconds or math.inf
    if facts.seconds <= longest and _takes_original(capabilities, facts):
        return 0.0
    if capabilities.max_bytes:
        longest = min(longest, capabilities.max_bytes / CONVERTED_BYTES_PER_SECOND)
    return 0.0 if facts.seconds <= longest else longest * CHUNK_SHARE


def after_failure(
    code: str, tier: PlannedTier, rest: Sequence[PlannedTier]
) -> tuple[PlannedTier, ...]:
    """The tiers that are left when one has failed and its own tries are used up.

    Args:
        code: the failure's code (``contracts.errors``).
        rest: the tiers planned after it.
    """
    if code == "format_not_taken" and not tier.convert:
        if not any(other.provider == tier.provider and other.convert for other in rest):
            return (tier.model_copy(update={"convert": True}), *rest)
        # The provider has a tier for the converted file; its others would refuse it again.
        others = (_after_format(tier, other) for other in rest)
        return tuple(other for other in others if other is not None)
    if code == "too_long_for_provider":
        return tuple(other for other in rest if other.provider != tier.provider or other.batch)
    return tuple(rest)


def _after_format(tier: PlannedTier, other: PlannedTier) -> PlannedTier | None:
    """A later tier once the provider has refused the original's format."""
    if other.provider != tier.provider or other.convert:
        return other
    return other.model_copy(update={"convert": True}) if other.batch else None


class AttemptOutcome(StrEnum):
    """How one vendor call ended."""

    SUCCEEDED = "succeeded"
    EMPTY = "empty"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


class Tries(Value):
    """Calls of one tier that came to nothing.

    Attributes:
        busy: the vendor was overloaded, away or timed out.
        lost: the worker died during the call.
    """

    busy: int = 0
    lost: int = 0


class Attempt(Value):
    """One vendor call, as its row has it.

    Attributes:
        number: 1, 2, 3, … within the job.
        seconds: how long the call took; none while it runs, or when its worker was lost.
        outcome: none while it runs.
        chunk: which chunk of a long recording it was about; none: all of it.
        step: of the job, that the call was made in.
        audio_milliseconds: as the four after it what ``contracts.costs`` says; while it runs the
            most it may come to.
    """

    job_id: str
    number: int
    round: int
    tier: str
    provider: str
    started_at: datetime
    seconds: float | None = None
    outcome: AttemptOutcome | None = None
    error_code: str | None = None
    error_message: str | None = None
    chunk: int | None = None
    step: str = "transcribe"
    audio_milliseconds: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    characters: int | None = None
    cost_micros: int | None = None

    @property
    def units(self) -> Units:
        """What the vendor bills it by."""
        return Units(
            audio_milliseconds=self.audio_milliseconds,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            characters=self.characters,
        )
