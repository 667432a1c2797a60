"""The language engine without a model: what was said, chosen and labelled, never written anew."""

import asyncio
from collections.abc import Callable
from importlib.metadata import version
from typing import Final, TypeVar

from contracts.errors import ProviderBroken, ProviderBusy
from contracts.headline import MAX_CHARACTERS, Headline
from contracts.language import Answer, Combination, LanguageRequest, Memories, Memory
from contracts.transcript import Transcript
from providers.local_extraction import Found, combine, find
from providers.local_headline import LocalHeadline, whole_words
from providers.local_phrases import phrases
from providers.process_pool import ChildLost, ProcessPool
from providers.sentences import stretches

CALL_SECONDS: Final = 120.0
ANSWER_SENTENCES: Final = 3
MEMORY_SENTENCES: Final = 8

Result = TypeVar("Result")


class LocalLanguage:
    """Answers every use with sentences of the recordings.

    Every method raises ``ProviderBroken`` when there is nothing to choose from or the engine
    crashed, and ``ProviderBusy`` when the machine is too busy for it.

    Args:
        pool: its children load ``yake`` and ``pysbd`` when they are first asked.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool
        self._headline = LocalHeadline(pool)
        self._engine = f"yake-{version('yake')}"

    @property
    def provider(self) -> str:
        """Name of the engine in attempts and logs."""
        return "local"

    @property
    def engine(self) -> str:
        """What does the work, with its version."""
        return self._engine

    async def headline(self, request: LanguageRequest) -> Headline:
        """The weightiest clause and sentences."""
        transcript = request.sources[0].transcript
        if len(request.sources) > 1:
            pieces = [piece for _, said in await self._said(request) for piece in said]
            transcript = Transcript(text=" ".join(pieces), seconds=0)
        return await self._headline.headline(transcript, _language(request) or None)

    async def question(self, request: LanguageRequest) -> Answer:
        """The sentences that share the rarest words with the question."""
        text, found = await self._about(request, request.instruction, ANSWER_SENTENCES)
        return Answer(text=text, found=found, extract=True)

    async def combine(self, request: LanguageRequest) -> Combination:
        """All recordings whole, one after the other; what the user adds is not understood."""
        sources = await self._said(request)
        found = await self._run(combine, sources, _language(request))
        if found is None:
            raise ProviderBroken("The recordings have no words to combine")
        headline, intro, text = found
        return Combination(headline=headline, intro=intro, text=text, extract=True)

    async def memory(self, request: LanguageRequest) -> Memory:
        """The sentences that share the rarest words with the prompt, else the weightiest."""
        return await self._memory(request, "", request.instruction)

    async def blueprint(self, request: LanguageRequest) -> Memories:
        """The same for each prompt."""
        return Memories(
            memories=tuple(
                [await self._memory(request, each.title, each.text) for each in request.prompts]
            )
        )

    async def _memory(self, request: LanguageRequest, title: str, prompt: str) -> Memory:
        content, found = await self._about(request, f"{title} {prompt}", MEMORY_SENTENCES)
        if not found:
            content, _ = await self._about(request, "", MEMORY_SENTENCES)
        name = title or whole_words(" ".join(prompt.split()), MAX_CHARACTERS)
        return Memory(title=name, content=content, extract=True)

    async def _about(self, request: LanguageRequest, query: str, most: int) -> tuple[str, bool]:
        pieces = [piece for _, said in await self._said(request) for piece in said]
        language = _language(request)
        found: Found = await self._run(find, pieces, language, query, most)
        label = phrases(language)
        if not found.sentences:
            return label.nothing, False
        said = "\n".join(f"- {sentence}" for sentence in found.sentences)
        return f"{label.about if found.asked else label.weightiest}\n\n{said}", True

    async def _said(self, request: LanguageRequest) -> list[tuple[str, list[str]]]:
        """Name and pieces of each recording."""
        word = phrases(_language(request)).recording
        return [
            (
                source.title or f"{word} {number}",
                await asyncio.to_thread(stretches, source.transcript),
            )
            for number, source in enumerate(request.sources, start=1)
        ]

    async def _run(self, function: Callable[..., Result], *args: object) -> Result:
        try:
            return await self._pool.run(function, *args, seconds=CALL_SECONDS)
        except ChildLost as error:
            failure = ProviderBusy if error.timed_out else ProviderBroken
            raise failure("The extraction did not live to answer") from error


def _language(request: LanguageRequest) -> str:
    """Primary subtag of the language asked for, else of the first recording; empty for unknown."""
    tag = request.language or request.sources[0].transcript.primary_language or ""
    return tag.split("-")[0].lower()
