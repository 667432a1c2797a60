"""A transcript in English: which utterances are to be translated, and what comes of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from contracts.transcript import Transcript, Utterance

ENGLISH: Final = "en"


def told_utterances(transcript: Transcript) -> tuple[Utterance, ...]:
    """The utterances; a text without any is one over the whole recording."""
    if transcript.utterances or not transcript.text.strip():
        return transcript.utterances
    return (Utterance(text=transcript.text, offset=0, duration=round(transcript.seconds * 1000)),)


def language_told(transcript: Transcript) -> bool:
    """Whether the language of everything that was said is known."""
    return transcript.primary_language is not None or all(
        each.locale for each in told_utterances(transcript)
    )


def foreign(transcript: Transcript, guessed: str | None = None) -> tuple[int, ...]:
    """Which of the utterances, by their places from 0 on, are not in English.

    One whose own language is not known is in that of the whole; one without words is in none.

    Args:
        guessed: language of the text, where no tier has told it; none: not English.
    """
    whole = transcript.primary_language or guessed
    return tuple(
        place
        for place, each in enumerate(told_utterances(transcript))
        if any(character.isalnum() for character in each.text)
        and not _is_english(each.locale or whole)
    )


def translated(transcript: Transcript, texts: Mapping[int, str]) -> Transcript:
    """The transcript with these texts in place of what was said; the times of utterances stay.

    Words go: they were those of another language.

    Args:
        texts: by the places of utterances.
    """
    if not texts:
        return transcript
    utterances = tuple(
        replace(each, text=texts[place], locale=ENGLISH) if place in texts else each
        for place, each in enumerate(told_utterances(transcript))
    )
    return transcript.model_copy(
        update={
            "text": " ".join(each.text.strip() for each in utterances if each.text.strip()),
            "utterances": utterances,
            "words": (),
            "languages": (ENGLISH,),
            "primary_language": ENGLISH,
        }
    )


def _is_english(tag: str | None) -> bool:
    return tag is not None and tag.partition("-")[0].lower() == ENGLISH
