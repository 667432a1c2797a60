"""What is read of a memo, and what becomes of what was written: pure rules."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from contracts import ids
from contracts.language import Answer, Combination, Memories, Memory, Source, Use, Written
from contracts.language_job import LanguageJob, LanguageOrder, WrittenRef
from contracts.memo import Memo, MemoStatus
from contracts.memory import NewMemory
from contracts.transcript import Transcript, Utterance

TITLE_CHARACTERS: Final = 80
_UTTERANCES: Final = TypeAdapter(tuple[Utterance, ...])


def source_of(memo: Memo) -> Source:
    """What was said in a memo and in the recordings added to it, as its row has it."""
    texts = [said for each in _recordings(memo.source) if (said := _said(each)) is not None]
    if len(texts) == 1:
        return Source(title=memo.title or "", transcript=texts[0])
    joined = Transcript(
        text="\n".join(each.text for each in texts), seconds=sum(each.seconds for each in texts)
    )
    return Source(title=memo.title or "", transcript=joined)


def spoken_language(memos: Sequence[Memo]) -> str | None:
    """Language of the first memo that was found to be in one, or asked for one; BCP 47."""
    for memo in memos:
        asked = memo.metadata.get("recordingLanguages")
        told = [memo.source.get("primary_language"), *(asked if isinstance(asked, list) else ())]
        for language in told:
            if isinstance(language, str) and language:
                return language
    return None


def _recordings(source: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield source
    added = source.get("additional_recordings")
    for each in added if isinstance(added, list) else ():
        if isinstance(each, Mapping):
            yield each


def _said(recording: Mapping[str, Any]) -> Transcript | None:
    """Rows are written by others too: what is not of the shape we know is read as bare text."""
    text = recording.get("transcript")
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        utterances = _UTTERANCES.validate_python(recording.get("utterances") or ())
    except ValidationError:
        utterances = ()
    speakers = recording.get("speakers")
    names = speakers.items() if isinstance(speakers, Mapping) else ()
    seconds = recording.get("duration")
    return Transcript(
        text=text,
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        utterances=utterances,
        speakers={str(number): name for number, name in names if isinstance(name, str)},
    )


def ref_of(job: LanguageJob, written: Written[Any]) -> WrittenRef:
    """That it was written and how, without a word of it."""
    count = {Use.QUESTION: 1, Use.MEMORY: 1}.get(job.use, 0)
    if isinstance(written.text, Memories):
        count = len(written.text.memories)
    memory_ids = tuple(ids.written_id(job.job_id, number) for number in range(count))
    return how_written(written).model_copy(
        update={"memory_ids": memory_ids, "memo_id": job.subject_id, "charged": job.price}
    )


def how_written(written: Written[Any]) -> WrittenRef:
    """Who wrote it and what was read for it."""
    return WrittenRef(
        tier=written.tier,
        provider=written.provider,
        engine=written.engine,
        prompt=None if written.prompt is None else str(written.prompt),
        characters_read=written.reading.characters_read,
        characters_total=written.reading.characters_total,
        parts=written.reading.parts,
    )


def result_of(ref: WrittenRef) -> dict[str, Any]:
    """``jobs.result``: ids and how it was written."""
    return {
        "memoId": ref.memo_id,
        "memoryId": next(iter(ref.memory_ids), None),
        "memoryIds": list(ref.memory_ids),
        "tier": ref.tier,
        "engine": ref.engine,
        "prompt": ref.prompt,
        "read": {
            "characters": ref.characters_read,
            "total": ref.characters_total,
            "parts": ref.parts,
        },
        "charged": ref.charged,
    }


def processing_of(ref: WrittenRef) -> dict[str, Any]:
    """How something was written, for ``metadata.processing``; an earlier failure is over."""
    return {
        "engine": ref.engine,
        "prompt": ref.prompt,
        "tier": ref.tier,
        "charactersRead": ref.characters_read,
        "charactersTotal": ref.characters_total,
        "error": None,
        "error_code": None,
    }


def memories_of(
    job: LanguageJob, order: LanguageOrder, text: Answer | Memory | Memories, ref: WrittenRef
) -> tuple[NewMemory, ...]:
    """The rows of what was written about a memo."""
    how = {
        **order.metadata,
        "type": job.use.value,
        "jobId": job.job_id,
        "engine": ref.engine,
        "prompt": ref.prompt,
    }
    if isinstance(text, Answer):
        asked = {"question": order.instruction, "found": text.found, "extract": text.extract}
        title = order.title or shortened(order.instruction)
        written = [(title, text.text, asked)]
    elif isinstance(text, Memory):
        title = order.title or text.title
        written = [(title, text.content, {"extract": text.extract})]
    else:
        written = [
            (
                prompt.title or memory.title,
                memory.content,
                {"extract": memory.extract, "promptId": prompt.prompt_id},
            )
            for prompt, memory in zip(order.prompts, text.memories, strict=True)
        ]
    return tuple(
        NewMemory(id=memory_id, title=title, content=content, metadata={**how, **more})
        for memory_id, (title, content, more) in zip(ref.memory_ids, written, strict=True)
    )


def shortened(text: str) -> str:
    """At most 80 characters on one line, cut after a word; what is left out leaves a mark.

    >>> shortened("Who  owns the boat?")
    'Who owns the boat?'
    """
    flat = " ".join(text.split())
    if len(flat) <= TITLE_CHARACTERS:
        return flat
    head = flat[: TITLE_CHARACTERS - 1]
    whole = head.rpartition(" ")[0] if flat[TITLE_CHARACTERS - 1] != " " else head
    return f"{(whole or head).rstrip()}…"


def combined_source(memos: Sequence[Memo], text: Combination) -> dict[str, Any]:
    """``source`` of the memo that was made of others."""
    languages: dict[str, None] = {}
    for memo in memos:
        told = memo.source.get("languages")
        languages.update(
            dict.fromkeys(each for each in told if isinstance(each, str)) if told else {}
        )
    return {
        "type": "combined",
        "source_memo_ids": [memo.id for memo in memos],
        "transcript": text.text,
        "utterances": [],
        "speakers": {},
        "languages": list(languages),
        "primary_language": spoken_language(memos),
        "duration": sum(source_of(memo).transcript.seconds for memo in memos),
        "extract": text.extract,
    }


def combined_metadata(order: LanguageOrder, ref: WrittenRef, at: str) -> dict[str, Any]:
    """``metadata`` of the memo that was made of others: nothing of it is still to be done."""
    done = {"status": MemoStatus.COMPLETED, "updated_at": at}
    return {
        **order.metadata,
        "processing": {
            "transcription": done,
            "headline_and_intro": {**done, **processing_of(ref)},
        },
    }
