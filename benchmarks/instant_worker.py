"""The product's worker with vendors that answer at once, or after exactly one second.

Everything else is the product's own: workflow, activities, database, files, probe. Which of the two
vendors hears a memo is a matter of its language.
"""

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import engines
import worker as product
from contracts.audio import AudioFacts
from contracts.headline import Headline
from contracts.language import Purpose, Usage
from contracts.language_setup import LOCAL
from contracts.tiers import Capabilities
from contracts.transcript import TranscriptPart, Utterance
from providers.language_chain import LanguageChain
from providers.language_errand import By, Errand
from providers.language_tasks import Task
from runtime import logs
from runtime.settings import Settings, load
from runtime.temporal import connect
from runtime.temporal_jobs import TemporalJobs
from store.database import Database

AT_ONCE: Final = "en-US"
AFTER_A_SECOND: Final = "de-DE"


class ExactVendor:
    """Says one sentence, after so many seconds."""

    provider = "exact"

    def __init__(self, language: str, seconds: float) -> None:
        self.capabilities = Capabilities(languages=frozenset({language.partition("-")[0]}))
        self._language = language
        self._seconds = seconds

    async def transcribe(
        self,
        audio: Path,
        facts: AudioFacts,
        *,
        languages: Sequence[str],
        diarization: bool,
        after: float,
    ) -> AsyncIterator[TranscriptPart]:
        """Wait, then speak; the arguments are those of the port."""
        del audio, languages, diarization, after
        await asyncio.sleep(self._seconds)
        said = Utterance(text="All of it was said.", offset=0, duration=1, locale=self._language)
        yield TranscriptPart(start=0.0, end=facts.seconds, utterances=(said,))


class InstantTier:
    """Knows the headline already; an engine of our own, like the local one."""

    by = By(LOCAL, "instant", "instant")

    async def write(self, task: Task[Any, Any], errand: Errand) -> tuple[Any, None]:
        """The same for every transcript; the task is a headline's."""
        del task

        async def written() -> tuple[Headline, Usage]:
            headline = Headline(title="All of it", intro="It was said.", engine=self.by.engine)
            return headline, Usage()

        return await errand.call(self.by, Purpose.WRITE, errand.size, written), None

    async def aclose(self) -> None:
        """Nothing was opened."""


async def exact_engines(settings: Settings, stack: AsyncExitStack) -> engines.Engines:
    """The product's own, but for whoever hears and whoever sums up."""
    return dataclasses.replace(
        await engines.open_engines(settings, stack),
        transcribers={
            "at-once": ExactVendor(AT_ONCE, 0),
            "a-second": ExactVendor(AFTER_A_SECOND, 1),
        },
        tiers=("at-once", "a-second"),
        language=LanguageChain([InstantTier()]),
    )


async def main() -> None:
    """Serve until killed."""
    settings = load(env_file=None)
    logs.configure(settings.logs)
    client = await connect(settings.temporal)
    async with AsyncExitStack() as stack:
        database = Database(
            settings.database_url, starting_credits=settings.credits.starting_credits
        )
        stack.push_async_callback(database.close)
        made = await product.assemble(
            settings, database, TemporalJobs(client), stack, await exact_engines(settings, stack)
        )
        for queue in settings.worker.queues:
            await stack.enter_async_context(product.worker(settings, client, queue, made))
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
