"""One request on its way through the tiers: what is read, what was noted, what was called."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

from contracts.costs import Units, after_failure
from contracts.errors import Failure
from contracts.language import LanguageRequest, ModelCall, Purpose, Reading, Source, Usage
from contracts.reading import lines
from contracts.tiers import AttemptOutcome

Result = TypeVar("Result")


class Workbook(Protocol):
    """What a request leaves behind; see ``activities.language_ports``."""

    async def began(self, call: ModelCall) -> None:
        """A call is about to be made."""

    async def ended(self, call: ModelCall) -> None:
        """The same call with its outcome."""

    async def notes(self, key: str) -> str | None:
        """Notes kept by an earlier attempt."""

    async def keep_notes(self, key: str, notes: str) -> None:
        """Keep notes on one part."""


class Material(NamedTuple):
    """Something to read: lines of the recordings, or what was noted of some of them."""

    lines: tuple[str, ...]
    notes: bool = False

    @property
    def size(self) -> int:
        """Characters, line breaks not counted."""
        return sum(map(len, self.lines))


class By(NamedTuple):
    """Whose call it is."""

    tier: str
    provider: str
    engine: str


class Errand:
    """State of one request. What one tier has noted, the next one need not read again."""

    def __init__(self, request: LanguageRequest, workbook: Workbook) -> None:
        self.request = request
        self.workbook = workbook
        self.material = [Material(tuple(_told(request.sources)))]
        self.calls: list[ModelCall] = []
        self._total = self.size
        self._read = 0
        self._parts = 0

    @property
    def size(self) -> int:
        """Characters of all there is to read now."""
        return sum(each.size for each in self.material)

    @property
    def wordless(self) -> bool:
        """Whether nothing was said."""
        return not any(c.isalnum() for each in self.material for line in each.lines for c in line)

    @property
    def usage(self) -> Usage:
        """Of every call that was answered."""
        return sum((call.usage for call in self.calls), Usage())

    @property
    def reading(self) -> Reading:
        """How much was read."""
        return Reading(
            characters_read=self._read, characters_total=self._total, parts=max(1, self._parts)
        )

    def was_read(self, material: Sequence[Material]) -> None:
        """These were put before an engine that answered; notes are no part of the recordings."""
        told = [each for each in material if not each.notes]
        self._read += sum(each.size for each in told)
        self._parts += 1 if told else 0

    def all_was_read(self, parts: int = 1) -> None:
        """An engine had the recordings themselves, at once or in so many parts."""
        self._read, self._parts = self._total, parts

    async def call(
        self,
        by: By,
        purpose: Purpose,
        characters: int,
        work: Callable[[], Awaitable[tuple[Result, Usage]]],
    ) -> Result:
        """Make one call and write down how it went."""
        sent = Units(characters=characters)
        call = ModelCall(number=len(self.calls) + 1, purpose=purpose, units=sent, **by._asdict())
        self.calls.append(call)
        await self.workbook.began(call)
        began = time.monotonic()

        async def ended(outcome: AttemptOutcome, **facts: object) -> None:
            seconds = round(time.monotonic() - began, 3)
            update = {"outcome": outcome, "seconds": seconds, **facts}
            self.calls[call.number - 1] = over = call.model_copy(update=update)
            await self.workbook.ended(over)

        try:
            result, usage = await work()
        except Failure as failure:
            empty = failure.code == "answer_empty"
            outcome = AttemptOutcome.EMPTY if empty else AttemptOutcome.FAILED
            units = after_failure(failure, sent)
            await ended(outcome, code=failure.code, message=failure.message, units=units)
            raise
        except asyncio.CancelledError:
            await asyncio.shield(ended(AttemptOutcome.CANCELLED))
            raise
        await ended(
            AttemptOutcome.SUCCEEDED,
            usage=usage.model_copy(update={"characters": characters}),
            units=usage.units.over(sent),
        )
        return result


def _told(sources: Sequence[Source]) -> list[str]:
    """Lines of all recordings, each under its name when there are several."""
    told: list[str] = []
    for number, source in enumerate(sources, start=1):
        said = lines(source.transcript)
        if len(sources) > 1 and said:
            told.append(f"[Recording {number}{f': {source.title}' if source.title else ''}]")
        told += said
    return told
