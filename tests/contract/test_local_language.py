"""The language engine without a model: sentences that were said, chosen and labelled."""

from collections.abc import AsyncIterator

import pytest

from contracts.headline import MAX_CHARACTERS
from contracts.language import LanguageRequest, MemoryPrompt, Source
from providers.language_chain import LanguageChain
from providers.language_tiers import LocalTier
from providers.local_language import LocalLanguage
from providers.local_phrases import PHRASES
from providers.process_pool import ProcessPool
from tests.fakes.language import MemoryWorkbook, request, spoken

MEETING = (
    "Good morning and welcome to the weekly meeting.",
    "The budget for the new harbour crane is ninety thousand euros.",
    "Maria will order the crane before Friday.",
    "After that we talked about the weather for a while.",
    "The old crane is going to be sold in spring.",
)
BESPRECHUNG = (
    "Guten Morgen zusammen, schön dass alle da sind.",
    "Das Budget für den neuen Hafenkran beträgt neunzigtausend Euro.",
    "Maria bestellt den Kran bis Freitag.",
)
JAPANESE = ("会議は午前九時に始まります。", "予算は九万ユーロです。", "天気の話をしました。")


@pytest.fixture(scope="module")
async def pool() -> AsyncIterator[ProcessPool]:
    pool = ProcessPool(workers=1)
    yield pool
    await pool.aclose()


@pytest.fixture
def chain(pool: ProcessPool) -> LanguageChain:
    return LanguageChain([LocalTier("local", LocalLanguage(pool))])


async def answer(chain: LanguageChain, said: tuple[str, ...], question: str, tag: str) -> str:
    wanted = request(spoken(*said), language=tag, instruction=question)
    written = await chain.question(wanted, MemoryWorkbook())
    assert written.text.extract
    return written.text.text


@pytest.mark.parametrize(
    ("said", "question", "tag", "sentence"),
    [
        (MEETING, "How large is the budget?", "en-US", MEETING[1]),
        (MEETING, "Who orders the crane, and before which day?", "en", MEETING[2]),
        (MEETING, "What is SOLD, and when?", "en", MEETING[4]),
        (BESPRECHUNG, "Wie hoch ist das Budget?", "de-DE", BESPRECHUNG[1]),
        (BESPRECHUNG, "Bis wann bestellt Maria?", "de-CH", BESPRECHUNG[2]),
        (JAPANESE, "予算はいくらですか", "ja", JAPANESE[1]),
    ],
)
async def test_a_question_is_answered_by_the_sentence_that_shares_its_words(
    chain: LanguageChain, said: tuple[str, ...], question: str, tag: str, sentence: str
) -> None:
    label, first, *_ = (await answer(chain, said, question, tag)).split("\n\n")
    assert label == PHRASES.get(tag[:2], PHRASES["en"]).about
    assert f"- {sentence}" in first.split("\n")
    assert all(line.removeprefix("- ") in said for line in first.split("\n"))


async def test_a_question_nobody_spoke_of_is_said_to_have_no_answer(chain: LanguageChain) -> None:
    wanted = request(spoken(*MEETING), instruction="Which submarine?", language="de")
    written = await chain.question(wanted, MemoryWorkbook())
    assert not written.text.found
    assert written.text.text == PHRASES["de"].nothing


async def test_a_question_of_stop_words_gets_the_weightiest_sentences(chain: LanguageChain) -> None:
    text = await answer(chain, MEETING, "What was it about?", "en")
    label, lines = text.split("\n\n")
    assert label == PHRASES["en"].weightiest
    assert 2 <= len(lines.split("\n")) <= 3


async def test_the_same_question_always_gets_the_same_answer(chain: LanguageChain) -> None:
    told = {await answer(chain, MEETING, "crane budget spring", "en") for _ in range(3)}
    assert len(told) == 1


async def test_a_headline_fits_and_says_what_was_said(chain: LanguageChain) -> None:
    for wanted in (request(spoken(*MEETING)), request(spoken(*MEETING), spoken(*MEETING[:2]))):
        written = await chain.headline(wanted, MemoryWorkbook())
        assert 0 < len(written.text.title) <= MAX_CHARACTERS
        assert written.text.title.lower() in " ".join(MEETING).lower()
        assert written.text.engine == written.engine


async def test_combined_recordings_stand_whole_under_their_names(chain: LanguageChain) -> None:
    sources = (
        Source(title="Monday", transcript=spoken(*MEETING)),
        Source(transcript=spoken(*BESPRECHUNG)),
    )
    wanted = LanguageRequest(sources=sources, language="de")
    text = (await chain.combine(wanted, MemoryWorkbook())).text
    expected = f"## Monday\n\n{' '.join(MEETING)}\n\n## Aufnahme 2\n\n{' '.join(BESPRECHUNG)}"
    assert text.text == expected
    assert len(text.headline) <= MAX_CHARACTERS
    assert text.extract


async def test_a_memory_is_named_by_its_prompt_and_never_empty(chain: LanguageChain) -> None:
    prompts = (
        MemoryPrompt(title="Money", text="What about the budget?"),
        MemoryPrompt(text="List every decision that was taken, with who is to do what by when"),
    )
    wanted = request(spoken(*MEETING)).model_copy(update={"prompts": prompts})
    written = await chain.blueprint(wanted, MemoryWorkbook())
    money, decisions = written.text.memories
    assert money.title == "Money"
    assert MEETING[1] in money.content
    assert decisions.title == "List every decision that was taken, with who is to do what"
    assert decisions.content.startswith(PHRASES["en"].weightiest)
    alone = await chain.memory(request(spoken(*MEETING), instruction="Spring?"), MemoryWorkbook())
    assert MEETING[4] in alone.text.content


async def test_it_reads_all_of_a_long_recording_in_one_call_of_its_own(
    chain: LanguageChain,
) -> None:
    long = spoken(*(f"Sentence number {n} says nothing new." for n in range(3000)), *MEETING)
    book = MemoryWorkbook()
    written = await chain.question(request(long, instruction="Who orders the crane?"), book)
    assert MEETING[2] in written.text.text
    assert written.reading.characters_read == written.reading.characters_total
    assert (written.tier, written.provider, written.prompt) == ("local", "local", None)
    assert len(book.over) == 1
    assert written.usage.input_tokens == 0


def test_every_language_has_all_its_labels() -> None:
    assert {"de", "en", "fr", "it", "es", "sv", "ru", "nl", "tr", "pt"} == set(PHRASES)
    for phrases in PHRASES.values():
        assert all(phrases)
        assert len(set(phrases)) == len(phrases)
