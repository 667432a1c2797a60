"""Language models in the configured order: the first that can serve does."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import structlog

from contracts.errors import NoSpeech, ProviderBusy, ProviderFailure, ProviderOut
from contracts.headline import Headline
from contracts.language import (
    Answer,
    Combination,
    LanguageRequest,
    Memories,
    Memory,
    PromptRef,
    Translation,
    Written,
)
from contracts.values import Value
from providers.language_errand import Errand, Workbook
from providers.language_tasks import BLUEPRINT, COMBINE, HEADLINE, MEMORY, QUESTION, Task
from providers.language_tiers import LanguageTier, PromptedTier

log = structlog.get_logger()

Text = TypeVar("Text", bound=Value)
Tier = TypeVar("Tier", bound=LanguageTier)


class LanguageChain:
    """Implements ``LanguageModel`` of ``activities.language_ports``.

    A tier that fails is not asked again for this request; the next one goes on with what was
    noted before. Retrying when every tier is busy is for whoever calls.

    Args:
        tiers: in the order they are tried.
    """

    def __init__(self, tiers: Sequence[LanguageTier]) -> None:
        self._tiers = tuple(tiers)

    async def headline(self, request: LanguageRequest, workbook: Workbook) -> Written[Headline]:
        """A headline of at most 60 characters and an intro of two or three sentences."""
        return await self._write(HEADLINE, request, workbook)

    async def question(self, request: LanguageRequest, workbook: Workbook) -> Written[Answer]:
        """The answer to ``request.instruction``, from the recordings alone."""
        return await self._write(QUESTION, request, workbook)

    async def combine(self, request: LanguageRequest, workbook: Workbook) -> Written[Combination]:
        """All sources as one text with a headline and an intro."""
        return await self._write(COMBINE, request, workbook)

    async def memory(self, request: LanguageRequest, workbook: Workbook) -> Written[Memory]:
        """What the prompt in ``request.instruction`` asks for."""
        return await self._write(MEMORY, request, workbook)

    async def blueprint(self, request: LanguageRequest, workbook: Workbook) -> Written[Memories]:
        """One memory for each of ``request.prompts``."""
        return await self._write(BLUEPRINT, request, workbook)

    async def translate(self, request: LanguageRequest, workbook: Workbook) -> Written[Translation]:
        """Each utterance of the only source in English; by models alone."""
        models = [tier for tier in self._tiers if isinstance(tier, PromptedTier)]
        return await _by_first(models, PromptedTier.translate, Errand(request, workbook))

    async def _write(
        self, task: Task[Any, Text], request: LanguageRequest, workbook: Workbook
    ) -> Written[Text]:
        async def write(tier: LanguageTier, errand: Errand) -> tuple[Text, PromptRef | None]:
            return await tier.write(task, errand)

        return await _by_first(self._tiers, write, Errand(request, workbook))

    async def aclose(self) -> None:
        """Close the tiers' connections; safe to call twice."""
        for tier in self._tiers:
            await tier.aclose()


async def _by_first(
    tiers: Sequence[Tier],
    serve: Callable[[Tier, Errand], Awaitable[tuple[Text, PromptRef | None]]],
    errand: Errand,
) -> Written[Text]:
    """Served by the first tier that can.

    Raises:
        ProviderFailure: as every method of ``LanguageModel``.
    """
    if errand.wordless:
        raise NoSpeech("The recordings have no words to write about")
    failed: list[ProviderFailure] = []
    for tier in tiers:
        try:
            text, prompt = await serve(tier, errand)
        except ProviderFailure as failure:
            _tell(tier, failure)
            failed.append(failure)
            continue
        return Written[Text](
            text=text,
            prompt=prompt,
            usage=errand.usage,
            reading=errand.reading,
            calls=tuple(errand.calls),
            **tier.by._asdict(),
        )
    raise _in_vain(failed)


def _tell(tier: LanguageTier, failure: ProviderFailure) -> None:
    """A tier that only an operator can mend is told as an error."""
    say = log.error if isinstance(failure, ProviderOut) else log.warning
    say("language.tier_failed", code=failure.code, message=failure.message, **tier.by._asdict())


def _in_vain(failed: Sequence[ProviderFailure]) -> ProviderFailure:
    """What every tier's failure comes to: busy when one of them may serve later."""
    busy = [each for each in failed if isinstance(each, ProviderBusy)]
    if busy:
        waits = [each.retry_after for each in busy if each.retry_after is not None]
        return ProviderBusy(busy[-1].message, retry_after=min(waits, default=None))
    return failed[-1] if failed else ProviderOut("No language model is configured")
