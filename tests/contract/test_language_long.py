"""Recordings longer than a call may be: every model reads them whole, part by part."""

import asyncio

import pytest

from contracts.errors import ProviderBroken, ProviderBusy
from contracts.tiers import AttemptOutcome
from tests.fakes.language import (
    MemoryWorkbook,
    Stage,
    chain,
    marked,
    request,
    sent,
    spoken,
)
from tests.fakes.language_mind import MARKS, WORDS


async def test_a_long_recording_is_read_whole_part_by_part(stage: Stage, vendor: str) -> None:
    book = MemoryWorkbook()
    long = marked(1500)
    written = await chain(stage, vendor, context=16_000).question(request(long), book)
    told = [MARKS.findall(call["user"].partition("END ")[0]) for call in sent(stage, vendor)]
    *parts, answered = told
    assert sorted(mark for part in parts for mark in part) == sorted(MARKS.findall(long.text))
    assert len(set(answered)) == 1500
    assert set(MARKS.findall(written.text.text)) == set(MARKS.findall(long.text))
    said = sum(len(utterance.text) for utterance in long.utterances)
    assert written.reading.characters_read == written.reading.characters_total == said
    assert written.reading.parts == len(parts) == 5
    assert written.usage.characters == sum(call.usage.characters for call in written.calls) > said
    assert {str(call.purpose) for call in written.calls[:-1]} == {"notes"}
    assert str(written.calls[-1].purpose) == "write"


async def test_no_more_parts_are_read_at_once_than_the_window_holds(
    stage: Stage, reader: str
) -> None:
    book = MemoryWorkbook()
    for _ in range(9):
        stage.fake(reader).fault(latency=0.05)
    await chain(stage, reader, context=8000, parallel=3).memory(request(marked(1500, 20)), book)
    assert book.most_at_once == 3


async def test_notes_know_the_task_and_no_call_is_longer_than_the_context(
    stage: Stage, reader: str
) -> None:
    await chain(stage, reader, context=8000).question(request(marked(900, 20)), MemoryWorkbook())
    *notes, _ = sent(stage, reader)
    assert all("How many boats came home?" in call["user"] for call in notes)
    assert all(call["temperature"] == 0.2 for call in notes)
    prompts = 3000
    assert all(len(call["user"]) < 8000 + prompts for call in sent(stage, reader))


async def test_notes_of_notes_are_taken_until_they_fit(stage: Stage, reader: str) -> None:
    book = MemoryWorkbook()
    wanted = request(marked(13_000, 40))
    written = await chain(stage, reader, context=4000, parallel=8).memory(wanted, book)
    assert set(MARKS.findall(written.text.content)) == set(
        MARKS.findall(wanted.sources[0].transcript.text)
    )
    assert written.reading.characters_read == written.reading.characters_total
    assert written.reading.parts < len(written.calls) - 1


async def test_notes_that_are_as_long_as_the_part_fail_instead_of_going_on_for_ever(
    stage: Stage, reader: str
) -> None:
    wanted = request(spoken(*["%%wordy%% and so on, and so on, without an end."] * 400))
    with pytest.raises(ProviderBroken) as raised:
        await chain(stage, reader, context=8000, parallel=1).headline(wanted, MemoryWorkbook())
    assert raised.value.code == "notes_too_long"
    assert len(sent(stage, reader)) == 1


async def test_a_model_that_takes_less_than_its_setting_is_given_less(
    stage: Stage, vendor: str
) -> None:
    book = MemoryWorkbook()
    wanted = request(marked(1500))
    written = await chain(stage, vendor, name="tiny-model").memory(wanted, book)
    assert [call.code for call in book.over if call.code] == ["too_long_for_provider"] * len(
        [call for call in book.over if call.code]
    )
    assert written.reading.characters_read == written.reading.characters_total
    assert len(set(MARKS.findall(written.text.content))) == 1500


async def test_notes_that_were_kept_are_not_bought_again(stage: Stage, reader: str) -> None:
    book = MemoryWorkbook()
    model, wanted = chain(stage, reader, context=16_000), request(marked(1500))
    for _ in range(5):
        stage.fake(reader).fault()
    stage.fake(reader).fault(status=503)
    with pytest.raises(ProviderBusy):
        await model.question(wanted, book)
    assert len(book.kept) == 5
    stage.fake(reader).calls.clear()
    written = await model.question(wanted, book)
    assert len(sent(stage, reader)) == len(written.calls) == 1
    assert written.reading.characters_read == written.reading.characters_total


async def test_a_cancelled_call_is_written_down_and_the_next_one_works(
    stage: Stage, vendor: str
) -> None:
    book, model = MemoryWorkbook(), chain(stage, vendor)
    stage.fake(vendor).fault(hang=True)
    work = asyncio.create_task(model.headline(request(marked(1)), book))
    while not sent(stage, vendor):
        await asyncio.sleep(0.01)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert [call.outcome for call in book.over] == [AttemptOutcome.CANCELLED]
    assert (await model.headline(request(marked(1)), book)).text.title == WORDS["en"][0]
