"""The language of a text is found out in a child that may write no file."""

from collections.abc import AsyncIterator

import pytest

from providers.language_guess import MOST_CHARACTERS, LanguageGuesser
from providers.process_pool import ProcessPool

EVENING = "The harbour lights were bright and quiet this evening."


@pytest.fixture(scope="module")
async def guesser() -> AsyncIterator[LanguageGuesser]:
    pool = ProcessPool(workers=1)
    yield LanguageGuesser(pool)
    await pool.aclose()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (EVENING, "en"),
        ("Die Lichter im Hafen waren an diesem Abend hell und ruhig.", "de"),
        ("Les lumières du port étaient vives et calmes ce soir-là.", "fr"),
        ("今晩の港の明かりは明るく静かでした。", "ja"),
        ("كانت أضواء الميناء ساطعة وهادئة هذا المساء.", "ar"),
        (EVENING * (MOST_CHARACTERS // 20), "en"),
    ],
)
async def test_the_language_of_a_sentence_is_found_out(
    text: str, language: str, guesser: LanguageGuesser
) -> None:
    assert await guesser.language(text) == language


@pytest.mark.parametrize("text", ["2026", "OK", "…"])
async def test_a_text_that_may_be_in_any_language_is_in_none(
    text: str, guesser: LanguageGuesser
) -> None:
    assert await guesser.language(text) is None
