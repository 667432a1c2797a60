"""Translating by every language model: each line once, in its place, kept batch by batch."""

import re

import pytest

from contracts.errors import NoSpeech, ProviderBroken, ProviderBusy, ProviderOut
from contracts.transcript import Transcript
from providers.language_chain import LanguageChain
from providers.language_tiers import LocalTier, PromptedTier
from providers.language_translation import BATCH_CHARACTERS, BATCH_LINES
from providers.local_language import LocalLanguage
from providers.process_pool import ProcessPool
from tests.fakes.language import VENDORS, MemoryWorkbook, Stage, request, spoken
from tests.fakes.language_mind import ENGLISH

LINES = ("Guten Morgen.", "Zwei\nBoote kamen.", "3. Boot: keins.")


def chain(stage: Stage, *vendors: str) -> LanguageChain:
    """A tier for each vendor, named like it."""
    return LanguageChain([PromptedTier(each, stage.model(each), parallel=2) for each in vendors])


def long(count: int) -> Transcript:
    return spoken(*(f"Boot {number} kam heim." for number in range(count)))


@pytest.mark.parametrize("vendor", VENDORS)
async def test_every_utterance_has_its_own_text_whatever_order_the_answer_is_in(
    stage: Stage, vendor: str
) -> None:
    written = await chain(stage, vendor).translate(request(spoken(*LINES)), MemoryWorkbook())
    assert written.text.texts == tuple(f"{ENGLISH}{' '.join(line.split())}" for line in LINES)
    assert (str(written.prompt), len(written.calls)) == ("translate.1", 1)
    assert written.reading.characters_read == written.reading.characters_total > 0


async def test_a_long_recording_goes_in_bounded_batches_and_none_is_lost(stage: Stage) -> None:
    said = long(150)
    written = await chain(stage, "gemini").translate(request(said), MemoryWorkbook())
    assert written.text.texts == tuple(f"{ENGLISH}{each.text}" for each in said.utterances)
    sizes = [len(re.findall(r"^\d+\. ", call["user"], re.MULTILINE)) for call in stage.gemini.calls]
    assert sorted(sizes) == [150 - 2 * BATCH_LINES, BATCH_LINES, BATCH_LINES]
    assert written.reading.parts == 3


async def test_an_utterance_longer_than_a_batch_comes_back_as_one(stage: Stage) -> None:
    said = spoken(" ".join(f"Wort{number}" for number in range(900)), "Ende.")
    written = await chain(stage, "gemini").translate(request(said), MemoryWorkbook())
    first, last = written.text.texts
    assert first.replace(ENGLISH, "") == said.utterances[0].text
    assert last == f"{ENGLISH}Ende."
    assert len(stage.gemini.calls) == -(-len(said.text) // BATCH_CHARACTERS)


@pytest.mark.parametrize("mood", ["missing", "extra", "twice", "shapeless"])
async def test_numbers_that_are_not_those_of_the_lines_are_a_failed_answer(
    stage: Stage, mood: str
) -> None:
    said = request(spoken("Eins.", f"Zwei %%{mood}%%."))
    with pytest.raises(ProviderBroken) as raised:
        await chain(stage, "gemini", "azure-v1").translate(said, MemoryWorkbook())
    assert raised.value.code == "answer_malformed"
    assert (len(stage.gemini.calls), len(stage.openai.calls)) == (1, 1)


async def test_a_batch_that_was_kept_is_not_bought_again_by_whichever_tier(stage: Stage) -> None:
    book, said = MemoryWorkbook(), long(3 * BATCH_LINES)
    for _ in range(2):
        stage.gemini.fault()
    stage.gemini.fault(status=503, undone=True)
    with pytest.raises(ProviderBusy):
        await chain(stage, "gemini").translate(request(said), book)
    assert len(book.kept) == 2
    written = await chain(stage, "openai-chat").translate(request(said), book)
    assert written.text.texts == tuple(f"{ENGLISH}{each.text}" for each in said.utterances)
    assert len(stage.openai.calls) == 1


async def test_the_engine_without_a_model_translates_nothing(stage: Stage) -> None:
    pool = ProcessPool(workers=1)
    local = LocalTier("local", LocalLanguage(pool))
    said = request(spoken("Guten Morgen."))
    with pytest.raises(ProviderOut):
        await LanguageChain([local]).translate(said, MemoryWorkbook())
    stage.gemini.fault(status=503, undone=True)
    model = PromptedTier("gemini", stage.model("gemini"), parallel=1)
    with pytest.raises(ProviderBusy):
        await LanguageChain([local, model]).translate(said, MemoryWorkbook())
    await pool.aclose()


async def test_no_words_are_no_call(stage: Stage) -> None:
    with pytest.raises(NoSpeech):
        await chain(stage, "gemini").translate(request(spoken("…")), MemoryWorkbook())
    assert not stage.gemini.calls
