"""Headline and intro without a language model: the memo's own sentences, the weightiest first."""

import re
from importlib.metadata import version
from typing import Final

from contracts.errors import ProviderBroken
from contracts.headline import MAX_CHARACTERS, Headline
from contracts.transcript import Transcript
from providers.process_pool import ProcessPool

_INTRO_SENTENCES: Final = 3
_SECONDS: Final = 120.0


class LocalHeadline:
    """Headliner that extracts; the same transcript always gives the same headline.

    Args:
        pool: children that have ``yake`` and ``pysbd``.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    @property
    def provider(self) -> str:
        """Name of the engine on the result."""
        return "local"

    async def headline(self, transcript: Transcript, language: str | None) -> Headline:
        """A headline of at most 60 characters and an intro of two or three sentences.

        Raises:
            ProviderBroken: there are no words to make one of.
        """
        utterances = [utterance.text for utterance in transcript.utterances] or [transcript.text]
        tag = (language or transcript.primary_language or "en").split("-")[0].lower()
        title, intro = await self._pool.run(extract, utterances, tag, seconds=_SECONDS)
        if not title:
            raise ProviderBroken("The transcript has no words to make a headline of")
        return Headline(title=title, intro=intro, engine=f"yake-{version('yake')}")


def extract(utterances: list[str], language: str) -> tuple[str, str]:
    """Title and intro, in a child process."""
    import yake  # noqa: PLC0415 - 0.6 s that only a child pays

    sentences = [closed(text) for text in utterances if re.search(r"\w", text)]
    if not sentences:
        return "", ""
    ranked = yake.KeywordExtractor(lan=language, n=3, top=20).extract_keywords(" ".join(sentences))
    best = max(sentences, key=lambda each: sum(key in each.lower() for key, _ in ranked))
    return shorten(best.rstrip(".!?")), " ".join(sentences[:_INTRO_SENTENCES])


def closed(text: str) -> str:
    """A stretch of words as a sentence: first letter upper-case, a full stop at the end."""
    text = " ".join(text.split())
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def shorten(text: str, limit: int = MAX_CHARACTERS) -> str:
    """As many whole words as fit."""
    words = text.split()
    while len(words) > 1 and len(" ".join(words)) > limit:
        words.pop()
    return " ".join(words)[:limit]
