"""What the local engine says in its own words, in the languages transcription starts with."""

from types import MappingProxyType
from typing import Final, NamedTuple


class Phrases(NamedTuple):
    """Labels of what was taken from a transcript.

    Attributes:
        about: in front of sentences that share words with what was asked.
        nothing: no sentence does.
        weightiest: in front of the sentences that weigh most.
        recording: what a recording without a title is called; its number follows.
    """

    about: str
    nothing: str
    weightiest: str
    recording: str


PHRASES: Final = MappingProxyType(
    {
        "en": Phrases(
            "Said in the recording about this:",
            "No sentence of the recording has these words.",
            "The weightiest sentences of the recording:",
            "Recording",
        ),
        "de": Phrases(
            "Dazu wurde in der Aufnahme gesagt:",
            "Kein Satz der Aufnahme enthält diese Wörter.",
            "Die wichtigsten Sätze der Aufnahme:",
            "Aufnahme",
        ),
        "fr": Phrases(
            "Dit à ce sujet dans l’enregistrement :",
            "Aucune phrase de l’enregistrement ne contient ces mots.",
            "Les phrases les plus importantes de l’enregistrement :",
            "Enregistrement",
        ),
        "it": Phrases(
            "Detto su questo nella registrazione:",
            "Nessuna frase della registrazione contiene queste parole.",
            "Le frasi più importanti della registrazione:",
            "Registrazione",
        ),
        "es": Phrases(
            "Dicho sobre esto en la grabación:",
            "Ninguna frase de la grabación contiene estas palabras.",
            "Las frases más importantes de la grabación:",
            "Grabación",
        ),
        "sv": Phrases(
            "Detta sades om det i inspelningen:",
            "Ingen mening i inspelningen innehåller dessa ord.",
            "De viktigaste meningarna i inspelningen:",
            "Inspelning",
        ),
        "ru": Phrases(
            "Об этом в записи сказано:",
            "Ни в одном предложении записи нет этих слов.",
            "Самые важные предложения записи:",
            "Запись",
        ),
        "nl": Phrases(
            "Hierover werd in de opname gezegd:",
            "Geen zin in de opname bevat deze woorden.",
            "De belangrijkste zinnen van de opname:",
            "Opname",
        ),
        "tr": Phrases(
            "Kayıtta bu konuda söylenenler:",
            "Kayıttaki hiçbir cümlede bu sözcükler geçmiyor.",
            "Kaydın en önemli cümleleri:",
            "Kayıt",
        ),
        "pt": Phrases(
            "Dito sobre isto na gravação:",
            "Nenhuma frase da gravação contém estas palavras.",
            "As frases mais importantes da gravação:",
            "Gravação",
        ),
    }
)
"""By primary subtag."""


def phrases(language: str) -> Phrases:
    """In that language, else in English."""
    return PHRASES.get(language, PHRASES["en"])
