"""What of a recording is to be translated: nothing that is in English already."""

from dataclasses import replace
from typing import NamedTuple

from activities.ports import Transaction
from activities.speech_ports import LanguageGuess
from contracts import ids
from contracts.language import LanguageRequest, Reading, Source, Translation, Usage, Written
from contracts.language_job import LanguageJob
from contracts.language_setup import LOCAL
from contracts.transcript import Transcript
from contracts.translation import foreign, language_told, told_utterances


class Foreign(NamedTuple):
    """The utterances in other languages, by their places in the transcript."""

    places: tuple[int, ...]
    request: LanguageRequest


async def said_in(tx: Transaction, job: LanguageJob) -> Transcript:
    """What was said in the memo's own recording, with its times.

    Raises:
        NotFound: it is gone.
    """
    return await tx.transcripts.load(ids.memo_job(job.subject_id), job.user_id)


async def in_other_words(said: Transcript, guess: LanguageGuess | None) -> Foreign:
    """What a model is to be given: no more than has to be translated, and nobody's name.

    Raises:
        Unavailable: the language could not be looked at.
    """
    guessed = None
    if guess is not None and said.text.strip() and not language_told(said):
        guessed = await guess.language(said.text)
    places, every = foreign(said, guessed), told_utterances(said)
    utterances = tuple(replace(every[place], speaker=None) for place in places)
    text = " ".join(each.text for each in utterances)
    transcript = Transcript(text=text, seconds=said.seconds, utterances=utterances)
    return Foreign(places, LanguageRequest(sources=(Source(transcript=transcript),)))


def as_it_was() -> Written[Translation]:
    """The translation of what needs none: no model is asked, and nothing is charged."""
    return Written[Translation](
        text=Translation(),
        prompt=None,
        tier=LOCAL,
        provider=LOCAL,
        engine="none",
        usage=Usage(),
        reading=Reading(characters_read=0, characters_total=0),
        calls=(),
    )
