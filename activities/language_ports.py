"""What the activities need of a language model, as Protocols.

``providers/language_chain.py`` implements them; ``worker.py`` puts the tiers together.
"""

from typing import Protocol

from contracts.headline import Headline
from contracts.language import (
    Answer,
    Combination,
    LanguageRequest,
    Memories,
    Memory,
    ModelCall,
    Translation,
    Written,
)


class Workbook(Protocol):
    """What one request leaves behind while it is worked on, so that nothing is bought twice.

    Calls of one request may overlap: ``call.number`` tells them apart.
    """

    async def began(self, call: ModelCall) -> None:
        """A call is about to be made; its outcome is none."""

    async def ended(self, call: ModelCall) -> None:
        """The same call with its outcome; not told when the worker dies meanwhile."""

    async def notes(self, key: str) -> str | None:
        """Notes that an earlier attempt of this request kept under that key."""

    async def keep_notes(self, key: str, notes: str) -> None:
        """Keep the notes on one part of a long text; they are as private as the transcript.

        Args:
            key: digest of the part, what it is read for, and the prompt; 64 characters.
        """


class LanguageModel(Protocol):
    """Writes about recordings, by the first of its tiers that can.

    Every method raises:
        ProviderBusy: no tier could serve now; the same request may succeed after ``retry_after``.
        ProviderFailure: no tier could serve, and none will on its own.
        Unavailable: the workbook cannot be written.
    """

    async def headline(self, request: LanguageRequest, workbook: Workbook) -> Written[Headline]:
        """A headline of at most 60 characters and an intro of two or three sentences."""

    async def question(self, request: LanguageRequest, workbook: Workbook) -> Written[Answer]:
        """The answer to ``request.instruction``, from the recordings alone."""

    async def combine(self, request: LanguageRequest, workbook: Workbook) -> Written[Combination]:
        """All sources as one text with a headline and an intro."""

    async def memory(self, request: LanguageRequest, workbook: Workbook) -> Written[Memory]:
        """What the prompt in ``request.instruction`` asks for."""

    async def blueprint(self, request: LanguageRequest, workbook: Workbook) -> Written[Memories]:
        """One memory for each of ``request.prompts``."""

    async def translate(self, request: LanguageRequest, workbook: Workbook) -> Written[Translation]:
        """Each utterance of the only source in English, one text for each; by models alone."""
