"""Headline and intro without a language model: the memo's own words, the weightiest of them.

Keywords are ranked by YAKE, which needs nothing but stop words of the language. The title is the
clause, the intro are the sentences, in which the weightiest keywords stand.
"""

import asyncio
import itertools
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any, Final, NamedTuple

from contracts.errors import ProviderBroken, ProviderBusy
from contracts.headline import MAX_CHARACTERS, Headline
from contracts.transcript import Transcript
from providers.process_pool import ChildLost, ProcessPool
from providers.sentences import capitalised, chunks, sentences, stretches
from providers.stop_words import list_name

INTRO_SENTENCES: Final = 3
INTRO_SENTENCE_CHARACTERS: Final = 240
CHUNK_CHARACTERS: Final = 20_000
"""YAKE is given so much at a time, an hour of speech in two or three; all of it is read."""
CALL_SECONDS: Final = 120.0

_KEYWORDS: Final = 30
_WORDS_OF_A_KEYWORD: Final = 2
_FEWEST_TITLE_WORDS: Final = 3
_FEWEST_INTRO_WORDS: Final = 4
_WHOLE_CLAUSE: Final = 0.6  # of the weight of a cut one is enough: it reads better
_CLAUSE: Final = re.compile(r"[,;:–—()\"“”«»]|\s-\s")
_WORD: Final = re.compile(r"\w+(?:['’-]\w+)*")


class LocalHeadline:
    """Headliner that extracts; the same transcript always gives the same headline.

    Args:
        pool: its children load ``yake`` and ``pysbd`` when they are first asked.
    """

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool
        self._engine = f"yake-{version('yake')}"

    @property
    def provider(self) -> str:
        """Name of the engine on the result."""
        return "local"

    async def headline(self, transcript: Transcript, language: str | None) -> Headline:
        """A headline of at most 60 characters and an intro of two or three sentences.

        A transcript with fewer sentences has a shorter intro.

        Raises:
            ProviderBroken: there are no words to make one of, or the engine crashed.
            ProviderBusy: the machine is too busy for the engine.
        """
        pieces = await asyncio.to_thread(stretches, transcript)
        tag = (language or transcript.primary_language or "").split("-")[0].lower()
        try:
            found = await self._pool.run(extract, pieces, tag, seconds=CALL_SECONDS)
        except ChildLost as error:
            failure = ProviderBusy if error.timed_out else ProviderBroken
            raise failure("The extraction did not live to answer") from error
        if found is None:
            raise ProviderBroken("The transcript has no words to make a headline of")
        title, intro = found
        return Headline(title=title, intro=intro, engine=self._engine)


class _Stretch(NamedTuple):
    """Words of one sentence: ``words`` lower-case, ``text`` as they stand."""

    text: str
    words: tuple[str, ...]


def extract(pieces: Sequence[str], language: str) -> tuple[str, str] | None:
    """Title and intro, in a child process; none when nothing was said."""
    said = [_stretch(text) for text in sentences(pieces, language)]
    if not said:
        return None
    weights = _weights(pieces, language)
    return _title(said, weights, language), " ".join(_intro(said, weights))


def _stretch(text: str) -> _Stretch:
    return _Stretch(text, tuple(_WORD.findall(text.lower())))


def _weights(pieces: Sequence[str], language: str) -> dict[str, float]:
    """Weight of each keyword, over the whole transcript.

    Keywords count by their rank in each chunk: YAKE's own scores cannot be compared between texts.
    """
    total: defaultdict[str, float] = defaultdict(float)
    for chunk in chunks(pieces, CHUNK_CHARACTERS):
        ranked = _extractor(language).extract_keywords(chunk)
        for rank, (keyword, _) in enumerate(ranked):
            total[str(keyword).lower()] += 1 / (rank + 5)
    return dict(total)


@cache
def _extractor(language: str) -> Any:
    import yake  # noqa: PLC0415 - 0.6 s that only a child pays

    return yake.KeywordExtractor(
        lan=list_name(language),
        n=_WORDS_OF_A_KEYWORD,
        top=_KEYWORDS,
    )


def _weight(words: Sequence[str], weights: dict[str, float]) -> float:
    """Weight of the distinct keywords in a run of words."""
    pairs = {f"{first} {second}" for first, second in itertools.pairwise(words)}
    return sum(weights.get(keyword, 0.0) for keyword in sorted(pairs | set(words)))


def _intro(said: Sequence[_Stretch], weights: dict[str, float]) -> list[str]:
    """The weightiest sentences, in the order they were said."""
    full = [at for at, each in enumerate(said) if len(each.words) >= _FEWEST_INTRO_WORDS]
    places = full if len(full) >= INTRO_SENTENCES else range(len(said))

    def density(at: int) -> float:
        length = max(len(said[at].words), 1)
        return _weight(said[at].words, weights) / math.sqrt(length)

    best = sorted(places, key=lambda at: (-density(at), at))[:INTRO_SENTENCES]
    return [_fitting(said[at].text) for at in sorted(best)]


def _fitting(sentence: str) -> str:
    """A sentence of bearable length; what is left out is shown."""
    if len(sentence) <= INTRO_SENTENCE_CHARACTERS:
        return sentence
    return whole_words(sentence, INTRO_SENTENCE_CHARACTERS - 1).rstrip(",;:.") + "…"


def _title(said: Sequence[_Stretch], weights: dict[str, float], language: str) -> str:
    """The weightiest clause that fits, unless a piece of a longer one weighs much more."""
    clauses = [_stretch(part.strip(" .…。।")) for each in said for part in _CLAUSE.split(each.text)]
    clauses = [each for each in clauses if each.words]
    whole = [
        each.text
        for each in clauses
        if len(each.text) <= MAX_CHARACTERS and len(each.words) >= _FEWEST_TITLE_WORDS
    ]
    heavy = frozenset(word for keyword in weights for word in keyword.split())
    runs = [run for each in clauses for run in _runs(each.text, heavy)]

    def weight(text: str) -> float:
        return _weight(_stretch(text).words, weights)

    clause, run = max(whole, key=weight, default=""), max(runs, key=weight, default="")
    best = clause if weight(clause) >= _WHOLE_CLAUSE * weight(run) else run
    best = best or max((each.text for each in clauses), key=weight)
    return capitalised(whole_words(best, MAX_CHARACTERS), language)


def _runs(clause: str, heavy: frozenset[str]) -> Iterator[str]:
    """The longest runs of words that fit and begin and end with a word that weighs something."""
    if len(clause) <= MAX_CHARACTERS:
        return
    words = clause.split()
    ends = [at for at, word in enumerate(words) if heavy.intersection(_WORD.findall(word.lower()))]
    for place, first in enumerate(ends):
        last = first
        for end in ends[place + 1 :]:
            if len(" ".join(words[first : end + 1])) > MAX_CHARACTERS:
                break
            last = end
        yield " ".join(words[first : last + 1])


def whole_words(text: str, limit: int) -> str:
    """As many whole words of the text as fit; a single longer one is cut."""
    if len(text) <= limit:
        return text
    head, blank, _ = text[: limit + 1].rpartition(" ")
    return head.rstrip(" ,;:-–—") if blank else text[:limit]
