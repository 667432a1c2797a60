"""Which language a text is in, by `py3langid`: its model is in the wheel and knows 97 languages.

Asked among the languages that voices are commonly wanted in: of a short text, a language hardly
anybody speaks is a wrong guess. In a child process: the model takes 30 MB and a second to load.
"""

import io
import lzma
from array import array
from functools import cache
from typing import Any, Final

from contracts.errors import Unavailable
from providers.process_pool import ChildLost, ProcessPool

LANGUAGES: Final = (
    *("ar", "bg", "bn", "ca", "cs", "da", "de", "el", "en", "es", "et", "fa", "fi", "fr", "he"),
    *("hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "lv", "ms", "nl", "no", "pl", "pt", "ro"),
    *("ru", "sk", "sl", "sr", "sv", "sw", "ta", "te", "th", "tr", "uk", "ur", "vi", "zh"),
)
SURE: Final = 0.6
"""Probability from which on a guess is one."""
MOST_CHARACTERS: Final = 2_000
CALL_SECONDS: Final = 20.0


class LanguageGuesser:
    """Implements ``activities.speech_ports.LanguageGuess``."""

    def __init__(self, pool: ProcessPool) -> None:
        self._pool = pool

    async def language(self, text: str) -> str | None:
        """Primary subtag; none when it is not clear.

        Raises:
            Unavailable: the child did not live to answer.
        """
        try:
            return await self._pool.run(guess, text[:MOST_CHARACTERS], seconds=CALL_SECONDS)
        except ChildLost as error:
            raise Unavailable("The language of the text could not be looked at") from error


def guess(text: str) -> str | None:
    """Look at a text in a child process."""
    language, probability = _identifier().classify(text)
    return str(language) if probability >= SURE else None


@cache
def _identifier() -> Any:
    import numpy as np  # noqa: PLC0415 - a child's alone
    from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier  # noqa: PLC0415 - likewise

    # Its own loader goes by a temporary file, and a child may write none.
    packed = (MODEL_DIR / MODEL_FILE).read_bytes()
    with np.load(io.BytesIO(lzma.decompress(packed)), allow_pickle=False) as model:
        identifier = LanguageIdentifier(
            model["ptc"],
            model["pc"],
            model["classes"].tolist(),
            _numbers(model["nextmove"]),
            model["out_feat"].tolist(),
            norm_probs=True,
            tk_row=_numbers(model["nextmove_row"]),
        )
    identifier.set_languages(list(LANGUAGES))
    return identifier


def _numbers(found: Any) -> "array[int]":
    """As small as they are stored, and quicker to look up than those of numpy."""
    return array({2: "H", 4: "I"}[found.dtype.itemsize], found.tobytes())
