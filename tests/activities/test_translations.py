"""A transcript in English: only what is not is given to a model, and only that is charged."""

from collections.abc import Mapping

import pytest

from activities.language import LanguageActivities
from activities.transcription import TierBounds
from activities.workbook import JobWorkbook
from contracts import ids
from contracts.errors import NotFound, ProviderBusy
from contracts.jobs import JobState
from contracts.language import ModelCall, Purpose, Use
from contracts.language_job import LanguageOrder
from contracts.tiers import AttemptOutcome
from contracts.transcript import Transcript, TranscriptPart, Utterance, join_parts
from tests.activities.writing import Bench, NewBench
from tests.fakes.scripted_model import ScriptedModel

NOTHING = LanguageOrder()
GERMAN = (("Guten Morgen.", "de-DE"), ("Good evening.", "en-GB"), ("…", "de-DE"), ("Ja.", "de-DE"))


def said(*spoken: tuple[str, str | None]) -> Transcript:
    """Utterances with their languages, one a second."""
    utterances = tuple(
        Utterance(text=text, offset=at * 1000, duration=900, speaker=1, locale=locale)
        for at, (text, locale) in enumerate(spoken)
    )
    return join_parts([TranscriptPart(start=0, end=9, utterances=utterances)], 9.0)


class Guess:
    """Takes every text for one language, and keeps what it was asked about."""

    def __init__(self, language: str | None) -> None:
        self._language = language
        self.asked: list[str] = []

    async def language(self, text: str) -> str | None:
        self.asked.append(text)
        return self._language


def guessing(made: Bench, language: str | None) -> Guess:
    """Let the bench find out languages."""
    guess = Guess(language)
    made.activities = LanguageActivities(made.database, made.model, TierBounds(2, 3), guess=guess)
    return guess


async def texts(made: Bench) -> Mapping[int, str]:
    async with made.database.read() as tx:
        return await tx.language.texts(made.job.job_id, made.job.user_id)


async def test_only_what_is_not_english_is_given_to_a_model_without_who_said_it(
    bench: NewBench,
) -> None:
    made = await bench(Use.TRANSLATE, NOTHING, said=said(*GERMAN))
    guess = guessing(made, "de")
    ref = await made.write()
    (request,) = made.model.requests
    (source,) = request.sources
    assert [each.text for each in source.transcript.utterances] == ["Guten Morgen.", "Ja."]
    assert {each.speaker for each in source.transcript.utterances} == {None}
    assert await texts(made) == {0: "In English: Guten Morgen.", 3: "In English: Ja."}
    assert (ref.charged, ref.memory_ids, guess.asked) == (5, (), [])
    balance = await made.balance()
    assert (balance.credits, balance.held) == (145, 0)
    assert (await made.row()).state is JobState.COMPLETED
    assert await made.memories() == []
    assert await made.broken() == []


@pytest.mark.parametrize("language", ["en", "de", None])
async def test_a_language_no_tier_has_told_is_looked_for_and_english_is_free(
    bench: NewBench, language: str | None
) -> None:
    made = await bench(Use.TRANSLATE, NOTHING, said=said(("Good morning.", None)))
    guess = guessing(made, language)
    ref = await made.write()
    english = language == "en"
    assert guess.asked == ["Good morning."]
    assert len(made.model.requests) == (0 if english else 1)
    assert await texts(made) == ({} if english else {0: "In English: Good morning."})
    assert ref.charged == (0 if english else 5)
    balance = await made.balance()
    assert (balance.credits, balance.held) == (150 - ref.charged, 0)
    result = (await made.row()).result
    assert result is not None
    assert result["charged"] == ref.charged
    assert await made.end(JobState.FAILED) is JobState.COMPLETED
    assert await made.broken() == []


async def test_a_text_without_utterances_is_translated_as_one(bench: NewBench) -> None:
    whole = Transcript(text="Guten Morgen.", seconds=3, primary_language="de")
    made = await bench(Use.TRANSLATE, NOTHING, said=whole)
    await made.write()
    assert await texts(made) == {0: "In English: Guten Morgen."}


async def test_what_is_written_is_not_asked_for_again_and_goes_with_its_memo(
    bench: NewBench,
) -> None:
    made = await bench(Use.TRANSLATE, NOTHING, said=said(*GERMAN))
    assert await made.write() == await made.write()
    assert len(made.model.requests) == 1
    async with made.database.write() as tx:
        await tx.language.erase(made.job.subject_id, made.job.user_id)
    with pytest.raises(NotFound):
        await texts(made)


async def test_a_batch_is_kept_with_its_attempt_and_goes_when_the_job_fails(
    bench: NewBench,
) -> None:
    async def keep_one(book: object) -> None:
        assert isinstance(book, JobWorkbook)
        call = ModelCall(
            number=2, tier="gemini", provider="scripted", engine="one", purpose=Purpose.PART
        )
        await book.began(call)
        await book.ended(call.model_copy(update={"outcome": AttemptOutcome.SUCCEEDED}))
        await book.keep_notes("k", "[]")

    model = ScriptedModel(ProviderBusy("429"), between=keep_one)
    made = await bench(Use.TRANSLATE, NOTHING, model, said=said(*GERMAN))
    with pytest.raises(ProviderBusy):
        await made.write()
    outcomes = [(each.step, each.outcome) for each in await made.attempts()]
    assert sorted(outcomes) == [
        ("write", AttemptOutcome.FAILED), ("write", AttemptOutcome.SUCCEEDED),
    ]  # fmt: skip
    async with made.database.read() as tx:
        assert await tx.language.notes(made.job.job_id, made.job.user_id, "k") == "[]"
    await made.end(JobState.FAILED)
    assert (await made.balance()).held == 0
    assert await made.broken() == []


async def test_a_memo_whose_transcript_is_gone_is_not_translated(bench: NewBench) -> None:
    made = await bench(Use.TRANSLATE, NOTHING, said=said(*GERMAN))
    async with made.database.write() as tx:
        await tx.memos.erase(made.job.subject_id, made.job.user_id)
    with pytest.raises(NotFound):
        await made.write()
    assert ids.kind_of(made.job.job_id) == Use.TRANSLATE
