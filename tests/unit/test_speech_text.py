"""Text made regular and divided, in any script, without losing or doubling a character."""

import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import speech_text
from contracts.errors import InvalidInput
from contracts.speech_text import MAX_CHARACTERS, SHORT_PARAGRAPH, normalised, parts

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
SPOKEN = regex.compile(r"[\p{L}\p{N}]")
SCRIPTS = (
    "Dr. Smith paid 3.50 EUR at 10:30. It is fine! ",
    "これは日本語です。次の文。",
    "مرحبا بالعالم. كيف حالك؟ ",
    "हिन्दी में एक वाक्य। दूसरा वाक्य। ",
    "ภาษาไทยไม่มีวรรค ",
    f"{FAMILY} together. ",
)


def spaceless(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("limit", [100, 257, 4096])
def test_the_parts_of_a_text_hold_all_of_it_in_order(script: str, limit: int) -> None:
    text = normalised(script * 60)
    found = parts(text, limit)
    assert max(map(len, found)) <= limit
    assert spaceless("".join(found)) == spaceless(text)


@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=2000),
    st.integers(100, 400),
)
def test_whatever_is_written_nothing_is_lost_and_no_grapheme_is_divided(
    raw: str, limit: int
) -> None:
    if not SPOKEN.search(raw):
        return
    text = normalised(raw)
    found = parts(text, limit)
    assert all(len(part) <= limit for part in found)
    assert SPOKEN.findall("".join(found)) == SPOKEN.findall(text)
    whole = {match.end() for match in regex.finditer(r"\X", text)}
    at = 0
    for part in found:
        at = text.index(part, at) + len(part)
        assert at in whole


WORDS = (
    *("Straße", "it's", "well-known", "naïve", "café", "e.g.", "user@example.org", "O’Neill"),
    *("Здравствуйте", "мир", "Ελληνικά", "λόγος", "שָׁלוֹם", "עולם", "مُحَمَّد", "العربية"),
    *("क्षत्रिय", "हिन्दी", "தமிழ்", "বাংলা", "ქართული", "한국어", "안녕하세요", "አማርኛ"),
    *(f"{FAMILY}", "👍🏽", "🏳️‍🌈", "well,", "end.", "why?", "(so)", "«oui»", "—", "ﷺ"),
)
NUMBERS = (
    *("1,234,567.89", "1.234.567,89", "1 000 000", "12 345,60", "10:30", "3.50", "2026-11-21"),
    *("١٢٣٫٤٥", "१२३४", "1’000’000", "50%", "192.168.0.1", "+49 30 901820"),  # noqa: RUF001
)
SPACELESS = ("コンピューター", "テレビ", "ＡＢＣ", "Python", "1,234.5")  # noqa: RUF001 - full width


@settings(max_examples=40)
@given(
    st.lists(
        st.sampled_from(WORDS) | st.sampled_from(NUMBERS).map(lambda number: f"{number} of"),
        min_size=20,
        max_size=120,
    ),
    st.integers(100, 300),
)
def test_no_word_and_no_number_of_any_script_is_divided(said: list[str], limit: int) -> None:
    text = normalised(" ".join(["so", *said]))
    found = parts(text, limit)
    assert all(len(part) <= limit for part in found)
    assert " ".join(found).split() == text.split()
    for number in NUMBERS:
        assert sum(part.count(number) for part in found) == text.count(number)


@settings(max_examples=40)
@given(st.lists(st.sampled_from(SPACELESS), min_size=20, max_size=80), st.integers(100, 300))
def test_no_word_is_divided_where_no_space_stands_between_them(said: list[str], limit: int) -> None:
    text = normalised("の".join(said))
    found = parts(text, limit)
    assert "".join(found) == text
    for word in map(normalised, SPACELESS):
        assert sum(part.count(word) for part in found) == text.count(word)


@given(st.text(max_size=500))
def test_a_normalised_text_stays_as_it_is(raw: str) -> None:
    try:
        text = normalised(raw)
    except InvalidInput:
        return
    assert normalised(text) == text


def test_a_part_ends_between_sentences_where_it_can() -> None:
    text = " ".join(f"Sentence number {n} ends here." for n in range(20))
    assert all(part.endswith("here.") for part in parts(text, 120))


def test_a_word_and_a_number_stay_whole() -> None:
    text = normalised("weight 1,234,567.89 kg and 1 000 000 more or it's not " * 40)
    whole = set(text.split(" "))
    for part in parts(text, 100):
        assert set(part.split(" ")) <= whole
        assert not part.endswith(("1", "1 000", "000 "))


def test_a_word_longer_than_the_limit_is_divided_between_graphemes() -> None:
    assert [len(part) for part in parts("x" * 350, 100)] == [100, 100, 100, 50]
    families = parts(normalised(FAMILY * 60), 100)
    assert all(part.startswith(FAMILY) and part.endswith(FAMILY) for part in families)


def test_a_changed_paragraph_changes_its_own_part_alone() -> None:
    paragraphs = [f"Paragraph {n}. " + "Something is said in it. " * 20 for n in range(12)]
    before = parts(normalised("\n\n".join(paragraphs)), 4096)
    paragraphs[4] = "Here stands something else now. " * 30
    after = parts(normalised("\n\n".join(paragraphs)), 4096)
    assert len(before) == len(after) == 12
    assert [n for n in range(12) if before[n] != after[n]] == [4]


def test_many_tiny_paragraphs_are_few_parts() -> None:
    found = parts(normalised("a\n\n" * (MAX_CHARACTERS // 3)), 4096)
    assert len(found) <= MAX_CHARACTERS // SHORT_PARAGRAPH


def test_texts_that_sound_the_same_have_one_spelling() -> None:
    plain = normalised("Grüße an alle.\n\nZweiter Absatz")
    loose = unicodedata.normalize(
        "NFD", "\ufeff  Grüße  an\talle. \r\n \r\n\r\n Zweiter\x07Absatz "
    )
    assert normalised(loose) == plain


def test_piled_marks_are_taken_down() -> None:
    assert len(normalised("a" + "\u0301" * (MAX_CHARACTERS - 1))) < 10


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "nothing_to_say"),
        (" \n\t ", "nothing_to_say"),
        ("... !? --", "nothing_to_say"),
        ("\u0301" * 50, "nothing_to_say"),
        ("half \ud83d", "invalid_text"),
        ("nul \x00", "invalid_text"),
        ("a" * (MAX_CHARACTERS + 1), "text_too_long"),
    ],
)
def test_what_cannot_be_said_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        normalised(text)
    assert refusal.value.code == code


def test_the_sentences_of_a_long_paragraph_are_found_once_for_every_tier_and_part() -> None:
    speech_text._sentences.cache_clear()
    text = normalised("It was a bright cold day. " * 100)
    for limit in (200, 500, 200, 1000):
        assert " ".join(parts(text, limit)) == text
    assert speech_text._sentences.cache_info().misses == 1
